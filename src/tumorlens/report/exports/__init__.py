"""An export or a benchmark, for people."""
