"""Dense products and factorizations by BLAS and LAPACK whose bits do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from threading import RLock

import numpy as np
from threadpoolctl import ThreadpoolController

from twofold.typing import F32

EVEN = 128
"""OpenBLAS cuts a long sum into stretches and halves what is left over; where the half is odd, several threads round it otherwise than one."""


_ALONE = RLock()
"""Two callers at once would each give back what the other had set, and leave NumPy with one thread."""


@cache
def blas() -> ThreadpoolController:
    """Return the library that NumPy multiplies by; to look for it anew costs as much as a small factorization."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Generator[None]:
    """Let NumPy use one thread, for one caller at a time: Cholesky, eigenvalues and singular values are rounded by their number.

    Example
    -------
    >>> with one_thread():
    ...     np.linalg.inv(np.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    with _ALONE, blas().limit(limits=1):
        yield


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
