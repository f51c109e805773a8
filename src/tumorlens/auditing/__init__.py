"""Finds faults in labelled data: copies, label conflicts, leaks, misfits and shortcuts."""
