"""Shows an evaluation or a calibration: tables, pages, plots and galleries."""
