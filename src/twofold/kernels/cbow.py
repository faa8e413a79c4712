"""Continuous bag of words with negative sampling: in rounds, in parallel and reproducible.

Mikolov, Chen, Corrado & Dean (2013), section 3.1; with a document's vector in the mean: PV-DM of Le &
Mikolov (2014). The mean h of the window touches rows of any group, so the blocks of
`twofold.kernels.skip_gram` do not keep threads apart. A round of neighbouring places is learned in two steps:
with x kept, each group of targets moves its own rows of y and writes down the gradient of h; then x takes
the gradients, every thread a range of columns. Neither step depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix
from twofold.kernels._rows import TILE, Number, add_part, tile_sets
from twofold.kernels._vector import prefetch
from twofold.kernels.noise import draw_token
from twofold.kernels.skip_gram import pull_rows, pulls_of, score_rows
from twofold.typing import F32, I32, I64


@kernel(parallel=True, fastmath=False)
def order_rounds(kept: I32, group_of: I32, length: int, order: I32, start: I64) -> None:
    """Sort the places of each round of `length` places by the group of their token.

    Group g of round r is order[start[r, g]:start[r, g + 1]]; `start` (rounds, groups + 1).
    """
    groups = start.shape[1] - 1
    for r in prange(len(start)):
        first, last = r * length, min((r + 1) * length, len(kept))
        sizes = np.zeros(groups, np.int64)
        for at in range(first, last):
            sizes[group_of[kept[at]]] += 1
        start[r, 0] = first
        for g in range(groups):
            start[r, g + 1] = start[r, g] + sizes[g]
            sizes[g] = start[r, g]
        for at in range(first, last):
            g = group_of[kept[at]]
            order[sizes[g]] = at
            sizes[g] += 1


@kernel()
def mean_of_window(
    x: F32, kept: I32, at: int, low: int, high: int, docs: F32, document: int, out: F32, row: int
) -> Number:
    """Fill out[row] with the mean of the window's rows of x and, for document >= 0, of docs[document].

    Return 1 / their number; 0 where there are none.
    """
    count = high - low - 1 + (document >= 0)
    if count == 0:
        return np.float32(0.0)
    share = np.float32(1.0) / np.float32(count)
    width = x.shape[1]
    out[row] = 0.0
    for near in range(low, high):
        if near != at:
            add_part(x, kept[near], share, out, row, 0, width)
    if document >= 0:
        add_part(docs, document, share, out, row, 0, width)
    return share


@kernel(parallel=True)
def cbow_chunk(
    kept: I32,
    low: I32,
    high: I32,
    document: I32,
    order: I32,
    round_start: I64,
    members: I32,
    member_start: I64,
    accept: F32,
    other: I32,
    negatives: int,
    seed: int,
    rates: F32,
    x: F32,
    y: F32,
    docs: F32,
    e: F32,
    threads: int,
) -> None:
    """Pass once over the places of a chunk, round by round, by rates[r].

    `order` and `round_start` are those of `order_rounds`, `members` to `other` those of
    `noise.fill_alias`. x, y (m, d) and docs (documents, d) have padded rows; docs has none where documents
    are not learned. `e` (length of a round, d) is room for gradients; the columns of x are shared
    out among `threads`, which changes no byte. A place t moves all its rows by the
    gradient of

        ln sigma(h . y_t) + sum over the negatives n != t of ln sigma(-h . y_n),

    with h the mean of its window; those of x and docs by 1 / (their number) of the gradient of h.
    """
    groups = len(member_start) - 1
    n = negatives + 1
    wide = -(-n // 8) * 8
    width = x.shape[1]
    with_documents = len(docs) > 0
    parts = min(threads, width // 8)
    share = np.zeros(len(e), np.float32)
    for r in range(len(round_start)):
        begin, end = round_start[r, 0], round_start[r, groups]
        rate = rates[r]
        for g in prange(groups):
            rows = np.zeros(wide, np.int32)
            scores = np.zeros(wide, np.float32)
            h = np.zeros((1, width), np.float32)
            first, size = member_start[g], member_start[g + 1] - member_start[g]
            for p in range(round_start[r, g], round_start[r, g + 1]):
                at = int(order[p])
                state = mix(np.uint64(seed) + np.uint64(at + 1) * GOLDEN)
                rows[0] = kept[at]
                prefetch(y, rows[0])
                for k in range(1, n):
                    state += GOLDEN
                    rows[k] = draw_token(state, members, accept, other, first, size)
                    prefetch(y, rows[k])
                mine = int(document[at]) if with_documents else -1
                part = mean_of_window(x, kept, at, int(low[at]), int(high[at]), docs, mine, h, 0)
                share[at - begin] = part
                if part > 0.0:
                    score_rows(h, 0, y, rows, 0, n, scores)
                    pulls_of(rows, 0, n, wide, rate, scores)
                    if n == TILE:
                        tile_sets(h, 0, y, rows, 0, scores, e, at - begin)
                    else:
                        pull_rows(h, 0, y, rows, 0, n, scores, e, at - begin)
        for q in prange(parts):
            left, right = (q * (width // 8) // parts) * 8, ((q + 1) * (width // 8) // parts) * 8
            for at in range(begin, end):
                part = np.float32(share[at - begin])
                if part > 0.0:
                    for near in range(low[at], high[at]):
                        if near != at:
                            add_part(e, at - begin, part, x, kept[near], left, right)
                    if with_documents:
                        add_part(e, at - begin, part, docs, document[at], left, right)
