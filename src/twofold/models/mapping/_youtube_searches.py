"""What people searched for, as `YouTubeCandidates` reads it: words and pairs of neighbouring words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Text
from twofold.data.dataset import Dataset
from twofold.data.vocabulary import UNKNOWN, Vocabulary, factorize
from twofold.errors import ConfigError, did_you_mean
from twofold.features.words import keeps_runs as keeps_runs
from twofold.features.words import words_of
from twofold.models._scarce import say_scarce
from twofold.models.mapping._youtube_inputs import mean_rows
from twofold.typing import I32, I64


def learn_searches(
    name: str | None, train: Dataset, vocabulary: int, most: int
) -> tuple[Vocabulary, csr_array]:
    """Return the tokens that are known, and the means of the last `most` of each user, (n_users, tokens); none without a `name`."""
    if name is None:
        return Vocabulary.of([]), csr_array((train.n_users, 0), dtype=np.float32)
    said = searches_of(name, train)
    tokens = learn_tokens(said, vocabulary, repr(name))
    whose = train.interactions.indptr if name in train.interactions.context else None
    return tokens, last_tokens(said, tokens, most, whose)


def searches_of(name: str | None, train: Dataset) -> Text:
    """Return the column with the searches.

    Raises
    ------
    ConfigError
        If there is none of this name, or it is no text.
    """
    columns = {**train.users.features, **train.interactions.context}
    column = columns.get(name or "")
    if column is None:
        raise ConfigError(
            f"YouTubeCandidates.searches got {name!r}, which is no context column or user feature; "
            f"{did_you_mean(name, columns)}"
        )
    if not isinstance(column, Text) or column.is_path:
        raise ConfigError(
            f"YouTubeCandidates.searches got {name!r}, which is no text column; declare it as text"
        )
    return column


class Tokens(NamedTuple):
    """The words and pairs of neighbouring words of n texts, ragged: text i has ``ids[indptr[i]:indptr[i + 1]]``."""

    indptr: I64  # (n + 1,)
    ids: I32  # (nnz,)


def spoken(text: Text, *, whole: bool = False) -> tuple[I64, pl.Series]:
    """Return unigrams and bigrams of every text: ends (n + 1,) and the tokens, in the order in which a text comes to their ends."""
    words = words_of(text, whole=whole)
    row = np.repeat(np.arange(len(words)), np.diff(words.indptr))
    single = words.distinct.ids.cast(pl.String).gather(pl.Series(words.ids, dtype=pl.UInt32))
    inside = np.flatnonzero(row[1:] == row[:-1])
    first, second = (single.gather(pl.Series(inside + k, dtype=pl.UInt32)) for k in (0, 1))
    pairs = first + pl.Series([" "]) + second if len(inside) else single.head(0)
    owner = np.concatenate([row, row[inside]])
    # A pair stands behind its second word.
    place = np.concatenate([np.arange(len(row)), inside + 1.5])
    order = np.lexsort((place, owner))
    found = pl.concat([single, pairs]).gather(pl.Series(order, dtype=pl.UInt32))
    counts = np.bincount(owner, minlength=len(words))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), found


def learn_tokens(text: Text, most: int, what: str) -> Vocabulary:
    """Return the `most` most frequent tokens of the column that `what` names."""
    _, found = spoken(text)
    levels, codes = factorize(found)
    counts = np.bincount(codes, minlength=len(levels))
    say_scarce(what, counts, len(text))
    return levels.take(np.sort(np.argsort(-counts, kind="stable")[:most]))


def read_tokens(text: Text, known: Vocabulary) -> Tokens:
    """Return the known tokens of every text; others are passed over."""
    indptr, found = spoken(text, whole=keeps_runs(known))
    rows = known.rows(found) if len(found) else np.zeros(0, np.int32)
    kept = rows != UNKNOWN
    ends = np.concatenate([[0], np.cumsum(kept)])[indptr]
    return Tokens(ends.astype(np.int64), rows[kept].astype(np.int32))


def last_tokens(text: Text, known: Vocabulary, most: int, whose: I64 | None = None) -> csr_array:
    """Return the means of the last `most` known tokens of n texts, or of what each of n people said, shape (n, tokens).

    The texts of person i are ``whose[i]`` to ``whose[i + 1]`` - 1.
    """
    indptr, ids = read_tokens(text, known)
    ends = indptr if whose is None else indptr[whose]
    return mean_rows(np.maximum(ends[:-1], ends[1:] - most), ends[1:], ids, len(known))
