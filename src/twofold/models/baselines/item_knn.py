"""Item-based nearest neighbours, on interactions or on content.

Sarwar, Karypis, Konstan & Riedl (2001), "Item-Based Collaborative Filtering Recommendation Algorithms",
WWW; for ranking, Deshpande & Karypis (2004), TOIS. An item is a profile: the users who have it, or the
words, tags and categories that describe it. score(u, i) = sum over the history's items j that are among
the k nearest neighbours of i of similarity(i, j), with

    cosine   p_i . p_j / (|p_i| |p_j| + h)
    jaccard  |p_i and p_j| / (|p_i or p_j| + h)
    bm25     the cosine of profiles weighted by Robertson's BM25

and h the shrinkage, which takes similarities that rest on little evidence towards 0.

Differs from the papers: neighbours are those of the item that is scored (Sarwar), not of the history's items (Deshpande &
Karypis), and similarities are not normalised by their sum: the order of a list needs no rating scale. BM25 weights are
those of Robertson & Zaragoza (2009), k1 = 1.2, b = 0.75, with 1 added inside the logarithm so that no weight is negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array, vstack

from twofold.data.columns import Bag, Category, Column, Text, kind_of
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.features.counts import held_by
from twofold.features.words import words_of
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.co_occurrence import largest
from twofold.models._base import FittedModel, Memory, dimensions
from twofold.models._scarce import say_scarce
from twofold.models.baselines._pairs import BLOCK_BYTES, binary, product_blocks
from twofold.rank import FALLBACK, Encoded
from twofold.typing import F32, Rng

Similarity = Literal["cosine", "jaccard", "bm25"]
BM25_K1, BM25_B = 1.2, 0.75
"""Saturation of counts and correction for length, as Robertson & Zaragoza (2009) advise."""


@hyperparameters
class ItemKNN:
    """Score an item by its similarity to the items of the history.

    Every pair in the log is one observation, whatever its value. With `content`, items are compared
    by what describes them, so that items which nobody has met can be recommended.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3, 4], "i": ["a", "b", "a", "b", "c", "d", "c"]}
    >>> model = tw.models.ItemKNN().fit(tw.Dataset.from_frames(log, user="u", item="i"))
    >>> model.recommend(users=[4], k=1)["item"].to_list()
    ['d']
    """

    neighbours: Annotated[PositiveInt, Search(10, 1000, log=True)] = 200
    """k: how many neighbours of an item can speak for it."""
    similarity: Annotated[Similarity, Search(choices=("cosine", "jaccard", "bm25"))] = "cosine"
    """How two items are compared."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 100, log=True)] = 10.0
    """h: added to the denominator."""
    content: tuple[str, ...] = ()
    """Item features to compare (category, tags, bag or text); none = the users of an item."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedItemKNN:
        """Find every item's neighbours; O(sum of squared history lengths), memory by blocks.

        Raises
        ------
        DataError
            If the log is empty, or the items have no features and `content` is set.
        ConfigError
            If `content` names a feature that is not there or cannot be compared.
        """
        del validation, rng
        memory = Memory.of(train)
        return FittedItemKNN(
            estimator=self,
            memory=memory,
            similarities=nearest(self, profiles(self, memory, telling=True)),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedItemKNN(FittedModel):
    """A history as a sparse row of ones, against every item's similarities to its neighbours."""

    similarities: csr_array  # (n_items, n_items) row = item that is scored, its k neighbours

    def __post_init__(self) -> None:
        """Place new items where items are compared by content."""
        object.__setattr__(self, "reads_content", bool(self.estimator.content))

    @property
    def item_vectors(self) -> csr_array:
        """The similarities of every item to its neighbours, shape (n_items, n_items)."""
        return self.similarities

    @property
    def content_levels(self) -> Levels:
        """The values of the features by which items are compared."""
        return {name: self.items.levels[name] for name in self.estimator.content}

    @property
    def similarity_vectors(self) -> csr_array:
        """The profiles of the items, shape (n_items, n_users) or (n_items, n_terms)."""
        return self._profiles

    @cached_property
    def _profiles(self) -> csr_array:
        return csr_array(profiles(self.estimator, self.memory).T)

    def encode_items(self, items: Entities) -> csr_array:
        """Return the similarities of new items to their k nearest items of training, shape (j, n_items)."""
        return nearest_of_new(self.estimator, self._described(items), csr_array(self._profiles.T))

    def likeness_of(self, items: Entities, vectors: F32 | csr_array) -> csr_array:
        """Return the profiles of new items in the terms of training, shape (j, n_terms)."""
        del vectors
        return csr_array(self._described(items).T)

    def _described(self, items: Entities) -> csr_array:
        """Return the profiles of new items as columns, (n_terms, j); terms that training did not have are left out."""
        model: ItemKNN = self.estimator
        known = described(model, self.memory.items)
        rows = csr_array(vstack([
            projected(theirs, levels, ours)
            for (theirs, levels), (_, ours) in zip(described(model, items), known, strict=True)
        ]))  # fmt: skip
        base = csr_array(vstack([csr_array(counts.T) for counts, _ in known]))
        return bm25(rows, base) if model.similarity == "bm25" else rows

    def fold_in(self, histories: Histories) -> csr_array:
        """Return 1 where a person has an item, shape (n, n_items)."""
        return binary(histories, len(self.items))

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as every model does; a history of items that are like no other says nothing of a person."""
        vectors, source = super().encode(queries)
        mute = (vectors @ self._alike == 0) & (source != FALLBACK)
        return Encoded(vectors, np.where(mute, np.uint8(FALLBACK), source))

    @cached_property
    def _alike(self) -> F32:
        """1 for items that are near to one that can be listed, shape (n_items,)."""
        n = dimensions(self.similarities)
        return (np.bincount(self.similarities.indices, minlength=n) > 0).astype(np.float32)


def profiles(model: ItemKNN, memory: Memory, *, telling: bool = False) -> csr_array:
    """Return the items' profiles as columns, shape (n_users or n_terms, n_items), weighted; with `telling`, warn of texts that share no words.

    Raises
    ------
    DataError
        If items are compared by columns that hold nothing, or have no features.
    ConfigError
        If a column is not there or cannot be compared.
    """
    n_items = len(memory.items)
    if not model.content:
        rows = binary(memory.history, n_items)
    else:
        found = [counts for counts, _ in described(model, memory.items)]
        if not any(one.nnz for one in found):
            raise DataError(
                f"content={model.content!r} holds neither a level nor a word of any item; check the columns and their kinds"
            )
        for name, one in zip(model.content, found, strict=True):
            if telling and isinstance(memory.items.features[name], Text):
                say_scarce(repr(name), held_by(one), n_items)
        rows = csr_array(vstack([csr_array(one.T) for one in found]))
    return bm25(rows) if model.similarity == "bm25" else rows


def described(model: ItemKNN, items: Entities) -> list[tuple[csr_array, Vocabulary]]:
    """Return counts (n_items, n_terms) and the terms of every column of `content`.

    Raises
    ------
    DataError
        If the items have no features.
    ConfigError
        If a column is not there or cannot be compared.
    """
    for name in model.content:
        if not items.features:
            raise DataError(
                f"content={model.content!r} needs features of the items and the data have none; "
                "name them with item_features= or leave content empty"
            )
        if name not in items.features:
            raise ConfigError(f"no item feature {name!r}; {did_you_mean(name, items.features)}")
    return [terms(name, items.features[name]) for name in model.content]


def projected(counts: csr_array, theirs: Vocabulary, ours: Vocabulary) -> csr_array:
    """Return counts (n, len(theirs)) in the terms of `ours`, as columns: shape (len(ours), n)."""
    place = ours.rows(theirs.ids)[counts.indices]
    item = np.repeat(np.arange(len(counts.indptr) - 1), np.diff(counts.indptr))
    kept = place != UNKNOWN
    shape = (len(ours), len(counts.indptr) - 1)
    return csr_array((counts.data[kept], (place[kept], item[kept])), shape=shape)


def terms(name: str, column: Column) -> tuple[csr_array, Vocabulary]:
    """Return how often each item has each level or word of a column, shape (n_items, n_terms), and these.

    Raises
    ------
    ConfigError
        If the column holds no levels and no words.
    """
    match column:
        case Bag():
            return column.matrix(), column.levels
        case Category():
            kept = np.flatnonzero(column.codes >= 0)
            ones = np.ones(len(kept), np.float32)
            shape = (len(column), len(column.levels))
            return csr_array((ones, (kept, column.codes[kept])), shape=shape), column.levels
        case Text() if not column.is_path:
            found = words_of(column)
            return found.matrix(), found.distinct
        case _:
            raise ConfigError(
                f"content cannot compare items by {name!r}, which is a {kind_of(column)}; "
                "allowed kinds: category, tags, bag, text"
            )


def bm25(rows: csr_array, base: csr_array | None = None) -> csr_array:
    """Weight counts (n_terms, n), of which a column is a document, by BM25 among the documents of `base` (default: these).

    log(1 + (N - df + 1/2) / (df + 1/2)) * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)).
    """
    base = rows if base is None else base
    n_terms, n_items = base.shape or (0, 0)
    found = np.diff(base.indptr)  # (n_terms,) items that have the term
    rarity = np.log1p((n_items - found + 0.5) / (found + 0.5))
    usual = np.asarray(base.sum(axis=0), np.float64).ravel().mean()
    length = np.asarray(rows.sum(axis=0), np.float64).ravel()
    norm = BM25_K1 * (1 - BM25_B + BM25_B * length / max(usual, 1e-12))
    term = np.repeat(np.arange(n_terms), np.diff(rows.indptr))
    weight = rarity[term] * rows.data * (BM25_K1 + 1) / (rows.data + norm[rows.indices])
    return csr_array((weight.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)


def nearest(model: ItemKNN, rows: csr_array) -> csr_array:
    """Return each item's similarities to its k nearest neighbours, itself left out; (n_items, n_items)."""
    m = int((rows.shape or (0, 0))[1])
    if model.similarity == "jaccard":
        rows = csr_array((np.ones_like(rows.data), rows.indices, rows.indptr), shape=rows.shape)
    squares = np.asarray(rows.multiply(rows).sum(axis=0), np.float32).ravel()
    k = min(model.neighbours, max(m - 1, 1))
    columns, values = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
    for which, block in product_blocks(rows):
        compare(model, block, squares[which], squares)
        block[np.arange(len(block)), np.arange(which.start, which.stop)] = 0.0
        largest(block, k, columns[which], values[which])
    kept = columns >= 0
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    return csr_array((values[kept], columns[kept], indptr), shape=(m, m))


