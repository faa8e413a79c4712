"""What the events of n people leave behind in JNTM, moved on one step by one event."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.sequences import trajectories
from twofold.kernels.trajectories import advance_states, first_state
from twofold.typing import F32, I32, I64, Bool

NO_TIME = np.iinfo(np.int64).min
"""The time of an event whose time is not known, and of the last event of somebody who did nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """The states of n people; arrays are read-only."""

    user: I32  # (n,) rows of known users, -1 = never seen
    cell: F32  # (n, d) long-term state c after all events
    head: F32  # (n, d) that at the head of the running sub-trajectory
    short: F32  # (n, d) S from which the next event of the sub-trajectory is predicted
    liked: F32  # (n, 2 d) sum over the events of the mean P and F of those who went there
    count: I64  # (n,) events
    last: I64  # (n,) seconds since 1970 UTC of the last event, NO_TIME = not known

    def __post_init__(self) -> None:
        """Freeze the arrays."""
        for array in vars(self).values():
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.user)


def blank(users: I32, shared: F32) -> State:
    """Return the states of people, `users` (n,) their rows, before their first event; shared (7 d + 5, d)."""
    n, d = len(users), shared.shape[1]
    cell = np.repeat(shared[7 * d + 4][None], n, axis=0)
    return State(
        user=np.array(users, np.int32),
        cell=cell,
        head=cell.copy(),
        short=np.repeat(first_short(shared)[None], n, axis=0),
        liked=np.zeros((n, 2 * d), np.float32),
        count=np.zeros(n, np.int64),
        last=np.full(n, NO_TIME, np.int64),
    )


def first_short(shared: F32) -> F32:
    """Return S at the head of a sub-trajectory, tanh(W s_0), shape (d,)."""
    d = shared.shape[1]
    out = np.empty(d, np.float32)
    first_state(shared, out)
    return out


def beginnings(histories: Histories, gap: float | None) -> Bool:
    """Say which events begin a sub-trajectory: after a gap of more than `gap` seconds; shape (nnz,).

    With `gap` None a history is one sub-trajectory. With a gap and no times every event begins one.
    """
    begins = np.zeros(len(histories.item), np.bool_)
    if gap is not None and histories.time is None:
        begins[:] = True
    elif len(begins):
        begins[trajectories(histories, gap=gap).indptr[:-1]] = True
    return begins


def continues(own: Histories, told: Histories) -> Bool:
    """Say which of n histories `told` begin with all of `own`, events and times; shape (n,)."""
    lengths = own.lengths
    same = (told.lengths >= lengths) & ((own.time is None) == (told.time is None))
    owner = np.repeat(np.arange(len(own)), np.where(same, lengths, 0))
    step = np.arange(len(owner)) - np.searchsorted(owner, owner)
    left, right = own.indptr[owner] + step, told.indptr[owner] + step
    differ = own.item[left] != told.item[right]
    if own.time is not None and told.time is not None:
        differ |= own.time[left] != told.time[right]
    same[owner[differ]] = False
    return same


def without_first(histories: Histories, done: I64) -> tuple[Histories, I64]:
    """Return histories without the first `done` (n,) events of each, and the numbers of the events that are left."""
    lengths = histories.lengths - done
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    left = np.repeat(histories.indptr[:-1] + done - indptr[:-1], lengths) + np.arange(indptr[-1])
    return histories.at(indptr, left), left


def moved(
    state: State, events: Histories, begins: Bool, inputs: F32, shared: F32, visitors: F32
) -> State:
    """Return the states after further events, one history a person; `begins` (nnz,) marks heads.

    inputs (m, d) is U, and visitors (m, 2 d) the mean P and F of those who went to each place.
    """
    cell, head, short = state.cell.copy(), state.head.copy(), state.short.copy()
    advance_states(events.indptr, events.item, begins, inputs, shared, cell, head, short)
    lengths = events.lengths
    liked, last = state.liked.copy(), state.last.copy()
    owner = np.repeat(np.arange(len(state)), lengths)
    np.add.at(liked, owner, visitors[events.item])
    if events.time is not None:
        some = lengths > 0
        last[some] = events.time[events.indptr[1:][some] - 1]
    else:
        last[lengths > 0] = NO_TIME
    return replace(
        state,
        cell=cell,
        head=head,
        short=short,
        liked=liked,
        count=state.count + lengths,
        last=last,
    )


def asked(state: State, time: I64 | None, gap: float | None, shared: F32) -> tuple[F32, F32]:
    """Return S and h, (n, d) each, for questions at `time` (n,), None = right after the last event.

    More than `gap` seconds after the last event a sub-trajectory begins: S is that at its head, and h has read
    all events.
    """
    cell, short = state.head, state.short
    if time is not None and gap is not None:
        new = (state.last != NO_TIME) & (time - state.last > gap)
        cell = np.where(new[:, None], state.cell, cell)
        short = np.where(new[:, None], first_short(shared), short)
    return short, np.tanh(cell)
