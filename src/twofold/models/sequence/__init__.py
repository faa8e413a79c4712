"""Models of sequences of tokens."""
"""Models that read behaviour as sequences: what follows what."""
"""Models that read behaviour as sequences."""
