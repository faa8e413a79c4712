"""Answers in the caller's ids: lists and predictions, written once for every model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from twofold.data.frames import as_frame
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataError, at_least_one, did_you_mean
from twofold.filters import allowed_items
from twofold.questions import by_column, query_columns, questions, said, several
from twofold.rank import (
    BLOCK_BYTES,
    CONTENT,
    FALLBACK,
    MODEL,
    SOURCES,
    PairOfEncoders,
    Ranked,
    recalled,
)
from twofold.typing import F32, F64, I32, I64, History, Id, Ids
from twofold.unseen import added_alone, remarks, tell, unmet
from twofold.variety import Comparable, check_diversity, rank_varied


def recommend(
    model: Comparable,
    users: Ids | None = None,
    *,
    histories: Sequence[History] | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    allow: Iterable[Id] | None = None,
    deny: Iterable[Id] | None = None,
    where: Mapping[str, Any] | None = None,
    diversity: float = 0.0,
    context: Mapping[str, Sequence[Any]] | None = None,
    features: Mapping[str, Sequence[Any]] | None = None,
    text: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the best items of each user or history.

    Parameters
    ----------
    model
        The fitted model.
    users
        The caller's user ids; an id that was never seen is answered too (see ``source``).
    histories
        One sequence of item ids a person, oldest first; unknown items are passed over. What was taken
        together, a basket, is a list inside: ``[[["bread", "milk"], ["beer"]]]`` is one person with two
        baskets. A mapping says the values too, such as ratings: ``[{"50": 5, "181": 2}]``; else each item counts
        as one event, and where values are ratings as liked best. With `users`, it replaces what the model
        remembers of them.
    k
        List length, >= 1.
    exclude_seen
        Leave out the items of the history that the answer is made from.
    allow, deny
        Item ids to choose among, or to leave out.
    where
        Item features and what they must be: a value or a list of values of a category, tags or a bag, a
        pair (least, most) of a number or a time. All must hold.
    diversity
        Weight of variety in maximal marginal relevance, from 0, which keeps the order, to 1, variety alone; the
        scores stay those of the model, so that they need not fall along the list. See `twofold.variety`.
    context, features
        Columns with one entry a person, for models that read them.
    text
        What each person says, a string each, for models that read words.

    Returns
    -------
    polars.DataFrame
        ``user`` (the id; the position where only histories are given), ``rank`` from 1, ``item``,
        ``score``, ``source``. Fewer than `k` rows where candidates ran out; none for an empty query.

    Raises
    ------
    ConfigError
        If neither users nor histories are given, their lengths differ, `k` is not positive, `diversity` is not
        from 0 to 1, `where` names a feature that does not exist, or a circumstance made of the time can never be what is said.
    DataError
        If a column, or a bound of a time in `where`, cannot be read.

    Warns
    -----
    DataWarning
        Once for each column with values that the model did not learn, for columns that it does not read, for
        values of `where` that no item has, and for histories of nothing but items that were added after training.
    """
    at_least_one("k", k)
    diversity = check_diversity(diversity)
    if isinstance(where, Mapping):  # it is read twice
        where = {name: list(one) if isinstance(one, Iterator) else one for name, one in where.items()}  # fmt: skip
    queries, who = questions(model, users, histories, context, features, text)
    allowed = allowed_items(model.items, allow, deny, where)
    notes = [*remarks(model, queries), *unmet(model.items, where), *added_alone(queries.history, model.n_trained)]  # fmt: skip
    ranked = rank_varied(
        model,
        queries,
        int(k),
        diversity=diversity,
        exclude_seen=exclude_seen,
        allowed=allowed,
    )
    tell(notes)
    return to_frame(model.items.ids, who, ranked, model.n_trained)


def remarks_on(
    model: PairOfEncoders,
    context: Mapping[str, Sequence[Any]] | None,
    features: Mapping[str, Sequence[Any]] | None,
) -> list[str]:
    """Return the sentences on columns of which `recommend` would warn; see `twofold.FittedModel.remarks`."""
    context, features = by_column(context, "context"), by_column(features, "features")
    if not context and not features:
        return []
    return remarks(model, questions(model, None, context=context, features=features)[0])


