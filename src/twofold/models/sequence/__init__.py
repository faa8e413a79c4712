"""Models that read behaviour as sequences: what follows what."""
