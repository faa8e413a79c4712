"""Top-k selection over dense score rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._vector import (
    SCORE_COLUMNS,
    SCORE_ROWS,
    lowest_bit,
    multiply_tile,
    prefetch,
    reaching,
)
from twofold.typing import F32, I32, I64, Bool

RUN = 64
"""Scores that are looked at together."""
CHUNK = 16 * SCORE_ROWS
"""Queries that a thread works on at a time."""
GROUP_FLOATS = 1 << 15
"""Item vectors that pass all queries of a chunk before the next ones come: 128 KB stay in the cache."""
AHEAD = 4
"""How many products before it is needed the vector of an item is asked for."""
ROUNDING = 4e-7
"""By how much a bound on sums of d products is raised, times d: three roundings of float32."""


@kernel(fastmath=False)
def insert(items: I32, best: F32, filled: int, item: int, score: float) -> int:
    """Insert into a list sorted by (score down, item up); return the new fill."""
    k = len(items)
    place = filled if filled < k else k - 1
    while place > 0 and (
        best[place - 1] < score or (best[place - 1] == score and items[place - 1] > item)
    ):
        best[place], items[place] = best[place - 1], items[place - 1]
        place -= 1
    best[place], items[place] = score, item
    return min(filled + 1, k)


@kernel()
def passing_of(run: F32, bar: float) -> int:
    """Return how many of a run of scores reach `bar`."""
    count = 0
    for score in run:
        count += score >= bar
    return count


@kernel(fastmath=False)
def _packed(score: float, item: int) -> int:
    """Return one integer that is larger for a higher score and, at a tie, for a lower item."""
    bits: Any = np.int64(np.float32(score + np.float32(0.0)).view(np.int32))  # + 0.0: no -0.0
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ascending << 32) | (0x7FFFFFFF - item)


@kernel(fastmath=False)
def _score_of(entry: int) -> float:
    """Return the score that was packed."""
    ascending = entry >> 32
    score: Any = np.int32(ascending ^ ((ascending >> 31) & 0x7FFFFFFF)).view(np.float32)
    return score


@kernel()
def _keep_largest(entries: I64, filled: int, k: int, most: int) -> int:
    """Move the largest of `filled` > k distinct entries to the front, `k` to `most` of them; return how many.

    What may lie between is halved until so many are above: a few times where `most` leaves a margin.
    """
    low, high = entries[:filled].min(), entries[:filled].max()
    while True:
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        count = 0
        for at in range(filled):
            count += entries[at] > middle
        if k <= count <= most:
            break
        if count > most:
            low = middle + 1
        else:
            high = middle
    place = 0
    for at in range(filled):
        entry = entries[at]
        entries[place] = entry
        place += entry > middle
    return place


@kernel(parallel=True, fastmath=False)
def top_k_block(scores: F32, indptr: I64, seen: I32, banned: I32, items: I32, best: F32) -> None:
    """Fill `items` and `best` (n, k) from `scores` (n, m); see `twofold.index.exact.top_k`.

    A run of scores is looked into only where one of them passes the worst that is kept; what passes is
    gathered, and cut back to the best k whenever the room for it is full.
    """
    n, m = scores.shape
    k = items.shape[1]
    room = 2 * k + RUN
    for row in prange(n):
        line = scores[row]
        for at in range(indptr[row], indptr[row + 1]):
            line[seen[at]] = -np.inf
        for column in banned:
            line[column] = -np.inf
        entries = np.empty(room, np.int64)
        filled = 0
        worst: Any = np.float32(-np.inf)
        for start in range(0, m, RUN):
            stop = min(start + RUN, m)
            if passing_of(line[start:stop], worst) == 0:
                continue
            for column in range(start, stop):
                if line[column] > worst:
                    entries[filled] = _packed(line[column], column)
                    filled += 1
            if filled + RUN > room:
                filled = _keep_largest(entries, filled, k, k + k // 4)
                worst = _score_of(entries[:filled].min())
        if filled > k:
            filled = _keep_largest(entries, filled, k, k)
        order = np.sort(entries[:filled])
        for place in range(filled):
            entry = order[filled - 1 - place]
            items[row, place] = 0x7FFFFFFF - (entry & 0xFFFFFFFF)
            best[row, place] = _score_of(entry)


@kernel(parallel=True, fastmath=False)
def pack_panels(item_vectors: F32, columns: I32, panels: F32) -> None:
    """Fill ``panels[p, :, c]`` (p, d, SCORE_COLUMNS) with the vector of item ``columns[p * SCORE_COLUMNS + c]``.

    Places past the last of `columns` hold zeros.
    """
    for panel in prange(len(panels)):
        for c in range(SCORE_COLUMNS):
            at = panel * SCORE_COLUMNS + c
            for f in range(panels.shape[1]):
                panels[panel, f, c] = item_vectors[columns[at], f] if at < len(columns) else 0.0


@kernel(parallel=True, fastmath=False)
def top_k_products(
    vectors: F32,
    panels: F32,
    columns: I32,
    lengths: F32,
    indptr: I64,
    seen: I32,
    items: I32,
    best: F32,
) -> None:
    """Fill `items` and `best` (n, k) with the largest products of `vectors` (n, d) and packed items.

    The scores are never written to memory: a tile of them is made in registers and looked through. The
    items come by falling length, so that a query is done when no product can pass any more: a product
    is at most that of the lengths.

    Parameters
    ----------
    vectors : shape (n, d)
        The queries.
    panels, columns
        The items as `pack_panels` lays them out, by falling length of their vectors.
    lengths : shape (p,)
        Length of the longest vector of each panel.
    indptr, seen : shapes (n + 1,), (nnz,)
        Items to leave out for each query.
    items, best : shape (n, k)
        Item -1 and -inf on entry; the answer, best first, ties to the lower item.
    """
    n, d = vectors.shape
    k = items.shape[1]
    room = 2 * k + SCORE_COLUMNS
    group = max(1, GROUP_FLOATS // (d * SCORE_COLUMNS))
    words = (np.int64(columns.max()) >> 6) + 1
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        count = min(CHUNK, n - first)
        rows = np.zeros((CHUNK, d), np.float32)
        rows[:count] = vectors[first : first + count]
        reach = np.zeros(CHUNK, np.float64)
        masked = indptr[first + count] > indptr[first]
        hidden = np.zeros((count, words if masked else 0), np.uint64)
        for u in range(count):
            for f in range(d):
                reach[u] += np.float64(rows[u, f]) * rows[u, f]
            reach[u] = np.sqrt(reach[u]) * (1.0 + ROUNDING * d)
            for at in range(indptr[first + u], indptr[first + u + 1]):
                item = np.uint64(seen[at])
                if item >> 6 < words:
                    hidden[u, item >> 6] |= np.uint64(1) << (item & np.uint64(63))
        entries = np.empty((count, room), np.int64)
        filled = np.zeros(count, np.int64)
        bar = np.full(CHUNK, -np.inf, np.float32)
        bar[count:] = np.inf
        tile = np.empty((SCORE_ROWS, SCORE_COLUMNS), np.float32)
        for start in range(0, len(panels), group):
            for top in range(0, count, SCORE_ROWS):
                for panel in range(start, min(start + group, len(panels))):
                    alive = False
                    for u in range(top, top + SCORE_ROWS):
                        alive |= reach[u] * lengths[panel] >= bar[u]
                    if not alive:
                        break
                    multiply_tile(rows, top, panels, panel, tile)
                    for u in range(top, min(top + SCORE_ROWS, count)):
                        passing = reaching(tile, u - top, bar[u])
                        if passing == 0:
                            continue
                        while passing != 0:
                            c = lowest_bit(passing)
                            passing &= passing - 1
                            if panel * SCORE_COLUMNS + c >= len(columns):
                                break
                            item = columns[panel * SCORE_COLUMNS + c]
                            entries[u, filled[u]] = _packed(tile[u - top, c], item)
                            left_out = np.uint64(0)
                            if masked:
                                left_out = hidden[u, item >> 6] >> np.uint64(item & 63)
                            filled[u] += 1 - np.int64(left_out & np.uint64(1))
                        if filled[u] + SCORE_COLUMNS > room:
                            filled[u] = _keep_largest(entries[u], filled[u], k, k + k // 4)
                            bar[u] = _score_of(entries[u, : filled[u]].min())
        for u in range(count):
            if filled[u] > k:
                filled[u] = _keep_largest(entries[u], filled[u], k, k)
            order = np.sort(entries[u, : filled[u]])
            for place in range(filled[u]):
                entry: Any = order[filled[u] - 1 - place]
                items[first + u, place] = 0x7FFFFFFF - (entry & 0xFFFFFFFF)
                best[first + u, place] = _score_of(entry)


@kernel(fastmath=False)
def rescore_list(vector: F32, item_vectors: F32, items: I32, best: F32) -> None:
    """Recompute and re-sort the list of one query (d,): `items` and `best` (k,), items -1 at the end."""
    k = len(items)
    found = items.copy()
    filled = 0
    for place in range(k):
        item = found[place]
        if item < 0:
            break
        ahead = found[min(place + AHEAD, k - 1)]
        if ahead >= 0:
            prefetch(item_vectors, ahead)
        total = float(dot(vector, item_vectors[item]))
        filled = insert(items, best, filled, item, total)


@kernel(parallel=True, fastmath=False)
def rescore_block(vectors: F32, item_vectors: F32, use: Bool, items: I32, best: F32) -> None:
    """Recompute and re-sort each list; see `twofold.index.exact.rescore`."""
    for row in prange(len(items)):
        if use[row]:
            rescore_list(vectors[row], item_vectors, items[row], best[row])


@kernel(fastmath=False)
def rescore_rows(vectors: F32, item_vectors: F32, items: I32, best: F32) -> None:
    """Recompute and re-sort each list of few queries, by one thread: several threads may call it."""
    for row in range(len(items)):
        rescore_list(vectors[row], item_vectors, items[row], best[row])


@kernel(parallel=True)
def products_with(vectors: F32, row: int, products: F32, squares: F32) -> None:
    """Fill `products` (n,) with the products of all rows of `vectors` (n, d) with one, `squares` with themselves.

    The sums run in one order, wherever in memory the vectors stand.
    """
    for at in prange(len(vectors)):
        products[at] = dot(vectors[at], vectors[row])
        squares[at] = dot(vectors[at], vectors[at])
