"""Friendships from the vectors of two people, by any model that has them.

Zhou, Zhao, Zhang, Wen & Wang (2016) represent a pair by the Hadamard product of two user embeddings and
classify it by logistic regression; the operators are those of Grover & Leskovec (2016), "node2vec", KDD,
table 1:

    hadamard  x_a * x_b      average  (x_a + x_b) / 2      l1  |x_a - x_b|      l2  (x_a - x_b)^2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from twofold.applications.links import _logistic
from twofold.applications.links.graph import Graph, strangers
from twofold.applications.links.predictors import FittedLinks
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.expected import check_fitted
from twofold.models._base import FittedModel
from twofold.random import generator
from twofold.typing import F64, I32, I64, Rng

Operator = Literal["hadamard", "average", "l1", "l2"]
OPERATORS: Mapping[str, Callable[[F64, F64], F64]] = {
    "hadamard": lambda a, b: a * b,
    "average": lambda a, b: (a + b) / 2,
    "l1": lambda a, b: np.abs(a - b),
    "l2": lambda a, b: (a - b) ** 2,
}
"""From two vectors (p, d) to the features of the pair (p, d)."""
MOST_COORDINATES = 4096
"""Vectors with more coordinates, as EASE and ItemKNN have one an item, are refused."""
BLOCK = 65_536
"""Pairs whose vectors are gathered at once."""


@runtime_checkable
class LearnedFriends(Protocol):
    """A fitted model that learned its vectors from friendships too, as JNTM does."""

    @property
    def learned_friendships(self) -> I32:
        """Pairs of its user rows, shape (m, 2)."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsOfVectors:
    """Logistic regression on an operator over the vectors of two people.

    The friendships that `train` knows are told from as many pairs of strangers; the vectors stay as
    they are. A model that was itself trained on these friendships has seen the answers of its lessons;
    `DeepWalk` keeps some from its walks for that reason.
    """

    model: FittedModel
    """Any fitted model with user vectors."""
    operator: Operator = "hadamard"
    """How two vectors become the features of a pair."""
    of: Literal["users", "items"] = "users"
    """Where a person's vector stands: ``items`` for a model of `walk_log`, whose items are people."""
    reg: float = 1.0
    """L2 penalty on the weights, of columns of unit spread, > 0."""

    def __post_init__(self) -> None:
        check_fitted(self.model, type(self).__name__)
        if self.operator not in OPERATORS:
            raise ConfigError(
                f"operator got {self.operator!r}; {did_you_mean(self.operator, OPERATORS)}"
            )
        if self.of not in ("users", "items"):
            raise ConfigError(f"of got {self.of!r}; {did_you_mean(self.of, ('users', 'items'))}")
        if isinstance(self.reg, bool) or not isinstance(self.reg, int | float) or not self.reg > 0:
            raise ConfigError(f"reg must be a number > 0; got {self.reg!r}")

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedLinks:
        """Learn the weights of the coordinates.

        Raises
        ------
        ConfigError
            If the vectors are sparse and have too many coordinates.
        DataError
            If there are no friendships, or nobody of `train` is known to the model.
        MissingDependencyError
            If scikit-learn is not installed.
        """
        return self.learn(train, Graph.of_dataset(train).pairs, rng=rng)

    def learn(self, train: Dataset, friends: I32, *, rng: Rng = None) -> FittedLinks:
        """Learn from some of the friendships of `train`, pairs of user rows (m, 2), alone; see `fit`."""
        graph = Graph.of_dataset(train)
        vectors = people(self.model, train) if self.of == "users" else nodes(self.model, train)
        room = graph.n * (graph.n - 1) // 2 - len(graph)
        apart = strangers(graph.n, min(len(friends), room), (graph,), generator(rng))
        pairs = np.concatenate([friends, apart])
        if not len(apart):
            raise DataError(
                f"all {graph.n:,} people are friends with each other; there is nothing to tell apart"
            )
        x = OPERATORS[self.operator](vectors[pairs[:, 0]], vectors[pairs[:, 1]])
        label = np.arange(len(pairs)) < len(friends)
        return _ByVectors(
            train=train,
            graph=graph,
            vectors=vectors,
            operator=self.operator,
            regression=_logistic.fit(x, label, knots=0, reg=self.reg),
            lessons=lessons(self.model, train),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class _ByVectors(FittedLinks):
    vectors: F64 = field(repr=False)  # (n, d)
    operator: Operator
    regression: _logistic.Additive = field(repr=False)
    lessons: Graph = field(repr=False)
    """The friendships that the model itself was trained on."""

    @property
    def learned_from(self) -> Graph:
        return Graph.of(self.graph.n, np.concatenate([self.graph.pairs, self.lessons.pairs]))

    def score(self, pairs: I32) -> F64:
        out = np.empty(len(pairs))
        combine = OPERATORS[self.operator]
        for first in range(0, len(pairs), BLOCK):
            part = pairs[first : first + BLOCK]
            out[first : first + BLOCK] = self.regression.score(
                combine(self.vectors[part[:, 0]], self.vectors[part[:, 1]])
            )
        return out


def lessons(model: FittedModel, data: Dataset) -> Graph:
    """Return the friendships that a model learned from, among the users of `data`."""
    learned = [np.zeros((0, 2), np.int32)]
    learned += [
        data.users.ids.rows(one.users.ids.ids)[one.learned_friendships]
        for one in within(model)
        if isinstance(one, LearnedFriends)
    ]
    pairs = np.concatenate(learned)
    return Graph.of(data.n_users, pairs[(pairs != UNKNOWN).all(axis=1)].astype(np.int32))


def within(model: FittedModel) -> Iterator[FittedModel]:
    """Return a model and the models that it is made of, as those of a pipeline."""
    yield model
    for one in fields(model):
        held = getattr(model, one.name)
        for part in held if isinstance(held, tuple) else (held,):
            if isinstance(part, FittedModel):
                yield from within(part)


def people(model: FittedModel, data: Dataset) -> F64:
    """Return the vectors of the users of `data`, shape (n_users, d).

    Somebody whom the model does not know is folded in from what they did; who did nothing with a
    known item gets the vector of an empty history.

    Raises
    ------
    ConfigError
        If the vectors are sparse, with more than ``MOST_COORDINATES`` coordinates.
    """
    rows = model.users.ids.rows(data.users.ids.ids)
    known = rows != UNKNOWN
    d = (model.item_vectors.shape or (0, 0))[1]
    if d > MOST_COORDINATES:
        raise ConfigError(
            f"{type(model.estimator).__name__} has user vectors of {d:,} coordinates, and "
            f"{MOST_COORDINATES:,} are the most: take a model with factors, such as IALS"
        )
    out = np.zeros((data.n_users, d))
    out[known] = _dense(model.lookup(rows[known]))
    if not known.all():
        out[~known] = _dense(model.fold_in(_histories(model, data, np.flatnonzero(~known))))
    return out


def nodes(model: FittedModel, data: Dataset) -> F64:
    """Return the vectors of the items of a model whose items are the users of `data`, shape (n_users, d).

    People who are not among the items get zeros.

    Raises
    ------
    DataError
        If none of the users is an item of the model.
    """
    rows = model.items.ids.rows(data.users.ids.ids.cast(model.items.ids.ids.dtype, strict=False))
    known = rows != UNKNOWN
    if not known.any():
        raise DataError(
            "none of the users is an item of the model; fit it on links.walk_log of the same data"
        )
    vectors = _dense(model.similarity_vectors)
    out = np.zeros((data.n_users, vectors.shape[1]))
    out[known] = vectors[rows[known]]
    return out


def _histories(model: FittedModel, data: Dataset, users: I64) -> Histories:
    own = Histories.of(data.interactions).take(users)
    items = model.items.ids.rows(data.items.ids.ids)[own.item]
    kept = items != UNKNOWN
    ends = np.concatenate([[0], np.cumsum(kept)])[own.indptr]
    time = None if own.time is None else own.time[kept]
    return Histories(ends.astype(np.int64), items[kept], own.value[kept], time)


def _dense(vectors: object) -> F64:
    made = vectors if isinstance(vectors, np.ndarray) else vectors.toarray()  # type: ignore[attr-defined]
    return np.asarray(made, np.float64)
