"""From raw columns to typed ones: numbers, times, categories, vectors, places; tags and bags are read by `bags`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from twofold.data.bags import LABELS, bag
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
from twofold.data.names import MISSING, NUMBER, plain
from twofold.data.places import as_degrees, is_degrees
from twofold.data.times import first_bad, parse_times
from twofold.data.vocabulary import as_ids, factorize, is_text
from twofold.data.written import LIST, as_list, unwritten
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.typing import F32, Bool

THOUSANDS_COMMA = r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?$"
DECIMAL_COMMA = r"^[+-]?(?:[0-9]+|[0-9]{1,3}(?:[. ][0-9]{3})+),[0-9]+$"
DECIMAL_THOUSANDS = r"^[+-]?[0-9]{1,3}(?:\.[0-9]{3}){2,}$"
COUNTS = (
    "count",
    "counts",
    "n",
    "weight",
    "weights",
    "value",
    "score",
    "times",
    "amount",
    "frequency",
)
"""Names of the number in a list of levels with their counts."""
LOOKED_AT = 100
"""Cells that are looked at to tell whether a text was written as a list."""
FEW_LEVELS = 0.5
"""A string column with fewer distinct values than this share of its rows is a category, else a text."""


def column_from_values(
    name: str, values: pl.Series, kind: Kind | None, like: Column | None = None
) -> Column:
    """Read a raw column as `kind`; None = guess it. `like` is the column of training, where this is read for a model.

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
            known = like.levels if isinstance(like, Bag) else None
            return bag(values, name, is_tags=chosen == "tags", known=known)
        case "number":
            return Number(numbers(values, f"column {name!r}"))
        case "text":
            return Text(as_text(values))
        case "sound":
            paths = as_text(values)
            return Text(paths.set(paths.str.strip_chars() == "", None), is_path=True)
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
        return _of_lists(values)
    if kind.is_temporal():
        return "time"
    if kind.is_numeric():
        return "number"
    if isinstance(kind, pl.Struct):
        return _of_objects(values)
    if kind == pl.String and len(values):
        if _is_written_number(values):
            return "number"
        if _is_written_day(values):
            return "time"
        if _is_written_list(values):
            return _of_lists(unwritten(values.drop_nulls()))
        if values.str.contains("|", literal=True).any():
            return "tags"
        return "category" if values.n_unique() <= max(2, FEW_LEVELS * len(values)) else "text"
    return "category"


def is_one_column(values: pl.Series) -> bool:
    """Say whether objects are read as one column, and not as one for each of their fields."""
    return guess_kind(values) in ("bag", "place")


def _of_lists(values: pl.Series) -> Kind:
    """Return the kind of lists: vectors of numbers, bags of objects with a count, tags; text of what is none of them."""
    if values.dtype == pl.Object:
        found = [one for row in values.to_list() for one in row if one is not None]
        if not all(isinstance(one, dict) for one in found):
            return "text"
        values = pl.Series([pl.Series(found, strict=False)])
    kind: Any = values.dtype
    inner: Any = kind.inner
    if isinstance(inner, pl.Struct):
        fields: dict[str, Any] = {plain(one.name): one.dtype for one in inner.fields}
        texts = [name for name, one in fields.items() if is_text(one)]
        counts = [name for name, one in fields.items() if one.is_numeric() and name in COUNTS]
        if len(fields) == 2 and len(texts) == len(counts) == 1:
            return "bag"
        return "tags" if len(texts) == 1 or set(texts) & set(LABELS) else "text"
    if inner.is_float() or (inner.is_numeric() and isinstance(kind, pl.Array)):
        lengths = values.list.len() if isinstance(kind, pl.List) else values.arr.len()
        return "vector" if lengths.drop_nulls().n_unique() == 1 else "text"
    return "tags" if is_text(inner) or inner.is_integer() or inner == pl.Null else "text"


