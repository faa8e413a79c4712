"""Metrics of ranked lists, a value a user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twofold.errors import ConfigError, DataError
from twofold.kernels import ranking_metrics as kernels
from twofold.metrics.names import parse
from twofold.typing import F32, F64, I32, I64, Bool

CODES = {
    "precision": kernels.PRECISION,
    "recall": kernels.RECALL,
    "recall_capped": kernels.RECALL_CAPPED,
    "f1": kernels.F1,
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
        Item rows, best first; -1 where a list is shorter. An item that is listed twice counts at its
        first place.
    relevant_indptr, relevant_items : shapes (n + 1,), (nnz,)
        Relevant items of each user, a ragged array; one that is given twice counts once.
    names
        List metrics with cut-offs: ``ndcg@10``, ``recall@20``. A list that is shorter than a cut-off
        is taken as it is: what is missing is no hit.

    Raises
    ------
    ConfigError
        If a name is unknown or not that of a list metric.
    DataError
        If the lists are not a table of integers with a row for each user of the ragged array.

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
    ranked = np.asarray(lists)
    if ranked.ndim != 2 or not np.issubdtype(ranked.dtype, np.integer):
        raise DataError(
            "lists must be integers of shape (users, places); "
            f"got {ranked.dtype} of shape {ranked.shape}: pad shorter lists with -1"
        )
    indptr, relevant = ragged(relevant_indptr, relevant_items, len(ranked))
    cuts = np.array([metric.k or 1 for metric in chosen], np.int64)
    discount = 1.0 / np.log2(np.arange(2, int(cuts.max()) + 2))
    out = np.empty((len(chosen), len(ranked)))
    kernels.list_metrics(
        np.ascontiguousarray(ranked, np.int32),
        indptr,
        relevant,
        np.array([CODES[metric.base] for metric in chosen], np.int64),
        cuts,
        discount,
        np.concatenate([[0.0], np.cumsum(discount)]),
        out,
    )
    return {metric.name: out[at] for at, metric in enumerate(chosen)}


def ragged(indptr: I64, items: I32, n: int) -> tuple[I64, I32]:
    """Check the relevant items of n users; return them distinct and ascending within each user.

    Raises
    ------
    DataError
        If `indptr` does not lead through `items` in n steps, or an item is negative.
    """
    indptr, items = np.asarray(indptr, np.int64), np.asarray(items, np.int32)
    steps = np.diff(indptr)
    if len(indptr) != n + 1 or indptr[0] != 0 or indptr[-1] != len(items) or (steps < 0).any():
        raise DataError(
            f"relevant_indptr must rise from 0 to {len(items):,}, the number of relevant items, in "
            f"{n + 1:,} entries, one more than there are users; got {len(indptr):,} entries"
        )
    if len(items) and items.min() < 0:
        raise DataError(f"relevant items must be >= 0; got {items.min()}: leave unknown ones out")
    starts = indptr[1:-1]
    rises = np.ones(max(len(items) - 1, 0), np.bool_)
    rises[:] = items[1:] > items[:-1]
    rises[starts[(starts > 0) & (starts < len(items))] - 1] = True
    if rises.all():
        return indptr, items
    user = np.repeat(np.arange(n, dtype=np.int64), steps)
    width = int(items.max()) + 1
    user, item = np.divmod(np.unique(user * width + items), width)
    counts = np.bincount(user, minlength=n)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), item.astype(np.int32)


def auc(
    scores: F32,
    relevant_indptr: I64,
    relevant_items: I32,
    hidden_indptr: I64,
    hidden_items: I32,
    *,
    factors: tuple[F32, F32] | None = None,
    exact: Bool | None = None,
) -> F64:
    """Return each user's area under the curve over all candidates; shape (n,).

    Parameters
    ----------
    scores : shape (n, m)
        Scores of the whole catalogue.
    relevant_indptr, relevant_items
        Relevant items of each user, a ragged array; one past the catalogue ranks behind everything.
    hidden_indptr, hidden_items
        What is no candidate, because it was seen; a ragged array. A relevant item among it ranks behind everything.
    factors : shapes (n, d), (m, d)
        Vectors of the users and the items whose products the scores are. Pairs that lie within the
        rounding error of float32 are then decided by the product in float64, so that no value depends
        on how the scores were computed.
    exact : shape (n,)
        Users whose scores are no such products.

    Returns
    -------
    ndarray
        NaN where there is no relevant or no other candidate.

    Raises
    ------
    DataError
        If a ragged array does not fit the scores, a hidden item is none of theirs, or a score is NaN.
    """
    indptr, relevant = ragged(relevant_indptr, relevant_items, len(scores))
    hidden_starts, hidden = np.asarray(hidden_indptr, np.int64), np.asarray(hidden_items, np.int32)
    if len(hidden_starts) != len(scores) + 1 or hidden_starts[-1] != len(hidden):
        raise DataError(
            f"hidden_indptr must rise from 0 to {len(hidden):,} in {len(scores) + 1:,} entries; got {len(hidden_starts):,} entries"
        )
    if len(hidden) and not 0 <= hidden.min() <= hidden.max() < scores.shape[1]:
        raise DataError(f"hidden items must be 0 ... {scores.shape[1] - 1}; leave others out")
    if np.isnan(scores).any():
        raise DataError("scores have a value that is no number; leave the item out")
    out = np.empty(len(scores))
    reach = np.zeros(len(scores))
    empty = np.zeros((0, 0), np.float32)
    users, items = (empty, empty) if factors is None else factors
    if factors is not None and users.size and items.size:
        length = np.sqrt(np.einsum("nd,nd->n", users, users, dtype=np.float64))
        longest = np.sqrt(np.einsum("nd,nd->n", items, items, dtype=np.float64).max())
        reach = (users.shape[1] + 2) * np.finfo(np.float32).eps * length * longest
        if exact is not None:
            reach[exact] = 0
    kernels.area_under_curve(
        np.ascontiguousarray(scores, np.float32),
        np.ascontiguousarray(users, np.float32),
        np.ascontiguousarray(items, np.float32),
        reach,
        indptr,
        relevant,
        hidden_starts,
        hidden,
        out,
    )
    return out
