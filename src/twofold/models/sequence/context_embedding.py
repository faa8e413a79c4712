"""Multi-context trajectory embedding: a place is predicted from the average of the embeddings of its contexts.

Zhou, Zhao, Zhang, Wen & Wang (2016), "A General Multi-Context Embedding Model for Mining Human Trajectory Data", IEEE
TKDE 28(8), MC-TEM. An event of item i has contexts: its user, its trajectory, the items around it, the hour, the
weekday, and so on. Each context f owns a vector c_f, each item a vector v_i,

    h = sum_f x_f c_f,   sum_f x_f = 1,        P(i | contexts) = exp(v_i . h) / sum_j exp(v_j . h),

and the sum of ln P over the events is raised, the softmax taken apart by negative sampling, ln sigma(v_i . h) +
sum over k drawn j of ln sigma(-v_j . h), or by a Huffman tree (Mikolov, Chen, Corrado & Dean 2013).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, NotConvergedError, did_you_mean
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.context_cbow import (
    Examples,
    Outputs,
    Tables,
    context_epoch,
    infer_users,
    room,
)
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence import _context_outputs as softmax
from twofold.models.sequence import _contexts as contexts
from twofold.models.sequence._contexts import Around, ContextCode
from twofold.models.sequence.token2vec import HierarchicalSoftmax, NegativeSampling
from twofold.progress import track
from twofold.random import generator, kernel_seed
from twofold.rank import FALLBACK, Encoded, sources
from twofold.recommend import TIME
from twofold.typing import F32, I32, I64, Bool, Rng
from twofold.vectors import Vectors

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate`"


@hyperparameters
class ContextEmbedding:
    """Predict the next item from who, where from, when and under what circumstances.

    Values are not read: every event is one visit.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2] * 20, "i": ["cafe", "bar"] * 40, "t": [8 * 3600, 20 * 3600] * 40}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> model = ContextEmbedding(factors=4, contexts=("user", "hour"), epochs=10).fit(data, rng=0)
    >>> asked = {"time": ["2026-05-04T08:30", "2026-05-04T20:30"]}
    >>> model.recommend(users=[1, 1], context=asked, k=1, exclude_seen=False)["item"].to_list()
    ['cafe', 'bar']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Size d of the embeddings."""
    contexts: tuple[str, ...] | None = None
    """What an event is told with: user, trajectory, surrounding (the items nearby), hour, weekday, weekend, hour_of_week, region (of the items nearby), and names of context columns and of item features (of the items nearby); None = all but trajectory and the region."""
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
    withheld: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Chance of a context to be left out of an example, so that any part of them can be told at serving."""
    objective: Annotated[NegativeSampling | HierarchicalSoftmax, Field(discriminator="loss")] = (
        NegativeSampling(count=10)
    )
    """How the softmax is taken apart: NegativeSampling(count=10, exponent=0.75) or HierarchicalSoftmax()."""
    subsample: NonNegativeFloat = 0.0
    """Threshold t: an event of an item with the share f of all is an example with chance sqrt(t / f); 0 = always."""
    epochs: Annotated[PositiveInt, Search(5, 50, log=True)] = 15
    """Passes over the events."""
    learning_rate: Annotated[PositiveFloat, Search(0.03, 1.0, log=True)] = 0.3
    """Step size of AdaGrad at the beginning."""
    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the step size that is gone at the end; it falls evenly."""
    reg: Annotated[NonNegativeFloat, Search(1e-4, 0.1, log=True)] = 0.0
    """L2 penalty on a row, counted once for every batch that touches it."""
    batch_size: PositiveInt = 256
    """Examples a step."""

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
        Differs from the paper: steps are AdaGrad's over small batches, contexts are withheld at random,
        surrounding items are those before the event unless `sides` is ``both``, and lists are by ln P:
        where negatives are drawn, ln P_n(i) is added to v_i . h. Features are those of the surrounding
        items, since that of the item itself is not known when one asks.
        """
        del validation
        random = generator(rng)
        memory = Memory.of(train)
        twice = [one for one in self.contexts or () if (self.contexts or ()).count(one) > 1]
        if twice:
            raise ConfigError(f"contexts got {twice[0]!r} twice; name each context once")
        if self.contexts == ():
            raise ConfigError(
                f"contexts got (), nothing to tell an event with; "
                f"{did_you_mean('', contexts.there(train))}"
            )
        events = train.interactions
        trajectory, first, stop = contexts.cut(events, self.gap, self.session)
        codes = contexts.learn_contexts(
            self.contexts, train, int(trajectory.max()) + 1, self.cell_km
        )
        near = contexts.nearby(first, stop, self.window, both=self.sides == "both")
        around = Around(
            events.user, trajectory, contexts.taken(events.item, near), events.time, events.context
        )
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
        met = np.zeros(n_features, np.bool_)
        met[feature] = True
        return FittedContextEmbedding(
            estimator=self,
            memory=memory,
            codes=codes,
            context_names=tuple(events.context),
            context_factors=tables.context,
            met=met,
            shares=tables.share,
            output_factors=tables.output,
            log_chance=bias,
            turns=softmax.turns_of(outputs, n_outputs, bias),
        )


