"""Searches for a recipe: a page, its plots, and a table."""
