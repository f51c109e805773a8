"""Scans and verdicts in a browser: the viewer with its server, and the page without Python."""
