"""Histories as callers tell them: ids, oldest first, and lists of what was taken together, or ids with their values."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError
from twofold.typing import I64, History, Id

LARGEST = 1e30
"""Largest value of an event or number of a column that is told, well within single precision."""


def told(
    items: Vocabulary,
    histories: Sequence[History],
    value_range: tuple[float, float],
    *,
    rates: bool,
) -> Histories:
    """Translate histories, whose values may be those of training: in `value_range`, (1, 1) without values, where it `rates`.

    Raises
    ------
    ConfigError
        As `history_rows`, and if values are told where training had none, or ratings outside of those it had.
    """
    if isinstance(histories, Mapping):
        raise ConfigError("histories must be a list with one history a person; got a mapping: write histories=[{...}]")  # fmt: skip
    made = history_rows(items, histories)
    values = made.value[~np.isnan(made.value)]
    low, high = value_range
    if not len(values):
        return made
    if value_range == (1.0, 1.0):
        raise ConfigError(
            "a history says values, and the log of training had none; write a list of ids"
        )
    wrong = values[(values < low) | (values > high)]
    if rates and len(wrong):
        raise ConfigError(f"a history has the value {wrong[0]:g}; those of training lie within {low:g} to {high:g}")  # fmt: skip
    return made


def history_rows(items: Vocabulary, histories: Sequence[History]) -> Histories:
    """Translate sequences of item ids and of baskets, and mappings of item ids to values; unknown items are passed over.

    Raises
    ------
    ConfigError
        If a history is no list, a basket holds something else than ids, or a value is no finite number.
    """
    indptr, flat, moments, nested = [0], list[int](), list[int](), False
    values = list[float]()
    for one in histories:
        if (
            isinstance(one, str | ItemsView)
            or hasattr(one, "columns")
            or not isinstance(one, Iterable)
        ):
            got = f"the string {one!r}" if isinstance(one, str) else f"{one!r:.60}"
            raise ConfigError(f"a history must be a list of item ids, [] of nothing; got {got}")
        ids, moment = taken_apart(one)
        rows = items.rows(ids)
        known = np.flatnonzero(rows != UNKNOWN)
        flat.extend(rows[known].tolist())
        said = np.array(values_said(one, len(ids)), np.float32)
        values.extend(said[known].tolist())
        moments.extend((known if moment is None else moment[known]).tolist())
        nested = nested or moment is not None
        indptr.append(len(flat))
    return Histories(
        np.array(indptr, np.int64),
        np.array(flat, np.int32),
        np.array(values, np.float32),
        moment=np.array(moments, np.int64) if nested else None,
    )


def values_said(history: History, n: int) -> list[float]:
    """Return the values of the `n` entries of a history, NaN where it says none.

    Raises
    ------
    ConfigError
        If one is no finite number.
    """
    if not isinstance(history, Mapping):
        return [math.nan] * n
    values = list[float]()
    for item, value in history.items():
        if isinstance(item, Iterable) and not isinstance(item, str):
            raise ConfigError(
                f"a history with values maps ids to numbers; got the key {item!r}: name each item alone"
            )
        number = math.nan if value is None else as_number(value)
        if number is None:
            raise ConfigError(
                f"a history may say the value of each item, a finite number such as a rating; item {item!r} has {value!r:.40}"
            )
        values.append(number)
    return values


def as_number(value: object) -> float | None:
    """Return a value as a number, None where it is none that an event may have.

    Example
    -------
    >>> as_number(Decimal("4.5")), as_number(True), as_number("4"), as_number(10**400)
    (4.5, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= LARGEST else None


def taken_apart(history: History) -> tuple[list[Id], I64 | None]:
    """Return the ids of a history, and the number of the entry that each comes from, if one is a basket.

    Raises
    ------
    ConfigError
        If a basket holds something else than ids.
    """
    ids, moment, nested = list[Id](), list[int](), False
    for at, one in enumerate(history):
        if not isinstance(one, Iterable) or isinstance(one, str):
            ids.append(one)
            moment.append(at)
            continue
        if isinstance(one, Mapping):
            raise ConfigError(f"a history with values is one mapping, {{id: value, ...}}; got {one!r:.60} in a list")  # fmt: skip
        for inner in one:
            if isinstance(inner, Iterable) and not isinstance(inner, str):
                raise ConfigError(f"a basket must be a list of item ids; got {inner!r} in it")
            ids.append(inner)
            moment.append(at)
        nested = True
    return ids, np.array(moment, np.int64) if nested else None
