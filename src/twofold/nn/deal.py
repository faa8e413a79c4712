"""How the examples of an epoch are dealt into batches."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twofold.typing import I64

Deal: TypeAlias = Callable[[int, int, np.random.Generator], Sequence[I64]]
"""(n_examples, batch_size, rng) -> batches of rows, int64."""


def cut(rows: I64, batch_size: int) -> list[I64]:
    """Cut `rows` into batches of at most `batch_size`, as equal in size as they can be."""
    return np.array_split(rows, max(1, -(-len(rows) // batch_size)))


def batch_of(n_examples: int, most: int, steps: int) -> int:
    """Return how many examples a batch has where a model does not say: `most`, or as many as leave an epoch `steps` batches.

    Few examples in large batches would get few steps in all epochs together.

    Example
    -------
    >>> batch_of(100_000, 512, 20), batch_of(1000, 512, 20), batch_of(3, 512, 20)
    (512, 50, 1)
    """
    return min(most, max(n_examples // steps, 1))


def passes_over(count: NDArray[np.number], least: int, meetings: int) -> int:
    """Return how many passes a model makes where it does not say: `least`, or as many as let a token be met `meetings` times.

    `count` (m,) are the occurrences of the tokens in the log; those that occur are met so often on average. Vectors
    begin small and grow with each meeting: in a log of many tokens and few events they stay where they began otherwise.

    Example
    -------
    >>> passes_over(np.array([200, 100, 0]), 10, 300), passes_over(np.array([2, 1]), 10, 300)
    (10, 200)
    """
    mean = float(count[count > 0].mean()) if np.any(count > 0) else float(meetings)
    return max(least, math.ceil(meetings / mean))


def shuffled(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
    """Every example once, in random order.

    Example
    -------
    >>> [len(rows) for rows in shuffled(10, 4, np.random.default_rng(0))]
    [4, 3, 3]
    """
    return cut(rng.permutation(n_examples), batch_size)


def within_groups(groups: NDArray[np.integer]) -> Deal:
    """Every example once; a batch holds examples of one group, such as one item view, and the groups alternate at random."""
    members = [np.flatnonzero(groups == one) for one in np.unique(groups)]

    def deal(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        del n_examples
        batches = [batch for rows in members for batch in cut(rng.permutation(rows), batch_size)]
        return [batches[at] for at in rng.permutation(len(batches))]

    return deal


def in_groups(groups: NDArray[np.integer]) -> Deal:
    """Every example once; those of a group stand together, so that a batch holds all of a few groups, whatever they share.

    Example
    -------
    >>> deal = in_groups(np.array([0, 1, 0, 1]))
    >>> sorted(sorted(rows.tolist()) for rows in deal(4, 2, np.random.default_rng(0)))
    [[0, 2], [1, 3]]
    """
    n_groups = int(groups.max(initial=-1)) + 1

    def deal(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        mixed = rng.permutation(n_examples)
        place = rng.permutation(n_groups)[groups[mixed]]
        batches = cut(mixed[np.argsort(place, kind="stable")], batch_size)
        return [batches[at] for at in rng.permutation(len(batches))]

    return deal


def session_parallel(starts: I64, steps: I64) -> Deal:
    """Sessions side by side in lanes: step t of a batch follows step t - 1 of the same lanes.

    Hidasi et al. (2016), section 3.1.1: as many sessions as a batch has rows begin together; where one ends, the next takes its lane.
    A row is ``event * lanes + lane`` with ``lanes = min(batch_size, sessions)``; the last batches are smaller, when no session is left.
    Sessions come in random order, long ones rather early, so that few lanes outlast the others: u (1 - steps / length of the epoch)
    is the place of a session, u uniform in [0, 1).

    Parameters
    ----------
    starts : shape (n,)
        First event of each session.
    steps : shape (n,)
        Its number of examples, >= 1.

    Example
    -------
    >>> deal = session_parallel(np.array([0, 3, 5]), np.array([2, 1, 3]))
    >>> [[divmod(int(row), 2) for row in batch] for batch in deal(6, 2, np.random.default_rng(0))]
    [[(5, 0), (3, 1)], [(6, 0), (0, 1)], [(7, 0), (1, 1)]]
    """

    def deal(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        lanes = min(batch_size, len(starts))
        share = np.minimum(steps * lanes / n_examples, 1)
        order = np.argsort(rng.random(len(starts)) * (1 - share), kind="stable")
        first, length = starts[order], steps[order]
        begin, lane = in_lanes(length, lanes)
        inside = np.arange(n_examples) - np.repeat(np.cumsum(length) - length, length)
        at = np.repeat(begin, length) + inside  # (n_examples,) step of the epoch
        rows = (np.repeat(first, length) + inside) * lanes + np.repeat(lane, length)
        whole = np.lexsort((rows % lanes, at))
        return np.split(rows[whole], np.flatnonzero(np.diff(at[whole])) + 1)

    return deal


def in_lanes(steps: I64, lanes: int) -> tuple[I64, I64]:
    """Return the step at which each session begins and its lane, (n,) each: the lane that is free first takes the next one."""
    begin, lane = np.empty_like(steps), np.empty_like(steps)
    free = [(0, one) for one in range(lanes)]
    for at, length in enumerate(steps.tolist()):
        begin[at], lane[at] = free[0]
        heapq.heapreplace(free, (free[0][0] + length, free[0][1]))
    return begin, lane
