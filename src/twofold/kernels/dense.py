"""Dense layers row by row: the bits of an answer do not depend on the other rows of the batch."""

from __future__ import annotations

from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32


@kernel(parallel=True, fastmath=False)  # see ORDERED
def add_products(x: F32, weight: F32, out: F32) -> None:
    """``out += x @ weight`` for x (n, a), weight (a, b), out (n, b); products are added in the order of a."""
    for row in prange(len(x)):
        for k in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                out[row, column] += x[row, k] * weight[k, column]
