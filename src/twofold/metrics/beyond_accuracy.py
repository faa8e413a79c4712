"""What lists are like apart from being right: coverage, novelty, popularity, diversity."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from twofold.typing import F32, F64, I32, I64


def coverage(listed: I64) -> float:
    """Return the share of the catalogue that was listed at all; `listed` (m,) counts how often."""
    return float((listed > 0).mean()) if len(listed) else 0.0


def gini(listed: I64) -> float:
    """Return the Gini coefficient of how often items were listed: 0 = all alike, near 1 = one takes all.

    Example
    -------
    >>> gini(np.array([2, 2, 2])), gini(np.array([0, 0, 6]))
    (0.0, 0.666...)
    """
    total = int(listed.sum())
    if not total:
        return 0.0
    n = len(listed)
    ordered = np.sort(listed).astype(np.float64)
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n)


def novelty(lists: I32, popularity: F32, n_users: int) -> F64:
    """Return each list's mean of -log2((events of the item + 1) / (users + 1)); shape (n,), in bits.

    `lists` (n, k) of item rows, -1 pads; NaN for an empty list.
    """
    bits = -np.log2((popularity.astype(np.float64) + 1) / (n_users + 1))
    return _mean_over_list(lists, bits)


def popularity_bias(lists: I32, popularity: F32) -> F64:
    """Return each list's mean share of the other catalogue items that have fewer events; shape (n,)."""
    below = np.searchsorted(np.sort(popularity), popularity, side="left")
    return _mean_over_list(lists, below / max(len(popularity) - 1, 1))


def diversity(lists: I32, vectors: F32 | csr_array) -> F64:
    """Return each list's 1 - mean cosine over its pairs; shape (n,), NaN for fewer than two items."""
    out = np.full(len(lists), np.nan)
    for row, items in enumerate(lists):
        kept = items[items >= 0]
        if len(kept) < 2:
            continue
        block = vectors[kept]
        dense = block if isinstance(block, np.ndarray) else block.toarray()
        x = dense.astype(np.float64)
        lengths = np.sqrt((x * x).sum(axis=1))
        x /= np.where(lengths > 0, lengths, 1)[:, None]
        total = float(np.square(x.sum(axis=0)).sum() - (x * x).sum())
        out[row] = 1 - total / (len(kept) * (len(kept) - 1))
    return out


def _mean_over_list(lists: I32, value: F64) -> F64:
    known = lists >= 0
    total = np.where(known, value[np.maximum(lists, 0)], 0.0).sum(axis=1)
    count = known.sum(axis=1)
    return np.divide(total, count, out=np.full(len(lists), np.nan), where=count > 0)
