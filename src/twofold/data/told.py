"""Histories as callers tell them: ids, oldest first, and lists of what was taken together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError
from twofold.typing import I64, History, Id


def history_rows(items: Vocabulary, histories: Sequence[History]) -> Histories:
    """Translate sequences of item ids and of baskets; unknown items are passed over.

    Raises
    ------
    ConfigError
        If a history is no list, or a basket holds something else than ids.
    """
    indptr, flat, moments, nested = [0], list[int](), list[int](), False
    for one in histories:
        if isinstance(one, str) or not isinstance(one, Iterable):
            got = f"the string {one!r}" if isinstance(one, str) else repr(one)
            raise ConfigError(f"a history must be a list of item ids, [] of nothing; got {got}")
        ids, moment = taken_apart(one)
        rows = items.rows(ids)
        known = np.flatnonzero(rows != UNKNOWN)
        flat.extend(rows[known].tolist())
        moments.extend((known if moment is None else moment[known]).tolist())
        nested = nested or moment is not None
        indptr.append(len(flat))
    item = np.array(flat, np.int32)
    return Histories(
        np.array(indptr, np.int64),
        item,
        np.full(len(item), np.nan, np.float32),
        moment=np.array(moments, np.int64) if nested else None,
    )


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
