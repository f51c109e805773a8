"""A training, for people."""
