"""Copies of one picture, however they were changed."""
