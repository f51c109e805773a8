"""Measures models: every figure has its number of groups and its 95 % interval."""
