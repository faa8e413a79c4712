"""Times that are read and that nobody may have meant."""

from __future__ import annotations

import numpy as np

from twofold.data.columns import NO_TIME
from twofold.typing import I64

AHEAD = 86_400
"""Seconds after now from which a time lies in the future: clocks whose zone is not told differ by less."""
DATED = 315_532_800
"""1980 in seconds since 1970: logs whose latest time lies before it count from a beginning of their own."""


def odd_times(times: I64, now: float, what: str) -> list[str]:
    """Return what there is to say of times (n,): those of the future, and those that stand at 1970 or before."""
    return [one for one in (in_future(times, now, what), before_all(times, what)) if one]


def before_all(times: I64, what: str) -> str | None:
    """Say how many of the times (n,) of a dated log are 0 or less, as programs write what they do not know.

    Example
    -------
    >>> before_all(np.array([0, 1_600_000_000]), "time column 'at'")
    "time column 'at' has 1 of 2 times at 1970-01-01 or before, the earliest 1970-01-01T00:00:00"
    """
    known = times[times != NO_TIME]
    old = known[known <= 0]
    if not len(old) or 0 <= known.max() < DATED:
        return None
    earliest = np.datetime64(int(old.min()), "s")
    return f"{what} has {len(old):,} of {len(known):,} times at 1970-01-01 or before, the earliest {earliest}"


def in_future(times: I64, now: float, what: str) -> str | None:
    """Say how many of the times (n,) lie more than a day after `now`, and the latest one; None where none does.

    Example
    -------
    >>> in_future(np.array([1_600_000_000, 253_402_214_400]), 1_700_000_000, "time column 'at'")
    "time column 'at' has 1 of 2 times in the future, the latest 9999-12-31T00:00:00"
    """
    latest = int(times.max(initial=NO_TIME))
    if latest <= now + AHEAD:
        return None
    ahead = int((times > now + AHEAD).sum())
    latest_written = np.datetime64(latest, "s")
    return (
        f"{what} has {ahead:,} of {len(times):,} times in the future, the latest {latest_written}"
    )
