"""Dense products and factorizations by BLAS and LAPACK whose bits do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import RLock

import numpy as np
from threadpoolctl import ThreadpoolController

from twofold.typing import F32

BLOCK, ROWS, COLUMNS = 2**23, 64, 2048
"""Multiplications of a block of a product, if it has at least so many rows, and its most columns. BLAS rounds a row otherwise at
the edge of what one thread was given, so that each block is one call in one thread."""
SMALL = 4096
"""Multiplications of a product that BLAS leaves to one thread anyway."""

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
    """Return ``x @ y`` for x (n, a) and y (a, b): in blocks that depend on these sizes alone, dealt to as many threads as NumPy has.

    Example
    -------
    >>> product(np.ones((1, 1000), np.float32), np.ones((1000, 2), np.float32)).tolist()
    [[1000.0, 1000.0]]
    """
    if x.size * y.shape[1] <= SMALL:
        return x @ y
    out = np.empty((len(x), y.shape[1]), np.float32)
    tall = max(ROWS, BLOCK // (len(y) * min(y.shape[1], COLUMNS)) // ROWS * ROWS)
    blocks = [
        (slice(row, row + tall), slice(column, column + COLUMNS))
        for row in range(0, len(x), tall)
        for column in range(0, y.shape[1], COLUMNS)
    ]

    def multiply(block: tuple[slice, slice]) -> None:
        rows, columns = block
        np.matmul(x[rows], y[:, columns], out=out[block])

    threads = max((one["num_threads"] for one in blas().info()), default=1)
    with one_thread():
        if min(threads, len(blocks)) == 1:
            for block in blocks:
                multiply(block)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(multiply, blocks))
    return out
