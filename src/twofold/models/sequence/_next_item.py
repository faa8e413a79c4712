"""What models of the next item share: sequences to learn from, and how well the next event is foreseen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import DataError
from twofold.models._base import Memory
from twofold.typing import F32, I32, I64

HELD_OUT = 5000
"""Most held-out events that validation looks at."""


def with_a_next_item(lengths: I64, model: str) -> I64:
    """Return the numbers of the sequences of two events or more, given the lengths (n,) of all.

    Raises
    ------
    DataError
        If there is none.
    """
    found = np.flatnonzero(lengths >= 2)
    if not len(found):
        raise DataError(
            f"{model} learns what follows what, and none of the {len(lengths):,} sequences has two events; "
            "give a log with longer histories, or a wider gap"
        )
    return found.astype(np.int64)


def first_held_out(memory: Memory, validation: Dataset) -> tuple[I32, I32]:
    """Return users and items, in the rows of `memory`, of the first held-out event of each known user with a history.

    Events of unknown users and items are passed over; at most `HELD_OUT` users, shape (n,) each.
    """
    events = validation.interactions
    user = memory.users.ids.rows(validation.users.ids.ids)[events.user]
    item = memory.items.ids.rows(validation.items.ids.ids)[events.item]
    known = np.flatnonzero((user != UNKNOWN) & (item != UNKNOWN))
    known = known[memory.history.lengths[user[known]] > 0]
    first = known[np.unique(user[known], return_index=True)[1]]
    if len(first) > HELD_OUT:
        first = first[np.linspace(0, len(first) - 1, HELD_OUT).astype(np.int64)]
    return user[first].astype(np.int32), item[first].astype(np.int32)


def mean_gain(vectors: F32, items: F32, target: I32) -> float:
    """Return the mean of 1 / log2(1 + rank) of each row's target in the whole catalogue.

    vectors (n, d), items (m, d), target (n,). Of equal scores half count as better.
    """
    total = 0.0
    for first in range(0, len(target), 256):
        part = slice(first, first + 256)
        scores = vectors[part] @ items.T  # (256, m)
        own = scores[np.arange(len(scores)), target[part]][:, None]
        better = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        total += float((1 / np.log2(2 + better)).sum())
    return total / len(target)


def foresight(
    memory: Memory,
    validation: Dataset | None,
    encode: Callable[[Histories], F32],
    items: Callable[[], F32],
) -> Callable[[], float] | None:
    """Return what measures `mean_gain` of the first held-out events, or None where there are none.

    `encode` maps histories to vectors and `items` returns the item vectors, with the weights of the moment.
    """
    if validation is None:
        return None
    users, target = first_held_out(memory, validation)
    if not len(users):
        return None
    histories = memory.history.take(users)
    return lambda: mean_gain(encode(histories), items(), target)
