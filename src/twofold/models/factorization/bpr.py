"""Bayesian personalized ranking of items by matrix factorization (BPR-MF).

Rendle, Freudenthaler, Gantner & Schmidt-Thieme (2009), "BPR: Bayesian Personalized Ranking from
Implicit Feedback", UAI. Symbols follow the paper: x_ui = b_i + w_u . h_i, x_uij = x_ui - x_uj;

    BPR-Opt = sum over (u, i, j) of ln sigma(x_uij) - lambda |Theta|^2,   u took i and not j.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import NotConvergedError
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.bpr_sgd import GROUPS, LEAST, bpr_epoch, bpr_fold_in, cut_blocks
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.progress import track
from twofold.random import generator, kernel_seed
from twofold.typing import F32, F64, I32, I64, Rng

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate` or raise the penalties"
REG, CATALOGUE, FALL = 0.01, 20_000, 0.25
"""Penalty where none is given on a catalogue of so many items, and the power by which it is larger for fewer."""
PASSES = (60, 400)
"""Passes where none are given, at least and at most."""


@hyperparameters
class Uniform:
    """Every item that the user did not take is as likely to stand for the unobserved (section 4.1)."""

    draws: Literal["uniform"] = "uniform"
    """The tag in files."""


@hyperparameters
class Popular:
    """Unobserved items are drawn by popularity, so that frequent ones are learned to be told apart."""

    draws: Literal["popular"] = "popular"
    """The tag in files."""
    exponent: Annotated[float, Field(gt=0, le=2)] = 0.75
    """Items are drawn in proportion to their number of events to this power."""


@hyperparameters
class BPR:
    """Matrix factorization that ranks what a user took above what they did not.

    Values are not read: every distinct pair in the log is one observation.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3, 4], "i": ["a", "b", "a", "b", "c", "d", "c"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i")
    >>> model = tw.models.BPR(factors=2, epochs=300).fit(data, rng=0)
    >>> model.recommend(users=[4], k=1)["item"].to_list()
    ['d']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Embedding size k."""
    epochs: Annotated[PositiveInt | None, Search(20, 400, log=True)] = None
    """Passes over the observed pairs, one unobserved item drawn for each; None is 60, or more, up to 400, where people or
    items have few events."""
    learning_rate: Annotated[PositiveFloat, Search(0.005, 0.2, log=True)] = 0.05
    """Step alpha."""
    reg_user: Annotated[NonNegativeFloat | None, Search(1e-4, 0.1, log=True)] = None
    """Penalty lambda_W on w_u, counted once for every triple; None is 0.01 for 20,000 items, more for fewer."""
    reg_positive: Annotated[NonNegativeFloat | None, Search(1e-4, 0.1, log=True)] = None
    """Penalty lambda_H+ on the observed item's h_i; None is 0.01 for 20,000 items, more for fewer."""
    reg_negative: Annotated[NonNegativeFloat | None, Search(1e-4, 0.1, log=True)] = None
    """Penalty lambda_H- on the unobserved item's h_j; None is 0.01 for 20,000 items, more for fewer."""
    reg_bias: NonNegativeFloat = 0.01
    """Penalty on b_i and b_j."""
    item_bias: bool = True
    """Whether an item has a bias beside its vector; false is the model of section 4.3.1."""
    negatives: Annotated[Uniform | Popular, Field(discriminator="draws")] = Uniform()
    """How the unobserved item is drawn: Uniform() or Popular(exponent=0.75)."""
    init_scale: PositiveFloat = 0.005
    """Standard deviation of the normal initial vectors; an item that few took keeps what it began with."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedBPR:
        """Learn the vectors.

        Parameters
        ----------
        train
            The log; a pair that occurs more than once is one observation.
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
        Differs from the paper: an epoch visits every observed pair once, block by block, instead of drawing pairs with
        replacement; the unobserved item comes from a random sixteenth of the catalogue that is dealt anew before each
        epoch, so that over the epochs every item is as likely: in return blocks run side by side without a lock, stay in
        the cache, and give the same bytes for every number of threads (decision 0008, `twofold.kernels.bpr_sgd`); items
        have a bias unless `item_bias` is false; users who took everything they could be shown teach nothing.
        """
        del validation
        memory = Memory.of(train)
        rows = train.interactions.matrix()
        course = Course.of(self, rows)
        found = ascend(
            self,
            course,
            rows.indptr.astype(np.int64),
            rows.indices.astype(np.int32),
            memory,
            generator(rng),
        )
        for name, array in found._asdict().items():
            check_finite(name, array, ADVICE)
        return FittedBPR(
            estimator=self,
            memory=memory,
            user_factors=np.hstack([found.w, np.ones((len(found.w), 1), np.float32)]),
            item_factors=np.hstack([found.h, found.bias[:, None]]),
            epochs=course.epochs,
            reg_user=float(course.regs[0]),
        )


class Course(NamedTuple):
    """What is told of a training, or derived from the size of the log."""

    epochs: int
    regs: F32  # (4,) user, observed item, unobserved item, bias

    @classmethod
    def of(cls, model: BPR, rows: csr_array) -> Course:
        """Settle what is None for a matrix (n_users, n_items) of observed pairs.

        The more items there are, the longer vectors have to be for the top of a list to stand out from the others: the
        penalty falls with the catalogue. A vector that is moved 1 / (alpha lambda) times keeps a third of its start: so
        often the vectors of the side with fewer pairs a row are moved. Where they are moved less, they stay near their
        start, and lists are those of the biases, popularity.
        """
        n_users, n_items = rows.shape or (0, 0)
        reg = REG * (CATALOGUE / n_items) ** FALL
        pairs = rows.nnz / max(n_users, n_items)
        passes = min(max(1 / (model.learning_rate * reg * pairs), PASSES[0]), PASSES[1])
        told = (model.reg_user, model.reg_positive, model.reg_negative)
        regs = [*(reg if one is None else one for one in told), model.reg_bias]
        return cls(model.epochs or round(passes), np.array(regs, np.float32))


class Parameters(NamedTuple):
    """What BPR learns."""

    w: F32  # (n_users, k)
    h: F32  # (n_items, k)
    bias: F32  # (n_items,)


def ascend(
    model: BPR, course: Course, indptr: I64, item: I32, memory: Memory, rng: np.random.Generator
) -> Parameters:
    """Climb BPR-Opt; `indptr` (n_users + 1,) and `item` (nnz,) are the distinct pairs in user order."""
    n, m, d = len(indptr) - 1, len(memory.popularity), model.factors
    scale = np.float32(model.init_scale)
    w = scale * rng.standard_normal((n, d), np.float32)
    h = scale * rng.standard_normal((m, d), np.float32)
    bias = np.zeros(m, np.float32)
    groups = max(1, min(GROUPS, m // LEAST))
    user_start = balanced_ranges(indptr, groups)
    member_start = np.linspace(0, m, groups + 1).astype(np.int64)
    group_of = np.empty(m, np.int32)
    block_start = np.zeros(groups * groups + 1, np.int64)
    users, items = np.empty_like(item), np.empty_like(item)
    seen, loss = np.full((groups, m), -1, np.int32), np.zeros(groups)
    for epoch in track(range(1, course.epochs + 1), "BPR"):
        members = rng.permutation(m).astype(np.int32)
        group_of[members] = np.repeat(np.arange(groups, dtype=np.int32), np.diff(member_start))
        cut_blocks(indptr, item, user_start, group_of, groups, block_start, users, items)
        cumulative = running_weights(model, memory.popularity[members], member_start)
        bpr_epoch(
            block_start, users, items, rng.permutation(groups), members, member_start, cumulative,
            kernel_seed(rng), w, h, bias, model.learning_rate, course.regs, model.item_bias, seen, loss,
        )  # fmt: skip
        mean = float(loss.sum() / len(item))
        if not np.isfinite(mean):
            raise NotConvergedError(f"BPR diverged in epoch {epoch}; {ADVICE}")
        log.debug("BPR epoch %d/%d mean -ln sigma %.4f", epoch, course.epochs, mean)
    return Parameters(w, h, bias)


def balanced_ranges(indptr: I64, groups: int) -> I64:
    """Cut rows into neighbouring ranges with about as many pairs each; shape (groups + 1,)."""
    goals = np.linspace(0, indptr[-1], groups + 1)
    start = np.searchsorted(indptr, goals).astype(np.int64)
    start[0], start[-1] = 0, len(indptr) - 1
    return start


def running_weights(model: BPR, popularity: F32, start: I64) -> F64:
    """Return running sums of the weights by which items are drawn, shape (m,); empty for equal ones.

    The sums begin anew at every `start` (groups + 1,), the last of which is m.
    """
    match model.negatives:
        case Uniform():
            return np.zeros(0)
        case Popular(exponent=exponent):
            total = np.cumsum(np.maximum(popularity, 1.0).astype(np.float64) ** exponent)
            before = np.concatenate([[0.0], total])[start[:-1]]
            return total - np.repeat(before, np.diff(start))


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBPR(FittedModel):
    """Users as (w_u, 1), items as (h_i, b_i); their product ranks, and is no rating."""

    user_factors: F32  # (n_users, k + 1)
    item_factors: F32  # (n_items, k + 1)
    epochs: int | None = (
        None  # passes and lambda_W of training; the estimator's where a folder is older
    )
    reg_user: float | None = None

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, k + 1)."""
        return self.item_factors

    def similarity_of(self, vectors: F32) -> F32:
        """Return item vectors (j, k + 1) without the bias, shape (j, k)."""
        return np.ascontiguousarray(vectors[:, :-1])

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`, shape (n, k + 1)."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Climb BPR-Opt over new users alone, the items kept; shape (n, k + 1).

        The vector is the average over the later half of `epochs` passes. People with equal histories
        get equal vectors; one who took the whole catalogue gets zero.
        """
        model: BPR = self.estimator
        rows = histories.matrix(len(self.item_factors))
        out = np.zeros((len(histories), model.factors), np.float32)
        reg = model.reg_user if self.reg_user is None else self.reg_user
        bpr_fold_in(
            rows.indptr.astype(np.int64),
            rows.indices.astype(np.int32),
            np.arange(len(self.item_factors), dtype=np.int32),
            running_weights(model, self.memory.popularity, np.array([0, len(self.item_factors)])),
            self.similarity_of(self.item_factors),
            np.ascontiguousarray(self.item_factors[:, -1]),
            self.epochs or model.epochs or PASSES[0],
            model.learning_rate,
            REG if reg is None else reg,
            out,
        )
        return np.hstack([out, np.ones((len(out), 1), np.float32)])
