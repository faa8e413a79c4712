"""From vectors to lists of rows: blocks, masking and top-k, written once for every model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array, vstack

from twofold.data.entities import Entities
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.index.exact import Packed, rescore, top_k, top_products
from twofold.typing import F32, I32, U8, Bool
from twofold.unseen import Reads

SOURCES = ("model", "fold-in", "content", "fallback:popularity")
MODEL, FOLD_IN, CONTENT, FALLBACK = range(4)
"""How an answer was made; positions in ``SOURCES``."""
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


def sources(history: Histories, queries: Queries, *, said: Bool | bool) -> U8:
    """Return how each of n queries is answered, shape (n,).

    As a known user with a history in training, by the history that is given, by features or words that are
    `said` (of all, or of each one), or not at all; what comes first in this list holds.
    """
    source = np.full(len(queries), FALLBACK, np.uint8)
    source[said] = CONTENT
    lengths = history.lengths
    seen = (queries.user >= 0) & ~queries.has_history
    if len(lengths):
        seen &= lengths[np.maximum(queries.user, 0)] > 0
    source[queries.history.lengths > 0] = FOLD_IN
    source[seen] = MODEL
    return source


def said_of(model: PairOfEncoders, queries: Queries) -> Bool:
    """Return which of n questions say words or features that the model reads, shape (n,)."""
    said = model.reads_text & queries.spoken
    if model.reads_features and queries.features:
        said |= queries.describes(model.feature_levels)
    return said


def assembled(parts: list[tuple[np.ndarray, F32 | csr_array]]) -> F32 | csr_array:
    """Put the rows of several blocks, each with its row numbers, into one array in their own order."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    dense = [block for _, block in parts if isinstance(block, np.ndarray)]
    if len(dense) == len(parts):
        return np.concatenate(dense)[order]
    return csr_array(vstack([csr_array(block) for _, block in parts], format="csr"))[order]


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

    @property
    def value_range(self) -> tuple[float, float]:
        """The least and the largest value; (1, 1) of a log without values."""
        ...


class PairOfEncoders(Reads, Protocol):
    """What a list needs of a model."""

    reads_text: ClassVar[bool]
    """Whether people are mapped by words that they say."""

    keeps_runs: ClassVar[bool]
    """Whether runs of a script without spaces are words of what they say."""

    reads_features: ClassVar[bool]
    """Whether people are mapped by their features."""

    predicts_values: ClassVar[bool]
    """Whether scores become values on the caller's scale (ratings)."""

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


@runtime_checkable
class RanksItself(Protocol):
    """A model that makes its lists in another way than by the products of vectors."""

    def rank_block(
        self, block: Queries, seen: Histories, banned: I32, k: int
    ) -> tuple[I32, F32, U8]:
        """Return the items and scores of one block, (n, k), padded with -1 and -inf, and how each list was made, (n,)."""
        ...


@runtime_checkable
class ScoresCandidates(Protocol):
    """A model that scores chosen items of each query better, or cheaper, than the whole catalogue."""

    def score(self, queries: Queries, items: I32) -> F32:
        """Return the scores of item rows (n, c), -1 = none; shape (n, c), -inf where there is no item."""
        ...


@runtime_checkable
class ReadsCandidates(Protocol):
    """A model that was trained on lists of J candidate models and reads how they score an item."""

    @property
    def n_named(self) -> int:
        """J; 0 where it was trained on a log alone."""
        ...

    def score(self, queries: Queries, items: I32, named: F32 | None = None) -> F32:
        """Return scores as `ScoresCandidates` does; `named` (n, c, J), NaN where a model does not name an item."""
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
    queries = recalled(model, queries)
    n, n_items = len(queries), len(model.items)
    width = min(k, n_items)
    items = np.full((n, k), UNKNOWN, np.int32)
    scores = np.full((n, k), -np.inf, np.float32)
    source = np.zeros(n, np.uint8)
    banned = np.zeros(0, np.int32) if allowed is None else np.flatnonzero(~allowed).astype(np.int32)
    vectors = model.item_vectors
    packed = None
    own = isinstance(model, RanksItself)
    many = n >= ENOUGH and width + SPARE <= LONGEST
    if many and isinstance(vectors, np.ndarray) and not own:
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


def recalled(model: PairOfEncoders, queries: Queries) -> Queries:
    """Return the questions with the features of known people without a history, where no features are said and they are read."""
    if queries.features or not model.reads_features or not model.users.features:
        return queries
    known = np.where(queries.history.lengths > 0, UNKNOWN, queries.user).astype(np.int32)
    known[model.memory.history.take(known).lengths > 0] = UNKNOWN
    if (known == UNKNOWN).all():
        return queries
    people, place = np.unique(known[known != UNKNOWN], return_inverse=True)
    rows = np.full(len(known), len(people), np.int32)
    rows[known != UNKNOWN] = place
    own = {
        name: one.take(people).with_missing_row().take(rows)
        for name, one in model.users.features.items()
    }
    return replace(queries, features=own)


def rank_block(
    model: PairOfEncoders,
    block: Queries,
    seen: Histories,
    banned: I32,
    k: int,
    packed: Packed | None,
) -> tuple[I32, F32, U8]:
    """Rank one block of queries; see `rank`."""
    if isinstance(model, RanksItself):
        return model.rank_block(block, seen, banned, k)
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
