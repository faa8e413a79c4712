"""Walks on a graph: weighted sums over all walks between two nodes, and random walks.

A graph is a ragged array of neighbours, in both directions: `indptr` (n + 1,), `neighbours` (nnz,),
ascending within each node.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, stream
from twofold.typing import F64, I32, I64


@kernel()
def walk_on(indptr: I64, neighbours: I32, weight: F64, now: F64, after: F64) -> None:
    """Fill `after` (n,) with now W: every node passes what it holds, times its weight, to each neighbour."""
    after[:] = 0.0
    for i in range(len(now)):
        if now[i] != 0.0:
            mass = now[i] * weight[i]
            for at in range(indptr[i], indptr[i + 1]):
                after[neighbours[at]] += mass


@kernel(parallel=True)
def walk_sums(
    indptr: I64,
    neighbours: I32,
    weight: F64,
    coefficient: F64,
    sources: I32,
    starts: I64,
    targets: I32,
    out: F64,
) -> None:
    """Fill `out` (p,) with sum_t coefficient[t] (W^(t+1))_ab, where W_ij = weight_i if i and j are linked.

    Source a = ``sources[s]`` (s,) is asked for the targets b in ``starts[s] ... starts[s + 1]`` of `targets` (p,).
    weight (n,), coefficient (steps,). With weight 1 the powers count walks; with 1 / degree they are the
    chances of a random walk. Each source costs steps times the links that its walks reach.
    """
    n, steps = len(indptr) - 1, len(coefficient)
    for s in prange(len(sources)):
        held = np.zeros((2, n))
        total = np.zeros(n)
        held[0, sources[s]] = 1.0
        for t in range(steps):
            after = held[(t + 1) % 2]
            walk_on(indptr, neighbours, weight, held[t % 2], after)
            if coefficient[t] != 0.0:
                for i in range(n):
                    total[i] += coefficient[t] * after[i]
        for at in range(starts[s], starts[s + 1]):
            out[at] = total[targets[at]]


@kernel(parallel=True, fastmath=False)
def random_walks(indptr: I64, neighbours: I32, starts: I32, seed: int, out: I32) -> None:
    """Fill each row of `out` (w, length) with a walk from ``starts[row]`` that takes every neighbour equally often.

    The steps of a row come from the stream (seed, row) alone. A walk without a way on is filled up with -1.
    """
    length = out.shape[1]
    for row in prange(len(out)):
        state = stream(seed, row)
        node = np.int64(starts[row])
        out[row, 0] = node
        for step in range(1, length):
            first = indptr[node]
            degree = indptr[node + 1] - first
            if degree == 0:
                for left in range(step, length):
                    out[row, left] = -1
                break
            word = mix(state + np.uint64(step) * GOLDEN)
            node = np.int64(
                neighbours[
                    first + np.int64(((word >> np.uint64(32)) * np.uint64(degree)) >> np.uint64(32))
                ]
            )
            out[row, step] = node
