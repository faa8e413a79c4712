"""Search for the best items of a query."""
