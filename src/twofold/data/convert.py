"""From raw columns to typed ones: numbers, times, categories, tags, bags, vectors, places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from twofold.data.columns import (
    KINDS,
    Bag,
    Category,
    Column,
    Kind,
    Number,
    Text,
    Time,
    Vector,
)
from twofold.data.names import MISSING, NUMBER
from twofold.data.times import first_bad, parse_times
from twofold.data.vocabulary import Vocabulary, as_ids, factorize, is_text
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.typing import F32, F64, Bool

SEPARATORS = ("|", ";", ",")
"""What may stand between the tags of one string; the first that occurs anywhere in the column."""
THOUSANDS_COMMA = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
DECIMAL_COMMA = r"^[+-]?(?:\d+|\d{1,3}(?:[. ]\d{3})+),\d+$"
DECIMAL_THOUSANDS = r"^[+-]?\d{1,3}(?:\.\d{3}){2,}$"
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
    if isinstance(values.dtype, pl.Duration):
        raise DataError(
            f"column {name!r} holds durations; give them as numbers, such as their seconds"
        )
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
    if isinstance(kind, pl.Struct):
        return (
            "bag" if kind.fields and all(one.dtype.is_numeric() for one in kind.fields) else "text"
        )
    if kind == pl.String and len(values):
        if _is_written_number(values):
            return "number"
        if _is_written_day(values):
            return "time"
        if values.str.contains("|", literal=True).any():
            return "tags"
        return "category" if values.n_unique() <= max(2, FEW_LEVELS * len(values)) else "text"
    return "category"


def _is_written_number(values: pl.Series) -> bool:
    """Say whether strings are decimals; integers as strings are names, and so is 007."""
    known = values.drop_nulls()
    if not len(known) or not known.str.contains(NUMBER).all():
        return False
    padded = known.str.contains(r"^[+-]?0\d")
    return not padded.any() and bool(known.str.contains(r"[.eE]").any())


def _is_written_day(values: pl.Series) -> bool:
    """Say whether strings are days such as 2024-12-31."""
    known = values.drop_nulls()
    if not len(known) or not known.str.contains(r"^\d{4}-\d{2}-\d{2}$").all():
        return False
    return known.str.to_date("%Y-%m-%d", strict=False).null_count() == 0


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as strings, null where missing; lists and objects as JSON."""
    if isinstance(values.dtype, pl.List | pl.Array | pl.Struct):
        listed = [None if one is None else json.dumps(one, default=str) for one in values.to_list()]
        return pl.Series(values.name, listed, dtype=pl.String)
    return values.cast(pl.String)


def numbers(values: pl.Series, what: str, notes: list[str] | None = None) -> F32:
    """Read numbers as float32, NaN where missing.

    Text may have commas between thousands (1,234.5) or in place of the point (1.234,5); a column in which
    every comma could be either is read as thousands. What was assumed is added to `notes`.

    Raises
    ------
    DataError
        If a value is not a number, or is infinite or too large.
    """
    if values.dtype == pl.Boolean or values.dtype.is_numeric() or values.dtype == pl.Null:
        cast = values.cast(pl.Float64)
    elif is_text(values.dtype):
        cast = _written_numbers(values, what, [] if notes is None else notes)
    else:
        raise DataError(f"{what} must hold numbers; got values of type {values.dtype}")
    made = cast.fill_null(float("nan")).to_numpy()
    huge = np.abs(made) > np.finfo(np.float32).max
    if huge.any():
        row, seen = first_bad(values, huge)
        raise DataError(
            f"{what} must hold finite numbers; got {seen!r} in row {row:,}: correct or remove it"
        )
    return made.astype(np.float32)


def _written_numbers(values: pl.Series, what: str, notes: list[str]) -> pl.Series:
    """Return text as float64."""
    text = values.cast(pl.String).str.strip_chars()
    text = text.set(text.is_in([*MISSING, "none", "na", "NAN"]), None)
    known = text.drop_nulls()
    cast = text.cast(pl.Float64, strict=False)
    if cast.null_count() == text.null_count():
        return cast
    if known.str.to_lowercase().is_in(["true", "false"]).all():
        return (text.str.to_lowercase() == "true").cast(pl.Float64)
    spaced = text.str.replace_all(r"(\d)[\x{a0}\x{202f}' ](\d{3})", "$1$2")
    plain, comma = spaced.str.contains(NUMBER), spaced.str.contains(",", literal=True)
    thousands = spaced.str.contains(THOUSANDS_COMMA)
    decimal = spaced.str.contains(DECIMAL_COMMA) | spaced.str.contains(DECIMAL_THOUSANDS)
    if (plain | thousands | spaced.is_null()).all():
        if comma.any():
            notes.append(
                f"{what} was read with commas between thousands, as in {spaced.filter(comma)[0]}"
            )
        return spaced.str.replace_all(",", "").cast(pl.Float64)
    if (spaced.str.contains(r"^[+-]?\d+$") | decimal | spaced.is_null()).all():
        notes.append(
            f"{what} was read with commas in place of points, as in {text.filter(decimal)[0]}"
        )
        return spaced.str.replace_all(r"[. ]", "").str.replace(",", ".").cast(pl.Float64)
    bad = (cast.is_null() & text.is_not_null()).to_numpy()
    row, seen = first_bad(values, bad)
    if len(values) == 1:  # a question of one person, or one item
        raise DataError(f"{what} must hold numbers; got {seen!r}: give a number, or nothing")
    more = f" and in {int(bad.sum()) - 1:,} more" if bad.sum() > 1 else ""
    raise DataError(
        f"{what} must hold numbers; got {seen!r} in row {row:,}{more}: correct it, or name another column"
    )


