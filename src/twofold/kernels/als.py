"""Half a sweep of weighted alternating least squares: every row's d x d system, given the other side.

For one row with events i in S, weights w_i, targets c_i (both per event) and rotated factors y_i

    (diag(base) + ridge I + sum_S w_i y_i y_i') x = sum_S c_i y_i .

The basis is the one in which the Gram matrix of all rows is diagonal (see `twofold.models`), so that
the dense part of the system is the vector ``base``. A row's factors are gathered once, scaled by
sqrt(w_i), into a buffer that stays in cache. Rows are independent: their results do not depend on
the number of threads. All arrays float32 and C-contiguous; d is a multiple of 16.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._vector import TILE_COLUMNS, TILE_ROWS, add_gram_tile, fetch_add
from twofold.typing import F32, I32, I64

EXACT, CONJUGATE_GRADIENT, BLOCK = range(3)
"""Methods of `solve_rows`."""
PADDING = TILE_COLUMNS
"""The number of factors that the kernels see is a multiple of this; spare ones stay zero."""
UNROLL = 4
CHUNK_FLOATS = 4096
"""Size of the buffer that a Gram update streams from: 16 KB stay in the first cache."""
BUFFER_FLOATS = 1 << 19
"""Largest row kept whole by the iterative methods (2 MB a thread); longer rows are solved exactly."""
SMALLEST_WEIGHT = np.float32(1e-12)
TAKE = 8
"""Rows that a thread takes at a time."""


@kernel()
def gather(
    fixed: F32,
    items: I32,
    values: F32,
    start: int,
    count: int,
    weights: F32,
    buffer: F32,
    targets: F32,
) -> int:
    """Copy sqrt(w_i) y_i and c_i / sqrt(w_i) of `count` events; zero rows fill up to a multiple of 4.

    w_i = weights[0] + weights[1] value_i and c_i = weights[2] + weights[3] value_i.
    Return the number of rows with the filling.
    """
    d = fixed.shape[1]
    for k in range(count):
        value = values[start + k]
        root = np.sqrt(max(weights[0] + weights[1] * value, SMALLEST_WEIGHT))
        targets[k] = (weights[2] + weights[3] * value) / root
        item = items[start + k]
        for f in range(d):
            buffer[k, f] = root * fixed[item, f]
    filled = (count + UNROLL - 1) // UNROLL * UNROLL
    for k in range(count, filled):
        targets[k] = 0.0
        for f in range(d):
            buffer[k, f] = 0.0
    return filled


@kernel()
def add_weighted_rows(buffer: F32, count: int, coefficients: F32, total: F32) -> None:
    """``total += buffer[:count].T @ coefficients[:count]``; count is a multiple of 4."""
    for k in range(0, count, UNROLL):
        a, b = coefficients[k], coefficients[k + 1]
        c, e = coefficients[k + 2], coefficients[k + 3]
        for f in range(len(total)):
            total[f] += (a * buffer[k, f] + b * buffer[k + 1, f]) + (
                c * buffer[k + 2, f] + e * buffer[k + 3, f]
            )


@kernel()
def add_residuals(buffer: F32, count: int, x: F32, targets: F32, total: F32) -> None:
    """``targets -= buffer @ x; total += buffer.T @ targets`` over `count` rows, in one pass."""
    d = len(x)
    for k in range(0, count, UNROLL):
        a = b = c = e = np.float32(0.0)
        for f in range(d):
            a += buffer[k, f] * x[f]
            b += buffer[k + 1, f] * x[f]
            c += buffer[k + 2, f] * x[f]
            e += buffer[k + 3, f] * x[f]
        a, b = targets[k] - a, targets[k + 1] - b
        c, e = targets[k + 2] - c, targets[k + 3] - e
        targets[k], targets[k + 1], targets[k + 2], targets[k + 3] = a, b, c, e
        for f in range(d):
            total[f] += (a * buffer[k, f] + b * buffer[k + 1, f]) + (
                c * buffer[k + 2, f] + e * buffer[k + 3, f]
            )


@kernel()
def add_curvature(buffer: F32, count: int, p: F32, total: F32) -> None:
    """``total += buffer.T @ (buffer @ p)`` over `count` rows, in one pass."""
    d = len(p)
    for k in range(0, count, UNROLL):
        a = b = c = e = np.float32(0.0)
        for f in range(d):
            a += buffer[k, f] * p[f]
            b += buffer[k + 1, f] * p[f]
            c += buffer[k + 2, f] * p[f]
            e += buffer[k + 3, f] * p[f]
        for f in range(d):
            total[f] += (a * buffer[k, f] + b * buffer[k + 1, f]) + (
                c * buffer[k + 2, f] + e * buffer[k + 3, f]
            )


@kernel()
def add_gram(buffer: F32, count: int, out: F32) -> None:
    """``out += buffer[:count].T @ buffer[:count]``, the upper triangle (and the rest of its tiles)."""
    d = buffer.shape[1]
    for top in range(0, d, TILE_ROWS):
        for left in range(top // TILE_COLUMNS * TILE_COLUMNS, d, TILE_COLUMNS):
            add_gram_tile(buffer, count, top, left, np.float32(1.0), out)


@kernel()
def factorize(a: F32) -> None:
    """Overwrite the upper triangle of `a` (d, d) with U of the Cholesky factorization a = U'U."""
    d = a.shape[0]
    for block in range(0, d, TILE_COLUMNS):
        end = block + TILE_COLUMNS
        for top in range(block, end, TILE_ROWS):
            for left in range(block, d, TILE_COLUMNS):
                add_gram_tile(a, block, top, left, np.float32(-1.0), a)
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
        total = np.float32(0.0)
        for f in range(k + 1, d):
            total += u[k, f] * b[f]
        b[k] = (b[k] - total) / u[k, k]


