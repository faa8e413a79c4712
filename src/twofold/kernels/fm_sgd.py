"""Stochastic gradient descent for a factorization machine over relation blocks, event by event."""

from __future__ import annotations

import numpy as np

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64


@kernel()
def fm_sgd_epoch(
    rows: I32,
    target: F32,
    indptr: I64,
    feature: I32,
    x: F32,
    logistic: bool,
    rate: float,
    reg_w: float,
    reg_v: float,
    w0: F32,
    w: F32,
    v: F32,
) -> float:
    """Pass once over the events, in the order given; return the sum of losses before each update.

    rows (n, blocks) names the rows of an event; `indptr`, `feature`, `x` hold the entries of all rows
    of all blocks, each with its own features. theta -= rate (dl/dy dy/dtheta + lambda theta), with
    dy/dv_if = x_i (q_f - v_if x_i) (Rendle 2012, Eq. 4 and Algorithm 1; lambda = 2 lambda of the
    paper). Squared loss (y - t)^2 / 2, or ln(1 + exp(-t y)) with t = +-1 where `logistic`.
    target (n,), w0 (1,), w (features,), v (features, k).
    """
    k = v.shape[1]
    q = np.empty(k, np.float32)
    total = 0.0
    keep_w, keep_v = np.float32(1.0 - rate * reg_w), np.float32(1.0 - rate * reg_v)
    for n in range(len(rows)):
        q[:] = 0.0
        y = w0[0]
        own = np.float32(0.0)
        for row in rows[n]:
            for at in range(indptr[row], indptr[row + 1]):
                i, value = feature[at], x[at]
                y += w[i] * value
                own += value * value * dot(v[i], v[i])
                for f in range(k):
                    q[f] += v[i, f] * value
        y += np.float32(0.5) * (dot(q, q) - own)
        if logistic:
            margin = target[n] * y
            total += max(-margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))
            slope = -target[n] / (np.float32(1.0) + np.exp(margin))
        else:
            slope = y - target[n]
            total += 0.5 * slope * slope
        step = np.float32(rate) * slope
        w0[0] -= step
        for row in rows[n]:
            for at in range(indptr[row], indptr[row + 1]):
                i, value = feature[at], x[at]
                pull = step * value
                w[i] = keep_w * w[i] - pull
                keep = keep_v + pull * value
                for f in range(k):
                    v[i, f] = keep * v[i, f] - pull * q[f]
    return total
