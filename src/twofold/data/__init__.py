"""Reading a log and holding it: ids, typed columns, interactions, datasets, the catalogue."""
