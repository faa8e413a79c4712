"""Rows of a long array in another order: limited by memory, so all threads fetch at once."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numba import prange
from numpy.typing import NDArray

from twofold.kernels._jit import kernel
from twofold.typing import I64

A = TypeVar("A", NDArray[np.int32], NDArray[np.int64], NDArray[np.float32])
LONG = 1_000_000
"""Entries below which NumPy is as quick."""


def gather(values: A, order: I64) -> A:
    """Return ``values[order]``, both (n,)."""
    if len(order) < LONG:
        return values[order]
    out = np.empty_like(values, shape=len(order))
    fetch(values, order, out)
    return out


@kernel(parallel=True, fastmath=False)
def fetch(values: A, order: I64, out: A) -> None:
    """Fill `out` (n,) with ``values[order]``."""
    for at in prange(len(order)):
        out[at] = values[order[at]]


@kernel(fastmath=False)
def is_ascending(order: I64) -> bool:
    """Say whether `order` (n,) is 0, 1, ... n - 1."""
    for at in range(len(order)):  # noqa: SIM110  compiled
        if order[at] != at:
            return False
    return True
