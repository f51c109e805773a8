"""What lies in an object store: fetched before a run, written back behind it."""
