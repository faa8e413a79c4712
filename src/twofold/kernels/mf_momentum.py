"""Minibatch gradient descent with momentum for probabilistic matrix factorization, in parallel.

Every batch is stored twice: by user and by item. A gradient row is summed by one thread in a fixed
order, so that results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64


class Runs(NamedTuple):
    """Ratings in batches, and inside a batch in runs of one row."""

    start: I64  # (runs + 1,) where each run begins
    row: I32  # (runs,) the row of each run
    batch: I64  # (batches + 1,) where each batch begins among the runs


class Batches(NamedTuple):
    """Minibatches of n ratings: by user, and by item as positions in the first order."""

    by_user: Runs
    item: I32  # (n,) in user order
    value: F32  # (n,)
    by_item: Runs
    place: I64  # (n,) in item order: where the rating stands in user order
    user: I32  # (n,) in item order


def deal(user: I32, item: I32, value: F32, batch: I32, count: int) -> Batches:
    """Sort ratings (n,) into the batches 0 ... count - 1 that `batch` (n,) names."""
    order = np.lexsort((item, user, batch))
    user, item, value, batch = user[order], item[order], value[order], batch[order]
    place = np.lexsort((user, item, batch)).astype(np.int64)
    return Batches(
        runs_of(user, batch, count),
        item,
        value,
        runs_of(item[place], batch[place], count),
        place,
        user[place],
    )


def runs_of(row: I32, batch: I32, count: int) -> Runs:
    """Find the runs of equal (batch, row) in sorted arrays (n,)."""
    new = np.ones(len(row), np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (batch[1:] != batch[:-1])
    start = np.flatnonzero(new)
    first = np.searchsorted(batch[start], np.arange(count + 1))
    return Runs(np.append(start, len(row)).astype(np.int64), row[start], first.astype(np.int64))


@kernel(parallel=True)
def coast(velocity: F32, x: F32, momentum: float, pull: float) -> None:
    """Set velocity = momentum * velocity - pull * x, both (n, d): friction and the prior."""
    kept, drawn = np.float32(momentum), np.float32(pull)
    for row in prange(len(x)):
        for f in range(x.shape[1]):
            velocity[row, f] = kept * velocity[row, f] - drawn * x[row, f]


@kernel(parallel=True)
def move(x: F32, velocity: F32) -> None:
    """Add `velocity` to `x`, both (n, d)."""
    for row in prange(len(x)):
        for f in range(x.shape[1]):
            x[row, f] += velocity[row, f]


@kernel(parallel=True)
def user_gradients(
    start: I64,
    row: I32,
    first: int,
    last: int,
    item: I32,
    value: F32,
    u: F32,
    v: F32,
    height: float,
    rate: float,
    velocity: F32,
    slope: F32,
    loss: F64,
) -> None:
    """Add rate * sum_j slope_ij v_j to the velocity of every user of the runs first ... last - 1.

    slope = (r - g) g' is kept for the items' turn, where g is the product itself if `height` is 0,
    and height / (1 + exp(-product)) otherwise. `loss` (runs,) receives the squared errors.
    """
    d = u.shape[1]
    for run in prange(first, last):
        i = row[run]
        total = 0.0
        for at in range(start[run], start[run + 1]):
            j = item[at]
            product = dot(u[i], v[j])
            if height > 0:
                squashed = 1.0 / (1.0 + np.exp(-np.float64(product)))
                error = value[at] - height * squashed
                slope[at] = error * height * squashed * (1.0 - squashed)
            else:
                error = np.float64(value[at]) - product
                slope[at] = error
            total += error * error
            step = np.float32(rate) * slope[at]
            for f in range(d):
                velocity[i, f] += step * v[j, f]
        loss[run] = total


@kernel(parallel=True)
def item_gradients(
    start: I64,
    row: I32,
    first: int,
    last: int,
    place: I64,
    user: I32,
    u: F32,
    slope: F32,
    rate: float,
    velocity: F32,
) -> None:
    """Add rate * sum_i slope_ij u_i to the velocity of every item of the runs first ... last - 1."""
    d = u.shape[1]
    for run in prange(first, last):
        j = row[run]
        for at in range(start[run], start[run + 1]):
            step = np.float32(rate) * slope[place[at]]
            i = user[at]
            for f in range(d):
                velocity[j, f] += step * u[i, f]
