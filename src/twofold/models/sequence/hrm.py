"""Hierarchical representation model (HRM): the next basket from the last one and the user.

Wang, Guo, Lan, Xu, Wan & Cheng (2015), "Learning Hierarchical Representation Model for Next Basket
Recommendation", SIGIR. Symbols follow the paper: T_t the baskets of a user u, v^U and v^I the vectors of users and
items, f_1 and f_2 the two aggregations;

    v^T = f_1({v^I_l : l in T_{t-1}}),   v^H = f_2(v^U_u, v^T),   p(i in T_t) ~ exp(v^I_i . v^H)

learned by negative sampling, with items i' drawn by popularity P_I:

    sum over u, t and i in T_t of [ ln s(v_i . v^H) + k E ln s(-v_i' . v^H) ] - lambda |Theta|^2.

Its optimum is v_i . v^H = ln p(i in T_t) - ln k P_I(i) (Levy & Goldberg 2014), a lift and no probability: for ranking
ln P_I(i) is put back, as a coordinate of the item.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.errors import ConfigError, DataError, NotConvergedError
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels import hrm_sgd as kernels
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence._hrm_baskets import Transitions, as_log, last_baskets, transitions
from twofold.nn.deal import passes_over
from twofold.progress import track
from twofold.random import generator, kernel_seed
from twofold.typing import F32, F64, I32, Rng

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate` or raise `reg`"
CODES = {
    "average": kernels.AVERAGE,
    "max": kernels.MAXIMUM,
    "user": kernels.USER,
    "basket": kernels.BASKET,
    "concatenate": kernels.CONCATENATE,
}
"""How aggregations are called in the kernel."""
LEAST_PASSES, MEETINGS = 20, 400
"""Passes, and meetings of an item in all of them together with S-BPR, where `epochs` is None."""


@hyperparameters
class HRM:
    """Predict the next basket from a user's vector and the vectors of the last basket.

    A basket is what a user took at one time; each item counts once in it, whatever its value. The paper's four
    models are its two aggregations; factorized Markov chains, matrix factorization and FPMC are further ones.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3, 4], "i": list("ababcdc"), "t": [0, 1, 0, 1, 0, 1, 0]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> model = tw.models.HRM(factors=8, epochs=200).fit(data, rng=0)
    >>> model.recommend(users=[4], k=1)["item"].to_list()
    ['d']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 50
    """Length d of the vectors."""
    items: Annotated[Literal["average", "max"], Search(choices=("average", "max"))] = "average"
    """f_1: how the items of the last basket become one vector."""
    hybrid: Annotated[
        Literal["average", "max", "user", "basket", "concatenate"],
        Search(choices=("average", "max")),
    ] = "max"
    """f_2: how user and basket become one vector; ``user`` and ``basket`` take one and leave the other."""
    tied: Annotated[bool, Search(choices=(True, False))] = True
    """Whether an item has one vector, or one where it was bought and one where it is predicted, which can follow without being alike."""
    objective: Literal["negative sampling", "bpr"] = "negative sampling"
    """The paper's objective, or the pairwise one of FPMC (S-BPR), which wants 1 negative and a `reg` near 0.03."""
    negatives: Annotated[PositiveInt, Search(5, 50, log=True)] = 25
    """k: items drawn against each item of a basket."""
    exponent: NonNegativeFloat = 1.0
    """Negatives are drawn in proportion to an item's number of events to this power; 0 draws all alike."""
    correction: bool = True
    """Whether ln P_I(i), which drawing by popularity takes off the score, is put back for ranking."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.7)] = 0.3
    """Chance that a unit of the hybrid vector is left out in a step."""
    epochs: Annotated[PositiveInt | None, Search(5, 100, log=True)] = None
    """Passes over all items of all baskets; None = 20, or with ``bpr``, whose step sees one other item, as many as let an item be met 400 times on average."""
    learning_rate: Annotated[PositiveFloat, Search(0.02, 0.5, log=True)] = 0.2
    """Step at the beginning; it falls in a line to a hundredth at the end."""
    reg: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 1e-4
    """Penalty lambda on every vector, counted each time it is read; of items under a maximum on the coordinates that were chosen."""
    init_scale: PositiveFloat = 0.1
    """Standard deviation of the normal initial vectors."""

    @classmethod
    def fpmc(cls) -> HRM:
        """Return factorized personalized Markov chains: an HRM of other settings, `dataclasses.replace` changes more of them.

        Rendle, Freudenthaler & Schmidt-Thieme (2010), "Factorizing Personalized Markov Chains for Next-Basket
        Recommendation", WWW: v_u . v_i + the mean over the last basket of w_l . w_i, every vector of its own, learned
        by S-BPR, ln s of the difference to one item that is drawn evenly. Pairs are learned by heart without the
        strong penalty (chosen on validation baskets).
        """
        return cls(
            items="average", hybrid="concatenate", tied=False, objective="bpr",
            negatives=1, exponent=0, dropout=0, reg=0.03,
        )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse vectors of two lengths that are to be one.

        Raises
        ------
        ConfigError
            If `tied` is set and vectors are put side by side.
        """
        if self.tied and self.hybrid == "concatenate":
            raise ConfigError(
                "hybrid='concatenate' predicts with vectors twice as long as those of a basket, which cannot "
                "be tied; set tied=False"
            )

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedHRM:
        """Learn the vectors, one step for each item of each basket.

        Parameters
        ----------
        train
            The log; where it has no times every event is a basket of its own.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, or ``hybrid="basket"`` and nobody has two baskets.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the paper: the ranking is by v_i . v^H + ln P_I(i) unless `correction` is off; the items of a user's first basket are
        learned too, from the user alone; the step falls in a line over the epochs; a drawn item that is the target is drawn again, and with
        S-BPR it may be another one of the same basket; dropout is on the units of v^H and is 0.3, not the 0.5 that is reported of the paper, as
        validation baskets preferred. The paper's text was not at hand: equations and k = 25 are from reports of it.
        """
        del validation
        memory = Memory.of(train)
        check_order(train.interactions, "HRM")
        found = ascend(self, transitions(train.interactions), memory, generator(rng))
        for name, array in found._asdict().items():
            check_finite(name, array, ADVICE)
        return FittedHRM(
            estimator=self,
            memory=memory,
            user_factors=found.users,
            basket_factors=found.sources if not self.tied else found.sources[:0],
            item_factors=found.targets,
            prior=prior(self, memory.popularity),
        )


