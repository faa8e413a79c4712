"""Typed feature columns: one frozen value per kind, each row-addressable.

``category`` one level a row · ``tags`` several levels a row · ``number`` a float · ``text`` a string ·
``bag`` several levels with counts · ``vector`` a fixed-length float array · ``place`` latitude and
longitude in degrees · ``time`` seconds since 1970 UTC · ``sound`` the path of an audio file.
Missing is declared, never silent: row -1, an empty set, NaN (numbers, vectors, places), null text,
``NO_TIME``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError
from twofold.typing import F32, F64, I32, I64, Bool

Kind = Literal["category", "tags", "number", "text", "bag", "vector", "place", "time", "sound"]
KINDS: tuple[Kind, ...] = (
    "category",
    "tags",
    "number",
    "text",
    "bag",
    "vector",
    "place",
    "time",
    "sound",
)
NO_TIME: int = np.iinfo(np.int64).min
"""The value that stands for a missing time."""


def within(what: str, rows: I32, n: int, *, least: int = 0) -> None:
    """Refuse row numbers outside `least` ... n - 1.

    Raises
    ------
    DataError
        Saying which.
    """
    if rows.ndim != 1 or (len(rows) and not least <= rows.min() <= rows.max() < n):
        raise DataError(f"the {what} do not lie in {least} ... {n - 1}")


def ragged(what: str, indptr: I64, n: int) -> None:
    """Refuse ends of ragged rows that do not ascend from 0 to `n`.

    Raises
    ------
    DataError
        Saying which.
    """
    ends = indptr if indptr.ndim == 1 and len(indptr) else np.array([-1])
    if ends[0] != 0 or ends[-1] != n or (np.diff(ends) < 0).any():
        raise DataError(f"the {what} do not ascend from 0 to {n}")


@dataclass(frozen=True, eq=False)
class Category:
    """One level a row."""

    codes: I32  # (n,), -1 = missing
    levels: Vocabulary

    def verify(self) -> None:
        """Refuse codes past the levels there are."""
        within("codes of a category", self.codes, len(self.levels), least=-1)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: I32 | I64) -> Category:
        """Return the column at `rows`, levels kept."""
        return Category(self.codes[rows], self.levels)

    def with_missing_row(self) -> Category:
        """Return the column with one more row, which is missing."""
        return Category(np.append(self.codes, np.int32(-1)), self.levels)

    def series(self) -> pl.Series:
        """Return the caller's values."""
        index = pl.Series(self.codes)
        return self.levels.ids.gather(index.set(index < 0, None).cast(pl.UInt32))


@dataclass(frozen=True, eq=False)
class Bag:
    """Several levels a row with counts; ``tags`` are bags whose counts are all 1."""

    indptr: I64  # (n + 1,)
    codes: I32  # (nnz,)
    counts: F32  # (nnz,)
    levels: Vocabulary
    is_tags: bool = False

    def verify(self) -> None:
        """Refuse ragged rows that do not cover their codes, and codes past the levels there are."""
        ragged("rows of a bag", self.indptr, len(self.codes))
        within("codes of a bag", self.codes, len(self.levels))
        if len(self.counts) != len(self.codes):
            raise DataError("the counts of a bag differ from its codes in number")

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def matrix(self) -> csr_array:
        """Return the counts; shape (n, n_levels), float32."""
        shape = (len(self), len(self.levels))
        return csr_array((self.counts, self.codes, self.indptr), shape=shape)

    def take(self, rows: I32 | I64) -> Bag:
        """Return the column at `rows`, levels kept."""
        part = self.matrix()[np.asarray(rows)]
        return Bag(
            part.indptr.astype(np.int64),
            part.indices.astype(np.int32),
            part.data.astype(np.float32),
            self.levels,
            self.is_tags,
        )

    def with_missing_row(self) -> Bag:
        """Return the column with one more row, which is empty."""
        indptr = np.append(self.indptr, self.indptr[-1])
        return Bag(indptr, self.codes, self.counts, self.levels, self.is_tags)

    def series(self) -> pl.Series:
        """Return the caller's values: a list of levels a row, of bags a list of (level, count)."""
        flat = self.levels.ids.gather(pl.Series(self.codes, dtype=pl.UInt32))
        if not self.is_tags:
            flat = pl.DataFrame({"level": flat, "count": self.counts}).to_struct()
        listed, ends = flat.to_list(), self.indptr.tolist()
        rows = [listed[a:b] for a, b in pairwise(ends)]
        return pl.Series(rows, dtype=pl.List(flat.dtype))


