"""All list metrics of all users in one pass over integer lists."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F64, I32, I64

PRECISION, RECALL, RECALL_CAPPED, HIT, MAP, NDCG, MRR = range(7)
"""Codes of the metrics."""


@kernel(fastmath=False)
def contains(items: I32, start: int, stop: int, item: int) -> bool:
    """Say whether `item` is among items[start:stop], which ascend."""
    while start < stop:
        middle = (start + stop) // 2
        if items[middle] < item:
            start = middle + 1
        elif items[middle] > item:
            stop = middle
        else:
            return True
    return False


@kernel(parallel=True, fastmath=False)
def list_metrics(
    lists: I32, indptr: I64, relevant: I32, codes: I64, cuts: I64, discount: F64, out: F64
) -> None:
    """Fill `out` (n_metrics, n) from `lists` (n, k); NaN for users without a relevant item.

    Parameters
    ----------
    lists : shape (n, k)
        Item rows, best first, -1 where a list is shorter.
    indptr, relevant : shapes (n + 1,), (nnz,)
        The relevant items of each user, distinct and ascending.
    codes, cuts : shape (n_metrics,)
        What to compute, and at which cut-off <= k.
    discount : shape (k,)
        1 / log2(place + 2).
    out : shape (n_metrics, n)
        The values.
    """
    n, k = lists.shape
    for user in prange(n):
        start, stop = indptr[user], indptr[user + 1]
        total = stop - start
        if total == 0:
            out[:, user] = np.nan
            continue
        hits = np.zeros(k + 1, np.int64)  # hits[c] = relevant among the first c
        gain = np.zeros(k + 1)
        ideal = np.zeros(k + 1)
        precision = np.zeros(k + 1)
        first = 0
        for place in range(k):
            item = lists[user, place]
            hit = item >= 0 and contains(relevant, start, stop, item)
            hits[place + 1] = hits[place] + (1 if hit else 0)
            gain[place + 1] = gain[place] + (discount[place] if hit else 0.0)
            ideal[place + 1] = ideal[place] + (discount[place] if place < total else 0.0)
            precision[place + 1] = precision[place] + (
                hits[place + 1] / (place + 1) if hit else 0.0
            )
            if hit and first == 0:
                first = place + 1
        for at in range(len(codes)):
            cut = cuts[at]
            code = codes[at]
            if code == PRECISION:
                value = hits[cut] / cut
            elif code == RECALL:
                value = hits[cut] / total
            elif code == RECALL_CAPPED:
                value = hits[cut] / min(cut, total)
            elif code == HIT:
                value = 1.0 if hits[cut] > 0 else 0.0
            elif code == MAP:
                value = precision[cut] / min(cut, total)
            elif code == NDCG:
                value = gain[cut] / ideal[cut]
            else:
                value = 1.0 / first if 0 < first <= cut else 0.0
            out[at, user] = value


@kernel(parallel=True, fastmath=False)
def area_under_curve(
    scores: np.ndarray, indptr: I64, relevant: I32, hidden_indptr: I64, hidden: I32, out: F64
) -> None:
    """Fill `out` (n,): the share of (relevant, other) pairs in the right order, ties counting half.

    `scores` (n, m). Hidden items are no candidates. A relevant item past the catalogue is ranked
    behind all others. NaN where there is no relevant or no other item.
    """
    n, m = scores.shape
    for user in prange(n):
        state = np.zeros(m, np.int8)  # 1 = hidden, 2 = relevant
        for at in range(hidden_indptr[user], hidden_indptr[user + 1]):
            state[hidden[at]] = 1
        positives = 0
        unknown = 0
        for at in range(indptr[user], indptr[user + 1]):
            if relevant[at] < m:
                state[relevant[at]] = 2
                positives += 1
            else:
                unknown += 1
        good = np.empty(positives, scores.dtype)
        others = np.empty(m, scores.dtype)
        n_good = n_other = 0
        for item in range(m):
            if state[item] == 2:
                good[n_good] = scores[user, item]
                n_good += 1
            elif state[item] == 0:
                others[n_other] = scores[user, item]
                n_other += 1
        if n_other == 0 or n_good + unknown == 0:
            out[user] = np.nan
            continue
        rest = np.sort(others[:n_other])
        total = 0.0
        for at in range(n_good):
            total += 0.5 * (
                np.searchsorted(rest, good[at], side="left")
                + np.searchsorted(rest, good[at], side="right")
            )
        out[user] = total / (n_other * (n_good + unknown))
