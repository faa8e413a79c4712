"""Adagrad on the rows of a table that a batch has touched."""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64


@kernel()
def gathered(ids: I64, gradient: F32, place: I32, rows: I64, total: F32) -> int:
    """Add up the gradients of equal ids and return how many ids differ.

    ids (k,) in any order, gradient (k, d); ``rows`` (k,) gets the ids in the order in which they come first, ``total`` (k, d) their
    sums. `place` (n,) is -1 everywhere before and after.
    """
    n = 0
    for at in range(len(ids)):
        own = place[ids[at]]
        if own < 0:
            place[ids[at]] = n
            rows[n] = ids[at]
            total[n] = gradient[at]
            n += 1
        else:
            for k in range(gradient.shape[1]):
                total[own, k] += gradient[at, k]
    for at in range(n):
        place[rows[at]] = -1
    return n


@kernel()
def step_rows(
    rows: I64, total: F32, weight: F32, squares: F32, velocity: F32, rate: float, momentum: float
) -> None:
    """``squares += g^2; v = momentum v - rate g / sqrt(squares); weight += v`` for each row of `rows`.

    rows (k,) differ, total (k, d) is g, weight and squares are (n, d); velocity is (n, d), or empty without momentum.
    """
    tiny, fall, kept = np.float32(1e-10), np.float32(rate), np.float32(momentum)
    for at in range(len(rows)):
        own, g, w = squares[rows[at]], total[at], weight[rows[at]]
        for k in range(len(w)):
            own[k] += g[k] * g[k]
        if momentum > 0:
            v = velocity[rows[at]]
            for k in range(len(w)):
                v[k] = kept * v[k] - fall * g[k] / (np.sqrt(own[k]) + tiny)
                w[k] += v[k]
        else:
            for k in range(len(w)):
                w[k] -= fall * g[k] / (np.sqrt(own[k]) + tiny)
