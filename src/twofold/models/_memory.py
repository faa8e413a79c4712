"""What a model remembers of its training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twofold.data.columns import within
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Histories, Interactions
from twofold.errors import DataError
from twofold.typing import F32


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory:
    """What a model remembers of its training set: ids, features, who did what, popularity."""

    users: Entities
    items: Entities
    history: Histories  # of the users
    popularity: F32  # (n_items,) number of training events
    value_range: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, train: Dataset) -> Memory:
        """Remember a training set.

        Raises
        ------
        DataError
            If it has no interactions.
        """
        if not len(train):
            raise DataError(
                "the training set has no interactions; a model needs at least one: "
                "check the file, the split and its filters"
            )
        events = train.interactions
        return cls(
            users=train.users,
            items=train.items,
            history=Histories.of(events),
            popularity=events.item_counts.astype(np.float32),
            value_range=train.value_range,
        )

    def __repr__(self) -> str:
        """Say of how many it is."""
        return f"{len(self.users):,} users and {len(self.items):,} items"

    def verify(self) -> None:
        """Refuse histories and counts that do not belong to the users and items.

        Raises
        ------
        DataError
            Saying which.
        """
        within("items of the histories", self.history.item, len(self.items))
        if len(self.history) != len(self.users) or len(self.popularity) != len(self.items):
            raise DataError("the histories or counts are those of other users or items")

    def log(self) -> Dataset:
        """Return the training set as it is remembered: without context and links."""
        lengths = self.history.lengths
        return Dataset(
            Interactions(
                user=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
                item=self.history.item,
                value=self.history.value,
                time=self.history.time,
                n_users=len(self.users),
                n_items=len(self.items),
                has_value=self.value_range != (1.0, 1.0),
            ),
            self.users,
            self.items,
        )
