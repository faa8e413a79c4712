"""Recurrent cells along ragged histories: one row of states a person, one step an event.

m items, n people, H units. ``inputs`` holds W x + b of every item, ``recurrent`` U; the columns are those of the gates, H each.
A state is h, for the LSTM h and c side by side. An event of row -1 is passed over. Sums run in the order of the units, so that a
person's bits do not depend on the others, nor on whether the events came at once or one by one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64


@kernel()
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""
    return np.float32(1.0) / (np.float32(1.0) + math.exp(-x))


@kernel()
def add_product(h: F32, weight: F32, first: int, gates: F32) -> None:
    """``gates[c] += h @ weight[:, first + c]`` for h (H,), weight (H, G H), gates (c,); four units at a time, in order."""
    whole = len(h) // 4 * 4
    width = len(gates)
    for k in range(0, whole, 4):
        a, b, c, d = h[k], h[k + 1], h[k + 2], h[k + 3]
        for at in range(width):
            total = gates[at] + a * weight[k, first + at]
            total = total + b * weight[k + 1, first + at]
            total = total + c * weight[k + 2, first + at]
            gates[at] = total + d * weight[k + 3, first + at]
    for k in range(whole, len(h)):
        for at in range(width):
            gates[at] += h[k] * weight[k, first + at]


@kernel(parallel=True)
def run_rnn(inputs: F32, recurrent: F32, items: I32, indptr: I64, state: F32) -> None:
    """Set h = tanh(W x + U h + b) in place; inputs (m, H), recurrent (H, H), items (nnz,), indptr (n + 1,), state (n, H)."""
    for row in prange(len(state)):
        h = state[row]
        for event in range(indptr[row], indptr[row + 1]):
            item = items[event]
            if item < 0:
                continue
            gates = inputs[item].copy()
            add_product(h, recurrent, 0, gates)
            for k in range(len(h)):
                h[k] = math.tanh(gates[k])


@kernel(parallel=True)
def run_gru(inputs: F32, recurrent: F32, items: I32, indptr: I64, state: F32) -> None:
    """Gates z, r and the candidate, in place; inputs (m, 3 H), recurrent (H, 3 H), state (n, H).

    z = s(W_z x + U_z h + b_z), r = s(W_r x + U_r h + b_r), h' = tanh(W x + U (r * h) + b), h = (1 - z) h + z h'.
    """
    size = state.shape[1]
    for row in prange(len(state)):
        h = state[row]
        kept = np.empty(size, np.float32)
        for event in range(indptr[row], indptr[row + 1]):
            item = items[event]
            if item < 0:
                continue
            gates = inputs[item].copy()
            add_product(h, recurrent, 0, gates[: 2 * size])
            for k in range(size):
                kept[k] = sigmoid(gates[size + k]) * h[k]
            add_product(kept, recurrent, 2 * size, gates[2 * size :])
            for k in range(size):
                z = sigmoid(gates[k])
                h[k] = (np.float32(1.0) - z) * h[k] + z * math.tanh(gates[2 * size + k])


@kernel(parallel=True)
def run_lstm(inputs: F32, recurrent: F32, items: I32, indptr: I64, state: F32) -> None:
    """Gates i, f, o and the candidate, in place; inputs (m, 4 H), recurrent (H, 4 H), state (n, 2 H) of h and c.

    i, f, o = s(W x + U h + b), c' = tanh(W x + U h + b), c = f c + i c', h = o tanh(c).
    """
    size = state.shape[1] // 2
    for row in prange(len(state)):
        h, c = state[row, :size], state[row, size:]
        for event in range(indptr[row], indptr[row + 1]):
            item = items[event]
            if item < 0:
                continue
            gates = inputs[item].copy()
            add_product(h, recurrent, 0, gates)
            for k in range(size):
                fresh = sigmoid(gates[k]) * math.tanh(gates[3 * size + k])
                c[k] = sigmoid(gates[size + k]) * c[k] + fresh
                h[k] = sigmoid(gates[2 * size + k]) * math.tanh(c[k])
