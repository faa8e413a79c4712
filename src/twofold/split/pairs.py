"""The (user, item) pairs of a log: numbered, and looked up in other logs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories, Interactions
from twofold.kernels import pairs as kernels
from twofold.typing import F64, I32, I64, U8, Bool


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distinct pairs of a log, by user and then item."""

    indptr: I64
    """Where each user's pairs start, (n_users + 1,)."""
    of_event: I64
    """The pair of every event, (n,)."""

    def __len__(self) -> int:
        return int(self.indptr[-1])

    @property
    def size(self) -> I64:
        """How many pairs the user of each pair has; (n_pairs,)."""
        lengths = np.diff(self.indptr)
        return np.repeat(lengths, lengths)

    @property
    def user(self) -> I64:
        """The user of each pair; (n_pairs,)."""
        lengths = np.diff(self.indptr)
        return np.repeat(np.arange(len(lengths)), lengths)

    def rank(self, key: F64) -> I64:
        """Return the rank of each pair among its user's by `key` (n_pairs,), from 0."""
        rank = np.empty(len(self), np.int64)
        kernels.rank_within_runs(self.indptr, key, rank)
        return rank

    @classmethod
    def of(cls, events: Interactions) -> Pairs:
        """Number the pairs of a log."""
        return cls.of_ragged(events.indptr, events.item)

    @classmethod
    def of_ragged(cls, indptr: I64, item: I32) -> Pairs:
        """Number the distinct items of each user of a ragged array."""
        number = np.empty(len(item), np.int64)
        count = np.empty(len(indptr) - 1, np.int64)
        kernels.number_within(indptr, item, number, count)
        starts = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        number += np.repeat(starts[:-1], np.diff(indptr))
        return cls(starts, number)


def repeated(events: Interactions, part: U8) -> Bool:
    """Say for each event whether an earlier part, of smaller code, has its pair; shape (n,)."""
    found = np.empty(len(events), np.bool_)
    kernels.mark_repeated(events.indptr, events.item, events.n_items, part, found)
    return found


def repeated_moments(events: Interactions, part: U8) -> Bool:
    """Say for each event whether an earlier part, of smaller code, has its pair at its time; shape (n,)."""
    found = np.zeros(len(events), np.bool_)
    if events.time is None or len(events) < 2:
        return found
    group = events.moments
    first = np.flatnonzero(np.diff(group, prepend=-1))
    low, high = np.minimum.reduceat(part, first), np.maximum.reduceat(part, first)
    split_up = np.flatnonzero((low < high)[group])
    order = split_up[np.lexsort((part[split_up], events.item[split_up], group[split_up]))]
    if len(order):
        begins = np.ones(len(order), np.bool_)
        begins[1:] = (np.diff(group[order]) != 0) | (np.diff(events.item[order]) != 0)
        least = part[order][begins][np.cumsum(begins) - 1]
        found[order] = part[order] > least
    return found


def translations(source: Dataset, target: Dataset) -> tuple[I32, I32]:
    """Return the rows in `target` of the users and of the items of `source`."""
    return target.users.ids.rows(source.users.ids.ids), target.items.ids.rows(source.items.ids.ids)


def same_pairs(part: Dataset, other: Dataset, *, same_time: bool = False) -> Bool:
    """Say for each event of `part` whether `other` has its pair, or its pair at its time; shape (n,).

    Where one of them has no times, pairs are compared without them.
    """
    users, items = translations(part, other)
    found = remembered_pairs(
        part.interactions, users, items, other.n_items, Histories.of(other.interactions)
    )
    if same_time:
        at_their_time(part.interactions, users, items, Histories.of(other.interactions), found)
    return found


def at_their_time(
    events: Interactions, users: I32, items: I32, history: Histories, found: Bool
) -> None:
    """Keep `found` (n,), as `remembered_pairs` returns it, where the history has the pair at the event's time; nothing changes where one has no times."""
    if events.time is not None and history.time is not None:
        kernels.mark_same_time(
            events.indptr, events.item, events.time, users, items,
            history.indptr, history.item, history.time, found,
        )  # fmt: skip


def remembered_pairs(
    events: Interactions, users: I32, items: I32, n_items: int, history: Histories
) -> Bool:
    """Say for each event whether a history of the user has the item; shape (n,).

    `users` (n_users,) and `items` hold the rows in the histories, -1 = unknown; `n_items` counts theirs.
    """
    return shared_pairs(events.indptr, events.item, users, items, n_items, history)


def shared_pairs(
    indptr: I64, item: I32, users: I32, items: I32, n_items: int, history: Histories
) -> Bool:
    """Say for each item of a ragged array whether a history of its user has it; see `remembered_pairs`."""
    found = np.empty(len(item), np.bool_)
    kernels.mark_shared(indptr, item, users, items, n_items, history.indptr, history.item, found)
    return found
