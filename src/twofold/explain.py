"""Why an item is scored as it is: leave one history item out and look at what changes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import polars as pl

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.told import told
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError
from twofold.rank import CONTENT, FALLBACK, PairOfEncoders, recalled
from twofold.typing import F32, I32, I64, History, Id

BLOCK = 1 << 21
"""Events of the histories that are folded in at a time, about: a history of n events is read up to n times."""

LONGEST = 1_000
"""Latest events of a history that are explained: the cost grows with their square."""


class Explainable(PairOfEncoders, Protocol):
    """A model that maps histories to vectors."""


def explain(
    model: Explainable,
    user: Id | None = None,
    item: Id | None = None,
    *,
    history: History | None = None,
) -> pl.DataFrame:
    """Return the history items by how much each raises the score of `item`.

    The score is that of the history folded in; the contribution of a history item is what the score
    loses when it is left out and the rest is folded in anew. It is exact by construction: removing
    the first item named lowers the score by the number beside it. Of a history of more than `LONGEST` events
    the latest so many are the whole.

    Parameters
    ----------
    model
        The fitted model.
    user
        A user of the training set, whose remembered history is explained.
    item
        The item whose score is explained.
    history
        Item ids in place of a user's, and lists of ids that were taken together, or a mapping of ids to values.

    Returns
    -------
    polars.DataFrame
        ``item``, ``contribution`` (falling), ``score`` (of the whole history), ``kind``: ``history``;
        one row of kind ``features`` where somebody without a history is scored by what is known of them, of kind
        ``popularity`` where there is no known history or the model does not read it.

    Raises
    ------
    ConfigError
        If neither a user nor a history, or no item, is given, or the history is no list.
    UnknownIdError
        If the item is not in the catalogue, or the user is unknown and no history is given.
    """
    if item is None or (user is None and history is None):
        raise ConfigError("explain needs item= and one of user= and history=")
    target = model.items.ids.row(item)
    own_id = model.items.ids.ids.gather(pl.Series([target], dtype=pl.UInt32))
    if history is not None:
        own = told(model.items.ids, [history], model.memory.value_range, rates=model.predicts_values)  # fmt: skip
    else:
        row = model.users.ids.row(user if user is not None else "", "user")
        asked = recalled(model, Queries.known(np.array([row], np.int32)))
        own = model.memory.history.take(asked.user)
        if asked.features and model.encode(asked).source[0] == CONTENT:
            score = scores_of(model, asked, target)
            return _frame(own_id, score, float(score[0]), "features")
    own = latest(own, LONGEST)
    distinct = np.unique(own.item)
    scores = scores_without(model, own, distinct, target)
    contribution = scores[0] - scores[1:]
    if not len(distinct) or not contribution.any():
        count = float(model.memory.popularity[target])
        return _frame(own_id, np.array([count]), float(scores[0]), "popularity")
    order = np.argsort(-contribution, kind="stable")
    ids = model.items.ids.ids.gather(pl.Series(distinct[order], dtype=pl.UInt32))
    return _frame(ids, contribution[order], float(scores[0]), "history")


def latest(own: Histories, most: int) -> Histories:
    """Return the latest `most` events of the history of one person."""
    last = np.arange(max(0, len(own.item) - most), len(own.item))
    return own.at(np.array([0, len(last)], np.int64), last)


def scores_without(model: PairOfEncoders, own: Histories, items: I32, target: int) -> F32:
    """Return the score of one item row for one history, and for it without each of `items` (n,); shape (1 + n,)."""
    left_out = np.concatenate([[UNKNOWN], items])
    blocks = np.array_split(left_out, max(1, -(-len(left_out) * len(own.item) // BLOCK)))
    return np.concatenate([target_scores(model, without_each(own, one), target) for one in blocks])


def without_each(own: Histories, items: I32) -> Histories:
    """Return one history as often as there are `items` (n,), each time without one of them."""
    keep = own.item != items[:, None]
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)
    which: I64 = np.nonzero(keep)[1]
    return own.at(indptr, which)


def target_scores(model: PairOfEncoders, histories: Histories, target: int) -> F32:
    """Return the score of one item row for each history; shape (n,)."""
    return scores_of(model, Queries.of_histories(histories), target)


def scores_of(model: PairOfEncoders, queries: Queries, target: int) -> F32:
    """Return the score of one item row for each question, of nobody known that of ``unknown_user``; shape (n,)."""
    vectors, source = model.encode(queries)
    if isinstance(vectors, np.ndarray) and isinstance(model.item_vectors, np.ndarray):
        vectors = np.where((source == FALLBACK)[:, None], model.unknown_user, vectors)
        return np.einsum("nd,d->n", vectors, model.item_vectors[target])
    product = vectors @ model.item_vectors[[target]].T
    return (product if isinstance(product, np.ndarray) else product.toarray())[:, 0]


def _frame(ids: pl.Series, contribution: np.ndarray, score: float, kind: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": ids,
            "contribution": contribution.astype(np.float32),
            "score": np.full(len(ids), score, np.float32),
            "kind": [kind] * len(ids),
        }
    )
