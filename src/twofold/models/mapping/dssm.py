"""Deep structured semantic models (DSSM), with the convolutional path.

Huang, He, Gao, Deng, Acero & Heck (2013), "Learning Deep Structured Semantic Models for Web Search using
Clickthrough Data", CIKM; Shen, He, Gao, Deng & Mesnil (2014), "A Latent Semantic Model with
Convolutional-Pooling Structure for Information Retrieval", CIKM. With x the counts of the
words of a text, and W_1 the letter tri-grams of each word, which are given (section 3.2),

    l_1 = W_1 x,  l_i = tanh(W_i l_i-1 + b_i),  y = tanh(W_N l_N-1 + b_N),            Eq. 3
    R(Q, D) = cos(y_Q, y_D),                                                          Eq. 4
    P(D | Q) = exp(gamma R(Q, D)) / sum over D' in {D+, D-_1 ... D-_J} of exp(gamma R(Q, D')),   Eq. 5
    L = - sum over the clicked pairs of ln P(D+ | Q),                                 Eq. 6

where D-_j are drawn uniformly from the documents that were not clicked. First weights are uniform in
+-sqrt(6 / (fan_in + fan_out)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Text
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.errors import need
from twofold.features.text import Weight
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import Memory, check_finite
from twofold.models._scarce import say_scarce
from twofold.models.baselines._pairs import binary
from twofold.models.mapping import _dssm_serving as serving
from twofold.models.mapping._content import content_column
from twofold.models.mapping._dssm_columns import query_column, said_by, say_passed_over, texts_of
from twofold.models.mapping._dssm_known import KnownByWords
from twofold.models.mapping._dssm_pairs import pairs_dataset as pairs_dataset
from twofold.models.mapping._dssm_text import TextCode, TextRows, bags_of, learn_texts, stacked_rows
from twofold.nn.optimisers import Adam, Optimiser
from twofold.random import generator
from twofold.rank import CONTENT, Encoded
from twofold.typing import F32, Bool, Rng

ADVICE = "lower the learning rate of `optimiser`"


@hyperparameters
class Dense:
    """Dense layers on the counts of a text (Huang et al. 2013)."""

    kind: Literal["dense"] = "dense"
    """The tag in files."""
    hidden: tuple[PositiveInt, ...] = (300, 300)
    """Widths of the layers before the last; none leaves one layer."""
    activation: Literal["tanh", "identity"] = "tanh"
    """After every layer; identity makes the map linear."""
    start: Literal["drawn", "components"] = "components"
    """How training begins: where cosines are nearly those of the weighted words, the first layer at their principal directions, for
    n-grams at the sums nearest to these, and later layers at the identity; or at weights drawn at random (the paper)."""


@hyperparameters
class Convolution:
    """A convolution over the words in order, the maximum over all places, one dense layer (Shen et al. 2014)."""

    kind: Literal["convolution"] = "convolution"
    """The tag in files."""
    filters: PositiveInt = 300
    """Width of the convolution."""
    window: Literal[1, 3, 5, 7] = 3
    """Words that a filter sees at once."""
    longest: PositiveInt = 100
    """Words of a text that are read."""


@hyperparameters
class DSSM:
    """Map the words of people and of items into one space where what was clicked lies close.

    People are known by a text of their own, or by the texts of the items of their history; words that
    are said in a query go the same way. Items are known by their texts alone.

    Notes
    -----
    Differs from the papers: a history can be the query, as the mean of its items' rows (the maximum, for the
    convolution), in training of a random stretch of at most `history` of them and never with the item that is to be
    found, whose words would give it away; negatives that the user has are left out of the sum; words of dense towers are
    weighted by tf-idf and n-grams by their rarity, both scaled to length 1, unless ``weight="count"`` (the papers); the
    steps are Adam's unless `optimiser` says otherwise; the convolution and the layer after it have biases; both sides share
    one tower where queries are histories, unless ``towers="separate"`` (the papers), and dense ones begin at the
    principal directions of the words, where the papers draw all weights (``start="drawn"``); no validation part stops
    training. The papers give no value of gamma.

    Example
    -------
    >>> import twofold as tw
    >>> dssm = tw.models.DSSM(encoder={"kind": "dense", "hidden": (16,)}, factors=8, content="title", epochs=30)
    >>> model = dssm.fit(tw.testing.planted_log(), rng=0)
    >>> new = {"item": ["n1", "n2"], "title": ["an even thing", "an odd thing"], "tags": [[], []]}
    >>> longer = model.with_items(new)
    >>> longer.recommend(users=[100], allow=["n1", "n2"], k=1)["item"].to_list()
    ['n1']
    >>> longer.recommend(text=["something odd"], allow=["n1", "n2"], k=1)["item"].to_list()
    ['n2']
    """

    encoder: Annotated[Dense | Convolution, Field(discriminator="kind")] = Dense()
    """The layers of a tower: Dense(hidden=(300, 300)) or Convolution(filters=300, window=3)."""
    factors: Annotated[int, Field(ge=2), Search(32, 256, log=True)] = 128
    """Width of the last layer; with one, every cosine would be 1 or -1."""
    towers: Annotated[
        Literal["separate", "shared"] | None, Search(choices=("separate", "shared"))
    ] = None
    """Whether queries and items have layers of their own (the papers) or the same ones; None is shared where all people are known
    by the texts of the items that they had, and separate where they have texts of their own."""
    inputs: Literal["ngrams", "words"] = "ngrams"
    """What a tower counts: letter n-grams of the words, or the words as they stand."""
    ngram: Annotated[PositiveInt, Field(le=10)] = 3
    """Letters of an n-gram, with # at both ends of a word."""
    vocabulary: PositiveInt = 50_000
    """Words, and letter n-grams, that are kept: those in most texts."""
    weight: Weight = "tfidf"
    """How the words of a dense tower are weighted: count (the paper); or tfidf or bm25, with n-grams by their rarity."""
    content: str | None = None
    """The item feature with the words (bag, tags or text); None is the only bag or text feature."""
    query: str | None = None
    """The user feature with the words (bag, tags or text); None is the only bag or text feature, if there is one, "" none."""
    history: Annotated[int, Field(ge=2)] = 50
    """Items of a history that are read at a time in training."""
    gamma: Annotated[PositiveFloat, Search(3, 50, log=True)] = 10.0
    """Smoothing of the softmax, to be set on held-out data."""
    negatives: PositiveInt = 4
    """J: items that are drawn beside the clicked one, at most as many as there are."""
    drawn: Literal["each", "batch"] = "each"
    """Whether every pair has its own J items (the papers) or all pairs of a batch the same, of which there can be many."""
    dealt: Literal["pairs", "people"] = "pairs"
    """Whether a batch holds pairs drawn at random (the papers), or all pairs of some people, whose histories are then read once."""
    optimiser: Optimiser = Adam()
    """How steps are taken; SGD(learning_rate=...) in the papers."""
    epochs: Annotated[PositiveInt, Search(2, 40, log=True)] = 10
    """Passes over the pairs."""
    batch_size: PositiveInt = 1024
    """Pairs a step."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedDSSM:
        """Train both towers on the pairs of the log.

        Parameters
        ----------
        train
            The log, with words of the items and, if people are to be known by theirs, of the users. A
            pair that occurs more than once counts once; values are not read. Pairs without a known
            word on one side are passed over.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, no item has a word, or no pair is left to learn from.
        ConfigError
            If `content` or `query` names a feature that is not there or holds no words.
        NotConvergedError
            If the towers leave the finite numbers.
        MissingDependencyError
            If torch is not installed.
        """
        del validation
        memory = Memory.of(train)
        column = content_column("DSSM", self.content, train.items)
        asked = query_column("DSSM", self.query, train.users)
        if asked is not None and self.query is None:
            say_passed_over(asked, train)
        need("torch", "deep")
        columns = [texts_of(column, train.items)]
        columns += [texts_of(asked, train.users)] if asked else []
        code = read_code(self, columns, said_by(column, asked))
        if code.grams is None:
            say_scarce(said_by(column, asked), code.words.texts_with, code.words.n_texts)
        texts = code.read(columns[0])
        for one in columns[1:]:
            texts = stacked_rows(texts, code.read(one))
        taken = binary(memory.history, train.n_items)
        bags = bags_of(taken, texts.known)
        shared = self.towers == "shared" or (self.towers is None and asked is None)
        of_query, of_item = learned(
            self, taken, bags, texts, code.width, generator(rng), shared=shared
        )
        items = texts.first(train.n_items)
        tanh = is_tanh(self)
        said = serving.together(of_query, serving.represent(of_query, texts), bags)
        shown = serving.represent(of_item, items)
        u = serving.vectors(of_query, said, np.diff(bags.indptr) > 0, tanh=tanh)
        v = serving.vectors(of_item, shown, items.known, tanh=tanh)
        check_finite("user_factors", u, ADVICE)
        check_finite("item_factors", v, ADVICE)
        return FittedDSSM(
            estimator=self,
            memory=memory,
            column=column,
            asked=asked,
            code=code,
            query_tower=of_query,
            item_tower=of_item,
            user_factors=u,
            item_factors=v,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDSSM(KnownByWords):
    """Two towers; vectors are of length 1, so that their product is the cosine.

    Items, histories and queries without a known word are the zero vector: such an item has cosine 0 with
    everybody, and such a person is answered by popularity.
    """

    reads_text: ClassVar[bool] = True
    reads_content: ClassVar[bool] = True

    query_tower: Mapping[str, F32]
    item_tower: Mapping[str, F32]

    def __post_init__(self) -> None:
        """Read features of people where a tower was trained on one, and words as the code has them."""
        object.__setattr__(self, "keeps_runs", self.code.whole)
        object.__setattr__(self, "reads_features", self.asked is not None)

    def fold_in(self, histories: Histories) -> F32:
        """Map the texts of histories, shape (n, d)."""
        taken = binary(histories, len(self.item_factors))
        bags = bags_of(taken, self._history_texts[1])
        said = serving.together(self.query_tower, self._history_texts[0], bags)
        return self._through(self.query_tower, said, np.diff(bags.indptr) > 0)

    def encode_features(self, queries: Queries) -> F32:
        """Map words that are said by people, else of them, shape (n, d); zero without a known word."""
        out = np.zeros((len(queries), self.item_factors.shape[1]), np.float32)
        for texts in self.words_of(queries):
            found = self._of_texts(self.query_tower, texts)
            out = np.where(np.any(found, axis=1, keepdims=True), found, out)
        return out

    def beside(self, queries: Queries, answer: Encoded) -> Encoded:
        """Answer known words in place of the history, as in training: who has words asks with them."""
        said = self.encode_features(queries)
        speaks = np.any(said, axis=1)
        source = np.where(speaks, np.uint8(CONTENT), answer.source).astype(np.uint8)
        return Encoded(np.where(speaks[:, None], said, np.asarray(answer.vectors)), source)

    def encode_items(self, items: Entities) -> F32:
        """Map the texts of new items, shape (j, d)."""
        return self._of_texts(self.item_tower, texts_of(self.column, items))

    def _of_texts(self, tower: Mapping[str, F32], column: Text | Bag) -> F32:
        texts = self.code.read(column)
        return self._through(tower, serving.represent(tower, texts), texts.known)

    def _through(self, tower: Mapping[str, F32], x: F32, known: Bool) -> F32:
        return serving.vectors(tower, x, known, tanh=is_tanh(self.estimator))

    @cached_property
    def _history_texts(self) -> tuple[F32, Bool]:
        """What the query tower makes of the items' texts (n_items, width), and which have known words."""
        texts = self.code.read(texts_of(self.column, self.memory.items))
        return serving.represent(self.query_tower, texts), texts.known


