"""Probabilistic matrix factorization: the maximum of the posterior, by gradient descent with momentum.

Salakhutdinov & Mnih (2007), "Probabilistic Matrix Factorization", NIPS 20. Symbols follow the paper:
R_ij rating, U and V factors, sigma their noise, lambda_U = sigma^2 / sigma_U^2, g the logistic
function, t(x) = (x - 1) / (K - 1) the map of ratings onto 0 ... 1.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories, Interactions
from twofold.errors import NotConvergedError
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.gaussian_rows import conditional_rows
from twofold.kernels.mf_momentum import coast, deal, item_gradients, move, user_gradients
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.factorization._ratings import STEPS, clipped, unit_of
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, I32, Rng

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate` or raise `batches`"
NEWTON_STEPS = 8
"""Gauss-Newton steps of a fold-in under the logistic function."""


@hyperparameters
class PMF:
    """Ratings as products of normal factors with noise; the most probable factors.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"], "r": [5, 1, 4, 2, 1]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    >>> model = PMF(factors=2, bounded=True).fit(data, rng=0)
    >>> model.predict({"user": [1, 3], "item": ["a", "b"]})["score"].is_between(1, 5).all()
    True
    """

    factors: Annotated[PositiveInt, Search(5, 100, log=True)] = 10
    """Number of factors D."""
    bounded: bool = True
    """Whether a product passes through g, which keeps predictions inside the scale (section 2)."""
    epochs: Annotated[PositiveInt, Search(20, 200, log=True)] = 100
    """Passes over the ratings."""
    batches: Annotated[PositiveInt, Search(20, 1000, log=True)] = 100
    """Minibatches in a pass; the paper's 100,000 triples are a thousandth of its ratings."""
    learning_rate: Annotated[PositiveFloat, Search(0.001, 0.02, log=True)] = 0.005
    """Step on the summed gradient of a minibatch (section 5)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the last step that is repeated (section 5)."""
    user_reg: Annotated[NonNegativeFloat, Search(0.5, 20, log=True)] = 8.0
    """lambda_U of Eq. 4: noise variance over the prior variance of a user's factors."""
    item_reg: Annotated[NonNegativeFloat, Search(0.5, 20, log=True)] = 8.0
    """lambda_V of Eq. 4."""
    init_scale: PositiveFloat = 0.1
    """Standard deviation of the normal initial factors."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedPMF:
        """Learn the factors.

        Parameters
        ----------
        train
            The ratings; a pair that occurs twice counts twice.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the paper: the scale spans 4 units inside instead of 1, so that a penalty is 16 times as large for
        the same model where `bounded`, and 4 times where not, where the mean rating is subtracted too; every minibatch
        carries its share of the penalties, so that one pass adds up to Eq. 4; the minibatches are dealt once and come in
        a new order each pass. Constrained PMF and the adaptive prior are not offered.
        """
        del validation
        memory = Memory.of(train)
        unit = unit_of(memory.value_range)
        events = train.interactions
        mean = memory.value_range[0] if self.bounded else float(events.value.mean(dtype=np.float64))
        found = most_probable(self, events, mean, unit, generator(rng))
        if self.bounded:
            return FittedPMF(
                estimator=self, memory=memory, mean=mean, user_factors=found.u, item_factors=found.v
            )
        ones = np.ones((len(found.v), 1), np.float32)
        level = np.full((len(found.u), 1), mean, np.float32)
        return FittedPMF(
            estimator=self,
            memory=memory,
            mean=mean,
            user_factors=np.hstack([found.u * np.float32(unit), level]),
            item_factors=np.hstack([found.v, ones]),
        )


class Factors(NamedTuple):
    """What descent learns, in units of the scale."""

    u: F32  # (n_users, D)
    v: F32  # (n_items, D)


def most_probable(
    model: PMF, events: Interactions, mean: float, unit: float, rng: np.random.Generator
) -> Factors:
    """Minimise Eq. 4: sum (R - g(U_i . V_j))^2 / 2 + lambda_U |U|^2 / 2 + lambda_V |V|^2 / 2.

    R is (value - mean) / unit; g is the identity, or 4 times the logistic function.
    """
    n, d = len(events), model.factors
    count = min(model.batches, n)
    residual = ((events.value - mean) / unit).astype(np.float32)
    batch = np.empty(n, np.int32)
    batch[rng.permutation(n)] = np.arange(n) % count
    dealt = deal(events.user, events.item, residual, batch, count)
    u = rng.normal(0, model.init_scale, (events.n_users, d)).astype(np.float32)
    v = rng.normal(0, model.init_scale, (events.n_items, d)).astype(np.float32)
    speed_u, speed_v = np.zeros_like(u), np.zeros_like(v)
    slope, loss = np.empty(n, np.float32), np.zeros(len(dealt.by_user.row))
    rate, height = model.learning_rate, STEPS if model.bounded else 0.0
    for epoch in track(range(1, model.epochs + 1), "PMF"):
        for one in rng.permutation(count):
            # The prior's share of a minibatch, so that one pass adds up to Eq. 4.
            coast(speed_u, u, model.momentum, rate * model.user_reg / count)
            coast(speed_v, v, model.momentum, rate * model.item_reg / count)
            start, row, bounds = dealt.by_user
            user_gradients(
                start, row, int(bounds[one]), int(bounds[one + 1]), dealt.item, dealt.value,
                u, v, height, rate, speed_u, slope, loss,
            )  # fmt: skip
            start, row, bounds = dealt.by_item
            item_gradients(
                start, row, int(bounds[one]), int(bounds[one + 1]), dealt.place, dealt.user,
                u, slope, rate, speed_v,
            )  # fmt: skip
            move(u, speed_u)
            move(v, speed_v)
        rmse = unit * float((loss.sum() / n) ** 0.5)
        if not np.isfinite(rmse):
            raise NotConvergedError(f"PMF diverged in epoch {epoch}; {ADVICE}")
        log.debug("PMF epoch %d/%d training rmse %.4f", epoch, model.epochs, rmse)
    check_finite("user_factors", u, ADVICE)
    check_finite("item_factors", v, ADVICE)
    return Factors(u, v)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedPMF(FittedModel):
    """Users and items as vectors whose product is the rating, or its logit where ``bounded``.

    Unbounded, a user is (U_i, mean) and an item (V_j, 1), and ``predict`` cuts ratings to the range
    of the training ratings.
    """

    predicts_values: ClassVar[bool] = True

    mean: float
    """What was subtracted: the mean rating, or the lowest where ``bounded``."""
    user_factors: F32  # (n_users, D + 1), or (n_users, D) where bounded
    item_factors: F32  # (n_items, D + 1), or (n_items, D)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, D + 1), or (n_items, D) where bounded."""
        return self.item_factors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the factors alone of item vectors (j, d), shape (j, D)."""
        return np.ascontiguousarray(vectors[:, : self.estimator.factors])

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the most probable vectors of new users, items kept; shape (n, D + 1) or (n, D).

        The exact ridge solution; under the logistic function, Gauss-Newton steps from zero.
        """
        unit = unit_of(self.memory.value_range)
        target = ((histories.value - self.mean) / unit).astype(np.float32)
        v, reg = self.similarity_of(self.item_factors), self.estimator.user_reg
        if self.estimator.bounded:
            return newton(histories, v, target, reg)
        found = np.full((len(histories), v.shape[1] + 1), self.mean, np.float32)
        found[:, :-1] = ridge(histories, v, np.ones_like(target), target, reg) * unit
        return found

    def values(self, scores: F32) -> F32:
        """Turn scores into ratings on the caller's scale, inside the range of the training ratings."""
        low, high = self.memory.value_range
        if self.estimator.bounded:
            return (low + (high - low) * logistic(scores)).astype(np.float32)
        return clipped(scores, self.memory.value_range)

    @property
    def unknown_user(self) -> F32:
        """The mean of all users' vectors."""
        return self.user_factors.mean(axis=0)

    @property
    def unknown_item(self) -> F32:
        """The mean of all items' vectors."""
        return self.item_factors.mean(axis=0)


