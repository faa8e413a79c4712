"""Training of JNTM: both likelihoods climbed in turn, by AdaGrad over batches of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.sequences import trajectories
from twofold.kernels.adagrad_rows import UNBOUNDED, sort_by_row, step_lanes, step_pairs, step_rows
from twofold.kernels.draws import draw_others, draw_strangers
from twofold.kernels.edges import edge_gradients
from twofold.kernels.trajectories import (
    LANES,
    choice_errors,
    trajectory_gradients,
    trajectory_states,
)
from twofold.random import kernel_seed
from twofold.typing import F32, I32, I64

BLOCK_BYTES = 32 * 2**20
"""Memory for the probabilities of one block of events."""


class Parameters(NamedTuple):
    """What JNTM learns; D is d times the number of parts in use."""

    preference: F32  # (n_users, d)  P
    network: F32  # (n_users, d)  F, read by both likelihoods
    context: F32  # (n_users, d)  C
    inputs: F32  # (n_items, d)  U
    outputs: F32  # (n_items, D)  U'
    shared: F32  # (7 d + 5, d): see `twofold.kernels.trajectories`

    @classmethod
    def drawn(
        cls, n_users: int, n_items: int, d: int, wide: int, scale: float, rng: np.random.Generator
    ) -> Parameters:
        """Draw every number evenly from -scale ... scale."""
        shapes = [(n_users, d)] * 3 + [(n_items, d), (n_items, wide), (7 * d + 5, d)]
        return cls(*(scale * (2 * rng.random(one, np.float32) - 1) for one in shapes))

    def copies(self) -> Parameters:
        """Return the parameters as they are now."""
        return Parameters(*(one.copy() for one in self))

    def zeros(self) -> Parameters:
        """Return sums of squares before the first step."""
        return Parameters(*(np.zeros_like(one) for one in self))


class Pace(NamedTuple):
    """How steps are made."""

    learning_rate: float
    reg_user: float
    reg_item: float
    reg_context: float
    share: float
    """Chance of a place to be among the negatives of an event."""
    strangers: float
    """Chance of somebody who is no friend to be among the negatives of a user."""
    state_clip: float
    network_clip: float
    dropout: float
    """Chance of a number of S or h to be 0 for an event."""

    def steps(self, size: int, n_users: int, reg: float) -> tuple[float, float, float, float]:
        """Return what a summed gradient is multiplied by, the rate, and what a step adds of a row of a batch's user and of another, whose penalty is `reg`.

        A user is in one batch of `size` in a pass, and any other row in all of them: its penalty is spread over them.
        """
        return 1 / size, self.learning_rate, self.reg_user / size, reg / max(n_users, 1)


@dataclass(frozen=True)
class Trajectories:
    """Every user's events with the head of the sub-trajectory that each is in."""

    indptr: I64  # (n_users + 1,)
    item: I32  # (n,)
    head: I64  # (n,) event numbers

    @classmethod
    def of(cls, histories: Histories, gap: float | None) -> Trajectories:
        """Cut histories where more than `gap` seconds pass; without times, or a gap, each is one trajectory."""
        cut = trajectories(histories, gap=None if histories.time is None else gap)
        return cls(histories.indptr, histories.item, cut.indptr[cut.of_event])


def width(n: int, share: float) -> int:
    """Return room for the draws of one row: ten deviations above the mean."""
    mean = n * share
    return 1 + min(n, int(mean + 10 * np.sqrt(mean) + 20))


def dealt(users: I32, lengths: I64) -> tuple[I32, I64]:
    """Deal users to lanes, the longest first and to and fro; return them lane by lane, and where lanes begin."""
    order = np.argsort(-lengths, kind="stable")
    turn = np.arange(len(users)) % (2 * LANES)
    lane = np.minimum(turn, 2 * LANES - 1 - turn)
    sizes = np.bincount(lane, minlength=LANES)
    return users[order][np.argsort(lane, kind="stable")], np.concatenate([[0], np.cumsum(sizes)])


