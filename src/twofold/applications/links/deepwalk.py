"""Random walks over the friendships as a log of sequences, so that any model of sequences embeds people.

Perozzi, Al-Rfou & Skiena (2014), "DeepWalk: Online Learning of Social Representations", KDD, algorithm 1:
`walks` walks of `length` people begin at everybody; skip-gram then takes a walk for a sentence.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from twofold.applications.links.graph import Graph
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError
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
