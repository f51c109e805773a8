"""From a manifest and a recipe to one model file."""
