"""Whether data can be trusted: copies, conflicts, leaks, misfits and shortcuts."""
