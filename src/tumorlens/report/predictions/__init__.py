"""A run of predict, for people: a study a section."""
