"""Which events surround an event or a question, and where a trajectory ends."""

from __future__ import annotations

import numpy as np

from twofold.data.interactions import Histories, Interactions
from twofold.data.sequences import trajectories
from twofold.data.vocabulary import UNKNOWN
from twofold.typing import I32, I64


def cut(
    events: Interactions | Histories, gap: float | None, session: str | None
) -> tuple[I64, I64, I64]:
    """Return for every event its trajectory, and the first event and the last + 1 of it; each (n,).

    Pauses are looked for where there are times, sessions where there is the column.
    """
    told = isinstance(events, Interactions) and session is not None
    pause = gap if events.time is not None else None
    runs = trajectories(events, gap=pause, session=session if told else None)
    number = runs.of_event
    return number, runs.indptr[number], runs.indptr[number + 1]


def nearby(first: I64, stop: I64, window: int, *, both: bool) -> I64:
    """Return the events next to each one in its trajectory, nearest first, (n, most); -1 = none.

    `first` and `stop` (n,) bound the trajectory of each event. The `window` events before it, and those
    after it where `both`.
    """
    at = np.arange(len(first), dtype=np.int64)
    found: list[I64] = []
    for step in range(1, window + 1):
        found.append(np.where(at - step >= first, at - step, UNKNOWN))
        if both:
            found.append(np.where(at + step < stop, at + step, UNKNOWN))
    return np.stack(found, axis=1)


def latest(histories: Histories, asked: I64 | None, window: int, gap: float | None) -> I32:
    """Return the last items of each history's last trajectory, latest first, (n, window); -1 = none.

    Where the question is asked, at `asked` (n,), later than `gap` after the last event, there are none.
    """
    n, stop = len(histories), histories.indptr[1:]
    if not len(histories.item):
        return np.full((n, window), UNKNOWN, np.int32)
    _, first, _ = cut(histories, gap, None)
    last = np.maximum(stop - 1, 0)
    begin = np.where(histories.lengths > 0, first[np.minimum(last, len(first) - 1)], stop)
    if asked is not None and gap is not None and histories.time is not None:
        pause = asked - histories.time[np.minimum(last, len(first) - 1)]
        begin = np.where(pause > gap, stop, begin)
    at = stop[:, None] - 1 - np.arange(window)
    return np.where(at >= begin[:, None], histories.item[np.maximum(at, 0)], UNKNOWN).astype(
        np.int32
    )


def taken(items: I32, at: I64) -> I32:
    """Return items at places `at`, -1 where the place is -1."""
    return np.where(at >= 0, items[np.maximum(at, 0)], UNKNOWN).astype(np.int32)
