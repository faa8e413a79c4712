"""What there is to say where a table of users or items and the log, or the columns that are asked for, do not meet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from twofold.data.entities import Entities
from twofold.data.vocabulary import UNKNOWN

NAMED = 10
"""Columns that a sentence names."""


def not_named(columns: Sequence[str], named: Collection[str], what: str) -> str:
    """Return which columns of the table of `what` are left out, for others are `named`; nothing where none is.

    Example
    -------
    >>> not_named(["id", "title", "year"], {"id", "title"}, "items")
    "columns of the items that were not read, for others are named: 'year'"
    """
    left = [one for one in columns if one not in named]
    if not left:
        return ""
    more = f" and {len(left) - NAMED:,} more" if len(left) > NAMED else ""
    some = ", ".join(map(repr, left[:NAMED]))
    return f"columns of the {what} that were not read, for others are named: {some}{more}"


def of_nobody(known: Entities, ids: pl.Series, what: str) -> str:
    """Return what there is to say of features of `what` none of which has an event; nothing where one has."""
    if not known.features or not len(known) or (known.ids.rows(ids.unique()) != UNKNOWN).any():
        return ""
    return f"none of the {len(known):,} {what} with features, such as {known.ids[0]!r}, is in the log, which has such as {ids[0]!r}"


def without_row(known: Entities, ids: pl.Series, what: str) -> str:
    """Return what there is to say of ids of the log of which the table of `what` has no row; nothing where it has all."""
    if not known.features or not len(known):
        return ""
    met = ids.unique(maintain_order=True)
    lost = np.flatnonzero(known.ids.rows(met) == UNKNOWN)
    if not len(lost):
        return ""
    one, some = f"such as {met[int(lost[0])]!r}, ", len(lost) > 1
    return (
        f"{len(lost):,} {what if some else what[:-1]} of the log, {one}{'have' if some else 'has'} no row in the {what}: "
        f"{'their' if some else 'its'} features are missing"
    )
