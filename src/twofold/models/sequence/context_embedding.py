"""Multi-context trajectory embedding: a place is predicted from the average of the embeddings of its contexts.

Zhou, Zhao, Zhang, Wen & Wang (2016), "A General Multi-Context Embedding Model for Mining Human Trajectory Data", IEEE
TKDE 28(8), MC-TEM. An event of item i has contexts: its user, its trajectory, the items around it, the hour, the
weekday, and so on. Each context f owns a vector c_f, each item a vector v_i,

    h = sum_f x_f c_f,        P(i | contexts) = exp(v_i . h) / sum_j exp(v_j . h),

and the sum of ln P over the events is raised, the softmax taken apart by negative sampling, ln sigma(v_i . h) +
sum over k drawn j of ln sigma(-v_j . h), or by a Huffman tree (Mikolov, Chen, Corrado & Dean 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Column, Kind
from twofold.data.dataset import Dataset
from twofold.data.entities import Levels
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels._context_arrays import Examples
from twofold.kernels.infer_contexts import infer_users
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence import _context_events as nearby_events
from twofold.models.sequence import _context_outputs as softmax
from twofold.models.sequence import _contexts as contexts
from twofold.models.sequence._context_passes import ADVICE, ascend, rate_at
from twofold.models.sequence._context_table import ContextTable
from twofold.models.sequence._contexts import Around
from twofold.models.sequence._contexts import ContextCode as ContextCode  # saved models name it
from twofold.models.sequence.token2vec import HierarchicalSoftmax, NegativeSampling
from twofold.questions import TIME
from twofold.random import generator
from twofold.rank import FALLBACK, Encoded, sources
from twofold.typing import F32, I32, Rng
from twofold.vectors import Vectors


@hyperparameters
class ContextEmbedding:
    """Predict the next item from who, where from, when and under what circumstances.

    Values are not read: every event is one visit.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2] * 20, "i": ["cafe", "bar"] * 40, "t": [8 * 3600, 20 * 3600] * 40}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> model = ContextEmbedding(factors=4, contexts=("user", "hour")).fit(data, rng=0)
    >>> asked = {"time": ["2026-05-04T08:30", "2026-05-04T20:30"]}
    >>> model.recommend(users=[1, 1], context=asked, k=1, exclude_seen=False)["item"].to_list()
    ['cafe', 'bar']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Size d of the embeddings."""
    contexts: tuple[str, ...] | None = None
    """What an event is told with: user, trajectory, surrounding (the items nearby), hour, weekday, weekend, hour_of_week, region (of the items nearby), and names of context columns and of item features (of the items nearby); None = user, surrounding, hour and weekday, and all context columns and item features of a kind that is read."""
    window: Annotated[PositiveInt, Search(1, 10)] = 2
    """How many items next to an event in its trajectory are surrounding."""
    sides: Literal["before", "both"] = "before"
    """Whether surrounding items are the ones before, as when asked what is next, or the ones after as well."""
    gap: NonNegativeFloat | None = 21_600
    """Seconds without an event that end a trajectory, where the log has times; None = a user is one trajectory."""
    session: str | None = None
    """Context column whose entries tell trajectories apart."""
    offset: Annotated[float, Field(ge=-1560, le=1560)] = 0
    """Minutes that local time is ahead of UTC, for hours and weekdays."""
    cell_km: Annotated[float, Field(ge=0.01, le=5000)] = 1.0
    """Side of the cells of regions in kilometres."""
    weights: Literal["features", "contexts", "learned"] = "contexts"
    """What the average runs over: all features alike, the contexts (each the mean of its features) alike, or the contexts by weights that are learned."""
    withheld: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.1
    """Chance of a context to be left out of an example, so that any part of them can be told at serving."""
    objective: Annotated[NegativeSampling | HierarchicalSoftmax, Field(discriminator="loss")] = (
        NegativeSampling(count=10)
    )
    """How the softmax is taken apart: NegativeSampling(count=10, exponent=0.75) or HierarchicalSoftmax()."""
    subsample: NonNegativeFloat = 0.0
    """Threshold t: an event of an item with the share f of all is an example with chance sqrt(t / f); 0 = always."""
    epochs: Annotated[PositiveInt, Search(5, 50, log=True)] = 30
    """Passes over the events."""
    learning_rate: Annotated[PositiveFloat, Search(0.03, 1.0, log=True)] = 0.3
    """Step size of AdaGrad at the beginning."""
    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the step size that is gone at the end; it falls evenly."""
    reg: Annotated[NonNegativeFloat, Search(1e-4, 0.1, log=True)] = 0.0
    """L2 penalty on a row, counted once for every batch that touches it."""
    batch_size: PositiveInt = 256
    """Examples a step, at most; fewer where a pass would have less than 50 steps."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedContextEmbedding:
        """Learn the embeddings.

        Parameters
        ----------
        train
            The log; every event is a visit, also one of a pair that occurs before.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty.
        ConfigError
            If a named context is not in the log or of a kind that is not read, or one is named twice.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the paper: the form is that of the tutorial and of CBOW, the paper's settings and tables were not compared; steps are AdaGrad's on small
        batches, one step size a row, so that threads change nothing; contexts are withheld at random (`withheld`), so that any part can be told when asked;
        surrounding items are those before the event, as when one asks what is next, unless `sides` is ``both``, and features are theirs, since the item's own
        are not known then; ln P_n(i) is added where negatives are drawn, so that lists are by ln P; subsampling and hierarchical softmax are off by default.
        """
        del validation
        memory, random = Memory.of(train), generator(rng)
        check_order(train.interactions, "ContextEmbedding")
        contexts.check_names(self.contexts, train)
        events = train.interactions
        trajectory, first, stop = nearby_events.cut(events, self.gap, self.session)
        codes = contexts.learn_contexts(
            self.contexts, train, int(trajectory.max()) + 1, self.cell_km
        )
        at = nearby_events.nearby(first, stop, self.window, both=self.sides == "both")
        near = nearby_events.taken(events.item, at)
        around = Around(events.user, trajectory, near, events.time, events.context)
        ends, feature = contexts.interleaved([one.rows(around, self.offset) for one in codes])
        n_features = sum(one.width for one in codes)
        outputs, n_outputs = softmax.outputs_of(self.objective, memory.popularity)
        keep = softmax.kept(self.subsample, memory.popularity)
        bias = softmax.log_chance(self.objective, memory.popularity, keep)
        told = np.full(len(codes), 1 - self.withheld, np.float32)
        tables = ascend(
            self, Examples(events.item, ends, feature, keep, told), outputs,
            (n_features, n_outputs), random,
        )  # fmt: skip
        for name in ("context", "output", "share"):
            check_finite(name, getattr(tables, name), ADVICE)
        table = ContextTable(
            codes=codes,
            factors=tables.context,
            met=np.bincount(feature, minlength=n_features) > 0,
            shares=tables.share,
            by_feature=self.weights == "features",
            window=self.window,
            gap=self.gap,
            offset=self.offset,
            columns=tuple(events.context),
        )
        return FittedContextEmbedding(
            estimator=self,
            memory=memory,
            contexts=table,
            output_factors=tables.output,
            log_chance=bias,
            turns=softmax.turns_of(outputs, n_outputs, bias),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedContextEmbedding(FittedModel):
    """The embeddings of contexts and items; the product of two vectors is ln P(i | contexts) up to a constant.

    With negative sampling a question is (h, 1) and an item (v_i, ln P_n(i)). With a tree a question is ln P of
    both turns at every inner node and an item says which turns lead to it, so that the product is ln P itself.
    """

    contexts: ContextTable
    output_factors: F32  # (n_items, d), or (inner nodes, d)
    log_chance: F32  # (n_items,)
    turns: csr_array  # (n_items, 2 inner nodes + 1); no rows with negative sampling

    @property
    def is_tree(self) -> bool:
        """Whether the softmax is a Huffman tree."""
        return isinstance(self.estimator.objective, HierarchicalSoftmax)

    def context_vectors(self, name: str) -> Vectors:
        """Return the embeddings of a context under what they stand for; those that training never met are left out.

        Example
        -------
        >>> from twofold.testing import planted_log
        >>> model = ContextEmbedding(factors=4, epochs=2).fit(planted_log(), rng=0)
        >>> model.context_vectors("weekday").tokens.ids.to_list()[:2]
        ['Monday', 'Tuesday']

        Raises
        ------
        ConfigError
            If the model does not read the context.
        """
        table, code = self.contexts, self.contexts.code(name)
        rows = np.flatnonzero(table.met[code.start : code.start + code.width])
        return Vectors(code.levels.take(rows), table.factors[code.start + rows])

    @property
    def user_vectors(self) -> F32:
        """The embeddings of the users, shape (n_users, d).

        Raises
        ------
        ConfigError
            If users are no context of the model.
        """
        code = self.contexts.code(contexts.USER)
        return self.contexts.factors[code.start : code.start + code.width]

    @property
    def context_weights(self) -> dict[str, float]:
        """The weight of each context, with a sum of 1; equal ones unless `weights` is ``learned``."""
        weight = np.exp(self.contexts.shares.astype(np.float64))
        names = [one.name for one in self.contexts.codes]
        return dict(zip(names, (weight / weight.sum()).tolist(), strict=True))

    @property
    def item_vectors(self) -> F32 | csr_array:
        """The items, shape (n_items, d + 1), or sparse (n_items, 2 inner nodes + 1)."""
        return self.turns if self.is_tree else self._item_vectors

    @cached_property
    def _item_vectors(self) -> F32:
        return np.column_stack([self.output_factors, self.log_chance])

    def similarity_of(self, vectors: F32) -> F32:
        """Return item vectors (j, d + 1) without ln P_n, shape (j, d)."""
        return np.ascontiguousarray(vectors[:, :-1])

    @property
    def similarity_vectors(self) -> F32:
        """The v_i, shape (n_items, d); with a tree the mean of the nodes on the way, signed by the turns."""
        if not self.is_tree:
            return self.output_factors
        return softmax.mean_turns(self.turns, self.output_factors)

    @property
    def unknown_item(self) -> F32:
        """An item that is as rare as the rarest, shape (d + 1,) or (2 inner nodes + 1,)."""
        rarest = int(np.argmin(self.memory.popularity))
        if self.is_tree:
            return self.turns[[rarest]].toarray()[0]
        return np.append(np.zeros(self.output_factors.shape[1]), self.log_chance[rarest]).astype(
            np.float32
        )

    @property
    def unknown_user(self) -> F32:
        """Somebody of whom nothing is known: h = 0."""
        return self._asked(np.zeros((1, self.output_factors.shape[1]), np.float32))[0]

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, and ``time`` where the training log had times and it is read."""
        kinds = dict(self.contexts.kinds)
        if self.memory.history.time is not None and (self.contexts.moments or self.contexts.pauses):
            kinds[TIME] = "time"
        return kinds

    @property
    def context_levels(self) -> Levels:
        """The values that training met of the context columns that are read, and of hours and weekdays."""
        return self.contexts.levels

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the hours and weekdays of the time of questions, where they are read."""
        return self.contexts.moments_of(queries)

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to a vector: who, from where, when and under what circumstances, as far as it is told.

        Raises
        ------
        ConfigError
            If a context column was not there in training, or is of another kind.
        """
        said = self.contexts.said(queries)
        source = sources(self.memory.history, queries, said=said)
        vectors = self._asked(self.aggregate(queries))
        keep = (source != FALLBACK).astype(np.float32)[:, None]
        if isinstance(vectors, np.ndarray):
            return Encoded(vectors * keep, source)
        return Encoded(csr_array(vectors.multiply(keep)), source)

    def lookup(self, users: I32) -> F32:
        """Return the vectors of known users with their last places and no time, (n, d + 1) or (n, 2 inner nodes + 1)."""
        return self._asked(self.aggregate(Queries.known(users)))

    def fold_in(self, histories: Histories) -> F32:
        """Return the vectors of people known by a history alone, (n, d + 1) or (n, 2 inner nodes + 1).

        Their last places are told as those of anybody. In place of the user's own embedding stands one that is
        inferred from the history, all else kept, as for a new paragraph (Le & Mikolov 2014).
        """
        return self._asked(self.aggregate(Queries.of_histories(histories)))

    def _asked(self, h: F32) -> F32:
        """Return what is held against the items, given h (n, d)."""
        if self.is_tree:
            return softmax.log_turns(h, self.output_factors)
        return np.column_stack([h, np.ones(len(h), np.float32)])

    def aggregate(self, queries: Queries) -> F32:
        """Return h, the weighted sum of the contexts that each query tells, shape (n, d); 0 where it tells none."""
        out = np.zeros((len(queries), self.estimator.factors), np.float32)
        for told in (False, True):
            rows = np.flatnonzero(queries.has_history == told)
            if not len(rows):
                continue
            asked = queries.take(rows)
            history = asked.history if told else self.memory.history.take(asked.user)
            counts, sums = self.contexts.asked(asked, history)
            k, new = self.contexts.strangers(counts, history)
            if len(new):
                counts[new, k] = 1
                sums[k][new] = self._infer(history.take(new), k)
            out[rows] = self.contexts.weighed(counts, sums)
        return out

    def _infer(self, history: Histories, k: int) -> F32:
        """Return embeddings of n people, the kind `k` of context, that explain their histories; shape (n, d)."""
        model: ContextEmbedding = self.estimator
        counts, sums = self.contexts.events(history, both=model.sides == "both")
        counts[:, k] = 1
        outputs, _ = softmax.outputs_of(model.objective, self.memory.popularity)
        out = np.zeros((len(history), model.factors), np.float32)
        infer_users(
            history.indptr, history.item, self.contexts.weighed(counts, sums),
            np.ascontiguousarray(self.contexts.weights(counts)[:, k]), outputs, self.output_factors,
            softmax.longest_way(outputs), model.epochs, rate_at(model, 0.0), rate_at(model, 1.0),
            model.reg, out,
        )  # fmt: skip
        return out