def prior(model: HRM, popularity: F32) -> F32:
    """Return what is added to each item's score, shape (n_items,): ln P_I up to a constant, or nothing."""
    if not model.correction or model.objective == "bpr":
        return np.zeros_like(popularity)
    return (model.exponent * np.log(np.maximum(popularity, 1.0) / popularity.max())).astype(
        np.float32
    )


class Parameters(NamedTuple):
    """What HRM learns."""

    users: F32  # (n_users, d)
    sources: F32  # (n_items, d)
    targets: F32  # (n_items, D)


def ascend(model: HRM, pairs: Transitions, memory: Memory, rng: np.random.Generator) -> Parameters:
    """Climb the objective epoch by epoch.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    NotConvergedError
        If a value is not finite.
    """
    d = model.factors
    width = 2 * d if model.hybrid == "concatenate" else d
    scale = np.float32(model.init_scale)
    users = scale * rng.standard_normal((len(memory.users), d), np.float32)
    targets = scale * rng.standard_normal((len(memory.items), width), np.float32)
    sources = (
        targets if model.tied else scale * rng.standard_normal((len(memory.items), d), np.float32)
    )
    used = np.arange(len(pairs.item), dtype=np.int64)
    if model.hybrid == "basket":
        used = np.flatnonzero(pairs.stop > pairs.start).astype(np.int64)
        if not len(used):
            raise DataError(
                "HRM with hybrid='basket' learns from two baskets of one user and nobody has two; check the times, "
                "or use another hybrid"
            )
    weights = running_weights(model, memory.popularity)
    passes = passes_of(model, memory.popularity)
    rates = np.linspace(model.learning_rate, 0.01 * model.learning_rate, passes + 1)
    for epoch in track(range(1, passes + 1), "HRM"):
        loss = kernels.hrm_epoch(
            rng.permutation(used), *pairs, weights, kernel_seed(rng), users, sources, targets,
            CODES[model.items], CODES[model.hybrid], model.objective == "bpr", model.negatives,
            rates[epoch - 1 : epoch + 1], model.reg, model.dropout,
        )  # fmt: skip
        if not np.isfinite(loss):
            raise NotConvergedError(f"HRM diverged in epoch {epoch}; {ADVICE}")
        log.debug("HRM epoch %d/%d loss %.4f", epoch, passes, loss)
    return Parameters(users, sources, targets)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedHRM(FittedModel):
    """People as (v^H, 1) of their vector and their last basket, items as (v_i, ln P_I)."""

    user_factors: F32  # (n_users, d)
    basket_factors: F32  # (n_items, d), or (0, d) where items have one vector
    item_factors: F32  # (n_items, D)
    prior: F32  # (n_items,)

    @property
    def item_vectors(self) -> F32:
        """The items as they are predicted, shape (n_items, D + 1)."""
        return self._vectors

    @cached_property
    def _vectors(self) -> F32:
        return np.hstack([self.item_factors, self.prior[:, None]])

    def similarity_of(self, vectors: F32) -> F32:
        """Return item vectors (j, D + 1) without their popularity, shape (j, D)."""
        return np.ascontiguousarray(vectors[:, :-1])

    def lookup(self, users: I32) -> F32:
        """Return the hybrids of known users and their last remembered baskets, shape (n, D + 1)."""
        return self.resume(users, self.memory.history.take(users))

    def fold_in(self, histories: Histories) -> F32:
        """Return the hybrids of strangers, shape (n, D + 1); see `resume`."""
        return self.resume(np.full(len(histories), -1, np.int32), histories)

    def resume(self, users: I32, histories: Histories) -> F32:
        """Return the hybrids of people and the last baskets of their histories, shape (n, D + 1).

        The last basket is what was taken at the latest time, or the last item where no times are told. A
        stranger (-1) begins with the mean of all users' vectors and climbs the objective alone, items kept.
        """
        model: HRM = self.estimator
        asked = np.asarray(users, np.int64)
        own = self.user_factors[np.maximum(asked, 0)]
        strangers = np.flatnonzero(asked < 0)
        if len(strangers):
            own[strangers] = self._strangers(histories.take(strangers))
        last = last_baskets(histories)
        out = np.zeros((len(histories), self.item_factors.shape[1]), np.float32)
        kernels.hybrids(
            own, last.indptr, last.item, self._sources, CODES[model.items], CODES[model.hybrid], out
        )
        return np.hstack([out, np.ones((len(out), 1), np.float32)])

    @cached_property
    def _passes(self) -> int:
        return passes_of(self.estimator, self.memory.popularity)

    @property
    def _sources(self) -> F32:
        return self.item_factors if self.estimator.tied else self.basket_factors

    def _strangers(self, histories: Histories) -> F32:
        """Return vectors of new users, shape (n, d)."""
        model: HRM = self.estimator
        # Whoever has done nothing, and whoever's own vector is not read, stays where everybody begins.
        mean = self.user_factors.mean(axis=0, dtype=np.float64).astype(np.float32)
        out = np.tile(mean, (len(histories), 1))
        if model.hybrid == "basket" or not len(histories.item):
            return out
        pairs = transitions(as_log(histories, len(self.items)))
        indptr = np.searchsorted(pairs.user, np.arange(len(histories) + 1)).astype(np.int64)
        kernels.hrm_fold_in(
            indptr, *pairs[1:], running_weights(model, self.memory.popularity), self._sources,
            self.item_factors, CODES[model.items], CODES[model.hybrid], model.objective == "bpr",
            model.negatives, self._passes, model.learning_rate, model.reg, out,
        )  # fmt: skip
        return out


def passes_of(model: HRM, popularity: F32) -> int:
    """Return how many passes there are over a log in which the items occur `popularity` (n_items,) times."""
    if model.epochs is not None:
        return model.epochs
    return passes_over(popularity, LEAST_PASSES, MEETINGS if model.objective == "bpr" else 0)


def running_weights(model: HRM, popularity: F32) -> F64:
    """Return running sums of the weights by which negatives are drawn, shape (n_items,)."""
    return np.cumsum(np.maximum(popularity, 1.0).astype(np.float64) ** model.exponent)
