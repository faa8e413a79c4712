"""Doc2Vec: a vector for every document (a user) beside those of its tokens (what they took): paragraph vectors.

Le & Mikolov (2014), "Distributed Representations of Sentences and Documents", ICML; users as documents and
products as words: Zhao, Li, He, Chang, Wen & Li (2016), "Connecting Social Media to E-Commerce", TKDE 28(5).
With v_d the vector of a document, v_w and v'_w those of a token, and P_n the noise distribution, climb the sum
over the tokens t of every document of

    ln sigma(v'_t . h) + sum_k E_Pn ln sigma(-v'_n . h),
    h = v_d (PV-DBOW), or the mean of v_d and the v_c of the tokens c in a window around t (PV-DM).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels._rows import widened
from twofold.kernels.infer_documents import infer_documents
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence import _passes as passes
from twofold.models.sequence._corpus import Corpus, Course, corpus_of
from twofold.models.sequence._history import mean_of_latest
from twofold.nn.deal import passes_over
from twofold.random import generator
from twofold.typing import F32, I32, Rng
from twofold.vectors import Vectors

LEAST_PASSES, MEETINGS = 20, 900
"""Passes, and meetings of a token in all of them together, where `epochs` is None."""
LONGEST = 10_000
"""Events of a new document up to which all passes are made; a longer one takes no more steps than this many do, or one pass."""


@hyperparameters
class PVDM:
    """The mean of the document and a window predicts the token in its middle (distributed memory)."""

    predicts: Literal["pv-dm"] = "pv-dm"
    """The tag in files."""
    window: Annotated[PositiveInt, Search(2, 20, log=True)] = 5
    """Tokens to either side, a random number in 1 ... `window` at each place."""
    learning_rate: Annotated[PositiveFloat, Search(0.01, 0.2, log=True)] = 0.05
    """First step; it falls linearly to a ten-thousandth of it."""
    recent: NonNegativeInt = 20
    """How many of the latest tokens are in the mean that items are scored by, beside the document; with 0 the
    document alone scores them."""


@hyperparameters
class PVDBOW:
    """The document alone predicts its tokens, in whatever order (distributed bag of words)."""

    predicts: Literal["pv-dbow"] = "pv-dbow"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(0.01, 0.1, log=True)] = 0.025
    """First step; it falls linearly to a ten-thousandth of it."""


@hyperparameters
class Doc2Vec:
    """A vector for every user that predicts what they took: users are documents, items are words.

    Values are not read, and an item that is taken again counts again.

    Example
    -------
    >>> import twofold as tw
    >>> data = tw.datasets.from_sequences(["a b c a b".split(), "x y z x y".split()] * 20)
    >>> model = tw.models.Doc2Vec(factors=4, epochs=40).fit(data, rng=0)
    >>> model.recommend(histories=[["a", "b"]], k=1)["item"].to_list()
    ['c']
    """

    factors: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Embedding size d."""
    architecture: Annotated[PVDM | PVDBOW, Field(discriminator="predicts")] = PVDBOW()
    """What predicts a token: PVDM(window=5) or PVDBOW()."""
    negatives: Annotated[PositiveInt, Search(2, 20)] = 5
    """Tokens k of the noise distribution that each observed one is told from."""
    exponent: Annotated[float, Field(ge=-1, le=1)] = 0.75
    """Negatives are drawn in proportion to the frequency of a token to this power."""
    subsample: Annotated[NonNegativeFloat, Search(1e-5, 1e-2, log=True)] = 0.0
    """Tokens with a larger share of the log are thinned out; 0 keeps all. For text 1e-3 to 1e-5."""
    min_count: PositiveInt = 1
    """Tokens that occur less often are left out of training and have a zero vector."""
    gap: NonNegativeFloat | None = None
    """Seconds without an event after which a new sequence begins: windows do not reach across. None never cuts."""
    session: str | None = None
    """A context column whose entry changes where a new sequence begins, such as a session or an invoice."""
    epochs: Annotated[PositiveInt | None, Search(5, 100, log=True)] = None
    """Passes over the log; None = 20, or as many as let a token be met 900 times on average: a document has one pair
    for a token where Token2Vec has one for each token nearby."""
    inference_epochs: PositiveInt = 20
    """Passes over a new document, words kept; fewer over one of more than 10,000 events, in proportion, and at least one."""
    prior: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 1.0
    """How much of ln P_n(item) is added to a score: with 1 it estimates the log odds that the document has the
    token next, with 0 it is the bare product of the vectors."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedDoc2Vec:
        """Learn the vectors of users and items.

        Parameters
        ----------
        train
            The log; each user's events in time order are a document. `twofold.datasets.from_sequences` makes one of
            plain lists.
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
        Differs from the papers: negative sampling takes the place of hierarchical softmax; negatives come from a random sixteenth of the
        vocabulary that is dealt anew for each 128th of the training or every 262,144 tokens (decision 0008); PV-DM averages vectors, it does
        not concatenate them, and moves them by the gradient of the mean, once in a short round of at most 4,096 places, with negatives from a
        pool of 128 draws (decision 0014, `twofold.kernels.cbow`); in inference frequent tokens are not thinned out by chance: their steps are
        scaled by the probability to stay. For every number of threads the same seed gives the same bytes.
        """
        del validation
        memory = Memory.of(train)
        check_order(train.interactions, "Doc2Vec")
        random = generator(rng)
        corpus = corpus_of(train, self.gap, self.session, self.min_count)
        course = self.course(corpus)
        pairs = isinstance(self.architecture, PVDBOW)
        x = passes.initial(corpus.count > 0, self.factors, random)
        said = np.zeros(train.n_users, np.bool_)
        said[corpus.owner[np.diff(corpus.start) > 0]] = True
        docs = passes.initial(said, self.factors, random)
        y = np.zeros_like(x)
        passes.learn(course, corpus, random, x, y, docs=docs, pairs=pairs, label="Doc2Vec")
        people, vectors, outputs = (
            np.ascontiguousarray(one[:, : self.factors]) for one in (docs, x, y)
        )
        for name, array in (("user_factors", people), ("token_vectors", vectors)):
            check_finite(name, array, passes.ADVICE)
        prior = (self.prior * course.prior(corpus)).astype(np.float32)
        return FittedDoc2Vec(
            estimator=self,
            memory=memory,
            user_factors=np.hstack([people, np.ones((len(people), 1), np.float32)]),
            item_factors=np.hstack([outputs, prior[:, None]]),
            token_vectors=vectors[: 0 if pairs else None],
            token_counts=corpus.count.astype(np.int32),
        )

    @property
    def window(self) -> int:
        """The window; 0 where there is none."""
        return self.architecture.window if isinstance(self.architecture, PVDM) else 0

    @property
    def recent(self) -> int:
        """How many of the latest tokens are in the mean that is scored."""
        return self.architecture.recent if isinstance(self.architecture, PVDM) else 0

    def course(self, corpus: Corpus) -> Course:
        """Return what a pass over the corpus needs to know."""
        return Course(
            window=max(self.window, 1),
            dynamic=True,
            subsample=self.subsample,
            negatives=self.negatives,
            exponent=self.exponent,
            epochs=self.epochs or passes_over(corpus.count, LEAST_PASSES, MEETINGS),
            learning_rate=self.architecture.learning_rate,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDoc2Vec(FittedModel):
    """Users as (v_d, 1), items as (v'_w, prior), and the input vectors of the items where PV-DM learned any."""

    user_factors: F32  # (n, d + 1)
    item_factors: F32  # (m, d + 1)
    token_vectors: F32  # (m, d), or (0, d)
    token_counts: I32  # (m,) occurrences in training; 0 for what was left out

    def verify(self) -> None:
        """Refuse vectors and counts that do not belong to the items, or to each other."""
        super().verify()
        passes.verify_vectors(self.token_vectors, self.item_factors, self.token_counts)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (m, d + 1)."""
        return self.item_factors

    @property
    def similarity_vectors(self) -> F32:
        """The input vectors, or the output vectors where only they were learned (PV-DBOW); shape (m, d)."""
        if len(self.token_vectors):
            return self.token_vectors
        return np.ascontiguousarray(self.item_factors[:, :-1])

    @property
    def vectors(self) -> Vectors:
        """The vectors of the items by themselves, those of `similarity_vectors`."""
        return Vectors(self.items.ids, self.similarity_vectors)

    @property
    def user_vectors(self) -> Vectors:
        """The vectors of the users by themselves."""
        return Vectors(self.users.ids, np.ascontiguousarray(self.user_factors[:, :-1]))

    def to_word2vec(self, path: str | Path, *, binary: bool = False) -> Path:
        """Write the vectors of the items in word2vec's text or binary format; see `twofold.read_word2vec`."""
        return self.vectors.to_word2vec(path, binary=binary)

    def lookup(self, users: I32) -> F32:
        """Return the learned vectors of `users`, with PV-DM in the mean with their latest tokens; shape (n, d + 1)."""
        return self._asked(self.user_factors[users], self.memory.history.take(users))

    def _asked(self, documents: F32, histories: Histories) -> F32:
        """Return what predicts the next token of documents (n, d + 1): in PV-DM their mean with the latest ones."""
        model: Doc2Vec = self.estimator
        if not model.recent:
            return documents
        known = self.token_counts > 0
        mean, count = mean_of_latest(histories, known, model.recent, self.token_vectors)
        count = np.minimum(count, model.recent)[:, None].astype(np.float32)
        both = (documents[:, :-1] + count * mean) / (count + 1)
        return np.hstack([both.astype(np.float32), documents[:, -1:]])

    @cached_property
    def _frozen(self) -> tuple[passes.Deal, F32, F32, F32]:
        """What inference reads: draws, weights of tokens, input and output vectors of padded length."""
        model: Doc2Vec = self.estimator
        corpus = Corpus.counted(self.token_counts)
        course = model.course(corpus)
        deal = passes.Deal.whole(course.noise(corpus))
        weight = np.where(corpus.count > 0, course.keep(corpus), 0).astype(np.float32)
        return deal, weight, widened(self.token_vectors), widened(self.item_factors[:, :-1])

    def fold_in(self, histories: Histories) -> F32:
        """Infer the vectors of new documents, words kept, and ask them as `lookup` does; shape (n, d + 1).

        Starts at zero and climbs `inference_epochs` times over the history, less often over one of more than `LONGEST` events; equal histories get equal
        vectors. Frequent tokens are not thinned out, their steps are scaled by the probability to stay.
        Tokens that were left out of training are passed over; a history without others gets zero.
        """
        model: Doc2Vec = self.estimator
        deal, weight, x, y = self._frozen
        kept = weight[histories.item] > 0
        indptr = np.concatenate([[0], np.cumsum(kept)])[histories.indptr].astype(np.int64)
        token = histories.item[kept]
        out = np.zeros((len(histories), y.shape[1]), np.float32)
        rates = (
            passes.falling(model.architecture.learning_rate, 0.0, 1.0, 2)
            if len(token)
            else np.zeros(2, np.float32)
        )
        infer_documents(
            indptr, token, repeats(indptr, token), weight, model.window, deal.members, deal.accept,
            deal.other, model.negatives, model.inference_epochs, LONGEST,
            rates, x, y, out,
        )  # fmt: skip
        inferred = np.hstack([out[:, : model.factors], np.ones((len(out), 1), np.float32)])
        return self._asked(inferred, histories)


def repeats(indptr: np.ndarray, token: I32) -> I32:
    """Return how often each token occurred before in its document, shape (n,)."""
    document = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((token, document))
    new = np.ones(len(token), np.bool_)
    new[1:] = (np.diff(document[order]) != 0) | (np.diff(token[order]) != 0)
    begin = np.maximum.accumulate(np.where(new, np.arange(len(token)), 0))
    out = np.empty(len(token), np.int32)
    out[order] = np.arange(len(token)) - begin
    return out
