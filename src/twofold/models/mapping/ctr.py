"""Collaborative topic regression (CTR).

Wang & Blei (2011), "Collaborative Topic Modeling for Recommending Scientific Articles", KDD. An article
is a mixture theta_j of topics beta, its factors lie around it, and c_ij is a for the pairs in the log and
b for the others:

    L = lambda_u/2 sum |u_i|^2 + lambda_v/2 sum |v_j - theta_j|^2 + 1/2 sum c_ij (r_ij - u_i . v_j)^2
        - sum_j sum_w n_jw log sum_k theta_jk beta_kw - eta sum_k sum_w log beta_kw.

The last term is the prior of the topics.

Differs from the paper: items without an event are outside the matrix: c_ij is 0 for them, not b, and they stay at their
prior mean, v_j = theta_j, as LDA has it; beta moves with its prior, as a count of `eta` for every word; theta may begin
at even proportions (``start="even"``), where the paper's begins at LDA's; LDA is our own compiled one, tested against
scikit-learn's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Bag
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.vocabulary import Vocabulary
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.topics import expected_words, improve_proportions
from twofold.models._apart import Apart
from twofold.models._base import Memory, check_finite
from twofold.models.baselines._pairs import binary
from twofold.models.mapping import _confidence, _topics
from twofold.models.mapping._confidence import Side, Weights
from twofold.models.mapping._content import content_column, learn_words, read_words
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, F64, I32, Rng

log = logging.getLogger(__name__)

ADVICE = "raise user_reg and item_reg"
HALVINGS = 40
"""How often a step on the simplex is halved before it is given up."""


@hyperparameters
class CTR:
    """Factorize implicit feedback with item factors that lie around the topics of the items' words.

    Values are not read. Items that nobody has touched are placed by their topics alone.

    Example
    -------
    >>> import twofold as tw
    >>> model = tw.models.CTR(factors=4, content="title").fit(tw.testing.planted_log(), rng=0)
    >>> new = {"item": ["n1", "n2"], "title": ["an even thing", "an odd thing"], "tags": [[], []]}
    >>> model.with_items(new).recommend(users=[100, 101], allow=["n1", "n2"], k=1)["item"].to_list()
    ['n1', 'n2']
    """

    factors: Annotated[PositiveInt, Search(20, 200, log=True)] = 100
    """K: topics, and dimensions of the factors; new items are told apart by their topics alone, which have to be many for that."""
    content: str | None = None
    """The item feature with the words (bag, tags or text); None is the only bag or text feature."""
    vocabulary: PositiveInt = 20_000
    """Words that are kept: those that occur in most items."""
    user_reg: Annotated[PositiveFloat, Search(0.1, 30, log=True)] = 6.0
    """lambda_u."""
    item_reg: Annotated[PositiveFloat, Search(0.1, 100, log=True)] = 0.3
    """lambda_v: how strongly the factors of an item are drawn to its topics."""
    seen_weight: PositiveFloat = 1.0
    """a: confidence in a pair of the log."""
    unseen_weight: PositiveFloat = 0.01
    """b: confidence in any other pair, at most a."""
    topics: Literal["joint", "fixed"] = "joint"
    """Whether theta and beta move with the factors, or stay where LDA put them (the paper's footnote 3)."""
    start: Literal["lda", "even"] = "lda"
    """Where theta begins: at LDA's proportions (the paper), or at even ones; beta begins at LDA's. Not read where `topics` are fixed."""
    topic_passes: PositiveInt = 40
    """Passes of LDA over the words."""
    alpha: PositiveFloat = 0.1
    """Dirichlet prior of the topics of an item, for LDA."""
    eta: PositiveFloat = 0.01
    """Dirichlet prior of the words of a topic, for LDA and as a count of every word when the topics move."""
    epochs: PositiveInt = 50
    """At most so many rounds of updates."""
    tolerance: NonNegativeFloat = 1e-4
    """Stop when a round lowers the objective by less than this share."""

    def __post_init__(self) -> None:
        """Refuse a confidence in pairs outside the log above that in the others."""
        _confidence.check_weights(self, self.seen_weight, self.unseen_weight)

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedCTR:
        """Learn topics, then factors and topic proportions together.

        Parameters
        ----------
        train
            The log, with words of the items; a pair that occurs more than once counts once. Items
            without an event take part in the topics.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, or the items have no words.
        ConfigError
            If `content` names a feature that is not there or holds no words.
        NotConvergedError
            If the factors leave the finite numbers.
        """
        del validation
        memory = Memory.of(train)
        column = content_column("CTR", self.content, train.items)
        bag, words = learn_words(column, train.items, self.vocabulary)
        topic_words, gamma = _topics.fit_topics(
            bag, self.factors, self.topic_passes, self.alpha, self.eta, generator(rng)
        )
        theta = _topics.proportions(gamma)
        pairs = binary(memory.history, train.n_items)
        u, v, theta, topic_words = alternate(self, pairs, bag, topic_words, theta)
        check_finite("user_factors", u, ADVICE)
        check_finite("item_factors", v, ADVICE)
        return FittedCTR(
            estimator=self,
            memory=memory,
            column=column,
            words=words,
            topic_words=topic_words.astype(np.float32),
            theta=theta.astype(np.float32),
            user_factors=u,
            item_factors=v,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedCTR(Apart):
    """Factors whose product is the score, and the topics that place new items."""

    reads_content: ClassVar[bool] = True

    column: str
    words: Vocabulary  # (S,)
    topic_words: F32  # (S, K) Dirichlet parameters of the topics
    theta: F32  # (n_items, K)
    user_factors: F32  # (n_users, K)
    item_factors: F32  # (n_items, K)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, K)."""
        return self.item_factors

    @property
    def content_levels(self) -> Levels:
        """The words of the topics, where the items' feature lists them."""
        listed = isinstance(self.items.features[self.column], Bag)
        return {self.column: self.words if listed else None}

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`, shape (n, K)."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the exact minimum of L over the vectors of new users, shape (n, K)."""
        pairs = binary(histories, len(self.item_factors))
        inside = (self.memory.popularity > 0).astype(np.float32)
        return _confidence.solve_users(
            Side.of(pairs), self.item_factors, inside, weights_of(self.estimator)
        )

    def encode_items(self, items: Entities) -> F32:
        """Return the topic proportions theta of new items, shape (j, K); equal ones without a known word."""
        bag = read_words(self.column, items, self.words)
        gamma = _topics.infer(bag, self.topic_words.astype(np.float64), self.estimator.alpha)
        return _topics.proportions(gamma).astype(np.float32)


def weights_of(model: CTR) -> Weights:
    """Return the constants of L."""
    return Weights(model.seen_weight, model.unseen_weight, model.user_reg, model.item_reg)


def mixtures(topic_words: F64) -> F64:
    """Return beta (S, K): the words of every topic, columns that sum to 1."""
    return np.ascontiguousarray(topic_words / topic_words.sum(axis=0))


def alternate(
    model: CTR, pairs: csr_array, bag: csr_array, topic_words: F64, theta: F64
) -> tuple[F32, F32, F64, F64]:
    """Return u, v, theta and the topics' words where a round of updates no longer lowers L; users are solved last.

    `topic_words` (S, K) are counts, beta is their shares. Items without an event are outside the matrix: their v is
    their theta, which stays where LDA put it, and at the end is what LDA makes of the topics as they are then.
    """
    weights = weights_of(model)
    by_user, by_item = Side.of(pairs), Side.of(csr_array(pairs.T))
    inside = (np.diff(by_item.indptr) > 0).astype(np.float32)
    first, outside = theta, inside == 0
    read = csr_array(bag[~outside])
    indptr, words = bag.indptr.astype(np.int64), bag.indices.astype(np.int32)
    counts = np.asarray(bag.data, np.float32)
    theta, beta = theta.copy(), mixtures(topic_words)
    if model.topics == "joint" and model.start == "even":
        theta[~outside] = 1 / theta.shape[1]
    v = theta.astype(np.float32)
    u = _confidence.solve_users(by_user, v, inside, weights)
    before = objective(model, pairs, read, beta, u, v, theta, inside)
    for epoch in track(range(1, model.epochs + 1), "CTR"):
        v = _confidence.solve_items(by_item, u, theta.astype(np.float32), inside, weights)
        if model.topics == "joint":
            wide = v.astype(np.float64)
            improve_proportions(indptr, words, counts, beta, wide, model.item_reg, HALVINGS, theta)
            theta[outside] = first[outside]
            topic_words = model.eta + words_of_topics(read, beta, theta[~outside])
            beta = mixtures(topic_words)
        u = _confidence.solve_users(by_user, v, inside, weights)
        after = objective(model, pairs, read, beta, u, v, theta, inside)
        log.debug("CTR epoch %d/%d objective=%.6g", epoch, model.epochs, after)
        if before - after < model.tolerance * abs(before):
            break
        before = after
    if model.topics == "joint" and outside.any():
        gamma = _topics.infer(csr_array(bag[outside]), topic_words, model.alpha)
        theta[outside] = _topics.proportions(gamma)
        v[outside] = theta[outside]
    return u, v, theta, topic_words


def words_of_topics(bag: csr_array, beta: F64, theta: F64) -> F64:
    """Return how often every word is expected to be of every topic, (S, K)."""
    sums = np.zeros((_topics.SLICES, *beta.shape))
    indptr, words = bag.indptr.astype(np.int64), bag.indices.astype(np.int32)
    expected_words(indptr, words, np.asarray(bag.data, np.float32), beta, theta, sums)
    return sums.sum(axis=0)


def objective(
    model: CTR,
    pairs: csr_array,
    read: csr_array,
    beta: F64,
    u: F32,
    v: F32,
    theta: F64,
    inside: F32,
) -> float:
    """Return L in float64; `read` are the words of the items with an event, in their order: those outside the matrix are no part of it."""
    item = np.repeat(np.flatnonzero(inside), np.diff(read.indptr))
    likelihood = 0.0
    for first in range(0, len(item), 1 << 18):
        part = slice(first, first + (1 << 18))
        mix = np.einsum("nk,nk->n", theta[item[part]], beta[read.indices[part]])
        likelihood += float(read.data[part].astype(np.float64) @ np.log(np.maximum(mix, 1e-100)))
    prior = model.eta * float(np.log(np.maximum(beta, 1e-100)).sum())
    return _confidence.objective(pairs, u, v, theta, inside, weights_of(model)) - likelihood - prior
