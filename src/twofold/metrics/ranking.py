"""Metrics of ranked lists, a value a user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twofold.errors import ConfigError
from twofold.kernels import ranking_metrics as kernels
from twofold.metrics.names import parse
from twofold.typing import F32, F64, I32, I64

CODES = {
    "precision": kernels.PRECISION,
    "recall": kernels.RECALL,
    "recall_capped": kernels.RECALL_CAPPED,
    "hit": kernels.HIT,
    "map": kernels.MAP,
    "ndcg": kernels.NDCG,
    "mrr": kernels.MRR,
}


def ranking(
    lists: I32, relevant_indptr: I64, relevant_items: I32, names: Sequence[str]
) -> dict[str, F64]:
    """Return each user's value of every metric; NaN for users without a relevant item.

    Parameters
    ----------
    lists : shape (n, k)
        Item rows, best first, distinct; -1 where a list is shorter.
    relevant_indptr, relevant_items : shapes (n + 1,), (nnz,)
        Relevant items of each user, a ragged array; distinct and ascending within a user.
    names
        List metrics with cut-offs: ``ndcg@10``, ``recall@20``. A list that is shorter than a cut-off
        is taken as it is.

    Raises
    ------
    ConfigError
        If a name is unknown or not that of a list metric.

    Example
    -------
    >>> lists = np.array([[3, 1, 2]], np.int32)
    >>> relevant = np.array([1, 5], np.int32)
    >>> found = ranking(lists, np.array([0, 2]), relevant, ["recall@2", "mrr@3"])
    >>> {name: float(values[0]) for name, values in found.items()}
    {'recall@2': 0.5, 'mrr@3': 0.5}
    """
    chosen = [parse(name) for name in names]
    for metric in chosen:
        if metric.base not in CODES:
            raise ConfigError(
                f"{metric.name!r} is not a metric of lists; allowed: {', '.join(CODES)}"
            )
    if not chosen:
        return {}
    cuts = np.array([metric.k or 1 for metric in chosen], np.int64)
    longest = int(cuts.max())
    wide = np.full((len(lists), max(longest, 1)), -1, np.int32)
    width = min(longest, lists.shape[1])
    wide[:, :width] = lists[:, :width]
    out = np.empty((len(chosen), len(lists)))
    kernels.list_metrics(
        wide,
        np.asarray(relevant_indptr, np.int64),
        np.asarray(relevant_items, np.int32),
        np.array([CODES[metric.base] for metric in chosen], np.int64),
        cuts,
        1.0 / np.log2(np.arange(2, wide.shape[1] + 2)),
        out,
    )
    return {metric.name: out[at] for at, metric in enumerate(chosen)}


def auc(
    scores: F32,
    relevant_indptr: I64,
    relevant_items: I32,
    hidden_indptr: I64,
    hidden_items: I32,
) -> F64:
    """Return each user's area under the curve over all candidates; shape (n,).

    `scores` (n, m); hidden items (what was seen) are no candidates; a relevant item past the
    catalogue ranks behind everything. NaN where there is no relevant or no other candidate.
    """
    out = np.empty(len(scores))
    kernels.area_under_curve(
        scores, relevant_indptr, relevant_items, hidden_indptr, hidden_items, out
    )
    return out
