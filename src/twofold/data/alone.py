"""Values that are told one by one, as over HTTP: each is read as a column of itself, whatever is told beside it.

A column is read as a whole: what stands in one row says how another is written. Of values that come one at a time
each is brought to a form that has one meaning (`reader`), and columns are made of those (`column_of`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import numpy as np
import polars as pl

from twofold.data.bags import bag
from twofold.data.columns import (
    NO_TIME,
    Bag,
    Category,
    Column,
    Number,
    Text,
    Time,
    Vector,
    kind_of,
)
from twofold.data.convert import category, column_from_values
from twofold.data.entities import levels_of
from twofold.data.frames import series_of
from twofold.data.names import NUMBER
from twofold.data.places import is_degrees
from twofold.data.vocabulary import Vocabulary
from twofold.data.written import as_list, separators
from twofold.errors import DataError

Reader: TypeAlias = Callable[[Any], Any]
LARGEST = float(np.finfo(np.float32).max)
TRUTHS = ("true", "false")
PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z?)?")
"""Numbers and times that can be read in one way only, and are here, in a hundredth of the time that a column takes."""


def reader(name: str, like: Column) -> Reader:
    """Return what reads one value of a feature of the kind that `like` is, for `column_of`; it raises a `DataError`.

    Example
    -------
    >>> reader("minutes", Number(np.zeros(1, np.float32)))("1,200")
    1200.0
    """
    match like:
        case Text():
            return lambda value: text(name, value)
        case Category():
            known = (levels_of(like) or like.levels).ids.cast(pl.String)
            numbers = like.levels.is_integer or bool(known.str.contains(NUMBER).any())
            truths = bool(known.str.to_lowercase().is_in(TRUTHS).any())
            return lambda value: level(name, value, numbers=numbers, truths=truths)
        case Bag():
            signs = separators(like.levels)
            return lambda value: levels(name, value, like, signs)
        case Number():
            return lambda value: number(name, value, like)
        case Time():
            return lambda value: time(name, value, like)
        case Vector():
            return lambda value: vector(name, value, like)


def text(name: str, value: Any) -> str | None:
    """Read a text or the path of a sound."""
    if value is None or isinstance(value, str):
        return value
    raise unlike(name, "a text", value, "give one text")


def level(name: str, value: Any, *, numbers: bool, truths: bool) -> str | None:
    """Read the level of a category; `numbers` and `truths` say what levels of training were."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise unlike(name, "one level an item", value, "give one")
    if truths if isinstance(value, bool) else numbers:
        return written(value)
    raise unlike(name, "texts", value, "give a text")


def levels(
    name: str, value: Any, like: Bag, signs: Sequence[str]
) -> list[str] | dict[str, float] | None:
    """Read tags as a list, and a bag as its levels with their counts; `signs` may separate them."""
    if value is None:
        return None
    if isinstance(value, str):
        value = _as_told(value, signs, is_tags=like.is_tags)
    if isinstance(value, dict) and like.is_tags:
        raise unlike(name, "tags", value, "give a list of them")
    told = cast("list[Any]", value) if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in told):
        made = cast("Bag", whole(name, value, like))
        names = [str(made.levels[code]) for code in made.codes.tolist()]
        return names if like.is_tags else dict(zip(names, made.counts.tolist(), strict=True))
    found = [tag(name, one) for one in told if one is not None]
    return found if like.is_tags else {one: float(n) for one, n in Counter(found).items()}


def _as_told(value: str, signs: Sequence[str], *, is_tags: bool) -> Any:
    """Return the list or the object that a text was written from, or what stands between the first of `signs` that it has."""
    if (listed := as_list(value)) is not None:
        return listed
    if not is_tags and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    sign = next((one for one in signs if one in value), "\0")
    return [part for one in value.split(sign) if (part := one.strip())]


def tag(name: str, value: Any) -> str:
    """Read one of several levels."""
    if isinstance(value, float):
        if not value.is_integer():
            raise unlike(name, "texts or whole numbers", value, "give one of them")
        value = int(value)
    return written(value)


def number(name: str, value: Any, like: Column) -> float | None:
    """Read a number."""
    if isinstance(value, list | dict):
        raise unlike(name, "a number", value, "give one")
    if value is None or (isinstance(value, int | float) and abs(value) <= LARGEST):
        return None if value is None else float(value)
    if isinstance(value, str) and PLAIN.fullmatch(value) and abs(float(value)) <= LARGEST:
        return float(value)
    made = cast("Number", whole(name, value, like))
    return None if np.isnan(made.values[0]) else float(made.values[0])


