"""A run over many inputs: records, a broken run taken up again, pictures, series and studies."""