def nearest_of_new(model: ItemKNN, new: csr_array, known: csr_array) -> csr_array:
    """Return the similarities of new items to their k nearest known ones, (j, m); profiles are columns."""
    if model.similarity == "jaccard":
        new, known = (
            csr_array((np.ones_like(one.data), one.indices, one.indptr), shape=one.shape)
            for one in (new, known)
        )
    squares = [
        np.asarray(one.multiply(one).sum(axis=0), np.float32).ravel() for one in (new, known)
    ]
    m = len(squares[1])
    k = min(model.neighbours, m)
    turned = csr_array(new.T)
    parts: list[csr_array] = []
    step = max(1, BLOCK_BYTES // (4 * max(m, 1)))
    for first in range(0, len(squares[0]), step):
        block = (turned[first : first + step] @ known).toarray().astype(np.float32)
        compare(model, block, squares[0][first : first + step], squares[1])
        columns, values = np.empty((len(block), k), np.int32), np.empty((len(block), k), np.float32)
        largest(block, k, columns, values)
        kept = columns >= 0
        indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
        parts.append(csr_array((values[kept], columns[kept], indptr), shape=(len(block), m)))
    return csr_array(vstack(parts, format="csr")) if parts else csr_array((0, m), dtype=np.float32)


def compare(model: ItemKNN, block: F32, own: F32, all_items: F32) -> None:
    """Turn products of profiles (b, m) into similarities, in place.

    `own` (b,) and `all_items` (m,) are the squared lengths of the profiles.
    """
    if model.similarity == "jaccard":
        scale = own[:, None] + all_items[None, :] - block
    else:
        scale = np.sqrt(own)[:, None] * np.sqrt(all_items)[None, :]
    scale += np.float32(model.shrinkage)
    np.divide(block, scale, out=block, where=scale > 0)
