"""Popularity: the first honest baseline, plain or with time decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import NonNegativeFloat

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import DataError
from twofold.hyperparameters import hyperparameters
from twofold.models._base import FittedModel, Memory
from twofold.typing import F32, I32, Rng

DAY = 86_400
"""Seconds in a day."""


@hyperparameters
class Popularity:
    """Rank items by how often they occur in the training set; the same list for everybody.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"user": [1, 1, 2], "item": ["a", "b", "a"]}
    >>> model = tw.models.Popularity().fit(tw.Dataset.from_frames(log, user="user", item="item"))
    >>> model.recommend(users=[2], k=1)["item"].to_list()
    ['b']
    """

    half_life: NonNegativeFloat = 0.0
    """Days after which an event counts half, back from the last one; 0 counts all alike."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedPopularity:
        """Count.

        Raises
        ------
        DataError
            If `half_life` is set and the log has no times, or the log is empty.
        """
        del validation, rng
        memory = Memory.of(train)
        events = train.interactions
        if not self.half_life:
            return FittedPopularity(estimator=self, memory=memory, counts=memory.popularity)
        if events.time is None:
            raise DataError(
                f"half_life={self.half_life:g} needs times and the log has none; "
                "name its time column or set half_life=0"
            )
        age = (events.time.max() - events.time) / (DAY * self.half_life)  # in half-lives
        counts = np.bincount(events.item, 0.5**age, events.n_items).astype(np.float32)
        return FittedPopularity(estimator=self, memory=memory, counts=counts)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedPopularity(FittedModel):
    """One number an item; everybody's vector is the number 1."""

    counts: F32  # (n_items,)

    @property
    def item_vectors(self) -> F32:
        """The counts as vectors of length 1, shape (n_items, 1)."""
        return self.counts[:, None]

    def fold_in(self, histories: Histories) -> F32:
        """Return ones: a history changes nothing; shape (n, 1)."""
        return np.ones((len(histories), 1), np.float32)

    def lookup(self, users: I32) -> F32:
        """Return ones, shape (n, 1)."""
        return np.ones((len(users), 1), np.float32)

    @property
    def unknown_user(self) -> F32:
        """Everybody's vector."""
        return np.ones(1, np.float32)
