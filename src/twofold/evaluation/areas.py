"""The area under the curve of a block of queries, from the scores of all items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.evaluation.questions import Targets
from twofold.metrics import auc
from twofold.models._added import events_where
from twofold.models._base import FittedModel
from twofold.rank import BLOCK_BYTES, FALLBACK, score_block
from twofold.typing import F64


def auc_block(
    model: FittedModel, block: Queries, targets: Targets, hidden: Histories, first: int
) -> F64:
    """Return the AUC of each query of a block over the items from row `first` on.

    In steps whose scores fit the memory of a block.
    """
    out = np.empty(len(block))
    step = max(1, BLOCK_BYTES // (4 * max(len(model.items), 1)))
    for start in range(0, len(block), step):
        rows = np.arange(start, min(start + step, len(block)))
        vectors, source = model.encode(block.take(rows))
        scores = score_block(model, vectors, source)[:, first:]
        some, seen = targets.take(start, int(rows[-1]) + 1), shifted(hidden.take(rows), first)
        items = model.item_vectors[first:]
        factors = (
            (vectors, items)
            if isinstance(vectors, np.ndarray) and isinstance(items, np.ndarray)
            else None
        )
        out[rows] = auc(
            np.ascontiguousarray(scores), some.indptr, some.item - np.int32(first), seen.indptr, seen.item,
            factors=factors, exact=source == FALLBACK,
        )  # fmt: skip
    return out


def shifted(histories: Histories, first: int) -> Histories:
    """Return the events of items from row `first` on, with rows counted from there."""
    kept = events_where(histories, histories.item >= first)
    return replace(kept, item=kept.item - np.int32(first))
