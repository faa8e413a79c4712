"""All list metrics of all users in one pass over integer lists, and the area under the curve."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64

PRECISION, RECALL, RECALL_CAPPED, HIT, MAP, NDCG, MRR, F1 = range(8)
"""Codes of the metrics."""
GROUPS = 64
"""Groups of users that share a buffer; does not change any value."""


@kernel(fastmath=False)
def find(items: I32, start: int, stop: int, item: int) -> int:
    """Return where `item` is in items[start:stop], which ascend; -1 if it is not there."""
    while start < stop:
        middle = (start + stop) // 2
        if items[middle] < item:
            start = middle + 1
        elif items[middle] > item:
            stop = middle
        else:
            return middle
    return -1


@kernel(fastmath=False)
def mark_hits(line: I32, relevant: I32, start: int, stop: int, found: I64, places: I64) -> int:
    """Write the places (from 0) of the hits in `line` (k,) to `places`; return how many there are.

    An item that is listed twice is a hit at its first place only; `found` is working space.
    """
    n = 0
    for place in range(len(line)):
        if n == stop - start:
            break
        item = line[place]
        at = find(relevant, start, stop, item) if item >= 0 else -1
        if at < 0:
            continue
        new = True
        for earlier in range(n):
            if found[earlier] == at:
                new = False
                break
        if new:
            found[n], places[n] = at, place
            n += 1
    return n


@kernel(fastmath=False)
def value_of(code: int, cut: int, total: int, places: I64, n: int, discount: F64, ideal: F64) -> float:  # fmt: skip
    """Return one metric of one list with hits at places[:n], ascending from 0, of `total` relevant items."""
    hits = 0
    gain = precision = 0.0
    while hits < n and places[hits] < cut:
        gain += discount[places[hits]]
        hits += 1
        precision += hits / (places[hits - 1] + 1)
    best = min(cut, total)
    if code == PRECISION:
        return hits / cut
    if code == RECALL:
        return hits / total
    if code == RECALL_CAPPED:
        return hits / best
    if code == F1:
        return 2.0 * hits / (cut + total)
    if code == HIT:
        return 1.0 if hits > 0 else 0.0
    if code == MAP:
        return precision / best
    if code == NDCG:
        return gain / ideal[best]
    return 1.0 / (places[0] + 1) if hits > 0 else 0.0


@kernel(parallel=True, fastmath=False)
def list_metrics(
    lists: I32, indptr: I64, relevant: I32, codes: I64, cuts: I64, discount: F64, ideal: F64, out: F64
) -> None:  # fmt: skip
    """Fill `out` (n_metrics, n) from `lists` (n, k); NaN for users without a relevant item.

    Parameters
    ----------
    lists : shape (n, k)
        Item rows, best first, -1 where a list is shorter.
    indptr, relevant : shapes (n + 1,), (nnz,)
        The relevant items of each user, distinct and ascending.
    codes, cuts : shape (n_metrics,)
        What to compute, and at which cut-off.
    discount, ideal : shapes (c,), (c + 1,)
        1 / log2(place + 2), and its sums over the first 0 ... c places, c the largest cut-off.
    out : shape (n_metrics, n)
        The values.
    """
    n, k = lists.shape
    width = min(k, len(discount))
    for group in prange(GROUPS):
        found, places = np.empty(width, np.int64), np.empty(width, np.int64)
        for user in range(group * n // GROUPS, (group + 1) * n // GROUPS):
            start, stop = indptr[user], indptr[user + 1]
            total = stop - start
            if total == 0:
                for at in range(len(codes)):
                    out[at, user] = np.nan
                continue
            hits = mark_hits(lists[user, :width], relevant, start, stop, found, places)
            for at in range(len(codes)):
                out[at, user] = value_of(
                    codes[at], cuts[at], total, places, hits, discount, ideal
                )  # fmt: skip


@kernel(fastmath=False)
def product(one: F32, other: F32) -> float:
    """Return the inner product, summed in float64 in the order of the coordinates."""
    total = 0.0
    for f in range(len(one)):
        total += np.float64(one[f]) * np.float64(other[f])
    return total


@kernel(parallel=True, fastmath=False)
def area_under_curve(
    scores: F32,
    vectors: F32,
    item_vectors: F32,
    reach: F64,
    indptr: I64,
    relevant: I32,
    hidden_indptr: I64,
    hidden: I32,
    out: F64,
) -> None:
    """Fill `out` (n,): the share of (relevant, other) pairs in the right order, ties counting half.

    Hidden items are no candidates. A relevant item that is hidden, or past the catalogue, is ranked behind all others.
    NaN where there is no relevant or no other item.

    Parameters
    ----------
    scores : shape (n, m)
        Scores of all items.
    vectors, item_vectors : shapes (n, d), (m, d)
        What they are products of; read only where `reach` is positive.
    reach : shape (n,)
        How far a score may lie from the product in float64. Where it is positive, products decide
        all pairs that lie so close, and rounding in `scores` changes no value. 0 = scores are exact.
    indptr, relevant, hidden_indptr, hidden
        Ragged arrays of item rows, a row a user.
    out : shape (n,)
        The values.
    """
    n, m = scores.shape
    for user in prange(n):
        state = np.zeros(m, np.int8)  # 1 = hidden, 2 = relevant
        for at in range(hidden_indptr[user], hidden_indptr[user + 1]):
            state[hidden[at]] = 1
        good = np.empty(indptr[user + 1] - indptr[user], np.float64)
        n_good = 0
        for at in range(indptr[user], indptr[user + 1]):
            item = relevant[at]
            if item < m and state[item] == 0:
                state[item] = 2
                good[n_good] = (
                    product(vectors[user], item_vectors[item])
                    if reach[user] > 0
                    else scores[user, item]
                )
                n_good += 1
        ordered = np.sort(good[:n_good])
        n_other = 0
        total = 0.0
        for item in range(m):
            if state[item] != 0:
                continue
            n_other += 1
            score = np.float64(scores[user, item])
            below = np.searchsorted(ordered, score - reach[user], side="left")
            upto = np.searchsorted(ordered, score + reach[user], side="right")
            if upto > below and reach[user] > 0:
                score = product(vectors[user], item_vectors[item])
                below = np.searchsorted(ordered, score, side="left")
                upto = np.searchsorted(ordered, score, side="right")
            total += (n_good - upto) + 0.5 * (upto - below)
        if n_other == 0 or len(good) == 0:
            out[user] = np.nan
        else:
            out[user] = total / (n_other * len(good))
