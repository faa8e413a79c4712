"""What a leak is, and how its rows are named."""

from __future__ import annotations

from dataclasses import dataclass

from twofold.data.dataset import Dataset
from twofold.typing import I64

NAMED = 3
"""How many guilty rows a sentence names."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which training knows too much."""

    kind: str
    """``pair``, ``time``, ``feature``, ``history``, ``id`` or ``model``."""
    rows: tuple[int, ...]
    """Row numbers in the part that the message names."""
    message: str


def named(data: Dataset, rows: I64) -> str:
    """Name the first rows: their numbers, users and items."""
    users, items = data.interactions.user, data.interactions.item
    listed = [
        f"row {row} (user {data.users.ids[int(users[row])]!r}, item {data.items.ids[int(items[row])]!r})"
        for row in rows[:NAMED].tolist()
    ]
    return ", ".join(listed) + (", ..." if len(rows) > NAMED else "")
