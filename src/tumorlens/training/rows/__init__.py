"""Rows for a training: chosen, held out, prepared."""
