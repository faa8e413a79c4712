"""Top-k selection over dense score rows."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64, Bool


@kernel()
def _product(one: F32, other: F32) -> float:
    """Return the inner product, in the order of summation that it was compiled with."""
    total = np.float32(0.0)
    for f in range(len(one)):
        total += one[f] * other[f]
    return float(total)


@kernel(fastmath=False)
def _insert(items: I32, best: F32, filled: int, item: int, score: float) -> int:
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


@kernel(parallel=True, fastmath=False)
def top_k_block(scores: F32, indptr: I64, seen: I32, banned: I32, items: I32, best: F32) -> None:
    """Fill `items` and `best` (n, k) from `scores` (n, m); see `twofold.index.exact.top_k`."""
    n, m = scores.shape
    k = items.shape[1]
    for row in prange(n):
        line = scores[row]
        for at in range(indptr[row], indptr[row + 1]):
            line[seen[at]] = -np.inf
        for column in banned:
            line[column] = -np.inf
        filled = 0
        worst = np.float32(-np.inf)
        for column in range(m):
            score = line[column]
            if score > worst:
                filled = _insert(items[row], best[row], filled, column, score)
                if filled == k:
                    worst = best[row, k - 1]


@kernel(parallel=True, fastmath=False)
def rescore_block(vectors: F32, item_vectors: F32, use: Bool, items: I32, best: F32) -> None:
    """Recompute and re-sort each list; see `twofold.index.exact.rescore`."""
    n, k = items.shape
    for row in prange(n):
        if not use[row]:
            continue
        found = items[row].copy()
        filled = 0
        for place in range(k):
            item = found[place]
            if item < 0:
                break
            total = _product(vectors[row], item_vectors[item])
            filled = _insert(items[row], best[row], filled, item, total)
