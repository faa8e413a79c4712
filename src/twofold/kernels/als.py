"""Half a sweep of weighted alternating least squares: every row's d x d system, given the other side.

For one row with events i in S, weights w_i, pulls c_i (both per event) and factors y_i

    (diag(base) + ridge I + sum_S w_i y_i y_i') x = sum_S c_i y_i .

The basis is the one in which the Gram matrix of all rows is diagonal, so that the dense part of the
system is the vector ``base``, and a diagonal preconditioner is a good one. A row's factors are gathered
once, scaled by sqrt(w_i), into a buffer that stays in cache. All arrays are float32 and C-contiguous.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot, dot_four
from twofold.kernels._jit import kernel
from twofold.kernels._vector import TILE_COLUMNS, fetch_add, prefetch
from twofold.kernels.gram import CHUNK_FLOATS, add_gram, factorize, substitute
from twofold.typing import F32, I32, I64

EXACT, CONJUGATE_GRADIENT, BLOCK = range(3)
"""Methods of `solve_rows`."""
PADDING = TILE_COLUMNS
"""The number of factors that the kernels see is a multiple of this; spare ones stay zero."""
UNROLL = 4
"""Events are worked on by fours; missing ones are rows of zeros."""
BUFFER_FLOATS = 1 << 23
"""Largest row kept whole by the iterative methods (32 MB a thread); longer ones are solved exactly."""
SMALLEST_WEIGHT = np.float32(1e-12)
"""Stands in for a weight of zero, so that its pull can be carried by a scaled row."""
SMALLEST_BEND = np.float32(1e-30)
"""A row whose next step bends the loss by no more than this has converged."""
AHEAD = 8
"""How many events before its use a row is asked for."""
TAKE = 8
"""Rows that a thread takes at a time."""


@kernel()
def rounded(count: int) -> int:
    """Return the multiple of 4 that holds `count` events."""
    return (count + UNROLL - 1) // UNROLL * UNROLL


@kernel()
def weigh(values: F32, start: int, count: int, weights: F32, roots: F32, targets: F32) -> None:
    """Fill sqrt(w_i) and c_i / sqrt(w_i) for `count` events, and 0 up to a multiple of 4.

    w_i = weights[0] + weights[1] value_i and c_i = weights[2] + weights[3] value_i; `values` is not
    read where both are constant.
    """
    if weights[1] == 0.0 and weights[3] == 0.0:
        root = np.sqrt(max(weights[0], SMALLEST_WEIGHT))
        for k in range(count):
            roots[k] = root
            targets[k] = weights[2] / root
    else:
        for k in range(count):
            value = values[start + k]
            root = np.sqrt(max(weights[0] + weights[1] * value, SMALLEST_WEIGHT))
            roots[k] = root
            targets[k] = (weights[2] + weights[3] * value) / root
    for k in range(count, rounded(count)):
        roots[k] = targets[k] = 0.0


@kernel()
def gather(fixed: F32, items: I32, start: int, count: int, roots: F32, buffer: F32) -> None:
    """Fill ``buffer[k] = roots[k] * fixed[items[start + k]]``, and zeros up to a multiple of 4."""
    d = fixed.shape[1]
    for k in range(count):
        if k + AHEAD < count:
            prefetch(fixed, items[start + k + AHEAD])
        item, root = items[start + k], roots[k]
        for f in range(d):
            buffer[k, f] = root * fixed[item, f]
    for k in range(count, rounded(count)):
        for f in range(d):
            buffer[k, f] = 0.0


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
def add_residuals(buffer: F32, first: int, last: int, x: F32, targets: F32, total: F32) -> None:
    """``targets -= buffer @ x; total += buffer.T @ targets`` over rows first ... last - 1, by fours."""
    d = len(x)
    for k in range(first, last, UNROLL):
        a, b, c, e = dot_four(buffer, k, x)
        a, b = targets[k] - a, targets[k + 1] - b
        c, e = targets[k + 2] - c, targets[k + 3] - e
        targets[k], targets[k + 1], targets[k + 2], targets[k + 3] = a, b, c, e
        for f in range(d):
            total[f] += (a * buffer[k, f] + b * buffer[k + 1, f]) + (
                c * buffer[k + 2, f] + e * buffer[k + 3, f]
            )


@kernel()
def add_curvature(buffer: F32, count: int, p: F32, total: F32) -> None:
    """``total += buffer.T @ (buffer @ p)`` over `count` rows, in one pass; count is a multiple of 4."""
    d = len(p)
    for k in range(0, count, UNROLL):
        a, b, c, e = dot_four(buffer, k, p)
        for f in range(d):
            total[f] += (a * buffer[k, f] + b * buffer[k + 1, f]) + (
                c * buffer[k + 2, f] + e * buffer[k + 3, f]
            )


@kernel()
def gather_residuals(
    fixed: F32,
    items: I32,
    start: int,
    count: int,
    x: F32,
    roots: F32,
    buffer: F32,
    targets: F32,
    total: F32,
) -> None:
    """Gather as `gather` does, and work off each part as `add_residuals` does while it is at hand."""
    part = max(UNROLL, CHUNK_FLOATS // len(x) // UNROLL * UNROLL)
    for first in range(0, count, part):
        size = min(part, count - first)
        gather(fixed, items, start + first, size, roots[first:], buffer[first:])
        add_residuals(buffer, first, first + rounded(size), x, targets, total)


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
    roots: F32,
    targets: F32,
    buffer: F32,
    a: F32,
) -> None:
    """Solve one row by Cholesky; O(n d^2 + d^3). Needs no more of `buffer` than one chunk."""
    d = len(x)
    part = max(UNROLL, CHUNK_FLOATS // d // UNROLL * UNROLL)
    a[:] = 0.0
    x[:] = 0.0
    for f in range(d):
        a[f, f] = diagonal[f]
    for first in range(start, stop, part):
        count = min(part, stop - first)
        weigh(values, first, count, weights, roots, targets)
        gather(fixed, items, first, count, roots, buffer)
        add_weighted_rows(buffer, rounded(count), targets, x)
        add_gram(buffer, rounded(count), a)
    factorize(a)
    substitute(a, x)


@kernel()
def solve_by_gradients(
    buffer: F32,
    count: int,
    residual: F32,
    diagonal: F32,
    preconditioner: F32,
    steps: int,
    x: F32,
    work: F32,
) -> None:
    """Improve `x` by `steps` preconditioned conjugate-gradient steps; O(n d) each.

    `residual` (d,) is the right side less the matrix times `x`, and is used up.
    """
    d = len(x)
    p, q = work[0], work[1]
    for f in range(d):
        p[f] = residual[f] / preconditioner[f]
    energy = dot(residual, p)
    for step in range(steps):
        if not energy > 0.0:
            return
        for f in range(d):
            q[f] = diagonal[f] * p[f]
        add_curvature(buffer, count, p, q)
        bend = dot(p, q)
        if not bend > SMALLEST_BEND:
            return
        length = energy / bend
        for f in range(d):
            x[f] += length * p[f]
        if step + 1 == steps:
            return
        for f in range(d):
            residual[f] -= length * q[f]
            q[f] = residual[f] / preconditioner[f]
        new = dot(residual, q)
        turn = new / energy
        energy = new
        for f in range(d):
            p[f] = q[f] + turn * p[f]


@kernel()
def solve_by_blocks(
    buffer: F32,
    count: int,
    targets: F32,
    diagonal: F32,
    x: F32,
    part: F32,
    a: F32,
    step: F32,
) -> None:
    """Solve block after block of coordinates, the others kept (iALS++, Algorithm 1); O(n d size).

    `targets` hold the residuals of the events. `part` (n, size), `a` (size, size) and `step` (size,)
    are scratch.
    """
    d, size = len(x), len(step)
    for first in range(0, d, size):
        width = min(size, d - first)
        a[:] = 0.0
        for f in range(size):
            a[f, f] = diagonal[first + f] if f < width else np.float32(1.0)
            step[f] = -diagonal[first + f] * x[first + f] if f < width else np.float32(0.0)
        for k in range(count):
            for f in range(width):
                part[k, f] = buffer[k, first + f]
            for f in range(width, size):
                part[k, f] = 0.0
        add_weighted_rows(part, count, targets, step)
        add_gram(part, count, a)
        factorize(a)
        substitute(a, step)
        for f in range(width):
            x[first + f] += step[f]
        for k in range(count):
            targets[k] -= dot(part[k], step)


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
        The events of every row; `values` may be empty where weights[1] = weights[3] = 0.
    weights : shape (4,)
        w_i = weights[0] + weights[1] value_i, c_i = weights[2] + weights[3] value_i.
    fixed : shape (m, d)
        The other side, in the basis where its Gram matrix is diagonal.
    base, moment : shape (d,)
        Diagonal of the weighted Gram matrix of all rows of `fixed`; mean of w y_f^2 over events.
    ridge : shape (n,)
        L2 penalty of each row.
    out : shape (n, d)
        Where the iterative methods start from, and the answer; zero for a row without events.
    method, size
        `EXACT`; `CONJUGATE_GRADIENT` with `size` steps; `BLOCK` of `size` coordinates (multiple of 16).
    counter : shape (1,)
        Zero; the next place in `order`.
    lanes
        Number of threads; the result does not depend on it.
    """
    d = fixed.shape[1]
    longest = max(BUFFER_FLOATS // d, UNROLL) if method != EXACT else 0
    needed = max(UNROLL, CHUNK_FLOATS // d)
    for one in range(len(out)):
        length = indptr[one + 1] - indptr[one]
        if length <= longest:
            needed = max(needed, length)
    needed += UNROLL
    side = size if method == BLOCK else 1
    for _ in prange(lanes):
        buffer = np.empty((needed, d), np.float32)
        roots = np.empty(needed, np.float32)
        targets = np.empty(needed, np.float32)
        a = np.empty((d, d), np.float32)
        small = np.empty((side, side), np.float32)
        part = np.empty((needed if method == BLOCK else 1, side), np.float32)
        step = np.empty(side, np.float32)
        work = np.empty((2, d), np.float32)
        residual = np.empty(d, np.float32)
        diagonal = np.empty(d, np.float32)
        preconditioner = np.empty(d, np.float32)
        while True:
            place = fetch_add(counter) * TAKE
            if place >= len(order):
                break
            for at in range(place, min(place + TAKE, len(order))):
                row: int = order[at]
                start, stop = indptr[row], indptr[row + 1]
                n = stop - start
                x = out[row]
                for f in range(d):
                    diagonal[f] = base[f] + ridge[row]
                if n == 0:
                    x[:] = 0.0
                    continue
                if n > longest:
                    solve_exactly(
                        fixed, items, values, start, stop, weights, diagonal,
                        x, roots, targets, buffer, a,
                    )  # fmt: skip
                    continue
                for f in range(d):
                    preconditioner[f] = diagonal[f] + n * moment[f]
                    residual[f] = -diagonal[f] * x[f]
                weigh(values, start, n, weights, roots, targets)
                gather_residuals(fixed, items, start, n, x, roots, buffer, targets, residual)
                if method == CONJUGATE_GRADIENT:
                    solve_by_gradients(
                        buffer, rounded(n), residual, diagonal, preconditioner, size, x, work
                    )
                else:
                    solve_by_blocks(buffer, rounded(n), targets, diagonal, x, part, small, step)
