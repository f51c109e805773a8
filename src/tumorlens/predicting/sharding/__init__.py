"""One run on many machines: its inputs are parted into shards, whose records are merged."""
