"""Computes figures of scores, each with its 95 % interval."""
