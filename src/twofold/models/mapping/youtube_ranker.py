"""Ranking by expected watch time: weighted logistic regression over impressions, under a small network.

Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations", RecSys, section 4. Impressions
that were clicked count with their watch time T_i, the others with 1, so that the odds that are learned are

    e^(Wx + b) ~ sum of T_i / (N - k) = E[T] / (1 - P) ~ E[T] (1 + P)

for N impressions with k clicks: about the expected watch time where the click probability P is small.

Differs from the paper: the inputs are those that any log has (item, watched items, columns, earlier impressions, channel, scores of
candidate models); numbers go in less their means; from a share `unsaid` of the impressions the columns of the person, the circumstances
or both are withheld, and from another the scores of candidate models, so that somebody known by history alone is ranked well; what was
passed by is drawn, or taken from lists of candidate models, where a log does not say it; training begins at the best constant, and the
step falls to 0 unless `decay` is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array, diags_array, eye_array

from twofold.data.columns import Column, Kind
from twofold.data.dataset import Dataset
from twofold.data.file_order import in_drawn_order
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import need
from twofold.features.table import TableCode
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.dense import products_by_row
from twofold.models._base import Memory, check_finite
from twofold.models._shown import Shown
from twofold.models.mapping import _youtube_impressions as impressions
from twofold.models.mapping import _youtube_inputs as inputs
from twofold.models.mapping._youtube_columns import ReadsColumns
from twofold.models.mapping._youtube_impressions import Pairs
from twofold.models.mapping._youtube_inputs import Block, Side
from twofold.models.mapping._youtube_layers import dense_layers, first_layer
from twofold.questions import TIME
from twofold.random import generator
from twofold.rank import FALLBACK, Encoded, sources
from twofold.typing import F32, I32, I64, Rng

BLOCK_PAIRS = 65_536
"""Pairs that are scored at once."""
LARGEST = 80.0
"""The largest logit: e^80 is a float32."""


@hyperparameters
class YouTubeRanker:
    """Rank candidates by their expected watch time.

    The value of an event is the watch time of an impression, in any unit; 0 is an impression without a click. A log
    without zeros says nothing of what was passed by: behind candidate models (`Pipeline`) their lists do; else `negatives`
    items a watch, drawn from those that the user never touched, and scores are relative to that number. Impressions of one
    moment see nothing of each other; without times all that a person did comes in an order drawn at random.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> ranker = YouTubeRanker(epochs=8).fit(planted_log(), rng=0)
    >>> first = ranker.recommend(histories=[["i1", "i5", "i9"]], k=1)["item"][0]
    >>> int(first[1:]) % 2
    1
    """

    hidden: tuple[PositiveInt, ...] = (64, 32)
    """Widths of the ReLU layers; () is weighted logistic regression, the paper has 1024-512-256."""
    dimensions_per_bit: Annotated[PositiveFloat, Search(0.5, 4, log=True)] = 2.0
    """Size of the item embeddings: this times log2 of their number."""
    watches: PositiveInt = 20
    """How many of the last watches are averaged."""
    channel: str | None = None
    """Category feature of the items whose watches are counted and dated (uploader, genre, department)."""
    features: tuple[str, ...] | None = None
    """User features, item features and context columns to read; None reads all that can be read, () none."""
    min_count: PositiveInt = 1
    """Impressions that must show an item, and people, items or events that must have a level, for it to have a vector; others are zero."""
    weighted: bool = True
    """Whether clicks count with their watch time; otherwise the odds of a click are learned."""
    negatives: PositiveInt = 4
    """Unobserved items drawn for each watch of a log without impressions that were passed by."""
    unsaid: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of impressions from which the columns of the user, the circumstances or both are withheld, for questions that do not tell them."""
    reg: NonNegativeFloat = 0.0
    """L2 penalty on all weights."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True)] = 2e-3
    """Step size of Adam."""
    decay: bool = True
    """Let the step fall in a line to 0 over the epochs: expected watch times then do not depend on the last batches."""
    batch_size: PositiveInt | None = None
    """Impressions a step; None = 256, or as many as leave a pass 200 steps where there are few."""
    epochs: Annotated[PositiveInt, Search(2, 30)] = 5
    """Passes over the impressions."""

    learns_from_lists: ClassVar[bool] = True

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        rng: Rng = None,
        shown: Shown | None = None,
    ) -> FittedYouTubeRanker:
        """Train the network.

        Parameters
        ----------
        train
            Impressions with their watch times; one sees what came before its moment alone.
        validation
            Not used.
        shown
            Lists to learn from in place of the impressions of `train`; a pipeline makes them.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, a watch time is negative, nothing was clicked, or everybody touched everything.
        ConfigError
            If a named column does not exist, or `channel` is no category.
        MissingDependencyError
            If torch is not installed.
        NotConvergedError
            If training leaves the finite numbers.
        """
        del validation
        random = generator(rng)
        if train.interactions.time is None:
            train = in_drawn_order(train, random.spawn(1)[0])
        memory, events = Memory.of(train), train.interactions
        impressions.check_watch_times(events)
        memory = replace(memory, popularity=impressions.clicks(events))
        need("torch", "deep")
        from twofold.models.mapping import _youtube_ranking as ranking  # needs torch

        asked = impressions.asked_of(events, shown, self.negatives, random)
        pairs, item = asked.pairs, asked.pairs.item
        unread = FittedYouTubeRanker.learn(self, memory, train)
        named = impressions.named_columns(asked.named)
        columns = {**unread.pair_columns(memory.history, pairs), **named}
        unread = replace(unread, pair_code=inputs.learn_columns(columns, None, 1))
        pair = inputs.encode_columns(unread.pair_code, columns, len(item)).dense
        there = inputs.encode_columns(unread.context_code, events.context, len(events))
        told = sum(one.width for one in unread.pair_code.codes if one.name in named)
        sides = [
            Side(unread.item_block, item.astype(np.int64)),
            Side(unread.watched_block(memory.history, pairs.who, pairs.stop), np.arange(len(item))),
            Side(unread.everybody, pairs.who.astype(np.int64)),
            Side(there, asked.event.astype(np.int64)),
        ]
        weights = ranking.fit_ranking(self, sides, pair, told, asked.value, random)
        for name, array in weights.items():
            check_finite(name, np.atleast_2d(array), "lower learning_rate")
        return replace(unread, weights=weights)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedYouTubeRanker(ReadsColumns):
    """The network. As a model of its own it scores the whole catalogue: a query's vector holds all its scores."""

    item_code: TableCode
    pair_code: TableCode  # of what a person did with an item, and of the scores of candidate models
    shown: F32  # (n_items,) number of training events
    newest: int  # newest time of training, which questions without a time have; -1 without times
    weights: Mapping[str, F32]

    @classmethod
    def learn(cls, model: YouTubeRanker, memory: Memory, train: Dataset) -> FittedYouTubeRanker:
        """Return the model as it is before training: with codes of the columns and no weights."""
        people, things = train.users.features, train.items.features
        events = train.interactions
        inputs.check_names("YouTubeRanker", model.features, people, things, events.context)
        impressions.check_channel(model.channel, things)
        rows = events.active_users, events.active_items, None
        user, item, context = (
            inputs.learn_columns(columns, model.features, model.min_count, told)
            for columns, told in zip((people, things, events.context), rows, strict=True)
        )
        return cls(
            estimator=model,
            memory=memory,
            user_code=user,
            item_code=item,
            context_code=context,
            context_names=tuple(events.context),
            pair_code=inputs.learn_columns({}, None, 1),
            shown=events.item_counts.astype(np.float32),
            newest=-1 if events.time is None else int(events.time.max()),
            weights={},
        )

    @cached_property
    def item_block(self) -> Block:
        """What is read of every item: its own id, none for an item of too few impressions, and its columns."""
        n, known = len(self.items), self.shown >= self.estimator.min_count
        own = csr_array(diags_array(known.astype(np.float32), format="csr", dtype=np.float32))
        own.eliminate_zeros()
        columns = inputs.encode_columns(self.item_code, self.items.features, n)
        return inputs.joined(Block((own,), np.zeros((n, 0), np.float32)), columns)

    def watched_block(self, histories: Histories, who: I64, stop: I64) -> Block:
        """Return the means of the last clicks before `stop` (n,) of histories `who` (n,); items of too few impressions are zero."""
        watched = impressions.last_watched(
            histories, who, stop, self.estimator.watches, len(self.items)
        )
        watched.data *= (self.shown >= self.estimator.min_count)[watched.indices]
        return Block((watched,), np.zeros((len(who), 0), np.float32))

    def query_block(
        self,
        histories: Histories,
        who: I64,
        stop: I64,
        people: Block,
        context: Mapping[str, Column],
    ) -> Block:
        """Return what is read of n people and circumstances, clicks before `stop` (n,) of histories `who` (n,) first."""
        return inputs.joined(
            self.watched_block(histories, who, stop),
            people,
            inputs.encode_columns(self.context_code, context, len(who)),
        )

    @property
    def n_named(self) -> int:
        """Number of candidate models whose scores are read; 0 after training on a log alone."""
        return impressions.n_named(self.pair_code)

    def pair_columns(self, histories: Histories, pairs: Pairs) -> dict[str, Column]:
        """Return the continuous features of pairs; see `_youtube_impressions.pair_columns`."""
        channel = impressions.channel_codes(self.estimator.channel, self.items.features)
        return impressions.pair_columns(histories, pairs, len(self.items), *channel)

    def score(self, queries: Queries, items: I32, named: F32 | None = None) -> F32:
        """Return the expected watch time e^(Wx + b) of candidates.

        Parameters
        ----------
        queries
            n people; those without a time are asked for at the newest time of training.
        items : shape (n, c)
            Rows of the catalogue; -1 = none.
        named : shape (n, c, J)
            How the candidate models of training score them, NaN where one does not name an item; None = not known.

        Returns
        -------
        F32, shape (n, c)
            > 0, in the unit of the training values; -inf where there is no item.

        Raises
        ------
        DataError
            If `items` has another shape, or a row past the catalogue.
        ConfigError
            If a context column or feature was not there in training.
        """
        items = impressions.check_candidates(items, len(queries), len(self.items))
        impressions.check_named(named, items.shape, self.n_named)
        self.check(queries)
        out = np.full(items.shape, -np.inf, np.float32)
        step = max(1, BLOCK_PAIRS // max(items.shape[1], 1))
        for said in (False, True):
            chosen = np.flatnonzero(queries.has_history == said)
            for first in range(0, len(chosen), step):
                rows = chosen[first : first + step]
                row, place = np.nonzero(items[rows] != UNKNOWN)
                given = None if named is None else named[rows][row, place]
                logit = self.logits(queries.take(rows), row, items[rows][row, place], given)
                out[rows[row], place] = np.exp(np.minimum(logit, LARGEST))
        return out

    def logits(self, queries: Queries, who: I64, item: I32, named: F32 | None) -> F32:
        """Return W x + b of P pairs of a query row and an item; all have a history of their own, or none."""
        history, now, stop = impressions.asked_when(queries, self.memory.history, self.newest)
        everybody = np.arange(len(queries))
        people = self.people_block(queries)
        query = self.query_block(history, everybody, stop, people, queries.context)
        pairs = Pairs(who.astype(np.int64), stop[who], item, now[who])
        columns = {**self.pair_columns(history, pairs), **impressions.named_columns(named)}
        pair = inputs.encode_columns(self.pair_code, columns, len(item))
        mine, width = self.items_through
        table = len(self.item_block.fields) - 1
        left, used = first_layer(self.weights, query, table, width)
        first = self.weights["layers.layers.0.weight"][used:]
        x = left[who] + mine[item]
        x = x + products_by_row(pair.dense, first)
        x = x + self.weights["layers.layers.0.bias"]
        if self.estimator.hidden:
            x = dense_layers(np.maximum(x, 0), self.weights, "layers", last_relu=False, skip=1)
        return x[:, 0]

    @cached_property
    def items_through(self) -> tuple[F32, int]:
        """The part of the first layer that reads each item, (n_items, width), and how many numbers that are."""
        return first_layer(self.weights, self.item_block, 0, 0)

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, and ``time`` where the log has times."""
        kinds: dict[str, Kind] = {one.name: one.kind for one in self.context_code.codes}
        return kinds if self.newest < 0 else {**kinds, TIME: "time"}

    @property
    def item_vectors(self) -> csr_array:
        """The identity: a query's vector holds its scores; shape (n_items, n_items)."""
        return csr_array(eye_array(len(self.items), format="csr"), dtype=np.float32)

    @property
    def similarity_vectors(self) -> F32:
        """The embeddings of the items, shape (n_items, d)."""
        known = self.shown >= self.estimator.min_count
        return self.weights["items.weight"] * known[:, None].astype(np.float32)

    @property
    def unknown_user(self) -> F32:
        """The scores for somebody of whom nothing is known, shape (n_items,)."""
        return self.everything(Queries.known(np.full(1, UNKNOWN, np.int32)))[0]

    def everything(self, queries: Queries) -> F32:
        """Return the score of every item, shape (n, n_items)."""
        every = np.arange(len(self.items), dtype=np.int32)
        return self.score(queries, np.broadcast_to(every, (len(queries), len(every))))

    def lookup(self, users: I32) -> F32:
        """Return the scores of known users for every item, shape (n, n_items)."""
        return self.everything(Queries.known(users))

    def fold_in(self, histories: Histories) -> F32:
        """Return the scores of people known by a history alone, shape (n, n_items)."""
        return self.everything(Queries.of_histories(histories))

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to its scores for every item, shape (n, n_items)."""
        source = sources(self.memory.history, queries, said=self.check(queries))
        vectors = self.everything(queries)
        vectors[source == FALLBACK] = 0
        return Encoded(vectors, source)
