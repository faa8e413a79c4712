"""Passes with hierarchical softmax: the Huffman tree of a vocabulary, and the steps along its paths."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from twofold.errors import NotConvergedError
from twofold.kernels.hierarchical import fill_paths, hierarchical_chunk, join_rarest
from twofold.models.sequence._corpus import Corpus, Course
from twofold.models.sequence._passes import ADVICE, Windows, falling
from twofold.progress import track
from twofold.random import kernel_seed
from twofold.typing import F32, I32, I64, U8

log = logging.getLogger(__name__)


class Codes(NamedTuple):
    """The path of each token from the root: inner nodes, and the bit taken at each."""

    start: I64  # (m + 1,)
    node: I32
    bit: U8


def huffman(count: I64) -> Codes:
    """Return the Huffman codes of tokens that occur `count` (m,) times; none for those that never do.

    A token is the deeper the rarer it is; a single token has an empty path.

    Example
    -------
    >>> codes = huffman(np.array([1, 5, 2, 1, 0]))
    >>> np.diff(codes.start).tolist()
    [3, 1, 2, 3, 0]
    """
    known = np.flatnonzero(count)
    order = known[np.argsort(count[known], kind="stable")]
    n = len(order)
    leaf = np.full(len(count), -1, np.int64)
    leaf[order] = np.arange(n)
    parent, bit = np.full(max(2 * n - 1, 1), -1, np.int64), np.zeros(max(2 * n - 1, 1), np.uint8)
    if n > 1:
        join_rarest(count[order].astype(np.int64), parent, bit)
    depth = np.zeros(len(parent), np.int64)
    for at in range(2 * n - 3, -1, -1):  # a parent comes after its children
        depth[at] = depth[parent[at]] + 1
    length = np.where(leaf >= 0, depth[leaf], 0)
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    node, code = np.empty(start[-1], np.int32), np.empty(start[-1], np.uint8)
    fill_paths(parent, bit, leaf, start, node, code)
    return Codes(start, node, code)


def learn_codes(
    course: Course,
    corpus: Corpus,
    rng: np.random.Generator,
    x: F32,
    y: F32,
    *,
    pairs: bool,
    label: str,
) -> None:
    """Learn in place: x (m, d) the input vectors, y (m, d) the vectors of the inner nodes, m - 1 at most.

    With `pairs` each token of a window predicts the one in its middle, without the mean of the window.
    """
    codes = huffman(corpus.count)
    keep = course.keep(corpus)
    total = max(course.epochs * len(corpus.token), 1)
    done = 0
    for epoch in track(range(1, course.epochs + 1), label):
        seed = kernel_seed(rng)
        for first, last in corpus.chunks(course.epochs):
            windows = Windows.of(corpus, first, last, keep, course, seed)
            ahead = int(corpus.start[last] - corpus.start[first])
            rates = falling(course.learning_rate, done / total, (done + ahead) / total, 2)
            hierarchical_chunk(
                windows.kept, windows.low, windows.high, *codes, not pairs, rates, x, y
            )
            done += ahead
        if not np.isfinite(y).all():
            raise NotConvergedError(f"{label} diverged in epoch {epoch}; {ADVICE}")
        log.debug("%s epoch %d/%d", label, epoch, course.epochs)
