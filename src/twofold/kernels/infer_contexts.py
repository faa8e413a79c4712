"""Embeddings of people who were not in training, from their events, all else kept."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._context_arrays import Outputs
from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._random import stream
from twofold.kernels.context_cbow import TINY, choose_outputs
from twofold.typing import F32, I32, I64


@kernel(parallel=True)
def infer_users(
    indptr: I64,
    item: I32,
    base: F32,
    share: F32,
    outputs: Outputs,
    table: F32,
    width: int,
    epochs: int,
    first_rate: float,
    last_rate: float,
    reg: float,
    out: F32,
) -> None:
    """Fill `out` (n, d) with contexts of n people that explain their events, all else kept.

    Event t of a person, ``indptr[p] <= t < indptr[p + 1]``, has h = base[t] + share[t] out[p]; base (nnz, d),
    share (nnz,). The rows begin at zero and climb by AdaGrad. The random numbers depend on the item and
    the pass only, so that people with equal histories get equal rows. `width` is the most outputs of a target.
    """
    d = table.shape[1]
    for person in prange(len(out)):
        rows, labels = np.empty(width, np.int32), np.empty(width, np.float32)
        h, pull = np.empty(d, np.float32), np.empty(d, np.float32)
        mine = out[person]
        mine[:] = 0.0
        squares = np.float32(0.0)
        for epoch in range(epochs):
            rate = first_rate + (last_rate - first_rate) * epoch / epochs
            for at in range(indptr[person], indptr[person + 1]):
                for f in range(d):
                    h[f] = base[at, f] + share[at] * mine[f]
                    pull[f] = -np.float32(reg) * mine[f]
                state = stream(item[at], epoch)
                count = choose_outputs(item[at], state, outputs, rows, labels)
                for one in range(count):
                    row = table[rows[one]]
                    slope = labels[one] - np.float32(1.0) / (np.float32(1.0) + np.exp(-dot(row, h)))
                    for f in range(d):
                        pull[f] += share[at] * slope * row[f]
                squares += dot(pull, pull) / np.float32(d)
                pace = np.float32(rate) / np.sqrt(squares + TINY)
                for f in range(d):
                    mine[f] += pace * pull[f]
