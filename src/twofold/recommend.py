"""From vectors to lists: masking, filtering, top-k and the translation of ids, written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.assemble import as_frame
from twofold.data.columns import Column, Kind, Text, kind_of
from twofold.data.convert import column_from_values, parse_times
from twofold.data.dataset import Entities
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.index.exact import Packed, rescore, top_k, top_products
from twofold.typing import F32, I32, I64, U8, Bool, Id, Ids

SOURCES = ("model", "fold-in", "content", "fallback:popularity")
MODEL, FOLD_IN, CONTENT, FALLBACK = range(4)
"""How an answer was made; positions in ``SOURCES``."""
TIME = "time"
"""The name under which the time of a question is given among its context."""
BLOCK_BYTES = 32 * 2**20
"""Memory for one block of scores."""
BLOCK_QUERIES = 4096
"""Queries of one block whose scores are not held in memory."""
ENOUGH = 256
"""Queries from which on the items are laid out anew for them."""
LONGEST = 2048
"""Longest lists that are made without holding the scores in memory."""
SPARE = 16
"""How many items more than asked for are scored again, for near ties at the end of a list."""


class Encoded(NamedTuple):
    """Vectors of n queries and how each was made."""

    vectors: F32 | csr_array  # (n, d)
    source: U8  # (n,)


class Remembers(Protocol):
    """The part of a model's memory that lists need."""

    @property
    def history(self) -> Histories:
        """What the known users did."""
        ...

    @property
    def popularity(self) -> F32:
        """Number of training events of every item, shape (n_items,)."""
        ...


