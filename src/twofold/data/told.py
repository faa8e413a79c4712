"""Histories as callers tell them: ids, oldest first, and lists of what was taken together, or ids with their values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError
from twofold.typing import I64, History, Id

LARGEST = float(np.finfo(np.float32).max)
"""Largest value of an event."""


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
        if isinstance(one, str) or not isinstance(one, Iterable):
            got = f"the string {one!r}" if isinstance(one, str) else repr(one)
            raise ConfigError(f"a history must be a list of item ids, [] of nothing; got {got}")
        ids, moment = taken_apart(one)
        rows = items.rows(ids)
        known = np.flatnonzero(rows != UNKNOWN)
        flat.extend(rows[known].tolist())
        told = np.array(values_of(one, len(ids)), np.float32)
        values.extend(told[known].tolist())
        moments.extend((known if moment is None else moment[known]).tolist())
        nested = nested or moment is not None
        indptr.append(len(flat))
    return Histories(
        np.array(indptr, np.int64),
        np.array(flat, np.int32),
        np.array(values, np.float32),
        moment=np.array(moments, np.int64) if nested else None,
    )


def values_of(history: History, n: int) -> list[float]:
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
        number: Any = math.nan if value is None else value
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, Real)
            or not -LARGEST <= number <= LARGEST
        ):
            raise ConfigError(
                f"a history may say the value of each item, a finite number such as a rating; item {item!r} has {value!r}"
            )
        values.append(float(number))
    return values


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
        for inner in one:
            if isinstance(inner, Iterable) and not isinstance(inner, str):
                raise ConfigError(f"a basket must be a list of item ids; got {inner!r} in it")
            ids.append(inner)
            moment.append(at)
        nested = True
    return ids, np.array(moment, np.int64) if nested else None
