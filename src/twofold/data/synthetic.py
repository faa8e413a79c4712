"""Generated logs: the shape of MovieLens at any size, with tastes that a model can find.

A user is a mixture of tastes, a taste a distribution over items: popularity (Zipf and Mandelbrot's law)
times how much of the item belongs to the taste. Ratings follow biases and the same tastes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from twofold.data.columns import Bag
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError
from twofold.kernels.sample_log import draw_items, draw_values_and_times, fill_alias_tables
from twofold.random import generator, kernel_seed
from twofold.typing import F32, F64, I64, Rng

POPULARITY_EXPONENT, POPULARITY_SHIFT = 2.5, 400.0
"""An item's weight falls as (rank + shift)^-exponent, close to MovieLens 1M; the
shift is at most a tenth of the catalogue."""
FEWEST_EVENTS = 20
"""MovieLens keeps users with 20 ratings or more."""
ACTIVITY_SPREAD = 1.38
"""Standard deviation of the logarithm of a user's further events, as in MovieLens 20M."""
CONCENTRATION = 3.0
"""Dirichlet concentration of a user, and of an item, over all tastes: a few tastes matter to each.

At 3, popularity is as good and a personal model as much better as on MovieLens 1M."""
SMALL_CONCENTRATION = 0.8
"""Clear tastes, so that a small log suffices to find them."""
TAG_SHARE = 0.2
"""An item is tagged with the tastes that hold at least this share of it."""
RATING_MEAN, USER_SPREAD, ITEM_SPREAD, LIKING_SPREAD, NOISE = 3.5, 0.4, 0.4, 0.8, 0.75
"""Ratings: mean and standard deviations of user biases, item biases, likings and noise."""
LIKING_AXES = 8
"""Tastes like items along so many axes, the first of which tell most, as in MovieLens 1M."""
FIRST_TIME, SPAN, PACE = 1_100_000_000, 15 * 365 * 86_400, 14 * 86_400.0
"""First second, seconds in which users begin, mean seconds between two sessions."""
GROUPS = 64
"""Groups of users that are drawn at once; does not change the log."""


def movielens_like(
    n_users: int = 138_000,
    n_items: int = 27_000,
    n_events: int = 20_000_000,
    factors: int = 40,
    rng: Rng = 0,
) -> Dataset:
    """Return a log in the shape of MovieLens 20M: distinct pairs with ratings and times.

    Parameters
    ----------
    n_users, n_items
        At least 2 each. User ids are 1 ... n_users, item ids 1 ... n_items; items that nobody met
        stay in the catalogue.
    n_events
        Events, exactly; at most half of all pairs, at least one a user.
    factors
        Planted tastes, 1 ... 1,000; items carry the tags ``taste 1`` ... of those they belong to.
    rng
        Seed or generator; the same seed gives the same log for every number of threads.

    Raises
    ------
    ConfigError
        If the sizes do not fit together.

    Example
    -------
    >>> data = movielens_like(n_users=50, n_items=40, n_events=500, factors=4)
    >>> data.n_users, data.n_items, len(data)
    (50, 40, 500)
    """
    return generate(n_users, n_items, n_events, factors, CONCENTRATION, rng)


