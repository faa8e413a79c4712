"""Where a factorization machine places who or what has no id of training: people by features, history, or both; items by features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.features.design import implicit, side_by_side, width_of
from twofold.kernels.gaussian_rows import conditional_rows
from twofold.models.factorization import _probit as probit
from twofold.models.factorization._fm_data import beside_zeros
from twofold.models.factorization._fm_run import parts
from twofold.typing import F32, F64, I32

if TYPE_CHECKING:
    from twofold.models.factorization.fm import FittedFM

LATENT_STEPS = 10
"""Rounds of least squares by which somebody new is placed where values are classes."""
LEAST_PRECISION = 1e-6
"""Keeps a penalty of 0 solvable."""
RIDGE = 3.0
"""Penalty of what a column says of vectors, in people, or in items."""
BLOCK = 4096
"""People whose vectors are held at a time."""
MOST_STEPS, TOLERANCE = 200, 1e-6
"""Conjugate-gradient steps at most, and the share of the first residual at which they end."""


def rows_of(model: FittedFM, features: csr_array, histories: Histories) -> csr_array:
    """Return what training reads of a person, (n, features of users), without an id; `features` (n, width of the columns)."""
    n, n_users = len(histories), len(model.users)
    blocks = [csr_array((n, n_users), dtype=np.float32), features]
    if model.estimator.user_history:
        blocks.append(implicit(histories, len(model.item_factors)))
    return side_by_side(blocks)


def columns_of(model: FittedFM, users: I32) -> csr_array:
    """Return what training knew of the columns of users (n,), no entries for row -1; shape (n, width of the columns)."""
    first = len(model.users)
    history = len(model.item_factors) if model.estimator.user_history else 0
    known = np.flatnonzero(users >= 0)
    told = csr_array(model.user_rows[users[known]])[:, first : width_of(model.user_rows) - history]
    place = csr_array(
        (np.ones(len(known), np.float32), (known, np.arange(len(known)))),
        shape=(len(users), len(known)),
    )
    return csr_array(place @ told)


def told(model: FittedFM, queries: Queries) -> csr_array:
    """Return the columns of people (n, width of the columns) as questions tell them; what is not told as training knew it.

    Raises
    ------
    ConfigError
        If a column is of another kind than in training.
    """
    known, start = columns_of(model, queries.user), 0
    blocks = [csr_array((len(queries), 0), dtype=np.float32)]
    for one in model.layout.people or ():
        given = queries.features.get(one.name)
        own = known[:, start : start + one.width]
        blocks.append(own if given is None else one.encode(given))
        start += one.width
    return side_by_side(blocks)


def means_by_column(model: FittedFM) -> F32:
    """Return B (width of the columns + 1, d) of the ridge regression of the users' vectors on their columns and a 1.

    A machine that reads histories explains tastes by them where it can, and leaves little to the columns. What a column
    says of somebody without a history is therefore asked of the vectors that people with such columns have.
    """
    every = np.arange(len(model.users), dtype=np.int32)
    return regression(columns_of(model, every), model.lookup)


def means_by_item_column(model: FittedFM, rows: csr_array) -> F32:
    """Return the same of the vectors of those items that have an event; `rows` (n_items, features of items)."""
    met = np.flatnonzero(model.memory.popularity > 0)
    width = sum(one.width for one in model.layout.things or ())
    first = len(model.items)
    columns = csr_array(csr_array(rows[met])[:, first : first + width])
    return regression(columns, lambda some: model.item_factors[met[some]])


def regression(columns: csr_array, vectors: Callable[[I32], F32]) -> F32:
    """Return B (width + 1, d) of the ridge regression of vectors (n, d) on columns (n, width) and a 1, which has no penalty."""
    n = len(columns.indptr) - 1
    x = side_by_side([columns, csr_array(np.ones((n, 1), np.float32))])
    every = np.arange(n, dtype=np.int32)
    goal = np.zeros((width_of(x), vectors(every[:1]).shape[1]))
    for some in np.array_split(every, -(-n // BLOCK)):
        goal += x[some].T @ vectors(some).astype(np.float64)
    penalty = np.full((len(goal), 1), RIDGE)
    penalty[-1] = 0
    return least_squares(x, goal, penalty).astype(np.float32)


def least_squares(x: csr_array, goal: F64, penalty: F64) -> F64:
    """Return B with (X'X + diag(penalty)) B = goal, by conjugate gradients; x (n, f), goal (f, d), penalty (f, 1).

    All columns of the goal go side by side, and no sum hangs on the number of threads, as BLAS's in a library's solver do.
    """
    wide = csr_array(x, dtype=np.float64)
    turned = csr_array(wide.T)
    scale = np.asarray(wide.multiply(wide).sum(axis=0))[:, None] + penalty
    found, rest = np.zeros_like(goal), goal.copy()
    along = rest / scale
    size = np.einsum("fd,fd->d", rest, along)
    enough = TOLERANCE**2 * size
    for _ in range(MOST_STEPS):
        if np.all(size <= enough):
            break
        image = turned @ (wide @ along) + penalty * along
        step = ratio(size, np.einsum("fd,fd->d", along, image))
        found, rest = found + step * along, rest - step * image
        after = np.einsum("fd,fd->d", rest, rest / scale)
        along, size = rest / scale + ratio(after, size) * along, after
    return found


def ratio(one: F64, other: F64) -> F64:
    """Return one / other, 0 where other is not above 0."""
    return np.where(other > 0, one / np.where(other > 0, other, 1), 0)


def expected(by_column: F32, features: csr_array) -> F32:
    """Return the expected vectors of people, or of items, by their columns (n, width); shape (n, d)."""
    return np.asarray(features @ by_column[:-1] + by_column[-1], np.float32)


def placed(model: FittedFM, x: csr_array, histories: Histories) -> F64:
    """Return the vectors of people under every sample: the posterior mean of their own weight and factors; (n, S, k + 2).

    Their rows of features `x` (n, features of users) count as learned. The values of their histories give, item by
    item, a ridge regression towards the prior of ids (iterated with expected latent values for the probit tasks);
    without a history that prior holds.
    """
    n, k = len(histories), model.loadings.shape[1]
    indptr, item, value = histories.indptr, histories.item, histories.value
    if not model.targets.has_value:
        joined = beside_zeros(histories, len(model.item_factors), model.estimator.negatives)
        indptr, item, value = joined.indptr, joined.item, joined.value
    y = model.targets.encode(value)
    who = np.repeat(np.arange(n), np.diff(indptr))
    side = model.layout.user_side
    items = model.by_sample(model.item_factors)
    event = np.arange(len(item), dtype=np.int32)
    out = np.empty((n, len(model.intercept), k + 2))
    # SGD counts its penalties once for every event, the others once in all.
    share = 1.0 / np.diff(indptr)[who] if model.is_sgd else np.ones(len(who))
    for s, alpha in enumerate(model.alpha):
        p, own = parts(x, model.weights[s, side], model.loadings[s][:, side])
        z = np.ones((len(item), k + 1), np.float32)
        z[:, :k] = items[item, s, :k] + p[who]
        fixed = model.intercept[s] + own[who] + items[item, s, k]
        fixed = fixed + np.einsum("nk,nk->n", p[who], items[item, s, :k])
        precision = np.append(model.loading_prior[s, 1, :, 0], model.weight_prior[s, 1, 0])
        mean = np.append(model.loading_prior[s, 0, :, 0], model.weight_prior[s, 0, 0])
        found = np.tile(mean.astype(np.float32), (n, 1))
        precision = np.maximum(precision.astype(np.float64), LEAST_PRECISION)
        for _ in range(LATENT_STEPS if model.targets.classes else 1):
            now = fixed + np.einsum("nk,nk->n", z, found[who])
            weight, goal = working(model, y, now.astype(np.float64), s)
            weight *= alpha * share
            conditional_rows(
                indptr, event, weight.astype(np.float32),
                (weight * (goal - fixed)).astype(np.float32), z,
                np.diag(precision), precision * mean.astype(np.float64), 0.0, 0, found,
            )  # fmt: skip
        out[:, s, :k] = p + found[:, :k]
        out[:, s, k] = 1
        across = np.einsum("nk,nk->n", p, found[:, :k])
        out[:, s, k + 1] = model.intercept[s] + own + found[:, k] + across
    return out


def working(model: FittedFM, y: F64, now: F64, s: int) -> tuple[F64, F64]:
    """Return weights and targets (n,) of the least squares that stand for the loss at `now` (n,).

    Squares themselves; for probit the expected latent normals; for the logistic loss of SGD the
    quadratic that lies above it (Boehning & Lindsay 1988).
    """
    if not model.targets.classes:
        return np.ones(len(y)), y
    if model.is_sgd:
        return np.full(len(y), 0.25), now + 4 * (y - expit(now))
    return np.ones(len(y)), probit.expected_latent(y, model.cuts[s], now)