class PairOfEncoders(Protocol):
    """What a list needs of a model."""

    reads_text: ClassVar[bool]
    """Whether people are mapped by words that they say."""

    @property
    def item_vectors(self) -> F32 | csr_array:
        """Shape (n_items, d)."""
        ...

    @property
    def users(self) -> Entities:
        """The users of the training set."""
        ...

    @property
    def items(self) -> Entities:
        """The catalogue."""
        ...

    @property
    def n_trained(self) -> int:
        """Number of items that the model was trained on; those after them were added by content."""
        ...

    @property
    def memory(self) -> Remembers:
        """What is remembered of the training set."""
        ...

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, with their kinds."""
        ...

    @property
    def unknown_user(self) -> F32:
        """The vector of somebody of whom nothing is known, shape (d,)."""
        ...

    @property
    def unknown_item(self) -> F32:
        """The vector of an unknown item, shape (d,)."""
        ...

    def encode(self, queries: Queries) -> Encoded:
        """Map queries to vectors."""
        ...

    def pair_values(self, vectors: F32, items: F32) -> F32:
        """Return the value of each pair of rows of two arrays (n, d); shape (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best items of n queries; row -1 pads lists that ran out of candidates."""

    items: I32  # (n, k)
    scores: F32  # (n, k)
    source: U8  # (n,)


def rank(
    model: PairOfEncoders,
    queries: Queries,
    k: int,
    *,
    exclude_seen: bool = True,
    allowed: Bool | None = None,
    hidden: Histories | None = None,
) -> Ranked:
    """Return the `k` best items of each query by score; ties go to the lower item row.

    Parameters
    ----------
    model
        The fitted model.
    queries
        n questions in the model's rows.
    k
        List length, >= 1; shorter lists are padded with item -1 and score -inf.
    exclude_seen
        Leave out the items of the history that the answer is made from.
    allowed
        Mask over the catalogue, shape (n_items,); None = all.
    hidden
        Further items to leave out, one history a query.

    Notes
    -----
    Exact. Memory is bounded by a block of scores whatever the number of queries and items; the
    values do not depend on the block.
    """
    n, n_items = len(queries), len(model.items)
    width = min(k, n_items)
    items = np.full((n, k), UNKNOWN, np.int32)
    scores = np.full((n, k), -np.inf, np.float32)
    source = np.zeros(n, np.uint8)
    banned = np.zeros(0, np.int32) if allowed is None else np.flatnonzero(~allowed).astype(np.int32)
    vectors = model.item_vectors
    packed = None
    if isinstance(vectors, np.ndarray) and n >= ENOUGH and width + SPARE <= LONGEST:
        packed = Packed.of(vectors, banned)
    step = max(1, min(n, BLOCK_BYTES // (4 * max(n_items, 1))))
    if packed is not None:
        step = BLOCK_QUERIES
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        block = queries.take(rows)
        seen = remembered(model, block) if exclude_seen else Histories.empty(len(block))
        if hidden is not None:
            seen = seen.joined(hidden.take(rows))
        found, best, how = rank_block(model, block, seen, banned, width, packed)
        items[rows, :width], scores[rows, :width], source[rows] = found, best, how
    return Ranked(items, scores, source)


def rank_block(
    model: PairOfEncoders,
    block: Queries,
    seen: Histories,
    banned: I32,
    k: int,
    packed: Packed | None,
) -> tuple[I32, F32, U8]:
    """Rank one block of queries; see `rank`."""
    vectors, source = model.encode(block)
    item_vectors = model.item_vectors
    if not (isinstance(vectors, np.ndarray) and isinstance(item_vectors, np.ndarray)):
        scores = score_block(model, vectors, source)
        items, best = top_k(scores, seen.indptr, seen.item, banned, k)
        return items, best, source
    spare = min(k + SPARE, len(item_vectors))
    if packed is None:
        scores = score_block(model, vectors, source)
        items, best = top_k(scores, seen.indptr, seen.item, banned, spare)
    else:
        items, best = top_products(vectors, packed, seen.indptr, seen.item, spare)
        rest = np.flatnonzero(source == FALLBACK)
        if len(rest):
            some, ones = seen.take(rest), np.ones((len(rest), 1), np.float32)
            popular = Packed.of(model.memory.popularity[:, None], banned)
            items[rest], best[rest] = top_products(ones, popular, some.indptr, some.item, spare)
    rescore(vectors, item_vectors, source != FALLBACK, items, best)
    return items[:, :k], best[:, :k], source


def score_block(model: PairOfEncoders, vectors: F32 | csr_array, source: U8) -> F32:
    """Return the scores of all items, shape (n, n_items); popularity where a query has no vector."""
    product = vectors @ model.item_vectors.T
    scores = product if isinstance(product, np.ndarray) else product.toarray()
    scores[source == FALLBACK] = model.memory.popularity
    return scores


def remembered(model: PairOfEncoders, queries: Queries) -> Histories:
    """Return the history that each answer is made from: the one given, or the one remembered."""
    users = np.where(queries.has_history, UNKNOWN, queries.user).astype(np.int32)
    own = model.memory.history.take(users)
    return own.joined(queries.history) if queries.has_history.any() else own


# ---- questions in the caller's ids -------------------------------------------------------------


def recommend(
    model: PairOfEncoders,
    users: Ids | None = None,
    *,
    histories: Sequence[Iterable[Id]] | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    allow: Iterable[Id] | None = None,
    deny: Iterable[Id] | None = None,
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
        One sequence of item ids a person, oldest first; unknown items are passed over. With `users`,
        it replaces what the model remembers of them.
    k
        List length, >= 1.
    exclude_seen
        Leave out the items of the history that the answer is made from.
    allow, deny
        Item ids to choose among, or to leave out.
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
        If neither users nor histories are given, their lengths differ, or `k` is not positive.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k must be an integer >= 1; got {k!r}")
    queries, who = questions(model, users, histories, context, features, text)
    ranked = rank(
        model, queries, int(k), exclude_seen=exclude_seen, allowed=filters(model, allow, deny)
    )
    return to_frame(model.items.ids, who, ranked, model.n_trained)


def questions(
    model: PairOfEncoders,
    users: Ids | None,
    histories: Sequence[Iterable[Id]] | None = None,
    context: Mapping[str, Sequence[Any]] | None = None,
    features: Mapping[str, Sequence[Any]] | None = None,
    text: Sequence[str] | None = None,
) -> tuple[Queries, pl.Series]:
    """Translate the caller's question into rows; also return the ids to print.

    Raises
    ------
    ConfigError
        If nobody is named and nothing is said of anybody, lengths differ, or words are given to a model
        that does not read them.
    """
    if isinstance(users, str | int):
        raise ConfigError(
            f"users must be a list of ids; got the single id {users!r}: write [{users!r}]"
        )
    if isinstance(text, str):
        raise ConfigError(f"text must be a list of strings; got {text!r}: write [{text!r}]")
    if text is not None and not model.reads_text:
        raise ConfigError("this model does not read words; leave text out, or fit one that does")
    columns = {**(context or {}), **(features or {})}
    given = [one for one in (users, histories, text, *columns.values()) if one is not None]
    if not given:
        raise ConfigError("say for whom: users=[...] or histories=[[...]]; got neither")
    n = len(given[0])
    if any(len(one) != n for one in given):
        lengths = ", ".join(str(len(one)) for one in given)
        raise ConfigError(
            f"users, histories, text and columns must have one entry a person; got lengths {lengths}"
        )
    rows = np.full(n, UNKNOWN, np.int32) if users is None else model.users.ids.rows(users)
    context, time = said(model, context or {})
    declared: dict[str, Kind] = {
        name: kind_of(column) for name, column in model.users.features.items()
    }
    queries = Queries(
        rows,
        Histories.empty(n) if histories is None else history_rows(model.items.ids, histories),
        np.full(n, histories is not None),
        time,
        query_columns(context, model.context_kinds),
        user_columns(features or {}, declared),
        None if text is None else Text(pl.Series("text", list(text), dtype=pl.String)),
    )
    who = pl.Series("user", list(range(n)) if users is None else list(users), strict=False)
    return queries, who


def said(
    model: PairOfEncoders, context: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Sequence[Any]], I64 | None]:
    """Part what was said of the circumstances into context columns and, where it is read, the time."""
    columns = dict(context)
    if TIME not in model.context_kinds or TIME not in columns:
        return columns, None
    return columns, parse_times(pl.Series(TIME, list(columns.pop(TIME)), strict=False), TIME)[0]


def query_columns(
    given: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind]
) -> dict[str, Column]:
    """Read the caller's columns with the kinds that they had in training, where that is known."""
    return {
        name: column_from_values(name, pl.Series(name, list(column), strict=False), kinds.get(name))
        for name, column in given.items()
    }


def user_columns(
    given: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind]
) -> dict[str, Column]:
    """Read features of people.

    Raises
    ------
    ConfigError
        If a name is none of the user features.
    """
    for name in given:
        if kinds and name not in kinds:
            raise ConfigError(f"no user feature {name!r}; {did_you_mean(name, kinds)}")
    return query_columns(given, kinds)


