"""Labelled slices: manifests, known public sets, copies and splits."""
