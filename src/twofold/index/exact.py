"""Exact top-k: over a block of scores, or straight from vectors; re-scoring in a fixed order of summation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twofold.kernels._vector import SCORE_COLUMNS
from twofold.kernels.top_k import pack_panels, rescore_block, top_k_block, top_k_products
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


class Packed(NamedTuple):
    """Items laid out for `top_k_products`, by falling length of their vectors."""

    panels: F32  # (p, d, SCORE_COLUMNS)
    columns: I32  # (c,) the items
    lengths: F32  # (p,) of the longest vector of each panel

    @classmethod
    def of(cls, item_vectors: F32, banned: I32) -> Packed:
        """Lay out the items (m, d) that are not `banned`; costs a copy of their vectors."""
        lengths = np.sqrt(np.einsum("md,md->m", item_vectors, item_vectors))
        allowed = np.ones(len(item_vectors), np.bool_)
        allowed[banned] = False
        columns = np.flatnonzero(allowed).astype(np.int32)
        columns = columns[np.argsort(-lengths[columns], kind="stable")]
        count = -(-len(columns) // SCORE_COLUMNS)
        panels = np.empty((count, item_vectors.shape[1], SCORE_COLUMNS), np.float32)
        pack_panels(item_vectors, columns, panels)
        return cls(panels, columns, lengths[columns[::SCORE_COLUMNS]])


def top_products(
    vectors: F32, packed: Packed, seen_indptr: I64, seen_items: I32, k: int
) -> tuple[I32, F32]:
    """Return what `top_k` returns for the products of `vectors` (n, d) with the packed items.

    The scores are not held in memory, and items too short to matter are not multiplied at all.
    """
    items = np.full((len(vectors), k), -1, np.int32)
    best = np.full((len(vectors), k), -np.inf, np.float32)
    if len(vectors) and len(packed.columns):
        rows = np.ascontiguousarray(vectors)
        top_k_products(rows, *packed, seen_indptr, seen_items, items, best)
    return items, best
