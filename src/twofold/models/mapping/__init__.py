"""Models that map content into the space of the factors."""