def category(values: pl.Series, name: str) -> Category:
    """Read one level a row."""
    if isinstance(values.dtype, pl.List | pl.Array | pl.Struct):
        raise DataError(
            f"column {name!r} of kind category must hold one value a row; got {values.dtype}: "
            "give one, or declare the column as tags"
        )
    ids = as_ids(values.cast(pl.String) if values.dtype.is_float() else values, f"column {name!r}")
    known = ids.is_not_null()
    levels, rows = factorize(ids.drop_nulls())
    codes = np.full(len(ids), -1, np.int32)
    codes[known.to_numpy()] = rows
    return Category(codes, levels)


def bag(values: pl.Series, name: str, *, is_tags: bool) -> Bag:
    """Read several levels a row: a list, a separated string, or for bags a mapping of levels to counts.

    A mapping is an object, JSON text, or a list of objects of two fields, level and count.
    """
    counts: list[F64] | None = None
    if not is_tags:
        values = as_mappings(values, name)
    if values.dtype == pl.Object or isinstance(values.dtype, pl.Struct):
        rows = [dict(one) if one is not None else {} for one in values.to_list()]
        rows = [{key: n for key, n in one.items() if n} for one in rows]
        counts = [level_counts(one, row, name) for row, one in enumerate(rows)]
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
    known = ids.is_not_null().to_numpy() & ~np.isnan(weight)
    levels, codes = factorize(ids.filter(pl.Series(known)))
    return make_bag(row_of[known], codes, weight[known], len(listed), levels, is_tags=is_tags)


def level_counts(row: Mapping[Any, Any], at: int, name: str) -> F64:
    """Return the counts of the levels of row `at`, NaN where missing.

    Raises
    ------
    DataError
        If one is no number, or infinite or too large.
    """
    try:
        made = np.array([float(one) for one in row.values()], np.float64)
    except (TypeError, ValueError):
        made = None
    if made is None or (np.abs(made) > np.finfo(np.float32).max).any():
        raise DataError(
            f"column {name!r} must hold a finite number for every level; got {dict(row)!r:.80} in row {at:,}: "
            "correct it, or declare the column as tags"
        )
    return made


def as_mappings(values: pl.Series, name: str) -> pl.Series:
    """Return JSON text and lists of (level, count) as Python mappings; other columns as they are."""
    known = values.drop_nulls()
    if is_text(values.dtype) and len(known) and known.cast(pl.String).str.contains(r"^\s*\{").all():
        try:
            found = [None if one is None else json.loads(one) for one in values.to_list()]
        except ValueError as error:
            raise DataError(f"column {name!r} begins as JSON and is not: {error}") from error
        return pl.Series(name, found, dtype=pl.Object)
    inner: Any = values.dtype.inner if isinstance(values.dtype, pl.List) else None
    if not isinstance(inner, pl.Struct):
        return values
    if len(inner.fields) != 2:
        seen = [one.name for one in inner.fields]
        raise DataError(
            f"column {name!r} must hold lists of a level and a count; got fields {seen}"
        )
    level, count = (one.name for one in inner.fields)
    found = [{one[level]: one[count] for one in row or ()} for row in values.to_list()]
    return pl.Series(name, found, dtype=pl.Object)


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


def written_vectors(values: pl.Series, name: str) -> pl.Series:
    """Return text such as "52.5,13.4" as lists of numbers, null where it is empty.

    Raises
    ------
    DataError
        Naming the first that holds something else.
    """
    text = values.set(values.str.strip_chars() == "", None)
    parts = text.str.split(",").list.eval(
        pl.element().str.strip_chars().cast(pl.Float64, strict=False)
    )
    bad = parts.list.eval(pl.element().is_null()).list.any().fill_null(False).to_numpy()  # noqa: FBT003
    if bad.any():
        row, seen = first_bad(values, bad)
        raise DataError(
            f"column {name!r} must hold numbers with commas between them; got {seen!r} in row {row:,}"
        )
    return parts


def vectors(values: pl.Series, name: str, *, is_place: bool) -> Vector:
    """Read arrays of one length, NaN where missing; a place is (latitude, longitude) or "lat,lon"."""
    if values.dtype == pl.String:
        values = written_vectors(values, name)
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
    try:
        made = np.array(filled, np.float64).reshape(len(rows), width)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} must hold lists of numbers: {error}") from error
    if is_place:
        bad: Bool = np.asarray((np.abs(made) > np.array([90.0, 180.0])).any(axis=1))
        if bad.any():
            row, _ = first_bad(values, bad)
            seen = made[row].tolist()
            raise DataError(
                f"column {name!r} must hold (latitude -90 ... 90, longitude -180 ... 180); "
                f"got {seen} in row {row:,}"
            )
    return Vector(made if is_place else made.astype(np.float32), is_place)
