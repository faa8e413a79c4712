"""A catalogue that changes while it is searched: what was there at first, what was added, what is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twofold.index.coded import Coded
from twofold.typing import F32, I32, I64

NONE = np.zeros(0, np.int32)


class Searches(Protocol):
    """Finds the best items of queries."""

    def search(self, vectors: F32, indptr: I64, hidden: I32, k: int) -> tuple[I32, F32]:
        """Return items and scores (n, k) of queries (n, d), -1 and -inf where there are no more; see `Coded.search`."""
        ...


@dataclass(frozen=True, eq=False)
class Layered:
    """An index of the first `n_base` items, whichever it is, and an exact one of the items after them.

    An item that is added or withdrawn costs what the additions cost, and nothing that grows with the catalogue.
    """

    base: Searches
    n_base: int
    added: Coded | None
    """Items from row `n_base` on."""
    gone: I32
    """Rows that are listed no more."""

    @classmethod
    def of(cls, base: Searches, n_base: int, added: F32 | None, gone: I32) -> Layered:
        """Put items (j, d) beside a base, and leave out the rows `gone` of both."""
        coded = Coded.of(added, NONE) if added is not None and len(added) else None
        return cls(base, n_base, coded, np.unique(gone).astype(np.int32))

    def search(self, vectors: F32, indptr: I64, hidden: I32, k: int) -> tuple[I32, F32]:
        """Return the `k` best items of each query, best first; ties go to the lower row; see `Coded.search`."""
        if self.added is None and not len(self.gone):
            return self.base.search(vectors, indptr, hidden, k)
        below, above = ([], []) if len(vectors) else ([NONE], [NONE])
        for at in range(len(vectors)):
            own = np.concatenate([hidden[indptr[at] : indptr[at + 1]], self.gone])
            below.append(own[own < self.n_base])
            above.append(own[own >= self.n_base] - np.int32(self.n_base))
        items, best = self.base.search(vectors, *ragged(below), k)
        if self.added is None:
            return items, best
        new, scores = self.added.search(vectors, *ragged(above), k)
        new = np.where(new >= 0, new + np.int32(self.n_base), new)
        items, best = np.concatenate([items, new], axis=1), np.concatenate([best, scores], axis=1)
        order = np.lexsort((np.where(items < 0, np.iinfo(np.int32).max, items), -best), axis=1)
        order = order[:, :k]
        return np.take_along_axis(items, order, 1), np.take_along_axis(best, order, 1)


def ragged(rows: list[I32]) -> tuple[I64, I32]:
    """Return rows of numbers as bounds (n + 1,) and one array (nnz,)."""
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(one) for one in rows], out=indptr[1:])
    return indptr, np.concatenate(rows).astype(np.int32, copy=False)
