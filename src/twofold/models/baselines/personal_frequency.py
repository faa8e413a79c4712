"""Personal frequency: what somebody took most often they take again.

The control of every study of next baskets and next places: Hu, He, Gao & Zhang (2020), "Modeling Personalized
Item Frequency Information for Next-basket Recommendation", SIGIR, find it ahead of recurrent networks. With the
events e of a person's history,

    score(i) = sum over e of i of 2^(-age(e) / half_life)  +  popularity * count(i) / max count

where the age counts from the person's last event.

Differs from the paper: Hu et al. use the frequency as a vector for nearest neighbours; this is the frequency itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import NonNegativeFloat
from scipy.sparse import csr_array, eye_array, hstack

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import DataError
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import FittedModel, Memory
from twofold.models.baselines._pairs import binary
from twofold.typing import F32, Rng

DAY = 86_400
"""Seconds in a day."""


@hyperparameters
class PersonalFrequency:
    """Rank items by how often the person had them, and the rest by popularity.

    Every event counts once, whatever its value. It says something where people come back to items: baskets,
    places, songs; keep what was seen in the lists (`exclude_seen=False`, or a split that keeps repeats).

    Example
    -------
    >>> import twofold as tw
    >>> log = {"user": [1, 1, 1, 2], "item": ["a", "b", "b", "c"]}
    >>> model = tw.models.PersonalFrequency().fit(
    ...     tw.Dataset.from_frames(log, user="user", item="item")
    ... )
    >>> model.recommend(users=[1], k=3, exclude_seen=False)["item"].to_list()
    ['b', 'a', 'c']
    """

    half_life: Annotated[NonNegativeFloat, Search(1, 1000, log=True)] = 0.0
    """Days after which an event counts half, back from the person's last one; 0 counts all alike."""
    popularity: Annotated[NonNegativeFloat, Search(0.001, 10, log=True)] = 0.01
    """What the most popular item counts beside one event of the person; below 1 it decides between equals."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedPersonalFrequency:
        """Count.

        Raises
        ------
        DataError
            If `half_life` is set and the log has no times, or the log is empty.
        """
        del validation, rng
        memory = Memory.of(train)
        if self.half_life and train.interactions.time is None:
            raise DataError(
                f"half_life={self.half_life:g} needs times and the log has none; "
                "name its time column or set half_life=0"
            )
        return FittedPersonalFrequency(estimator=self, memory=memory)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedPersonalFrequency(FittedModel):
    """A history as a sparse row of counts and a 1, against items as unit vectors and their popularity."""

    @property
    def item_vectors(self) -> csr_array:
        """Each item as a unit vector, and its popularity; shape (n_items, n_items + 1)."""
        return self._vectors

    @cached_property
    def _vectors(self) -> csr_array:
        counts = self.memory.popularity
        beside = (self.estimator.popularity / counts.max() * counts)[:, None].astype(np.float32)
        unit = csr_array(eye_array(len(counts), format="csr"))
        return csr_array(hstack([unit, csr_array(beside)], format="csr"), dtype=np.float32)

    @property
    def similarity_vectors(self) -> csr_array:
        """Who has each item, shape (n_items, n_users)."""
        return self._profiles

    @cached_property
    def _profiles(self) -> csr_array:
        return csr_array(binary(self.memory.history, len(self.items)).T)

    def fold_in(self, histories: Histories) -> csr_array:
        """Return how often each item occurs, late events counting more, and a 1; shape (n, n_items + 1).

        Where a history is told without times all its events count alike.
        """
        n, m = len(histories), len(self.items)
        rows = Histories(histories.indptr, histories.item, self.weights(histories)).matrix(m)
        ones = csr_array(np.ones((n, 1), np.float32))
        return csr_array(hstack([rows, ones], format="csr"), dtype=np.float32)

    def weights(self, histories: Histories) -> F32:
        """Return what each event of the histories counts, 0 ... 1; shape (nnz,)."""
        half_life: float = self.estimator.half_life
        if not half_life or histories.time is None:
            return np.ones(len(histories.item), np.float32)
        there = np.flatnonzero(histories.lengths)
        last = np.maximum.reduceat(histories.time, histories.indptr[there])
        age = np.repeat(last, histories.lengths[there]) - histories.time
        return (0.5 ** (age / (DAY * half_life))).astype(np.float32)
