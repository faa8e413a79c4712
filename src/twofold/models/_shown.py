"""Lists that people were shown, and what they took of them: what the second stage of a pipeline learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twofold.typing import F32, I32, I64


class Shown(NamedTuple):
    """n lists of up to c items, of people and items of a training set.

    What a person did before the event is known when the list is ordered, and nothing later.
    """

    event: I64  # (n,) the person's first event after the list was shown, a position in the log
    time: I64  # (n,) when it was shown, seconds since 1970 UTC
    items: I32  # (n, c) rows, -1 = none
    value: F32  # (n, c) what was gained of the item afterwards, 0 = passed by
    named: F32  # (n, c, J) how each of J candidate models scores the item, NaN where it does not name it


def named_scores(union: I32, lists: Sequence[tuple[I32, F32]], n_items: int) -> F32:
    """Return how each of J models scores the items of a union (n, c); shape (n, c, J), NaN where it does not name one.

    `lists` are the items (n, c_j), -1 = none, and scores (n, c_j) of each model.

    Example
    -------
    >>> lists = [(np.array([[2, 0]], np.int32), np.array([[5, 4]], np.float32))]
    >>> named_scores(np.array([[0, 1, 2, -1]], np.int32), lists, 3)[0, :, 0].tolist()
    [4.0, nan, 5.0, nan]
    """
    out = np.empty((*union.shape, len(lists)), np.float32)
    start = np.arange(len(union), dtype=np.int64)[:, None] * n_items
    wanted = np.where(union < 0, -1, start + union)
    for at, (items, scores) in enumerate(lists):
        there = items >= 0
        key = (start + items)[there]
        order = np.argsort(key)
        out[..., at] = lookup(key[order], scores[there][order], wanted, np.nan)
    return out


def lookup(keys: I64, values: F32, wanted: I64, missing: float) -> F32:
    """Return the value of each wanted key, `missing` where `keys` (ascending) lack it; shape of `wanted`."""
    if not len(keys):
        return np.full(wanted.shape, missing, np.float32)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], np.float32(missing))