def to_frame(items: Vocabulary, who: pl.Series, ranked: Ranked, n_trained: int) -> pl.DataFrame:
    """Return ranked rows as a frame in the caller's ids; items from row `n_trained` on are there by content."""
    kept = ranked.items != UNKNOWN
    query, place = np.nonzero(kept)
    how = np.where(ranked.items[kept] >= n_trained, np.uint8(CONTENT), ranked.source[query])
    names = pl.Series("source", list(SOURCES))
    return pl.DataFrame(
        {
            "user": who.gather(pl.Series(query, dtype=pl.UInt32)),
            "rank": (place + 1).astype(np.int32),
            "item": items.ids.gather(pl.Series(ranked.items[kept], dtype=pl.UInt32)),
            "score": ranked.scores[kept],
            "source": names.gather(pl.Series(how, dtype=pl.UInt32)),
        }
    )


def predict(model: PairOfEncoders, pairs: Any) -> pl.DataFrame:
    """Return the value of each pair in the caller's ids, with how it was made.

    Parameters
    ----------
    model
        The fitted model.
    pairs
        A frame (polars, pandas, pyarrow, or a mapping of columns) with ``user`` and ``item``, and
        with the context columns that the model reads (``time`` for the time), where they are known.

    Returns
    -------
    polars.DataFrame
        The pairs with ``score`` and ``source``: ``model``, ``content`` where the item was added after training,
        or ``fallback:prior`` where the user or the item was never seen.

    Raises
    ------
    DataError
        If a column is missing.
    """
    frame = as_frame(pairs, "pairs")
    for name in ("user", "item"):
        if name not in frame.columns:
            raise DataError(f"pairs have no column {name!r}; {did_you_mean(name, frame.columns)}")
    users, items = model.users.ids.rows(frame["user"]), model.items.ids.rows(frame["item"])
    context, time = said(
        model,
        {name: frame[name].to_list() for name in model.context_kinds if name in frame.columns},
    )
    queries = replace(
        Queries.known(users, time=time), context=query_columns(context, model.context_kinds)
    )
    notes = remarks(model, queries)
    score = pair_scores(model, queries, items)
    tell(notes)
    known = (users != UNKNOWN) & (items != UNKNOWN)
    how = np.where(items >= model.n_trained, SOURCES[CONTENT], SOURCES[MODEL])
    source = pl.Series(np.where(known, how, "fallback:prior"))
    return frame.with_columns(score=score, source=source)


def pair_scores(model: PairOfEncoders, queries: Queries, items: I32) -> F32:
    """Return the value of each query with its item row (-1 = unknown item); shape (n,)."""
    out = np.empty(len(items), np.float32)
    step = max(1, BLOCK_BYTES // (4 * max((model.item_vectors.shape or (0, 1))[1], 1)))
    for start in range(0, len(items), step):
        rows: I64 = np.arange(start, min(start + step, len(items)))
        vectors, source = model.encode(recalled(model, queries.take(rows)))
        left = vectors if isinstance(vectors, np.ndarray) else vectors.toarray()
        right = model.item_vectors[np.maximum(items[rows], 0)]
        right = right if isinstance(right, np.ndarray) else right.toarray()
        left = np.where((source == FALLBACK)[:, None], model.unknown_user, left)
        right = np.where((items[rows] == UNKNOWN)[:, None], model.unknown_item, right)
        out[rows] = model.pair_values(left.astype(np.float32), right.astype(np.float32))
    return out


def known_people(ids: Vocabulary, users: Ids, k: int) -> I32:
    """Return the rows of `users`, for whom `k` friends each are asked.

    Raises
    ------
    ConfigError
        If `k` is not a positive integer, or `users` is a single id.
    UnknownIdError
        If a user is not known.
    """
    at_least_one("k", k)
    several(users)
    return np.array([ids.row(one, "user") for one in users], np.int32)


def lists_of_friends(ids: Vocabulary, users: I32, friends: I32, scores: F32 | F64) -> pl.DataFrame:
    """Return lists in the caller's ids: ``user``, ``rank``, ``friend``, ``score``.

    users (n,), friends and scores (n, k), best first; friend -1 where candidates ran out.
    """
    query, place = np.nonzero(friends >= 0)

    def named(rows: I32) -> pl.Series:
        return ids.ids.gather(pl.Series(rows, dtype=pl.UInt32))

    return pl.DataFrame(
        {
            "user": named(users[query]),
            "rank": (place + 1).astype(np.int32),
            "friend": named(friends[query, place]),
            "score": scores[query, place],
        }
    )
