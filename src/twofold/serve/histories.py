"""What people did since training, in memory, in the order of time: it is in the next answer."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from twofold.serve.store import Row
from twofold.serve.tables import ITEM_IS_INTEGER, is_history
from twofold.typing import F32, I32, I64, Id

RECENT = 5_000
"""Numbers below that of the last event which may still turn up: transactions end in another order than they begin."""


class Lately(NamedTuple):
    """The events of a person, n of them by time."""

    item: I32  # (n,) codes of items, see `LiveHistories.items`
    value: F32  # (n,) NaN where none was given
    time: I64  # (n,)
    turns: int
    """Another number whenever the history changed otherwise than by an event at its end; -1 where its beginning is left out."""


@dataclass
class Person:
    """Growing columns."""

    item: array[int] = field(default_factory=lambda: array("i"))
    value: array[float] = field(default_factory=lambda: array("f"))
    time: array[int] = field(default_factory=lambda: array("q"))
    turns: int = 0
    trimmed: bool = False


class LiveHistories:
    """Histories by user id. Ids are the same whether sent as integer or text, as in vocabularies.

    Called from one thread.
    """

    def __init__(self, limit: int, kinds: Sequence[str] = ()) -> None:
        self.limit = limit
        self.kinds = tuple(kinds)
        self.items: list[Id] = []
        """Code -> item id."""
        self.count = 0
        """Events that are held."""
        self._codes: dict[str, int] = {}
        self._people: dict[str, Person] = {}
        self.floor = 0
        """Every event up to this number was added."""
        self._added: set[int] = set()
        self._turns = itertools.count()

    def __len__(self) -> int:
        return len(self._people)

    def add(self, rows: Iterable[Row]) -> None:
        """Add events of the store; one that was added before, or is no history, is passed over."""
        for row in rows:
            if self.has(row["seq"]):
                continue
            self._added.add(row["seq"])
            if is_history(row, self.kinds):
                self._append(row)
        if len(self._added) > 2 * RECENT:
            self.settle(max(self._added) - RECENT)

    def has(self, number: int) -> bool:
        """Say whether an event of the store was added."""
        return number <= self.floor or number in self._added

    def settle(self, floor: int) -> None:
        """Take it that every event up to a number was added."""
        self.floor = max(self.floor, floor)
        self._added = {one for one in self._added if one > self.floor}

    def _append(self, row: Row) -> None:
        item = row["item_id"]
        code = self._codes.get(item)
        if code is None:
            code = self._codes[item] = len(self.items)
            self.items.append(int(item) if row["ids"] & ITEM_IS_INTEGER else item)
        person = self._people.get(row["user_id"])
        if person is None:
            person = self._people[row["user_id"]] = Person(turns=next(self._turns))
        when = int(row["time"])
        value = float("nan") if row["value"] is None else row["value"]
        late = bool(person.time) and when < person.time[-1]
        at = bisect_right(person.time, when) if late else len(person.time)
        if late:
            person.turns = next(self._turns)
        columns: Any = (
            (person.item, code),
            (person.value, value),
            (person.time, when),
        )
        for column, one in columns:
            column.insert(at, one)
        self.count += 1
        if len(person.time) > self.limit + self.limit // 4:
            self.count -= len(person.time) - self.limit
            person.trimmed = True
            for column, _ in columns:
                del column[: len(column) - self.limit]

    def of(self, user: Id) -> Lately | None:
        """Return what somebody did, at most the latest `limit` events; None where nothing is known."""
        person = self._people.get(str(user))
        if person is None:
            return None
        last = slice(-self.limit, None)
        return Lately(
            np.array(person.item[last], np.int32),
            np.array(person.value[last], np.float32),
            np.array(person.time[last], np.int64),
            -1 if len(person.time) > self.limit or person.trimmed else person.turns,
        )

    def forget_before(self, cutoff: float) -> None:
        """Drop the events before a time."""
        for user in list(self._people):
            person = self._people[user]
            gone = bisect_right(person.time, int(cutoff) - 1)
            if not gone:
                continue
            self.count -= gone
            if gone == len(person.time):
                del self._people[user]
                continue
            person.turns = next(self._turns)
            for column in (person.item, person.value, person.time):
                del column[:gone]
