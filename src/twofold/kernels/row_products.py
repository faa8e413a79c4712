"""Inner products of pairs of rows of sparse matrices."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F64, I32, I64


@kernel(parallel=True)
def row_products(
    indptr: I64,
    column: I32,
    value: F64,
    other_indptr: I64,
    other_column: I32,
    other_value: F64,
    left: I32,
    right: I32,
    out: F64,
) -> None:
    """Fill `out` (p,) with the product of row ``left[at]`` of one matrix and row ``right[at]`` of the other.

    Both come by rows, `indptr` (n + 1,) with `column` and `value` (nnz,), columns ascending within a row.
    """
    for at in prange(len(out)):
        one, stop = indptr[left[at]], indptr[left[at] + 1]
        two, end = other_indptr[right[at]], other_indptr[right[at] + 1]
        total = np.float64(0.0)
        while one < stop and two < end:
            if column[one] < other_column[two]:
                one += 1
            elif column[one] > other_column[two]:
                two += 1
            else:
                total += value[one] * other_value[two]
                one += 1
                two += 1
        out[at] = total
