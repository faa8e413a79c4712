"""Which items may be named: lists of ids, and what their features say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from twofold.data.alone import written
from twofold.data.columns import Bag, Category, Column, Number, Time, kind_of
from twofold.data.entities import Entities
from twofold.data.times import parse_times
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, did_you_mean
from twofold.typing import Bool, Id

LARGEST = 1e300
"""Of a bound; infinity is written as none."""


def allowed_items(
    items: Entities,
    allow: Iterable[Id] | None = None,
    deny: Iterable[Id] | None = None,
    where: Mapping[str, Any] | None = None,
) -> Bool | None:
    """Return a mask over the catalogue, None where nothing is asked; unknown ids cannot be named anyway.

    Parameters
    ----------
    items
        The catalogue, n items with their features.
    allow, deny
        Ids to choose among, or to leave out.
    where
        Feature -> what it must be, all of them together; see `holds`.

    Raises
    ------
    ConfigError
        If a list is a bare string, a feature does not exist or cannot be asked for.
    """
    if allow is None and deny is None and not where:
        return None
    mask = np.full(len(items), allow is None)
    for ids, value in ((allow, True), (deny, False)):
        if isinstance(ids, str) or not isinstance(ids, Iterable | None):
            raise ConfigError(
                f"allow and deny must be lists of item ids; got {ids!r}: write [{ids!r}]"
            )
        rows = items.ids.rows([] if ids is None else list(ids))
        mask[rows[rows != UNKNOWN]] = value
    if where is not None and not isinstance(where, Mapping):
        raise ConfigError(
            f"where must say what features must be, as in {{'genre': 'comedy'}}; got {where!r}"
        )
    check_where(items, where or {})
    for name, wanted in (where or {}).items():
        mask &= holds(name, items.features[name], wanted)
    return mask


def check_where(items: Entities, where: Iterable[str]) -> None:
    """Refuse names that are none of the item features.

    Raises
    ------
    ConfigError
        Naming the first, with the nearest.
    """
    for name in where:
        if name not in items.features:
            raise ConfigError(
                f"where names {name!r}, which is no item feature; {did_you_mean(name, items.features)}"
            )


def values_of(wanted: Any) -> list[Any]:
    """Return the values that are asked of a category, tags or a bag: one, or several; truth values as columns have them."""
    several = isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes)
    values: list[Any] = list(wanted) if several else [wanted]  # pyright: ignore[reportUnknownArgumentType]
    return [written(one) if isinstance(one, bool) else one for one in values]


def holds(name: str, column: Column, wanted: Any) -> Bool:
    """Say for each row of a feature whether it is what is wanted; a missing value never is.

    Categories, tags and bags hold if they have the value, or one of a list of values; numbers and times
    if they are in a pair (least, most), both ends in it, None for no bound.

    Raises
    ------
    ConfigError
        If the feature is of another kind, or a pair is not one.
    """
    if isinstance(column, Category | Bag):
        codes = column.levels.rows(values_of(wanted))
        hit = np.isin(column.codes, codes[codes != UNKNOWN])
        if isinstance(column, Category):
            return hit
        row = np.repeat(np.arange(len(column)), np.diff(column.indptr))
        return np.bincount(row[hit], minlength=len(column)) > 0
    if not isinstance(column, Number | Time):
        raise ConfigError(
            f"where cannot ask for {name!r}, a feature of kind {kind_of(column)}; it takes categories, tags, "
            "bags, numbers and times: pass the items as allow= instead"
        )
    wanted = wanted.tolist() if isinstance(wanted, np.ndarray) else wanted
    if not isinstance(wanted, tuple | list) or len(wanted) != 2:  # type: ignore[arg-type]
        raise ConfigError(
            f"where asks for {name!r} with {wanted!r}; a {kind_of(column)} takes a pair (least, most), "
            "None (null in JSON) for no bound"
        )
    numbers = column.series().to_numpy()
    inside = column.series().is_not_null().to_numpy()
    least, most = (None if one is None else edge(name, column, one) for one in wanted)
    if least is not None and most is not None and least > most:
        raise ConfigError(
            f"where asks for {name!r} with {wanted!r}, whose least is above its most; write (least, most)"
        )
    for bound, sign in ((least, 1), (most, -1)):
        if bound is not None:
            inside &= sign * (numbers - bound) >= 0
    return inside


def edge(name: str, column: Number | Time, bound: Any) -> float:
    """Return a bound in the unit of the column.

    Raises
    ------
    ConfigError
        If a bound of a number is not a number.
    DataError
        If a bound of a time is not a time.
    """
    if isinstance(column, Time):
        return float(parse_times(pl.Series(name, [bound], strict=False), name)[0][0])
    number = isinstance(bound, int | float | np.integer | np.floating) and abs(bound) <= LARGEST
    if isinstance(bound, bool) or not number:
        raise ConfigError(
            f"where asks for {name!r} with the bound {bound!r}; write a number, or None for no bound"
        )
    return float(bound)