def batches(n: int, size: int, rng: np.random.Generator) -> list[I32]:
    """Deal n rows to batches in an order that is drawn."""
    order = rng.permutation(n).astype(np.int32)
    return [order[at : at + size] for at in range(0, n, size)]


class Drawn(NamedTuple):
    """The places that each of e events is told apart from, and p - [true] of them."""

    choice: I32  # (e, width)
    many: I64  # (e,) how many there are
    error: F32  # (e, width)


def drawn_softmax(
    x: F32, outputs: F32, item: I32, number: I64, share: float, seed: int
) -> tuple[F32, Drawn, float]:
    """Return gradients of the states, errors and the summed -ln p, over each event's place and drawn others.

    x (e, D), outputs (m, D); item (e,) is the true place and number (e,) names the event's draws.
    """
    room = width(len(outputs), share)
    made = Drawn(
        np.empty((len(x), room), np.int32), np.empty(len(x), np.int64), np.empty((len(x), room), x.dtype)
    )  # fmt: skip
    draw_others(seed, number, item, len(outputs), share, made.choice, made.many)
    dx, loss = np.empty_like(x), np.empty(len(x))
    choice_errors(x, outputs, *made, dx, loss)
    return dx, made, float(loss.sum())


def whole_softmax(x: F32, outputs: F32, item: I32) -> tuple[F32, F32, float]:
    """Return gradients of the states (e, D) and of the outputs (m, D), and the summed -ln p, over all places."""
    dx, grown, total = np.empty_like(x), np.zeros_like(outputs), 0.0
    step = max(1, BLOCK_BYTES // (x.itemsize * len(outputs)))
    for at in range(0, len(x), step):
        some = x[at : at + step]
        p = some @ outputs.T
        rows, true = np.arange(len(p)), item[at : at + step]
        p -= p.max(axis=1, keepdims=True)
        total -= float(p[rows, true].sum(dtype=np.float64))
        np.exp(p, out=p)
        mass = p.sum(axis=1, keepdims=True)
        total += float(np.log(mass).sum(dtype=np.float64))
        p /= mass
        p[rows, true] -= 1
        np.matmul(p, outputs, out=dx[at : at + step])
        grown += p.T @ some
    return dx, grown, total


def step_drawn(
    drawn: Drawn, x: F32, by: float, rate: float, reg: float, outputs: F32, sums: F32
) -> None:
    """Move the rows of `outputs` (m, D) that are among the drawn, x (e, D) being the states of the events."""
    begin = np.zeros(len(outputs) + 1, np.int64)
    place = np.empty(int(drawn.many.sum()), np.int64)
    sort_by_row(drawn.choice, drawn.many, begin, place)
    step_pairs(begin, place, drawn.error, x, by, rate, reg, outputs, sums)


def survivors(x: F32, parts: I64, dropout: float, rng: np.random.Generator) -> F32 | None:
    """Return what states x (e, D) are multiplied by: a number of S or h is 0 with chance `dropout`, and else 1 / (1 - dropout).

    None where nothing is dropped.
    """
    if not dropout:
        return None
    kept = np.ones_like(x)
    d = x.shape[1] // int((parts >= 0).sum())
    for at in parts[2:]:
        if at >= 0:
            there = rng.random((len(x), d), np.float32) >= dropout
            kept[:, at : at + d] = there / (1 - dropout)
    return kept


def trajectory_epoch(
    data: Trajectories,
    size: int,
    parts: I64,
    pace: Pace,
    now: Parameters,
    sums: Parameters,
    rng: np.random.Generator,
) -> float:
    """Take one pass over the users that have events; return the mean -ln p of an event before its step."""
    d, wide, m = now.inputs.shape[1], now.outputs.shape[1], len(now.inputs)
    lengths = np.diff(data.indptr)
    users = np.flatnonzero(lengths).astype(np.int32)
    lanes = np.zeros((LANES, *now.shared.shape), now.shared.dtype)
    begin, total, kind = np.zeros(m + 1, np.int64), 0.0, now.inputs.dtype
    by, rate, by_user, reg = pace.steps(size, len(users), pace.reg_item)
    seed, all_items = kernel_seed(rng), np.arange(m, dtype=np.int32)
    for at in batches(len(users), size, rng):
        some, lane = dealt(users[at], lengths[users[at]])
        n = len(some)
        start = np.concatenate([[0], np.cumsum(lengths[some])])
        number = np.repeat(data.indptr[some] - start[:-1], lengths[some]) + np.arange(start[-1])
        e = len(number)
        item, head = data.item[number], data.head[number] - (number - np.arange(e))
        x, cell, gates = (np.empty((e, one), kind) for one in (wide, d, 3 * d))
        trajectory_states(
            lane, some, start, item, head, now.preference, now.network, now.inputs, now.shared, parts,
            x, cell, gates,
        )  # fmt: skip
        kept = survivors(x, parts, pace.dropout, rng)
        seen = x if kept is None else x * kept
        if pace.share == 1:
            dx, grown, loss = whole_softmax(seen, now.outputs, item)
        else:
            dx, grown, loss = drawn_softmax(seen, now.outputs, item, number, pace.share, seed)
        if kept is not None:
            dx *= kept
        total += loss
        du, dp, dnetwork = (np.empty((one, d), kind) for one in (e, n, n))
        trajectory_gradients(
            lane, start, item, head, x, dx, cell, gates, now.inputs, now.shared, parts,
            pace.state_clip, du, dp, dnetwork, lanes,
        )  # fmt: skip
        if isinstance(grown, Drawn):
            step_drawn(grown, seen, by, rate, reg, now.outputs, sums.outputs)
        else:
            step_rows(all_items, grown, by, rate, reg, UNBOUNDED, now.outputs, sums.outputs)
        place, once = np.empty(e, np.int64), np.ones(e, np.int64)
        sort_by_row(item[:, None], once, begin, place)
        step_pairs(begin, place, np.ones((e, 1), kind), du, by, rate, reg, now.inputs, sums.inputs)
        step_rows(some, dp, by, rate, by_user, UNBOUNDED, now.preference, sums.preference)
        step_rows(some, dnetwork, by, rate, by_user, pace.network_clip, now.network, sums.network)
        step_lanes(lanes, by, rate, now.shared, sums.shared)
    return total / len(data.item)


def network_pass(
    friends: tuple[I64, I32],
    size: int,
    pace: Pace,
    now: Parameters,
    sums: Parameters,
    rng: np.random.Generator,
) -> float:
    """Take one pass over all users' friends and drawn strangers; return the mean negative log-likelihood of a user."""
    indptr, friend = friends
    n, d = now.network.shape
    degree = np.diff(indptr)
    seed, total = kernel_seed(rng), 0.0
    begin = np.zeros(n + 1, np.int64)
    for some in batches(n, size, rng):
        b, kind = len(some), now.network.dtype
        room = int(degree[some].max()) + width(n, pace.strangers)
        other, count = np.empty((b, room), np.int32), np.empty(b, np.int64)
        draw_strangers(seed, some, indptr, friend, pace.strangers, other, count)
        error, x, gradient = (
            np.empty((b, room), kind),
            np.empty((b, d), kind),
            np.empty((b, d), kind),
        )
        loss = np.empty(b)
        edge_gradients(
            some, degree[some], other, count, now.network, now.context, error, x, gradient, loss
        )
        total += loss.sum()
        place = np.empty(int(count.sum()), np.int64)
        sort_by_row(other, count, begin, place)
        by, rate, by_user, reg = pace.steps(size, n, pace.reg_context)
        step_pairs(begin, place, error, x, by, rate, reg, now.context, sums.context)
        step_rows(some, gradient, by, rate, by_user, pace.network_clip, now.network, sums.network)
    return total / n
