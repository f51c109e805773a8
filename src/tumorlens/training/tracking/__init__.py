"""What a run keeps of each epoch: its curves, and the logs of experiment trackers."""
