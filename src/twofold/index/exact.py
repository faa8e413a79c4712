"""Exact top-k over a block of scores, and re-scoring in a fixed order of summation."""

from __future__ import annotations

import numpy as np

from twofold.kernels.top_k import rescore_block, top_k_block
from twofold.typing import F32, I32, I64, Bool


def top_k(scores: F32, seen_indptr: I64, seen_items: I32, banned: I32, k: int) -> tuple[I32, F32]:
    """Return the `k` best unmasked columns of each row, best first; ties go to the lower column.

    Parameters
    ----------
    scores : shape (n, m)
        Overwritten with -inf where masked.
    seen_indptr, seen_items
        Ragged rows of columns to mask, shapes (n + 1,) and (nnz,).
    banned
        Columns to mask in every row.
    k
        1 <= k <= m.

    Returns
    -------
    items, best
        Shapes (n, k); item -1 and -inf where a row has fewer than `k` unmasked columns.
    """
    items = np.full((len(scores), k), -1, np.int32)
    best = np.full((len(scores), k), -np.inf, np.float32)
    if len(scores):
        top_k_block(scores, seen_indptr, seen_items, banned, items, best)
    return items, best


def rescore(vectors: F32, item_vectors: F32, use: Bool, items: I32, best: F32) -> None:
    """Score the listed items again, one product at a time, and sort each list; in place.

    The sums run in one fixed order, so that a list does not depend on the block it was found in.
    vectors (n, d), item_vectors (m, d), use (n,), items and best (n, k).
    """
    if len(items):
        rescore_block(
            np.ascontiguousarray(vectors), np.ascontiguousarray(item_vectors), use, items, best
        )
