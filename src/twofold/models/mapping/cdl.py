"""Collaborative deep learning (CDL).

Wang, Wang & Yeung (2015), "Collaborative Deep Learning for Recommender Systems", KDD. The factors of an
item lie around the code f_e that a stacked denoising autoencoder makes of its words; with X_0 the
corrupted words, X_c the clean ones, c_ij = a for the pairs in the log and b for the others,

    L = lambda_u/2 sum |u_i|^2 + lambda_w/2 sum (|W_l|^2 + |b_l|^2) + lambda_v/2 sum |v_j - f_e(X_0j)|^2
        + lambda_n/2 sum |f_r(X_0j) - X_cj|^2 + 1/2 sum c_ij (r_ij - u_i . v_j)^2,
    u_i = (V C_i V' + lambda_u I)^-1 V C_i R_i,
    v_j = (U C_j U' + lambda_v I)^-1 (U C_j R_j + lambda_v f_e(X_cj)).

Differs from the paper: in the update of v_j the code is that of the words without noise, X_c, as it is of new items (the
paper has X_0, and prints C_i there, where its objective gives C_j); items without an event are outside the matrix and
stay at their code (v_j = f_e, no zeros for them); the code is linear by default (``code="sigmoid"`` is the paper's);
words can be weighted; the first layer can start at their principal directions, where a linear autoencoder ends; the steps
are Adam's in place of momentum; there is no dropout.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.columns import Bag
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.features.design import unit_rows
from twofold.features.text import Weight, WordCode
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._apart import Apart
from twofold.models._base import Memory, check_finite
from twofold.models.baselines._pairs import binary
from twofold.models.mapping import _confidence
from twofold.models.mapping._autoencoder import (
    Code,
    Network,
    Trainer,
    components,
    encode,
    masked,
    slopes,
)
from twofold.models.mapping._confidence import Side, Weights
from twofold.models.mapping._content import content_column, learn_code, read_words
from twofold.nn.deal import shuffled
from twofold.nn.descent import check_descent
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, I32, Rng

log = logging.getLogger(__name__)

ADVICE = "lower learning_rate, or raise user_reg and item_reg"
FEW, MOST_TIED = 250, 10.0
"""Items below which lambda_v is 1 where none is given, and the most that it is."""
DECAY, MOST_DECAY = 0.01, 10.0
"""lambda_w an item where none is given, and the most that it is in all."""
BATCH, LEAST_BATCH, STEPS = 256, 8, 8
"""Items a step of the network where none are given, at most and at least, and the steps that a pass should have."""


@hyperparameters
class CDL:
    """Factorize implicit feedback with item factors that an autoencoder of the items' words predicts.

    Values are not read. Items that nobody has touched are placed by the encoder.

    Example
    -------
    >>> import twofold as tw
    >>> cdl = tw.models.CDL(factors=4, hidden=(8,), content="title", learning_rate=0.02, weight_reg=0.1)
    >>> model = cdl.fit(tw.testing.planted_log(), rng=0)
    >>> new = {"item": ["n1", "n2"], "title": ["an even thing", "an odd thing"], "tags": [[], []]}
    >>> model.with_items(new).recommend(users=[100, 101], allow=["n1", "n2"], k=1)["item"].to_list()
    ['n1', 'n2']
    """

    factors: Annotated[PositiveInt, Search(20, 200, log=True)] = 50
    """K: width of the middle layer, and dimensions of the factors."""
    hidden: tuple[PositiveInt, ...] = (200,)
    """Widths of the layers between the words and the code; the decoder mirrors them."""
    code: Annotated[Code, Search(choices=("linear", "unit"))] = "linear"
    """Activation of the middle layer: linear; sigmoid (the paper), which keeps codes in 0 ... 1; or unit, which scales them to length 1."""
    content: str | None = None
    """The item feature with the words (bag, tags or text); None is the only bag or text feature."""
    vocabulary: PositiveInt = 20_000
    """Words that are kept: those that occur in most items."""
    weight: Annotated[Weight, Search(choices=("count", "tfidf", "bm25"))] = "count"
    """How words are read: their count divided by the largest of the item (the paper); or by tfidf or bm25, scaled to length 1."""
    user_reg: Annotated[PositiveFloat | None, Search(1e-3, 10, log=True)] = None
    """lambda_u; None is 1 / lambda_v of this size of catalogue."""
    item_reg: Annotated[PositiveFloat | None, Search(0.3, 1000, log=True)] = None
    """lambda_v: how strongly the factors of an item are drawn to its code, and the code to them; None is 1 for a few hundred
    items, which are too few to learn codes from, and rises with the root of their number to 10."""
    reconstruction: Annotated[NonNegativeFloat, Search(0.01, 1000, log=True)] = 1.0
    """lambda_n: weight of the reconstruction; 0 leaves the decoder out."""
    weight_reg: Annotated[NonNegativeFloat | None, Search(0.1, 300, log=True)] = None
    """lambda_w: L2 penalty of the weights and biases, against sums over all items: more for more items and fewer layers;
    None is a hundredth of the number of items, 10 at most."""
    seen_weight: PositiveFloat = 1.0
    """a: confidence in a pair of the log."""
    unseen_weight: PositiveFloat = 0.01
    """b: confidence in any other pair, at most a."""
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of an item's words that is masked out of the encoder's input."""
    start: Literal["drawn", "components"] = "drawn"
    """How the first layer begins: drawn at random (the paper), or as the principal directions of the words."""
    pretraining: NonNegativeInt = 0
    """Passes by which each layer learns to restore its own input, from the words upwards, before it meets the factors."""
    epochs: PositiveInt = 20
    """Rounds: one pass of the network over the items, then the factors of items and of users."""
    batch_size: PositiveInt | None = None
    """Items a step of the network; None is 256, or as many as leave a pass 8 steps where items are few."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 1e-2, log=True)] = 1e-3
    """Step size of Adam."""

    def __post_init__(self) -> None:
        """Refuse a confidence in pairs outside the log above that in the others."""
        _confidence.check_weights(self, self.seen_weight, self.unseen_weight)

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedCDL:
        """Train the autoencoder and the factors in turn.

        Parameters
        ----------
        train
            The log, with words of the items; a pair that occurs more than once counts once. Items
            without an event take part in the autoencoder.
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
            If the network or the factors leave the finite numbers.
        """
        del validation
        memory = Memory.of(train)
        column = content_column("CDL", self.content, train.items)
        counts, words = learn_code(column, train.items, self.vocabulary, self.weight)
        pairs = binary(memory.history, train.n_items)
        course = Course.of(self, train.n_items)
        net, u, v = alternate(self, course, pairs, weighted(words, counts), generator(rng))
        check_finite("user_factors", u, ADVICE)
        check_finite("item_factors", v, ADVICE)
        half = net.middle
        return FittedCDL(
            estimator=self,
            memory=memory,
            column=column,
            words=words,
            encoder_weights=net.weights[:half],
            encoder_biases=net.biases[:half],
            user_factors=u,
            item_factors=v,
        )


class Course(NamedTuple):
    """What is told of a training, or derived from the number of items."""

    weights: Weights
    weight_reg: float
    batch_size: int

    @classmethod
    def of(cls, model: CDL, n_items: int) -> Course:
        """Settle what is None.

        Codes are learned from the words of the items: from few of them badly, so that factors are left free of their codes
        (and the product of both penalties, which alone counts where the scale of the codes is free, stays 1); and with
        256 items a step a small catalogue had a step a round, after which codes are what chance made them.
        """
        own = min(max((n_items / FEW) ** 0.5, 1), MOST_TIED)
        item_reg = own if model.item_reg is None else model.item_reg
        user_reg = 1 / own if model.user_reg is None else model.user_reg
        decay = min(DECAY * n_items, MOST_DECAY) if model.weight_reg is None else model.weight_reg
        batch = min(max(n_items // STEPS, LEAST_BATCH), BATCH)
        weights = Weights(model.seen_weight, model.unseen_weight, user_reg, item_reg)
        return cls(weights, decay, model.batch_size or batch)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedCDL(Apart):
    """Factors whose product is the score, and the encoder that places new items."""

    reads_content: ClassVar[bool] = True

    column: str
    words: WordCode
    encoder_weights: tuple[F32, ...]
    encoder_biases: tuple[F32, ...]
    user_factors: F32  # (n_users, K)
    item_factors: F32  # (n_items, K)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, K)."""
        return self.item_factors

    @property
    def content_levels(self) -> Levels:
        """The words that the network reads, where the items' feature lists them."""
        listed = isinstance(self.items.features[self.column], Bag)
        return {self.column: self.words.words if listed else None}

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`, shape (n, K)."""
        return self.user_factors[users]

    def fold_in(self, histories: Histories) -> F32:
        """Return the exact minimum of L over the vectors of new users, shape (n, K)."""
        pairs = binary(histories, len(self.item_factors))
        inside = (self.memory.popularity > 0).astype(np.float32)
        weights = Course.of(self.estimator, self.n_trained).weights
        return _confidence.solve_users(Side.of(pairs), self.item_factors, inside, weights)

    def encode_items(self, items: Entities) -> F32:
        """Return the codes of new items from their clean words, shape (j, K)."""
        # An encoder is a network whose code is its last layer: mirrored, so that it knows its middle.
        both = (*self.encoder_weights, *self.encoder_weights)
        net = Network(both, self.encoder_biases * 2, self.estimator.code)
        counts = read_words(self.column, items, self.words.words)
        return encode(net, weighted(self.words, counts))


def weighted(code: WordCode, counts: csr_array) -> csr_array:
    """Return what the network reads of counts (n, S): all in 0 ... 1."""
    if code.settings.weight == "count":
        return scaled(counts)
    return unit_rows(code.weighted(counts))


def scaled(bag: csr_array) -> csr_array:
    """Return counts (n, S) divided by the largest of their row: in 0 ... 1."""
    largest = np.zeros(len(bag.indptr) - 1, np.float32)
    lengths = np.diff(bag.indptr)
    np.maximum.at(largest, np.repeat(np.arange(len(largest)), lengths), bag.data)
    shares = bag.data / np.repeat(largest, lengths)
    return csr_array((shares, bag.indices, bag.indptr), shape=bag.shape)


def alternate(
    model: CDL, course: Course, pairs: csr_array, bag: csr_array, rng: np.random.Generator
) -> tuple[Network, F32, F32]:
    """Return the network, u and v: passes of the network and exact updates in turn, users last."""
    weights = course.weights
    n_items, size = bag.shape or (0, 0)
    widths = (size, *model.hidden, model.factors)
    net = Network.draw(widths, code=model.code, rng=rng)
    if model.start == "components":
        turn_to_components(net, bag, rng)
    trainer = Trainer(net, model.learning_rate, course.weight_reg / n_items)
    by_user, by_item = Side.of(pairs), Side.of(csr_array(pairs.T))
    inside = (np.diff(by_item.indptr) > 0).astype(np.float32)
    pretrain(model, course, net, bag, rng)
    away = rng.normal(0, weights.item_reg**-0.5, (n_items, model.factors)).astype(np.float32)
    v: F32 = np.asarray(encode(net, bag) + away * inside[:, None], np.float32)
    u = _confidence.solve_users(by_user, v, inside, weights)
    v = _confidence.solve_items(by_item, u, encode(net, bag), inside, weights)
    for epoch in track(range(1, model.epochs + 1), "CDL"):
        loss = one_pass(
            model, course, trainer, bag, v, (model.reconstruction, weights.item_reg), rng
        )
        what = advice(model, trainer.began, weights.item_reg)
        check_descent("CDL", trainer.began, loss, f"in epoch {epoch}", what)
        u = _confidence.solve_users(by_user, v, inside, weights)
        v = _confidence.solve_items(by_item, u, encode(net, bag), inside, weights)
        log.debug("CDL epoch %d/%d network=%.6g", epoch, model.epochs, loss)
    return net, _confidence.solve_users(by_user, v, inside, weights), v


def turn_to_components(net: Network, bag: csr_array, rng: np.random.Generator) -> None:
    """Set the first layer to the principal directions of the words, and the last one to its mirror."""
    found = components(bag, net.weights[0].shape[1], rng)
    kept = found.shape[1]  # fewer than the layer is wide where there are few words
    net.weights[0][:, :kept] = found
    net.weights[-1][:kept] = found.T


def pretrain(
    model: CDL, course: Course, net: Network, bag: csr_array, rng: np.random.Generator
) -> None:
    """Train layer l and the layer that mirrors it to restore what layer l - 1 makes, l = 1 ... L/2 (Vincent et al. 2010)."""
    below, n_items = bag, len(bag.indptr) - 1
    for layer in range(net.middle if model.pretraining else 0):
        last = layer + 1 == net.middle
        pair = Network(
            (net.weights[layer], net.weights[-1 - layer]),
            (net.biases[layer], net.biases[-1 - layer]),
            code=net.code if last else "sigmoid",
        )
        trainer = Trainer(pair, model.learning_rate, course.weight_reg / n_items)
        nowhere = np.zeros((n_items, len(pair.biases[0])), np.float32)
        for epoch in track(range(1, model.pretraining + 1), f"CDL, layer {layer + 1}"):
            loss = one_pass(model, course, trainer, below, nowhere, (1.0, 0.0), rng)
            when = f"in pass {epoch} over layer {layer + 1}"
            check_descent("CDL", trainer.began, loss, when, advice(model))
        below = csr_array(encode(pair, below))


def advice(model: CDL, began: float = 0.0, item_reg: float = 1.0) -> str:
    """Return what to do about a network that diverged, or had no finite loss when it `began`: factors are drawn item_reg^-1/2 wide."""
    if not np.isfinite(began):
        return f"raise `item_reg` ({item_reg:g})"
    return f"lower `learning_rate` ({model.learning_rate:g})"


def one_pass(
    model: CDL,
    course: Course,
    trainer: Trainer,
    bag: csr_array,
    v: F32,
    weights: tuple[float, float],
    rng: np.random.Generator,
) -> float:
    """Take the network once over the items; return the mean loss before each step, without lambda_w.

    `weights` are those of the reconstruction and of the distance to v (n_items, K).
    """
    restore, tie = weights
    total = 0.0
    for rows in shuffled(len(v), course.batch_size, rng):
        clean = csr_array(bag[rows])
        noisy = masked(clean, model.noise, rng)
        share = 1 / len(rows)
        by_weight, by_bias, value = slopes(
            trainer.net, noisy, clean, v[rows], restore * share, tie * share
        )
        trainer.began = trainer.began or value
        trainer.step(by_weight, by_bias)
        total += value * len(rows)
    return total / len(v)
