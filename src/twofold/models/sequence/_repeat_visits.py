"""What people's own histories say of the items in them: how often, how lately, after what, at which hour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twofold.data.interactions import Histories
from twofold.typing import F32, I32, I64

VISITS = ("had", "often", "lately", "just", "after", "hour", "settled")
"""The columns of `Visits.values`."""
HOUR = 3600
DAY = 86_400
NEAR = 2 * HOUR
"""Seconds between two times of day that count as the same hour."""


class Visits(NamedTuple):
    """The distinct items of n histories, by history and then by item."""

    owner: I64  # (e,)
    item: I32  # (e,)
    values: F32
    """One column a name of `VISITS`, (e, 7), of n events, the last of them t moments ago (1 = in the last one):
    1, ln n, -ln t, whether t is 1, ln(1 + times it was had right after an item of the last moment),
    ln(1 + times within two hours of the time of day that is asked for), and -ln of the share of events
    with which the person had something new."""


def visits(histories: Histories, n_items: int, time: I64 | None) -> Visits:
    """Return what n histories say of their items.

    Parameters
    ----------
    histories
        Oldest first. A moment is what was had together; see `Histories.together`.
    n_items
        Size of the catalogue.
    time : shape (n,)
        Seconds since 1970 UTC of the questions; None, or a history without times: nothing is said of the hour.
    """
    lengths, n = histories.lengths, len(histories.item)
    owner = np.repeat(np.arange(len(histories), dtype=np.int64), lengths)
    begins = np.ones(n, np.bool_)
    begins[1:] = owner[1:] != owner[:-1]
    together = histories.together
    begins[1:] |= together[1:] != together[:-1]
    moment = np.cumsum(begins) - 1  # over all histories
    latest = np.zeros(len(histories), np.int64)
    latest[owner] = moment  # the last write of each history stays
    key, of = np.unique(owner * n_items + histories.item, return_inverse=True)
    whose, item = np.divmod(key, n_items)
    count = np.bincount(of, minlength=len(key)).astype(np.float64)
    last = np.zeros(len(key), np.int64)
    last[of] = moment
    ago = latest[whose] - last + 1
    just = ago == 1
    hot = np.zeros(n + 1, np.bool_)  # moments with an item of the last one
    hot[moment[just[of]]] = True
    first = np.zeros(len(histories) + 1, np.int64)
    first[owner[::-1]] = moment[::-1]  # the first moment of each history
    follows = (moment > first[owner]) & hot[moment - 1]
    after = np.bincount(of, follows, len(key))
    near = np.zeros(len(key))
    if time is not None and histories.time is not None:
        apart = (time[owner] - histories.time) % DAY
        near = np.bincount(of, np.minimum(apart, DAY - apart) <= NEAR, len(key))
    distinct = np.bincount(whose, minlength=len(histories))
    settled = -np.log((1 + distinct) / (1 + np.maximum(lengths, distinct)))
    columns = [
        np.ones(len(key)), np.log(count), -np.log(ago), just, np.log1p(after), np.log1p(near), settled[whose],
    ]  # fmt: skip
    return Visits(whose, item.astype(np.int32), np.column_stack(columns).astype(np.float32))
