"""Implicit alternating least squares (iALS).

Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets", ICDM; Rendle, Krichene, Zhang & Koren (2022), "Revisiting
the Performance of iALS on Item Recommendation Benchmarks", RecSys; iALS++: Rendle, Krichene, Zhang & Koren (2021). With S the observed pairs,
r_ui the value of a pair, x_u and y_i the factors, #_u the number of u's pairs plus alpha_0 |I|, and #_i likewise,

    L = sum_S c_ui (1 - x_u . y_i)^2 + alpha_0 sum (x_u . y_i)^2
        + lambda (sum_u #_u^nu |x_u|^2 + sum_i #_i^nu |y_i|^2),       c_ui = 1 + alpha r_ui,

where the second sum runs over all pairs (2022) or over those that are not in S (2008).

Differs from the papers: a sweep solves the items first and then the users, so that known users fit the items that are kept; ``Exact()`` is the papers' solution, the
default takes two conjugate-gradient steps a row (Takács, Pilászy & Tikk 2011); neither paper has `alpha` with ``zeros="all"``, or `nu` with ``zeros="unobserved"``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numba
import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import DataError
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels import als
from twofold.kernels.gram import gram_blocks
from twofold.kernels.products import one_thread, product
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.factorization._ials_weights import REG, UNOBSERVED, Share, Weights, weights_of
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, F64, I32, I64, Rng

log = logging.getLogger(__name__)

ADVICE = "raise reg, lower alpha, or look for extreme values in the log"
GRAM_BLOCKS = 16
"""Slices whose Gram matrices are made side by side and summed in float64."""


@hyperparameters
class Exact:
    """Solve each row's d x d system by Cholesky: O(events d^2 + rows d^3) a sweep (Eq. 4)."""

    method: Literal["exact"] = "exact"
    """The tag in files."""


@hyperparameters
class Block:
    """Solve a block of coordinates at a time, the others kept (iALS++): O(events d size) a sweep."""

    method: Literal["block"] = "block"
    """The tag in files."""
    size: PositiveInt = 64
    """Coordinates a block, rounded up to a multiple of 16."""


@hyperparameters
class ConjugateGradient:
    """Take a few preconditioned conjugate-gradient steps from where a row stands: O(events d) each."""

    method: Literal["conjugate gradient"] = "conjugate gradient"
    """The tag in files."""
    steps: PositiveInt = 2
    """Steps a row and sweep."""


