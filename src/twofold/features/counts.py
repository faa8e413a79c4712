"""Counts of words and letters: which columns are kept, what is dropped, what hashing merges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.errors import DataError
from twofold.features.design import width_of
from twofold.features.words import as_series, letter_ngrams
from twofold.typing import F32, F64, I32, I64


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts as sparse rows, with what was dropped because training had not seen it."""

    rows: csr_array
    """Shape (n, width), float32; a text without a known part is an empty row."""
    unknown: F64
    """Shape (n,): occurrences in each text that are not in the vocabulary."""
    total: F64
    """Shape (n,): all occurrences."""

    def __len__(self) -> int:
        return len(self.unknown)

    @property
    def n_unknown(self) -> float:
        """Occurrences that were dropped, over all texts."""
        return float(self.unknown.sum())

    @property
    def share_unknown(self) -> float:
        """Dropped occurrences of all; 0 where there are none at all."""
        return float(self.unknown.sum() / max(self.total.sum(), 1))


@dataclass(frozen=True, eq=False)
class Collisions:
    """What word hashing merges: Table 1 of Huang et al. 2013 for one vocabulary."""

    n_words: int
    n_ngrams: int
    groups: tuple[tuple[str, ...], ...]
    """Words with the same counts of letter n-grams."""

    @property
    def n_colliding(self) -> int:
        """Words that share their n-grams with another word."""
        return sum(len(group) for group in self.groups)

    @property
    def share(self) -> float:
        """Colliding words of all words."""
        return self.n_colliding / max(self.n_words, 1)


def collisions(words: pl.Series | Iterable[str], n: int = 3) -> Collisions:
    """Count the letter n-grams of a vocabulary and find the words that they cannot tell apart.

    Words are taken as they stand (not lowered); repeated and missing ones count once and never.

    Example
    -------
    >>> found = collisions(["good", "abaca", "acaba"], n=2)
    >>> found.n_words, found.n_ngrams, found.groups
    (3, 11, (('abaca', 'acaba'),))
    """
    distinct = as_series(words).drop_nulls().unique().sort()
    counts, grams = letter_ngrams(distinct, n)
    alike: dict[bytes, list[int]] = {}
    ends = counts.indptr
    for row in range(len(distinct)):
        part = slice(ends[row], ends[row + 1])
        key = counts.indices[part].tobytes() + counts.data[part].tobytes()
        alike.setdefault(key, []).append(row)
    groups = [tuple(distinct.gather(rows)) for rows in alike.values() if len(rows) > 1]
    return Collisions(len(distinct), len(grams), tuple(sorted(groups)))


def held_by(counts: csr_array) -> I64:
    """Return in how many rows each column of `counts` (n, width) occurs."""
    seen = counts.indices[counts.data > 0]
    return np.bincount(seen, minlength=width_of(counts)).astype(np.int64)


def select(
    counts: csr_array, min_count: int, max_share: float, limit: int | None, what: str
) -> I64:
    """Return the columns of `counts` (n, width) that the cut-offs keep, ascending.

    Raises
    ------
    DataError
        If none is left.
    """
    held = held_by(counts)
    n = len(counts.indptr) - 1
    if not held.any():
        raise DataError(
            f"none of the {n:,} texts holds any {what}; check that the column is the right one and not empty"
        )
    kept = np.flatnonzero((held >= min_count) & (held <= max_share * n))
    if not len(kept):
        raise DataError(
            f"no {what} is left of {int((held > 0).sum()):,} in {n:,} texts with min_count={min_count} and "
            f"max_share={max_share:g}; lower the first, raise the second, or give texts with words"
        )
    if limit is not None and len(kept) > limit:
        kept = np.sort(kept[np.argsort(-held[kept], kind="stable")[:limit]])
    return kept.astype(np.int64)


def project(counts: csr_array, place: I32, width: int) -> tuple[csr_array, F32]:
    """Move the columns of `counts` (n, m) to their `place` (m,) of `width`; -1 is dropped.

    Returns
    -------
    rows : (n, width) float32
    dropped : (n,)
        The sum of what was dropped.
    """
    to = place[counts.indices]
    rows = np.repeat(np.arange(len(counts.indptr) - 1), np.diff(counts.indptr))
    known = to >= 0
    dropped = np.bincount(rows[~known], counts.data[~known], minlength=len(counts.indptr) - 1)
    indptr = np.concatenate([[0], np.cumsum(known, dtype=np.int64)])[counts.indptr]
    made = csr_array((counts.data[known], to[known], indptr), shape=(len(dropped), width))
    made.sum_duplicates()
    return csr_array(made, dtype=np.float32), dropped.astype(np.float32)
