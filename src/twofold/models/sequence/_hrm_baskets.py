"""What HRM reads of a log: each item of a basket with the basket before, and everybody's last basket."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twofold.data.interactions import Histories, Interactions
from twofold.data.sequences import baskets
from twofold.typing import I32, I64


class Transitions(NamedTuple):
    """n items with what their user bought in the basket before: ``basket[start[e]:stop[e]]``."""

    user: I32  # (n,)
    item: I32  # (n,)
    start: I64  # (n,)
    stop: I64  # (n,)
    basket: I32  # distinct items, basket by basket


def transitions(events: Interactions) -> Transitions:
    """Return every distinct item of every basket with the basket before it, empty for a user's first one."""
    if events.time is None:
        indptr, user, item = np.arange(len(events) + 1), events.user, events.item
    else:
        found = baskets(events)
        key = np.unique(found.of_event * events.n_items + events.item)
        number, item = np.divmod(key, events.n_items)
        item = item.astype(np.int32)
        indptr, user = np.searchsorted(number, np.arange(len(found) + 1)), found.user
    lengths = np.diff(indptr)
    follows = np.concatenate([[False], user[1:] == user[:-1]])
    start = np.where(follows, np.concatenate([[0], indptr[:-2]]), 0)
    stop = np.where(follows, indptr[:-1], 0)
    return Transitions(
        np.repeat(user, lengths), item,
        np.repeat(start, lengths).astype(np.int64), np.repeat(stop, lengths).astype(np.int64), item,
    )  # fmt: skip


def as_log(histories: Histories, n_items: int) -> Interactions:
    """Return histories as a log of their own."""
    who = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    return Interactions(
        who, histories.item, histories.value, histories.together, len(histories), n_items
    )


def last_baskets(histories: Histories) -> Histories:
    """Return the distinct items of the latest moment of each history, ascending."""
    n = len(histories)
    there = np.flatnonzero(histories.lengths)
    moment = histories.together
    latest = np.full(n, np.iinfo(np.int64).min)
    if len(there):
        latest[there] = np.maximum.reduceat(moment, histories.indptr[there])
    owner = np.repeat(np.arange(n), histories.lengths)
    kept = np.flatnonzero(moment == latest[owner])
    most = int(histories.item.max(initial=0)) + 1
    owner, item = np.divmod(np.unique(owner[kept] * most + histories.item[kept]), most)
    indptr = np.searchsorted(owner, np.arange(n + 1)).astype(np.int64)
    return Histories(indptr, item.astype(np.int32), np.ones(len(item), np.float32))
