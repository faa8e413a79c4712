"""Stochastic gradient descent for a factorization machine over relation blocks, event by event."""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64


@kernel()
def fm_sgd_epoch(
    order: I64,
    rows: I32,
    indptr: I64,
    feature: I32,
    x: F32,
    target: F32,
    logistic: bool,
    rate: float,
    reg_w: float,
    reg_v: float,
    w0: F32,
    w: F32,
    v: F32,
) -> float:
    """Pass once over the events in `order`; return the sum of losses before each update.

    rows (blocks, n) names the rows of an event; `indptr`, `feature`, `x` hold the entries of all rows
    of all blocks, each with its own features. theta -= rate (dl/dy dy/dtheta + lambda theta), with
    dy/dv_if = x_i (q_f - v_if x_i) (Rendle 2012, Eq. 4 and Algorithm 1; lambda = 2 lambda of the
    paper). Squared loss (y - t)^2 / 2, or ln(1 + exp(-t y)) with t = +-1 where `logistic`.
    w0 (1,), w (features,), v (features, k).
    """
    k = v.shape[1]
    q = np.empty(k, np.float32)
    squares = np.empty(k, np.float32)
    total = 0.0
    keep_w, keep_v = np.float32(1.0 - rate * reg_w), np.float32(1.0 - rate * reg_v)
    for n in order:
        q[:] = 0.0
        squares[:] = 0.0
        y = w0[0]
        for b in range(len(rows)):
            row = rows[b, n]
            for at in range(indptr[row], indptr[row + 1]):
                i, value = feature[at], x[at]
                y += w[i] * value
                for f in range(k):
                    part = v[i, f] * value
                    q[f] += part
                    squares[f] += part * part
        for f in range(k):
            y += np.float32(0.5) * (q[f] * q[f] - squares[f])
        if logistic:
            margin = target[n] * y
            total += max(-margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))
            slope = -target[n] / (np.float32(1.0) + np.exp(margin))
        else:
            slope = y - target[n]
            total += 0.5 * slope * slope
        step = np.float32(rate) * slope
        w0[0] -= step
        for b in range(len(rows)):
            row = rows[b, n]
            for at in range(indptr[row], indptr[row + 1]):
                i, value = feature[at], x[at]
                w[i] = keep_w * w[i] - step * value
                for f in range(k):
                    old = v[i, f]
                    v[i, f] = keep_v * old - step * value * (q[f] - old * value)
    return total
