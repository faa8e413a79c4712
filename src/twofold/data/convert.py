"""From raw columns to typed ones: numbers, times, categories, tags, bags, vectors, places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from twofold.data.columns import (
    KINDS,
    NO_TIME,
    Bag,
    Category,
    Column,
    Kind,
    Number,
    Text,
    Time,
    Vector,
)
from twofold.data.vocabulary import Vocabulary, as_ids, factorize, is_text
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.typing import F32, F64, I64, Bool

SEPARATORS = ("|", ";", ",")
"""What may stand between the tags of one string; the first that occurs anywhere in the column."""
MILLISECONDS = 100_000_000_000
"""Epoch numbers from here on (the year 5138 in seconds, 1973 in milliseconds) are milliseconds."""
FEW_LEVELS = 0.5
"""A string column with fewer distinct values than this share of its rows is a category, else a text."""


def column_from_values(name: str, values: pl.Series, kind: Kind | None) -> Column:
    """Read a raw column as `kind`; None = guess it.

    Raises
    ------
    ConfigError
        If there is no such kind.
    DataError
        If a value cannot be read; the message names the column, the row and the value.
    """
    chosen = guess_kind(values) if kind is None else kind
    match chosen:
        case "category":
            return category(values, name)
        case "tags" | "bag":
            return bag(values, name, is_tags=chosen == "tags")
        case "number":
            return Number(numbers(values, f"column {name!r}"))
        case "text" | "sound":
            return Text(as_text(values), is_path=chosen == "sound")
        case "vector" | "place":
            return vectors(values, name, is_place=chosen == "place")
        case "time":
            return Time(parse_times(values, f"column {name!r}")[0])
        case _:
            raise ConfigError(f"column {name!r} got the kind {kind!r}; {did_you_mean(kind, KINDS)}")


def guess_kind(values: pl.Series) -> Kind:
    """Return the kind that a column is read as when none is declared."""
    kind = values.dtype
    if isinstance(kind, pl.List | pl.Array):
        inner: Any = kind.inner
        return "vector" if inner.is_numeric() and isinstance(kind, pl.Array) else "tags"
    if kind.is_temporal():
        return "time"
    if kind.is_numeric():
        return "number"
    if kind == pl.String and len(values):
        if values.str.contains("|", literal=True).any():
            return "tags"
        return "category" if values.n_unique() <= max(2, FEW_LEVELS * len(values)) else "text"
    return "category"


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as strings, null where missing."""
    return values.cast(pl.String)


def first_bad(values: pl.Series, bad: np.ndarray) -> tuple[int, Any]:
    """Return the row number and the value of the first row where `bad`."""
    row = int(np.flatnonzero(bad)[0])
    return row, values[row]


def numbers(values: pl.Series, what: str) -> F32:
    """Read numbers as float32, NaN where missing.

    Raises
    ------
    DataError
        If a value is not a number, or is infinite or too large.
    """
    if values.dtype == pl.Boolean or values.dtype.is_numeric() or values.dtype == pl.Null:
        cast = values.cast(pl.Float64)
    elif is_text(values.dtype):
        text = values.cast(pl.String).str.strip_chars()
        empty = text.is_null() | text.str.to_lowercase().is_in(["", "nan", "na", "null", "none"])
        cast = text.cast(pl.Float64, strict=False)
        bad = (cast.is_null() & ~empty).to_numpy()
        if bad.any():
            row, seen = first_bad(values, bad)
            raise DataError(
                f"{what} must hold numbers; got {seen!r} in row {row:,} ({int(bad.sum()):,} such rows): "
                "correct them, or name another column"
            )
        cast = cast.set(empty, None)
    else:
        raise DataError(f"{what} must hold numbers; got values of type {values.dtype}")
    made = cast.fill_null(float("nan")).to_numpy().astype(np.float64)
    huge = np.abs(made) > np.finfo(np.float32).max
    if huge.any():
        row, seen = first_bad(values, huge)
        raise DataError(f"{what} must hold finite numbers; got {seen!r} in row {row:,}")
    return made.astype(np.float32)


