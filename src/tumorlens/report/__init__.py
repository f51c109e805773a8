"""What people look at: tables, overlays, plots and pages."""