def time(name: str, value: Any, like: Column) -> int:
    """Read a time as seconds since 1970."""
    if value is None:
        return NO_TIME
    if isinstance(value, bool | list | dict):
        raise unlike(name, "a time", value, "give a date such as 2024-12-31, or seconds since 1970")
    if isinstance(value, str) and DAY.fullmatch(value):
        with suppress(ValueError):  # of a day that does not exist, of which more is said below
            return int(datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp())
    return int(cast("Time", whole(name, value, like)).values[0])


def vector(name: str, value: Any, like: Vector) -> list[float]:
    """Read a vector or a place, of the length of training."""
    width = like.values.shape[1]
    if value is None or value == "":
        return [float("nan")] * width
    wanted = "a latitude and a longitude" if like.is_place else f"a list of {width:,} numbers"
    if not isinstance(value, list | str | dict):
        raise unlike(name, wanted, value, "give them")
    if isinstance(value, dict) and not (like.is_place and is_degrees([*value])):
        raise unlike(name, wanted, value, "give them")
    made = cast("Vector", whole(name, value, like)).values
    if made.shape[1] != width:
        raise DataError(f"feature {name!r} holds {wanted}; got {made.shape[1]:,}: give as many as in training")  # fmt: skip
    return made[0].tolist()


def whole(name: str, value: Any, like: Column) -> Column:
    """Read a column of one value.

    Raises
    ------
    DataError
        As for any column; a single value has no row to be named.
    """
    try:
        return column_from_values(
            name, series_of(name, [value], "the item", frozenset()), kind_of(like)
        )
    except DataError as error:
        raise DataError(str(error).replace(" in row 0", "")) from error


def unlike(name: str, wanted: str, value: Any, hint: str) -> DataError:
    """Return the error of a value of another type than the kind of its feature has."""
    match value:
        case bool():
            got = f"the boolean {str(value).lower()}"
        case list():
            got = "a list"
        case dict():
            got = "an object"
        case int() | float():
            got = f"the number {value}"
        case _:
            got = f"the text {value[:80]!r}"
    return DataError(f"feature {name!r} holds {wanted}; got {got}: {hint}, or null where nothing is known")  # fmt: skip


def written(value: Any) -> str:
    """Return a level as a text, as columns have them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def column_of(name: str, values: list[Any], like: Column) -> Column:
    """Return the column of values that the `reader` of `name` made, of the kind that `like` is."""
    match like:
        case Text():
            return Text(pl.Series(name, values, dtype=pl.String), like.is_path)
        case Category():
            return category(typed(pl.Series(name, values, dtype=pl.String), like.levels), name)
        case Bag(is_tags=True):
            listed = pl.Series(name, values, dtype=pl.List(pl.String))
            return bag(typed(listed, like.levels), name, is_tags=True)
        case Bag():
            return bag(pl.Series(name, values, dtype=pl.Object), name, is_tags=False)
        case Number():
            return Number(np.array([np.nan if one is None else one for one in values], np.float32))
        case Time():
            return Time(np.array(values, np.int64))
        case Vector():
            made = np.array(values, np.float64).reshape(len(values), like.values.shape[1])
            return Vector(made if like.is_place else made.astype(np.float32), like.is_place)


def spread(features: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the fields of objects as features ``outer.inner``, as tables of records are read; not those of features that are `known`.

    Example
    -------
    >>> spread({"size": {"width": 2, "unit": {"name": "cm"}}, "words": {"tea": 1}}, {"words"})
    {'size.width': 2, 'size.unit.name': 'cm', 'words': {'tea': 1}}
    """
    found: dict[str, Any] = {}
    for name, value in features.items():
        if isinstance(value, Mapping) and name not in known:
            inner = cast("Mapping[str, Any]", value)
            found |= spread({f"{name}.{key}": one for key, one in inner.items()}, known)
        else:
            found[name] = value
    return found


def leaves(value: Any, depth: int) -> Iterator[Any]:
    """Return the names and values in nested lists and objects, and what lies deeper than `depth` as it is."""
    if not depth or not isinstance(value, dict | list):
        yield value
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from leaves(one, depth - 1)
    else:
        for key, one in cast("dict[str, Any]", value).items():
            yield key
            yield from leaves(one, depth - 1)


def typed(values: pl.Series, known: Vocabulary) -> pl.Series:
    """Return levels, or lists of them, as integers where the `known` ones are and all of these can be."""
    if not known.is_integer:
        return values
    kind = pl.List(pl.Int64) if isinstance(values.dtype, pl.List) else pl.Int64()
    made = values.cast(kind, strict=False)
    before, after = (one.explode() if isinstance(one.dtype, pl.List) else one for one in (values, made))  # fmt: skip
    return made if before.null_count() == after.null_count() else values
