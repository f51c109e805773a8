"""Paths become sources: what a file holds, what it may ask for, and which files belong together."""
