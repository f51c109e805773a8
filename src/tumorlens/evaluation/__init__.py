"""Figures that can be believed: each with its groups and its interval."""