def parse_times(values: pl.Series, what: str) -> tuple[I64, list[str]]:
    """Read times as seconds since 1970 UTC, ``NO_TIME`` where missing; also say what was assumed.

    Numbers are epoch seconds, or milliseconds where all are beyond 10^11; text is ISO 8601 (a date,
    or a date and a time, UTC where no zone is given), or a number as above. A column has one format.

    Raises
    ------
    DataError
        If a value cannot be read or formats are mixed.
    """
    kind, notes = values.dtype, list[str]()
    if kind == pl.Null:
        return np.full(len(values), NO_TIME, np.int64), notes
    if is_text(kind):
        values = _parse_text(values.cast(pl.String).str.strip_chars(), what)
        kind = values.dtype
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        whole = values.cast(pl.Datetime("us")) if kind == pl.Date else values
        zone = getattr(kind, "time_zone", None)
        if zone is not None:
            whole = whole.dt.convert_time_zone("UTC")
        return whole.dt.epoch("s").fill_null(NO_TIME).to_numpy().astype(np.int64), notes
    if not kind.is_numeric():
        raise DataError(f"{what} must hold times; got values of type {kind}")
    raw = values.fill_nan(None) if kind.is_float() else values
    known = raw.drop_nulls()
    if not len(known):
        return np.full(len(values), NO_TIME, np.int64), notes
    made = raw.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    late = np.abs(made) >= MILLISECONDS
    if late.any():
        if late.sum() < len(known) and (np.abs(made) < MILLISECONDS).sum() > (made == 0).sum():
            at, seen = first_bad(values, ~late & ~np.isnan(made))
            other, unlike = first_bad(values, late)
            raise DataError(
                f"{what} mixes formats: {seen!r} in row {at:,} reads as seconds and {unlike!r} in row "
                f"{other:,} as milliseconds; use one"
            )
        if np.nanmax(np.abs(made)) >= MILLISECONDS * 1000:
            raise DataError(
                f"{what} must hold epoch seconds or milliseconds; got {known[0]!r}: divide it"
            )
        notes.append(f"{what} was read as milliseconds since 1970")
        whole = raw.cast(pl.Int64) // 1000
    elif kind.is_float():
        whole = raw.floor().cast(pl.Int64)
    else:
        whole = raw.cast(pl.Int64)
    return whole.fill_null(NO_TIME).to_numpy().astype(np.int64), notes


def _parse_text(text: pl.Series, what: str) -> pl.Series:
    """Return numbers or UTC datetimes of a text column in one format."""
    text = text.set(text.is_in(["", "NaN", "nan", "null", "NULL", "None", "NA"]), None)
    as_number = text.cast(pl.Float64, strict=False)
    zoned = text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$") & text.str.contains(r"\d[T ]\d")
    iso = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:?\d{2})?$"
    dated = text.str.contains(iso)
    kinds = {
        "a number": as_number.is_not_null(),
        "a date with a zone": dated & zoned,
        "a date": dated & ~zoned,
    }
    other = text.is_not_null() & ~dated.fill_null(value=False) & as_number.is_null()
    if other.any():
        row, seen = first_bad(text, other.to_numpy())
        raise DataError(
            f"{what} must hold epoch numbers or ISO 8601 dates (2024-12-31T23:59:59); "
            f"got {seen!r} in row {row:,}"
        )
    present = [name for name, mask in kinds.items() if mask.fill_null(value=False).any()]
    if len(present) > 1:
        rows = [
            first_bad(text, kinds[name].fill_null(value=False).to_numpy()) for name in present[:2]
        ]
        raise DataError(
            f"{what} mixes formats: {rows[0][1]!r} in row {rows[0][0]:,} is {present[0]} and "
            f"{rows[1][1]!r} in row {rows[1][0]:,} is {present[1]}; use one"
        )
    if present and present[0] == "a number":
        return as_number
    zone = "+00:00" if present != ["a date with a zone"] else ""
    full = text.str.replace(" ", "T").str.replace(r"Z$", "+00:00")
    full = full.str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2") if not zone else full
    date_only = full.str.len_chars() == 10
    full = pl.select(
        pl.when(date_only)
        .then(full + "T00:00:00")
        .when(full.str.contains(r"T\d{2}:\d{2}(?:$|[+-])"))
        .then(full.str.replace(r"(T\d{2}:\d{2})", "$1:00"))
        .otherwise(full)
    ).to_series()
    made = (full + zone).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_zone="UTC", strict=False)
    bad = (made.is_null() & text.is_not_null()).to_numpy()
    if bad.any():
        row, seen = first_bad(text, bad)
        raise DataError(f"{what} must hold dates that exist; got {seen!r} in row {row:,}")
    return made


