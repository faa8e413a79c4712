"""The softmax over many items, with its gradient, in one go: the scores of a few rows never leave a core's cache.

With z = u V' + shift, for every row b and its own item with score `own`,

    loss_b = ln(1 + e^(gap)),  gap = ln sum_c e^(z_bc) - own_b,  P_bc = sigma(gap) e^(z_bc) / sum_c e^(z_bc).

Each row belongs to one task, each column afterwards to another, and sums run in order: the same bytes for every number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils

from twofold.kernels._dot import add_halves, starts
from twofold.kernels._jit import kernel
from twofold.kernels._rows import LARGEST, VECTOR, Number, exponential
from twofold.kernels._vector import (
    LANES,
    SCORE_COLUMNS,
    SCORE_ROWS,
    intrinsic,
    multiply_into,
    multiply_panels,
    multiply_tile,
    spread,
    vector_at,
)
from twofold.typing import F32, I64

TASK = 4 * SCORE_ROWS
"""Rows whose scores a thread holds at a time."""
KEPT = 2**22
"""Probabilities that are kept between the two halves of the gradient: 16 MB."""
THREADS = int(numba.config.NUMBA_NUM_THREADS)  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
"""Most threads that numba starts."""
LOWEST = -1e30
"""The score of what is left out."""


def _largest(typing_context: Any, scores: Any, row: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ((data, shape),) = starts(context, builder, signature, arguments)
        begin = builder.mul(arguments[1], shape[1])
        stride = ir.Constant(begin.type, LANES)
        lowest = ir.Constant(VECTOR, [LOWEST] * LANES)
        place = cgutils.alloca_once_value(builder, lowest)
        with cgutils.for_range_slice(builder, begin, builder.add(begin, shape[1]), stride) as (
            at,
            _,
        ):
            x, top = (
                builder.load(vector_at(builder, data, at, VECTOR), align=4),
                builder.load(place),
            )
            builder.store(builder.select(builder.fcmp_ordered(">", x, top), x, top), place)
        tops, number = builder.load(place), ir.IntType(32)
        best = builder.extract_element(tops, number(0))
        for lane in range(1, LANES):
            one = builder.extract_element(tops, number(lane))
            best = builder.select(builder.fcmp_ordered(">", one, best), one, best)
        return best

    return types.float32(scores, types.intp), emit


def _raise_e(typing_context: Any, scores: Any, row: Any, top: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ((data, shape),) = starts(context, builder, signature, arguments)
        begin = builder.mul(arguments[1], shape[1])
        stride = ir.Constant(begin.type, LANES)
        top, low = spread(builder, arguments[2], VECTOR), ir.Constant(VECTOR, [-LARGEST] * LANES)
        place = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [0.0] * LANES))
        with cgutils.for_range_slice(builder, begin, builder.add(begin, shape[1]), stride) as (
            at,
            _,
        ):
            here = vector_at(builder, data, at, VECTOR)
            x = builder.fsub(builder.load(here, align=4), top)
            x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
            x = exponential(builder, x)
            builder.store(x, here, align=4)
            builder.store(builder.fadd(builder.load(place), x), place)
        return add_halves(builder, builder.load(place))

    return types.float32(scores, types.intp, types.float32), emit


largest: Callable[[F32, int], Number] = intrinsic(_largest)
"""(scores, row): the largest of a row; scores (n, width), width in whole eights."""
raise_e: Callable[[F32, int, Number], Number] = intrinsic(_raise_e)
"""(scores, row, top): turn the numbers x of a row into e^(x - top), and return their sum; none is above `top`."""


@kernel(parallel=True)
def weigh_rows(
    u: F32, panels: F32, own: F32, column: I64, share: float, back: F32, p: F32, factor: F32, du: F32, pull: F32, loss: F32, scores: F32,
) -> None:  # fmt: skip
    """Score, weigh and pull back n rows, which need not be all of a batch.

    u (n, d); panels (q, d + 1, SCORE_COLUMNS) of V and below it the shift, LOWEST where there is no item; column (n,) of the row's own
    item, -1 for none, and own (n,) its score, or () where it is that of its column; back (r, q SCORE_COLUMNS, SCORE_COLUMNS), the
    panels of V the other way; scores (threads, TASK, q SCORE_COLUMNS), room for each thread. Written: p (any, n, SCORE_ROWS) in panels, which is
    `share` times P where its rows are multiplied by factor (n,), du = share P V (n, d), pull (n,), share times the sums of P, loss (n,).
    """
    n, d = u.shape
    for task in prange((n + TASK - 1) // TASK):
        first = task * TASK
        count = min(TASK, n - first)
        tiles = (count + SCORE_ROWS - 1) // SCORE_ROWS
        rows = np.zeros((TASK, d + 1), np.float32)
        rows[:count, :d], rows[:count, d] = u[first : first + count], 1
        z = scores[numba.get_thread_id()]  # pyright: ignore[reportPrivateImportUsage]
        tile = np.empty((SCORE_ROWS, SCORE_COLUMNS), np.float32)
        for q in range(len(panels)):
            left = q * SCORE_COLUMNS
            for t in range(tiles):
                multiply_into(rows, t * SCORE_ROWS, panels, q, z, t * SCORE_ROWS, left)
        for r in range(count):
            b = first + r
            score = own[b] if len(own) else z[r, column[b]]
            if column[b] >= 0:
                z[r, column[b]] = LOWEST
            top = largest(z, r)
            total = raise_e(z, r, top)
            if len(own) == 0:
                z[r, column[b]] = -total  # so that P is less the sum of the others there
            gap = float(top) + math.log(total) - float(score)
            loss[b] = max(gap, 0.0) + math.log1p(math.exp(-abs(gap)))
            pull[b] = share / (1.0 + math.exp(-gap))
            factor[b] = pull[b] / total
        for c in range(len(p)):
            for r in range(count):
                for k in range(SCORE_ROWS):
                    p[c, first + r, k] = z[r, c * SCORE_ROWS + k]
        for q in range(len(back)):
            left = q * SCORE_COLUMNS
            for t in range(tiles):
                multiply_tile(z, t * SCORE_ROWS, back, q, tile)
                for r in range(min(SCORE_ROWS, count - t * SCORE_ROWS)):
                    for c in range(min(SCORE_COLUMNS, d - left)):
                        b = first + t * SCORE_ROWS + r
                        du[b, left + c] = factor[b] * tile[r, c]


@kernel(parallel=True)
def weigh_columns(p: F32, factor: F32, panels: F32, dv: F32, dshift: F32) -> None:
    """Add P' u to dv (m, d), and the sums of the columns of P to dshift (m,), or to none where it is empty.

    p (any, n, SCORE_ROWS) and factor (n,) from `weigh_rows`; panels (q, n, SCORE_COLUMNS) of the rows of u times their factor.
    """
    m, d = dv.shape
    for c in prange(len(p)):
        above = c * SCORE_ROWS
        tile = np.empty((SCORE_ROWS, SCORE_COLUMNS), np.float32)
        for q in range(len(panels)):
            left = q * SCORE_COLUMNS
            multiply_panels(p, c, panels, q, tile)
            for k in range(min(SCORE_ROWS, m - above)):
                for f in range(min(SCORE_COLUMNS, d - left)):
                    dv[above + k, left + f] += tile[k, f]
        if len(dshift) == 0:
            continue
        total = np.zeros(SCORE_ROWS, np.float32)
        for b in range(len(factor)):
            for k in range(SCORE_ROWS):
                total[k] += factor[b] * p[c, b, k]
        for k in range(min(SCORE_ROWS, m - above)):
            dshift[above + k] += total[k]


def panels_of(rows: F32, length: int, width: int) -> F32:
    """Return the columns of rows (n, d) in panels (q, length, SCORE_COLUMNS) of `width` columns, zeros beyond them."""
    n = len(rows)
    q = -(-width // SCORE_COLUMNS)
    made = np.zeros((q, length, SCORE_COLUMNS), np.float32)
    for at in range(q):
        part = rows[:, at * SCORE_COLUMNS : (at + 1) * SCORE_COLUMNS]
        made[at, :n, : part.shape[1]] = part
    return made


def softmax_among(
    u: F32, v: F32, shift: F32 | None, column: I64, own: F32 | None, room: F32
) -> tuple[float, F32, F32, F32, F32]:
    """Return the mean loss over n rows, and its derivatives by u (n, d), v (m, d), shift (m,) or of nothing, and less that by own (n,).

    column (n,) is that of the row's own item in v, or -1; own (n,) holds its score, None where it is that of its column.
    `room` is written over; see `room_for`.
    """
    (n, d), m = u.shape, len(v)
    width = width_of(m)
    wide = np.full((d + 1, width), LOWEST, np.float32)
    wide[:d, :m], wide[:d, m:] = v.T, 0
    wide[d, :m] = 0 if shift is None else shift
    panels, back = panels_of(wide, d + 1, width), panels_of(v, width, d)
    own_room, room = np.split(room, [THREADS * TASK * width])
    scores = own_room.reshape(THREADS, TASK, width)
    du, dv, dshift = (
        np.empty_like(u),
        np.zeros_like(v),
        np.zeros(0 if shift is None else m, np.float32),
    )
    pull, loss, factor = (np.empty(n, np.float32) for _ in range(3))
    score = np.zeros(0, np.float32) if own is None else own
    step = rows_at_once(n, m)
    for first in range(0, n, step):
        part = slice(first, first + step)
        shape = (-(-m // SCORE_ROWS), len(u[part]), SCORE_ROWS)
        p = room[: math.prod(shape)].reshape(shape)
        weigh_rows(
            u[part], panels, score[part], column[part], 1 / n, back, p, factor[part], du[part], pull[part], loss[part], scores,
        )  # fmt: skip
        weighed = u[part] * factor[part, None]
        weigh_columns(p, factor[part], panels_of(weighed, len(weighed), d), dv, dshift)
    return float(loss.mean(dtype=np.float64)), du, dv, dshift, pull


def width_of(m: int) -> int:
    """Return the width of rows of m scores: whole panels, and enough for the last panel of P."""
    return -(-(m + SCORE_ROWS) // SCORE_COLUMNS) * SCORE_COLUMNS


def rows_at_once(n: int, m: int) -> int:
    """Return how many of n rows with m scores each are worked on at a time."""
    return min(n, max(TASK, KEPT // m // TASK * TASK))


def room_for(n: int, m: int) -> int:
    """Return how many floats `softmax_among` needs for n rows and m items."""
    return THREADS * TASK * width_of(m) + rows_at_once(n, m) * -(-m // SCORE_ROWS) * SCORE_ROWS
