"""Vectors with the ids that they belong to: of a model's items, of its users, or of your own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError
from twofold.models._base import FittedModel
from twofold.typing import F32, I32, Ids

Side = Literal["items", "users"]


@dataclass(frozen=True, eq=False)
class NamedVectors:
    """Vectors by id; what analogies and maps are made of.

    Example
    -------
    >>> NamedVectors.of(["a", "b"], [[1, 0], [0, 1]]).unit.shape
    (2, 2)
    """

    ids: Vocabulary
    vectors: F32 | csr_array  # (n, d)

    @classmethod
    def of(cls, ids: Ids, vectors: ArrayLike) -> NamedVectors:
        """Return your own vectors (n, d) under their ids.

        Raises
        ------
        DataError
            If there are not as many, an id occurs twice, or a value is not finite.
        """
        made = np.asarray(vectors, np.float32)
        known = Vocabulary.of(ids)
        if made.ndim != 2 or len(made) != len(ids):
            raise DataError(f"vectors must have a row for each of {len(ids):,} ids; got the shape {made.shape}")  # fmt: skip
        if len(known) != len(ids):
            raise DataError(f"{len(ids) - len(known):,} ids occur twice; give each one vector")
        if not np.isfinite(made).all():
            raise DataError("a vector has a value that is not finite; leave it out")
        order = np.empty(len(ids), np.int64)
        order[known.rows(ids)] = np.arange(len(ids))
        return cls(known, made[order])

    @classmethod
    def of_model(cls, model: FittedModel, side: Side = "items") -> NamedVectors:
        """Return the vectors of a model whose cosine means likeness, of its items or of its users."""
        if side == "items":
            return cls(model.items.ids, model.similarity_vectors)
        return cls(model.users.ids, model.lookup(np.arange(len(model.users), dtype=np.int32)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unit(self) -> F32 | csr_array:
        """The vectors at length 1, zeros as they are; shape (n, d), float32."""
        if isinstance(self.vectors, np.ndarray):
            lengths = np.sqrt(np.einsum("nd,nd->n", self.vectors, self.vectors, dtype=np.float64))
            return (self.vectors / np.where(lengths > 0, lengths, 1.0)[:, None]).astype(np.float32)
        squares = np.asarray(self.vectors.multiply(self.vectors).sum(axis=1)).ravel()
        scale = 1.0 / np.sqrt(np.where(squares > 0, squares, 1.0))
        return csr_array(self.vectors.multiply(scale[:, None]), dtype=np.float32)

    def cosines(self, rows: I32) -> F32:
        """Return the cosines of the vectors at `rows` (r,) with all; shape (r, n)."""
        unit = self.unit
        if isinstance(unit, np.ndarray):
            return np.einsum("rd,nd->rn", unit[rows], unit, optimize=True)
        return np.asarray((unit[rows] @ unit.T).toarray(), np.float32)
