"""The likelihood of a network in JNTM: each edge against non-edges that are drawn anew.

P(edge i -> j) = sigma(C_j . F_i); the terms of user i are those of all friends, and of each other user with a
small chance as somebody who is no friend (Yang et al. 2017).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels.gaussian_rows import GOLDEN, mix
from twofold.typing import F32, F64, I32, I64


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
        state = mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(i + 1) * GOLDEN)
        place, at = begin, -1
        while filled < out.shape[1]:
            state += GOLDEN
            uniform = (np.float64(mix(state) >> np.uint64(11)) + 1.0) * 2.0**-53  # in (0, 1]
            gap = np.log(uniform) * scale
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


@kernel(parallel=True)
def edge_gradients(
    users: I32,
    friends: I64,
    other: I32,
    count: I64,
    network: F32,
    context: F32,
    error: F32,
    x: F32,
    gradient: F32,
    loss: F64,
) -> None:
    """Fill errors and gradients of the negative log-likelihood of the edges of some users.

    Parameters
    ----------
    users, friends : (b,)
        User rows, and how many friends each has.
    other, count : (b, width), (b,)
        Friends and then strangers, and how many there are of both.
    network, context : (n, d)
        F and C.
    error : (b, width)
        Out: sigma(C_j . F_i) - [edge].
    x, gradient : (b, d)
        Out: F of the users, and its gradient.
    loss : (b,)
        Out: the negative log-likelihood of each user's terms.
    """
    d = network.shape[1]
    for row in prange(len(users)):
        i = users[row]
        total = 0.0
        for f in range(d):
            x[row, f] = network[i, f]
            gradient[row, f] = 0
        for at in range(count[row]):
            j = other[row, at]
            score = dot(network[i], context[j])
            if at < friends[row]:
                score = -score
            total += max(score, 0.0) + np.log1p(np.exp(-abs(score)))
            error[row, at] = 1 / (1 + np.exp(-score))  # the chance of being wrong
            if at < friends[row]:
                error[row, at] = -error[row, at]
            for f in range(d):
                gradient[row, f] += error[row, at] * context[j, f]
        loss[row] = total
