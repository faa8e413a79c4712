"""Vectors by themselves, under their ids: read from word2vec's files, taken from a model, or your own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from twofold import similar
from twofold.data import word2vec
from twofold.data.entities import Entities
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataError
from twofold.features.design import unit_rows
from twofold.typing import F32, I32, Id, Ids


@dataclass(frozen=True, eq=False)
class Vectors:
    """One vector for each token, in the order of ``tokens``; nothing can be changed.

    Example
    -------
    >>> given = np.array([[1, 0], [0.9, 0.1], [0, 1]], np.float32)
    >>> vectors = Vectors(Vocabulary(pl.Series(["cat", "dog", "car"])), given)
    >>> vectors.similar("cat", k=1)["item"].to_list()
    ['dog']
    >>> vectors["car"].tolist()
    [0.0, 1.0]
    """

    tokens: Vocabulary
    vectors: F32 | csr_array
    """Shape (n, d)."""

    @classmethod
    def of(cls, ids: Ids, vectors: ArrayLike) -> Vectors:
        """Return your own vectors (n, d) under their ids, in the sorted order of the ids.

        Raises
        ------
        DataError
            If there are not as many, an id is missing or occurs twice, or a value is not finite.
        """
        made = np.asarray(vectors, np.float32)
        known = Vocabulary.of(ids)
        if made.ndim != 2 or len(made) != len(ids):
            raise DataError(
                f"vectors must have a row for each of {len(ids):,} ids; got the shape {made.shape}"
            )
        if (lost := int((known.rows(ids) == UNKNOWN).sum())) > 0:
            raise DataError(f"{lost:,} ids are missing; give each vector one")
        if len(known) != len(ids):
            raise DataError(f"{len(ids) - len(known):,} ids occur twice; give each one vector")
        if not np.isfinite(made).all():
            raise DataError("a vector has a value that is not finite; leave it out")
        order = np.empty(len(ids), np.int64)
        order[known.rows(ids)] = np.arange(len(ids))
        return cls(known, made[order])

    def __post_init__(self) -> None:
        shape = self.vectors.shape or ()
        if len(shape) != 2 or shape[0] != len(self.tokens):
            raise DataError(
                f"vectors have the shape {shape}; they must have {len(self.tokens)} rows"
            )

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        own = token.item() if isinstance(token, np.integer) else token
        return isinstance(own, int | str) and int(self.tokens.rows([own])[0]) >= 0

    def __getitem__(self, token: Id) -> F32:
        """Return the vector of a token, shape (d,).

        Raises
        ------
        UnknownIdError
            If it has none.
        """
        row = self.vectors[[self.tokens.row(token, "token")]]
        return (row if isinstance(row, np.ndarray) else row.toarray())[0]

    @property
    def items(self) -> Entities:
        """The tokens, as a catalogue."""
        return Entities(self.tokens)

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """The vectors, shape (n, d)."""
        return self.vectors

    @cached_property
    def unit(self) -> F32 | csr_array:
        """The vectors with length 1, shape (n, d); zero rows stay zero."""
        return (
            unit(self.vectors) if isinstance(self.vectors, np.ndarray) else unit_rows(self.vectors)
        )

    def cosines(self, rows: I32) -> F32:
        """Return the cosines of the vectors at `rows` (r,) with all; shape (r, n)."""
        if isinstance(self.unit, np.ndarray):
            return np.einsum("rd,nd->rn", self.unit[rows], self.unit, optimize=True)
        return np.asarray((self.unit[rows] @ self.unit.T).toarray(), np.float32)

    def similar(self, token: Id, k: int = 10) -> pl.DataFrame:
        """Return the `k` tokens with the highest cosine: rank, item, score; see `twofold.similar.similar_items`."""
        return similar.similar_items(self, token, k)

    def to_word2vec(self, path: str | Path, *, binary: bool = False) -> Path:
        """Write the vectors in word2vec's text format, or its binary one; return the path.

        Raises
        ------
        DataError
            If the vectors are sparse, a token is empty or holds white space, or the file cannot be written.
        """
        if not isinstance(self.vectors, np.ndarray):
            raise DataError("word2vec's formats hold dense vectors and these are sparse")
        names = self.tokens.ids.cast(pl.String).to_list()
        word2vec.write_word2vec(Path(path), names, self.vectors, binary=binary)
        return Path(path)


def unit(vectors: F32) -> F32:
    """Return rows (n, d) of length 1; zero rows stay zero."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    return np.divide(
        vectors, length, out=np.zeros_like(vectors), where=length > 0, casting="unsafe"
    )


def read_word2vec(path: str | Path) -> Vectors:
    """Read vectors from word2vec's text or binary format, which is told by the file itself.

    Tokens stay strings, ``"42"`` too; looking one up finds it as the integer 42 as well.

    Raises
    ------
    DataError
        If there is no such file.
    IncompatibleFileError
        If it is cut short, has other counts than it announces, is no UTF-8, or holds a number that is not
        finite or a token twice; the sentence names the row.
    """
    tokens, vectors = word2vec.read_word2vec(Path(path))
    vectors.flags.writeable = False
    return Vectors(Vocabulary(pl.Series(tokens, dtype=pl.String)), vectors)