def _of_objects(values: pl.Series) -> Kind:
    """Return the kind of objects: a place, a bag where most lack most of the levels; text where they are records."""
    kind: Any = values.dtype
    names = [one.name for one in kind.fields]
    if not names or not all(one.dtype.is_numeric() for one in kind.fields):
        return "text"
    if is_degrees(names):
        return "place"
    cells = values.drop_nulls().struct.unnest()
    return "bag" if 2 * sum(cells.null_count().row(0)) >= cells.height * cells.width else "text"


def _is_written_list(values: pl.Series) -> bool:
    """Say whether most cells of a text were written as lists."""
    known = values.filter(values.str.strip_chars() != "")
    alike = known.filter(known.str.contains(LIST))
    if 2 * len(alike) < len(known) or not len(alike):
        return False
    return all(as_list(one) is not None for one in alike.head(LOOKED_AT))


def _is_written_number(values: pl.Series) -> bool:
    """Say whether strings are decimals; integers as strings are names, and so is 007."""
    known = values.drop_nulls()
    if not len(known) or not known.str.contains(NUMBER).all():
        return False
    padded = known.str.contains(r"^[+-]?0[0-9]")
    return not padded.any() and bool(known.str.contains(r"[.eE]").any())


def _is_written_day(values: pl.Series) -> bool:
    """Say whether strings are days such as 2024-12-31."""
    known = values.drop_nulls()
    if not len(known) or not known.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$").all():
        return False
    return known.str.to_date("%Y-%m-%d", strict=False).null_count() == 0


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as strings, null where missing: lists as what they hold with spaces between, objects as JSON.

    Example
    -------
    >>> as_text(pl.Series([["寿司", "味噌"], ["tea", None], None])).to_list()
    ['寿司 味噌', 'tea', None]
    """
    kind: Any = values.dtype
    if isinstance(kind, pl.List | pl.Array) and not kind.inner.is_nested():
        return values.cast(pl.List(pl.String)).list.join(" ")
    if isinstance(kind, pl.List | pl.Array | pl.Struct):
        listed = [
            None if one is None else json.dumps(one, default=str, ensure_ascii=False)
            for one in values.to_list()
        ]
        return pl.Series(values.name, listed, dtype=pl.String)
    if isinstance(kind, pl.Object):
        listed = [None if one is None else str(one) for one in values.to_list()]
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
            f"{what} must hold finite numbers, of at most 3.4e38; got {seen!r} in row {row:,}: correct or remove it"
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
    spaced = text.str.replace_all(r"([0-9])[\x{a0}\x{202f}' ]([0-9]{3})", "$1$2")
    plain, comma = spaced.str.contains(NUMBER), spaced.str.contains(",", literal=True)
    thousands = spaced.str.contains(THOUSANDS_COMMA)
    decimal = spaced.str.contains(DECIMAL_COMMA) | spaced.str.contains(DECIMAL_THOUSANDS)
    if (plain | thousands | spaced.is_null()).all():
        if comma.any():
            notes.append(
                f"{what} was read with commas between thousands, as in {spaced.filter(comma)[0]}"
            )
        return spaced.str.replace_all(",", "").cast(pl.Float64)
    if (spaced.str.contains(r"^[+-]?[0-9]+$") | decimal | spaced.is_null()).all():
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


def written_vectors(values: pl.Series, name: str) -> pl.Series:
    """Return text such as "52.5,13.4" or "[52.5 13.4]" as lists of numbers, null where it is empty.

    Raises
    ------
    DataError
        Naming the first that holds something else.
    """
    bare = values.str.strip_chars(" \t\n[]()")
    text = bare.set(bare == "", None).str.replace_all(r"\s*,\s*|\s+", ",")
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
    if is_place and isinstance(values.dtype, pl.Struct):
        values = as_degrees(values, name)
    if values.dtype == pl.Null:
        values = values.cast(pl.List(pl.Float64))
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
