"""Token2Vec: vectors of tokens (words, products, places) from the tokens around them, word2vec over any log.

Mikolov, Chen, Corrado & Dean (2013), "Efficient Estimation of Word Representations in Vector Space", ICLR
workshop; Mikolov, Sutskever, Chen, Corrado & Dean (2013), "Distributed Representations of Words and Phrases
and their Compositionality", NIPS; Barkan & Koenigstein (2016), "Item2Vec". Symbols follow the second: v_w
and v'_w are the input and output vectors of a token, P_n the noise distribution, c the window.

    skip-gram   sum over t and c' in the window of  ln sigma(v'_t . v_c') + sum_k E_Pn ln sigma(-v'_n . v_c')
    CBOW        the same with the mean of the window's v in the place of each v_c'
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence import _passes as passes
from twofold.models.sequence._codes import learn_codes
from twofold.models.sequence._corpus import Course, corpus_of
from twofold.models.sequence._history import mean_of_latest
from twofold.nn.deal import passes_over
from twofold.random import generator
from twofold.typing import F32, F64, Rng
from twofold.vectors import Vectors, unit

LEAST_PASSES, MEETINGS = 10, 300
"""Passes, and meetings of a token in all of them together, where `epochs` is None."""


@hyperparameters
class SkipGram:
    """Every token of the window predicts the one in its middle, alone."""

    predicts: Literal["skip-gram"] = "skip-gram"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(0.01, 0.1, log=True)] = 0.025
    """First step; it falls linearly to a ten-thousandth of it."""


@hyperparameters
class CBOW:
    """The mean of the window predicts the token in its middle (continuous bag of words)."""

    predicts: Literal["cbow"] = "cbow"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(0.02, 0.4, log=True)] = 0.1
    """First step; it falls linearly to a ten-thousandth of it."""


@hyperparameters
class NegativeSampling:
    """Tell the observed token from tokens drawn from the noise distribution (Eq. 4)."""

    loss: Literal["negative sampling"] = "negative sampling"
    """The tag in files."""
    count: Annotated[PositiveInt, Search(2, 20)] = 5
    """Negatives k for each observed token: 5 to 20 for small logs, 2 to 5 for large ones."""
    exponent: Annotated[float, Field(ge=-1, le=1)] = 0.75
    """Negatives are drawn in proportion to the frequency of a token to this power."""


@hyperparameters
class HierarchicalSoftmax:
    """Decide at each node between the root of a Huffman tree and the observed token (Eq. 3); one thread."""

    loss: Literal["hierarchical softmax"] = "hierarchical softmax"
    """The tag in files."""


@hyperparameters
class Token2Vec:
    """Vectors of tokens that predict the tokens around them; a user's events in time order are one sequence.

    Values are not read, and a token that occurs again counts again.

    Example
    -------
    >>> import twofold as tw
    >>> data = tw.datasets.from_sequences(["a b a b a b".split(), "c d c d c d".split()] * 30)
    >>> model = tw.models.Token2Vec(factors=8, epochs=20).fit(data, rng=0)
    >>> model.recommend(histories=[["a"]], k=1)["item"].to_list()
    ['b']
    >>> model.similar_items("c", k=1)["item"].to_list()
    ['d']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Embedding size d."""
    architecture: Annotated[SkipGram | CBOW, Field(discriminator="predicts")] = SkipGram()
    """Who predicts: SkipGram(learning_rate=0.025) or CBOW(learning_rate=0.1)."""
    objective: Annotated[NegativeSampling | HierarchicalSoftmax, Field(discriminator="loss")] = (
        NegativeSampling()
    )
    """What is climbed: NegativeSampling(count=5, exponent=0.75) or HierarchicalSoftmax()."""
    window: Annotated[PositiveInt, Search(2, 20, log=True)] = 5
    """Tokens to either side that count as near, c."""
    dynamic_window: bool = True
    """Whether the window of each place is a random number in 1 ... `window`, so that nearer tokens count more."""
    subsample: Annotated[NonNegativeFloat, Search(1e-5, 1e-2, log=True)] = 0.0
    """Threshold t: tokens with a larger share of the log are thinned out; 0 keeps all. For text 1e-3 to 1e-5."""
    min_count: PositiveInt = 1
    """Tokens that occur less often are left out of training and have a zero vector."""
    gap: NonNegativeFloat | None = None
    """Seconds without an event after which a new sequence begins: windows do not reach across. None never cuts."""
    session: str | None = None
    """A context column whose entry changes where a new sequence begins, such as a session or an invoice."""
    epochs: Annotated[PositiveInt | None, Search(5, 50, log=True)] = None
    """Passes over the log; None = 10, or as many as let a token be met 300 times on average."""
    last: NonNegativeInt = 0
    """How many of the latest events of a history its vector is the mean of; 0 means all."""
    item_side: Literal["output", "input"] = "output"
    """Whether a history's mean is held against the output vectors of items, or by cosine against their input
    vectors; hierarchical softmax has no output vector of a token and takes the input vectors."""
    prior: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 1.0
    """How much of ln P_n(item) is added to a score against output vectors: with 1 it estimates the log odds that the
    item comes next, with 0 how much likelier the history makes it."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedToken2Vec:
        """Learn the vectors.

        Parameters
        ----------
        train
            The log; each user's events are a sequence. `twofold.datasets.from_sequences` makes one of plain lists.
        validation
            Not used.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, `gap` is set and there are no times, or no token occurs `min_count` times.
        ConfigError
            If `session` is no column of the log.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the papers: negatives come from a random sixteenth of the vocabulary that is dealt anew for each 128th of the training or
        every 262,144 tokens; over the deals every token is as likely as P_n says. In between skip-gram visits pairs block by block (decision
        0008, `twofold.kernels.skip_gram`); CBOW moves input vectors once in a short round of at most 4,096 places, with a group's negatives
        from a pool of 128 draws (decision 0014, `twofold.kernels.cbow`), and by the gradient of the mean, where word2vec.c gives each vector of
        the window the gradient of the sum: hence a larger first step, 0.1. Frequent tokens stay with word2vec's probability sqrt(t/f) + t/f
        rather than the paper's sqrt(t/f). Input vectors begin in +-1/d, twice as long as word2vec.c's, so that rare tokens come away from zero
        sooner. The logistic function is computed, not looked up. A sequence of more than 65,536 tokens is cut. For every number of threads the
        same seed gives the same bytes.
        """
        del validation
        memory = Memory.of(train)
        check_order(train.interactions, "Token2Vec")
        random = generator(rng)
        corpus = corpus_of(train, self.gap, self.session, self.min_count)
        course = Course(
            window=self.window,
            dynamic=self.dynamic_window,
            subsample=self.subsample,
            negatives=self.negatives,
            exponent=self.noise_exponent,
            epochs=self.epochs or passes_over(corpus.count, LEAST_PASSES, MEETINGS),
            learning_rate=self.architecture.learning_rate,
        )
        pairs = isinstance(self.architecture, SkipGram)
        x = passes.initial(corpus.count > 0, self.factors, random)
        y = np.zeros_like(x)
        match self.objective:
            case NegativeSampling():
                passes.learn(course, corpus, random, x, y, pairs=pairs, label="Token2Vec")
            case HierarchicalSoftmax():
                learn_codes(course, corpus, random, x, y, pairs=pairs, label="Token2Vec")
        vectors = np.ascontiguousarray(x[:, : self.factors])
        outputs = np.ascontiguousarray(y[:, : self.factors])
        check_finite("token_vectors", vectors, passes.ADVICE)
        check_finite("output_vectors", outputs, passes.ADVICE)
        return FittedToken2Vec(
            estimator=self,
            memory=memory,
            token_vectors=vectors,
            item_factors=self.items_of(vectors, outputs, course.prior(corpus)),
        )

    @property
    def negatives(self) -> int:
        """Negatives for each observed token; 0 where the objective has none."""
        return self.objective.count if isinstance(self.objective, NegativeSampling) else 0

    @property
    def noise_exponent(self) -> float:
        """The power of the noise distribution; 0 where the objective has none."""
        return self.objective.exponent if isinstance(self.objective, NegativeSampling) else 0.0

    @property
    def answers_from_outputs(self) -> bool:
        """Whether items are scored by their output vectors."""
        return self.item_side == "output" and isinstance(self.objective, NegativeSampling)

    def items_of(self, vectors: F32, outputs: F32, prior: F64) -> F32:
        """Return the items' side of the score, shape (m, d + 1), from vectors (m, d) and ln P_n (m,)."""
        if self.answers_from_outputs:
            last = (self.prior * prior).astype(np.float32)
            return np.hstack([outputs, last[:, None]])
        return np.hstack([unit(vectors), np.zeros((len(vectors), 1), np.float32)])


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedToken2Vec(FittedModel):
    """Input vectors of tokens, whose mean is a history, and what the mean is held against."""

    token_vectors: F32  # (m, d)
    item_factors: F32  # (m, d + 1)

    def verify(self) -> None:
        """Refuse vectors that do not belong to the items, or to each other."""
        super().verify()
        passes.verify_vectors(self.token_vectors, self.item_factors)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (m, d + 1)."""
        return self.item_factors

    @property
    def similarity_vectors(self) -> F32:
        """The input vectors, shape (m, d)."""
        return self.token_vectors

    @property
    def vectors(self) -> Vectors:
        """The input vectors by themselves."""
        return Vectors(self.items.ids, self.token_vectors)

    def to_word2vec(self, path: str | Path, *, binary: bool = False) -> Path:
        """Write the input vectors in word2vec's text or binary format; see `twofold.read_word2vec`."""
        return self.vectors.to_word2vec(path, binary=binary)

    def fold_in(self, histories: Histories) -> F32:
        """Return the means of the latest events' input vectors and a 1, shape (n, d + 1).

        Events whose token was left out of training are passed over; where none is left the mean is zero.
        """
        model: Token2Vec = self.estimator
        vectors = self.token_vectors if model.answers_from_outputs else unit(self.token_vectors)
        known = np.any(self.token_vectors, axis=1)
        mean, _ = mean_of_latest(histories, known, model.last, vectors)
        return np.hstack([mean, np.ones((len(mean), 1), np.float32)])
