"""Series and studies of a table of scores: their verdicts and their figures."""
