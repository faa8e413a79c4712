"""Row by row Gaussian conditionals: the ridge solution, or a draw around it.

Every row of a factorization has, given the other side, a normal distribution

    precision  A_u = base + sum_i weight_ui v_i v_i^T + ridge * n_u * I
    mean       A_u^-1 (shift + sum_i pull_ui v_i)

Its mean is the regularised least-squares solution (fold-in); a draw is one step of Gibbs sampling
(Salakhutdinov & Mnih 2008, Eq. 11-13, where weight = alpha and pull = alpha * rating).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, positive_share_of, share_of, stream
from twofold.typing import F32, F64, I32, I64


@kernel(fastmath=False)
def fill_normal(seed: int, row: int, out: F64) -> None:
    """Fill `out` with standard normals of the stream (seed, row); the same for every thread count.

    A counter goes through splitmix64, pairs of uniforms through Box and Muller's transform.
    """
    state = stream(seed, row)
    for at in range(0, len(out), 2):
        state += GOLDEN
        first = positive_share_of(mix(state))
        state += GOLDEN
        angle = share_of(mix(state)) * (2.0 * np.pi)
        length = np.sqrt(-2.0 * np.log(first))
        out[at] = length * np.cos(angle)
        if at + 1 < len(out):
            out[at + 1] = length * np.sin(angle)


@kernel()
def cholesky(a: F64) -> None:
    """Replace the lower triangle of `a` (d, d) by its Cholesky factor."""
    d = len(a)
    for column in range(d):
        for row in range(column, d):
            total = a[row, column] - dot(a[row, :column], a[column, :column])
            if row == column:
                a[row, row] = np.sqrt(total)
            else:
                a[row, column] = total / a[column, column]


@kernel()
def solve_lower(a: F64, x: F64) -> None:
    """Overwrite `x` (d,) with L^-1 x, where L is the lower triangle of `a`."""
    for row in range(len(a)):
        x[row] = (x[row] - dot(a[row, :row], x[:row])) / a[row, row]


@kernel()
def solve_upper(a: F64, x: F64) -> None:
    """Overwrite `x` (d,) with L^-T x, where L is the lower triangle of `a`."""
    for row in range(len(a) - 1, -1, -1):
        x[row] /= a[row, row]
        for k in range(row):
            x[k] -= a[row, k] * x[row]


@kernel()
def add_outer(gram: F32, v: F32, weight: float) -> None:
    """Add weight * v v^T to the lower triangle of `gram` (d, d)."""
    for row in range(len(v)):
        scaled = np.float32(weight) * v[row]
        for column in range(row + 1):
            gram[row, column] += scaled * v[column]


@kernel(parallel=True)
def conditional_rows(
    indptr: I64,
    item: I32,
    weight: F32,
    pull: F32,
    v: F32,
    base: F64,
    shift: F64,
    ridge: float,
    seed: int,
    out: F32,
) -> None:
    """Fill `out` (n, d) with the mean of every row's normal, or with a draw where `seed` > 0.

    `indptr` (n + 1,), `item`, `weight`, `pull` (nnz,) are ragged rows over v (m, d); `base` (d, d)
    and `shift` (d,) the prior's precision and precision times mean. O(nnz d^2 + n d^3).
    """
    d = v.shape[1]
    for row in prange(len(out)):
        first, last = indptr[row], indptr[row + 1]
        gram = np.zeros((d, d), np.float32)
        x = shift.copy()
        for at in range(first, last):
            one = v[item[at]]
            add_outer(gram, one, weight[at])
            for f in range(d):
                x[f] += np.float64(pull[at]) * one[f]
        a = base + gram
        for f in range(d):
            a[f, f] += ridge * (last - first)
        cholesky(a)
        solve_lower(a, x)
        if seed > 0:
            noise = np.empty(d)
            fill_normal(seed, row, noise)
            x += noise
        solve_upper(a, x)
        for f in range(d):
            out[row, f] = x[f]
