"""Models that read behaviour as sequences."""
