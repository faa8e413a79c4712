"""Clicked pairs of texts as a log."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.errors import DataError
from twofold.features.words import as_series

QUERY, DOCUMENT = "query", "document"
"""The columns of the pairs."""


def pairs_dataset(queries: Sequence[str], documents: Sequence[str]) -> Dataset:
    """Return clicked pairs of a query and a document as a log: retrieval from text pairs.

    Parameters
    ----------
    queries, documents : n strings each
        Row i says that the document was clicked for the query. A text that occurs again is the same user
        or item, and the text itself is its id; its words are the feature ``text`` on either side.

    Raises
    ------
    DataError
        If the lengths differ, or a text is missing or empty.

    Example
    -------
    >>> data = pairs_dataset(["cheap flights", "red shoes"], ["Flights for less", "Shoes in all colours"])
    >>> data.users.ids.ids.to_list(), list(data.items.features)
    (['cheap flights', 'red shoes'], ['text'])
    """
    if len(queries) != len(documents):
        raise DataError(
            f"each query needs its document; got {len(queries):,} queries and {len(documents):,} documents"
        )
    columns = {QUERY: as_series(queries), DOCUMENT: as_series(documents)}
    for name, texts in columns.items():
        empty = (texts.is_null() | (texts.str.strip_chars() == "")).arg_true()
        if len(empty):
            raise DataError(
                f"the {name} of pair {empty[0]:,} is empty ({len(empty):,} are); leave such pairs out"
            )
    log = pl.DataFrame(columns)
    users, items = (
        log.select(name, text=name).unique(name, maintain_order=True) for name in (QUERY, DOCUMENT)
    )
    text: dict[str, Kind] = {"text": "text"}
    return Dataset.from_frames(
        log,
        user=QUERY,
        item=DOCUMENT,
        users=users,
        items=items,
        user_features=text,
        item_features=text,
    )
