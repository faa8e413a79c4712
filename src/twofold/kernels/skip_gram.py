"""Skip-gram with negative sampling: ascent on pairs of rows, in parallel and reproducible.

Mikolov, Sutskever, Chen, Corrado & Dean (2013), Eq. 4. Before every chunk of the log, sources and targets
are dealt into random groups; blocks of pairs that share neither run at the same time, as in
`twofold.kernels.bpr_sgd`, and negatives come from the group of the target. The number of groups does not
depend on the number of threads, so neither do the results.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, stream
from twofold.kernels._rows import (
    TILE,
    Number,
    add_part,
    row_adds,
    row_product,
    slopes,
    tile_adds,
    tile_products,
    tile_steps,
)
from twofold.kernels._vector import prefetch
from twofold.kernels.noise import draw_token
from twofold.typing import F32, I32, I64

AHEAD = 2
"""Pairs between the draw of negatives and their use, in which their rows come into the cache."""


@kernel()
def score_rows(x: F32, i: int, y: F32, rows: I32, at: int, n: int, scores: F32) -> None:
    """Fill scores[at + k] = x[i] . y[rows[at + k]], k < n."""
    whole = n - n % TILE
    for k in range(0, whole, TILE):
        tile_products(x, i, y, rows, at + k, scores)
    for k in range(whole, n):
        row_product(x, i, y, rows, at + k, scores)


@kernel()
def pull_rows(
    x: F32, i: int, y: F32, rows: I32, at: int, n: int, pulls: F32, e: F32, j: int
) -> None:
    """Fill e[j] = sum_k pulls[at + k] y[rows[at + k]], and move each of these rows by its pull times x[i]."""
    e[j] = 0.0
    whole = n - n % TILE
    for k in range(0, whole, TILE):
        tile_adds(x, i, y, rows, at + k, pulls, e, j)
    for k in range(whole, n):
        row_adds(x, i, y, rows, at + k, pulls, e, j)


@kernel()
def pulls_of(rows: I32, at: int, n: int, wide: int, rate: Number, scores: F32) -> None:
    """Turn scores of an observed row and n - 1 negatives into rate times the slopes of the objective.

    The first gets rate (1 - sigma), the others -rate sigma; a negative that is the observed row gets 0.
    """
    slopes(scores, at, at + wide, rate)
    scores[at] += rate
    for k in range(1, n):
        if rows[at + k] == rows[at]:
            scores[at + k] = 0.0


@kernel(parallel=True)
def skip_gram_chunk(
    block_start: I64,
    pairs: I32,
    shifts: I64,
    members: I32,
    member_start: I64,
    accept: F32,
    other: I32,
    negatives: int,
    seed: int,
    rates: F32,
    x: F32,
    y: F32,
) -> None:
    """Pass once over the pairs of a chunk: stratum by stratum, the blocks of a stratum in parallel.

    Stratum s pairs source group a with target group (a + shifts[s]) mod groups and steps by rates[s];
    `shifts` (groups,) is a permutation. `pairs` (n, 2) are (source, target) block by block; `members`,
    `member_start`, `accept` and `other` are those of `noise.fill_alias`. x (sources, d) and y (targets, d)
    have padded rows. A pair moves all its rows by the gradient of

        ln sigma(x_i . y_t) + sum over the negatives n != t of ln sigma(-x_i . y_n).
    """
    groups = len(shifts)
    n = negatives + 1
    wide = -(-n // 8) * 8
    for s in range(groups):
        for a in prange(groups):
            b = (a + shifts[s]) % groups
            block = int(a * groups + b)
            first, last = int(block_start[block]), int(block_start[block + 1])
            begin = int(member_start[b])
            size = int(member_start[b + 1]) - begin
            state = stream(seed, block)
            rate = rates[s]
            ring = AHEAD + 1
            rows = np.zeros(ring * wide, np.int32)
            scores = np.zeros(ring * wide, np.float32)
            e = np.zeros((1, x.shape[1]), np.float32)
            for p in range(first, last + AHEAD):
                if p < last:
                    at = ((p - first) % ring) * wide
                    rows[at] = pairs[p, 1]
                    prefetch(x, int(pairs[p, 0]))
                    prefetch(y, int(pairs[p, 1]))
                    for k in range(1, n):
                        state += GOLDEN
                        rows[at + k] = draw_token(state, members, accept, other, begin, size)
                        prefetch(y, int(rows[at + k]))
                now = p - AHEAD
                if now >= first:
                    at = ((now - first) % ring) * wide
                    i = int(pairs[now, 0])
                    score_rows(x, i, y, rows, at, n, scores)
                    pulls_of(rows, at, n, wide, rate, scores)
                    if n == TILE:
                        tile_steps(x, i, y, rows, at, scores, e, 0)
                    else:
                        pull_rows(x, i, y, rows, at, n, scores, e, 0)
                        add_part(e, 0, np.float32(1.0), x, i, 0, x.shape[1])
