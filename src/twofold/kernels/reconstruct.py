"""The wide last layer of an autoencoder on sparse input, and Adam's step: in place, in one pass each."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64


@kernel(parallel=True)
def reconstruction_slopes(
    z: F32, bias: F32, indptr: I64, words: I32, values: F32, scale: float, losses: F64
) -> None:
    """Turn z (B, S) into scale (s - x) s (1 - s), s = sigmoid(z + bias) and x the sparse target rows.

    Fill `losses` (B,) with |s - x|^2.
    """
    size = z.shape[1]
    for row in prange(len(z)):
        line = z[row]
        one = bias.dtype.type(1.0)
        factor = bias.dtype.type(scale)
        for k in range(size):
            line[k] = one / (one + np.exp(-(line[k] + bias[k])))
        loss = np.float64(dot(line, line))
        for at in range(indptr[row], indptr[row + 1]):
            x = values[at]
            loss += np.float64(x * x - (x + x) * line[words[at]])
        losses[row] = loss
        start, stop = indptr[row], indptr[row + 1]
        # The slope of a word with a target is kept aside while all others are made.
        kept = np.empty(stop - start, line.dtype)
        for at in range(start, stop):
            s = line[words[at]]
            kept[at - start] = factor * (s - values[at]) * s * (one - s)
        for k in range(size):
            s = line[k]
            line[k] = factor * s * s * (one - s)
        for at in range(start, stop):
            line[words[at]] = kept[at - start]


@kernel(parallel=True)
def adam_step(
    x: F32, slope: F32, mean: F32, square: F32, rate: float, decay: float, step: int
) -> None:
    """Take Adam's step (Kingma & Ba 2015, Algorithm 1) on x (n, d) along slope + decay x, in place."""
    one = x.dtype.type(1.0)
    first, second = x.dtype.type(0.9), x.dtype.type(0.999)
    length = x.dtype.type(rate * np.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step))
    tiny = x.dtype.type(1e-8 * np.sqrt(1.0 - 0.999**step))
    pull = x.dtype.type(decay)
    for row in prange(len(x)):
        for k in range(x.shape[1]):
            g = slope[row, k] + pull * x[row, k]
            m = first * mean[row, k] + (one - first) * g
            v = second * square[row, k] + (one - second) * g * g
            mean[row, k] = m
            square[row, k] = v
            x[row, k] -= length * m / (np.sqrt(v) + tiny)
