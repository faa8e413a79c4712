"""Stochastic gradient descent for a factorization machine over relation blocks, event by event."""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel
from twofold.kernels._lanes import add_row, shift_row, square_less
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

    rows (blocks, n) names the rows of an event; `indptr`, `feature`, `x` hold the entries of all rows
    of all blocks, each with its own features. theta -= rate (dl/dy dy/dtheta + lambda theta), with
    dy/dv_if = x_i (q_f - v_if x_i) (Rendle 2012, Eq. 4 and Algorithm 1). Squared loss (y - t)^2 / 2, half the
    paper's, so that `rate` is twice its eta and lambda its lambda; or ln(1 + exp(-t y)) with t = +-1 where
    `logistic`, where lambda is twice the paper's.
    target (n,), w0 (1,), w (features,), v (features, k).
    """
    k = v.shape[1]
    blocks = len(rows)
    q, squares = np.empty(k, np.float32), np.empty(k, np.float32)
    total = 0.0
    keep_w, keep_v = np.float32(1.0 - rate * reg_w), np.float32(1.0 - rate * reg_v)
    for n in range(len(target)):
        q[:] = 0.0
        squares[:] = 0.0
        y = np.float32(0.0)
        for block in range(blocks):
            row = np.uint64(rows[block, n])
            for at in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                i, value = np.uint64(feature[at]), x[at]
                y += w[i] * value
                add_row(v, i, value, q, squares)
        y += np.float32(0.5) * square_less(q, squares) + w0[0]
        if logistic:
            margin = target[n] * y
            total += max(-margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))
            slope = -target[n] / (np.float32(1.0) + np.exp(margin))
        else:
            slope = y - target[n]
            total += 0.5 * slope * slope
        step = np.float32(rate) * slope
        w0[0] -= step
        for block in range(blocks):
            row = np.uint64(rows[block, n])
            for at in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                i, value = np.uint64(feature[at]), x[at]
                pull = step * value
                w[i] = keep_w * w[i] - pull
                shift_row(v, i, keep_v + pull * value, pull, q)
    return total
