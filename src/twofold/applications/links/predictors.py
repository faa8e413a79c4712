"""What says how likely two people are friends: scores of the graph and of places, vectors, and all together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import polars as pl
from pydantic import NonNegativeInt, PositiveFloat

from twofold.applications.links import _logistic
from twofold.applications.links.graph import Graph
from twofold.applications.links.holdout import lessons
from twofold.applications.links.measures import GRAPH, Places, pair_features
from twofold.data.dataset import Dataset
from twofold.data.frames import as_frame
from twofold.data.vocabulary import UNKNOWN, as_ids
from twofold.errors import DataError
from twofold.hyperparameters import hyperparameters
from twofold.random import generator
from twofold.recommend import known_people, lists_of_friends
from twofold.typing import F64, I32, Ids, Rng

Measure = Literal[
    "common_neighbours",
    "adamic_adar",
    "jaccard",
    "degree_product",
    "degree_sum",
    "paths_of_three",
    "rooted_pagerank",
]


@runtime_checkable
class LinkEstimator(Protocol):
    """What learns friendships from a dataset with links."""

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedLinks:
        """Return a predictor of friendships."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedLinks(ABC):
    """A predictor of friendships among the users of a dataset."""

    train: Dataset
    graph: Graph
    """The friendships that it knows."""

    @property
    def learned_from(self) -> Graph:
        """The friendships that scores may rest on: those that it knows, and those that its vectors were learned from."""
        return self.graph

    @abstractmethod
    def score(self, pairs: I32) -> F64:
        """Return how likely each pair of user rows (p, 2) is: more is likelier; shape (p,)."""

    def predict(self, pairs: Any) -> pl.DataFrame:
        """Return the pairs, a frame whose first two columns are user ids, with ``score``.

        Raises
        ------
        DataError
            If there are not two columns, or a pair names somebody with themselves.
        UnknownIdError
            If somebody is not among the users.
        """
        frame = as_frame(pairs, "the pairs")
        if frame.width < 2:
            raise DataError(f"pairs need two columns of user ids; got {frame.columns}")
        rows = np.empty((len(frame), 2), np.int32)
        for side in (0, 1):
            ids = as_ids(frame.to_series(side), "pairs")
            rows[:, side] = self.train.users.ids.rows(ids)
            for at in np.flatnonzero(rows[:, side] == UNKNOWN)[:1]:
                self.train.users.ids.row(ids[int(at)], "user")
        for at in np.flatnonzero(rows[:, 0] == rows[:, 1])[:1]:
            raise DataError(
                f"row {at} pairs {frame[int(at), 0]!r} with themselves; name two different people"
            )
        return frame.with_columns(score=pl.Series(self.score(rows), dtype=pl.Float64))

    def recommend_friends(self, users: Ids, k: int = 10) -> pl.DataFrame:
        """Return the `k` likeliest new friends of each user: ``user``, ``rank``, ``friend``, ``score``.

        Everybody but the user and the friends they have is a candidate; ties go to the lower row.

        Raises
        ------
        ConfigError
            If `k` is not a positive integer, or `users` is a single id.
        UnknownIdError
            If a user is not known.
        """
        ids = self.train.users.ids
        rows = known_people(ids, users, k)
        friends = np.full((len(rows), min(int(k), len(ids))), -1, np.int32)
        scores = np.zeros(friends.shape)
        for at, row in enumerate(rows):
            found, best = self.best(int(row), int(k))
            friends[at, : len(found)], scores[at, : len(found)] = found, best
        return lists_of_friends(ids, rows, friends, scores)

    def best(self, user: int, k: int) -> tuple[I32, F64]:
        """Return the rows of the `k` likeliest new friends of a user row, best first, and their scores."""
        free = np.ones(self.graph.n, np.bool_)
        free[user] = False
        free[self.graph.neighbours[self.graph.indptr[user] : self.graph.indptr[user + 1]]] = False
        others = np.flatnonzero(free).astype(np.int32)
        scores = self.score(np.column_stack([np.full(len(others), user, np.int32), others]))
        order = np.argsort(-scores, kind="stable")[:k]
        return others[order], scores[order]


# ---- scores that learn nothing --------------------------------------------------------------------


@hyperparameters
class Neighbourhood:
    """A measure of the friendship graph alone, as Liben-Nowell & Kleinberg (2007) compare them.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": ["ann", "bob", "cem", "dan"], "i": [1, 1, 1, 1]}
    >>> friends = {"one": ["ann", "bob", "cem"], "other": ["bob", "cem", "dan"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", links=friends)
    >>> Neighbourhood().fit(data).recommend_friends(["ann"], k=1)["friend"].to_list()
    ['cem']
    """

    by: Measure = "adamic_adar"
    """The measure; see `twofold.applications.links.measures`."""

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedLinks:
        """Return the measure on the friendships of `train`; nothing is learned."""
        del rng
        return _ByMeasure(train=train, graph=Graph.of_dataset(train), by=self.by)


