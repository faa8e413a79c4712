"""Dense products by BLAS whose bits do not depend on its number of threads."""

from __future__ import annotations

from twofold.typing import F32

BLOCK = 256
"""Terms of a sum that go to BLAS at once; with more of them it may part the sum, and where depends on the number of threads."""


def product(x: F32, y: F32) -> F32:
    """Return ``x @ y`` for x (n, a) and y (a, b), summed over stretches of `BLOCK` terms from the first to the last.

    Example
    -------
    >>> import numpy as np
    >>> product(np.ones((1, 1000), np.float32), np.ones((1000, 2), np.float32)).tolist()
    [[1000.0, 1000.0]]
    """
    out: F32 = x[:, :BLOCK] @ y[:BLOCK]
    for first in range(BLOCK, x.shape[1], BLOCK):
        out += x[:, first : first + BLOCK] @ y[first : first + BLOCK]
    return out