def logistic(x: F32) -> F32:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * x)


def ridge(histories: Histories, v: F32, weight: F32, pull: F32, reg: float) -> F32:
    """Return (reg I + sum_j weight_j v_j v_j^T)^-1 sum_j pull_j v_j of every history; shape (n, D)."""
    d = v.shape[1]
    out = np.zeros((len(histories), d), np.float32)
    base = max(reg, 1e-6) * np.eye(d)  # solvable without a prior, too
    conditional_rows(
        histories.indptr, histories.item, weight, pull, v, base, np.zeros(d), 0.0, 0, out
    )
    return out


def newton(histories: Histories, v: F32, target: F32, reg: float) -> F32:
    """Minimise sum_j (target_j - 4 g(u . v_j))^2 / 2 + reg |u|^2 / 2 for every history; shape (n, D).

    Each step solves the problem linearised about the last u; a row keeps the best u it met.
    """
    who = np.repeat(np.arange(len(histories)), histories.lengths)
    rows = v[histories.item]
    best = np.zeros((len(histories), v.shape[1]), np.float32)
    lowest = np.full(len(histories), np.inf)
    u = best.copy()
    for _ in range(NEWTON_STEPS + 1):
        product = np.einsum("nd,nd->n", u[who], rows)
        height = logistic(product)
        error = target - STEPS * height
        cost = np.bincount(who, error.astype(np.float64) ** 2, len(u)) + reg * (u * u).sum(axis=1)
        better = cost < lowest
        best[better], lowest[better] = u[better], cost[better]
        slope = STEPS * height * (1 - height)
        u = ridge(histories, v, slope**2, slope**2 * product + slope * error, reg)
    return best
