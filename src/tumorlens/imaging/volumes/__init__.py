"""Volumes in a file of their own: NIfTI and its kin."""
