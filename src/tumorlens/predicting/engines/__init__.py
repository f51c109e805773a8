"""Shards of one run as jobs of an engine: of Slurm, or as processes of this machine."""
