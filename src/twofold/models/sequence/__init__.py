"""Behaviour as sequences: the next basket, item or place."""
