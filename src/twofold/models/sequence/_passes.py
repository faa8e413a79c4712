"""Passes over sequences of tokens: chunks, windows, groups and rates, for Token2Vec and Doc2Vec alike.

Symbols follow Mikolov, Sutskever, Chen, Corrado & Dean (2013).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numba
import numpy as np

from twofold.errors import DataError, NotConvergedError
from twofold.kernels._rows import widened
from twofold.kernels.cbow import cbow_chunk, order_rounds
from twofold.kernels.noise import fill_alias
from twofold.kernels.skip_gram import skip_gram_chunk
from twofold.kernels.token_windows import count_kept, count_pairs, fill_windows, place_pairs
from twofold.models.sequence._corpus import Corpus, Course
from twofold.progress import track
from twofold.random import kernel_seed
from twofold.typing import F32, F64, I32, I64, Bool

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate`"
GROUPS = 16
"""Groups of sources and of targets, hence the most threads that can work at once."""
LEAST = 8
"""Tokens a group, at least: fewer groups are made where there are not enough tokens."""
PARTS = 16
"""Slices of a chunk that are made ready side by side."""
ROUND = 4096
"""Most places of a round of CBOW."""
LEAST_SHARE = 1e-4
"""The learning rate falls to this share of its start."""
REPEATS = 16.0
"""Expected occurrences of the most frequent token in a round of CBOW, at most."""


@dataclass(frozen=True)
class Deal:
    """Tokens dealt into groups, ready for draws; see `noise.fill_alias`."""

    group_of: I32  # (m,)
    members: I32
    start: I64  # (groups + 1,)
    accept: F32
    other: I32

    @classmethod
    def of(cls, weight: F64, groups: int, rng: np.random.Generator) -> Deal:
        """Deal the tokens of positive `weight` (m,) at random into groups of equal size."""
        return cls._of(weight, groups, rng.permutation(np.flatnonzero(weight)).astype(np.int32))

    @classmethod
    def whole(cls, weight: F64) -> Deal:
        """Return all tokens of positive `weight` (m,) as one group."""
        return cls._of(weight, 1, np.flatnonzero(weight).astype(np.int32))

    @classmethod
    def _of(cls, weight: F64, groups: int, members: I32) -> Deal:
        start = np.linspace(0, len(members), groups + 1).astype(np.int64)
        group_of = np.zeros(len(weight), np.int32)
        group_of[members] = np.repeat(np.arange(groups, dtype=np.int32), np.diff(start))
        accept, other = np.empty(len(members), np.float32), np.empty_like(members)
        fill_alias(weight, members, start, accept, other)
        return cls(group_of, members, start, accept, other)


@dataclass(frozen=True)
class Windows:
    """The places of a chunk that stay, with their windows; see `token_windows.fill_windows`."""

    kept: I32
    low: I32
    high: I32
    document: I32

    @classmethod
    def of(
        cls, corpus: Corpus, first: int, last: int, keep: F64, course: Course, seed: int
    ) -> Windows:
        """Thin out the sequences first ... last - 1 and cut their windows."""
        cut = sequence_parts(corpus.start, first, last)
        counts = np.zeros(PARTS, np.int64)
        count_kept(corpus.start, corpus.token, keep, seed, cut, counts)
        offset = np.cumsum(counts) - counts
        made = [np.empty(int(counts.sum()), np.int32) for _ in range(4)]
        fill_windows(
            corpus.start, corpus.token, corpus.owner, keep, seed, cut, offset, course.window,
            course.dynamic, *made,
        )  # fmt: skip
        return cls(*made)


def sequence_parts(start: I64, first: int, last: int) -> I64:
    """Cut the sequences first ... last - 1 into PARTS with about as many tokens each; shape (PARTS + 1,)."""
    goals = np.linspace(start[first], start[last], PARTS + 1)
    cut = np.clip(np.searchsorted(start, goals), first, last).astype(np.int64)
    cut[0], cut[-1] = first, last
    return np.maximum.accumulate(cut)


def initial(known: Bool, d: int, rng: np.random.Generator) -> F32:
    """Return vectors of padded length, uniform in -1 / d ... 1 / d; zero where not `known` (n,).

    word2vec.c begins with half of that, from which rare tokens come away later.
    """
    vectors = (rng.random((len(known), d), np.float32) - np.float32(0.5)) / np.float32(0.5 * d)
    vectors[~known] = 0.0
    return widened(vectors)


def verify_vectors(token_vectors: F32, item_factors: F32, counts: I32 | None = None) -> None:
    """Refuse input vectors (m, d), or none, and counts (m,) that do not belong to item factors (m, d + 1).

    Raises
    ------
    DataError
        Saying their shapes.
    """
    wanted = (len(item_factors), item_factors.shape[1] - 1)
    if token_vectors.shape not in (wanted, (0, wanted[1])):
        raise DataError(f"token_vectors have the shape {token_vectors.shape}, not {wanted}")
    if counts is not None and (len(counts) != wanted[0] or counts.min(initial=0) < 0):
        raise DataError("token_counts must be a number >= 0 for each item")


def learn(
    course: Course,
    corpus: Corpus,
    rng: np.random.Generator,
    x: F32,
    y: F32,
    *,
    docs: F32 | None = None,
    pairs: bool,
    label: str,
) -> None:
    """Learn in place: x (m, d) the input and y (m, d) the output vectors, docs (documents, d).

    With `pairs` single rows predict a token: those of the tokens around it, or where `docs` are given
    those of its document. Without, the mean of the window predicts it, its document's row among them.
    """
    keep, weight = course.keep(corpus), course.noise(corpus)
    groups = max(1, min(GROUPS, int((weight > 0).sum()) // LEAST))
    chunks = corpus.chunks(course.epochs)
    total = max(course.epochs * len(corpus.token), 1)
    length = round_length(corpus.share * keep)
    room = np.zeros((length, x.shape[1]), np.float32)
    nobody = np.zeros((0, x.shape[1]), np.float32)
    sources = None if docs is None else np.arange(len(docs), dtype=np.int32)
    done = 0
    for epoch in track(range(1, course.epochs + 1), label):
        seed = kernel_seed(rng)
        for first, last in chunks:
            windows = Windows.of(corpus, first, last, keep, course, seed)
            deal = Deal.of(weight, groups, rng)
            ahead = int(corpus.start[last] - corpus.start[first])
            steps = groups if pairs else max(-(-len(windows.kept) // length), 1)
            rates = falling(course.learning_rate, done / total, (done + ahead) / total, steps)
            done += ahead
            if pairs:
                if sources is None:
                    group_of = Deal.of(weight, groups, rng).group_of
                else:
                    group_of = ((sources * np.int64(groups)) // max(len(sources), 1)).astype(
                        np.int32
                    )
                learn_pairs(
                    course, windows, deal, group_of, rng, rates, x if docs is None else docs, y,
                    by_document=docs is not None,
                )  # fmt: skip
            else:
                learn_windows(
                    course, windows, deal, kernel_seed(rng), rates, length, x, y,
                    nobody if docs is None else docs, room,
                )  # fmt: skip
        if not np.isfinite(y).all():
            raise NotConvergedError(f"{label} diverged in epoch {epoch}; {ADVICE}")
        log.debug("%s epoch %d/%d", label, epoch, course.epochs)


def falling(learning_rate: float, begin: float, end: float, steps: int) -> F32:
    """Return the rates of `steps` steps between two shares of the training, falling linearly from `learning_rate`."""
    share = begin + (end - begin) * np.arange(steps) / steps
    top, bottom = learning_rate, learning_rate * LEAST_SHARE
    return (top - (top - bottom) * share).astype(np.float32)


def round_length(share: F64) -> int:
    """Return the places of a round of CBOW, in which no token is expected more than REPEATS times."""
    most = float(share.max(initial=0.0)) / max(float(share.sum()), 1e-300)
    return int(np.clip(REPEATS / max(most, 1e-300), 1, ROUND))


def learn_pairs(
    course: Course,
    windows: Windows,
    deal: Deal,
    source_group: I32,
    rng: np.random.Generator,
    rates: F32,
    x: F32,
    y: F32,
    *,
    by_document: bool,
) -> None:
    """Sort the pairs of a chunk into blocks and learn them; see `skip_gram.skip_gram_chunk`."""
    groups = len(rates)
    cut = np.linspace(0, len(windows.kept), PARTS + 1).astype(np.int64)
    sizes = np.zeros((PARTS, groups * groups), np.int64)
    shared = (
        windows.low, windows.high, windows.kept, windows.document, by_document, source_group,
        deal.group_of, cut,
    )  # fmt: skip
    count_pairs(*shared, sizes)
    inside = np.cumsum(sizes, axis=0) - sizes
    block_start = np.concatenate([[0], np.cumsum(sizes.sum(axis=0))])
    pairs = np.empty((int(block_start[-1]), 2), np.int32)
    place_pairs(*shared, inside + block_start[:-1], pairs)
    skip_gram_chunk(
        block_start, pairs, rng.permutation(groups), deal.members, deal.start, deal.accept,
        deal.other, course.negatives, kernel_seed(rng), rates, x, y,
    )  # fmt: skip


def learn_windows(
    course: Course,
    windows: Windows,
    deal: Deal,
    seed: int,
    rates: F32,
    length: int,
    x: F32,
    y: F32,
    docs: F32,
    room: F32,
) -> None:
    """Sort the places of a chunk into rounds and groups and learn them; see `cbow.cbow_chunk`."""
    n = len(windows.kept)
    order = np.empty(n, np.int32)
    starts = np.zeros((-(-n // length), len(deal.start)), np.int64)
    order_rounds(windows.kept, deal.group_of, length, order, starts)
    cbow_chunk(
        windows.kept, windows.low, windows.high, windows.document, order, starts, deal.members,
        deal.start, deal.accept, deal.other, course.negatives, seed, rates, x, y, docs, room,
        numba.get_num_threads(),
    )  # fmt: skip
