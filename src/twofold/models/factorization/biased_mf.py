"""Matrix factorization of ratings by stochastic gradient descent, with and without biases.

Koren, Bell & Volinsky (2009), "Matrix Factorization Techniques for Recommender Systems", IEEE
Computer. Symbols follow the paper: mu mean rating, b_u and b_i biases, p_u and q_i factors,
lambda = `reg`, gamma = `learning_rate`, e_ui = r_ui minus its prediction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories, Interactions
from twofold.errors import NotConvergedError
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.gaussian_rows import conditional_rows
from twofold.kernels.mf_sgd import cut, sgd_epoch
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.factorization._ratings import clipped, unit_of
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, I32, Rng

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate` or raise `reg`"


@hyperparameters
class BiasedMF:
    """Predict a rating as mu + b_u + b_i + q_i . p_u, learned by SGD; or as q_i . p_u alone.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"], "r": [5, 1, 4, 2, 1]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    >>> model = BiasedMF(factors=2).fit(data, rng=0)
    >>> model.recommend(users=[3], k=2)["item"].to_list()
    ['a', 'b']
    """

    factors: Annotated[PositiveInt, Search(8, 256, log=True)] = 64
    """Number of factors d."""
    biases: bool = True
    """Whether to model mu + b_u + b_i beside the factors (section "Adding biases"); false is Eq. 2."""
    epochs: Annotated[PositiveInt, Search(10, 100, log=True)] = 50
    """Passes over the ratings."""
    learning_rate: Annotated[PositiveFloat, Search(0.002, 0.05, log=True)] = 0.01
    """Step gamma of the first epoch."""
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the step from one epoch to the next; 1 keeps gamma constant as in the paper."""
    reg: Annotated[PositiveFloat, Search(0.01, 0.3, log=True)] = 0.1
    """Penalty lambda on factors and biases, counted once for every rating."""
    init_scale: PositiveFloat = 0.1
    """Standard deviation of the normal initial factors."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedBiasedMF:
        """Learn factors and biases.

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
        Differs from the paper: the ratings come block by block instead of in one random order (see
        `twofold.kernels.mf_sgd`), the blocks in a new order each epoch; they are divided by a quarter of their range
        inside; without biases the initial factors are moved so that their products lie about the mean rating, from where
        descent starts as well as with mu. Of the later sections, confidence levels are in `IALS`, temporal dynamics and
        implicit feedback in `FM`.
        """
        del validation
        memory = Memory.of(train)
        unit = unit_of(memory.value_range)
        mean = float(train.interactions.value.mean(dtype=np.float64)) if self.biases else 0.0
        found = descend(self, train.interactions, mean, unit, generator(rng))
        users, items = unit * found.p, found.q
        if self.biases:
            ones = np.ones((1, 1), np.float32)
            level = (mean + unit * found.user_bias)[:, None]
            users = np.hstack([users, ones.repeat(len(users), 0), level])
            items = np.hstack([items, unit * found.item_bias[:, None], ones.repeat(len(items), 0)])
        users, items = users.astype(np.float32), items.astype(np.float32)
        check_finite("user_factors", users, ADVICE)
        check_finite("item_factors", items, ADVICE)
        return FittedBiasedMF(
            estimator=self, memory=memory, mean=mean, user_factors=users, item_factors=items
        )


class Parameters(NamedTuple):
    """What SGD learns, in units of the scale."""

    p: F32  # (n_users, d)
    q: F32  # (n_items, d)
    user_bias: F32  # (n_users,)
    item_bias: F32  # (n_items,)


def descend(
    model: BiasedMF, events: Interactions, mean: float, unit: float, rng: np.random.Generator
) -> Parameters:
    """Minimise sum (r - b_u - b_i - q_i . p_u)^2 + lambda (|p_u|^2 + |q_i|^2 + b_u^2 + b_i^2).

    r is (value - mean) / unit. Without biases the initial factors are moved so that their products
    lie about the mean rating, from where descent starts as well as with mu.
    """
    residual = ((events.value - mean) / unit).astype(np.float32)
    blocks = cut(events.indptr, events.item, residual, events.n_items)
    d = model.factors
    centre = 0.0 if model.biases else float(residual.mean(dtype=np.float64))
    offset = (abs(centre) / d) ** 0.5
    p = rng.normal(offset, model.init_scale, (events.n_users, d)).astype(np.float32)
    q = rng.normal(np.copysign(offset, centre), model.init_scale, (events.n_items, d))
    q = q.astype(np.float32)
    user_bias, item_bias = np.zeros(len(p), np.float32), np.zeros(len(q), np.float32)
    groups = min(len(p), len(q), int(len(blocks.start) ** 0.5))
    loss = np.zeros(groups)
    rate = model.learning_rate
    for epoch in track(range(1, model.epochs + 1), "BiasedMF"):
        shifts = rng.permutation(groups)
        sgd_epoch(
            blocks.start,
            blocks.user,
            blocks.item,
            blocks.value,
            shifts,
            p,
            q,
            user_bias,
            item_bias,
            rate,
            model.reg,
            model.biases,
            loss,
        )
        rmse = unit * float((loss.sum() / len(residual)) ** 0.5)
        if not np.isfinite(rmse):
            raise NotConvergedError(f"BiasedMF diverged in epoch {epoch}; {ADVICE}")
        log.debug("BiasedMF epoch %d/%d training rmse %.4f", epoch, model.epochs, rmse)
        rate *= model.decay
    return Parameters(
        in_rows(p, blocks.user_order),
        in_rows(q, blocks.item_order),
        in_rows(user_bias, blocks.user_order),
        in_rows(item_bias, blocks.item_order),
    )


def in_rows(placed: F32, order: I32) -> F32:
    """Return what stands at each place under the row numbers that `order` lists."""
    out = np.empty_like(placed)
    out[order] = placed
    return out


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBiasedMF(FittedModel):
    """Users and items as vectors whose product is the rating.

    With biases a user is (p_u, 1, mu + b_u) and an item (q_i, b_i, 1). ``predict`` cuts ratings to
    the range of the training ratings; ``recommend`` ranks by the uncut ones.
    """

    predicts_values: ClassVar[bool] = True

    mean: float
    user_factors: F32  # (n_users, d + 2), or (n_users, d) without biases
    item_factors: F32  # (n_items, d + 2), or (n_items, d)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, d + 2) with biases, else (n_items, d)."""
        return self.item_factors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the factors q_i alone of item vectors, shape (j, d)."""
        return np.ascontiguousarray(vectors[:, : self.estimator.factors])

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the minimum of the training objective over one new user, items kept; shape (n, d + 2).

        A ridge regression of the ratings left over by mu and b_i on (q_i, 1), with the penalty
        lambda times the number of ratings.
        """
        unit = unit_of(self.memory.value_range)
        q = self.similarity_of(self.item_factors)
        d = q.shape[1]
        left_over = (histories.value - self.mean) / unit
        if self.estimator.biases:
            left_over = left_over - self.item_factors[histories.item, d] / unit
            q = np.hstack([q, np.ones((len(q), 1), np.float32)])
        solved = ridge_rows(histories, q, left_over.astype(np.float32), self.estimator.reg)
        if not self.estimator.biases:
            return solved * np.float32(unit)
        out = np.ones((len(solved), d + 2), np.float32)
        out[:, :d] = solved[:, :d] * unit
        out[:, d + 1] = self.mean + solved[:, d] * unit
        return out

    def values(self, scores: F32) -> F32:
        """Cut scores to the range of the training ratings."""
        return clipped(scores, self.memory.value_range)

    @property
    def unknown_user(self) -> F32:
        """Somebody without biases and factors; the average user where there are no biases."""
        return unknown(self.user_factors, self.estimator, (1.0, self.mean))

    @property
    def unknown_item(self) -> F32:
        """An item without bias and factors; the average item where there are no biases."""
        return unknown(self.item_factors, self.estimator, (0.0, 1.0))


def unknown(vectors: F32, model: BiasedMF, tail: tuple[float, float]) -> F32:
    """Return zero factors followed by `tail`; without biases, the average of `vectors`."""
    if not model.biases:
        return vectors.mean(axis=0)
    return np.array([0.0] * model.factors + [*tail], np.float32)


def ridge_rows(histories: Histories, v: F32, target: F32, reg: float) -> F32:
    """Return argmin_x sum_i ((target_i - x . v_i)^2 + reg |x|^2) for every history; shape (n, d).

    Zero where a history is empty.
    """
    d = v.shape[1]
    out = np.zeros((len(histories), d), np.float32)
    weight = np.ones(len(target), np.float32)
    nothing = 1e-6 * np.eye(d)  # keeps an empty row solvable
    conditional_rows(
        histories.indptr, histories.item, weight, target, v, nothing, np.zeros(d), reg, 0, out
    )
    return out
