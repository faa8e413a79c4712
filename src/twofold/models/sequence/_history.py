"""Histories as means of the vectors of their latest events."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from twofold.data.interactions import Histories
from twofold.typing import F32, I64, Bool


def mean_of_latest(histories: Histories, known: Bool, last: int, vectors: F32) -> tuple[F32, I64]:
    """Return the mean vector of the `last` (0: all) events of each history, and of how many; (n, d) and (n,).

    Events whose item is not `known` (m,) are passed over; without others the mean of `vectors` (m, d) is zero.
    """
    kept = known[histories.item]
    later = np.append(np.cumsum(kept[::-1])[::-1], 0)  # kept events from here on
    ends = np.repeat(later[histories.indptr[1:]], histories.lengths)
    used = kept & (later[:-1] - ends <= last) if last else kept
    indptr = np.concatenate([[0], np.cumsum(used)])[histories.indptr]
    count = np.diff(indptr).astype(np.int64)
    share = np.repeat(1 / np.maximum(count, 1), count).astype(np.float32)
    weights = csr_array((share, histories.item[used], indptr), shape=(len(count), len(vectors)))
    return np.asarray(weights @ vectors, np.float32), count
