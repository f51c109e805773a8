"""Shows results to people: tables, pictures, plots and pages."""
