"""Entities and columns put one under the other: rows that come later, with values of their own."""

from __future__ import annotations

import numpy as np
import polars as pl

from twofold.data.columns import NO_TIME, Bag, Category, Column, Number, Text, Time, Vector, kind_of
from twofold.data.entities import Entities
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataError
from twofold.typing import I32


def joined(above: Entities, below: Entities) -> Entities:
    """Return the entities of `above` and then those of `below`, with the features of `above`.

    A feature that `below` lacks is missing in its rows; ids must not be in both.

    Raises
    ------
    DataError
        If a feature is of another kind in `below`.
    """
    ids = Vocabulary(pl.concat([above.ids.ids, below.ids.ids.cast(above.ids.ids.dtype)]))
    features = {
        name: joined_columns(name, column, below.features.get(name), len(below))
        for name, column in above.features.items()
    }
    return Entities(ids, features)


def joined_columns(name: str, above: Column, below: Column | None, n: int) -> Column:
    """Return a column with the `n` rows of `below` under it; None = all of them missing.

    Levels of `above` keep their codes; those that only `below` has follow.

    Raises
    ------
    DataError
        If `below` is of another kind, or holds vectors of another length.
    """
    match above, below:
        case Category(), Category() | None:
            levels, codes = (above.levels, np.full(n, UNKNOWN, np.int32))
            if below is not None:
                levels, new = extended(above.levels, below.levels)
                codes = np.append(new, np.int32(UNKNOWN))[below.codes]  # -1 is the last one
            return Category(np.concatenate([above.codes, codes]), levels)
        case Bag(), Bag() | None:
            if below is None:
                ends = np.concatenate([above.indptr, np.full(n, above.indptr[-1])])
                return Bag(ends, above.codes, above.counts, above.levels, above.is_tags)
            levels, new = extended(above.levels, below.levels)
            return Bag(
                np.concatenate([above.indptr, above.indptr[-1] + below.indptr[1:]]),
                np.concatenate([above.codes, new[below.codes]]),
                np.concatenate([above.counts, below.counts]),
                levels,
                above.is_tags,
            )
        case Number(), Number() | None:
            values = np.full(n, np.nan, np.float32) if below is None else below.values
            return Number(np.concatenate([above.values, values]))
        case Time(), Time() | None:
            times = np.full(n, NO_TIME, np.int64) if below is None else below.values
            return Time(np.concatenate([above.values, times]))
        case Text(), Text() | None:
            words = (
                pl.repeat(None, n, dtype=pl.String, eager=True) if below is None else below.values
            )
            return Text(pl.concat([above.values, words.alias(above.values.name)]), above.is_path)
        case Vector(), Vector() | None:
            width, is_place = above.values.shape[1], above.is_place
            rows = np.full((n, width), np.nan) if below is None else below.values
            if rows.shape[1] != width:
                raise DataError(
                    f"the feature {name!r} holds vectors of length {width} and the new rows have "
                    f"{rows.shape[1]}; give them the length of training"
                )
            both = np.concatenate([above.values.astype(np.float64), rows])
            return Vector(both if is_place else both.astype(np.float32), is_place)
        case _:
            found = "nothing" if below is None else kind_of(below)
            raise DataError(
                f"the feature {name!r} is of the kind {kind_of(above)} and the new rows have {found}; "
                "read them with the kinds of training"
            )


def extended(levels: Vocabulary, more: Vocabulary) -> tuple[Vocabulary, I32]:
    """Return the levels with those of `more` that are new after them, and the row of each of `more`."""
    if not len(more):
        return levels, np.zeros(0, np.int32)
    if not len(levels):
        return more, np.arange(len(more), dtype=np.int32)
    rows = levels.rows(more.ids)
    fresh = np.flatnonzero(rows == UNKNOWN)
    if not len(fresh):
        return levels, rows
    kind = pl.String if levels.is_integer != more.is_integer else levels.ids.dtype
    both = pl.concat([levels.ids.cast(kind), more.take(fresh).ids.cast(kind)])
    rows = rows.copy()
    rows[fresh] = len(levels) + np.arange(len(fresh), dtype=np.int32)
    return Vocabulary(both), rows
