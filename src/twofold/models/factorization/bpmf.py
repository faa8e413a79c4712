"""Bayesian probabilistic matrix factorization: the average over the posterior, by Gibbs sampling.

Salakhutdinov & Mnih (2008), "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte
Carlo", ICML. Symbols follow the paper: R_ij rating, alpha its precision; rows of U ~ N(mu_U,
Lambda_U^-1), (mu_U, Lambda_U) ~ N(mu_0, (beta_0 Lambda_U)^-1) Wishart(W_0, nu_0); the same for V.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.gaussian_rows import conditional_rows
from twofold.kernels.products import one_thread
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.factorization._ratings import clipped, unit_of
from twofold.models.factorization.pmf import PMF, most_probable
from twofold.progress import track
from twofold.random import generator, kernel_seed
from twofold.rank import BLOCK_BYTES
from twofold.typing import F32, F64, I32, Rng

log = logging.getLogger(__name__)
ADVICE = "lower `alpha`, or look for huge values among the ratings"
START_EPOCHS = 20
"""Passes of PMF that give the starting point of the chain."""


@hyperparameters
class BPMF:
    """Average the predictions of many sampled factorizations, and know how far they spread.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"], "r": [5, 1, 4, 2, 1]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    >>> model = BPMF(factors=2, burn_in=5, samples=10).fit(data, rng=0)
    >>> model.predict_std({"user": [1, 3], "item": ["a", "b"]}).columns
    ['user', 'item', 'score', 'std', 'source']
    """

    factors: Annotated[PositiveInt, Search(5, 100, log=True)] = 30
    """Number of factors D."""
    burn_in: NonNegativeInt = 50
    """Sweeps that are thrown away."""
    samples: PositiveInt = 50
    """Sweeps that are kept; a vector holds samples * factors numbers."""
    thin: PositiveInt = 2
    """Sweeps from one kept sample to the next."""
    alpha: Annotated[PositiveFloat, Search(0.5, 5, log=True)] = 2.0
    """Precision alpha of a rating, for a scale that spans 4 (section 3.1)."""
    beta: PositiveFloat = 2.0
    """beta_0: how many rows the prior mean counts for."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedBPMF:
        """Sample.

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
            If a sample leaves the finite numbers.

        Notes
        -----
        Differs from the paper: `thin` sweeps lie between kept samples; the chain starts from 20 passes of PMF instead of
        a converged one; the mean rating is subtracted and the scale spans 4 units inside, whatever the ratings are.
        """
        del validation
        random = generator(rng)
        memory = Memory.of(train)
        unit, events = unit_of(memory.value_range), train.interactions
        mean = float(events.value.mean(dtype=np.float64))
        start = PMF(factors=self.factors, bounded=False, epochs=START_EPOCHS)
        u, v = most_probable(start, events, mean, unit, random)
        residual = ((events.value - mean) / unit).astype(np.float32)
        by_user = Side(events.indptr, events.item, residual)
        order = events.by_item
        indptr = np.concatenate([[0], np.cumsum(events.item_counts)]).astype(np.int64)
        by_item = Side(indptr, events.user[order], residual[order])
        kept: list[tuple[F32, F32, Prior, Prior]] = []
        for sweep in track(range(1, self.burn_in + self.samples * self.thin + 1), "BPMF"):
            prior_u, prior_v = (sample_prior(side, self.beta, random) for side in (u, v))
            u = sample_rows(by_user, v, prior_u, self.alpha, kernel_seed(random))
            v = sample_rows(by_item, u, prior_v, self.alpha, kernel_seed(random))
            check_finite("user_factors", u, ADVICE)
            check_finite("item_factors", v, ADVICE)
            if sweep > self.burn_in and (sweep - self.burn_in) % self.thin == 0:
                kept.append((u, v, prior_u, prior_v))
            log.debug("BPMF sweep %d", sweep)
        users, items, priors_u, priors_v = zip(*kept, strict=True)
        return FittedBPMF(
            estimator=self,
            memory=memory,
            user_factors=side_by_side(users, unit / self.samples, mean),
            item_factors=side_by_side(items, 1.0, 1.0),
            user_mean=np.array([one.mean for one in priors_u], np.float32),
            user_precision=np.array([one.precision for one in priors_u], np.float32),
            item_mean=np.array([one.mean for one in priors_v], np.float32),
            item_precision=np.array([one.precision for one in priors_v], np.float32),
        )