@dataclass(frozen=True, eq=False)
class Number:
    """A float32 a row; NaN = missing."""

    values: F32  # (n,)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: I32 | I64) -> Number:
        """Return the column at `rows`."""
        return Number(self.values[rows])

    def with_missing_row(self) -> Number:
        """Return the column with one more row, which is missing."""
        return Number(np.append(self.values, np.float32(np.nan)))

    def series(self) -> pl.Series:
        """Return the values, null where missing."""
        return pl.Series(self.values).fill_nan(None)


@dataclass(frozen=True, eq=False)
class Text:
    """A string a row; null = missing. ``is_path`` marks sound files."""

    values: pl.Series  # (n,), String
    is_path: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: I32 | I64) -> Text:
        """Return the column at `rows`."""
        return Text(self.values.gather(pl.Series(rows, dtype=pl.UInt32)), self.is_path)

    def with_missing_row(self) -> Text:
        """Return the column with one more row, which is missing."""
        return Text(self.values.extend_constant(None, 1), self.is_path)

    def series(self) -> pl.Series:
        """Return the values."""
        return self.values


@dataclass(frozen=True, eq=False)
class Vector:
    """A fixed-length float array a row; ``is_place`` marks (latitude, longitude) in degrees."""

    values: F32 | F64  # (n, d)
    is_place: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: I32 | I64) -> Vector:
        """Return the column at `rows`."""
        return Vector(self.values[rows], self.is_place)

    def with_missing_row(self) -> Vector:
        """Return the column with one more row, which is missing."""
        longer = np.pad(self.values.astype(np.float64), ((0, 1), (0, 0)), constant_values=np.nan)
        return Vector(longer if self.is_place else longer.astype(np.float32), self.is_place)

    def series(self) -> pl.Series:
        """Return the values as a list a row."""
        return pl.Series(self.values.tolist(), dtype=pl.List(pl.Float64))


@dataclass(frozen=True, eq=False)
class Time:
    """Seconds since 1970-01-01 UTC; ``NO_TIME`` = missing."""

    values: I64  # (n,)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: I32 | I64) -> Time:
        """Return the column at `rows`."""
        return Time(self.values[rows])

    def with_missing_row(self) -> Time:
        """Return the column with one more row, which is missing."""
        return Time(np.append(self.values, NO_TIME))

    def series(self) -> pl.Series:
        """Return the values, null where missing."""
        seconds = pl.Series(self.values)
        return seconds.set(seconds == NO_TIME, None)


Column: TypeAlias = Category | Bag | Number | Text | Vector | Time


def present(column: Column) -> Bool:
    """Return which rows (n,) hold anything; a text of spaces holds nothing.

    Example
    -------
    >>> present(Number(np.array([1, np.nan], np.float32))).tolist()
    [True, False]
    """
    match column:
        case Category():
            return column.codes >= 0
        case Bag():
            return np.diff(column.indptr) > 0
        case Number():
            return ~np.isnan(column.values)
        case Text():
            return (column.values.str.strip_chars() != "").fill_null(value=False).to_numpy()
        case Vector():
            return np.asarray(~np.isnan(column.values).any(axis=1))
        case Time():
            return np.asarray(column.values != NO_TIME)


def kind_of(column: Column) -> Kind:
    """Return the declared kind of a column."""
    match column:
        case Category():
            return "category"
        case Bag():
            return "tags" if column.is_tags else "bag"
        case Number():
            return "number"
        case Text():
            return "sound" if column.is_path else "text"
        case Vector():
            return "place" if column.is_place else "vector"
        case Time():
            return "time"
