"""Plain lists of tokens (words of sentences, places of a walk) as a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import Vocabulary, as_ids, factorize
from twofold.errors import DataError
from twofold.typing import Id


def from_sequences(
    sequences: Iterable[Iterable[Id]], *, names: Sequence[Id] | None = None
) -> Dataset:
    """Return a dataset with one user for each sequence and one item for each distinct token, in the order given.

    Parameters
    ----------
    sequences
        Tokens of each, all strings or all integers; a sequence may be empty, and a token may come again.
    names
        One distinct id for each sequence; without them they are called 0, 1, 2, ...

    Raises
    ------
    DataError
        If a sequence is a string in place of a list, a token is missing, tokens mix strings and integers,
        or `names` are not as many as the sequences, or not distinct.

    Example
    -------
    >>> data = from_sequences([["to", "be", "or", "not", "to", "be"], [], ["be"]])
    >>> data.n_users, data.n_items, len(data)
    (3, 4, 7)
    """
    tokens: list[Id] = []
    ends = [0]
    for row, one in enumerate(sequences):
        if isinstance(one, str | bytes):
            raise DataError(
                f"sequence {row} is the text {one[:40]!r}; give a list of tokens, such as text.split()"
            )
        tokens.extend(one)
        ends.append(len(tokens))
    ids = as_ids(tokens, "token")
    if ids.null_count():
        at = int(ids.is_null().arg_max() or 0)
        row = int(np.searchsorted(ends, at, side="right")) - 1
        raise DataError(f"sequence {row} has a token that is missing; leave it out")
    vocabulary, item = factorize(ids)
    lengths = np.diff(ends)
    called = as_ids(range(len(lengths)) if names is None else list(names), "name")
    if len(called) != len(lengths) or called.null_count():
        raise DataError(
            f"there are {len(called)} names for {len(lengths)} sequences; give one for each"
        )
    if called.n_unique() != len(called):
        twice = called.filter(called.is_duplicated())[0]
        raise DataError(
            f"the name {twice!r} is given to more than one sequence; make them distinct"
        )
    return Dataset(
        Interactions(
            user=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
            item=item,
            value=np.ones(len(item), np.float32),
            time=None,
            n_users=len(lengths),
            n_items=len(vocabulary),
            has_value=False,
        ),
        Entities(Vocabulary(called.cast(pl.Int64) if called.dtype == pl.Int32 else called)),
        Entities(vocabulary),
    )
