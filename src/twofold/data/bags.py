"""Columns of several levels a row: lists, separated strings, and mappings of levels to counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import polars as pl

from twofold.data.columns import Bag
from twofold.data.vocabulary import Vocabulary, as_ids, factorize, is_text
from twofold.data.written import split_tags, unwritten
from twofold.errors import DataError
from twofold.typing import F64

LABELS = ("name", "label", "tag", "title")
"""Fields of an object in a list of tags that hold its tag, the first that is there; or its only text."""


def bag(values: pl.Series, name: str, *, is_tags: bool, known: Vocabulary | None = None) -> Bag:
    """Read several levels a row: a list, also one that was written as text, a separated string, or for bags a mapping of levels to counts.

    A mapping is an object, JSON text, or a list of pairs or of objects of two fields, level and count. Tags may be a list of objects with a name.
    `known` are the levels of training, where these are read for a model: what separates levels stands in none of those.
    """
    counts: list[F64] | None = None
    values = unwritten(values if is_tags else as_mappings(values, name), known)
    if holds_objects(values.dtype):
        rows = [levels_in(one, row, name, is_tags) for row, one in enumerate(values.to_list())]
        rows = [{key: n for key, n in one.items() if n} for one in rows]
        counts = [level_counts(one, row, name) for row, one in enumerate(rows)]
        empty = None if any(rows) else pl.List(pl.String)  # nothing says of what kind levels are
        listed = pl.Series(name, [list(one) for one in rows], dtype=empty, strict=False)
    elif isinstance(values.dtype, pl.List | pl.Array):
        listed = values.cast(pl.List(values.dtype.inner)) if values.dtype != pl.List else values
    else:
        listed = split_tags(values.cast(pl.String), known)
    lengths = listed.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = listed.explode(empty_as_null=False, keep_nulls=False) if len(listed) else listed
    ids = as_ids(flat if lengths.sum() else pl.Series(dtype=pl.String), f"column {name!r}")
    row_of = np.repeat(np.arange(len(listed)), lengths)
    weight = np.ones(len(ids)) if counts is None else np.concatenate([*counts, np.zeros(0)])
    there = ids.is_not_null().to_numpy() & ~np.isnan(weight)
    levels, codes = factorize(ids.filter(pl.Series(there)))
    return make_bag(row_of[there], codes, weight[there], len(listed), levels, is_tags=is_tags)


def holds_objects(kind: Any) -> bool:
    """Say whether the cells of a column are objects, or lists of objects or of lists."""
    if isinstance(kind, pl.List | pl.Array):
        inner: Any = kind.inner
        return isinstance(inner, pl.Struct | pl.List | pl.Array)
    return kind == pl.Object or isinstance(kind, pl.Struct)


def levels_in(cell: object, at: int, name: str, is_tags: bool) -> dict[Any, Any]:  # noqa: FBT001
    """Return the levels of row `at` with their counts; in a list, how often each stands there.

    Raises
    ------
    DataError
        If it is neither a mapping nor a list.
    """
    if cell is None:
        return {}
    if isinstance(cell, Mapping):
        return dict(cell)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(cell, list | tuple):
        parts: list[Any] = [one for one in cell if one is not None]  # pyright: ignore[reportUnknownVariableType]
        if parts and all(isinstance(one, Mapping) for one in parts):
            if is_tags:
                return dict(Counter(label(one, at, name) for one in parts))
            parts = [pair(one, at, name) for one in parts]
        if not is_tags and parts and all(_is_pair(one) for one in parts):
            return dict(parts)
        if all(isinstance(one, Hashable) for one in parts):
            return dict(Counter(parts))
    raise DataError(
        f"column {name!r} must hold a list or a mapping of levels to counts in every row; got {cell!r} in row {at:,}"
    )


def label(one: Mapping[str, Any], at: int, name: str) -> Any:
    """Return the tag that an object stands for.

    Raises
    ------
    DataError
        If it has none of `LABELS`, and not one text alone.
    """
    for field in LABELS:
        if isinstance(one.get(field), str):
            return one[field]
    texts = [value for value in one.values() if isinstance(value, str)]
    if len(texts) == 1 or (not texts and len(one) == 1):
        return texts[0] if texts else next(iter(one.values()))
    raise DataError(
        f"column {name!r} holds objects with the fields {', '.join(map(repr, one))} in row {at:,}, none of which is the tag; "
        "make it a list of their names"
    )


def pair(one: Mapping[str, Any], at: int, name: str) -> tuple[Any, Any]:
    """Return the level and the count that an object of two fields holds; the number is the count.

    Raises
    ------
    DataError
        If it has not two fields.
    """
    if len(one) != 2:
        raise DataError(
            f"column {name!r} must hold lists of a level and a count; got fields {list(one)} in row {at:,}"
        )
    first, second = one.values()
    return (second, first) if isinstance(second, str) and not isinstance(first, str) else (first, second)  # fmt: skip


def _is_pair(one: Any) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[0], Hashable)  # pyright: ignore[reportUnknownArgumentType]


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
    """Return JSON text as Python mappings; other columns as they are."""
    known = values.drop_nulls()
    if not is_text(values.dtype) or not len(known) or not known.cast(pl.String).str.contains(r"^\s*\{").all():  # fmt: skip
        return values
    try:
        found = [None if one is None else json.loads(one) for one in values.to_list()]
    except ValueError as error:
        raise DataError(f"column {name!r} begins as JSON and is not: {error}") from error
    return pl.Series(name, found, dtype=pl.Object)


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
