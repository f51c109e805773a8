"""Figures of scores, each with its interval."""
