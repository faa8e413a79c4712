"""Factors of implicit feedback whose items have a prior mean: the exact updates of CTR and CDL.

With c_ij = a for the pairs in the log and b for the others, theta_j the prior mean of item j, and the
sums over all users i and the items j of the matrix,

    L = lambda_u/2 sum |u_i|^2 + lambda_v/2 sum |v_j - theta_j|^2 + 1/2 sum c_ij (r_ij - u_i . v_j)^2.

An item outside the matrix is at its prior mean: v_j = theta_j.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from scipy.sparse import csr_array

from twofold.errors import ConfigError, NotConvergedError
from twofold.kernels import als
from twofold.kernels.products import one_thread, product
from twofold.typing import F32, F64, I32, I64

BLOCK = 1 << 14
"""Pairs whose scores are summed at a time."""


class Weights(NamedTuple):
    """The constants of L."""

    seen: float  # a
    unseen: float  # b
    user_reg: float  # lambda_u
    item_reg: float  # lambda_v


def check_weights(owner: object, seen: float, unseen: float) -> None:
    """Refuse b > a: the updates are exact for pairs of the log that weigh at least what others do.

    Raises
    ------
    ConfigError
        Naming the model.
    """
    if unseen > seen:
        name = type(owner).__name__
        raise ConfigError(
            f"{name}.unseen_weight got {unseen:g}; allowed: at most seen_weight, which is {seen:g}"
        )


class Side(NamedTuple):
    """The events of one side's rows."""

    indptr: I64  # (n + 1,)
    other: I32  # (nnz,)
    order: I64  # (n,) rows, those with most events first

    @classmethod
    def of(cls, pairs: csr_array) -> Side:
        """Read the rows of a matrix of observed pairs."""
        order = np.argsort(-np.diff(pairs.indptr), kind="stable")
        return cls(pairs.indptr.astype(np.int64), pairs.indices.astype(np.int32), order)


def solve_users(side: Side, v: F32, inside: F32, weights: Weights) -> F32:
    """Return u_i = (V C_i V' + lambda_u I)^-1 V C_i R_i of every user; shape (n_users, d).

    `v` is (n_items, d); `inside` is (n_items,), 1 for the items of the matrix and 0 for others, which count where a user has
    them.
    """
    if len(v) < v.shape[1]:  # u_i is a sum of the v_j
        span = span_of(v)
        return turned_back(solve_users(side, v @ span, inside, weights), span, v.shape[1])
    spectrum, rotation = axes(v * inside[:, None])
    turned = product(padded(v), rotation)
    a, b = weights.seen, weights.unseen
    outside = 1 - inside[side.other]  # (nnz,): b v v' of these is not in the spectrum
    u = solve(
        side,
        turned,
        (b * spectrum).astype(np.float32),
        weights.user_reg,
        outside if outside.any() else np.zeros(0, np.float32),
        np.array([a - b, b * outside.any(), a, 0], np.float32),
        len(side.indptr) - 1,
    )
    return turned_back(u, rotation, v.shape[1])


def solve_items(side: Side, u: F32, theta: F32, inside: F32, weights: Weights) -> F32:
    """Return v_j = (U C_j U' + lambda_v I)^-1 (U C_j R_j + lambda_v theta_j); shape (n_items, d).

    The prior mean enters as one more event of the item, with the factors theta_j, no weight in the
    quadratic term, and the pull lambda_v.
    """
    if len(u) < u.shape[1]:  # v_j - theta_j is a sum of the u_i
        span = span_of(u)
        within: F32 = theta @ span
        moved: F32 = solve_items(side, u @ span, within, inside, weights) - within
        return theta + turned_back(moved, span, u.shape[1])
    n_users, n_items = len(u), len(theta)
    spectrum, rotation = axes(u)
    turned = product(np.concatenate([padded(u), padded(theta)]), rotation)
    a, b, pull = weights.seen, weights.unseen, weights.item_reg
    ends = side.indptr[1:]
    other = np.insert(side.other, ends, n_users + np.arange(n_items, dtype=np.int32))
    value = np.insert(np.ones(len(side.other), np.float32), ends, np.float32(0))
    order = side.order[inside[side.order] > 0]
    wider = Side(side.indptr + np.arange(n_items + 1), other.astype(np.int32), order)
    v = solve(
        wider,
        turned,
        (b * spectrum).astype(np.float32),
        pull,
        value,
        np.array([0, a - b, pull, a - pull], np.float32),
        n_items,
    )
    v = turned_back(v, rotation, u.shape[1])
    outside = inside == 0
    v[outside] = theta[outside]
    return np.ascontiguousarray(v)


