"""Items that are like an item: cosine of their vectors, written once for every model."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.entities import Entities
from twofold.errors import at_least_one
from twofold.index.exact import top_k
from twofold.kernels.top_k import products_with
from twofold.typing import F32, Id
from twofold.unseen import shown, tell


class HasItemVectors(Protocol):
    """What likeness needs of a model."""

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """Shape (n_items, d)."""
        ...

    @property
    def items(self) -> Entities:
        """The catalogue."""
        ...


class HasPopularity(Protocol):
    """What a model remembers of who took what."""

    @property
    def popularity(self) -> F32:
        """Events of each item, shape (n_items,)."""
        ...


@runtime_checkable
class PlacesByContent(HasItemVectors, Protocol):
    """A model that places items without events by their content, and others elsewhere."""

    @property
    def memory(self) -> HasPopularity:
        """What it remembers."""
        ...

    def content_likeness(self) -> F32 | csr_array:
        """Return the vectors of all items as their content has them, shape (n_items, d')."""
        ...


def similar_items(model: HasItemVectors, item: Id, k: int = 10) -> pl.DataFrame:
    """Return the `k` items with the highest cosine to `item`, itself left out.

    An item without events, which stands where its content puts it, is compared with the content of all others where the
    model puts items with events elsewhere. Nothing is like an item of which nothing is known: its vector is zero, the
    list is empty, and a `DataWarning` says so.

    Returns
    -------
    polars.DataFrame
        ``rank`` from 1, ``item``, ``score`` in -1 ... 1 (0 for another item whose vector is zero).

    Raises
    ------
    UnknownIdError
        If the item is not in the catalogue.
    ConfigError
        If `k` is not a positive integer.
    """
    at_least_one("k", k)
    row = model.items.ids.row(item)
    scores = likeness(model, row)[None, :]
    nothing = scores[0, row] == 0  # any other vector has a cosine of 1 with itself
    none = np.zeros(2, np.int64)
    items, best = top_k(
        scores, none, np.zeros(0, np.int32), np.array([row], np.int32), min(k, scores.shape[1])
    )
    kept = items[0] >= 0
    if nothing and kept.any():
        kept[:] = False
        tell(
            [
                f"nothing is known of {shown(model.items.ids[row])} that others could be like: its vector is "
                "zero, and nothing is listed"
            ]
        )
    return pl.DataFrame(
        {
            "rank": np.arange(1, int(kept.sum()) + 1, dtype=np.int32),
            "item": model.items.ids.ids.gather(pl.Series(items[0][kept], dtype=pl.UInt32)),
            "score": best[0][kept],
        }
    )


def likeness(model: HasItemVectors, row: int) -> F32:
    """Return how like every item is to item `row`, -1 ... 1, shape (n_items,)."""
    if isinstance(model, PlacesByContent) and not model.memory.popularity[row]:
        return cosine(model.content_likeness(), row)
    return cosine(model.similarity_vectors, row)


def cosine(vectors: F32 | csr_array, row: int) -> F32:
    """Return the cosine of every row of `vectors` (n, d) with row `row`; shape (n,), 0 for zero rows."""
    if isinstance(vectors, np.ndarray):
        products, squares = np.empty((2, len(vectors)), np.float32)
        products_with(np.ascontiguousarray(vectors), row, products, squares)
        lengths = np.sqrt(squares)
    else:
        lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        products = (vectors @ vectors[[row]].T).toarray().ravel()
    scale = lengths * lengths[row]
    out = np.zeros(len(scale), np.float32)
    np.divide(products, scale, out=out, where=scale > 0, casting="unsafe")
    return out
