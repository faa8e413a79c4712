"""Weighted sums of rows of a table, and the slopes of the table."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from twofold.kernels._jit import kernel
from twofold.typing import F32


@kernel(parallel=True)
def weighted_sums(
    indptr: NDArray[np.integer], ids: NDArray[np.integer], weights: F32, table: F32, out: F32
) -> None:
    """Fill row i of `out` (n, d) with the sum of ``weights[at] * table[ids[at]]``, at = indptr[i] ... indptr[i + 1] - 1, in that order.

    Four rows of the table are read at a time, so that a row of the sums is read and written a quarter as often.
    """
    for row in prange(len(out)):
        line = out[row]
        for k in range(len(line)):
            line[k] = 0
        at, end = indptr[row], indptr[row + 1]
        while at + 4 <= end:
            first, second = table[ids[at]], table[ids[at + 1]]
            third, fourth = table[ids[at + 2]], table[ids[at + 3]]
            a, b, c, d = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
            for k in range(len(line)):
                line[k] = (((line[k] + a * first[k]) + b * second[k]) + c * third[k]) + d * fourth[
                    k
                ]
            at += 4
        while at < end:
            a, first = weights[at], table[ids[at]]
            for k in range(len(line)):
                line[k] += a * first[k]
            at += 1
