"""Dense layers row by row: the bits of an answer do not depend on the other rows of the batch."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32


def products_by_row(x: F32, weight: F32) -> F32:
    """Return ``x @ weight`` for x (n, a) and weight (a, b), row by row."""
    out = np.zeros((len(x), weight.shape[1]), np.float32)
    add_products(np.ascontiguousarray(x), np.ascontiguousarray(weight), out)
    return out


@kernel(parallel=True, fastmath=False)  # see ORDERED
def add_products(x: F32, weight: F32, out: F32) -> None:
    """``out += x @ weight`` for x (n, a), weight (a, b), out (n, b); products are added in the order of a."""
    for row in prange(len(x)):
        for k in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                out[row, column] += x[row, k] * weight[k, column]
