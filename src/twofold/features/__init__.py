"""Features: how the typed columns of a data set become numbers."""
