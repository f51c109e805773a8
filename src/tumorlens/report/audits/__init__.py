"""An audit, for people."""
