"""From slices to series to studies: evidence in millimetres, verdicts, which slice to open."""