@hyperparameters
class IALS:
    """Weighted matrix factorization for implicit feedback, by alternating least squares.

    Values count only through `alpha`; with the default every pair in the log is one observation.
    Hu's model is ``IALS(alpha=40, unobserved_weight=1, zeros="unobserved", nu=0, reg=...)``.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3, 4], "i": ["a", "b", "a", "b", "c", "d", "c"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i")
    >>> model = tw.models.IALS(factors=2, unobserved_weight=0.5).fit(data, rng=0)
    >>> model.recommend(users=[4], k=1)["item"].to_list()
    ['d']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Embedding size d; the model gains from more of them for long (2022, section 5)."""
    reg: Annotated[PositiveFloat | None, Search(3e-4, 0.1, log=True)] = None
    """L2 penalty lambda, before it is scaled by frequency; None is 0.01, or more where histories are short and items few."""
    unobserved_weight: Annotated[Share | None, Search(0.003, 1, log=True)] = None
    """alpha_0: how strongly every score is drawn to 0; an observation weighs 1. None is 0.1, or less where the catalogue is so large that the unobserved pairs of a person would weigh more than 20 mean histories."""
    alpha: NonNegativeFloat = 0.0
    """Weight added to an observation per unit of its value; 0 reads no values."""
    zeros: Literal["all", "unobserved"] = "all"
    """Which scores are drawn to 0: those of all pairs (2022) or of the unobserved (2008)."""
    nu: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Exponent of the frequency by which reg is scaled; 0 penalizes all rows alike."""
    epochs: PositiveInt = 16
    """Sweeps: one half-step for the items, then one for the users."""
    init_scale: PositiveFloat = 0.1
    """Initial factors are normal with this standard deviation divided by sqrt(d)."""
    solver: Annotated[Exact | Block | ConjugateGradient, Field(discriminator="method")] = (
        ConjugateGradient()
    )
    """How a half-step is solved: Exact(), Block(size=64) or ConjugateGradient(steps=2)."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedIALS:
        """Learn the factors.

        Parameters
        ----------
        train
            The log; a pair that occurs more than once is one observation with the summed value.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, or `alpha` is set and a value is negative or all are 0.
        NotConvergedError
            If the factors leave the finite numbers.
        """
        del validation
        memory = Memory.of(train)
        rows = observations(self, train.interactions.matrix())
        if not rows.nnz:
            raise DataError(
                f"IALS with alpha={self.alpha:g} reads values as counts, and all of them are 0: "
                "set alpha=0, or name another column as the value"
            )
        random = generator(rng)
        weights = weights_of(self.reg, self.unobserved_weight, rows)
        users = Side.of(self, weights, rows, train.n_items)
        items = Side.of(self, weights, csr_array(rows.T), train.n_users)
        del rows
        x, y = initial(train.n_users, self, random), initial(train.n_items, self, random)
        spectrum = np.zeros(0)
        for epoch in track(range(1, self.epochs + 1), "iALS"):
            x, y, _ = half_step(self, weights, items, x, y, users.mass)
            y, x, spectrum = half_step(self, weights, users, y, x, items.mass)
            log.debug("iALS epoch %d/%d", epoch, self.epochs)
        check_finite("user_factors", x, ADVICE)
        check_finite("item_factors", y, ADVICE)
        d = self.factors
        return FittedIALS(
            estimator=self,
            memory=memory,
            user_factors=np.ascontiguousarray(x[:, :d]),
            item_factors=np.ascontiguousarray(y[:, :d]),
            item_spectrum=spectrum[:d].astype(np.float32),
            reg=weights.reg,
            unobserved_weight=weights.unobserved,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedIALS(FittedModel):
    """Factors whose product is the score, in the basis where the Gram matrix of the items is diagonal."""

    user_factors: F32  # (n_users, d)
    item_factors: F32  # (n_items, d)
    item_spectrum: F32  # (d,) diagonal of Y'Y
    reg: float | None = None  # lambda; the estimator's where a folder is older
    unobserved_weight: float | None = None  # alpha_0, in the same way

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, d)."""
        return self.item_factors

    @property
    def weights(self) -> Weights:
        """Lambda and alpha_0 of the training."""
        model: IALS = self.estimator
        unobserved = self.unobserved_weight or model.unobserved_weight or UNOBSERVED
        return Weights(self.reg or model.reg or REG, unobserved)

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`, shape (n, d)."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the exact minimum of L over the vectors of new users, the items kept; shape (n, d)."""
        model: IALS = self.estimator
        n_items, d = self.item_factors.shape
        weights = self.weights
        if len(histories) == 1 and not model.alpha:
            side = Side.of_one(model, weights, histories.item, n_items)
        else:
            rows = histories.matrix(n_items)
            np.maximum(rows.data, 0, out=rows.data)
            side = Side.of(model, weights, observations(model, rows), n_items)
        x = np.zeros((len(histories), padded(d)), np.float32)
        base = weights.unobserved * widened(self.item_spectrum[None])[0]
        solve(Exact(), side, widened(self.item_factors), base, np.zeros_like(base), x)
        return np.ascontiguousarray(x[:, :d])


class Side(NamedTuple):
    """The observations of one side's rows, and what its half-step needs beside the factors."""

    indptr: I64  # (n + 1,)
    other: I32  # (nnz,) rows of the other side
    value: F32  # (nnz,), or empty where values are not read
    order: I64  # (n,) rows, those with most observations first
    ridge: F32  # (n,)
    mass: F64  # (n,) summed weights of the row's observations in the quadratic term
    weights: F32  # (4,) of `als.solve_rows`

    @classmethod
    def of(cls, model: IALS, weights: Weights, rows: csr_array, n_other: int) -> Side:
        """Prepare the rows of a matrix (n, n_other) of observations."""
        values = np.asarray(rows.data, np.float32) if model.alpha else np.zeros(0, np.float32)
        sums = np.asarray(rows.sum(axis=1), np.float64) if model.alpha else np.zeros(1)
        indptr, other = rows.indptr.astype(np.int64), rows.indices.astype(np.int32, copy=False)
        return cls._made(model, weights, indptr, other, values, sums, n_other)

    @classmethod
    def of_one(cls, model: IALS, weights: Weights, items: I32, n_other: int) -> Side:
        """Prepare the row of one person, where values are not read; the same as `of`, without a matrix."""
        other = np.unique(items)
        indptr = np.array([0, len(other)], np.int64)
        return cls._made(
            model, weights, indptr, other, np.zeros(0, np.float32), np.zeros(1), n_other
        )

    @classmethod
    def _made(
        cls,
        model: IALS,
        weights: Weights,
        indptr: I64,
        other: I32,
        values: F32,
        sums: F64,
        n_other: int,
    ) -> Side:
        count = indptr[1:] - indptr[:-1]
        frequency = count + weights.unobserved * n_other
        less = weights.unobserved if model.zeros == "unobserved" else 0.0
        return cls(
            indptr,
            other,
            values,
            np.argsort(-count, kind="stable"),
            (weights.reg * frequency**model.nu).astype(np.float32),
            (1 - less) * count.astype(np.float64) + model.alpha * sums,
            np.array([1 - less, model.alpha, 1, model.alpha], np.float32),
        )