class Side(NamedTuple):
    """The ratings of every user (or item) as ragged rows."""

    indptr: Any  # (n + 1,) int64
    other: I32  # (nnz,) rows of the other side
    rating: F32  # (nnz,)


class Prior(NamedTuple):
    """Hyperparameters (mu, Lambda) of one side."""

    mean: F64  # (D,)
    precision: F64  # (D, D)


@one_thread()
def sample_prior(rows: F32, beta: float, rng: np.random.Generator) -> Prior:
    """Draw (mu, Lambda) given the rows (N, D) of one side, Eq. 14; mu_0 = 0, nu_0 = D, W_0 = I."""
    x = rows.astype(np.float64)
    n, d = x.shape
    average = x.mean(axis=0)
    apart = x - average
    inverse = np.eye(d) + apart.T @ apart + (beta * n / (beta + n)) * np.outer(average, average)
    precision = sample_wishart(np.linalg.inv(inverse), d + n, rng)
    factor = np.linalg.cholesky((beta + n) * precision)
    mean = n / (beta + n) * average + np.linalg.solve(factor.T, rng.standard_normal(d))
    return Prior(mean, precision)


def sample_wishart(scale: F64, freedom: float, rng: np.random.Generator) -> F64:
    """Draw from the Wishart distribution with mean freedom * scale, by Bartlett's decomposition.

    `scale` (D, D) is positive definite, `freedom` >= D.
    """
    d = len(scale)
    triangle = np.tril(rng.standard_normal((d, d)), -1)
    np.fill_diagonal(triangle, np.sqrt(rng.chisquare(freedom - np.arange(d))))
    root = np.linalg.cholesky((scale + scale.T) / 2) @ triangle
    return root @ root.T


def sample_rows(side: Side, other: F32, prior: Prior, alpha: float, seed: int) -> F32:
    """Draw every row of one side given the other (m, D), Eq. 11; shape (n, D). Seed 0: the mean."""
    out = np.empty((len(side.indptr) - 1, other.shape[1]), np.float32)
    weight = np.full(len(side.rating), alpha, np.float32)
    conditional_rows(
        side.indptr,
        side.other,
        weight,
        np.float32(alpha) * side.rating,
        other,
        prior.precision,
        prior.precision @ prior.mean,
        0.0,
        seed,
        out,
    )
    return out


