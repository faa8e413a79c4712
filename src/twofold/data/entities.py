"""What a log is about: users or items with their features, and pairs of users that are linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Category, Column, Number, Text, Time, Vector, present
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataError
from twofold.typing import I32, I64, Bool

Levels: TypeAlias = Mapping[str, Vocabulary | None]
"""The values of columns by name; None for columns of any numbers or words."""


@dataclass(frozen=True, eq=False)
class Entities:
    """Users or items: their ids in row order and their typed feature columns."""

    ids: Vocabulary
    features: Mapping[str, Column] = field(default_factory=dict[str, Column])

    def verify(self) -> None:
        """Refuse a feature column of another length."""
        for name, column in self.features.items():
            if len(column) != len(self.ids):
                raise DataError(f"the feature {name!r} has {len(column)} rows for {len(self)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def levels(self) -> Levels:
        """The values that occur in each feature."""
        return {name: levels_of(column) for name, column in self.features.items()}

    def take(self, rows: I32 | I64) -> Entities:
        """Return the entities at `rows`, in that order."""
        features = {name: column.take(rows) for name, column in self.features.items()}
        return Entities(self.ids.take(rows), features)


def levels_of(column: Column) -> Vocabulary | None:
    """Return the values that occur in a column; None where it has no list of them."""
    if not isinstance(column, Category | Bag):
        return None
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    return column.levels if counts.all() else column.levels.take(np.flatnonzero(counts))


def differing(told: Entities, known: Entities) -> Bool:
    """Return which rows of `told` say of a feature what the same rows of `known` do not, shape (n,); what is missing says nothing."""
    other = np.zeros(len(told), np.bool_)
    for name, column in told.features.items():
        if name in known.features:
            other |= present(column) & _apart(column, known.features[name])
    return other


def _apart(told: Column, known: Column) -> Bool:
    """Return in which rows two columns differ, shape (n,)."""
    match told, known:
        case Category(), Category():
            rows = np.append(known.levels.rows(told.levels.ids), np.int32(UNKNOWN))
            return np.asarray(rows[told.codes] != known.codes)
        case Bag(), Bag():
            n = len(known.levels)
            rows = known.levels.rows(told.levels.ids)
            codes = np.where(rows == UNKNOWN, n, rows)[told.codes]
            one = csr_array((told.counts, codes, told.indptr), shape=(len(told), n + 1))
            two = csr_array((known.counts, known.codes, known.indptr), shape=one.shape)
            return np.asarray(abs(one - two).sum(axis=1)).ravel() > 0
        case Text(), Text():
            return (told.values != known.values).fill_null(value=True).to_numpy()
        case (Number(), Number()) | (Time(), Time()):
            return np.asarray(told.values != known.values)
        case Vector(), Vector() if told.values.shape == known.values.shape:
            return np.asarray((told.values != known.values).any(axis=1))
        case _:
            return np.ones(len(told), np.bool_)


def joined_levels(parts: Sequence[Levels]) -> Levels:
    """Return by column the values of any of `parts`."""
    out: dict[str, Vocabulary | None] = {}
    for name in dict.fromkeys(name for one in parts for name in one):
        found = [one[name] for one in parts if name in one]
        known = [one for one in found if one is not None]
        out[name] = known[0] if len(found) == len(known) else None
        if len(found) == len(known) > 1:
            ids = [one.ids for one in known]
            if len({one.dtype for one in ids}) > 1:
                ids = [one.cast(pl.String) for one in ids]
            out[name] = Vocabulary(pl.concat(ids).unique(maintain_order=True))
    return out


@dataclass(frozen=True, eq=False)
class Links:
    """Directed user-user pairs as user rows, as they were read: each once, nobody with themselves.

    A friendship may stand in one direction or in both; who needs it without direction reads both sides.
    """

    source: I32
    target: I32

    def __len__(self) -> int:
        return len(self.source)


NO_LINKS = Links(np.zeros(0, np.int32), np.zeros(0, np.int32))


def renumbering(kept: I64, n: int) -> I32:
    """Return a map from n old rows to new ones, ``UNKNOWN`` for those not in `kept` (ascending)."""
    new = np.full(n, UNKNOWN, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return new
