"""What is learned from and how: sequences of tokens, their frequencies, and the noise distribution.

Symbols follow Mikolov, Sutskever, Chen, Corrado & Dean (2013): f(w) the share of token w in the log, t the
threshold of subsampling, P_n the noise distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twofold.data.dataset import Dataset
from twofold.data.sequences import trajectories
from twofold.errors import DataError
from twofold.typing import F64, I32, I64

CHUNKS = 128
"""Chunks of a whole training, about: groups are dealt anew for each, and rare tokens need many deals."""
SMALLEST, LARGEST = 1 << 12, 1 << 18
"""Tokens a chunk, at least and at most; and at least as many as there are tokens to deal."""
LONGEST = 1 << 16
"""A longer sequence is cut, so that a chunk fits into memory."""


@dataclass(frozen=True)
class Course:
    """What a pass needs to know of the hyperparameters."""

    window: int
    dynamic: bool
    subsample: float
    negatives: int
    exponent: float
    epochs: int
    learning_rate: float

    def keep(self, corpus: Corpus) -> F64:
        """Return the probability of an occurrence to stay, shape (m,)."""
        return keep_probability(corpus.share, self.subsample)

    def noise(self, corpus: Corpus) -> F64:
        """Return P_n, shape (m,)."""
        return noise(corpus.count, self.exponent)

    def prior(self, corpus: Corpus) -> F64:
        """Return what a score lacks to be the log odds of P(token | context) but for a constant, shape (m,).

        With k negatives v . v' climbs to the log odds less ln k P_n(token) (Levy & Goldberg 2014; odds, because
        a target is never its own negative), P being that of the thinned log: so ln P_n and, to undo the
        thinning, -ln of the probability to stay.
        Tokens that were left out count as if they occurred once.
        """
        seen = np.maximum(corpus.count, 1).astype(np.float64) ** self.exponent
        return np.log(seen / seen.sum()) - np.log(self.keep(corpus))


@dataclass(frozen=True)
class Corpus:
    """Sequences of tokens that occur often enough; a long one is cut into several."""

    start: I64  # (s + 1,)
    token: I32  # (n,)
    owner: I32  # (s,) the document of each sequence
    count: I64  # (m,) occurrences; 0 for tokens that are left out

    @classmethod
    def of(
        cls, indptr: I64, token: I32, n_tokens: int, min_count: int = 1, owner: I32 | None = None
    ) -> Corpus:
        """Cut `token` (n,) into sequences at `indptr` (s + 1,), rare tokens left out; `owner` None is 0 ... s - 1."""
        count = np.bincount(token, minlength=n_tokens).astype(np.int64)
        if min_count > 1:
            stays = (count >= min_count)[token]
            indptr = np.concatenate([[0], np.cumsum(stays)])[indptr].astype(np.int64)
            token, count = token[stays], np.where(count >= min_count, count, 0)
        lengths = np.diff(indptr)
        pieces = np.maximum(-(-lengths // LONGEST), 0)
        own = np.arange(len(lengths), dtype=np.int32) if owner is None else owner
        owner = np.repeat(own, pieces)
        first = np.repeat(indptr[:-1], pieces)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start = np.append(first + nth * LONGEST, len(token)).astype(np.int64)
        return cls(start, np.ascontiguousarray(token, np.int32), owner, count)

    @classmethod
    def counted(cls, count: I32) -> Corpus:
        """Return an empty corpus of tokens that occurred `count` (m,) times."""
        return cls(
            np.zeros(1, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            count.astype(np.int64),
        )

    @property
    def share(self) -> F64:
        """f(w), shape (m,)."""
        return self.count / max(int(self.count.sum()), 1)

    def chunks(self, epochs: int) -> list[tuple[int, int]]:
        """Return ranges of sequences, a CHUNKS-th of the tokens of all epochs each, within bounds."""
        wanted = max(len(self.token) * epochs // CHUNKS, SMALLEST, len(self.count))
        cuts = np.searchsorted(self.start, np.arange(0, len(self.token), min(wanted, LARGEST)))
        edges = np.unique(np.append(cuts, len(self.owner)))
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def corpus_of(train: Dataset, gap: float | None, session: str | None, min_count: int) -> Corpus:
    """Return the sequences of a log: those of its users, cut where they pause or change the session.

    Raises
    ------
    DataError
        If no token occurs `min_count` times, or there are no times for `gap`.
    ConfigError
        If `session` is no context column.
    """
    events = train.interactions
    cut = trajectories(events, gap=gap, session=session)
    corpus = Corpus.of(cut.indptr, events.item, train.n_items, min_count, cut.user)
    if not len(corpus.token):
        most = int(events.item_counts.max(initial=0))
        raise DataError(
            f"min_count is {min_count} and the most frequent token occurs {most} times; lower min_count"
        )
    return corpus


def passes_over(count: NDArray[np.number], least: int, meetings: int) -> int:
    """Return how many passes a model makes where it does not say: `least`, or as many as let a token be met `meetings` times.

    `count` (m,) are the occurrences of the tokens in the log; those that occur are met so often on average. Vectors
    begin small and grow with each meeting: in a log of many tokens and few events they stay where they began otherwise.

    Example
    -------
    >>> passes_over(np.array([200, 100, 0]), 10, 300), passes_over(np.array([2, 1]), 10, 300)
    (10, 200)
    """
    mean = float(count[count > 0].mean()) if np.any(count > 0) else float(meetings)
    return max(least, math.ceil(meetings / mean))


def keep_probability(share: F64, threshold: float) -> F64:
    """Return the probability of an occurrence to stay, (sqrt(f / t) + 1) t / f at most 1; shape (m,).

    This is word2vec's own rule; the paper's sqrt(t / f) thins out a little more. A threshold of 0 keeps all.
    """
    if not threshold:
        return np.ones(len(share))
    odds = threshold / np.maximum(share, 1e-300)
    return np.minimum(np.sqrt(odds) + odds, 1.0)


def noise(count: I64, exponent: float) -> F64:
    """Return P_n in proportion to count^exponent, tokens that do not occur left out; shape (m,)."""
    weight = np.where(count > 0, np.maximum(count, 1).astype(np.float64) ** exponent, 0.0)
    return weight / max(weight.sum(), 1e-300)