def ascend(
    model: ContextEmbedding,
    examples: Examples,
    outputs: Outputs,
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> Tables:
    """Climb the sum of ln P over the examples; `sizes` are the rows of the contexts and of the outputs.

    As in word2vec contexts begin evenly in +-1 / (2 d) and outputs at zero.
    """
    d, kinds, n = model.factors, len(examples.told), len(examples.target)
    tables = Tables(
        ((rng.random((sizes[0], d), np.float32) - np.float32(0.5)) / np.float32(d)),
        np.zeros(sizes[0], np.float32),
        np.zeros((sizes[1], d), np.float32),
        np.zeros(sizes[1], np.float32),
        np.zeros(kinds, np.float32),
        np.zeros(kinds, np.float32),
    )
    places = room(min(model.batch_size, n), examples, outputs, tables)
    for epoch in track(range(model.epochs), "ContextEmbedding"):
        first, last = (rate_at(model, done / model.epochs) for done in (epoch, epoch + 1))
        loss = context_epoch(
            rng.permutation(n).astype(np.int32), examples, outputs, tables, *places,
            model.weights == "features", model.weights == "learned", kernel_seed(rng),
            first, last, model.reg,
        )  # fmt: skip
        if not np.isfinite(loss):
            raise NotConvergedError(f"ContextEmbedding diverged in epoch {epoch + 1}; {ADVICE}")
        log.debug("ContextEmbedding epoch %d/%d loss %.4f", epoch + 1, model.epochs, loss)
    return tables


def rate_at(model: ContextEmbedding, done: float) -> float:
    """Return the step size when the share `done` of training is over."""
    return model.learning_rate * (1 - model.decay * done)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedContextEmbedding(FittedModel):
    """The embeddings of contexts and items; the product of two vectors is ln P(i | contexts) up to a constant.

    With negative sampling a question is (h, 1) and an item (v_i, ln P_n(i)). With a tree a question is ln P of
    both turns at every inner node and an item says which turns lead to it, so that the product is ln P itself.
    """

    codes: tuple[ContextCode, ...]
    context_names: tuple[str, ...]
    """Context columns of the training log, read or not."""
    context_factors: F32  # (n_features, d)
    met: Bool  # (n_features,) whether training had a context
    shares: F32  # (kinds,) logarithms of the weights of the kinds of context
    output_factors: F32  # (n_items, d), or (inner nodes, d)
    log_chance: F32  # (n_items,)
    turns: csr_array  # (n_items, 2 inner nodes + 1); no rows with negative sampling

    @property
    def is_tree(self) -> bool:
        """Whether the softmax is a Huffman tree."""
        return isinstance(self.estimator.objective, HierarchicalSoftmax)

    # ---- vectors of their own -----------------------------------------------------------------

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
        code = self.code(name)
        rows = np.flatnonzero(self.met[code.start : code.start + code.width])
        return Vectors(code.levels.take(rows), self.context_factors[code.start + rows])

    def code(self, name: str) -> ContextCode:
        """Return how a context is coded.

        Raises
        ------
        ConfigError
            If the model does not read it.
        """
        for one in self.codes:
            if one.name == name:
                return one
        known = [one.name for one in self.codes]
        raise ConfigError(f"no context {name!r} in this model; {did_you_mean(name, known)}")

    @property
    def user_vectors(self) -> F32:
        """The embeddings of the users, shape (n_users, d).

        Raises
        ------
        ConfigError
            If users are no context of the model.
        """
        code = self.code(contexts.USER)
        return self.context_factors[code.start : code.start + code.width]

    @property
    def context_weights(self) -> dict[str, float]:
        """The weight of each context in the average, their sum 1 where all are told; all features alike where `weights` says so."""
        weight = np.exp(self.shares.astype(np.float64))
        return dict(
            zip((one.name for one in self.codes), (weight / weight.sum()).tolist(), strict=True)
        )

    @property
    def item_vectors(self) -> F32 | csr_array:
        """The items, shape (n_items, d + 1), or sparse (n_items, 2 inner nodes + 1)."""
        if self.is_tree:
            return self.turns
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

    # ---- questions ----------------------------------------------------------------------------

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, and ``time`` where the training log had times and it is read."""
        kinds = {one.name: one.kind for one in self.codes if one.source == "column"}
        moments = any(one.source == "moment" for one in self.codes)
        pauses = self.estimator.gap is not None and any(one.is_near for one in self.codes)
        if self.memory.history.time is not None and (moments or pauses):
            kinds[TIME] = "time"
        return kinds

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to a vector: who, from where, when and under what circumstances, as far as it is told.

        Raises
        ------
        ConfigError
            If a context column was not there in training, or is of another kind.
        """
        columns = [one.name for one in self.codes if one.source == "column"]
        for name in queries.context:
            if name not in self.context_names:
                raise ConfigError(f"no context column {name!r}; {did_you_mean(name, columns)}")
        when = queries.time is not None and any(one.source == "moment" for one in self.codes)
        said = when or any(name in queries.context for name in columns)
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
        """Return h, the average of the contexts that each query tells, shape (n, d); 0 where it tells none."""
        out = np.zeros((len(queries), self.context_factors.shape[1]), np.float32)
        for told in (False, True):
            rows = np.flatnonzero(queries.has_history == told)
            if len(rows):
                asked = queries.take(rows)
                history = asked.history if told else self.memory.history.take(asked.user)
                out[rows] = self._average(asked, history)
        return out

    def _average(self, asked: Queries, history: Histories) -> F32:
        """Return h of n queries whose histories are these, shape (n, d)."""
        model: ContextEmbedding = self.estimator
        n = len(asked)
        near = contexts.latest(history, asked.time, model.window, model.gap)
        around = Around(asked.user, np.full(n, UNKNOWN, np.int64), near, asked.time, asked.context)
        counts, sums = self._told(around)
        for k, one in enumerate(self.codes):
            new = np.flatnonzero((counts[:, k] == 0) & (history.lengths > 0))
            if one.source == contexts.USER and len(new):
                counts[new, k] = 1
                sums[k][new] = self._infer(history.take(new))
        return self._weighed(counts, sums)

    def _told(self, around: Around) -> tuple[I64, list[F32]]:
        """Return how many features of each kind are told, (n, kinds), and for each kind their sums, (n, d)."""
        counts = np.zeros((len(around.user), len(self.codes)), np.int64)
        sums: list[F32] = []
        for k, one in enumerate(self.codes):
            rows = one.rows(around, self.estimator.offset)
            known = self.met[rows.row]
            ends = np.concatenate([[0], np.cumsum(known)])[rows.indptr]
            shape = (len(counts), len(self.context_factors))
            row = rows.row[known]
            told = csr_array((np.ones(len(row), np.float32), row, ends), shape=shape)
            counts[:, k] = np.diff(ends)
            sums.append(np.asarray(told @ self.context_factors, np.float32))
        return counts, sums

    def _weights(self, counts: I64) -> F32:
        by_feature = self.estimator.weights == "features"
        return contexts.weights_of(counts, self.shares, by_feature=by_feature)

    def _weighed(self, counts: I64, sums: list[F32]) -> F32:
        """Return the average of n rows, (n, d)."""
        weight = self._weights(counts)
        h = np.zeros_like(sums[0])
        for k, one in enumerate(sums):
            h += weight[:, k, None] * one
        return h

    def _infer(self, history: Histories) -> F32:
        """Return embeddings of n people that explain their histories, shape (n, d)."""
        model: ContextEmbedding = self.estimator
        n = len(history.item)
        _, first, stop = contexts.cut(history, model.gap, None)
        near = contexts.nearby(first, stop, model.window, both=model.sides == "both")
        nobody = np.full(n, UNKNOWN, np.int64)
        near = contexts.taken(history.item, near)
        around = Around(nobody.astype(np.int32), nobody, near, history.time, {})
        counts, sums = self._told(around)
        k = next(at for at, one in enumerate(self.codes) if one.source == contexts.USER)
        counts[:, k] = 1
        outputs, _ = softmax.outputs_of(model.objective, self.memory.popularity)
        width = softmax.longest_way(outputs)
        out = np.zeros((len(history), model.factors), np.float32)
        infer_users(
            history.indptr, history.item, self._weighed(counts, sums),
            np.ascontiguousarray(self._weights(counts)[:, k]), outputs, self.output_factors, width,
            model.epochs, rate_at(model, 0.0), rate_at(model, 1.0), model.reg, out,
        )  # fmt: skip
        return out
