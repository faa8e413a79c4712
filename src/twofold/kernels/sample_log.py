"""Draw an interaction log from a mixture of tastes, one random stream a user."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, share_of, stream
from twofold.typing import F32, F64, I32, I64

PATIENCE = 50
"""Draws for one event before the next free item is taken instead."""
PAUSE = 8.0
"""Mean seconds between two events of a session, in units of the shortest step."""


@kernel(fastmath=False)
def uniform(begin: np.uint64, place: int) -> float:
    """Return number `place` of the stream that begins at `begin`, in [0, 1)."""
    word = mix(begin + (np.uint64(place) + np.uint64(1)) * GOLDEN)
    return share_of(word)


@kernel(parallel=True, fastmath=False)
def fill_alias_tables(weights: F64, chance: F32, alias: I32) -> None:
    """Build the alias table of each row of `weights` (k, m), which sums to 1 (Vose 1991).

    Draw a column c uniformly; keep it with ``chance[row, c]``, else take ``alias[row, c]``.
    """
    k, m = weights.shape
    for row in prange(k):
        share = weights[row] * m
        order = np.empty(m, np.int32)  # small ones from the left, large ones from the right
        small, large = 0, m
        for column in range(m):
            alias[row, column] = column
            chance[row, column] = 1.0
            if share[column] < 1.0:
                order[small] = column
                small += 1
            else:
                large -= 1
                order[large] = column
        while small > 0 and large < m:
            small -= 1
            little, big = order[small], order[large]
            chance[row, little] = share[little]
            alias[row, little] = big
            share[big] -= 1.0 - share[little]
            if share[big] < 1.0:
                large += 1
                order[small] = big
                small += 1


@kernel(parallel=True, fastmath=False)
def draw_items(
    seed: int, indptr: I64, mixture: F32, chance: F32, alias: I32, groups: int, item: I32
) -> None:
    """Fill `item` (n,) with distinct items for every user, drawn taste by taste.

    `mixture` (n_users, k) holds cumulative shares of the tastes, the last one 1; a user takes fewer
    items than there are. `groups` bounds the memory: one marker array (m,) each.
    """
    n_users, k = mixture.shape
    m = chance.shape[1]
    for group in prange(groups):
        taken = np.full(m, -1, np.int32)
        for user in range(group, n_users, groups):
            begin = stream(seed, user)
            drawn = 0
            for at in range(indptr[user], indptr[user + 1]):
                found = -1
                for _ in range(PATIENCE):
                    first, second = uniform(begin, drawn), uniform(begin, drawn + 1)
                    drawn += 2
                    taste = 0
                    while taste < k - 1 and mixture[user, taste] <= first:
                        taste += 1
                    column = min(int(second * m), m - 1)
                    if second * m - column >= chance[taste, column]:
                        column = alias[taste, column]
                    found = column
                    if taken[found] != user:
                        break
                while taken[found] == user:
                    found = (found + 1) % m
                taken[found] = user
                item[at] = found


@kernel(parallel=True, fastmath=False)
def draw_values_and_times(
    seed: int,
    indptr: I64,
    item: I32,
    mixture: F32,
    liking: F32,
    user_bias: F32,
    item_bias: F32,
    noise: float,
    first_time: int,
    span: int,
    pace: float,
    value: F32,
    time: I64,
) -> None:
    """Fill ratings in half steps of 0.5 ... 5 and ascending times for every user's events.

    rating = user_bias + item_bias + sum of the user's tastes times `liking` (k, m) + noise;
    `mixture` is cumulative as in `draw_items`. Times start in ``span`` seconds after `first_time`
    and go on in sessions: most pauses are short, one in twelve is `pace` seconds on average.
    """
    n_users, k = mixture.shape
    for user in prange(n_users):
        begin = stream(seed, user)
        now = first_time + span * uniform(begin, 0)
        drawn = 1
        for at in range(indptr[user], indptr[user + 1]):
            i = item[at]
            score = user_bias[user] + item_bias[i]
            before = np.float32(0.0)
            for taste in range(k):
                score += (mixture[user, taste] - before) * liking[taste, i]
                before = mixture[user, taste]
            noisy = -6.0  # twelve uniforms less six have variance 1
            for _ in range(12):
                noisy += uniform(begin, drawn)
                drawn += 1
            value[at] = min(max(np.rint(2.0 * (score + noise * noisy)) / 2.0, 0.5), 5.0)
            pause = -np.log(1.0 - uniform(begin, drawn))
            long = uniform(begin, drawn + 1) * 12.0 < 1.0
            drawn += 2
            time[at] = np.int64(now)
            now += 1.0 + pause * (pace if long else PAUSE)
