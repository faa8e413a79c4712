"""Continuous bag of words with negative sampling: in rounds, in parallel and reproducible.

Mikolov, Chen, Corrado & Dean (2013), section 3.1; with a document's vector in the mean: PV-DM of Le &
Mikolov (2014). The mean h of the window touches rows of any group, so the blocks of
`twofold.kernels.skip_gram` do not keep threads apart. A round of neighbouring places is learned in three steps:
the means of all windows are taken, in the order of the log, where neighbours read the same rows of x; each group
of targets moves its own rows of y and puts the gradient of h in the place of h; then every occurrence takes the sum of
the gradients of the windows that it lies in, each thread in a range of columns. No step depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, stream
from twofold.kernels._rows import TILE, Number, add_part, add_sum, set_sum, tile_sets
from twofold.kernels._vector import prefetch
from twofold.kernels.noise import draw_token
from twofold.kernels.skip_gram import pull_rows, pulls_of, score_rows
from twofold.typing import F32, I32, I64

AHEAD = 2
"""Places between the draw of negatives and their use, in which their rows come into the cache."""
POOL = 128
"""Tokens drawn for a group in a round, at most, among which its places draw their negatives."""
COMING = 8
"""Events ahead of the window or occurrence at hand whose row is asked for."""
SLICES = 16
"""Slices of a round whose means are taken side by side."""


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


@kernel()
def widest(low: I32, high: I32, begin: int, end: int) -> int:
    """Return how far the windows of the places begin ... end - 1 reach."""
    reach = 0
    for at in range(begin, end):
        reach = max(reach, at - low[at], high[at] - 1 - at)
    return reach


@kernel()
def fill_means(
    x: F32,
    kept: I32,
    low: I32,
    high: I32,
    docs: F32,
    document: I32,
    begin: int,
    first: int,
    last: int,
    reach: int,
    share: F32,
    h: F32,
) -> None:
    """Fill h[at - begin] and share[at - begin] for at = first ... last - 1 as `mean_of_window` does."""
    width = x.shape[1]
    with_documents = len(docs) > 0
    rows = np.empty(2 * reach + 1, np.int32)
    scales = np.empty(2 * reach + 1, np.float32)
    for at in range(first, last):
        prefetch(x, int(kept[min(at + COMING, len(kept) - 1)]))
        n = 0
        for near in range(low[at], high[at]):
            rows[n] = kept[near]
            n += near != at
        count = n + with_documents
        part = np.float32(1.0) / np.float32(count) if count else np.float32(0.0)
        share[at - begin] = part
        for k in range(n):
            scales[k] = part
        set_sum(x, rows, scales, n, h, at - begin, 0, width)
        if with_documents:
            add_part(docs, document[at], part, h, at - begin, 0, width)


@kernel()
def learn_group(
    kept: I32,
    order: I32,
    begin: int,
    first: int,
    last: int,
    members: I32,
    accept: F32,
    other: I32,
    start: int,
    size: int,
    negatives: int,
    seed: int,
    block: int,
    rate: Number,
    share: F32,
    y: F32,
    h: F32,
) -> None:
    """Move the rows of y of one group by its places order[first:last], and put the gradient of each mean in its place.

    Negatives come from a pool that is drawn from the `size` members of the group that begin at `start`; `block` numbers
    the group and the round.
    """
    n = negatives + 1
    pool = np.empty(min(POOL, (last - first) * negatives), np.int32)
    state = stream(seed, block)
    for k in range(len(pool)):
        state += GOLDEN
        pool[k] = draw_token(state, members, accept, other, start, size)
    drawn = np.uint64(len(pool))
    wide = -(-n // 8) * 8
    width = y.shape[1]
    ring = AHEAD + 1
    rows = np.zeros(ring * wide, np.int32)
    scores = np.zeros(ring * wide, np.float32)
    mean = np.zeros((1, width), np.float32)
    for p in range(first, last + AHEAD):
        if p < last:
            to = ((p - first) % ring) * wide
            at = int(order[p])
            state = mix(np.uint64(seed) + np.uint64(at + 1) * GOLDEN)
            rows[to] = kept[at]
            prefetch(h, at - begin)
            prefetch(y, int(rows[to]))
            for k in range(1, n):
                state += GOLDEN
                rows[to + k] = pool[
                    np.int64(((mix(state) >> np.uint64(32)) * drawn) >> np.uint64(32))
                ]
                prefetch(y, int(rows[to + k]))
        now = p - AHEAD
        if now >= first:
            to = ((now - first) % ring) * wide
            j = int(order[now]) - begin
            if share[j] > 0.0:
                score_rows(h, j, y, rows, to, n, scores)
                pulls_of(rows, to, n, wide, rate, scores)
                if n == TILE:
                    tile_sets(h, j, y, rows, to, scores, h, j)
                else:
                    mean[0] = h[j]
                    pull_rows(mean, 0, y, rows, to, n, scores, h, j)


@kernel()
def give_back(
    x: F32,
    kept: I32,
    low: I32,
    high: I32,
    docs: F32,
    document: I32,
    begin: int,
    end: int,
    reach: int,
    share: F32,
    e: F32,
    left: int,
    right: int,
) -> None:
    """Move columns left ... right - 1 of x, and of docs, by the gradients e of the means of places begin ... end - 1."""
    rows = np.empty(2 * reach + 1, np.int32)
    scales = np.empty(2 * reach + 1, np.float32)
    for p in range(max(begin - reach, 0), min(end + reach, len(kept))):
        prefetch(x, int(kept[min(p + COMING, len(kept) - 1)]))
        n = 0
        for at in range(max(p - reach, begin), min(p + reach + 1, end)):
            rows[n] = at - begin
            scales[n] = share[at - begin]
            n += (at != p) & (low[at] <= p) & (p < high[at])
        if n:
            add_sum(e, rows, scales, n, x, int(kept[p]), left, right)
    if len(docs):
        for at in range(begin, end):
            add_part(e, at - begin, share[at - begin], docs, document[at], left, right)


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
    room: F32,
    threads: int,
) -> None:
    """Pass once over the places of a chunk, round by round, by rates[r].

    `order` and `round_start` are those of `order_rounds`, `members` to `other` those of
    `noise.fill_alias`. x, y (m, d) and docs (documents, d) have padded rows; docs has none where documents
    are not learned. `room` (length of a round, d) holds means and then their gradients; the columns of x are shared
    out among `threads`, which changes no byte. A place t moves all its rows by the
    gradient of

        ln sigma(h . y_t) + sum over the negatives n != t of ln sigma(-h . y_n),

    with h the mean of its window; those of x and docs by 1 / (their number) of the gradient of h.
    """
    groups = len(member_start) - 1
    width = x.shape[1]
    parts = min(threads, width // 8)
    share = np.zeros(len(room), np.float32)
    for r in range(len(round_start)):
        begin, end = round_start[r, 0], round_start[r, groups]
        reach = widest(low, high, begin, end)
        for q in prange(SLICES):
            first = begin + q * (end - begin) // SLICES
            last = begin + (q + 1) * (end - begin) // SLICES
            fill_means(
                x, kept, low, high, docs, document, begin, first, last, reach, share, room
            )  # fmt: skip
        for g in prange(groups):
            learn_group(
                kept, order, begin, round_start[r, g], round_start[r, g + 1], members, accept, other,
                int(member_start[g]), int(member_start[g + 1] - member_start[g]), negatives, seed, r * groups + g,
                rates[r], share, y, room,
            )  # fmt: skip
        for q in prange(parts):
            left, right = (q * (width // 8) // parts) * 8, ((q + 1) * (width // 8) // parts) * 8
            give_back(
                x, kept, low, high, docs, document, begin, end, reach, share, room, left, right
            )  # fmt: skip