@dataclass(frozen=True, eq=False, kw_only=True)
class _ByMeasure(FittedLinks):
    by: Measure

    def score(self, pairs: I32) -> F64:
        return GRAPH[self.by](self.graph, pairs)


@hyperparameters
class SharedPlaces:
    """The items that two people both have: places they visit, artists they play."""

    by_rarity: bool = False
    """Weigh an item by 1 / log(1 + people who have it), so that the airport tells less than a small bar."""

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedLinks:
        """Return the count on the log of `train`; nothing is learned."""
        del rng
        graph = Graph.of_dataset(train)
        return _ByPlaces(train=train, graph=graph, places=Places.of(train), rare=self.by_rarity)


@dataclass(frozen=True, eq=False, kw_only=True)
class _ByPlaces(FittedLinks):
    places: Places
    rare: bool

    def score(self, pairs: I32) -> F64:
        return self.places.shared_by_rarity(pairs) if self.rare else self.places.shared(pairs)


BASELINES: dict[str, LinkEstimator] = {
    "common neighbours": Neighbourhood(by="common_neighbours"),
    "Adamic-Adar": Neighbourhood(by="adamic_adar"),
    "Jaccard": Neighbourhood(by="jaccard"),
    "degrees, product": Neighbourhood(by="degree_product"),
    "degrees, sum": Neighbourhood(by="degree_sum"),
    "rooted PageRank": Neighbourhood(by="rooted_pagerank"),
    "shared places": SharedPlaces(),
    "shared places by rarity": SharedPlaces(by_rarity=True),
}
"""Scores that any predictor should be above."""


# ---- everything together --------------------------------------------------------------------------


@hyperparameters
class Friendship:
    """Logistic regression on what is known of a pair: graph, places, hours; see `FEATURES`.

    It learns from the known friendships alone: each fifth of them is hidden in turn, the features of
    the hidden pairs are taken on the rest of the graph, and are told from those of pairs of strangers.
    A pair of whom hiding has left one without any friend is passed over.
    """

    knots: NonNegativeInt = 4
    """Places where the effect of a feature may bend, at quantiles; 0 = plain logistic regression."""
    reg: PositiveFloat = 1.0
    """L2 penalty on the weights, of columns of unit spread."""

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedFriendship:
        """Learn from the friendships of `train`.

        Raises
        ------
        DataError
            If there are no friendships, or too few to hide any.
        MissingDependencyError
            If scikit-learn is not installed.
        """
        graph, places = Graph.of_dataset(train), Places.of(train)
        taught = [
            (pair_features(rest, places, pairs), is_link)
            for rest, pairs, is_link in lessons(graph, generator(rng))
        ]
        x = np.concatenate([np.column_stack(list(one.values())) for one, _ in taught])
        label = np.concatenate([one for _, one in taught])
        return FittedFriendship(
            train=train,
            graph=graph,
            places=places,
            features=tuple(taught[0][0]),
            regression=_logistic.fit(x, label, knots=self.knots, reg=self.reg),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedFriendship(FittedLinks):
    """What `Friendship` learned; scores are log odds among as many strangers as friends."""

    places: Places
    features: tuple[str, ...]
    regression: _logistic.Additive = field(repr=False)

    def score(self, pairs: I32) -> F64:
        """Return the log odds of each pair of user rows (p, 2); shape (p,)."""
        return self.regression.score(self._features(pairs))

    def _features(self, pairs: I32) -> F64:
        return np.column_stack(list(pair_features(self.graph, self.places, pairs).values()))

    def explain(self, user: Any, friend: Any) -> pl.DataFrame:
        """Return by how much each feature moves the log odds of a pair from the average: feature, value, effect.

        Raises
        ------
        UnknownIdError
            If one of the two is not known.
        """
        ids = self.train.users.ids
        pair = np.array([[ids.row(user, "user"), ids.row(friend, "user")]], np.int32)
        x = self._features(pair)
        columns = (_logistic.hinges(x, self.regression.knots) - self.regression.mean)[0]
        effect = columns / self.regression.scale * self.regression.weight
        of_feature = effect[: x.shape[1]] + effect[x.shape[1] :].reshape(x.shape[1], -1).sum(axis=1)
        order = np.argsort(-np.abs(of_feature), kind="stable")
        return pl.DataFrame(
            {
                "feature": [self.features[at] for at in order],
                "value": x[0, order],
                "effect": of_feature[order],
            }
        )
