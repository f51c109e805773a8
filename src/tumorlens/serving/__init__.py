"""Scans that people hand in are judged and kept for a while: without any HTTP."""
