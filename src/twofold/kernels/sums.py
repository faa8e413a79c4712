"""Weighted sums of rows of a table over bags of ids, and what flows back to the rows.

A sum is added up in registers, its rows in the order of the bag. Backwards, where the bags are long beside the table, stretches of
bags add to tables of their own, which are added up; else the bags are transposed by a counting sort, so that a row is written once. Either way the
sums have one order: the same bytes for every number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._rows import add_part, set_sum
from twofold.kernels._vector import LANES
from twofold.typing import F32, I32, I64

STRETCHES = 8
"""Stretches of bags that threads share where they count."""
TABLES = 4
"""Tables that stretches of bags add to."""
SCATTERED = 2 * TABLES
"""How many ids there are for a row of the table before tables of their own are worth it."""
PARTS = 64
"""Stretches of a table that threads share; each has about as many sums to add up."""


@kernel()
def sum_into(table: F32, ids: I32, weights: F32, out: F32, row: int) -> None:
    """``out[row] = sum_k weights[k] table[ids[k]]``; table (m, d), ids and weights (n,), out (B, d)."""
    d = table.shape[1]
    whole = d // LANES * LANES
    set_sum(table, ids, weights, len(ids), out, row, 0, whole)
    for f in range(whole, d):
        total = np.float32(0.0)
        for k in range(len(ids)):
            total += weights[k] * table[ids[k], f]
        out[row, f] = total


@kernel(parallel=True)
def sum_bags(starts: I64, stops: I64, ids: I32, weights: F32, table: F32, out: F32) -> None:
    """Write the sum of each bag ``ids[starts[b] : stops[b]]`` (B,) to ``out[b]``; table (m, d), out (B, d).

    `weights` belong to `ids` (nnz,).
    """
    for b in prange(len(starts)):
        part = slice(starts[b], stops[b])
        sum_into(table, ids[part], weights[part], out, b)


@kernel(parallel=True)
def transpose_bags(
    starts: I64, stops: I64, ids: I32, weights: F32, begin: I64, bag: I32, share: F32
) -> None:
    """List for every id the bags that hold it, in their order.

    `begin` (m + 1,) becomes where those of an id begin in `bag` and `share`, as long as all bags together: the bag, and the weight
    of the id in it. Stretches of bags are counted apart, where there are enough of them for tables of their own.
    """
    n, m = len(starts), len(begin) - 1
    stretches = min(STRETCHES, max(1, len(bag) // len(begin)))
    place = np.zeros((stretches, m), np.int64)
    for s in prange(stretches):
        for b in range(s * n // stretches, (s + 1) * n // stretches):
            for at in range(starts[b], stops[b]):
                place[s, ids[at]] += 1
    total = 0
    for i in range(m):
        begin[i] = total
        for s in range(stretches):
            count = place[s, i]
            place[s, i] = total
            total += count
    begin[m] = total
    for s in prange(stretches):
        for b in range(s * n // stretches, (s + 1) * n // stretches):
            for at in range(starts[b], stops[b]):
                here = place[s, ids[at]]
                bag[here], share[here] = b, weights[at]
                place[s, ids[at]] = here + 1


@kernel(parallel=True)
def sum_rows(cuts: I64, begin: I64, bag: I32, share: F32, slope: F32, out: F32) -> None:
    """Write to every row of `out` (m, d) the sum of ``share`` times the rows of `slope` (B, d) of its bags.

    The rows from ``cuts[p]`` to ``cuts[p + 1]`` are one thread's; `begin`, `bag` and `share` are from `transpose_bags`.
    """
    for p in prange(len(cuts) - 1):
        for i in range(cuts[p], cuts[p + 1]):
            part = slice(begin[i], begin[i + 1])
            sum_into(slope, bag[part], share[part], out, i)


@kernel(parallel=True)
def scatter_bags(
    starts: I64, stops: I64, ids: I32, weights: F32, slope: F32, lanes: F32, out: F32
) -> None:
    """Do what `transpose_bags` and `sum_rows` do, by way of `lanes` (any, m, d), each for a stretch of bags."""
    n, (stretches, m, d) = len(starts), lanes.shape
    whole = d // LANES * LANES
    for s in prange(stretches):
        own = lanes[s]
        own[:] = 0
        for b in range(s * n // stretches, (s + 1) * n // stretches):
            for at in range(starts[b], stops[b]):
                add_part(slope, b, weights[at], own, ids[at], 0, whole)
                for f in range(whole, d):
                    own[ids[at], f] += weights[at] * slope[b, f]
    for i in prange(m):
        for f in range(d):
            out[i, f] = lanes[0, i, f]
        for s in range(1, stretches):
            for f in range(d):
                out[i, f] += lanes[s, i, f]


def add_back(starts: I64, stops: I64, ids: I32, weights: F32, slope: F32, out: F32) -> None:
    """Write to `out` (m, d) what `slope` (B, d) of the sums of `sum_bags` means for the rows of the table."""
    n = int((stops - starts).sum())
    if n > SCATTERED * len(out):
        lanes = np.empty((TABLES, *out.shape), np.float32)
        scatter_bags(starts, stops, ids, weights, slope, lanes, out)
        return
    begin, bag, share = (
        np.empty(len(out) + 1, np.int64),
        np.empty(n, np.int32),
        np.empty(n, np.float32),
    )
    transpose_bags(starts, stops, ids, weights, begin, bag, share)
    work = begin + np.arange(len(begin))  # a row without a bag is written as well
    cuts = np.searchsorted(work, np.linspace(0, work[-1], PARTS + 1)).astype(np.int64)
    sum_rows(cuts, begin, bag, share, slope, out)
