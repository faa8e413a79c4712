"""Factorization machines (libFM): every pair of features interacts through vectors.

Rendle (2012), "Factorization Machines with libFM", ACM TIST; Rendle (2010), ICDM. Symbols follow the
paper: w_0 intercept, w_i weights, v_i factors (k),

    y(x) = w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j.

With the features of an event parted into those of the query (user, context) and those of the item,
y(x) is a product: of (p, 1, s) and (q, s', 1), where p = sum v_i x_i over the query, s its own
weights and interactions, and q, s' likewise of the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from scipy.special import expit

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError
from twofold.features.design import side_by_side
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._apart import Apart
from twofold.models._base import Memory
from twofold.models.factorization import _fm_learners as learners
from twofold.models.factorization import _fm_people as people
from twofold.models.factorization import _probit as probit
from twofold.models.factorization._fm_data import Layout, Targets, with_negatives
from twofold.models.factorization._fm_run import ALS, MCMC, SGD, item_vectors, parts, run
from twofold.random import generator
from twofold.rank import CONTENT, FALLBACK, FOLD_IN, MODEL, Encoded, sources
from twofold.typing import F32, F64, I32, Bool, Rng


@hyperparameters
class FM:
    """Regression, classification or ordered probit on ids, features, context and history.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"], "r": [5, 1, 4, 2, 1]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    >>> model = tw.models.FM(factors=2).fit(data, rng=0)
    >>> model.recommend(users=[3], k=2)["item"].to_list()
    ['a', 'b']
    """

    factors: Annotated[PositiveInt, Search(4, 64, log=True)] = 10
    """Length k of the factors; 0 is linear regression and not offered."""
    task: Literal["regression", "classification", "ordered"] = "regression"
    """Values as numbers, two values as classes (probit), or ascending classes (ordered probit)."""
    learner: Annotated[MCMC | ALS | SGD, Field(discriminator="method")] = MCMC()
    """How it learns: MCMC(), ALS() or SGD()."""
    features: tuple[str, ...] | None = None
    """Names of user, item and context columns to read; none named reads all that can be read."""
    user_history: bool = True
    """Whether a user's items are features, 1 / sqrt(n) each (SVD++)."""
    item_history: bool = True
    """Whether an item's users are features, 1 / sqrt(n) each ("flipped")."""
    day: bool = False
    """Whether the day of an event is a feature (timeSVD++); a new day has none."""
    grouped: bool = True
    """Whether ids, each column, history and day have priors of their own (MCMC)."""
    negatives: PositiveInt = 2
    """Unobserved pairs drawn for each event of a log without values; they count as 0, events as 1."""
    init_scale: Annotated[PositiveFloat, Search(0.02, 0.5, log=True)] = 0.1
    """Standard deviation of the normal initial factors."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedFM:
        """Learn.

        Parameters
        ----------
        train
            The log; a pair that occurs twice counts twice. Ratings are divided by a quarter of their
            range inside, so that penalties mean the same on every scale.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, or the values do not fit the task.
        ConfigError
            If the learner cannot do the task, or a named feature does not exist or cannot be read.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the paper: the features of an event are read as relations (Rendle 2013); ratings are divided by a quarter of their range inside;
        numbers end at those of training, where libFM goes on in a line; SGD halves the squared loss, as libFM's program does (so `learning_rate` is
        twice that of Algorithm 1), begins at the mean and counts no penalty on w_0; the adaptive SGD (SGDA) is not offered; ALS has one penalty for
        all weights and one for all factors; a sweep of MCMC ends with the priors, where Algorithm 3 begins with them (decision 0012); the ordered
        probit is not in it (Albert & Chib 1993; Cowles 1996): its cut points move one at a time by a random walk whose step is adapted throughout.
        """
        del validation
        if self.task == "ordered" and not isinstance(self.learner, MCMC):
            raise ConfigError(
                f"task='ordered' needs the MCMC learner; got {type(self.learner).__name__}: "
                "set learner=MCMC(), or task='regression'"
            )
        random = generator(rng)
        memory = Memory.of(train)
        layout, user_rows, item_rows, context_rows = Layout.of(self, train)
        events, sources = train.interactions, np.arange(len(train))
        user, item, value = events.user, events.item, events.value
        if not events.has_value:
            user, item, value, sources = with_negatives(events, self.negatives, random)
        targets = Targets.of(self.task, value, has_value=events.has_value)
        blocks = [learners.Block(user_rows, user), learners.Block(item_rows, item)]
        if layout.context:
            blocks.insert(1, learners.Block(context_rows, sources.astype(np.int32)))
        group = layout.group if self.grouped else np.zeros_like(layout.group)
        problem = learners.Problem.of(blocks, group, int(group.max(initial=0)) + 1)
        kept = run(self, problem, targets.encode(value), targets.classes, random)
        layout.forget_unmet(kept, user_rows, context_rows)
        ids = group[layout.id_features]
        fitted = FittedFM(
            estimator=self,
            memory=memory,
            layout=layout,
            targets=targets,
            intercept=np.array([one.intercept for one in kept]),
            weights=np.array([one.w for one in kept], np.float32),
            loadings=np.array([one.v for one in kept], np.float32),
            alpha=np.array([one.alpha for one in kept]),
            weight_prior=np.array([one.w_prior[:, ids] for one in kept], np.float32),
            loading_prior=np.array([one.v_prior[:, :, ids] for one in kept], np.float32),
            cuts=np.array([one.cuts for one in kept]),
            user_rows=user_rows,
            item_factors=np.concatenate(
                [item_vectors(item_rows, one, layout.item_side) for one in kept], axis=1
            ),
        )
        return replace(
            fitted,
            by_column=people.means_by_column(fitted) if layout.people else None,
            by_item_column=people.means_by_item_column(fitted, item_rows)
            if layout.things
            else None,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedFM(Apart):
    """S samples side by side (one for ALS and SGD); the product of two vectors is the average y(x).

    ``predict`` turns it into values: cut to the range of the training ratings, the expected class, or
    the probability of the higher class.
    """

    predicts_values: ClassVar[bool] = True

    layout: Layout
    targets: Targets
    intercept: F64  # (S,)
    weights: F32  # (S, features)
    loadings: F32  # (S, k, features)
    alpha: F64  # (S,)
    weight_prior: F32  # (S, 2, 2) mean and precision; of user ids, of item ids
    loading_prior: F32  # (S, 2, k, 2)
    cuts: F64  # (S, classes - 1)
    user_rows: csr_array  # (n_users, features of users)
    item_factors: F32  # (n_items, S * (k + 2))
    by_column: F32 | None = None  # (width of people's columns + 1, S * (k + 2)); None without any
    by_item_column: F32 | None = (
        None  # (width of items' columns + 1, S * (k + 2)); None without any
    )

    def __post_init__(self) -> None:
        """Read features of people and of items where training had any."""
        object.__setattr__(self, "reads_features", self.by_column is not None)
        object.__setattr__(self, "reads_content", self.by_item_column is not None)

    @property
    def feature_levels(self) -> Levels:
        """The values that were learned of each column of people."""
        return self._feature_levels

    @cached_property
    def _feature_levels(self) -> Levels:
        return self.layout.feature_levels(self._learned(self.layout.people_side(len(self.users))))

    @property
    def content_levels(self) -> Levels:
        """The values of each column of items that an item with an event had."""
        if self.by_item_column is None:
            return {}
        return self.layout.content_levels(np.any(self.by_item_column[:-1] != 0, axis=1))

    def _learned(self, side: slice) -> Bool:
        """Say of which features of `side` a weight or factor is not 0; shape (width,)."""
        every = np.concatenate([self.weights[:, None, side], self.loadings[:, :, side]], axis=1)
        return np.asarray(np.any(every, axis=(0, 1)))

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, and ``time`` where the day is."""
        return self.layout.context_kinds

    @property
    def context_levels(self) -> Levels:
        """The values that were learned of each context column; of one that no event was told with all weights are 0."""
        return self._context_levels

    @cached_property
    def _context_levels(self) -> Levels:
        return self.layout.context_levels(self._learned(self.layout.context_side))

    @property
    def is_sgd(self) -> bool:
        """Whether it was learned by SGD, whose classes are logistic."""
        return isinstance(self.estimator.learner, SGD)

    @property
    def item_vectors(self) -> F32:
        """The items under every sample, shape (n_items, S * (k + 2))."""
        return self.item_factors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the factors q alone of item vectors (j, S * (k + 2)), shape (j, S * k)."""
        return self.by_sample(vectors)[:, :, :-2].reshape(len(vectors), -1)

    def by_sample(self, vectors: F32) -> F32:
        """Return vectors (n, S * (k + 2)) as (n, S, k + 2)."""
        return vectors.reshape(len(vectors), len(self.intercept), self.loadings.shape[1] + 2)

    def lookup(self, users: I32) -> F32:
        """Return the vectors of known users without a context, shape (n, S * (k + 2))."""
        x = csr_array(self.user_rows[users])
        side = self.layout.user_side
        out = np.empty((len(users), *self.loadings.shape[:1], self.loadings.shape[1] + 2))
        for s in range(len(self.intercept)):
            p, own = parts(x, self.weights[s, side], self.loadings[s][:, side])
            out[:, s, :-2], out[:, s, -2], out[:, s, -1] = p, 1, own + self.intercept[s]
        return self._joined(out)

    def _joined(self, samples: F32 | F64) -> F32:
        """Return vectors under every sample (n, S, k + 2) side by side, each with its share."""
        share = self.targets.unit / len(self.intercept)
        return (
            (samples * share).reshape(len(samples), self.item_factors.shape[1]).astype(np.float32)
        )

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to a vector: who is asked for, and then the context, if the model read any.

        Features that are told count beside a history that is told; of a user of training those of training hold.
        """
        told = bool(queries.features and self.reads_features)
        vectors, source = self._with_features(queries) if told else super().encode(queries)
        context = self.layout.encode_context(queries)
        if context is None or not isinstance(vectors, np.ndarray):
            return Encoded(vectors, source)
        side = self.layout.context_side
        out = self.by_sample(vectors) * (len(self.intercept) / self.targets.unit)
        for s in range(len(self.intercept)):
            p, own = parts(context, self.weights[s, side], self.loadings[s][:, side])
            out[:, s, -1] += own + (out[:, s, :-2] * p).sum(axis=1)
            out[:, s, :-2] += p
        moved = np.where((source == FALLBACK)[:, None], vectors, self._joined(out))
        return Encoded(moved, source)

    def _with_features(self, queries: Queries) -> Encoded:
        """Map queries that tell features; who has neither a history nor a feature that is known falls back on popularity."""
        source = sources(self.memory.history, queries, said=True)
        vectors = np.zeros((len(queries), self.item_factors.shape[1]), np.float32)
        learned = np.flatnonzero(source == MODEL)
        vectors[learned] = self.lookup(queries.user[learned])
        taken = np.flatnonzero(source == FOLD_IN)
        asked = queries.take(taken)
        vectors[taken] = self._placed(people.told(self, asked), self._said(asked.history))
        alone = np.flatnonzero(source == CONTENT)
        vectors[alone] = self.encode_features(asked := queries.take(alone))
        silent = alone[np.diff(people.told(self, asked).indptr) == 0]
        vectors[silent], source[silent] = 0, FALLBACK
        return Encoded(vectors, source)

    def fold_in(self, histories: Histories) -> F32:
        """Return the vectors of people known by histories alone; see `_fm_people.placed`; shape (n, S * (k + 2))."""
        return self.resume(np.full(len(histories), UNKNOWN, np.int32), histories)

    def resume(self, users: I32, histories: Histories) -> F32:
        """Return the same of people whose features training knew, -1 = nobody; shape (n, S * (k + 2))."""
        return self._placed(people.columns_of(self, users), histories)

    def encode_features(self, queries: Queries) -> F32:
        """Return where people of whom such features are told stand in the mean; shape (n, S * (k + 2))."""
        assert self.by_column is not None
        return people.expected(self.by_column, people.told(self, queries))

    def encode_items(self, items: Entities) -> F32:
        """Return where items with such features stand in the mean; shape (j, S * (k + 2))."""
        assert self.by_item_column is not None
        things = self.layout.things or ()
        told = side_by_side([one.encode(items.features[one.name]) for one in things])
        return people.expected(self.by_item_column, told)

    def _placed(self, features: csr_array, histories: Histories) -> F32:
        x = people.rows_of(self, features, histories)
        return self._joined(people.placed(self, x, histories))

    def pair_values(self, vectors: F32, items: F32) -> F32:
        """Return the value of each pair of rows, sample by sample where the task has classes."""
        if not self.targets.classes:
            return self.values(np.einsum("nd,nd->n", vectors, items))
        left, right = self.by_sample(vectors), self.by_sample(items)
        mean = len(self.intercept) * np.einsum("nsd,nsd->ns", left, right).astype(np.float64)
        if self.is_sgd:
            upper = expit(mean).mean(axis=1)
            return self.targets.expected(np.stack([1 - upper, upper], axis=1))
        chances = probit.probabilities(self.cuts[None], mean).mean(axis=1)
        return self.targets.expected(chances)

    def values(self, scores: F32) -> F32:
        """Return scores as ratings, cut to the range of training; the identity for classes."""
        return self.targets.decode(scores)

    @property
    def unknown_user(self) -> F32:
        """The prior mean of a user under every sample, without features."""
        mean = self.loading_prior[:, 0, :, 0]
        own = (self.intercept + self.weight_prior[:, 0, 0])[:, None]
        prior = np.hstack([mean, np.ones((len(mean), 1)), own])
        return self._joined(prior[None].astype(np.float64))[0]

    @property
    def unknown_item(self) -> F32:
        """The prior mean of an item under every sample, without features."""
        mean = self.loading_prior[:, 0, :, 1]
        own = self.weight_prior[:, 0, 1][:, None]
        return np.hstack([mean, own, np.ones((len(mean), 1))]).ravel().astype(np.float32)
