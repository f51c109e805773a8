"""Eight-bit integers: ranges, equalisation, rounding."""
