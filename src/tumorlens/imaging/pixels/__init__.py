"""Arrays of one slice: values, head outline, contrast of a series, fingerprint."""
