"""The command ``tumorlens``: parse, call, print; nothing else."""
