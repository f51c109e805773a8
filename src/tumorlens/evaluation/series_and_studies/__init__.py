"""Verdicts and figures of the series and studies in a table of scores."""
