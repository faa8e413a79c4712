"""The learners that a factorization machine may be given, the run of one, and what its samples say of a row."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.errors import NotConvergedError
from twofold.hyperparameters import hyperparameters
from twofold.models.factorization import _fm_learners as learners
from twofold.progress import track
from twofold.typing import F32, F64

if TYPE_CHECKING:
    from twofold.models.factorization.fm import FM

log = logging.getLogger(__name__)


@hyperparameters
class MCMC:
    """Gibbs sampling: no learning rate, no penalties; predictions average the kept samples."""

    method: Literal["mcmc"] = "mcmc"
    """The tag in files."""
    burn_in: NonNegativeInt = 40
    """Sweeps that are thrown away."""
    samples: PositiveInt = 80
    """Sweeps that are kept; a vector holds samples * (factors + 2) numbers."""
    thin: PositiveInt = 2
    """Sweeps from one kept sample to the next."""


@hyperparameters
class ALS:
    """Alternating least squares: coordinate descent, each parameter solved exactly."""

    method: Literal["als"] = "als"
    """The tag in files."""
    epochs: PositiveInt = 30
    """Passes over the parameters."""
    reg_w: NonNegativeFloat = 1.0
    """Penalty on the weights, against the summed squared error."""
    reg_v: PositiveFloat = 20.0
    """Penalty on the factors, against the summed squared error."""


@hyperparameters
class SGD:
    """Stochastic gradient descent, event by event."""

    method: Literal["sgd"] = "sgd"
    """The tag in files."""
    epochs: PositiveInt = 50
    """Passes over the events."""
    learning_rate: PositiveFloat = 0.01
    """Step eta."""
    reg_w: NonNegativeFloat = 0.02
    """Penalty on the weights, counted once for every event."""
    reg_v: NonNegativeFloat = 0.12
    """Penalty on the factors, counted once for every event."""


def run(
    model: FM, problem: learners.Problem, y: F64, classes: int, rng: np.random.Generator
) -> list[learners.Sample]:
    """Return the samples that predictions average, one for ALS and SGD; `y` (n,) are the encoded values."""
    match model.learner:
        case MCMC(burn_in=burn_in, samples=samples, thin=thin):
            steps, first = burn_in + samples * thin, burn_in + thin - 1
            chain = learners.gibbs(problem, y, model.factors, model.init_scale, classes, rng)
        case ALS(epochs=steps, reg_w=reg_w, reg_v=reg_v):
            first, thin = steps - 1, 1
            chain = learners.alternate(
                problem, y, model.factors, model.init_scale, (reg_w, reg_v), classes, rng
            )
        case SGD(epochs=steps, learning_rate=rate, reg_w=reg_w, reg_v=reg_v):
            first, thin = steps - 1, 1
            chain = learners.descend(
                problem, y, model.factors, model.init_scale, rate, (reg_w, reg_v), classes, rng
            )
    kept: list[learners.Sample] = []
    for step, sample in enumerate(track(islice(chain, steps), "FM", total=steps)):
        if not (np.isfinite(sample.v).all() and np.isfinite(sample.w).all()):
            raise NotConvergedError(
                f"FM left the finite numbers in pass {step + 1}; "
                "lower `learning_rate` or raise `reg_w` and `reg_v`"
            )
        log.debug("FM pass %d/%d", step + 1, steps)
        if step >= first and (step - first) % thin == 0:
            kept.append(sample)
    return kept


def parts(x: csr_array, w: F64 | F32, v: F64 | F32) -> tuple[F32, F32]:
    """Return sum v_i x_i, shape (n, k), and the weights and interactions of x alone, shape (n,).

    x (n, features), w (features,), v (k, features).
    """
    p = np.asarray(x @ v.T, np.float64)
    squares = np.asarray(x.multiply(x) @ (v.T.astype(np.float64) ** 2), np.float64)
    own = np.asarray(x @ w, np.float64) + ((p * p - squares) / 2).sum(axis=1)
    return p.astype(np.float32), own.astype(np.float32)


def item_vectors(rows: csr_array, sample: learners.Sample, side: slice) -> F32:
    """Return (q, s', 1) of every item under one sample, shape (n_items, k + 2)."""
    q, own = parts(rows, sample.w[side], sample.v[:, side])
    return np.hstack([q, own[:, None], np.ones((len(q), 1), np.float32)])
