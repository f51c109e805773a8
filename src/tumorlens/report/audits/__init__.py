"""Shows an audit: tables, pages, plots and galleries."""
