"""Causal self-attention over one history at a time: the vector after its last event.

d is the size of a vector, T the events of a history (at most `length`), L the blocks. Sums run in a written order, so that a
person's bits do not depend on the others.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels.recurrent import add_product
from twofold.typing import F32, I32, I64

EPSILON = 1e-5
"""Added to the variance before its root, as torch does."""


@kernel()
def normalised(x: F32, gain: F32, shift: F32, out: F32) -> None:
    """``out = gain (x - mean) / sqrt(variance + EPSILON) + shift``; all (d,)."""
    mean = 0.0
    for k in range(len(x)):
        mean += x[k]
    mean /= len(x)
    variance = 0.0
    for k in range(len(x)):
        variance += (x[k] - mean) ** 2
    scale = 1.0 / math.sqrt(variance / len(x) + EPSILON)
    for k in range(len(x)):
        out[k] = np.float32((x[k] - mean) * scale) * gain[k] + shift[k]


@kernel()
def attended(query: F32, keys: F32, values: F32, heads: int, out: F32) -> None:
    """``out += softmax(keys query / sqrt(d / heads)) values``, a head at a time; query (d,), keys and values (T, d), out (d,)."""
    size = len(query) // heads
    score = np.empty(len(keys), np.float32)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        own = query[part].copy()
        for t in range(len(keys)):
            score[t] = dot(keys[t, part].copy(), own) / np.float32(math.sqrt(size))
        top, total = score.max(), np.float32(0.0)
        for t in range(len(keys)):
            score[t] = math.exp(score[t] - top)
            total += score[t]
        for t in range(len(keys)):
            share = score[t] / total
            for k in range(head * size, (head + 1) * size):
                out[k] += share * values[t, k]


@kernel(parallel=True)
def encode_histories(
    items: F32, places: F32, attention: F32, dense: F32, vectors: F32, last: F32, heads: int,
    event: I32, indptr: I64, out: F32,
) -> None:  # fmt: skip
    """Write the vector after each history; the newest event stands at the last of `places`.

    An event is its item times sqrt(d) plus its place. items (m, d), places (length, d), attention (L, d, 3 d) of queries, keys and values, dense (L, 2, d, d), vectors (L, 6, d): gain and
    shift before the attention, gain and shift before the layers, and the biases of both; last (2, d) gain and shift at the end.
    event (nnz,), of which the last `length` of ``event[indptr[row]:indptr[row + 1]]`` are read; -1 is passed over.
    out (n, d), 0 for an empty history.
    """
    size, length = items.shape[1], len(places)
    scale = np.float32(math.sqrt(size))
    for row in prange(len(out)):
        own = np.empty(length, np.int64)
        n = 0
        for at in range(indptr[row + 1] - 1, indptr[row] - 1, -1):
            if event[at] >= 0 and n < length:
                own[n] = event[at]
                n += 1
        if n == 0:
            out[row] = 0
            continue
        x = np.empty((n, size), np.float32)
        for t in range(n):
            x[t] = items[own[n - 1 - t]] * scale + places[length - n + t]
        a, inner = np.empty(size, np.float32), np.empty(size, np.float32)
        keys, values = np.empty((n, size), np.float32), np.empty((n, size), np.float32)
        queries = np.empty((n, size), np.float32)
        for block in range(len(attention)):
            first = n - 1 if block == len(attention) - 1 else 0  # whose answers are read later
            for t in range(n):
                normalised(x[t], vectors[block, 0], vectors[block, 1], a)
                keys[t], values[t], queries[t] = 0, 0, 0
                if t >= first:
                    add_product(a, attention[block], 0, queries[t])
                add_product(a, attention[block], size, keys[t])
                add_product(a, attention[block], 2 * size, values[t])
            for t in range(first, n):
                attended(queries[t], keys[: t + 1], values[: t + 1], heads, x[t])
                normalised(x[t], vectors[block, 2], vectors[block, 3], a)
                inner[:] = vectors[block, 4]
                add_product(a, dense[block, 0], 0, inner)
                for k in range(size):
                    inner[k] = max(inner[k], np.float32(0.0))
                a[:] = vectors[block, 5]
                add_product(inner, dense[block, 1], 0, a)
                for k in range(size):
                    x[t, k] += a[k]
        normalised(x[n - 1], last[0], last[1], out[row])
