"""The user view of the multi-view network: what people are known by.

A person's row is the mean of the rows of the items of the history plus the row of the person's own words.
The row of an item holds a 1 for the item itself and its words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Text
from twofold.features.design import side_by_side
from twofold.models.mapping._dssm_text import TextCode
from twofold.typing import I32


@dataclass(frozen=True, eq=False, kw_only=True)
class PeopleCode:
    """What people are known by: a column for every item, then one for every word."""

    code: TextCode
    """The words of items and of people, as they stand."""
    n_items: int
    by_items: bool
    by_words: bool

    def of_items(self, texts: Text | Bag) -> csr_array:
        """Return the rows of items in a history, before the reduction, (n_items, W)."""
        words = self.code.read(texts).matrix() if self.by_words else None
        return item_rows(words, self.n_items, self.code.width, own=self.by_items)

    def of_words(self, texts: Text | Bag) -> csr_array:
        """Return the rows of people's own words, before the reduction, (n, W)."""
        words = self.code.read(texts).matrix()
        shape = (len(texts), self.n_items + self.code.width)
        return csr_array((words.data, words.indices + self.n_items, words.indptr), shape=shape)


def people_rows(bags: csr_array, parts: csr_array, own: csr_array | None) -> csr_array:
    """Return what people are known by before the reduction, (n, W): the mean over their items, and their own words.

    bags (n, n_items) of ones, parts (n_items, W), own (n, W).
    """
    rows = mean_of(bags, parts)
    return rows if own is None else csr_array(rows + own)


def known_items(bags: csr_array, parts: csr_array) -> I32:
    """Return of how many items of each bag (n,) something is known."""
    known = np.diff(parts.indptr) > 0
    return np.asarray(bags @ known.astype(np.float32)).astype(np.int32)


def item_rows(words: csr_array | None, n_items: int, width: int, *, own: bool) -> csr_array:
    """Return the rows of the items as parts of a history, (n_items, n_items + width): themselves, and their words."""
    ends = np.arange(n_items + 1, dtype=np.int64)
    here = csr_array((np.ones(n_items, np.float32), ends[:-1], ends), shape=(n_items, n_items))
    left = here if own else csr_array((n_items, n_items), dtype=np.float32)
    right = csr_array((n_items, width), dtype=np.float32) if words is None else words
    return side_by_side([left, right])


def mean_of(bags: csr_array, rows: csr_array) -> csr_array:
    """Return the mean of the rows (k, W) of each bag (n, k) of ones, (n, W); nothing for an empty bag."""
    sizes = np.diff(bags.indptr)
    shares = (1 / np.repeat(np.maximum(sizes, 1), sizes)).astype(np.float32)
    return csr_array(csr_array((shares, bags.indices, bags.indptr), shape=bags.shape) @ rows)
