"""Gram matrices, and the symmetric systems that are built from them: float32, d a multiple of 16."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._vector import TILE_COLUMNS, TILE_ROWS, add_gram_tile
from twofold.typing import F32

CHUNK_FLOATS = 4096
"""Rows are streamed in chunks of this size: 16 KB stay in the first cache while the tiles pass."""


@kernel()
def add_gram(rows: F32, count: int, out: F32) -> None:
    """``out += rows[:count].T @ rows[:count]``, the upper triangle (and the rest of its tiles)."""
    d = rows.shape[1]
    for top in range(0, d, TILE_ROWS):
        for left in range(top // TILE_COLUMNS * TILE_COLUMNS, d, TILE_COLUMNS):
            add_gram_tile(rows, count, top, left, 1.0, out)


@kernel(parallel=True)
def gram_blocks(rows: F32, out: F32) -> None:
    """Fill `out` (b, d, d) with the upper triangles of the Gram matrices of b equal slices of `rows`."""
    n, d = rows.shape
    blocks = len(out)
    step = (n + blocks - 1) // blocks
    for block in prange(blocks):
        out[block] = 0.0
        first, last = min(block * step, n), min((block + 1) * step, n)
        stride = max(1, CHUNK_FLOATS // d)
        for start in range(first, last, stride):
            add_gram(rows[start:last], min(stride, last - start), out[block])


@kernel()
def factorize(a: F32) -> None:
    """Overwrite the upper triangle of `a` (d, d) with U of the Cholesky factorization a = U'U.

    Sixteen rows at a time: tiles take off the rows above, then the sixteen eliminate each other.
    The lower triangle is left undefined.
    """
    d = len(a)
    for block in range(0, d, TILE_COLUMNS):
        end = block + TILE_COLUMNS
        for top in range(block, end, TILE_ROWS):
            for left in range(block, d, TILE_COLUMNS):
                add_gram_tile(a, block, top, left, -1.0, a)
        for k in range(block, end):
            scale = np.float32(1.0) / np.sqrt(a[k, k])
            for f in range(k, d):
                a[k, f] *= scale
            for i in range(k + 1, end):
                factor = a[k, i]
                for f in range(i, d):
                    a[i, f] -= factor * a[k, f]


@kernel()
def substitute(u: F32, b: F32) -> None:
    """Overwrite `b` (d,) with the solution x of U'U x = b."""
    d = len(b)
    for k in range(d):
        b[k] /= u[k, k]
        factor = b[k]
        for f in range(k + 1, d):
            b[f] -= factor * u[k, f]
    for k in range(d - 1, -1, -1):
        b[k] = (b[k] - dot(u[k, k + 1 :], b[k + 1 :])) / u[k, k]
