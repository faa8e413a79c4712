"""Who did what, when: the log as dense arrays in user-time order, with cached sparse views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Column, ragged, within
from twofold.errors import DataError
from twofold.typing import F32, I32, I64, Bool


@dataclass(frozen=True, eq=False)
class Interactions:
    """One entry per event; sorted by user, then time, then the order they were read in.

    ``value`` is 1 everywhere and ``has_value`` false where the log has no rating or count.
    ``time`` is seconds since 1970 UTC, or None where the log has no times.
    """

    user: I32  # (n,) rows of the users
    item: I32  # (n,) rows of the items
    value: F32  # (n,)
    time: I64 | None  # (n,)
    n_users: int
    n_items: int
    has_value: bool = True
    context: Mapping[str, Column] = field(default_factory=dict[str, Column])

    def __len__(self) -> int:
        return len(self.user)

    def verify(self) -> None:
        """Refuse events that are not in user order, or rows past the users and items there are.

        Raises
        ------
        DataError
            Saying which.
        """
        n = len(self.user)
        columns = [self.item, self.value, *([] if self.time is None else [self.time])]
        if any(len(one) != n for one in (*columns, *self.context.values())):
            raise DataError("the columns of the interactions differ in length")
        within("users of the interactions", self.user, self.n_users)
        within("items of the interactions", self.item, self.n_items)
        if (np.diff(self.user) < 0).any():
            raise DataError("the interactions are not in the order of the users")

    @cached_property
    def indptr(self) -> I64:
        """Where each user's events start; shape (n_users + 1,)."""
        counts = np.bincount(self.user, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def moments(self) -> I64:
        """The moment of each event, numbered over all users from 0 on, shape (n,); without times each event is one."""
        begins = np.ones(len(self), np.bool_)
        if self.time is not None:
            begins[1:] = (np.diff(self.user) != 0) | (np.diff(self.time) != 0)
        return np.cumsum(begins) - 1

    @cached_property
    def by_item(self) -> I64:
        """Event numbers in item order (stable); shape (n,)."""
        return np.argsort(self.item, kind="stable").astype(np.int64)

    @cached_property
    def item_counts(self) -> I64:
        """Number of events of every item; shape (n_items,)."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    @cached_property
    def active_users(self) -> I64:
        """Rows of the users with an event, ascending."""
        return np.flatnonzero(np.diff(self.indptr)).astype(np.int64)

    @cached_property
    def active_items(self) -> I64:
        """Rows of the items with an event, ascending."""
        return np.flatnonzero(self.item_counts).astype(np.int64)

    @cached_property
    def n_pairs(self) -> int:
        """Number of distinct pairs of user and item."""
        return len(np.unique(self.user.astype(np.int64) * max(self.n_items, 1) + self.item))

    def matrix(self) -> csr_array:
        """Return values as (n_users, n_items), float32, sorted indices; repeated pairs are summed."""
        made = csr_array(
            (self.value, self.item, self.indptr), shape=(self.n_users, self.n_items), copy=True
        )
        made.sum_duplicates()
        return made

    def take(self, events: I64) -> Interactions:
        """Return the events at `events` (users ascending), users and items keeping their row numbers."""
        return Interactions(
            self.user[events],
            self.item[events],
            self.value[events],
            None if self.time is None else self.time[events],
            self.n_users,
            self.n_items,
            self.has_value,
            {name: column.take(events) for name, column in self.context.items()},
        )

    def with_values(self, value: F32) -> Interactions:
        """Return the same events with other values, shape (n,)."""
        return replace(self, value=value)

    def renumbered(self, users: I32, items: I32, n_users: int, n_items: int) -> Interactions:
        """Return the same events under new row numbers; `users` (old n_users,) and `items` map old to new.

        The user map must keep the order of the rows.
        """
        return Interactions(
            users[self.user],
            items[self.item],
            self.value,
            self.time,
            n_users,
            n_items,
            self.has_value,
            self.context,
        )


@dataclass(frozen=True, eq=False)
class Histories:
    """What each of n people did, in time order: a ragged array of item rows.

    ``time`` is None where unknown; ``moment`` says, where that is told in place of times, which events
    happened together: equal numbers, rising along a history. Rows are those of the model that reads them.
    """

    indptr: I64  # (n + 1,)
    item: I32  # (nnz,)
    value: F32  # (nnz,)
    time: I64 | None = None  # (nnz,)
    moment: I64 | None = None  # (nnz,)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def verify(self) -> None:
        """Refuse ragged rows that do not cover their events.

        Raises
        ------
        DataError
            Saying which.
        """
        ragged("histories", self.indptr, len(self.item))
        n = len(self.item)
        columns = (self.value, self.time, self.moment)
        if any(one is not None and len(one) != n for one in columns):
            raise DataError("the columns of the histories differ in length")

    @property
    def lengths(self) -> I64:
        """Number of events of each person; shape (n,)."""
        return np.diff(self.indptr)

    def matrix(self, n_items: int) -> csr_array:
        """Return values as (n, n_items), float32, sorted indices; repeated pairs are summed."""
        made = csr_array(
            (self.value, self.item, self.indptr), shape=(len(self), n_items), copy=True
        )
        made.sum_duplicates()
        return made

    def take(self, rows: I32 | I64) -> Histories:
        """Return the histories of `rows`; row -1 gives an empty history."""
        asked = np.asarray(rows, np.int64)
        known = asked >= 0
        safe = np.where(known, asked, 0)
        if not len(self):
            return Histories.empty(len(asked))
        starts = self.indptr[safe]
        lengths = np.where(known, self.indptr[safe + 1] - starts, 0)
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        events = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return self.at(indptr, events)

    def at(self, indptr: I64, events: I64 | Bool) -> Histories:
        """Return some of the `events` as histories that `indptr` parts."""
        columns = (self.item, self.value, self.time, self.moment)
        return Histories(indptr, *(None if one is None else one[events] for one in columns))  # pyright: ignore[reportArgumentType]

    @property
    def together(self) -> I64:
        """Equal numbers for neighbouring events of one moment: told, or of one time, or each its own; shape (nnz,)."""
        if self.moment is not None:
            return self.moment
        return np.arange(len(self.item), dtype=np.int64) if self.time is None else self.time

    def joined(self, other: Histories) -> Histories:
        """Return each person's events followed by those in `other`, of the same people; times are lost."""
        lengths = self.lengths + other.lengths
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        item = np.empty(indptr[-1], np.int32)
        value = np.empty(indptr[-1], np.float32)
        for part, start in ((self, indptr[:-1]), (other, indptr[:-1] + self.lengths)):
            place = np.repeat(start - part.indptr[:-1], part.lengths) + np.arange(len(part.item))
            item[place], value[place] = part.item, part.value
        return Histories(indptr, item, value)

    @classmethod
    def empty(cls, n: int) -> Histories:
        """Return `n` empty histories."""
        return cls(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    @classmethod
    def of(cls, interactions: Interactions) -> Histories:
        """Return every user's events, in user-time order."""
        return cls(interactions.indptr, interactions.item, interactions.value, interactions.time)