@kernel()
def solve_exactly(
    fixed: F32,
    items: I32,
    values: F32,
    start: int,
    stop: int,
    weights: F32,
    diagonal: F32,
    x: F32,
    buffer: F32,
    targets: F32,
    a: F32,
    b: F32,
) -> None:
    """Solve one row by Cholesky; O(n d^2 + d^3)."""
    d = len(x)
    step = max(UNROLL, CHUNK_FLOATS // d)
    a[:] = 0.0
    b[:] = 0.0
    for f in range(d):
        a[f, f] = diagonal[f]
    for first in range(start, stop, step):
        count = min(step, stop - first)
        filled = gather(fixed, items, values, first, count, weights, buffer, targets)
        add_weighted_rows(buffer, filled, targets, b)
        add_gram(buffer, filled, a)
    factorize(a)
    substitute(a, b)
    x[:] = b


@kernel()
def solve_by_gradients(
    buffer: F32,
    filled: int,
    targets: F32,
    diagonal: F32,
    preconditioner: F32,
    steps: int,
    x: F32,
    work: F32,
) -> None:
    """Improve one row by `steps` preconditioned conjugate-gradient steps from where it stands; O(n d)."""
    d = len(x)
    r, p, q = work[0], work[1], work[2]
    for f in range(d):
        r[f] = -diagonal[f] * x[f]
    add_residuals(buffer, filled, x, targets, r)
    energy = np.float32(0.0)
    for f in range(d):
        p[f] = r[f] / preconditioner[f]
        energy += r[f] * p[f]
    for step in range(steps):
        if not energy > 0.0:
            return
        for f in range(d):
            q[f] = diagonal[f] * p[f]
        add_curvature(buffer, filled, p, q)
        bend = np.float32(0.0)
        for f in range(d):
            bend += p[f] * q[f]
        length = energy / bend
        for f in range(d):
            x[f] += length * p[f]
        if step + 1 == steps:
            return
        new = np.float32(0.0)
        for f in range(d):
            r[f] -= length * q[f]
            new += r[f] * r[f] / preconditioner[f]
        turn = new / energy
        energy = new
        for f in range(d):
            p[f] = r[f] / preconditioner[f] + turn * p[f]


@kernel()
def solve_by_blocks(
    buffer: F32,
    filled: int,
    targets: F32,
    diagonal: F32,
    size: int,
    x: F32,
    block_rows: F32,
    a: F32,
    work: F32,
) -> None:
    """Solve one row block of coordinates by block, once round (iALS++, Algorithm 1); O(n d size)."""
    d = len(x)
    r = work[0]
    r[:] = 0.0
    add_residuals(buffer, filled, x, targets, r)  # targets now hold the residuals
    for first in range(0, d, size):
        width = min(size, d - first)
        for k in range(filled):
            for f in range(width):
                block_rows[k, f] = buffer[k, first + f]
            for f in range(width, size):
                block_rows[k, f] = 0.0
        a[:] = 0.0
        b = work[1, :size]
        for f in range(size):
            a[f, f] = diagonal[first + f] if f < width else np.float32(1.0)
            b[f] = -diagonal[first + f] * x[first + f] if f < width else np.float32(0.0)
        add_weighted_rows(block_rows, filled, targets, b)
        add_gram(block_rows, filled, a)
        factorize(a)
        substitute(a, b)
        for f in range(width):
            x[first + f] += b[f]
        for k in range(filled):
            total = np.float32(0.0)
            for f in range(size):
                total += block_rows[k, f] * b[f]
            targets[k] -= total


@kernel(parallel=True)
def solve_rows(
    order: I64,
    indptr: I64,
    items: I32,
    values: F32,
    weights: F32,
    fixed: F32,
    base: F32,
    moment: F32,
    ridge: F32,
    out: F32,
    method: int,
    size: int,
    counter: I64,
    lanes: int,
) -> None:
    """Solve (or improve) the rows of `out` listed in `order`, given `fixed`; see the module.

    Parameters
    ----------
    order : shape (r,)
        Rows, those with most events first, so that threads end together.
    indptr, items, values : shapes (n + 1,), (nnz,), (nnz,)
        The events of every row.
    weights : shape (4,)
        w_i = weights[0] + weights[1] value_i, c_i = weights[2] + weights[3] value_i.
    fixed : shape (m, d)
        The other side, in the basis where its Gram matrix is diagonal.
    base, moment : shape (d,)
        Diagonal of the weighted Gram matrix of all rows of `fixed`; mean of w y_f^2 over events.
    ridge : shape (n,)
        L2 penalty of each row.
    out : shape (n, d)
        Where the iterative methods start from, and the answer.
    method, size
        `EXACT`; `CONJUGATE_GRADIENT` with `size` steps; `BLOCK` of `size` coordinates (multiple of 16).
    counter : shape (1,)
        Zero; the next place in `order`.
    lanes
        Number of threads; the result does not depend on it.
    """
    d = fixed.shape[1]
    longest = max(BUFFER_FLOATS // d, UNROLL) if method != EXACT else 0
    needed = np.int64(0)
    for row in order:
        length = indptr[row + 1] - indptr[row]
        if length <= longest:
            needed = max(needed, length)
    needed = max(needed, max(UNROLL, CHUNK_FLOATS // d)) + UNROLL
    for _ in prange(lanes):
        buffer = np.empty((needed, d), np.float32)
        targets = np.empty(needed, np.float32)
        a = np.empty((d, d), np.float32)
        side = size if method == BLOCK else 1
        small = np.empty((side, side), np.float32)
        block_rows = np.empty((needed if method == BLOCK else 1, side), np.float32)
        work = np.empty((3, max(d, side)), np.float32)
        diagonal = np.empty(d, np.float32)
        preconditioner = np.empty(d, np.float32)
        b = np.empty(d, np.float32)
        while True:
            place = fetch_add(counter) * TAKE
            if place >= len(order):
                break
            for at in range(place, min(place + TAKE, len(order))):
                row = order[at]
                start, stop = indptr[row], indptr[row + 1]
                n = stop - start
                for f in range(d):
                    diagonal[f] = base[f] + ridge[row]
                if n == 0:
                    out[row] = 0.0
                elif n > longest:
                    solve_exactly(
                        fixed, items, values, start, stop, weights, diagonal,
                        out[row], buffer, targets, a, b,
                    )  # fmt: skip
                else:
                    filled = gather(fixed, items, values, start, n, weights, buffer, targets)
                    if method == CONJUGATE_GRADIENT:
                        for f in range(d):
                            preconditioner[f] = diagonal[f] + n * moment[f]
                        solve_by_gradients(
                            buffer, filled, targets, diagonal, preconditioner, size, out[row], work
                        )
                    else:
                        solve_by_blocks(
                            buffer, filled, targets, diagonal, size, out[row], block_rows, small, work
                        )


@kernel(parallel=True)
def gram_blocks(rows: F32, out: F32) -> None:
    """Fill `out` (b, d, d) with the upper triangles of the Gram matrices of b equal slices of `rows`."""
    n, d = rows.shape
    blocks = len(out)
    step = (n + blocks - 1) // blocks
    for block in prange(blocks):
        out[block] = 0.0
        first, last = min(block * step, n), min((block + 1) * step, n)
        stride = max(UNROLL, CHUNK_FLOATS // d)
        for start in range(first, last, stride):
            add_gram(rows[start : min(start + stride, last)], min(stride, last - start), out[block])
