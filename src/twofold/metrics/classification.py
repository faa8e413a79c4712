"""Metrics of predicted probabilities."""

from __future__ import annotations

import numpy as np

from twofold.errors import DataError
from twofold.typing import F32, F64

SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1."""


def log_loss(probability: F32 | F64, label: F32 | F64) -> float:
    """Return the mean of -log p(label), natural logarithm; labels are 0 or 1, both of shape (n,)."""
    y = _labels(probability, label)
    p = np.clip(probability.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def roc_auc(score: F32 | F64, label: F32 | F64) -> float:
    """Return the share of (1, 0) pairs that the score puts in the right order, ties counting half.

    Raises
    ------
    DataError
        If a label is neither 0 nor 1, or only one of them occurs.
    """
    y = _labels(score, label)
    ones = float(y.sum())
    zeros = len(y) - ones
    if not ones or not zeros:
        raise DataError("roc_auc needs labels of both kinds, 0 and 1; got one kind only")
    ordered = np.sort(score[y == 0])
    below = np.searchsorted(ordered, score[y == 1], side="left").sum()
    not_above = np.searchsorted(ordered, score[y == 1], side="right").sum()
    return float(0.5 * (below + not_above) / (ones * zeros))


def _labels(score: F32 | F64, label: F32 | F64) -> F64:
    if score.shape != label.shape or not len(score):
        raise DataError(
            f"scores and labels must be as many, and at least one; got {len(score):,} and {len(label):,}"
        )
    y = label.astype(np.float64)
    if not np.isin(y, (0.0, 1.0)).all():
        raise DataError(f"labels must be 0 or 1; got {y[~np.isin(y, (0.0, 1.0))][0]:g}")
    return y
