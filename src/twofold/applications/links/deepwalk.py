"""Random walks over the friendships as a log of sequences, so that any model of sequences embeds people.

Perozzi, Al-Rfou & Skiena (2014), "DeepWalk: Online Learning of Social Representations", KDD, algorithm 1:
`walks` walks of `length` people begin at everybody; skip-gram then takes a walk for a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from twofold.applications.links.graph import Graph
from twofold.applications.links.holdout import directed
from twofold.applications.links.predictors import FittedLinks
from twofold.applications.links.vectors import Operator, PairsOfVectors
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError
from twofold.kernels.walks import random_walks
from twofold.random import generator, kernel_seed
from twofold.typing import Rng


def walk_log(data: Dataset, *, walks: int = 10, length: int = 40, rng: Rng = None) -> Dataset:
    """Return random walks over the links of `data`: a walk is a user, its people are the items, in order.

    Parameters
    ----------
    data
        A dataset with links.
    walks
        Walks that begin at each person who has a friend, >= 1; DeepWalk has 80.
    length
        People in a walk, >= 2; DeepWalk has 40.
    rng
        Seed or generator; the same seed gives the same walks for every number of threads.

    Raises
    ------
    ConfigError
        If `walks` or `length` is too small.
    DataError
        If there are no friendships.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": ["ann", "bob", "cem"], "i": [1, 1, 1]}
    >>> friends = {"one": ["ann", "bob"], "other": ["bob", "cem"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", links=friends)
    >>> walk_log(data, walks=1, length=3, rng=0).frame()["item"].to_list()[:2]
    ['ann', 'bob']
    """
    for name, given, least in (("walks", walks, 1), ("length", length, 2)):
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
            raise ConfigError(f"{name} must be an integer >= {least}; got {given!r}")
    graph, random = Graph.of_dataset(data), generator(rng)
    friendly = np.flatnonzero(graph.degrees > 0).astype(np.int32)
    made = np.empty((len(friendly) * walks, length), np.int32)
    random_walks(
        graph.indptr, graph.neighbours, np.tile(friendly, walks), kernel_seed(random), made
    )
    count = len(made)
    people = data.users.take(friendly)
    row = np.full(graph.n, -1, np.int32)
    row[friendly] = np.arange(len(friendly), dtype=np.int32)
    events = Interactions(
        user=np.repeat(np.arange(count, dtype=np.int32), length),
        item=row[made].ravel(),
        value=np.ones(made.size, np.float32),
        time=np.tile(np.arange(length, dtype=np.int64), count),
        n_users=count,
        n_items=len(friendly),
        has_value=False,
    )
    return Dataset(
        events, Entities(Vocabulary(pl.Series(np.arange(count, dtype=np.int64)))), people
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class DeepWalk:
    """Vectors of people from random walks over their friendships, and a logistic regression on pairs of them.

    A share of the friendships is kept from the walks, and is what the regression learns from, so that
    it does not learn from answers that the vectors have seen.
    """

    embed: Any
    """What embeds the people of a walk: an estimator of sequences, such as Token2Vec (skip-gram)."""
    walks: int = 10
    """Walks that begin at each person, >= 1."""
    length: int = 40
    """People in a walk, >= 2."""
    hidden: float = 0.2
    """Share of the friendships that the walks do not take, between 0 and 1."""
    operator: Operator = "hadamard"
    """How two vectors become the features of a pair."""

    def fit(self, train: Dataset, *, rng: Rng = None) -> FittedLinks:
        """Walk, embed, and learn the weights of the coordinates.

        Raises
        ------
        ConfigError
            If a setting is out of range.
        DataError
            If there are too few friendships.
        """
        if not isinstance(self.hidden, float) or not 0 < self.hidden < 1:
            raise ConfigError(f"hidden must be a share between 0 and 1; got {self.hidden!r}")
        graph = Graph.of_dataset(train)
        walking, embedding, choosing, learning = generator(rng).spawn(4)
        count = max(1, round(self.hidden * len(graph)))
        if count >= len(graph):
            raise DataError(
                f"{len(graph):,} known friendship is too few to keep one from the walks; give more, or take a "
                "score that learns nothing, such as links.Neighbourhood()"
            )
        hidden = graph.pairs[np.sort(choosing.choice(len(graph), count, replace=False))]
        rest = replace(train, links=directed(graph.without(hidden)))
        log = walk_log(rest, walks=self.walks, length=self.length, rng=walking)
        model = self.embed.fit(log, rng=kernel_seed(embedding))
        pairs = PairsOfVectors(model=model, operator=self.operator, of="items")
        return pairs.learn(train, hidden, rng=learning)
