"""The model file: its card, its contract, and the session that runs it."""