def side_by_side(samples: tuple[F32, ...], scale: float, last: float) -> F32:
    """Join S samples (n, D) into rows (n, S * D + 1): scaled, and followed by the number `last`."""
    n, d = samples[0].shape
    out = np.full((n, len(samples) * d + 1), last, np.float32)
    for place, one in enumerate(samples):
        out[:, place * d : (place + 1) * d] = one * np.float32(scale)
    return out


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBPMF(FittedModel):
    """S kept samples side by side: the product of two vectors is the average prediction, Eq. 10.

    A user is (U^1, ..., U^S) / S and the mean rating, an item (V^1, ..., V^S) and 1. ``predict`` cuts
    ratings to the range of the training ratings.
    """

    predicts_values: ClassVar[bool] = True

    user_factors: F32  # (n_users, S * D + 1)
    item_factors: F32  # (n_items, S * D + 1)
    user_mean: F32  # (S, D)
    user_precision: F32  # (S, D, D)
    item_mean: F32  # (S, D)
    item_precision: F32  # (S, D, D)

    @property
    def item_vectors(self) -> F32:
        """The samples of the items and a 1, shape (n_items, S * D + 1)."""
        return self.item_factors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the samples alone of item vectors (j, S * D + 1), shape (j, S * D)."""
        return vectors[:, :-1]

    def lookup(self, users: I32) -> F32:
        """Return the samples of `users`."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the exact posterior mean of new users under every sample; shape (n, S * D + 1)."""
        unit, mean = unit_of(self.memory.value_range), float(self.user_factors[0, -1])
        rating = ((histories.value - mean) / unit).astype(np.float32)
        side = Side(histories.indptr, histories.item, rating)
        found = tuple(
            sample_rows(side, np.ascontiguousarray(v), prior, self.estimator.alpha, seed=0)
            for v, prior in zip(np.moveaxis(self._samples(self.item_factors), 1, 0), self._priors())
        )
        return side_by_side(found, unit / len(found), mean)

    def _priors(self) -> list[Prior]:
        pairs = zip(self.user_mean.astype(np.float64), self.user_precision.astype(np.float64))
        return [Prior(mean, precision) for mean, precision in pairs]

    def _samples(self, vectors: F32) -> F32:
        """Return rows (n, S * D + 1) as (n, S, D)."""
        return vectors[:, :-1].reshape(len(vectors), *self.item_mean.shape)

    def values(self, scores: F32) -> F32:
        """Cut scores to the range of the training ratings."""
        return clipped(scores, self.memory.value_range)

    @property
    def unknown_user(self) -> F32:
        """The prior mean of a user under every sample."""
        scale = unit_of(self.memory.value_range) / len(self.user_mean)
        return np.append(self.user_mean.ravel() * scale, self.user_factors[0, -1]).astype(
            np.float32
        )

    @property
    def unknown_item(self) -> F32:
        """The prior mean of an item under every sample."""
        return np.append(self.item_mean.ravel(), 1.0).astype(np.float32)

    def predict_std(self, pairs: Any) -> pl.DataFrame:
        """Predict ratings with the standard deviation of what will be observed.

        Parameters
        ----------
        pairs
            A frame (polars, pandas, pyarrow, or a mapping of columns) with ``user`` and ``item``.

        Returns
        -------
        polars.DataFrame
            The pairs with ``score``, ``std`` (in units of the ratings) and ``source``. The variance
            is that of the product over the samples, plus 1 / alpha for the noise of a rating, plus
            the prior's spread where the user or the item was never seen. It is that of the uncut
            prediction.

        Raises
        ------
        DataError
            If a column is missing.
        """
        frame = self.predict(pairs)
        users, items = self.users.ids.rows(frame["user"]), self.items.ids.rows(frame["item"])
        std = np.empty(len(frame), np.float32)
        step = max(1, BLOCK_BYTES // (8 * self.item_factors.shape[1]))
        for first in range(0, len(frame), step):
            rows = slice(first, first + step)
            std[rows] = self._spread(users[rows], items[rows])
        return frame.with_columns(pl.Series("std", std)).select(
            *[name for name in frame.columns if name != "source"], "std", "source"
        )

    def _spread(self, users: I32, items: I32) -> F32:
        """Return the standard deviation of the ratings of pairs of rows, -1 for unknown; shape (n,)."""
        unit = unit_of(self.memory.value_range)
        new_user, new_item = (users == UNKNOWN)[:, None, None], (items == UNKNOWN)[:, None, None]
        scale = np.float32(len(self.user_mean) / unit)
        u = np.where(new_user, self.user_mean, self._samples(self.user_factors[users]) * scale)
        v = np.where(new_item, self.item_mean, self._samples(self.item_factors[items]))
        variance = np.einsum("nsd,nsd->ns", u, v).var(axis=1) + 1.0 / self.estimator.alpha
        for new, other, precision in (
            (new_user, v, self.user_precision),
            (new_item, u, self.item_precision),
        ):
            rows = np.flatnonzero(new)
            if len(rows):
                spread = np.linalg.inv(precision.astype(np.float64))
                form = np.einsum("nsd,sde,nse->ns", other[rows], spread, other[rows], optimize=True)
                variance[rows] += form.mean(axis=1)
        both = np.flatnonzero(new_user & new_item)
        if len(both):
            spreads = (
                np.linalg.inv(one.astype(np.float64))
                for one in (self.user_precision, self.item_precision)
            )
            variance[both] += np.einsum("sde,sed->s", *spreads).mean()
        return (unit * np.sqrt(variance)).astype(np.float32)
