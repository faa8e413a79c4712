"""Lists of candidates: their union, and the scores of chosen items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries, telling
from twofold.data.vocabulary import UNKNOWN
from twofold.index.exact import top_k
from twofold.models._added import known_part
from twofold.models._base import FittedModel
from twofold.rank import (
    BLOCK_BYTES,
    FALLBACK,
    MODEL,
    ReadsCandidates,
    ScoresCandidates,
    said_of,
    score_block,
    sources,
)
from twofold.typing import F32, I32, U8


def fuse(lists: Sequence[I32], smoothing: float) -> tuple[I32, F32]:
    """Return the union of lists of items and the fused score of each item.

    Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion outperforms
    Condorcet and individual rank learning methods", SIGIR): the sum of 1 / (smoothing + rank) over
    the lists that hold the item, ranks from 1.

    Parameters
    ----------
    lists
        Of each model, shape (n, c_j), best first; -1 = none.
    smoothing
        The paper's k.

    Returns
    -------
    items, fused
        Shape (n, c), c the longest union; items ascend, -1 and -inf at the end of shorter ones.
    """
    items = np.concatenate(lists, axis=1)  # (n, sum of c_j)
    places = np.concatenate([np.arange(1, one.shape[1] + 1) for one in lists])
    gain = np.broadcast_to(1 / (smoothing + places), items.shape)
    key = np.where(items == UNKNOWN, np.iinfo(np.int32).max, items)
    order = np.argsort(key, axis=1, kind="stable")
    items, gain = np.take_along_axis(items, order, 1), np.take_along_axis(gain, order, 1)
    first = items != UNKNOWN
    first[:, 1:] &= items[:, 1:] != items[:, :-1]
    slot = np.cumsum(first, axis=1) - 1
    width = max(1, int(first.sum(axis=1).max(initial=0)))
    union = np.full((len(items), width), UNKNOWN, np.int32)
    fused = np.zeros((len(items), width))
    row, place = np.nonzero(items != UNKNOWN)
    at = slot[row, place]
    union[row, at] = items[row, place]
    np.add.at(fused, (row, at), gain[row, place])
    return union, np.where(union == UNKNOWN, -np.inf, fused).astype(np.float32)


def score_candidates(
    model: FittedModel, queries: Queries, items: I32, named: F32 | None = None
) -> tuple[F32, U8]:
    """Score chosen items: by ``score`` where a model has it, by the product of vectors otherwise.

    Parameters
    ----------
    model
        The ranker.
    queries
        n questions.
    items : shape (n, c)
        Item rows; -1 = none.
    named : shape (n, c, J)
        How candidate models score them, for a model that learned from their lists.

    Returns
    -------
    scores, source
        Shape (n, c), -inf where there is no item; and how each query was mapped, (n,): by the lists, as a known
        user, where there are any.
    """
    if named is not None and isinstance(model, ReadsCandidates):
        return model.score(queries, items, named), np.full(len(queries), MODEL, np.uint8)
    if isinstance(model, ScoresCandidates):
        said = said_of(model, queries)
        said |= telling(queries.context, model.context_levels, len(queries))
        return model.score(queries, items), sources(model.memory.history, queries, said=said)
    vectors, source = model.encode(queries)
    item_vectors, rows = model.item_vectors, np.maximum(items, 0)
    if not (isinstance(vectors, np.ndarray) and isinstance(item_vectors, np.ndarray)):
        scores = np.take_along_axis(score_block(model, vectors, source), rows, 1)
    else:
        scores = np.empty(items.shape, np.float32)
        step = max(1, BLOCK_BYTES // (4 * max(1, items.shape[1] * vectors.shape[1])))
        for start in range(0, len(items), step):
            some = slice(start, start + step)
            scores[some] = np.einsum("nd,ncd->nc", vectors[some], item_vectors[rows[some]])
        lost = source == FALLBACK
        scores[lost] = model.memory.popularity[rows[lost]]
    return np.where(items == UNKNOWN, np.float32(-np.inf), scores), source


def best_of(items: I32, scores: F32, k: int) -> tuple[I32, F32]:
    """Return the `k` best of each row of candidates (n, c), ties to the lower item; padded with -1 and -inf."""
    width = min(k, items.shape[1])
    none = Histories.empty(len(items))
    columns, best = top_k(scores.copy(), none.indptr, none.item, np.zeros(0, np.int32), width)
    found = np.take_along_axis(items, np.maximum(columns, 0), 1)
    lost = (columns < 0) | (found == UNKNOWN)
    found, best = np.where(lost, UNKNOWN, found), np.where(lost, -np.inf, best)
    spare = ((0, 0), (0, k - width))
    return (
        np.pad(found, spare, constant_values=UNKNOWN).astype(np.int32),
        np.pad(best, spare, constant_values=-np.inf).astype(np.float32),
    )


def narrowed(queries: Queries, n_items: int) -> Queries:
    """Return the questions with the part of their histories that a model of `n_items` items knows."""
    return replace(queries, history=known_part(queries.history, n_items))
