"""Rows of embedding tables that a column asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twofold.typing import F32, I32, I64


@dataclass(frozen=True, eq=False)
class Ids:
    """One categorical field of n rows: row i has ``ids[offsets[i]:offsets[i + 1]]``.

    For an embedding table of `n_rows` rows, summed with `weights`
    (torch: ``EmbeddingBag(mode="sum", include_last_offset=True)``).
    """

    name: str
    ids: I64  # (nnz,)
    offsets: I64  # (n + 1,)
    weights: F32  # (nnz,), summing to 1 in every row that has ids
    n_rows: int
    unknown: int
    """The id of all levels that training did not have: the last row of the table."""

    @property
    def n_unknown(self) -> int:
        """How many entries are of levels that training did not have."""
        return int((self.ids == self.unknown).sum())


def known_or_last(rows: I32, last: int) -> I64:
    """Return rows with -1 (not known) replaced by `last`."""
    return np.where(rows < 0, last, rows).astype(np.int64)


def lookup(name: str, ids: I64, offsets: I64, unknown: int, counts: F32 | None = None) -> Ids:
    """Return a field of `ids` (nnz,), those that are -1 left out; `counts` weigh them, in each row to sum 1."""
    kept = ids >= 0 if counts is None else (ids >= 0) & (counts > 0)
    ends = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])[offsets]
    weights = np.ones(int(kept.sum())) if counts is None else counts[kept].astype(np.float64)
    row = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    total = np.bincount(row, weights, minlength=len(ends) - 1)
    shares = (weights / total[row]).astype(np.float32)
    return Ids(name, ids[kept].astype(np.int64), ends, shares, unknown + 1, unknown)