def generate(
    n_users: int, n_items: int, n_events: int, factors: int, concentration: float, rng: Rng
) -> Dataset:
    """Return a log; see `movielens_like`."""
    check_sizes(n_users, n_items, n_events, factors)
    random = generator(rng)
    lengths = activity(n_users, n_events, n_items // 2, random)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tastes = plant(n_users, n_items, factors, concentration, random)
    item = np.empty(n_events, np.int32)
    chance = np.empty(tastes.choice.shape, np.float32)
    alias = np.empty(tastes.choice.shape, np.int32)
    fill_alias_tables(tastes.choice, chance, alias)
    draw_items(kernel_seed(random), indptr, tastes.mixture, chance, alias, GROUPS, item)
    value, time = np.empty(n_events, np.float32), np.empty(n_events, np.int64)
    user_bias = random.normal(RATING_MEAN, USER_SPREAD, n_users).astype(np.float32)
    item_bias = random.normal(0, ITEM_SPREAD, n_items).astype(np.float32)
    draw_values_and_times(
        kernel_seed(random), indptr, item, tastes.mixture, tastes.liking, user_bias, item_bias,
        NOISE, FIRST_TIME, SPAN, PACE, value, time,
    )  # fmt: skip
    user = np.repeat(np.arange(n_users, dtype=np.int32), lengths)
    events = Interactions(user, item, value, time, n_users, n_items)
    return Dataset(
        interactions=events,
        users=Entities(numbered(n_users)),
        items=Entities(numbered(n_items), {"tastes": tags(tastes.belonging)}),
    )


def small_log(rng: Rng = 0) -> Dataset:
    """Return a log of 600 users, 400 items and 12,000 events, for when no data can be reached.

    Example
    -------
    >>> len(small_log())
    12000
    """
    return generate(600, 400, 12_000, 8, SMALL_CONCENTRATION, rng)


def check_sizes(n_users: int, n_items: int, n_events: int, factors: int) -> None:
    """Refuse sizes that no log can have.

    Raises
    ------
    ConfigError
        Naming the size and what is allowed.
    """
    if n_users < 2 or n_items < 2:
        raise ConfigError(f"n_users and n_items must be >= 2; got {n_users} and {n_items}")
    most = n_users * (n_items // 2)
    if not n_users <= n_events <= most:
        raise ConfigError(
            f"n_events must lie between n_users = {n_users:,} and half of all pairs = {most:,}; "
            f"got {n_events:,}"
        )
    if not 1 <= factors <= 1000:
        raise ConfigError(f"factors must lie between 1 and 1,000; got {factors}")


def activity(n_users: int, n_events: int, most: int, rng: np.random.Generator) -> I64:
    """Return how many events each user has, 1 ... `most`, exactly `n_events` in all; (n_users,)."""
    fewest = min(FEWEST_EVENTS, max(1, n_events // n_users // 2))
    share = rng.lognormal(0.0, ACTIVITY_SPREAD, n_users)
    lengths = np.full(n_users, fewest, np.int64)
    while (missing := n_events - int(lengths.sum())) > 0:
        room = most - lengths
        free = room > 0
        more = np.floor(missing * share * free / share[free].sum()).astype(np.int64)
        if not more.any():
            more[np.argsort(-share * free, kind="stable")[: min(missing, int(free.sum()))]] = 1
        lengths += np.minimum(more, room)
    return lengths


class Tastes(NamedTuple):
    """What is planted, for k tastes."""

    mixture: F32  # (n_users, k) cumulative shares of the tastes of a user, the last one 1
    choice: F64  # (k, n_items) how likely each taste takes each item; rows sum to 1
    belonging: F64  # (n_items, k) how much of an item belongs to each taste; rows sum to 1
    liking: F32  # (k, n_items) how much each taste adds to the rating of each item


def plant(
    n_users: int, n_items: int, k: int, concentration: float, rng: np.random.Generator
) -> Tastes:
    """Draw tastes, and what they mean for choice and rating."""
    rank = rng.permutation(n_items)
    shift = min(POPULARITY_SHIFT, 0.1 * n_items)
    popularity = (rank + shift) ** -POPULARITY_EXPONENT
    belonging = rng.dirichlet(np.full(k, concentration / k), n_items)
    choice = popularity * (belonging.T + 1e-3 / k)
    mixture = rng.dirichlet(np.full(k, concentration / k), n_users)
    mixture = np.cumsum(mixture, axis=1, dtype=np.float64).astype(np.float32)
    mixture[:, -1] = 1.0
    scale = np.arange(1, LIKING_AXES + 1) ** -0.5
    scale *= LIKING_SPREAD / np.linalg.norm(scale)
    of_tastes = rng.standard_normal((k, LIKING_AXES)) * scale
    liking = of_tastes @ rng.standard_normal((LIKING_AXES, n_items))
    return Tastes(
        mixture,
        choice / choice.sum(axis=1, keepdims=True),
        belonging,
        liking.astype(np.float32),
    )


def tags(belonging: F64) -> Bag:
    """Return the tastes that hold at least ``TAG_SHARE`` of each item, as a column of tags."""
    item, taste = np.nonzero(belonging >= TAG_SHARE)
    lengths = np.bincount(item, minlength=len(belonging))
    levels = Vocabulary(pl.Series([f"taste {k + 1}" for k in range(belonging.shape[1])]))
    return Bag(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        taste.astype(np.int32),
        np.ones(len(item), np.float32),
        levels,
        is_tags=True,
    )


def numbered(n: int) -> Vocabulary:
    """Return the ids 1 ... n."""
    return Vocabulary(pl.Series(np.arange(1, n + 1, dtype=np.int64)))
