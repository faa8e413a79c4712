"""Dense products by BLAS whose bits do not depend on its number of threads."""

from __future__ import annotations

import numpy as np

from twofold.typing import F32

EVEN = 128
"""OpenBLAS cuts a long sum into stretches and halves what is left over; where the half is odd, several threads round it otherwise than one."""


def product(x: F32, y: F32) -> F32:
    """Return ``x @ y`` for x (n, a) and y (a, b): a multiple of `EVEN` terms first, then those that are left.

    A row or a column alone is doubled: for a vector BLAS has another way, which depends on the threads too.

    Example
    -------
    >>> product(np.ones((1, 1000), np.float32), np.ones((1000, 2), np.float32)).tolist()
    [[1000.0, 1000.0]]
    """
    if len(x) == 1:
        return product(np.repeat(x, 2, axis=0), y)[:1]
    if y.shape[1] == 1:
        return np.ascontiguousarray(product(x, np.repeat(y, 2, axis=1))[:, :1])
    even = x.shape[1] - x.shape[1] % EVEN
    out: F32 = x[:, :even] @ y[:even]
    if even < x.shape[1]:
        out += x[:, even:] @ y[even:]
    return out
