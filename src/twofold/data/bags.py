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
from twofold.errors import DataError
from twofold.typing import F64

SEPARATORS = ("|", ";", ",")
"""What may stand between the tags of one string; the first that occurs anywhere in the column."""


def bag(values: pl.Series, name: str, *, is_tags: bool) -> Bag:
    """Read several levels a row: a list, a separated string, or for bags a mapping of levels to counts.

    A mapping is an object, JSON text, or a list of objects of two fields, level and count.
    """
    counts: list[F64] | None = None
    if not is_tags:
        values = as_mappings(values, name)
    if values.dtype == pl.Object or isinstance(values.dtype, pl.Struct):
        rows = [levels_in(one, row, name) for row, one in enumerate(values.to_list())]
        rows = [{key: n for key, n in one.items() if n} for one in rows]
        counts = [level_counts(one, row, name) for row, one in enumerate(rows)]
        empty = None if any(rows) else pl.List(pl.String)  # nothing says of what kind levels are
        listed = pl.Series(name, [list(one) for one in rows], dtype=empty, strict=False)
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


def levels_in(cell: object, at: int, name: str) -> dict[Any, Any]:
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
    if isinstance(cell, list | tuple) and all(isinstance(one, Hashable) for one in cell):  # pyright: ignore[reportUnknownVariableType]
        return dict(Counter(cell))  # pyright: ignore[reportUnknownArgumentType]
    raise DataError(
        f"column {name!r} must hold a list or a mapping of levels to counts in every row; got {cell!r} in row {at:,}"
    )


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
