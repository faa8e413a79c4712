"""Sums over users drawn again with replacement."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, stream
from twofold.typing import F64

RESAMPLES = 1000
"""How often the bootstrap draws, wherever an interval is made."""


@kernel(fastmath=False)
def drawn(seed: int, resample: int, place: int, n: int) -> np.int64:
    """Return which of n users is drawn at a place of a resample."""
    begin = stream(seed, resample)
    word = mix(begin + (np.uint64(place) + np.uint64(1)) * GOLDEN)
    return np.int64(((word >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@kernel(parallel=True, fastmath=False)
def resampled_sums(seed: int, shares: F64, out: F64) -> None:
    """Fill `out` (n_resamples, c) with the sums of the rows of `shares` (n, c) that each resample draws.

    The draws depend on the seed, the resample and n alone: not on the columns, nor on the threads.
    """
    n, c = shares.shape
    for resample in prange(len(out)):
        total = np.zeros(c)
        for place in range(n):
            row = drawn(seed, resample, place, n)
            for column in range(c):
                total[column] += shares[row, column]
        out[resample] = total