def category(values: pl.Series, name: str) -> Category:
    """Read one level a row."""
    if isinstance(values.dtype, pl.List | pl.Array | pl.Struct):
        raise DataError(
            f"column {name!r} of kind category must hold single values; got {values.dtype}"
        )
    ids = as_ids(values.cast(pl.String) if values.dtype.is_float() else values, f"column {name!r}")
    known = ids.is_not_null()
    levels, rows = factorize(ids.drop_nulls())
    codes = np.full(len(ids), -1, np.int32)
    codes[known.to_numpy()] = rows
    return Category(codes, levels)


def bag(values: pl.Series, name: str, *, is_tags: bool) -> Bag:
    """Read several levels a row: a list, a separated string, or (bags) a mapping of levels to counts."""
    counts: list[F64] | None = None
    if values.dtype == pl.Object or isinstance(values.dtype, pl.Struct):
        rows = [dict(one) if one is not None else {} for one in values.to_list()]
        rows = [{key: n for key, n in one.items() if n} for one in rows]
        counts = [np.array(list(one.values()), np.float64) for one in rows]
        listed = pl.Series(name, [list(one) for one in rows], strict=False)
    elif isinstance(values.dtype, pl.List | pl.Array):
        listed = values.cast(pl.List(values.dtype.inner)) if values.dtype != pl.List else values
    else:
        listed = split_tags(values.cast(pl.String))
    lengths = listed.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = listed.explode(empty_as_null=False, keep_nulls=False) if len(listed) else listed
    ids = as_ids(flat if lengths.sum() else pl.Series(dtype=pl.String), f"column {name!r}")
    row_of = np.repeat(np.arange(len(listed)), lengths)
    weight = np.ones(len(ids)) if counts is None else np.concatenate([*counts, np.zeros(0)])
    known = ids.is_not_null().to_numpy()
    levels, codes = factorize(ids.drop_nulls())
    return make_bag(row_of[known], codes, weight[known], len(listed), levels, is_tags=is_tags)


def split_tags(text: pl.Series) -> pl.Series:
    """Split strings at the first of ``SEPARATORS`` that occurs in the column."""
    found = [one for one in SEPARATORS if text.str.contains(one, literal=True).any()]
    parts = text.fill_null("").str.split(found[0] if found else "\0")
    return parts.list.eval(pl.element().str.strip_chars()).list.eval(
        pl.element().filter(pl.element() != "")
    )


def make_bag(
    row: np.ndarray,
    code: np.ndarray,
    weight: F64,
    n: int,
    levels: Vocabulary,
    *,
    is_tags: bool,
) -> Bag:
    """Return the bag of entries (row, code, weight), repeated entries added; tags count once."""
    key = row.astype(np.int64) * max(len(levels), 1) + code
    unique, place = np.unique(key, return_inverse=True)
    counts = np.bincount(place, weight, len(unique)).astype(np.float32)
    if is_tags:
        counts[:] = 1.0
    rows, codes = np.divmod(unique, max(len(levels), 1))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return Bag(indptr, codes.astype(np.int32), counts, levels, is_tags)


def vectors(values: pl.Series, name: str, *, is_place: bool) -> Vector:
    """Read arrays of one length, NaN where missing; a place is (latitude, longitude) or "lat,lon"."""
    if values.dtype == pl.String:
        values = values.str.split(",").list.eval(pl.element().str.strip_chars().cast(pl.Float64))
    if not isinstance(values.dtype, pl.List | pl.Array):
        raise DataError(f"column {name!r} must hold a list of numbers a row; got {values.dtype}")
    rows: Sequence[Any] = values.to_list()
    lengths = {len(one) for one in rows if one is not None} or {2 if is_place else 1}
    if len(lengths) > 1 or (is_place and lengths != {2}):
        raise DataError(
            f"column {name!r} must hold {'two numbers' if is_place else 'as many numbers'} in every row; "
            f"got lengths {sorted(lengths)[:5]}"
        )
    width = lengths.pop()
    blank = [float("nan")] * width
    filled = [blank if one is None else [blank[0] if x is None else x for x in one] for one in rows]
    made = np.array(filled, np.float64).reshape(len(rows), width)
    if is_place:
        bad: Bool = np.asarray((np.abs(made) > np.array([90.0, 180.0])).any(axis=1))
        if bad.any():
            row, seen = first_bad(values, bad)
            raise DataError(
                f"column {name!r} must hold (latitude -90 ... 90, longitude -180 ... 180); "
                f"got {list(seen)} in row {row:,}"
            )
    return Vector(made if is_place else made.astype(np.float32), is_place)
