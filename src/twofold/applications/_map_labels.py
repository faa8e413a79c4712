"""What the points of a map are called and coloured by: names and groups, read from features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from twofold.data.columns import Bag, Category, Column, Text, kind_of
from twofold.data.entities import Entities
from twofold.errors import ConfigError, did_you_mean
from twofold.typing import I64

OTHER = "other"
"""The group of what has none."""
LONGEST = 80
"""Characters of a label."""


class Groups(NamedTuple):
    """A group for each row."""

    feature: str
    """What they were read from; empty where they were given, or where there are none."""
    names: list[str]


def given(groups: Sequence[str], entities: Entities) -> list[str]:
    """Return the caller's groups, one a row.

    Raises
    ------
    ConfigError
        If they are not as many.
    """
    if isinstance(groups, str) or len(groups) != len(entities):
        raise ConfigError(f"groups must be a list of {len(entities):,} names, one a vector")
    return [str(one) for one in groups]


def groups_of(entities: Entities, colour: str | None) -> Groups:
    """Return the group of each row by a feature.

    Raises
    ------
    ConfigError
        If there is no such feature, or it has no levels.
    """
    fit = {name: one for name, one in entities.features.items() if isinstance(one, Category | Bag)}
    if colour is None:
        colour = next(iter(fit), "")
    if not colour:
        return Groups("", [])
    if colour not in entities.features:
        raise ConfigError(
            f"there is no feature {colour!r} to colour by; {did_you_mean(colour, fit)}"
        )
    if colour not in fit:
        kind = kind_of(entities.features[colour])
        raise ConfigError(
            f"{colour!r} is a {kind}; a map is coloured by a category, tags or a bag; {did_you_mean('', fit)}"
        )
    return Groups(colour, _level_of(fit[colour]))


def _level_of(column: Column) -> list[str]:
    """Return one level of each row: the category, the first tag, the most frequent of a bag."""
    if isinstance(column, Category):
        codes = column.codes
    elif isinstance(column, Bag):
        codes = np.full(len(column), -1, np.int32)
        for row in range(len(column)):
            span = slice(column.indptr[row], column.indptr[row + 1])
            if len(column.codes[span]):
                codes[row] = column.codes[span][np.argmax(column.counts[span])]
    else:
        raise TypeError(type(column).__name__)
    levels = [str(one) for one in column.levels.ids.to_list()]
    return [levels[code] if code >= 0 else OTHER for code in codes.tolist()]


def labels_of(entities: Entities, rows: I64) -> tuple[str, ...]:
    """Return what each point is called: its first text, or its id."""
    ids = [str(one) for one in entities.ids.ids.gather(pl.Series(rows, dtype=pl.UInt32)).to_list()]
    texts = [one for one in entities.features.values() if isinstance(one, Text) and not one.is_path]
    if not texts:
        return tuple(ids)
    said = texts[0].take(rows).values.to_list()
    return tuple(
        (one if len(one) <= LONGEST else f"{one[: LONGEST - 1]}…") if one else own
        for one, own in zip(said, ids, strict=True)
    )
