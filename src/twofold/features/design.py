"""From typed columns to the sparse rows of a feature matrix, with what training saw remembered.

A category is one indicator a level; tags and bags have unit length (1 / sqrt(n) for n tags); numbers,
vectors and times are centred and scaled to unit variance, and one beyond those of training is read as the
nearest of them. What is missing or was not seen in training
is a row without entries, never a silent zero level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from twofold.data.columns import NO_TIME, Bag, Category, Column, Kind, Number, Time, Vector, kind_of
from twofold.data.entities import levels_of
from twofold.data.interactions import Histories
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.typing import F32, F64, I64

READABLE: tuple[Kind, ...] = ("category", "tags", "bag", "number", "vector", "time")
"""Kinds that become features; text, places and sounds need an encoder of their own."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ColumnCode:
    """How one column was encoded in training, so that new rows are encoded alike."""

    name: str
    kind: Kind
    levels: Vocabulary | None = None
    centre: F32 | F64 | None = None
    """(width,); an older folder has F32, in which a time is 128 seconds."""
    scale: F32 | None = None  # (width,)
    least: F32 | None = None  # (width,) encoded; None where an older folder did not bound numbers
    most: F32 | None = None  # (width,)

    @property
    def width(self) -> int:
        """Number of features."""
        if self.levels is not None:
            return len(self.levels)
        return 0 if self.centre is None else len(self.centre)

    @classmethod
    def of(cls, name: str, column: Column) -> ColumnCode:
        """Remember the levels that occur, or the centre, spread and ends, of a training column; beyond the ends the nearest one is read."""
        match column:
            case Category() | Bag():
                return cls(name=name, kind=kind_of(column), levels=levels_of(column))
            case _:
                numbers = as_numbers(column)
                known = np.isfinite(numbers)
                count = np.maximum(known.sum(axis=0), 1)
                filled = np.where(known, numbers, 0.0)
                centre = filled.sum(axis=0) / count
                spread = np.sqrt((np.where(known, numbers - centre, 0.0) ** 2).sum(axis=0) / count)
                scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
                scaled = standardised(column, centre, scale)
                return cls(
                    name=name,
                    kind=kind_of(column),
                    centre=centre,
                    scale=scale,
                    # What is missing is 0, the mean, which lies between the ends.
                    least=scaled.min(axis=0, initial=0),
                    most=scaled.max(axis=0, initial=0),
                )

    def encode(self, column: Column) -> csr_array:
        """Return the features of `column`, shape (n, width)."""
        match column:
            case Category() if self.levels is not None:
                place = np.append(self.levels.rows(column.levels.ids), -1)[column.codes]
                return indicators(place, self.width)
            case Bag() if self.levels is not None:
                place = self.levels.rows(column.levels.ids)[column.codes]
                rows = np.repeat(np.arange(len(column)), np.diff(column.indptr))
                kept = place >= 0
                shape = (len(column), self.width)
                made = csr_array((column.counts[kept], (rows[kept], place[kept])), shape=shape)
                return unit_rows(made)
            case Number() | Vector() | Time() if self.centre is not None and self.scale is not None:
                scaled = standardised(column, self.centre, self.scale)
                if self.least is not None and self.most is not None:
                    scaled = np.clip(scaled, self.least, self.most)
                return csr_array(scaled)
            case _:
                raise ConfigError(
                    f"column {self.name!r} was a {self.kind} in training and is a "
                    f"{kind_of(column)} now; give it the same kind"
                )


def as_numbers(column: Column) -> np.ndarray:
    """Return a number, vector or time column as float64 (n, width), NaN where missing."""
    match column:
        case Number():
            return column.values[:, None].astype(np.float64)
        case Time():
            missing = column.values == NO_TIME
            return np.where(missing, np.nan, column.values.astype(np.float64))[:, None]
        case Vector():
            return column.values.astype(np.float64)
        case _:
            raise ConfigError(f"a {kind_of(column)} column holds no numbers")


def standardised(column: Column, centre: F32 | F64, scale: F32) -> F32:
    """Return the numbers of a column, (n, width), centred and scaled, 0 where missing.

    Raises
    ------
    DataError
        If vectors are of another length than those of training.
    """
    given = as_numbers(column)
    if given.shape[1] != np.size(centre):
        raise DataError(
            f"vectors have {given.shape[1]} numbers; those of training have {np.size(centre)}"
        )
    scaled = (given - centre) / scale
    return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)


def readable(columns: Mapping[str, Column], wanted: Sequence[str] | None) -> dict[str, Column]:
    """Return the columns that become features: those `wanted`, or all of a readable kind.

    Raises
    ------
    ConfigError
        If a wanted column is of a kind that has no encoding here.
    """
    if wanted is None:
        return {name: one for name, one in columns.items() if kind_of(one) in READABLE}
    for name in wanted:
        if name in columns and kind_of(columns[name]) not in READABLE:
            raise ConfigError(
                f"feature {name!r} is a {kind_of(columns[name])} column; "
                f"FM reads {', '.join(READABLE)}"
            )
    return {name: columns[name] for name in wanted if name in columns}


def check_wanted(wanted: Sequence[str] | None, *sides: Mapping[str, Column]) -> None:
    """Refuse a wanted feature that no side has.

    Raises
    ------
    ConfigError
        Naming it, and the columns there are.
    """
    there = [name for side in sides for name in side]
    for name in wanted or ():
        if name not in there:
            raise ConfigError(f"no feature column {name!r}; {did_you_mean(name, there)}")


def indicators(place: I64 | np.ndarray, width: int) -> csr_array:
    """Return one-hot rows, shape (n, width); place -1 gives an empty row."""
    rows = np.flatnonzero(place >= 0)
    ones = np.ones(len(rows), np.float32)
    return csr_array((ones, (rows, place[rows])), shape=(len(place), width))


def unit_rows(rows: csr_array) -> csr_array:
    """Return rows scaled to length 1; empty rows stay empty."""
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), np.float64))
    made = rows.copy()
    made.data = (rows.data / np.repeat(np.maximum(length, 1e-30), np.diff(rows.indptr))).astype(
        np.float32
    )
    return made


def implicit(histories: Histories, n_items: int) -> csr_array:
    """Return who touched what as features of unit length, 1 / sqrt(n) each (the y_j of SVD++)."""
    made = histories.matrix(n_items)
    made.data = np.ones(len(made.data), np.float32)
    return unit_rows(made)


def side_by_side(parts: Sequence[csr_array]) -> csr_array:
    """Join feature matrices of the same rows."""
    made = csr_array(hstack(parts, format="csr", dtype=np.float32))
    made.sort_indices()
    return made


def width_of(rows: csr_array) -> int:
    """Return the number of features of rows (n, features)."""
    return int((rows.shape or (0, 0))[1])


def filled(before: csr_array, after: csr_array) -> csr_array:
    """Return the rows (n, W) of `after`, and those of `before` where these are empty."""
    n = len(after.indptr) - 1
    there = np.diff(after.indptr) > 0
    return csr_array(csr_array(vstack([before, after], format="csr"))[np.arange(n) + n * there])
