"""From a space of recipes and labelled slices to the recipe that does best on held-out slices."""
