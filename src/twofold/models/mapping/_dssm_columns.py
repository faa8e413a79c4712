"""Which features hold the words that DSSM reads."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from twofold.data.columns import Bag, Column, Text, kind_of, present
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.errors import ConfigError, DataWarning, did_you_mean

HISTORY = 5
"""Events a person from which on passing over them is told."""


def query_column(owner: str, query: str | None, users: Entities) -> str | None:
    """Return the name of the user feature with the words of people; None where they have none, or "" is asked for. `owner` is the model.

    Raises
    ------
    ConfigError
        If there is no such feature, or none is named and several could be meant.
    """
    if query == "":
        return None
    if query is not None:
        if query not in users.features:
            raise ConfigError(
                f"{owner}.query got {query!r}, which is no user feature; "
                f"{did_you_mean(query, users.features)}"
            )
        return query
    found = [name for name, one in users.features.items() if kind_of(one) in {"bag", "text"}]
    if len(found) > 1:
        raise ConfigError(
            f"{owner}.query got None, and the users have {len(found)} features with words: "
            f"{', '.join(found)}; name one, or give '' to read none"
        )
    return found[0] if found else None


def say_passed_over(asked: str, train: Dataset) -> None:
    """Warn where a user feature that nobody named stands for histories that are long enough to say more.

    A log of queries and documents, whose users are texts, has no such histories.
    """
    words, ids = train.users.features[asked], train.users.ids.ids
    is_query = isinstance(words, Text) and (words.values == ids.cast(pl.String)).all()
    known = np.diff(train.interactions.indptr)[present(words)]
    if not is_query and len(known) and known.mean() >= HISTORY:
        warnings.warn(
            f"DSSM knows people by their {asked!r} and reads no history of who has one; give query='' to have it read "
            f"histories, or query={asked!r} if that is meant",
            DataWarning,
            stacklevel=4,
        )


def said_by(column: str, asked: str | None) -> str:
    """Return the columns with the words of items and of users as they are called in a message."""
    return repr(column) if asked is None else f"{column!r} of the items and {asked!r} of the users"


def texts_of(name: str, entities: Entities) -> Text | Bag:
    """Return the feature with the words of users or items; see `as_texts`."""
    return as_texts(name, entities.features[name])


def as_texts(name: str, column: Column) -> Text | Bag:
    """Return a column that holds words.

    Raises
    ------
    ConfigError
        If it is of another kind.
    """
    if isinstance(column, Bag) or (isinstance(column, Text) and not column.is_path):
        return column
    raise ConfigError(
        f"no words can be read from {name!r}, which is a {kind_of(column)}; "
        "allowed kinds: bag, tags, text"
    )
