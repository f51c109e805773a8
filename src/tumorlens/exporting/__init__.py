"""Exports of a model to other formats, and the speed of models on this machine."""
