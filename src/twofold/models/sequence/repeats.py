"""Repeat consumption: any model's scores and what people's own visits say, weighed together.

Where people come back to what they had, how often and how lately they had it says most (Anderson, Kumar, Tomkins &
Vassilvitskii 2014, "The Dynamics of Repeat Consumption", WWW), and what is new to them needs a model. With s(q, i)
the score of a model, n(i) how often item i was had by all, as a share of the most popular one's, and f(q, i) what the
history of the question says of item i, zero for what is new,

    p(i | q) = exp(a s(q, i) + b n(i) + w . f(q, i)) / sum over j,

a conditional logit (McFadden 1974), whose few weights are learned on events that the model was not trained on.

Differs from the papers: Anderson, Kumar, Tomkins & Vassilvitskii (2014, "The Dynamics of Repeat Consumption") fit frequency
("quality") and a free weight for each distance to repeats alone; here distances have one slope, and what is new competes in
the same softmax. The logit is McFadden's (1974). A wrapped model is not its paper's any more: tables name both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array, eye_array, hstack

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import DataError
from twofold.hyperparameters import Search, hyperparameters
from twofold.index.exact import top_k
from twofold.models._around import Around
from twofold.models._base import FittedModel
from twofold.models._parts import estimator_of, table_of
from twofold.models.sequence._repeat_questions import later, questions
from twofold.models.sequence._repeat_visits import VISITS, visits
from twofold.models.sequence._repeat_weights import choices, learned_weights
from twofold.random import generator
from twofold.rank import FALLBACK, FOLD_IN, MODEL, SPARE, Encoded
from twofold.typing import F32, I32, I64, U8, Rng

log = logging.getLogger(__name__)
NAMES = ("score", "popular", *VISITS)
"""What the weights belong to."""


def shares_of(popularity: F32) -> F32:
    """Return the popularity of each item as a share of the largest, (n_items,); all 0 where there is none."""
    return popularity / max(float(popularity.max(initial=0)), 1.0)


def model_table(part: Any) -> dict[str, Any]:
    """Return the model as a table; its hyperparameters are checked."""
    table = table_of(part, "Repeats.model")
    estimator_of(table, "Repeats.model")
    return table


@hyperparameters
class Repeats:
    """Rank what people had before by how often, how lately and after what they had it, beside any model's scores.

    The model is fitted twice: without the last events of everybody, on which the weights are learned, and then on all.
    It says something where people come back to items (places, baskets, songs); keep what was seen in the lists
    (`exclude_seen=False`, or a split that keeps repeats).

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1] * 20 + [2] * 20, "i": list("ab" * 10 + "cd" * 10), "t": list(range(40))}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> model = Repeats(model=tw.models.Popularity(), holdout=0.5).fit(data, rng=0)
    >>> model.recommend(users=[1, 2], k=1, exclude_seen=False)["item"].to_list()
    ['a', 'c']
    """

    model: Annotated[Any, BeforeValidator(model_table)] = Field(
        default_factory=lambda: {"model": "JNTM"}
    )
    """The model that scores what is new, and the rest too: an estimator, kept as a table with the class under ``model``."""
    holdout: Annotated[float, Field(gt=0, lt=1), Search(0.05, 0.3)] = 0.1
    """Share of everybody's last moments on which the weights are learned; at least one of whoever has two."""
    questions: PositiveInt = 10_000
    """Moments that the weights are learned on, at most; drawn where there are more."""
    choices: Annotated[PositiveInt, Search(10, 1000, log=True)] = 20
    """New items that compete in the weights: so many best by the model's score, and so many most popular."""
    ridge: PositiveFloat = 1.0
    """L2 penalty on the weights, in units of each feature's spread."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedRepeats:
        """Fit the model without everybody's last events, the weights on these, and the model on everything.

        Parameters
        ----------
        train
            The log; the order of a user's events is that of time, and where there are no times that of the log.
        validation
            Handed to the model of the whole log; that of the weights gets the held-out events.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, or nobody has two moments.
        """
        random = generator(rng)
        seeds = random.integers(2**31, size=2)
        made = estimator_of(self.model, "Repeats.model")
        held = later(train.interactions, self.holdout)
        if not held.any():
            raise DataError(
                f"Repeats learns from the last moments of people who have two or more, and nobody in this log of "
                f"{len(held):,} events has; check the times, or fit the model by itself"
            )
        early = train.part(np.flatnonzero(~held).astype(np.int64))
        late = train.part(np.flatnonzero(held).astype(np.int64))
        first: FittedModel = made.fit(early, validation=late, rng=int(seeds[0]))
        asked, taken = questions(train, held, first, self.questions, random)
        weights = np.zeros(len(NAMES))
        weights[0] = 1.0
        if len(asked):
            vectors = first.encode(asked).vectors
            found = visits(asked.history, len(first.items), asked.time)

            def scores(start: int, stop: int) -> F32:
                product = vectors[start:stop] @ first.item_vectors.T
                return product if isinstance(product, np.ndarray) else product.toarray()

            popular = shares_of(first.memory.popularity)
            weights = learned_weights(
                choices(scores, popular, taken, found, self.choices), self.ridge
            )
        log.debug("Repeats: %s", dict(zip(NAMES, weights.round(3), strict=True)))
        base: FittedModel = made.fit(train, validation=validation, rng=int(seeds[1]))
        return FittedRepeats(
            estimator=self, memory=base.memory, base=base, weights=weights.astype(np.float32)
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedRepeats(Around):
    """The model's vectors, a number and a sparse row of own visits, against items with popularity and unit vectors."""

    weights: F32
    """Of the model's score, of popularity, and of each of ``VISITS``; shape (9,)."""

    def verify(self) -> None:
        """Refuse weights that are not one for each feature.

        Raises
        ------
        DataError
            Saying how many there are.
        """
        if self.weights.shape != (len(NAMES),):
            raise DataError(
                f"weights have the shape {self.weights.shape}; it must be ({len(NAMES)},)"
            )

    @property
    def item_vectors(self) -> csr_array:
        """Each item as the model has it, its popularity, and a unit vector; shape (n_items, d + 1 + n_items)."""
        return self._vectors

    @cached_property
    def _vectors(self) -> csr_array:
        unit = eye_array(len(self.items), format="csr")
        popular = csr_array(self._popular[:, None])
        parts = [csr_array(self.base.item_vectors), popular, csr_array(unit)]
        return csr_array(hstack(parts, format="csr"), dtype=np.float32)

    @cached_property
    def _popular(self) -> F32:
        return shares_of(self.memory.popularity)

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """The model's own, shape (n_items, d')."""
        return self.base.similarity_vectors

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """What the model reads, and the time, where the log has times."""
        timed = self.memory.history.time is not None
        return {**self.base.context_kinds, **({"time": "time"} if timed else {})}

    @property
    def unknown_user(self) -> F32:
        """The vector of somebody of whom nothing is known, shape (d + 1 + n_items,)."""
        own = np.zeros(len(self.items), np.float32)
        return np.concatenate([self.weights[0] * self.base.unknown_user, self.weights[1:2], own])

    @property
    def unknown_item(self) -> F32:
        """The vector of an item of which nothing is known, shape (d + 1 + n_items,)."""
        return np.concatenate([self.base.unknown_item, np.zeros(1 + len(self.items), np.float32)])

    def lookup(self, users: I32) -> csr_array:
        """Return the vectors of known users, shape (n, d + 1 + n_items)."""
        return self._beside(self.base.lookup(users), self._own(self.memory.history.take(users)))

    def fold_in(self, histories: Histories) -> csr_array:
        """Map histories to vectors, shape (n, d + 1 + n_items)."""
        return self._beside(self.base.fold_in(histories), self._own(histories))

    def resume(self, users: I32, histories: Histories) -> csr_array:
        """Map people by histories that are told, shape (n, d + 1 + n_items)."""
        return self._beside(self.base.resume(users, histories), self._own(histories))

    def encode_features(self, queries: Queries) -> csr_array:
        """Map people known by features or words, whose visits are not known, shape (n, d + 1 + n_items)."""
        return self._beside(
            self.base.encode_features(queries), self._own(Histories.empty(len(queries)))
        )

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as the model does, with their own visits beside."""
        vectors, source, own = self._parts(queries)
        return Encoded(self._beside(vectors, own), source)

    def rank_block(
        self, block: Queries, seen: Histories, banned: I32, k: int
    ) -> tuple[I32, F32, U8]:
        """Return the best items and their scores, (n, k), and how each list was made, (n,).

        The same as by the products of `encode` and `item_vectors`. The model's part is a product of dense arrays where it
        can be; what comes near the list is then scored again in one fixed order, whatever the block.
        """
        vectors, source, own = self._parts(block)
        table, known = self.base.item_vectors, source != FALLBACK
        product = vectors @ table.T
        scores = product if isinstance(product, np.ndarray) else product.toarray()
        visited = own.toarray() + self.weights[1] * self._popular
        scores = np.where(
            known[:, None], self.weights[0] * scores + visited, self.memory.popularity
        )
        near = min(k + SPARE, len(self.items))
        items, best = top_k(scores, seen.indptr, seen.item, banned, near)
        if isinstance(vectors, np.ndarray) and isinstance(table, np.ndarray):
            for place in range(near):
                rows = np.flatnonzero(known & (items[:, place] != UNKNOWN))
                item = items[rows, place]
                exact = np.einsum("nd,nd->n", vectors[rows], table[item])
                best[rows, place] = self.weights[0] * exact + visited[rows, item]
            order = np.lexsort((items, -best), axis=1)
            items, best = np.take_along_axis(items, order, 1), np.take_along_axis(best, order, 1)
        return items[:, :k], best[:, :k], source

    def _parts(self, queries: Queries) -> tuple[F32 | csr_array, U8, csr_array]:
        """Return the model's vectors (n, d), how they were made, and what the visits add (n, n_items)."""
        vectors, source = self.base.encode(queries)
        remembered = np.where(source == MODEL, queries.user, -1).astype(np.int32)
        told = np.where(source == FOLD_IN, np.arange(len(queries)), -1).astype(np.int32)
        own = self._own(self.memory.history.take(remembered), queries.time)
        return vectors, source, csr_array(own + self._own(queries.history.take(told), queries.time))

    def _own(self, histories: Histories, time: I64 | None = None) -> csr_array:
        found = visits(histories, len(self.items), time)
        indptr = np.searchsorted(found.owner, np.arange(len(histories) + 1))
        shape = (len(histories), len(self.items))
        # One order of the sums for any number of visits, which a product of matrices has not.
        worth = np.einsum("nk,k->n", found.values, self.weights[2:])
        return csr_array((worth, found.item, indptr), shape=shape)

    def _beside(self, vectors: F32 | csr_array, own: csr_array) -> csr_array:
        left = csr_array(csr_array(vectors) * self.weights[0])
        popular = csr_array(np.full((len(own.indptr) - 1, 1), self.weights[1]))
        return csr_array(hstack([left, popular, own], format="csr"), dtype=np.float32)
