"""What a log is about: users or items with their features, and pairs of users that are linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from twofold.data.columns import Column
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataError
from twofold.typing import I32, I64


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

    def take(self, rows: I32 | I64) -> Entities:
        """Return the entities at `rows`, in that order."""
        features = {name: column.take(rows) for name, column in self.features.items()}
        return Entities(self.ids.take(rows), features)


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
