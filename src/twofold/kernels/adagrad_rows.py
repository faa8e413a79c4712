"""AdaGrad on the rows of tables: gradients are gathered row by row, each row by one thread.

A batch leaves behind vectors x_e and pairs (e, r, weight): the gradient of row r of a table is the sum of
weight * x_e over its pairs, in the order of the events. Pairs are sorted by row first, so that a row is
read and written once, and by one thread whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64

TINY = 1e-12
"""Added to the sums of squares, so that a gradient of zero makes no step."""
UNBOUNDED = 1e30
"""A limit that no row reaches."""


@kernel(fastmath=False)
def sort_by_row(row: I32, count: I64, start: I64, place: I64) -> None:
    """Sort pairs by row, those of one row in the order of the events.

    `row` (n, width) holds ``count[e]`` rows of event e; `start` (m + 1,) becomes where the pairs of a row
    begin in `place` (at least as many as there are pairs), which becomes their positions in ``row.ravel()``.
    """
    width = row.shape[1]
    start[:] = 0
    for e in range(len(count)):
        for c in range(count[e]):
            start[row[e, c] + 1] += 1
    for r in range(1, len(start)):
        start[r] += start[r - 1]
    for e in range(len(count)):
        for c in range(count[e]):
            r = row[e, c]
            place[start[r]] = e * width + c
            start[r] += 1
    for r in range(len(start) - 1, 0, -1):
        start[r] = start[r - 1]
    start[0] = 0


@kernel()
def step(
    gradient: F32, share: float, rate: float, reg: float, limit: float, value: F32, sums: F32
) -> None:
    """Move one row (d,) by AdaGrad: g = share * gradient + reg * value, sums += g^2, value -= rate g / sqrt(sums).

    The row is kept inside -limit ... limit.
    """
    kind = value.dtype.type
    part, pace, keep, tiny = kind(share), kind(rate), kind(reg), kind(TINY)
    low, high = kind(-limit), kind(limit)
    for f in range(len(value)):
        g = part * gradient[f] + keep * value[f]
        sums[f] += g * g
        moved = value[f] - pace * g / np.sqrt(sums[f] + tiny)
        value[f] = min(max(moved, low), high)


@kernel(parallel=True)
def step_pairs(
    start: I64,
    place: I64,
    weight: F32,
    x: F32,
    share: float,
    rate: float,
    reg: float,
    table: F32,
    sums: F32,
) -> None:
    """Move every row of `table` (m, d) that has pairs; see `sort_by_row` and `step`.

    `weight` (n, width) belongs to the pairs and `x` (n, d) to the events.
    """
    width = weight.shape[1]
    m, d = table.shape
    for r in prange(m):
        if start[r + 1] > start[r]:
            gradient = np.zeros(d, table.dtype)
            for at in range(start[r], start[r + 1]):
                e, c = divmod(place[at], width)
                pull = weight[e, c]
                for f in range(d):
                    gradient[f] += pull * x[e, f]
            step(gradient, share, rate, reg, UNBOUNDED, table[r], sums[r])


@kernel(parallel=True)
def step_rows(
    rows: I32,
    gradient: F32,
    share: float,
    rate: float,
    reg: float,
    limit: float,
    table: F32,
    sums: F32,
) -> None:
    """Move the distinct `rows` (n,) of `table` (m, d) by their gradients (n, d); see `step`."""
    for at in prange(len(rows)):
        step(gradient[at], share, rate, reg, limit, table[rows[at]], sums[rows[at]])


@kernel(parallel=True)
def step_lanes(lanes: F32, share: float, rate: float, table: F32, sums: F32) -> None:
    """Move `table` (m, d) by the sum of `lanes` (l, m, d), added in their order, and set them to zero."""
    n, m, d = lanes.shape
    for r in prange(m):
        gradient = np.zeros(d, table.dtype)
        for lane in range(n):
            for f in range(d):
                gradient[f] += lanes[lane, r, f]
                lanes[lane, r, f] = 0
        step(gradient, share, rate, 0.0, UNBOUNDED, table[r], sums[r])