def history_rows(items: Vocabulary, histories: Sequence[Iterable[Id]]) -> Histories:
    """Translate sequences of item ids; unknown items are passed over.

    Raises
    ------
    ConfigError
        If a history is a bare string.
    """
    indptr, flat = [0], list[int]()
    for one in histories:
        if isinstance(one, str):
            raise ConfigError(f"a history must be a list of item ids; got the string {one!r}")
        known = items.rows(list(one))
        flat.extend(known[known != UNKNOWN].tolist())
        indptr.append(len(flat))
    item = np.array(flat, np.int32)
    return Histories(np.array(indptr, np.int64), item, np.ones(len(item), np.float32))


def filters(
    model: PairOfEncoders, allow: Iterable[Id] | None, deny: Iterable[Id] | None
) -> Bool | None:
    """Turn allow and deny lists into a mask over the catalogue; unknown ids cannot be recommended anyway."""
    if allow is None and deny is None:
        return None
    mask = np.full(len(model.items), allow is None)
    for ids, value in ((allow, True), (deny, False)):
        if isinstance(ids, str):
            raise ConfigError(f"allow and deny must be lists of item ids; got the string {ids!r}")
        rows = model.items.ids.rows(list(ids or ()))
        mask[rows[rows != UNKNOWN]] = value
    return mask


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
        The pairs with ``score`` and ``source`` (``model``, or ``fallback:prior`` where the user or
        the item was never seen).

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
    score = pair_scores(model, queries, items)
    known = (users != UNKNOWN) & (items != UNKNOWN)
    source = pl.Series(np.where(known, SOURCES[MODEL], "fallback:prior"))
    return frame.with_columns(score=score, source=source)


def pair_scores(model: PairOfEncoders, queries: Queries, items: I32) -> F32:
    """Return the value of each query with its item row (-1 = unknown item); shape (n,)."""
    out = np.empty(len(items), np.float32)
    step = max(1, BLOCK_BYTES // (4 * max((model.item_vectors.shape or (0, 1))[1], 1)))
    for start in range(0, len(items), step):
        rows: I64 = np.arange(start, min(start + step, len(items)))
        vectors, source = model.encode(queries.take(rows))
        left = vectors if isinstance(vectors, np.ndarray) else vectors.toarray()
        right = model.item_vectors[np.maximum(items[rows], 0)]
        right = right if isinstance(right, np.ndarray) else right.toarray()
        left = np.where((source == FALLBACK)[:, None], model.unknown_user, left)
        right = np.where((items[rows] == UNKNOWN)[:, None], model.unknown_item, right)
        out[rows] = model.pair_values(left.astype(np.float32), right.astype(np.float32))
    return out
