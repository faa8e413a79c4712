"""Who is asked for: the rows-level question that every model answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from twofold.data.columns import Bag, Category, Column, Text, present
from twofold.data.entities import Levels
from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN
from twofold.typing import I32, I64, Bool


@dataclass(frozen=True, eq=False)
class Queries:
    """n questions, in the row numbers of one fitted model.

    ``history`` replaces what the model remembers of a user where ``has_history`` is true; elsewhere
    it is empty and the model's own memory counts.
    """

    user: I32  # (n,), -1 = never seen
    history: Histories  # n people
    has_history: Bool  # (n,)
    time: I64 | None = None  # (n,) seconds since 1970 UTC
    context: Mapping[str, Column] = field(default_factory=dict[str, Column])  # columns of n rows
    features: Mapping[str, Column] = field(default_factory=dict[str, Column])  # columns of n rows
    text: Text | None = None  # what n people say

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def known(cls, users: I32, *, time: I64 | None = None) -> Queries:
        """Ask for users by row; nothing else is said."""
        n = len(users)
        return cls(users, Histories.empty(n), np.zeros(n, np.bool_), time)

    @classmethod
    def of_histories(cls, history: Histories) -> Queries:
        """Ask for people who were never seen, by what they did."""
        n = len(history)
        return cls(np.full(n, UNKNOWN, np.int32), history, np.ones(n, np.bool_))

    def describes(self, levels: Levels) -> Bool:
        """Return which questions (n,) say something of the person in a feature of `levels`; see `telling`."""
        return telling(self.features, levels, len(self))

    @property
    def spoken(self) -> Bool:
        """Which questions (n,) say words."""
        return np.zeros(len(self), np.bool_) if self.text is None else present(self.text)

    def take(self, rows: I32 | I64) -> Queries:
        """Return the questions at `rows`."""
        return Queries(
            self.user[rows],
            self.history.take(rows),
            self.has_history[rows],
            None if self.time is None else self.time[rows],
            {name: column.take(rows) for name, column in self.context.items()},
            {name: column.take(rows) for name, column in self.features.items()},
            None if self.text is None else self.text.take(rows),
        )


def telling(columns: Mapping[str, Column], levels: Levels, n: int) -> Bool:
    """Return which of n rows hold something that a model learned, shape (n,).

    `levels` has the columns that it reads, with the values that it learned of each; None where it reads any value.
    """
    held = np.zeros(n, np.bool_)
    for name, column in columns.items():
        if name not in levels:
            continue
        known = levels[name]
        if known is None or not isinstance(column, Category | Bag):
            held |= present(column)
            continue
        learned = known.rows(column.levels.ids) != UNKNOWN
        if isinstance(column, Category):
            held |= np.append(learned, False)[column.codes]
        else:
            held[np.repeat(np.arange(n), np.diff(column.indptr))[learned[column.codes]]] = True
    return held
