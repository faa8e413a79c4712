"""The likelihood of a network in JNTM: each edge against non-edges that are drawn anew.

P(edge i -> j) = sigma(C_j . F_i); the terms of user i are those of all friends, and of each other user with a
small chance as somebody who is no friend (Yang et al. 2017).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64


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
