"""Typed columns for networks: rows of embedding tables, and one matrix of numbers.

Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations", RecSys, section 4.1: a number x
becomes its quantile x~ in [0, 1), with x~^2 and sqrt(x~); categories and tags become ids of embedding tables.

What each kind becomes:

``category``         one id of a level; a level that training did not have is the declared id `unknown`
``tags``, ``bag``    several ids with weights that sum to 1 a row (the mean)
``number``           x~, x~^2, sqrt(x~), on request less their means, and an indicator of a missing one; infinity is the end of the range
``vector``           every element centred and scaled, and an indicator of a row with a missing element
``time``             ids of the hour and of the weekday (UTC), and the age in seconds, treated as a number
``place``            one id of a cell of a grid

A missing category, set, hour or cell is an empty list of ids (its embedding is zero), never a level. A constant
number or vector element becomes 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat, PositiveInt

from twofold.data.columns import NO_TIME, Bag, Category, Column, Kind, Number, Time, Vector, kind_of
from twofold.data.entities import Entities, Levels
from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError
from twofold.features.design import READABLE, check_wanted
from twofold.features.lookups import Ids, known_or_last, lookup
from twofold.features.numbers import (
    cells,
    centre_and_scale,
    distribution,
    finite_or_missing,
    mean_powers,
    quantile_powers,
    standardised,
)
from twofold.hyperparameters import hyperparameters
from twofold.typing import F32, F64

KINDS: tuple[Kind, ...] = (*READABLE, "place")
"""Kinds that become features here; text and sounds have encoders of their own."""
HOURS, WEEKDAYS = 24, 7
DAY = 86_400
POWERS = 3
"""Numbers made of a quantile: x~, x~^2, sqrt(x~)."""


@dataclass(frozen=True, eq=False)
class TableRows:
    """Columns as a model reads them."""

    fields: tuple[Ids, ...]
    dense: F32  # (n, width), finite
    n_unknown: Mapping[str, int]
    """By field: entries of levels, cells, that training did not have; by number: values outside its range."""
    n_missing: Mapping[str, int]
    """By column: rows without a value."""

    def __len__(self) -> int:
        return len(self.dense)


@hyperparameters
class Table:
    """How columns become ids and numbers (see the head of this module).

    Example
    -------
    >>> column = Category(np.array([0, 1, -1], np.int32), Vocabulary.of(["a", "b"]))
    >>> code = Table().fit({"shop": column, "price": Number(np.array([1, 3, np.nan], np.float32))})
    >>> rows = code.encode({
    ...     "shop": Category(np.array([0, 1], np.int32), Vocabulary.of(["b", "c"])),
    ...     "price": Number(np.array([2, np.nan], np.float32)),
    ... })
    >>> rows.fields[0].ids.tolist(), rows.fields[0].n_rows, rows.n_unknown["shop"]
    ([1, 2], 3, 1)
    >>> rows.dense.tolist()
    [[0.25, 0.0625, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    min_count: PositiveInt = 1
    """Training rows that must have a level or cell for it to get a row of its own; rarer ones train `unknown`."""
    quantiles: Annotated[int, Field(ge=2)] = 1000
    """Knots of the distribution of a number."""
    centred: bool = False
    """Whether x~, x~^2 and sqrt(x~) are taken from their training means, so that a missing number lies in the middle and not at the least."""
    cell_degrees: Annotated[PositiveFloat, Field(le=90)] = 0.1
    """Height and width of a cell of the grid for places; 0.1 degrees of latitude are 11 km."""

    def fit(
        self, columns: Mapping[str, Column] | Entities, names: Sequence[str] | None = None
    ) -> TableCode:
        """Remember the levels and distributions of training columns.

        Parameters
        ----------
        columns
            By name, or users or items.
        names
            Which of them, in this order; None = all but texts and sounds.

        Raises
        ------
        ConfigError
            If a name is not there.
        DataError
            If a named column is a text or a sound, or a vector holds infinity.
        """
        if isinstance(columns, Entities):
            columns = columns.features
        check_wanted(names, columns)
        for name in names or ():
            if kind_of(columns[name]) not in KINDS:
                raise DataError(
                    f"column {name!r} is a {kind_of(columns[name])} column; "
                    f"a table reads {', '.join(KINDS)}"
                )
        wanted = [name for name in columns if kind_of(columns[name]) in KINDS]
        wanted = wanted if names is None else list(names)
        codes = tuple(self._field(name, columns[name]) for name in wanted)
        return TableCode(settings=self, codes=codes)

    def _field(self, name: str, column: Column) -> FieldCode:
        kind = kind_of(column)
        match column:
            case Category() | Bag():
                codes = column.codes[column.codes >= 0]
                held = np.bincount(codes, minlength=len(column.levels))
                levels = column.levels.take(np.flatnonzero(held >= self.min_count))
                return FieldCode(name=name, kind=kind, levels=levels)
            case Number():
                knots, shares = distribution(column.values.astype(np.float64), self.quantiles)
                return FieldCode(name=name, kind=kind, knots=knots, shares=shares)
            case Time():
                known = column.values[column.values != NO_TIME]
                latest = int(known.max()) if len(known) else 0
                knots, shares = distribution((latest - known).astype(np.float64), self.quantiles)
                return FieldCode(name=name, kind=kind, knots=knots, shares=shares, latest=latest)
            case Vector() if column.is_place:
                cell, count = np.unique(
                    cells(finite_or_missing(name, column), self.cell_degrees), return_counts=True
                )
                kept = cell[(cell >= 0) & (count >= self.min_count)]
                return FieldCode(name=name, kind=kind, levels=Vocabulary(pl.Series(kept)))
            case Vector():
                centre, scale = centre_and_scale(finite_or_missing(name, column))
                return FieldCode(name=name, kind=kind, centre=centre, scale=scale)
            case _:
                raise DataError(
                    f"column {name!r} is a {kind} column; a table reads {', '.join(KINDS)}"
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldCode:
    """What training saw of one column."""

    name: str
    kind: Kind
    levels: Vocabulary | None = None
    knots: F64 | None = None  # (quantiles,), ascending
    shares: F64 | None = None  # (quantiles,), in [0, 1)
    centre: F32 | None = None  # (d,)
    scale: F32 | None = None  # (d,)
    latest: int | None = None
    """The last time in training, which ages are counted from."""

    @property
    def tables(self) -> dict[str, int]:
        """The embedding tables of this column, and the rows of each; the last one is `unknown`."""
        if self.levels is not None:
            return {self.name: len(self.levels) + 1}
        if self.kind == "time":
            return {f"{self.name}.hour": HOURS + 1, f"{self.name}.weekday": WEEKDAYS + 1}
        return {}

    @property
    def width(self) -> int:
        """Columns of the dense matrix."""
        if self.centre is not None:
            return len(self.centre) + 1
        return POWERS + 1 if self.knots is not None else 0

    def check(self, columns: Mapping[str, Column]) -> Column:
        """Return this column of `columns`.

        Raises
        ------
        DataError
            If it is not there, is of another kind than in training, or a vector of another length.
        """
        if self.name not in columns:
            raise DataError(
                f"column {self.name!r} is missing, training had it as a {self.kind}; "
                "give it, with missing values where it is not known"
            )
        column = columns[self.name]
        if kind_of(column) != self.kind:
            raise DataError(
                f"column {self.name!r} was a {self.kind} in training and is a {kind_of(column)} now; "
                "give it the same kind"
            )
        now = column.values.shape[1] if isinstance(column, Vector) else 0
        if self.centre is not None and now != len(self.centre):
            raise DataError(
                f"column {self.name!r} had vectors of {len(self.centre)} numbers in training and has "
                f"{now} now; give it the same length"
            )
        return column


@dataclass(frozen=True, eq=False, kw_only=True)
class TableCode:
    """How columns were encoded in training, so that new rows are encoded alike."""

    settings: Table
    codes: tuple[FieldCode, ...]

    @property
    def tables(self) -> dict[str, int]:
        """Embedding tables by name with their rows, in the order of ``TableRows.fields``."""
        return {name: rows for code in self.codes for name, rows in code.tables.items()}

    @property
    def width(self) -> int:
        """Columns of the dense matrix."""
        return sum(code.width for code in self.codes)

    @property
    def levels(self) -> Levels:
        """The values of each column that have a row of their own; None of columns that are no categories or tags."""
        listed = ("category", "tags", "bag")
        return {one.name: one.levels if one.kind in listed else None for one in self.codes}

    def encode(self, columns: Mapping[str, Column] | Entities, now: int | None = None) -> TableRows:
        """Encode rows; an empty table gives arrays of length 0.

        Parameters
        ----------
        columns
            With the columns of training, of the same kinds; others are not read.
        now
            Seconds since 1970 that ages are counted to; None = the last time in training. Later times
            have age 0 and count as out of range.

        Raises
        ------
        DataError
            If a column is missing or of another kind than in training, or a vector holds infinity.
        """
        if isinstance(columns, Entities):
            columns = columns.features
        read = [(code, code.check(columns)) for code in self.codes]
        lengths = {code.name: len(column) for code, column in read}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns must have the same number of rows; got {lengths}")
        n = next((len(one) for one in (*(column for _, column in read), *columns.values())), 0)
        parts: list[F32] = [np.zeros((n, 0), np.float32)]
        fields: list[Ids] = []
        unknown: dict[str, int] = {}
        missing: dict[str, int] = {}
        for code, column in read:
            made = self._lookups(code, column)
            fields += made
            unknown |= {one.name: one.n_unknown for one in made}
            if not code.width:
                missing[code.name] = int(np.count_nonzero(np.diff(made[0].offsets) == 0))
                continue
            dense, outside = numbers_of(code, column, now)
            if self.settings.centred and code.shares is not None:
                dense -= mean_powers(code.shares) * (1 - dense[:, -1:])
            unknown |= outside
            missing[code.name] = int(np.count_nonzero(dense[:, -1]))
            parts.append(dense)
        return TableRows(tuple(fields), np.hstack(parts), unknown, missing)

    def _lookups(self, code: FieldCode, column: Column) -> list[Ids]:
        n = len(column)
        one_each = np.arange(n + 1, dtype=np.int64)
        match column:
            case Category() if code.levels is not None:
                row = known_or_last(code.levels.rows(column.levels.ids), len(code.levels))
                row = np.append(row, -1)[column.codes]
                return [lookup(code.name, row, one_each, len(code.levels))]
            case Bag() if code.levels is not None:
                row = known_or_last(code.levels.rows(column.levels.ids), len(code.levels))
                ids = row[column.codes]
                return [lookup(code.name, ids, column.indptr, len(code.levels), column.counts)]
            case Vector() if code.levels is not None:
                cell = cells(finite_or_missing(code.name, column), self.settings.cell_degrees)
                row = known_or_last(code.levels.rows(pl.Series(cell)), len(code.levels))
                row = np.where(cell < 0, -1, row)
                return [lookup(code.name, row, one_each, len(code.levels))]
            case Time():
                known = column.values != NO_TIME
                time = np.where(known, column.values, 0)
                hour = np.where(known, time % DAY // 3600, -1)
                weekday = np.where(known, (time // DAY + 3) % WEEKDAYS, -1)  # 1970-01-01: Thursday
                return [
                    lookup(f"{code.name}.hour", hour, one_each, HOURS),
                    lookup(f"{code.name}.weekday", weekday, one_each, WEEKDAYS),
                ]
            case _:
                return []


def numbers_of(code: FieldCode, column: Column, now: int | None) -> tuple[F32, dict[str, int]]:
    """Return the dense part of a column, (n, code.width), and how many values lie out of range, by name."""
    match column:
        case Number() if code.knots is not None and code.shares is not None:
            values = column.values.astype(np.float64)
            dense, outside = quantile_powers(values, code.knots, code.shares)
            return dense, {code.name: outside}
        case Time() if code.knots is not None and code.shares is not None:
            until = (code.latest or 0) if now is None else now
            known = column.values != NO_TIME
            age = np.where(known, until - np.where(known, column.values, 0), np.nan)
            dense, outside = quantile_powers(age, code.knots, code.shares)
            return dense, {f"{code.name}.age": outside}
        case Vector() if code.centre is not None and code.scale is not None:
            return standardised(finite_or_missing(code.name, column), code.centre, code.scale), {}
        case _:
            raise DataError(f"column {code.name!r} is a {kind_of(column)} column without numbers")
