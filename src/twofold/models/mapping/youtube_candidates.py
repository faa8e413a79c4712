"""Candidate generation as at YouTube: a deep softmax over items, served as a nearest-neighbour search.

Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations", RecSys, section 3.
With u = u(U, C) the output of a tower of ReLU layers and v_i a vector of each item,

    P(w_t = i | U, C) = exp(v_i . u) / sum_j exp(v_j . u).

The tower reads, side by side: the mean of the embeddings of the last watches, the mean of those of search tokens,
embedded categories and normalised numbers of the user and of the circumstances, and the *age of the example* (0 at serving).

Differs from the paper: numbers and the age go in with their square and root, numbers less their means, and sizes of the embeddings of categories grow with log2
of their number (as in the paper's ranker); the softmax is exact where there are no more items than `negatives`; columns, and on
request watches, are withheld from some examples; these are drawn anew before each pass, and users with fewer events than the cap have
fewer; layers after the first take smaller steps (`hidden_step`); an item bias can be had, and a norm of what goes into a ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Kind, Text
from twofold.data.dataset import Dataset
from twofold.data.entities import Levels
from twofold.data.file_order import in_drawn_order
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import need
from twofold.features.design import filled
from twofold.features.table import POWERS
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import Memory, check_finite
from twofold.models.mapping import _youtube_inputs as inputs
from twofold.models.mapping import _youtube_searches as searching
from twofold.models.mapping._youtube_columns import ReadsColumns
from twofold.models.mapping._youtube_inputs import Block, Side, Sides
from twofold.models.mapping._youtube_layers import dense_layers
from twofold.random import generator
from twofold.rank import FALLBACK, Encoded, sources
from twofold.typing import F32, I32, I64, Rng

HELD_OUT = 5000
"""Most held-out events that validation looks at."""


@hyperparameters
class YouTubeCandidates:
    """Predict the next item from averaged watches, searches and features by a deep softmax.

    Values are not read: every event is a watch. Events of one moment, and all that a person did where there are no
    times, come before each other in an order drawn at random before each pass; without times there is no age.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> model = YouTubeCandidates(factors=8, epochs=20).fit(planted_log(), rng=0)
    >>> odd = model.recommend(histories=[["i1", "i5", "i9"]], k=3)["item"].to_list()
    >>> all(int(one[1:]) % 2 for one in odd)
    True
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """d: size of the embeddings and of u; the paper has 256."""
    depth: Annotated[int, Field(ge=0, le=4), Search(0, 4)] = 1
    """Layers of the tower: 0 is a linear map to d, 1 is d, 2 is 2d-d, 3 is 4d-2d-d, 4 is 8d-4d-2d-d, with ReLU."""
    watches: Annotated[PositiveInt, Search(5, 100, log=True)] = 50
    """How many of the last watches are averaged."""
    searches: str | None = None
    """Context column or user feature of kind text with what people searched for; None = no searches."""
    search_tokens: PositiveInt = 50
    """How many of the last search tokens (words and pairs of words) are averaged."""
    search_vocabulary: PositiveInt = 100_000
    """Search tokens that are kept, the most frequent ones."""
    features: tuple[str, ...] | None = None
    """User features and context columns to read; None reads all that can be read, () none."""
    min_count: PositiveInt = 1
    """People, or events for circumstances, that must have a level of a category for it to have a vector; others are zero."""
    example_age: bool = True
    """Whether the age of the example is read: newest time of training less its own, 0 at serving."""
    examples_per_user: PositiveInt = 100
    """Training examples a user and pass: so many random events, or all where there are fewer."""
    labels: Literal["future", "random"] = "future"
    """What an example sees: what came before its label, or what lies around it."""
    negatives: PositiveInt = 4000
    """Sampled items a batch, with ln Q taken off; all items where the catalogue is no larger."""
    negatives_exponent: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Items are sampled in proportion to (1 + their number of examples) to this power."""
    item_bias: bool = False
    """Whether each item has a bias beside v_i; it is one more coordinate at serving."""
    layer_norm: bool = False
    """Whether what goes into a ReLU is brought to mean 0 and variance 1 first; for deep towers whose layers take whole steps. Depth 0 has none."""
    watch_dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.6)] = 0.0
    """Share of the watches of an example that is left out in training, at random; the others count the more."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of units of the hidden layers that is zeroed in training; depth 0 and 1 have none."""
    unsaid: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of examples from which the columns of the user, the circumstances or both are withheld, for questions that do not tell them."""
    reg: NonNegativeFloat = 0.0
    """L2 penalty on all weights."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True)] = 2e-3
    """Step size of Adam."""
    hidden_step: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of `learning_rate` that layers after the first one take, which depth 0 and 1 do not have; with whole steps they learn people by heart."""
    decay: bool = False
    """Whether the step falls in a line to 0 over the `epochs`."""
    batch_size: PositiveInt | None = None
    """Examples a step; None = 512, or as many as leave a pass 40 steps where the log is small."""
    epochs: Annotated[PositiveInt | None, Search(2, 20)] = None
    """Passes over the examples, at most; None = 10, or as many as let an item be met 60 times on average."""
    patience: PositiveInt = 2
    """With validation: stop after so many passes without a better one."""

    @property
    def sizes(self) -> list[int]:
        """Widths of the layers of the tower, the last of them d."""
        return [self.factors * 2**at for at in reversed(range(max(self.depth, 1)))]

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedYouTubeCandidates:
        """Train the network.

        Parameters
        ----------
        train
            The log; every event is a watch, whatever its value.
        validation
            Later events: the pass with the highest mean of 1 / rank of each next item is kept.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, or a column cannot be read.
        ConfigError
            If a named column does not exist, or is of another kind.
        MissingDependencyError
            If torch is not installed.
        NotConvergedError
            If training leaves the finite numbers.
        """
        random = generator(rng)
        memory = Memory.of(train)
        need("torch", "deep")
        # torch is imported only where something is trained.
        from twofold.models.mapping import _youtube_towers as towers

        unread = FittedYouTubeCandidates.learn(self, memory, train)
        held_out = None if validation is None else unread.held_out(validation, random.spawn(1)[0])
        weights, best = towers.fit_tower(
            self, partial(unread.examples, train), train.n_items, held_out, random
        )
        model = replace(unread, weights=weights, best_epoch=best)
        check_finite("item_vectors", model.item_vectors, "lower learning_rate")
        return model


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedYouTubeCandidates(ReadsColumns):
    """The tower, and the items of the softmax; u . v_i is ln P up to a constant of the question."""

    tokens: Vocabulary
    searched: csr_array  # (n_users, n_tokens), mean of the last tokens of each user
    weights: Mapping[str, F32]
    best_epoch: int | None = None
    """Pass whose weights are kept, the last one without validation; a larger log can be learned for as long. None where an older release fitted."""

    def __post_init__(self) -> None:
        """Read words where the model was trained on searches."""
        object.__setattr__(self, "reads_text", self.estimator.searches is not None)
        object.__setattr__(self, "keeps_runs", searching.keeps_runs(self.tokens))

    @classmethod
    def learn(
        cls, model: YouTubeCandidates, memory: Memory, train: Dataset
    ) -> FittedYouTubeCandidates:
        """Return the model as it is before training: with codes of the columns and no weights."""
        people, context = train.users.features, train.interactions.context
        there = train.interactions.active_users
        inputs.check_names("YouTubeCandidates", model.features, people, context)
        tokens, searched = searching.learn_searches(
            model.searches, train, model.search_vocabulary, model.search_tokens
        )
        return cls(
            estimator=model,
            memory=memory,
            user_code=inputs.learn_columns(people, model.features, model.min_count, there),
            context_code=inputs.learn_columns(context, model.features, model.min_count),
            context_names=tuple(context),
            tokens=tokens,
            searched=searched,
            weights={},
        )

    def examples(self, train: Dataset, rng: np.random.Generator) -> tuple[Sides, I64]:
        """Return what the training examples of a pass read, and their labels (n,)."""
        model: YouTubeCandidates = self.estimator
        train = in_drawn_order(train, rng)
        events = train.interactions
        made = inputs.examples_of(events, model.labels, model.watches, model.examples_per_user, rng)
        who = events.user[made.event].astype(np.int64)
        watched = inputs.mean_of_two(made.before, made.after, events.item, train.n_items)
        fields = [inputs.thinned(watched, model.watch_dropout, rng)]
        if model.searches in events.context:
            found = searching.read_tokens(searching.searches_of(model.searches, train), self.tokens)
            stop = found.indptr[made.before[1]]
            start = np.maximum(found.indptr[events.indptr[who]], stop - model.search_tokens)
            fields.append(inputs.mean_rows(start, stop, found.ids, len(self.tokens)))
        elif model.searches is not None:
            fields.append(csr_array(self.searched[who]))
        context = inputs.taken(events.context, made.event)
        there = inputs.encode_columns(self.context_code, context, len(who))
        age = inputs.example_age(events.time if model.example_age else None, made.event)
        mine = Block(tuple(fields), inputs.powers(age))
        sides = Side.each(mine), Side(self.everybody, who), Side.each(there)
        return sides, events.item[made.event].astype(np.int64)

    def held_out(self, validation: Dataset, rng: np.random.Generator) -> tuple[Sides, I64] | None:
        """Return what held-out events of known items read, and the items: at most `HELD_OUT`, the first ones of each user.

        Each is asked for with all that its user, known or new, did before it, in training and since.
        """
        validation = in_drawn_order(validation, rng)
        events = validation.interactions
        row = self.users.ids.rows(validation.users.ids.ids)
        item = self.items.ids.rows(validation.items.ids.ids)[events.item]
        known = np.flatnonzero(item != UNKNOWN)
        if not len(known):
            return None
        place = known - events.indptr[events.user[known]]
        first = np.sort(known[np.argsort(place, kind="stable")[:HELD_OUT]])
        people, read = events.user[first], set(self.context_kinds) - {self.estimator.searches}
        asked = replace(
            Queries.known(row[people]),
            features=inputs.taken(validation.users.features, people, self.user_code.levels),
            context=inputs.taken(events.context, first, read),
        )
        (mine, columns, there), history = self.parts(asked), self.memory.history.take(row)
        watched = inputs.came_before(
            history, events, item, first, self.estimator.watches, len(self.items)
        )
        mine = mine._replace(fields=(watched, *mine.fields[1:]))
        return (Side.each(mine), Side.each(columns), Side.each(there)), item[first].astype(np.int64)

    # ---- serving ------------------------------------------------------------------------------

    @property
    def feature_levels(self) -> Levels:
        """The values of user features that have rows of their own, and any words that are read as searches."""
        words = dict.fromkeys({self.estimator.searches} & set(self.users.features))
        return {**super().feature_levels, **words}

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read."""
        kinds: dict[str, Kind] = {one.name: one.kind for one in self.context_code.codes}
        if self.estimator.searches in self.context_names:
            kinds[self.estimator.searches] = "text"
        return kinds

    @property
    def item_vectors(self) -> F32:
        """v_i, and the bias as one more coordinate if there is one; shape (n_items, d or d + 1)."""
        v = self.weights["items.weight"]
        return np.column_stack([v, self.weights["bias"]]) if self.estimator.item_bias else v

    @property
    def similarity_vectors(self) -> F32:
        """v_i alone, shape (n_items, d)."""
        return self.weights["items.weight"]

    def lookup(self, users: I32) -> F32:
        """Return u of known users from what is remembered of them, shape (n, d or d + 1)."""
        return self.forward(self.inputs(Queries.known(users)))

    def fold_in(self, histories: Histories) -> F32:
        """Return u of people known by a history alone, shape (n, d or d + 1)."""
        return self.forward(self.inputs(Queries.of_histories(histories)))

    def encode_features(self, queries: Queries) -> F32:
        """Return u of people known by features, words or circumstances, shape (n, d or d + 1)."""
        return self.forward(self.inputs(queries))

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to u, with its features, words and circumstances.

        Raises
        ------
        ConfigError
            If a context column or feature was not there in training.
        DataError
            If a column is of another kind than in training.
        """
        said, block = self.check(queries), self.inputs(queries)
        if self.estimator.searches is not None:
            said |= np.diff(block.fields[1].indptr) > 0
        source = sources(self.memory.history, queries, said=said)
        vectors = self.forward(block)
        vectors[source == FALLBACK] = 0
        return Encoded(vectors, source)

    def inputs(self, queries: Queries) -> Block:
        """Return what the tower reads of n queries."""
        return inputs.joined(*self.parts(queries))

    def parts(self, queries: Queries) -> tuple[Block, Block, Block]:
        """Return watches, searches and the age, which is 0, of n queries; their columns; and their circumstances."""
        model: YouTubeCandidates = self.estimator
        n, user = len(queries), queries.user
        known = np.where(queries.has_history, UNKNOWN, user).astype(np.int32)
        history = self.memory.history.take(known)
        if queries.has_history.any():
            history = history.joined(queries.history)
        fields = [inputs.last_items(history, model.watches, len(self.items))]
        if model.searches is not None:
            fields.append(self.searched_by(queries))
        return (
            Block(tuple(fields), inputs.powers(np.zeros(n, np.float32))),
            self.people_block(queries),
            inputs.encode_columns(self.context_code, queries.context, n),
        )

    def searched_by(self, queries: Queries) -> csr_array:
        """Return the means of the last search tokens (n, n_tokens): of what is said where it holds known ones, else of what is remembered."""
        name, most = self.estimator.searches or "", self.estimator.search_tokens
        rows = inputs.rows_of(self.searched, queries.user)
        for text in (queries.features.get(name), queries.context.get(name), queries.text):
            if isinstance(text, Text):
                rows = filled(rows, searching.last_tokens(text, self.tokens, most))
        return rows

    def forward(self, block: Block) -> F32:
        """Return u of n rows, with a 1 for the bias if there is one; shape (n, d or d + 1)."""
        pooled = [
            np.asarray(rows @ self.weights[f"tables.{at}.weight"], np.float32)
            for at, rows in enumerate(block.fields)
        ]
        own = 1 if self.estimator.searches is None else 2
        age, numbers = np.split(block.dense, [POWERS], axis=1)
        x = np.hstack([*pooled[:own], age, *pooled[own:], numbers])
        u = dense_layers(x, self.weights, "layers", last_relu=self.estimator.depth > 0)
        return np.column_stack([u, np.ones(len(u), np.float32)]) if self.estimator.item_bias else u
