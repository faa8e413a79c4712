"""One pass over the parameters of a factorization machine, on relations instead of events.

Rendle (2013), "Scaling Factorization Machines to Relational Data", VLDB. An event is one row of each
block (its user's, its item's, its context's), so that a parameter's sums over events are sums over
the rows of its block, each weighted by sums over the events of that row:

    c = #events, S_e = sum e_n, S_q = sum q_n, S_qq = sum q_n^2, S_eq = sum e_n q_n,

where e_n is what is left of the target and q_n the factor summed over the other blocks. A pass over
one block and factor costs O(events + entries of the block) for any number of features an event has.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F64, I32, I64


@kernel(parallel=True)
def gather_sums(order: I64, indptr: I64, others: I32, q: F64, e: F64, rest: F64, sums: F64) -> None:
    """Fill `sums` (r, 4) with S_e, S_q, S_qq, S_eq of every row of a block, and `rest` (n,) with q_n.

    `order` (n,) lists the events row by row, `indptr` (r + 1,) where each row begins; `others`
    (n, blocks - 1) names, in that order, the rows of the other blocks in q (all rows,). e (n,) is in
    the order of the log, `rest` in that of the block.
    """
    for row in prange(len(sums)):
        first, last = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
        rest[first:last] = 0.0
        for b in range(others.shape[1]):  # one block after the other, so that loads overlap
            for at in range(first, last):
                rest[at] += q[np.uint64(others[at, b])]
        one = two = three = four = 0.0
        for at in range(first, last):
            left, total = e[np.uint64(order[at])], rest[at]
            one += left
            two += total
            three += total * total
            four += left * total
        sums[row, 0], sums[row, 1], sums[row, 2], sums[row, 3] = one, two, three, four


@kernel()
def sweep_factor(
    colptr: I64,
    row: I32,
    x: F64,
    indptr: I64,
    sums: F64,
    q: F64,
    alpha: float,
    mean: F64,
    precision: F64,
    noise: F64,
    v: F64,
    shift: F64,
) -> None:
    """Draw one factor v (features,) of all features of a block in turn, given everything else.

    The derivative of an event is h = x (g + q_n) with g = q_row - v x; the conditional of v is normal
    with precision alpha sum h^2 + lambda and mean (alpha sum (e + v h) h + lambda mu) / precision
    (Rendle 2012, section 4). `colptr`, `row`, `x` hold the block by columns; `mean` and `precision`
    (features,) are mu and lambda, `noise` standard normals, or zeros for the mean itself (ALS).
    q (rows,) is kept up to date; `shift` (rows, 2), zero on entry, receives what `scatter` needs.
    """
    for feature in range(len(v)):
        old = v[feature]
        square = along = 0.0
        for at in range(colptr[feature], colptr[feature + 1]):
            r, value = row[at], x[at]
            g = q[r] - old * value
            count = indptr[r + 1] - indptr[r]
            square += value * value * (g * g * count + 2.0 * g * sums[r, 1] + sums[r, 2])
            along += value * (g * sums[r, 0] + sums[r, 3])
        total = alpha * square + precision[feature]
        pull = alpha * (along + old * square) + precision[feature] * mean[feature]
        new = pull / total + noise[feature] / np.sqrt(total)
        delta = new - old
        v[feature] = new
        for at in range(colptr[feature], colptr[feature + 1]):
            r, value = row[at], x[at]
            g = q[r] - old * value
            count = indptr[r + 1] - indptr[r]
            step = delta * value
            sums[r, 0] -= step * (g * count + sums[r, 1])
            sums[r, 3] -= step * (g * sums[r, 1] + sums[r, 2])
            shift[r, 0] += step * g
            shift[r, 1] += step
            q[r] += step


@kernel()
def sweep_linear(
    colptr: I64,
    row: I32,
    x: F64,
    indptr: I64,
    sums: F64,
    alpha: float,
    mean: F64,
    precision: F64,
    noise: F64,
    w: F64,
    shift: F64,
) -> None:
    """Draw the linear weights w (features,) of a block in turn: as `sweep_factor`, with h = x."""
    for feature in range(len(w)):
        old = w[feature]
        square = along = 0.0
        for at in range(colptr[feature], colptr[feature + 1]):
            r, value = row[at], x[at]
            square += value * value * (indptr[r + 1] - indptr[r])
            along += value * sums[r, 0]
        total = alpha * square + precision[feature]
        pull = alpha * (along + old * square) + precision[feature] * mean[feature]
        new = pull / total + noise[feature] / np.sqrt(total)
        w[feature] = new
        for at in range(colptr[feature], colptr[feature + 1]):
            r = row[at]
            step = (new - old) * x[at]
            sums[r, 0] -= step * (indptr[r + 1] - indptr[r])
            shift[r, 0] += step


@kernel(parallel=True)
def scatter(order: I64, indptr: I64, rest: F64, shift: F64, e: F64) -> None:
    """Take what a sweep changed out of e (n,): e_n -= shift[row, 0] + shift[row, 1] q_n.

    `rest` (n,) holds q_n, the sum over the other blocks, which the sweep did not touch.
    """
    for row in prange(len(shift)):
        base, slope = shift[row, 0], shift[row, 1]
        for at in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            e[np.uint64(order[at])] -= base + slope * rest[at]
