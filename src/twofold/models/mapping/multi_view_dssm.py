"""The multi-view deep neural network (MV-DNN): one view of people, one for the items of every domain.

Elkahky, Song & He (2015), "A Multi-View Deep Learning Approach for Cross Domain User Modeling in Recommendation
Systems", WWW. With y_U the vector of a person, y_V that of an item of view V, both from towers of tanh layers as
in DSSM, and a the view of pair j,

    max sum_j ln [exp(gamma cos(y_U, y_a,j)) / sum over X' of view a of exp(gamma cos(y_U, f_a(X')))],      Eq. 6

where X' are the item itself and some that are drawn from the same view. A step takes pairs of one view and moves the
user's tower and that view's alone (Algorithm 1), so that every view teaches what people are like to all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Text
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, need
from twofold.features.design import filled, width_of
from twofold.features.text import Weight
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import Memory, check_finite
from twofold.models._scarce import say_scarce
from twofold.models.baselines._pairs import binary
from twofold.models.mapping._content import content_column
from twofold.models.mapping._dssm_columns import query_column, said_by, texts_of
from twofold.models.mapping._dssm_known import KnownByWords
from twofold.models.mapping._dssm_text import TextCode, TextRows, learn_texts
from twofold.models.mapping._views_items import places_of, views_of
from twofold.models.mapping._views_people import PeopleCode, known_items, people_rows
from twofold.models.mapping._views_reduction import LSH, KMeans, Reduced, TopK, learn_reduction
from twofold.models.mapping._views_serving import item_vectors, user_vectors
from twofold.nn.optimisers import Adam, Optimiser
from twofold.random import generator
from twofold.rank import Encoded, remembered
from twofold.typing import F32, I32, I64, Rng

ADVICE = "lower the learning rate of `optimiser`"
Known = Literal["items", "words", "features"]
"""What people can be known by."""


@hyperparameters
class MultiViewDSSM:
    """Share what is known of people across domains of items, and recommend in one they have never used.

    A view is a level of a category of the items: films and books, departments of a shop. Scores compare items of one
    view; ask for one with ``where={"department": "garden"}``.

    Notes
    -----
    Differs from the paper: the sum is of logarithms, as in DSSM, where Eq. 6 prints that of the ratios; people are known
    by the items of their history (without the one that is to be found), by the words of these, and by words of their own,
    where the paper has search words and visited domains; all item views share one list of n-grams; features are clustered
    by a random projection of who has them; every pair is an example of its own, not the average of all that a person
    liked; negatives that the person has are left out of the sum. The paper gives no sizes, gamma or step.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 4], "i": ["a", "x", "b", "y", "a", "b"]}
    >>> items = {"i": ["a", "b", "x", "y"], "shop": ["film", "film", "book", "book"],
    ...          "title": ["red", "blue", "red", "blue"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", items=items,
    ...                               item_features={"shop": "category", "title": "text"})
    >>> views = tw.models.MultiViewDSSM(factors=8, hidden=(16,), epochs=100)
    >>> model = views.fit(data, rng=0)
    >>> model.recommend(users=[3, 4], where={"shop": "book"}, k=1)["item"].to_list()
    ['x', 'y']
    """

    view: str | None = None
    """The item feature (category) that says the domain; None is the only category, or one view where there is none."""
    content: str | None = None
    """The item feature with the words (bag, tags or text); None is the only bag or text feature."""
    query: str | None = None
    """The user feature with the words (bag, tags or text); None is the only bag or text feature, if there is one, "" none."""
    known_by: Annotated[tuple[Known, ...], Field(min_length=1)] = ("items", "words", "features")
    """What the user view reads: the items of a history, the words of these, the words of `query`."""
    reduction: Annotated[TopK | KMeans | LSH, Field(discriminator="kind")] = TopK()
    """How the features of people become fewer: TopK(share=0.001), KMeans(clusters=1000), LSH(bits=2000)."""
    hidden: tuple[PositiveInt, ...] = (300, 300)
    """Widths of the layers before the last."""
    factors: Annotated[int, Field(ge=2), Search(32, 256, log=True)] = 128
    """Width of the last layer; with one, every cosine would be 1 or -1."""
    activation: Literal["tanh", "identity"] = "tanh"
    """After every layer; identity makes the maps linear."""
    inputs: Literal["ngrams", "words"] = "ngrams"
    """What is counted of items: letter n-grams of the words, or the words as they stand; of people always the words."""
    ngram: Annotated[PositiveInt, Field(le=10)] = 3
    """Letters of an n-gram, with # at both ends of a word."""
    vocabulary: PositiveInt = 50_000
    """Words, and letter n-grams, that are kept: those in most texts."""
    weight: Weight = "tfidf"
    """How words are weighted: count, tfidf or bm25."""
    history: Annotated[int, Field(ge=2)] = 50
    """Items of a history that are read at a time in training."""
    gamma: Annotated[PositiveFloat, Search(3, 50, log=True)] = 10.0
    """Smoothing of the softmax."""
    negatives: Annotated[PositiveInt, Search(4, 500, log=True)] = 100
    """Items of the view that are drawn beside those of a batch, for all its pairs; at most as many as there are."""
    optimiser: Optimiser = Adam(learning_rate=3e-4)
    """How steps are taken."""
    epochs: Annotated[PositiveInt, Search(2, 40, log=True)] = 10
    """Passes over the pairs."""
    batch_size: PositiveInt = 512
    """Pairs a step, at most; all of one view."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedMultiViewDSSM:
        """Train the towers of all views in turn.

        Parameters
        ----------
        train
            The log, with the view and the words of every item. Values are not read; a pair that occurs more than
            once counts once. Items without a view or a known word take no part but in histories.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, no item has a word, or no pair is left to learn from.
        ConfigError
            If `view`, `content` or `query` names a feature that is not there, is of another kind or is not read.
        NotConvergedError
            If the towers leave the finite numbers.
        MissingDependencyError
            If torch is not installed.
        """
        del validation
        memory = Memory.of(train)
        random = generator(rng)
        column = content_column("MultiViewDSSM", self.content, train.items)
        name, levels = views_of(self.view, train.items)
        asked = None
        if self.query or "features" in self.known_by:
            asked = query_column("MultiViewDSSM", self.query, train.users)
        if asked and "features" not in self.known_by:
            raise ConfigError(
                f"MultiViewDSSM.query got {asked!r}, which known_by={self.known_by!r} does not read; "
                'add "features" to known_by, or leave query out'
            )
        need("torch", "deep")
        words = [texts_of(column, train.items)]
        words += [texts_of(asked, train.users)] if asked else []
        code = read_words(
            self, words[:1], repr(column), self.ngram if self.inputs == "ngrams" else None
        )
        people = PeopleCode(
            code=read_words(self, words, said_by(column, asked), None),
            n_items=train.n_items,
            by_items="items" in self.known_by,
            by_words="words" in self.known_by,
        )
        if people.by_words or asked or self.inputs == "words":
            learned_words = people.code.words
            say_scarce(said_by(column, asked), learned_words.texts_with, learned_words.n_texts)
        texts = code.read(words[0])
        parts = people.of_items(words[0])
        own = people.of_words(words[1]) if asked else None
        bags = binary(memory.history, train.n_items)
        rows = people_rows(bags, parts, own)
        reduced = learn_reduction(self.reduction, rows, random)
        place = places_of(name, train.items, levels)
        taught, tower, towers = learned(self, bags, texts, place, (parts, own, reduced), random)
        levels = levels.take(taught)
        place = places_of(name, train.items, levels)
        tanh = self.activation == "tanh"
        u = user_vectors(tower, reduced, rows, tanh=tanh)
        v = item_vectors(towers, texts, place, self.factors, tanh=tanh)
        check_finite("user_factors", u, ADVICE)
        check_finite("item_factors", v, ADVICE)
        return FittedMultiViewDSSM(
            estimator=self,
            memory=memory,
            column=column,
            asked=asked,
            view=name,
            views=levels,
            code=code,
            people=people,
            reduced=reduced,
            user_tower=tower,
            item_towers=towers,
            user_factors=u,
            item_factors=v,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedMultiViewDSSM(KnownByWords):
    """The towers; vectors are of length 1, so that their product is the cosine.

    An item without a known word, or of a view that training did not have, is the zero vector; a person of whom
    nothing is known that is read is answered by popularity.
    """

    reads_content: ClassVar[bool] = True

    view: str | None
    """The item feature with the views; None where all items are one."""
    views: Vocabulary
    people: PeopleCode
    reduced: Reduced
    user_tower: Mapping[str, F32]
    item_towers: tuple[Mapping[str, F32], ...]

    def __post_init__(self) -> None:
        """Read of people what the user tower was trained on."""
        asks = self.asked is not None
        object.__setattr__(self, "reads_features", asks)
        object.__setattr__(self, "scores_within", self.view if len(self.views) > 1 else None)
        object.__setattr__(self, "keeps_runs", self.people.code.whole)
        object.__setattr__(self, "reads_text", asks or self.people.by_words)

    @property
    def feature_levels(self) -> Levels:
        """The words that were learned of people's feature, where it lists them."""
        if self.asked is None:
            return {}
        return {self.asked: self.people.code.listed(self.users.features[self.asked])}

    @property
    def content_levels(self) -> Levels:
        """The views, and the words that were learned of the items' feature, where it lists them."""
        words = super().content_levels
        return words if self.view is None else {**words, self.view: self.views}

    def fold_in(self, histories: Histories) -> F32:
        """Map histories, shape (n, d)."""
        return self._people(histories, None)

    def resume(self, users: I32, histories: Histories) -> F32:
        """Map histories of known people beside the words that are known of them, shape (n, d)."""
        return self._people(histories, self._words(Queries.known(users)))

    def encode_features(self, queries: Queries) -> F32:
        """Map words, beside the history if there is one, shape (n, d)."""
        return self._people(remembered(self, queries), self._words(queries))

    def beside(self, queries: Queries, answer: Encoded) -> Encoded:
        """Add what is said to the history."""
        return answer._replace(vectors=self.encode_features(queries))

    def encode_items(self, items: Entities) -> F32:
        """Map new items by the tower of their view, shape (j, d)."""
        texts = self.code.read(texts_of(self.column, items))
        place = places_of(self.view, items, self.views)
        d, tanh = self.estimator.factors, self.estimator.activation == "tanh"
        return item_vectors(self.item_towers, texts, place, d, tanh=tanh)

    def _words(self, queries: Queries) -> csr_array | None:
        """Return the rows of n people's own words: those that are said, else those that training knew of them."""
        columns = self.words_of(queries)
        if self.asked is not None:
            own = texts_of(self.asked, self.users).with_missing_row()
            columns.insert(0, own.take(np.where(queries.user < 0, len(own) - 1, queries.user)))
        rows = [self.people.of_words(one) for one in columns]
        return reduce(filled, rows) if rows else None

    def _people(self, histories: Histories, own: csr_array | None) -> F32:
        bags = binary(histories, self.people.n_items)
        rows = people_rows(bags, self._parts, own)
        tanh = self.estimator.activation == "tanh"
        return user_vectors(self.user_tower, self.reduced, rows, tanh=tanh)

    @cached_property
    def _parts(self) -> csr_array:
        """The rows of the items as parts of a history."""
        items = self.memory.items.take(np.arange(self.people.n_items))
        return self.people.of_items(texts_of(self.column, items))


def read_words(
    model: MultiViewDSSM, columns: Sequence[Text | Bag], what: str, n: int | None
) -> TextCode:
    """Collect the words of columns, which `what` names, and with `n` their letter n-grams."""
    return learn_texts(
        columns, what, n=n, most=model.vocabulary, weight=model.weight, ordered=False, longest=None
    )


def learned(
    model: MultiViewDSSM,
    bags: csr_array,
    texts: TextRows,
    place: I32,
    people: tuple[csr_array, csr_array | None, Reduced],
    rng: np.random.Generator,
) -> tuple[I64, Mapping[str, F32], tuple[Mapping[str, F32], ...]]:
    """Return the views with a pair to learn from, and the trained weights of the user tower and of their towers.

    `people` are the rows of the items of histories, those of people's own words, and the reduction.

    Raises
    ------
    DataError
        If no pair has an item with a view and a known word, and somebody of whom something else is known.
    """
    # torch is an optional part of the package.
    from twofold.models.mapping._views_towers import ViewPairs, train_views

    parts, own, reduced = people
    n_users = len(bags.indptr) - 1
    if own is None:
        own = csr_array((n_users, width_of(parts)), dtype=np.float32)
    user = np.repeat(np.arange(n_users, dtype=np.int64), np.diff(bags.indptr))
    item = bags.indices.astype(np.int64)
    # What a reduction leaves out is not known; projections leave nothing out.
    said, had = (one if reduced.signs else reduced.sums(one) for one in (own, parts))
    other = (np.diff(said.indptr)[user] > 0) | (
        known_items(bags, had)[user] > (np.diff(had.indptr) > 0)[item]
    )
    kept = (place[item] >= 0) & texts.known[item] & other
    if not kept.any():
        raise DataError(
            "MultiViewDSSM finds no pair to learn from: an item needs a view and a known word, and its user "
            "another item or words"
        )
    taught = np.unique(place[item[kept]]).astype(np.int64)
    view = np.where(np.isin(place, taught), np.searchsorted(taught, place), UNKNOWN)
    pairs = ViewPairs(
        texts=texts,
        view=view.astype(np.int32),
        user=user[kept],
        item=item[kept],
        bags=bags,
        parts=reduced.of(parts),
        own=reduced.of(own),
    )
    sizes = reduced.width, width_of(texts.parts)
    return taught, *train_views(model, pairs, len(taught), sizes, rng)
