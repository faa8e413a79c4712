"""Exact lists for a few queries at a time, as a server asks: one pass over 8-bit codes instead of all vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twofold.kernels._bytes import BYTES
from twofold.kernels.coded import code_rows, top_k_coded
from twofold.typing import F32, I32, I64

TAIL = 4
"""So many numbers past a whole row of codes are kept as they are: a bias, say. Codes of them would fill another row with zeros."""


class Coded(NamedTuple):
    """Items by falling length of their vectors, each as whole numbers and what these lose.

    Takes a quarter of the memory of the vectors, which are looked at for few items only. Several
    threads may search at a time.
    """

    item_vectors: F32  # (m, d)
    order: I32  # (c,) the items that may be listed
    codes: NDArray[np.int8]  # (c, w)
    tails: F32  # (d - w, c) what the codes have no room for, at most TAIL numbers
    steps: F32  # (c,)
    losts: F32  # (c,)
    lengths: F32  # (c,)

    @classmethod
    def of(cls, item_vectors: F32, banned: I32) -> Coded:
        """Code the items (m, d) that are not `banned`."""
        vectors = np.ascontiguousarray(item_vectors, np.float32)
        m, d = vectors.shape
        length = np.sqrt(np.einsum("md,md->m", vectors, vectors))
        allowed = np.ones(m, np.bool_)
        allowed[banned] = False
        listed = np.flatnonzero(allowed)
        order = listed[np.argsort(-length[listed], kind="stable")].astype(np.int32)
        beyond = d % BYTES if d > BYTES and d % BYTES <= TAIL else 0
        codes = np.zeros((len(order), -(-max(d - beyond, 1) // BYTES) * BYTES), np.int8)
        tails = np.empty((beyond, len(order)), np.float32)
        steps, losts, lengths = (np.empty(len(order), np.float32) for _ in range(3))
        code_rows(vectors, order, codes, tails, steps, losts, lengths)
        return cls(vectors, order, codes, tails, steps, losts, lengths)

    def search(self, vectors: F32, indptr: I64, hidden: I32, k: int) -> tuple[I32, F32]:
        """Return the `k` best items of each query, best first; ties go to the lower row.

        Parameters
        ----------
        vectors : shape (n, d)
            The queries; time grows with n.
        indptr, hidden : shapes (n + 1,), (nnz,)
            Item rows to leave out for each query, -1 nowhere.
        k
            >= 1.

        Returns
        -------
        items, best
            Shape (n, k); -1 and -inf where a query ran out of items. The scores are those of
            `twofold.rank.rank`, bit for bit.
        """
        items, best = np.empty((len(vectors), k), np.int32), np.empty((len(vectors), k), np.float32)
        items.fill(-1)  # numpy.full takes longer than the pass over a small catalogue
        best.fill(-np.inf)
        if len(vectors) and len(self.order):
            rows = np.ascontiguousarray(vectors, np.float32)
            marks = np.zeros(len(self.item_vectors), np.uint8)
            top_k_coded(
                rows, self.item_vectors, self.order, self.codes, self.tails, self.steps,
                self.losts, self.lengths, indptr, hidden, marks, items, best,
            )  # fmt: skip
        return items, best
