"""Splits in time: at one instant for everybody, or at the end of each user's history."""

from __future__ import annotations

import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError, at_least_one
from twofold.expected import check_log
from twofold.split._split import (
    TEST,
    TRAIN,
    VALIDATION,
    Repeats,
    Split,
    fraction,
    make,
    repeats_allowed,
    yes_or_no,
)
from twofold.split.at_random import random
from twofold.typing import I64, Rng


def temporal(
    data: Dataset, *, test: float = 0.1, validation: float = 0.1, repeats: Repeats = "drop"
) -> Split:
    """Cut the log at one instant: everything earlier trains, everything from it on tests.

    Parameters
    ----------
    data
        A log with times.
    test, validation
        Shares of the events, the last ones and those just before; events of one instant stay
        together, so that the shares are met as nearly as the times allow.
    repeats
        ``drop`` test events whose pair is in training (what one has seen is not recommended), or
        ``keep`` them (check-ins, groceries); evaluation then does not hide what was seen.

    Raises
    ------
    DataError
        If the log has no times, or all events have one time.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> split = temporal(planted_log(), test=0.2, validation=0.0)
    >>> int(split.train.interactions.time.max()) < split.cut <= int(split.test.interactions.time.min())
    True
    """
    check_log(data, "tw.split.temporal")
    fraction("test", test)
    fraction("validation", validation, zero=True)
    if test + validation >= 1:
        raise ConfigError(f"test + validation must be below 1; got {test:g} + {validation:g}")
    keep = repeats_allowed(repeats)
    time = times_of(data, "temporal")
    cut = instant(time, test)
    validation_cut = instant(time, test + validation) if validation else None
    part = np.where(time >= cut, TEST, TRAIN)
    if validation_cut is not None:
        part[(time >= validation_cut) & (time < cut)] = VALIDATION
    kind = f"temporal(test={test:g}, validation={validation:g})"
    return make(
        data, part, kind, cut=cut, validation_cut=validation_cut, repeats=keep,
        wants_validation=validation > 0,
    )  # fmt: skip


def times_of(data: Dataset, what: str) -> I64:
    """Return the times of the events.

    Raises
    ------
    DataError
        If there are none.
    """
    time = data.interactions.time
    if time is None:
        raise DataError(
            f"{what} needs times and the log has none; name its time column, or use split.random"
        )
    return time


def instant(time: I64, share: float) -> int:
    """Return the time from which as nearly the last `share` of the events happen as the times allow.

    It is later than the first time, so that something is left before it.

    Raises
    ------
    DataError
        If all events have one time.
    """
    first = time.min()
    wanted = share * len(time)
    place = min(int(np.rint(len(time) - wanted)), len(time) - 1)
    at = np.partition(time, place)[place]
    later = time[time > at]
    choices = [int(at)] if at > first else []
    if len(later):
        choices.append(int(later.min()))
    if not choices:
        raise DataError("all events have one time, which cannot be cut; use split.random")
    return min(choices, key=lambda one: abs(int((time >= one).sum()) - wanted))


def last_fraction(
    data: Dataset, *, test: float = 0.2, validation: float = 0.0, repeats: Repeats = "drop"
) -> Split:
    """Test on the last share of each user's events, floor(test * n); the rest trains.

    The order is that of time, or that of the log where it has no times. Events of other users may be
    later than a test event: this is not a split in time.
    """
    check_log(data, "tw.split.last_fraction")
    fraction("test", test)
    fraction("validation", validation, zero=True)
    if test + validation >= 1:
        raise ConfigError(f"test + validation must be below 1; got {test:g} + {validation:g}")
    left, size = events_left(data)
    in_test = np.floor(test * size + 1e-9)
    in_both = in_test + np.floor(validation * size + 1e-9)
    part = np.where(left < in_both, VALIDATION, TRAIN)
    part[left < in_test] = TEST
    kind = f"last_fraction(test={test:g}, validation={validation:g})"
    return make(
        data, part, kind, repeats=repeats_allowed(repeats), wants_validation=bool(validation)
    )


def leave_last(
    data: Dataset, *, n: int = 1, validation: bool = False, repeats: Repeats = "drop"
) -> Split:
    """Test on the last `n` events of each user who has more; with `validation`, hold out `n` more, of users who have more than 2 n.

    The order is that of time, or that of the log where it has no times. A user with too few events
    is in training only.
    """
    check_log(data, "tw.split.leave_last")
    at_least_one("n", n)
    yes_or_no("validation", validation)
    left, size = events_left(data)
    held = 2 * n if validation else n
    enough = size > held
    part = np.where(enough & (left < held), VALIDATION, TRAIN)
    part[enough & (left < n)] = TEST
    kind = f"leave_last(n={n}, validation={validation})"
    return make(
        data, part, kind, repeats=repeats_allowed(repeats), wants_validation=bool(validation)
    )


def events_left(data: Dataset) -> tuple[I64, I64]:
    """Return how many events of the same user follow each event, and how many the user has."""
    events = data.interactions
    end = events.indptr[events.user.astype(np.int64) + 1]
    start = events.indptr[events.user.astype(np.int64)]
    return end - 1 - np.arange(len(events), dtype=np.int64), end - start


def default(data: Dataset, *, test: float = 0.1, validation: float = 0.1, rng: Rng = 0) -> Split:
    """Cut in time where the log has times that differ, else at random."""
    check_log(data, "tw.split.default")
    time = data.interactions.time
    if time is not None and len(time) and time.min() < time.max():
        return temporal(data, test=test, validation=validation)
    return random(data, test=test, validation=validation, rng=rng)
