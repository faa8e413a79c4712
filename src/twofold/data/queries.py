"""Who is asked for: the rows-level question that every model answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from twofold.data.columns import Column, Text
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
