"""The one data type that everything reads: interactions, users, items, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from twofold.data.columns import Column
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.typing import I32, I64


@dataclass(frozen=True, eq=False)
class Entities:
    """Users or items: their ids in row order and their typed feature columns."""

    ids: Vocabulary
    features: Mapping[str, Column] = field(default_factory=dict[str, Column])

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: I32 | I64) -> Entities:
        """Return the entities at `rows`, in that order."""
        features = {name: column.take(rows) for name, column in self.features.items()}
        return Entities(self.ids.take(rows), features)


@dataclass(frozen=True, eq=False)
class Links:
    """Directed user-user pairs as user rows; an undirected friendship is stored in both directions."""

    source: I32
    target: I32

    def __len__(self) -> int:
        return len(self.source)


NO_LINKS = Links(np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Dataset:
    """An interaction log with what is known of its users and items.

    Rows are dense and private; ids are the caller's. ``notes`` tells which reading policies changed
    what was read, one sentence each.
    """

    interactions: Interactions
    users: Entities
    items: Entities
    links: Links = NO_LINKS
    notes: tuple[str, ...] = ()

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    def __len__(self) -> int:
        return len(self.interactions)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value; (1, 1) for a log without values or without events."""
        if not len(self):
            return 1.0, 1.0
        return float(self.interactions.value.min()), float(self.interactions.value.max())

    def part(self, events: I64) -> Dataset:
        """Return the dataset of the events at `events` (ascending) and of the ids that occur in them.

        Users and items without an event in the part are not in it: a model that is trained on it
        cannot know them.
        """
        chosen = self.interactions.take(events)
        kept_users = np.flatnonzero(np.bincount(chosen.user, minlength=self.n_users))
        kept_items = np.flatnonzero(np.bincount(chosen.item, minlength=self.n_items))
        users, items = renumbering(kept_users, self.n_users), renumbering(kept_items, self.n_items)
        links = self.links
        if len(links):
            source, target = users[links.source], users[links.target]
            both = (source != UNKNOWN) & (target != UNKNOWN)
            links = Links(source[both], target[both])
        return replace(
            self,
            interactions=chosen.renumbered(users, items, len(kept_users), len(kept_items)),
            users=self.users.take(kept_users),
            items=self.items.take(kept_items),
            links=links,
        )


def renumbering(kept: I64, n: int) -> I32:
    """Return a map from n old rows to new ones, ``UNKNOWN`` for those not in `kept` (ascending)."""
    new = np.full(n, UNKNOWN, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return new
