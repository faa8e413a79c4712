"""How the examples of an epoch are dealt into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twofold.typing import I64

Deal: TypeAlias = Callable[[int, int, np.random.Generator], Sequence[I64]]
"""(n_examples, batch_size, rng) -> batches of rows, int64."""


def cut(rows: I64, batch_size: int) -> list[I64]:
    """Cut `rows` into batches of at most `batch_size`, as equal in size as they can be."""
    return np.array_split(rows, max(1, -(-len(rows) // batch_size)))


def shuffled(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
    """Every example once, in random order.

    Example
    -------
    >>> [len(rows) for rows in shuffled(10, 4, np.random.default_rng(0))]
    [4, 3, 3]
    """
    return cut(rng.permutation(n_examples), batch_size)


def by_length(lengths: NDArray[np.integer]) -> Deal:
    """Every example once; those of a batch are about as long, so that little is padded."""

    def deal(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        mixed = rng.permutation(n_examples)
        batches = cut(mixed[np.argsort(lengths[mixed], kind="stable")], batch_size)
        return [batches[at] for at in rng.permutation(len(batches))]

    return deal


def within_groups(groups: NDArray[np.integer]) -> Deal:
    """Every example once; a batch holds examples of one group, such as one item view, and the groups alternate at random."""
    members = [np.flatnonzero(groups == one) for one in np.unique(groups)]

    def deal(n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        del n_examples
        batches = [batch for rows in members for batch in cut(rng.permutation(rows), batch_size)]
        return [batches[at] for at in rng.permutation(len(batches))]

    return deal