def observations(model: IALS, values: csr_array) -> csr_array:
    """Return the observed pairs: all of them, or with `alpha` those with a positive value.

    Raises
    ------
    DataError
        If `alpha` is set and a value is negative.
    """
    if not model.alpha or not values.nnz:
        return values
    if (lowest := float(values.data.min())) < 0:
        raise DataError(
            f"IALS with alpha={model.alpha:g} reads values as counts, which must be >= 0; found "
            f"{lowest:g}: set alpha=0, or keep positive values with where_value(at_least=...)"
        )
    values.eliminate_zeros()
    return values


def padded(d: int) -> int:
    """Return the number of columns that the kernels see for d factors."""
    return -(-d // als.PADDING) * als.PADDING


def widened(factors: F32) -> F32:
    """Return factors (n, d) with columns of zeros for the kernels; themselves where none are missing."""
    n, d = factors.shape
    if d == padded(d):
        return np.ascontiguousarray(factors)
    wide = np.zeros((n, padded(d)), np.float32)
    wide[:, :d] = factors
    return wide


def initial(n: int, model: IALS, rng: np.random.Generator) -> F32:
    """Draw initial factors, shape (n, padded d)."""
    scale = np.float32(model.init_scale / model.factors**0.5)
    return widened(scale * rng.standard_normal((n, model.factors), np.float32))


def half_step(
    model: IALS, weights: Weights, side: Side, fixed: F32, moving: F32, mass: F64
) -> tuple[F32, F32, F64]:
    """Improve `moving` (n, d) given `fixed` (m, d) and the `mass` (m,) of its rows.

    Both are first rotated into the basis where fixed'fixed is diagonal, which changes no product.
    Return both in that basis, and the diagonal (d,).
    """
    spectrum, rotation = axes(fixed, model.factors)
    fixed, moving = product(fixed, rotation), product(moving, rotation)
    base = (weights.unobserved * spectrum).astype(np.float32)
    moment = np.einsum("n,nd,nd->d", (mass / len(side.other)).astype(np.float32), fixed, fixed)
    solve(model.solver, side, fixed, base, moment, moving)
    return fixed, moving, spectrum


@one_thread()
def axes(fixed: F32, d: int) -> tuple[F64, F32]:
    """Return the eigenvalues (padded d,) and eigenvectors of fixed'fixed; the padding is left alone."""
    wide = fixed.shape[1]
    parts = np.empty((GRAM_BLOCKS, wide, wide), np.float32)
    gram_blocks(fixed, parts)
    spectrum, rotation = np.zeros(wide), np.eye(wide)
    values, vectors = np.linalg.eigh(parts.sum(axis=0, dtype=np.float64)[:d, :d], UPLO="U")
    spectrum[:d], rotation[:d, :d] = np.maximum(values, 0), vectors
    return spectrum, rotation.astype(np.float32)


def solve(
    solver: Exact | Block | ConjugateGradient,
    side: Side,
    fixed: F32,
    base: F32,
    moment: F32,
    out: F32,
) -> None:
    """Solve or improve every row of `out` in place; see `als.solve_rows`."""
    match solver:
        case Exact():
            method, size = als.EXACT, 0
        case Block():
            method, size = als.BLOCK, min(padded(solver.size), fixed.shape[1])
        case ConjugateGradient():
            method, size = als.CONJUGATE_GRADIENT, solver.steps
    als.solve_rows(
        side.order, side.indptr, side.other, side.value, side.weights, fixed, base, moment, side.ridge,
        out, method, size, np.zeros(1, np.int64), numba.get_num_threads(),
    )  # fmt: skip
