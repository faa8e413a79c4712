"""The embeddings of all contexts in one table, and the vectors of questions that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Column, Kind
from twofold.data.entities import Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, did_you_mean
from twofold.models.sequence import _context_events as nearby_events
from twofold.models.sequence._contexts import USER, Around, ContextCode
from twofold.typing import F32, I32, I64, Bool


@dataclass(frozen=True, eq=False, kw_only=True)
class ContextTable:
    """What is learned of the contexts, and how questions read it."""

    codes: tuple[ContextCode, ...]
    factors: F32  # (n_features, d)
    met: Bool  # (n_features,) whether training had a context
    shares: F32  # (kinds,) logarithms of the weights of the kinds
    by_feature: bool
    """Whether all features count alike."""
    window: int
    gap: float | None  # seconds
    offset: float  # minutes
    columns: tuple[str, ...]
    """Context columns of the training log, read or not."""

    def code(self, name: str) -> ContextCode:
        """Return how a context is coded.

        Raises
        ------
        ConfigError
            If it is not read.
        """
        for one in self.codes:
            if one.name == name:
                return one
        known = [one.name for one in self.codes]
        raise ConfigError(f"no context {name!r} in this model; {did_you_mean(name, known)}")

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read."""
        return {one.name: one.kind for one in self.codes if one.source == "column"}

    @cached_property
    def levels(self) -> Levels:
        """What training met of the columns that are read, and of the moments of the time."""
        return {
            one.name: one.levels.take(np.flatnonzero(self.met[one.start : one.start + one.width]))
            for one in self.codes
            if one.source in ("column", "moment")
        }

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the moments of the time of questions that are read."""
        if queries.time is None:
            return {}
        read = [one for one in self.codes if one.source == "moment"]
        return {one.name: one.moments(queries.time, self.offset) for one in read}

    @property
    def moments(self) -> bool:
        """Whether the moment of a question is read."""
        return any(one.source == "moment" for one in self.codes)

    @property
    def pauses(self) -> bool:
        """Whether the time since the last event is read."""
        return self.gap is not None and any(one.is_near for one in self.codes)

    def said(self, queries: Queries) -> bool:
        """Return whether questions tell a moment or a column that is read.

        Raises
        ------
        ConfigError
            If they tell a column that was not there in training.
        """
        for name in queries.context:
            if any(one.source == "moment" and one.name == name for one in self.codes):
                raise ConfigError(
                    f"the {name} is read from the time of the question; give time in its place"
                )
            if name not in self.columns:
                raise ConfigError(f"no context column {name!r}; {did_you_mean(name, self.kinds)}")
        when = queries.time is not None and self.moments
        return when or any(name in queries.context for name in self.kinds)

    def told(self, around: Around) -> tuple[I64, list[F32]]:
        """Return how many features of each kind are told, (n, kinds), and for each kind their sums, (n, d).

        Those that training never met are passed over.
        """
        counts = np.zeros((len(around.user), len(self.codes)), np.int64)
        sums: list[F32] = []
        for k, one in enumerate(self.codes):
            rows = one.rows(around, self.offset)
            known = self.met[rows.row]
            ends = np.concatenate([[0], np.cumsum(known)])[rows.indptr]
            shape = (len(counts), len(self.factors))
            row = rows.row[known]
            told = csr_array((np.ones(len(row), np.float32), row, ends), shape=shape)
            counts[:, k] = np.diff(ends)
            sums.append(np.asarray(told @ self.factors, np.float32))
        return counts, sums

    def asked(self, queries: Queries, history: Histories) -> tuple[I64, list[F32]]:
        """Return what n questions tell, as `told` does; their histories are these."""
        near = nearby_events.latest(history, queries.time, self.window, self.gap)
        nowhere = np.full(len(queries), UNKNOWN, np.int64)
        return self.told(Around(queries.user, nowhere, near, queries.time, queries.context))

    def events(self, history: Histories, *, both: bool) -> tuple[I64, list[F32]]:
        """Return what the events of histories are told with but for their users, as `told` does."""
        _, first, stop = nearby_events.cut(history, self.gap, None)
        at = nearby_events.nearby(first, stop, self.window, both=both)
        nobody = np.full(len(history.item), UNKNOWN, np.int64)
        near = nearby_events.taken(history.item, at)
        return self.told(Around(nobody.astype(np.int32), nobody, near, history.time, {}))

    def weights(self, counts: I64) -> F32:
        """Return what a feature of each kind counts for in h, (n, kinds), 0 where there is none.

        1 / (all features) of the row where `by_feature`, else w_k / (kinds n_k), for `counts` n_k (n, kinds).
        """
        if self.by_feature:
            total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
            return ((counts > 0) / total).astype(np.float32)
        weight = np.exp(self.shares.astype(np.float64)) / counts.shape[1]
        return (weight / np.maximum(counts, 1) * (counts > 0)).astype(np.float32)

    def weighed(self, counts: I64, sums: list[F32]) -> F32:
        """Return h, the weighted sum of the contexts of n rows, (n, d)."""
        weight = self.weights(counts)
        h = np.zeros_like(sums[0])
        for k, one in enumerate(sums):
            h += weight[:, k, None] * one
        return h

    def strangers(self, counts: I64, history: Histories) -> tuple[int, I32]:
        """Return the number of the kind ``user``, -1 = none, and the rows with a history and no user that was met."""
        for k, one in enumerate(self.codes):
            if one.source == USER:
                rows = np.flatnonzero((counts[:, k] == 0) & (history.lengths > 0))
                return k, rows.astype(np.int32)
        return UNKNOWN, np.zeros(0, np.int32)
