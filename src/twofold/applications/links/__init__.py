"""Social link prediction: who should be friends, from the graph, from places, from any model's vectors.

>>> import twofold as tw
>>> from twofold.applications import links
>>> log = {"u": ["ann", "bob", "cem", "dan"], "i": ["bar", "bar", "park", "park"]}
>>> friends = {"one": ["ann", "bob", "cem"], "other": ["bob", "cem", "dan"]}
>>> data = tw.Dataset.from_frames(log, user="u", item="i", links=friends)
>>> links.Neighbourhood(by="common_neighbours").fit(data).predict({"a": ["ann"], "b": ["cem"]})["score"].to_list()
[1.0]
"""

from __future__ import annotations

import polars as pl

from twofold.applications.links.deepwalk import DeepWalk, walk_log
from twofold.applications.links.graph import Graph
from twofold.applications.links.holdout import LinkSplit, split
from twofold.applications.links.measures import FEATURES
from twofold.applications.links.measures import GRAPH as MEASURES
from twofold.applications.links.predictors import (
    BASELINES,
    FittedFriendship,
    FittedLinks,
    Friendship,
    LinkEstimator,
    Neighbourhood,
    SharedPlaces,
)
from twofold.applications.links.report import DEFINITIONS, LinkReport, compare
from twofold.applications.links.vectors import OPERATORS, PairsOfVectors
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError
from twofold.models._base import FittedModel
from twofold.typing import Ids, Rng

__all__ = [
    "BASELINES",
    "DEFINITIONS",
    "FEATURES",
    "MEASURES",
    "OPERATORS",
    "DeepWalk",
    "FittedFriendship",
    "FittedLinks",
    "Friendship",
    "Graph",
    "LinkEstimator",
    "LinkReport",
    "LinkSplit",
    "Neighbourhood",
    "PairsOfVectors",
    "SharedPlaces",
    "compare",
    "recommend_friends",
    "split",
    "walk_log",
]


def recommend_friends(
    predictor: FittedLinks | FittedModel,
    users: Ids,
    k: int = 10,
    *,
    data: Dataset | None = None,
    rng: Rng = 0,
) -> pl.DataFrame:
    """Return the `k` likeliest new friends of each user: ``user``, ``rank``, ``friend``, ``score``.

    Parameters
    ----------
    predictor
        A fitted predictor, or a fitted model: its user vectors are then told apart by the links of
        `data`, as `PairsOfVectors` does.
    users
        User ids.
    k
        Length of a list, >= 1.
    data
        The dataset with links, for a fitted model.
    rng
        Seed or generator of the strangers that a model's vectors are told apart from.

    Raises
    ------
    ConfigError
        If `k` is not a positive integer, or a model comes without `data`.
    UnknownIdError
        If a user is not known.
    """
    if isinstance(predictor, FittedModel):
        if data is None:
            raise ConfigError("a model knows no friendships; give data=, a dataset with links")
        predictor = PairsOfVectors(model=predictor).fit(data, rng=rng)
    return predictor.recommend_friends(users, k)
