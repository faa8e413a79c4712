"""Models that read behaviour as sequences: what follows what."""
"""Behaviour as sequences: the next basket, item or place."""
