"""A log cut into sequences: trajectories by a gap in time or a session, baskets by their moment.

Nothing is copied: a sequence is a run of event numbers of the log that it was cut from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from twofold.data.columns import Category, Column, Number, Text, Time, kind_of, ragged, within
from twofold.data.interactions import Histories, Interactions
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, no_context
from twofold.expected import check_log
from twofold.typing import I32, I64, Bool

if TYPE_CHECKING:
    from twofold.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Sequences:
    """s runs of the events of a log, by user and then by time; none is empty as they are cut here."""

    indptr: I64
    """Where each sequence starts in ``event``, (s + 1,)."""
    event: I64
    """Event numbers of the log, (n,), in time order within a sequence."""
    user: I32
    """Whose each sequence is, (s,)."""

    def __len__(self) -> int:
        return len(self.user)

    def verify(self) -> None:
        """Refuse ends that do not cover the events, and users out of order.

        Raises
        ------
        DataError
            Saying which.
        """
        ragged("sequences", self.indptr, len(self.event))
        if len(self.user) != len(self.indptr) - 1 or (np.diff(self.user) < 0).any():
            raise DataError("the users of the sequences do not ascend, one a sequence")

    @property
    def lengths(self) -> I64:
        """Number of events of each sequence; shape (s,)."""
        return np.diff(self.indptr)

    @property
    def of_event(self) -> I64:
        """The sequence of every event of the log, shape (n,)."""
        found = np.empty(len(self.event), np.int64)
        found[self.event] = np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)
        return found

    def left(self, n_users: int) -> tuple[I64, I64]:
        """Return how many sequences of the same user follow each one, and how many the user has; (s,)."""
        within("users of the sequences", self.user, n_users)
        counts = np.bincount(self.user, minlength=n_users)
        end = np.cumsum(counts)[self.user]
        return end - 1 - np.arange(len(self), dtype=np.int64), counts[self.user].astype(np.int64)


def trajectories(
    log: Dataset | Interactions | Histories, *, gap: float | None = None, session: str | None = None
) -> Sequences:
    """Cut each user's events where they pause or where the session changes; O(n).

    Parameters
    ----------
    log
        Events in user-time order: a dataset, its interactions, or histories.
    gap
        Seconds, >= 0: two neighbouring events that lie further apart are cut; None = never for that
        reason. 21,600 (six hours) is usual for check-ins (Yang et al. 2017, JNTM).
    session
        A context column: neighbouring events with different entries are cut. Events without an entry are
        as one more entry.

    Returns
    -------
    Sequences
        Every event is in one. With neither `gap` nor `session` a user is one trajectory; an event far from
        all others is one of length 1. Users without events have none.

    Raises
    ------
    DataError
        If `gap` is given and the log has no times, or they run backwards within a user.
    ConfigError
        If `gap` is negative or no number, or there is no such column.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 1, 2], "i": list("abca"), "t": [0, 3600, 90_000, 5]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> trajectories(data.interactions, gap=6 * 3600).lengths.tolist()
    [2, 1, 1]
    """
    log = _events_of(log, "trajectories")
    starts = _new_users(log)
    if gap is not None:
        _seconds(gap)
        time = _times(log, "gap", starts)
        starts[1:] |= np.diff(time) > gap
    if session is not None:
        codes = _codes(log, session)
        starts[1:] |= np.diff(codes) != 0
    first = np.flatnonzero(starts)
    return _runs(log, np.arange(len(starts), dtype=np.int64), first)


def baskets(log: Dataset | Interactions | Histories, *, basket: str | None = None) -> Sequences:
    """Gather what each user took at one time, or under one entry of a column.

    Parameters
    ----------
    log
        Events in user-time order: a dataset, its interactions, or histories.
    basket
        A context column such as an invoice number. Its events need not be neighbours: a basket stands
        where its first event does. An event without an entry is a basket of its own. None = the events of
        one user at exactly one time.

    Returns
    -------
    Sequences
        Every event is in one; an item that is taken twice in a basket is in it twice.

    Raises
    ------
    DataError
        If the log has no times and no column is named, or times run backwards within a user.
    ConfigError
        If there is no such column.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 1, 2], "i": list("abca"), "t": [0, 0, 90_000, 0]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> baskets(data.interactions).lengths.tolist()
    [2, 1, 1]
    """
    log = _events_of(log, "baskets")
    starts = _new_users(log)
    n = len(starts)
    if basket is None:
        time = _times(log, "baskets", starts)
        starts[1:] |= np.diff(time) != 0
        return _runs(log, np.arange(n, dtype=np.int64), np.flatnonzero(starts))
    code = _codes(log, basket)
    alone = np.flatnonzero(code == UNKNOWN)
    code[alone] = int(code.max(initial=0)) + 1 + np.arange(len(alone))
    user = np.cumsum(starts) - 1
    key = pl.Series(user * (int(code.max(initial=0)) + 1) + code)
    # The first event of each basket orders the baskets, and is the number by which they are told apart.
    frame = pl.DataFrame({"key": key, "at": np.arange(n, dtype=np.int64)})
    first = frame.select(pl.col("at").min().over("key"))["at"].to_numpy()
    order = np.argsort(first, kind="stable").astype(np.int64)
    return _runs(log, order, np.flatnonzero(np.diff(first[order], prepend=-1)))


def _events_of(log: Dataset | Interactions | Histories, owner: str) -> Interactions | Histories:
    """Return the events of a log."""
    if isinstance(log, Interactions | Histories):
        return log
    check_log(log, owner)
    return log.interactions


def _runs(log: Interactions | Histories, event: I64, first: I64) -> Sequences:
    """Return the sequences that begin at places `first` of `event`."""
    indptr = np.append(first, len(event)).astype(np.int64)
    owner = np.searchsorted(log.indptr, event[first], side="right") - 1
    return Sequences(indptr, event, owner.astype(np.int32))


def _new_users(log: Interactions | Histories) -> Bool:
    """Say for each event whether it is the first one of its user; shape (n,)."""
    starts = np.zeros(len(log.item), np.bool_)
    at = log.indptr[:-1]
    starts[at[at < len(starts)]] = True
    return starts


def _times(log: Interactions | Histories, what: str, starts: Bool) -> I64:
    """Return the times, which do not fall within a user."""
    if log.time is None:
        raise DataError(
            f"{what} needs times and the log has none; name its time column, or a context column that "
            "tells the parts"
        )
    back = np.flatnonzero((np.diff(log.time) < 0) & ~starts[1:])
    if len(back):
        raise DataError(
            f"the times run backwards at event {int(back[0]) + 1:,}; sort each user's events by time, "
            "as Dataset.from_frames does"
        )
    return log.time


def _seconds(gap: float) -> None:
    number = isinstance(gap, int | float | np.number) and not isinstance(gap, bool)
    if not number or not gap >= 0:
        raise ConfigError(f"gap must be a number of seconds >= 0; got {gap!r}")


def _codes(log: Interactions | Histories, name: str) -> I64:
    """Return a number for each distinct entry of a context column, ``UNKNOWN`` where there is none; (n,)."""
    context = log.context if isinstance(log, Interactions) else {}
    if name not in context:
        raise no_context(name, context)
    return numbered(name, context[name])


def numbered(name: str, column: Column) -> I64:
    """Return a number for each distinct entry of a column, ``UNKNOWN`` where it is missing; shape (n,).

    Raises
    ------
    ConfigError
        If the column holds several things a row.
    """
    match column:
        case Category():
            return column.codes.astype(np.int64)
        case Number() | Text() | Time():
            values = column.series()
            ranks = values.rank("dense").cast(pl.Int64) - 1
            return ranks.fill_null(UNKNOWN).to_numpy().astype(np.int64)
        case _:
            raise ConfigError(
                f"column {name!r} is of the kind {kind_of(column)}, whose rows cannot be told apart by one "
                "entry; allowed kinds: category, number, text, time"
            )
