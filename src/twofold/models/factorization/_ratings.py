"""What the rating models of this folder share: the unit of the scale, and its ends."""

from __future__ import annotations

import numpy as np

from twofold.typing import F32

STEPS = 4.0
"""A rating scale spans this many units, so that 1 ... 5 stars keep their own numbers."""


def unit_of(value_range: tuple[float, float]) -> float:
    """Return a quarter of the range of the ratings: 1 for 1 ... 5 stars, 1 if all are equal.

    Ratings are divided by it inside, so that learning rates and penalties mean the same on every
    scale.

    Example
    -------
    >>> unit_of((0.0, 100.0)), unit_of((1.0, 5.0)), unit_of((3.0, 3.0))
    (25.0, 1.0, 1.0)
    """
    low, high = value_range
    return (high - low) / STEPS if high > low else 1.0


def clipped(scores: F32, value_range: tuple[float, float]) -> F32:
    """Return predictions cut to the range of the training ratings."""
    return np.clip(scores, *value_range).astype(np.float32)
