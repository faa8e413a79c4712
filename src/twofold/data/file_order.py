"""What the order of a file says where times say nothing: often that of its ids, which is no order of events."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Interactions
from twofold.errors import DataWarning
from twofold.typing import I32, I64

NEIGHBOURS, SORTED = 200, 0.95
"""Neighbouring events that tell whether a file is sorted, at least, and how many of them are in the order of their ids then."""


def sorted_share(events: Interactions) -> float | None:
    """Return how many neighbouring events of a user are in the order of their item ids, up or down, in [0.5, 1].

    None where times say what came first, or fewer than `NEIGHBOURS` events have a neighbour with another item.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> sorted_share(planted_log().interactions) is None
    True
    """
    if events.time is not None:
        return None
    step = np.diff(events.item.astype(np.int64))[np.diff(events.user) == 0]
    step = step[step != 0]
    if len(step) < NEIGHBOURS:
        return None
    up = float((step > 0).mean())
    return max(up, 1 - up)


def check_order(events: Interactions, model: str) -> None:
    """Warn where `model`, which learns the order of events, is given a log without times whose file is sorted by item."""
    share = sorted_share(events)
    if share is not None and share >= SORTED:
        warnings.warn(
            f"{model} learns the order of events, and this log has no times: {share:.0%} of what follows in it "
            "follows by its item id, so the file looks sorted; name the column of times, or use a model that "
            "reads no order, such as IALS",
            DataWarning,
            stacklevel=3,
        )


def in_drawn_order(data: Dataset, rng: np.random.Generator) -> Dataset:
    """Return the log with the events of one user and moment in an order drawn at random; without times all that a user did is one moment.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> log = planted_log()  # no two events of one moment
    >>> drawn = in_drawn_order(log, np.random.default_rng(0))
    >>> bool((drawn.interactions.item == log.interactions.item).all())
    True
    """
    events = data.interactions
    moment = events.user if events.time is None else events.moments
    return replace(data, interactions=events.take(drawn_within(moment, rng)))


def drawn_within(group: I64 | I32, rng: np.random.Generator) -> I64:
    """Return the positions of elements whose groups (n,) ascend, those of one group in random order; shape (n,).

    Example
    -------
    >>> drawn = drawn_within(np.array([0, 0, 0, 1, 1]), np.random.default_rng(0))
    >>> sorted(drawn[:3].tolist()), sorted(drawn[3:].tolist())
    ([0, 1, 2], [3, 4])
    """
    return np.argsort(group + rng.random(len(group)), kind="stable")
