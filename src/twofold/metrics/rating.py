"""Errors of predicted ratings."""

from __future__ import annotations

import numpy as np

from twofold.errors import DataError
from twofold.typing import F32, F64


def _error(predicted: F32 | F64, observed: F32 | F64) -> F64:
    if predicted.shape != observed.shape or not len(predicted):
        raise DataError(
            "predicted and observed ratings must be as many, and at least one; "
            f"got {len(predicted):,} and {len(observed):,}"
        )
    return predicted.astype(np.float64) - observed.astype(np.float64)


def rmse(predicted: F32 | F64, observed: F32 | F64) -> float:
    """Return the root of the mean squared error over all ratings, both of shape (n,).

    Raises
    ------
    DataError
        If there are none, or not as many.
    """
    return float(np.sqrt(np.mean(_error(predicted, observed) ** 2)))


def mae(predicted: F32 | F64, observed: F32 | F64) -> float:
    """Return the mean absolute error over all ratings, both of shape (n,).

    Raises
    ------
    DataError
        If there are none, or not as many.
    """
    return float(np.mean(np.abs(_error(predicted, observed))))
