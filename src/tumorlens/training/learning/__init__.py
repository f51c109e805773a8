"""The network in training: batches, edits, losses, phases."""
