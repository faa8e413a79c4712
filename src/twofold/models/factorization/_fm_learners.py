"""How a factorization machine learns: Gibbs sampling, alternating least squares, or SGD.

All three read a `Problem`: events as rows of relation blocks (`twofold.kernels.fm_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array

from twofold.features.design import width_of
from twofold.kernels.fm_blocks import gather_sums, scatter, sweep_factor, sweep_linear
from twofold.kernels.fm_sgd import fm_sgd_epoch
from twofold.kernels.gather import gather
from twofold.models.factorization import _probit as probit
from twofold.typing import F32, F64, I32, I64

SHAPE = 1.0
"""alpha_0 = beta_0 = alpha_lambda = beta_lambda = gamma_0: the weak priors of libFM."""

FIRST_SPREAD = 1.5
"""Variance of factors under their first prior, in variances of the initial ones."""


class Block(NamedTuple):
    """One relation: its rows of features, and the row of every event."""

    x: csr_array  # (r, features of the block)
    row: I32  # (n,)


class Relation(NamedTuple):
    """A block by columns, with the events of each of its rows."""

    columns: csc_array
    colptr: I64  # (features of the block + 1,) where each column begins
    row: I32  # (entries,)
    x: F64  # (entries,)
    order: I64  # (n,) events, row by row
    indptr: I64  # (r + 1,)
    features: slice  # among all features
    rows: slice  # among all rows
    others: I32  # (n, blocks - 1) rows of the other blocks, in the order of this one


class Problem(NamedTuple):
    """What the learners read; features are numbered block after block, and so are rows."""

    relations: tuple[Relation, ...]
    rows: I32  # (blocks, n)
    group: I32  # (features,) to which prior a feature belongs
    n_groups: int

    @classmethod
    def of(cls, blocks: Sequence[Block], group: I32, n_groups: int) -> Problem:
        """Arrange blocks for passes by column and by row."""
        relations: list[Relation] = []
        rows = np.empty((len(blocks), len(blocks[0].row)), np.int32)
        first_row = first_feature = 0
        for at, (x, row) in enumerate(blocks):
            n_rows, width = len(x.indptr) - 1, width_of(x)
            columns = csc_array(x.astype(np.float64))
            counts = np.bincount(row, minlength=n_rows)
            relations.append(
                Relation(
                    columns,
                    columns.indptr.astype(np.int64),
                    columns.indices.astype(np.int32),
                    columns.data.astype(np.float64),
                    np.argsort(row, kind="stable").astype(np.int64),
                    np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                    slice(first_feature, first_feature + width),
                    slice(first_row, first_row + n_rows),
                    np.zeros((0, 0), np.int32),
                )
            )
            rows[at] = row + first_row
            first_row, first_feature = first_row + n_rows, first_feature + width
        for at, relation in enumerate(relations):
            others = np.delete(rows, at, axis=0).T[relation.order]
            relations[at] = relation._replace(others=np.ascontiguousarray(others))
        return cls(tuple(relations), rows, group, n_groups)


class Sample(NamedTuple):
    """Parameters of a factorization machine, and the priors they were drawn under."""

    intercept: float
    w: F64  # (features,)
    v: F64  # (k, features)
    alpha: float  # precision of an observation
    w_prior: F64  # (2, groups) mean and precision
    v_prior: F64  # (2, k, groups)
    cuts: F64  # (classes - 1,), empty for regression


def pass_over(
    problem: Problem,
    e: F64,
    w: F64,
    v: F64,
    alpha: float,
    w_prior: F64,
    v_prior: F64,
    noise: Callable[[int], F64],
) -> None:
    """Draw all linear weights, then all factors, in place; `e` (n,) is kept up to date.

    w (features,), v (k, features), priors as in `Sample`; `noise` gives that many numbers.
    """
    n_rows = problem.relations[-1].rows.stop
    q, rest = np.zeros(n_rows), np.empty_like(e)
    for factor in range(-1, len(v)):
        if factor >= 0:
            for relation in problem.relations:
                q[relation.rows] = relation.columns @ v[factor, relation.features]
        prior = w_prior if factor < 0 else v_prior[:, factor]
        for relation in problem.relations:
            features = relation.features
            count = features.stop - features.start
            sums = np.empty((len(relation.indptr) - 1, 4))
            shift = np.zeros((len(sums), 2))
            mean, precision = prior[:, problem.group[features]]
            gather_sums(relation.order, relation.indptr, relation.others, q, e, rest, sums)
            entries = relation.colptr, relation.row, relation.x
            drawn = noise(count)
            if factor < 0:
                sweep_linear(
                    *entries, relation.indptr, sums, alpha, mean, precision, drawn,
                    w[features], shift,
                )  # fmt: skip
            else:
                sweep_factor(
                    *entries, relation.indptr, sums, q[relation.rows], alpha, mean, precision, drawn,
                    v[factor, features], shift,
                )  # fmt: skip
            scatter(relation.order, relation.indptr, rest, shift, e)


def draw_priors(values: F64, prior: F64, problem: Problem, rng: np.random.Generator) -> F64:
    """Draw (mu, lambda) of every group given its parameters (Rendle 2012, section 4.3.2).

    values (features,), prior (2, groups) the last draw; lambda first, then mu.
    """
    count = np.bincount(problem.group, minlength=problem.n_groups)
    total = np.bincount(problem.group, values, minlength=problem.n_groups)
    apart = (values - prior[0, problem.group]) ** 2
    square = np.bincount(problem.group, apart, minlength=problem.n_groups)
    rate = (SHAPE + square + SHAPE * prior[0] ** 2) / 2
    precision = rng.gamma((SHAPE + count + 1) / 2) / rate
    mean = total / (count + SHAPE)
    mean = mean + rng.standard_normal(len(mean)) / np.sqrt((count + SHAPE) * precision)
    return np.stack([mean, precision])


def gibbs(
    problem: Problem,
    target: F64,
    k: int,
    init_scale: float,
    classes: int,
    rng: np.random.Generator,
) -> Iterator[Sample]:
    """Yield samples of the posterior without end (Rendle 2012, Algorithm 3).

    A sweep ends with the priors, where Algorithm 3 begins with them: those drawn from the initial
    weights, all 0, would hold the weights there for ten sweeps, in which features that tell nothing
    take their place. The first sweep has unit precision on weights, and on factors what is expected
    when they are spread by `FIRST_SPREAD`.

    `target` (n,) are values, or with `classes` > 0 class numbers 0 ... classes - 1: then latent
    normals are drawn beside the parameters (Albert & Chib 1993), and for more than two classes cut
    points with the latent normals integrated out (Cowles 1996).
    """
    n_features, n = len(problem.group), len(target)
    w, v = np.zeros(n_features), rng.normal(0, init_scale, (k, n_features))
    w_prior = np.stack([np.zeros(problem.n_groups), np.ones(problem.n_groups)])
    count = np.bincount(problem.group, minlength=problem.n_groups)
    first = (SHAPE + count + 1) / (SHAPE + FIRST_SPREAD * init_scale**2 * count)
    v_prior = np.repeat(np.stack([w_prior[0], first])[:, None], k, axis=1)
    ordered = classes > 2
    intercept, alpha = 0.0 if classes else float(target.mean()), 1.0
    cuts = probit.first_cuts(target, classes) if classes else np.zeros(0)
    walk = np.full(len(cuts), probit.FIRST_WALK)
    z = target
    e = z - predict(problem, intercept, w, v)
    while True:
        if classes:
            fitted = z - e
            if ordered:
                cuts, walk = probit.draw_cuts(cuts, walk, target, fitted, rng)
            z = probit.draw_latent(target, cuts, fitted, rng)
            e = z - fitted
        else:
            alpha = float(rng.gamma((SHAPE + n) / 2) / ((SHAPE + e @ e) / 2))
        if not ordered:
            new = float(e.mean() + intercept + rng.standard_normal() / np.sqrt(alpha * n))
            e -= new - intercept
            intercept = new
        pass_over(problem, e, w, v, alpha, w_prior, v_prior, rng.standard_normal)
        yield Sample(intercept, w.copy(), v.copy(), alpha, w_prior, v_prior.copy(), cuts)
        w_prior = draw_priors(w, w_prior, problem, rng)
        for factor in range(k):
            v_prior[:, factor] = draw_priors(v[factor], v_prior[:, factor], problem, rng)


def alternate(
    problem: Problem,
    target: F64,
    k: int,
    init_scale: float,
    regs: tuple[float, float],
    classes: int,
    rng: np.random.Generator,
) -> Iterator[Sample]:
    """Yield the parameters after every pass of coordinate descent (Rendle 2012, section 4.2).

    Minimises sum e_n^2 + lambda_w |w|^2 + lambda_v |v|^2 with `regs` = (lambda_w, lambda_v); with two
    `classes` the latent normals take their expectations (the EM form of probit).
    """
    w, v = np.zeros(len(problem.group)), rng.normal(0, init_scale, (k, len(problem.group)))
    w_prior = np.stack([np.zeros(problem.n_groups), np.full(problem.n_groups, regs[0])])
    v_prior = np.stack([np.zeros((k, problem.n_groups)), np.full((k, problem.n_groups), regs[1])])
    cuts = probit.first_cuts(target, classes) if classes else np.zeros(0)
    intercept, z = 0.0, target
    e = z - predict(problem, intercept, w, v)
    while True:
        if classes:
            fitted = z - e
            z = probit.expected_latent(target, cuts, fitted)
            e = z - fitted
        step = float(e.mean())
        intercept, e = intercept + step, e - step
        pass_over(problem, e, w, v, 1.0, w_prior, v_prior, np.zeros)
        yield Sample(intercept, w.copy(), v.copy(), 1.0, w_prior, v_prior, cuts)


def descend(
    problem: Problem,
    target: F64,
    k: int,
    init_scale: float,
    learning_rate: float,
    regs: tuple[float, float],
    classes: int,
    rng: np.random.Generator,
) -> Iterator[Sample]:
    """Yield the parameters after every epoch of SGD (Rendle 2012, Algorithm 1), events in new order.

    With two `classes` the loss is logistic, as in libFM.
    """
    n_features = len(problem.group)
    indptr, feature, x = stacked_rows(problem)
    w0, w = np.zeros(1, np.float32), np.zeros(n_features, np.float32)
    v = rng.normal(0, init_scale, (n_features, k)).astype(np.float32)
    y = (2 * target - 1 if classes else target).astype(np.float32)
    if not classes:
        w0[0] = y.mean(dtype=np.float64)
    ones = np.ones((2, problem.n_groups))
    w_prior = np.stack([0 * ones[0], regs[0] * ones[0]])
    v_prior = np.stack([np.zeros((k, problem.n_groups)), np.full((k, problem.n_groups), regs[1])])
    cuts = np.zeros(1 if classes else 0)
    while True:
        order = rng.permutation(len(y))
        rows = np.stack([gather(one, order) for one in problem.rows])
        fm_sgd_epoch(
            rows, gather(y, order), indptr, feature, x, classes > 0, learning_rate, *regs, w0, w, v
        )
        yield Sample(
            float(w0[0]), w.astype(np.float64), v.T.astype(np.float64), 1.0, w_prior, v_prior, cuts
        )


def stacked_rows(problem: Problem) -> tuple[I64, I32, F32]:
    """Return the rows of all blocks one under the other, with features numbered through."""
    indptr, feature, x = [np.zeros(1, np.int64)], list[np.ndarray](), list[np.ndarray]()
    for relation in problem.relations:
        rows = csr_array(relation.columns)
        indptr.append(rows.indptr[1:].astype(np.int64) + indptr[-1][-1])
        feature.append(rows.indices + relation.features.start)
        x.append(rows.data)
    return (
        np.concatenate(indptr),
        np.concatenate(feature).astype(np.int32),
        np.concatenate(x).astype(np.float32),
    )


def predict(problem: Problem, intercept: float, w: F64, v: F64) -> F64:
    """Return y(x) of every event, in O(k) a feature (Rendle 2012, Eq. 1 and Lemma 3.1); shape (n,)."""
    n = problem.rows.shape[1]
    y = np.full(n, intercept)
    for block, relation in enumerate(problem.relations):
        y += (relation.columns @ w[relation.features])[problem.rows[block] - relation.rows.start]
    for factor in v:
        q, squares = np.zeros(n), np.zeros(n)
        for block, relation in enumerate(problem.relations):
            columns, row = relation.columns, problem.rows[block] - relation.rows.start
            part = factor[relation.features]
            q += (columns @ part)[row]
            squares += (columns.multiply(columns) @ part**2)[row]
        y += (q * q - squares) / 2
    return y
