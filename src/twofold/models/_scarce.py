"""Texts that share no words, of which no model learns anything: told where they are read."""

from __future__ import annotations

from twofold.typing import I64
from twofold.unseen import tell

LEAST = 20
"""Texts from which on it is told."""
SHARED = 0.02
"""Share of the words of all texts that must stand in two of them."""


def say_scarce(column: str, held: I64, n_texts: int) -> None:
    """Warn where next to no word stands in two texts; `held` (n_words,) is in how many of them each does."""
    if n_texts >= LEAST and held[held > 1].sum() < SHARED * held.sum():
        tell([
            f"next to no word of {column} stands in two of its {n_texts:,} texts, so that nothing can be learned of one for another; "
            "check that the column is the right one, name one of shared words in its place, or leave it out"
        ])  # fmt: skip
