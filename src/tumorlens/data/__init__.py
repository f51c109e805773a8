"""Labelled slices: manifests, known public sets, twins and splits."""
