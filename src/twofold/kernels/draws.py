"""Samples of the others for each row: every one with the same chance, by geometric gaps, a stream a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, positive_share_of, stream
from twofold.typing import I32, I64


@kernel(fastmath=False)
def gap_of(state: Any, scale: float) -> float:
    """Return a geometric gap >= 0, before it is cut to an integer; scale = 1 / ln(1 - share)."""
    gap: Any = np.log(positive_share_of(mix(state))) * scale
    return gap


@kernel(parallel=True, fastmath=False)
def draw_others(
    seed: int, number: I64, positive: I32, n: int, share: float, out: I32, count: I64
) -> None:
    """Fill each row of `out` (e, width) with its `positive` and each other of n numbers with chance `share`.

    `count` (e,) becomes how many there are; a row that is full takes no more. `number` (e,) names each row's
    stream, so that draws depend on nothing else. Gaps between the drawn are geometric.
    """
    scale = 1.0 / np.log1p(-share)
    for e in prange(len(number)):
        state = stream(seed, number[e])
        out[e, 0] = positive[e]
        filled, at = 1, -1
        while filled < out.shape[1]:
            state += GOLDEN
            gap = gap_of(state, scale)
            if gap >= n:
                break
            at += 1 + int(gap)
            if at >= n - 1:
                break
            out[e, filled] = at if at < positive[e] else at + 1
            filled += 1
        count[e] = filled


@kernel(parallel=True, fastmath=False)
def draw_strangers(
    seed: int, users: I32, indptr: I64, friend: I32, share: float, out: I32, count: I64
) -> None:
    """Fill each row of `out` (b, width) with a user's friends and each other user with chance `share`.

    `indptr` (n + 1,) and `friend` are the friends of every user, ascending and without the user; `count`
    (b,) becomes how many there are. A row that is full takes no more. Gaps between the drawn are geometric.
    """
    n = len(indptr) - 1
    scale = 1.0 / np.log1p(-share)
    for row in prange(len(users)):
        i = users[row]
        begin, end = indptr[i], indptr[i + 1]
        filled = end - begin
        for at in range(filled):
            out[row, at] = friend[begin + at]
        state = stream(seed, i)
        place, at = begin, -1
        while filled < out.shape[1]:
            state += GOLDEN
            gap = gap_of(state, scale)
            if gap >= n:
                break
            at += 1 + int(gap)
            if at >= n:
                break
            while place < end and friend[place] < at:
                place += 1
            if at != i and not (place < end and friend[place] == at):
                out[row, filled] = at
                filled += 1
        count[row] = filled
