"""Decoders of compressed pictures, and the process apart in which they run."""