def solve(
    side: Side, fixed: F32, base: F32, ridge: float, values: F32, weights: F32, n: int
) -> F32:
    """Solve the n rows exactly; see `als.solve_rows`."""
    d = fixed.shape[1]
    out = np.zeros((n, d), np.float32)
    als.solve_rows(
        side.order, side.indptr, side.other, values, weights, np.ascontiguousarray(fixed), base,
        np.zeros(d, np.float32), np.full(n, ridge, np.float32), out, als.EXACT, 0,
        np.zeros(1, np.int64), numba.get_num_threads(),
    )  # fmt: skip
    return out


@one_thread()
def span_of(x: F32) -> F32:
    """Return an orthonormal basis (d, n) of the rows x (n, d), n < d: what is solved in it costs n^3 in place of d^3.

    Raises
    ------
    NotConvergedError
        If factors left the finite numbers.
    """
    check(x)
    return np.ascontiguousarray(
        np.linalg.svd(x.astype(np.float64), full_matrices=False)[2].T, np.float32
    )


def turned_back(x: F32, rotation: F32, d: int) -> F32:
    """Return the first `d` columns of ``x @ rotation.T``, row by row: none depends on the others."""
    back = np.ascontiguousarray(rotation.T[:, :d])
    out = np.empty((len(x), d), np.float32)
    for row, one in enumerate(x):
        out[row] = one @ back
    return out


def padded(x: F32) -> F32:
    """Return x (n, d) with columns of zeros up to the width that the kernels take."""
    width = -(-x.shape[1] // als.PADDING) * als.PADDING
    return np.pad(x, ((0, 0), (0, width - x.shape[1])))


@one_thread()
def axes(x: F32) -> tuple[F64, F32]:
    """Return the eigenvalues (padded d,) and eigenvectors of x'x.

    Raises
    ------
    NotConvergedError
        If factors left the finite numbers.
    """
    wide = padded(x)
    squares = (wide.T @ wide).astype(np.float64)
    check(squares)
    values, vectors = np.linalg.eigh(squares)
    return np.maximum(values, 0), vectors.astype(np.float32)


def check(x: F32 | F64) -> None:
    """Refuse what is not finite.

    Raises
    ------
    NotConvergedError
        If anything is not.
    """
    if not np.isfinite(x).all():
        raise NotConvergedError(
            "the factors left the finite numbers; bring user_reg and item_reg nearer to their defaults"
        )


def objective(
    pairs: csr_array, u: F32, v: F32, theta: F32 | F64, inside: F32, weights: Weights
) -> float:
    """Return L in float64; `pairs` (n_users, n_items) holds the pairs in the log."""
    x, y = u.astype(np.float64), v.astype(np.float64)
    kept = y[inside > 0]
    user = np.repeat(np.arange(len(u)), np.diff(pairs.indptr))
    seen, known = 0.0, 0.0
    for first in range(0, len(user), BLOCK):
        some = slice(first, first + BLOCK)
        score = np.einsum("nd,nd->n", x[user[some]], y[pairs.indices[some]])
        seen, known = seen + np.sum((1 - score) ** 2), known + np.sum(score**2)
    squares = np.sum((x.T @ x) * (kept.T @ kept))
    fit = weights.seen * seen + weights.unseen * (squares - known)
    away = np.sum((y - theta) ** 2)
    return float(0.5 * (fit + weights.user_reg * np.sum(x * x) + weights.item_reg * away))
