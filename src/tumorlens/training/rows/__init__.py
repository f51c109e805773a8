"""Rows for a training: chosen, kept for the test, prepared."""
