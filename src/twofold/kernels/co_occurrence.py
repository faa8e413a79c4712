"""Products of a sparse matrix with its own transpose, a block of dense rows at a time."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64


@kernel(parallel=True)
def co_occurrence_rows(
    first: int,
    row_indptr: I64,
    row_columns: I32,
    row_values: F32,
    column_indptr: I64,
    column_rows: I32,
    column_values: F32,
    out: F32,
) -> None:
    """Fill `out` (b, m) with rows first ... first + b - 1 of A'A, for a sparse A (n, m).

    A comes by rows (`row_indptr` (n + 1,)) and by columns (`column_indptr` (m + 1,)). Sums of counts
    below 2^24 are exact.
    """
    for at in prange(len(out)):
        line = out[at]
        line[:] = 0.0
        column = first + at
        for entry in range(column_indptr[column], column_indptr[column + 1]):
            row, weight = column_rows[entry], column_values[entry]
            for other in range(row_indptr[row], row_indptr[row + 1]):
                line[row_columns[other]] += weight * row_values[other]


@kernel(parallel=True, fastmath=False)
def largest(scores: F32, k: int, columns: I32, values: F32) -> None:
    """Keep the `k` largest positive entries of each row of `scores` (b, m), by column.

    `columns` and `values` (b, k) are filled from the left; -1 and 0 where a row has fewer. Of equal
    entries the lower columns are kept.
    """
    b, m = scores.shape
    for row in prange(b):
        line = scores[row]
        positive = 0
        for column in range(m):
            if line[column] > 0.0:
                positive += 1
        least = np.float32(0.0)
        spare = m
        if positive > k:
            kept = np.partition(line, m - k)[m - k :]
            least = kept.min()
            spare = 0
            for value in kept:
                if value == least:
                    spare += 1
        filled = 0
        for column in range(m):
            value = line[column]
            if value > least or (value == least and value > 0.0 and spare > 0):
                if value == least:
                    spare -= 1
                columns[row, filled] = column
                values[row, filled] = value
                filled += 1
        for place in range(filled, k):
            columns[row, place] = -1
            values[row, place] = 0.0