def read_code(model: DSSM, columns: Sequence[Text | Bag], what: str) -> TextCode:
    """Collect the words and n-grams of the columns of items and users, which `what` names."""
    convolves = isinstance(model.encoder, Convolution)
    return learn_texts(
        columns,
        what,
        n=model.ngram if model.inputs == "ngrams" else None,
        most=model.vocabulary,
        weight=model.weight,
        ordered=convolves,
        longest=model.encoder.longest if isinstance(model.encoder, Convolution) else None,
    )


def is_tanh(model: DSSM) -> bool:
    """Say whether layers end in tanh."""
    return isinstance(model.encoder, Convolution) or model.encoder.activation == "tanh"


def learned(
    model: DSSM,
    taken: csr_array,
    bags: csr_array,
    texts: TextRows,
    width: int,
    rng: np.random.Generator,
    *,
    shared: bool,
) -> tuple[Mapping[str, F32], Mapping[str, F32]]:
    """Return the trained weights of the query tower and of the item tower, `shared` the same ones."""
    # torch is an optional part of the package.
    from twofold.models.mapping._dssm_start import begin_at_words
    from twofold.models.mapping._dssm_towers import PairLoss, clicks_of, draw_towers, train_towers

    match model.encoder:
        case Dense(hidden=hidden, activation=activation):
            sizes, window = (width, *hidden, model.factors), None
        case Convolution(filters=filters, window=window):
            sizes, activation = (width, filters, model.factors), "tanh"
    towers = draw_towers(sizes, activation, window, shared=shared, rng=rng)
    if isinstance(model.encoder, Dense) and model.encoder.start == "components":
        begin_at_words(towers, texts, rng)
    loss = PairLoss.of(
        towers,
        clicks_of(taken, bags, texts, rng),
        gamma=model.gamma,
        negatives=model.negatives,
        shared=model.drawn == "batch",
        history=model.history,
    )
    return train_towers(model, loss, rng)
