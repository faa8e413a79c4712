"""Bags of words of items: from a column of a dataset, in the words that a model knows."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Category, Column, Text, kind_of
from twofold.data.entities import Entities
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.features.counts import held_by
from twofold.features.text import BagOfWords, Weight, WordCode
from twofold.features.words import keeps_runs, words_of
from twofold.models._scarce import say_scarce
from twofold.typing import F32


def content_column(model: str, content: str | None, items: Entities) -> str:
    """Return the name of the feature that holds the words of the items.

    Raises
    ------
    DataError
        If no feature is named and the items have none that holds words, or several.
    ConfigError
        If there is no such feature.
    """
    if content is None:
        found = [
            name for name, column in items.features.items() if kind_of(column) in {"bag", "text"}
        ]
        if len(found) == 1:
            return found[0]
        what = (
            f"{model} reads the words of the items from one bag or text feature and the items have"
        )
        if found:
            raise DataError(
                f"{what} {len(found)}: {', '.join(found)}; name the one that is meant with content= "
                f"(on the command line --set content={found[0]})"
            )
        listed = [name for name, one in items.features.items() if kind_of(one) == "tags"]
        if listed:
            raise DataError(
                f"{what} none, but tags: {', '.join(listed)}; name the one that holds words with content= "
                f"(on the command line --set content={listed[0]})"
            )
        wordy = [name for name, column in items.features.items() if holds_words(column)]
        if wordy:
            listed = " and ".join(repr(name) for name in wordy[:3])
            were = "was read as a category" if len(wordy) == 1 else "were read as categories"
            raise DataError(
                f"{what} none; {listed} {were}, of levels of several words: declare the one that is meant as text "
                f"with item_features={{{wordy[0]!r}: 'text'}} (on the command line --item-feature {wordy[0]}=text)"
            )
        raise DataError(
            f"{what} none; declare one with item_features= (on the command line --item-feature NAME=text)"
        )
    if content not in items.features:
        raise ConfigError(
            f"{model}.content got {content!r}, which is no item feature; "
            f"{did_you_mean(content, items.features)}"
        )
    return content


def holds_words(column: Column) -> bool:
    """Say whether most levels of a category are several words, as titles that repeat are."""
    if not isinstance(column, Category) or column.levels.is_integer or not len(column.levels):
        return False
    several = column.levels.ids.str.contains(r"\p{L}\S*\s+\S*\p{L}")
    return 2 * int(several.sum()) > len(several)


def levels_of(name: str, column: Column, *, whole: bool = False) -> tuple[csr_array, Vocabulary]:
    """Return counts (n, n_words) and the words of a column of kind bag, tags or text.

    Text is cut into words as `twofold.features.text.tokens` does it: lower case, any script, emoji.

    Raises
    ------
    ConfigError
        If the column holds no words.
    DataError
        If a count is negative or not finite.
    """
    match column:
        case Bag():
            check_counts(name, column.counts)
            return column.matrix(), column.levels
        case Text() if not column.is_path:
            found = words_of(column, whole=whole)
            return found.matrix(), found.distinct
        case _:
            raise ConfigError(
                f"content cannot read words from {name!r}, which is a {kind_of(column)}; "
                f"allowed kinds: bag, tags, text, as with item_features={{{name!r}: 'text'}} (on the command line --item-feature {name}=text)"
            )


def learn_words(name: str, items: Entities, most: int) -> tuple[csr_array, Vocabulary]:
    """Return counts (n_items, S) and the S <= `most` words that occur in most items.

    Raises
    ------
    DataError
        If no item has a word.
    """
    counts, words = levels_of(name, items.features[name])
    found = np.bincount(counts.indices[counts.data > 0], minlength=len(words))
    kept = np.sort(np.argsort(-found, kind="stable")[:most])
    kept = kept[found[kept] > 0]
    if not len(kept):
        raise DataError(f"no item has a word in {name!r}; check the column and its kind")
    if isinstance(items.features[name], Text):
        say_scarce(repr(name), found, len(items))
    return positive(name, csr_array(counts[:, kept])), words.take(kept)


def learn_code(name: str, items: Entities, most: int, weight: Weight) -> tuple[csr_array, WordCode]:
    """Return counts (n_items, S) of the S <= `most` words that occur in most items, and how such counts are weighted.

    Raises
    ------
    DataError
        If no item has a word.
    """
    counts, words = learn_words(name, items, most)
    code = WordCode(
        settings=BagOfWords(max_words=most, weight=weight),
        words=words,
        n_texts=len(items),
        texts_with=held_by(counts),
        mean_length=float(counts.sum(dtype=np.float64) / len(items)),
    )
    return counts, code


def read_words(name: str, items: Entities, words: Vocabulary) -> csr_array:
    """Return counts (n, S) of the known `words`; others are passed over."""
    counts, theirs = levels_of(name, items.features[name], whole=keeps_runs(words))
    row = words.rows(theirs.ids)
    known = np.flatnonzero(row != UNKNOWN)
    shape = (len(words), len(items))
    turned = csr_array(counts.T)[known].tocoo()
    made = csr_array((turned.data, (row[known][turned.row], turned.col)), shape=shape)
    return positive(name, csr_array(made.T))


def positive(name: str, counts: csr_array) -> csr_array:
    """Return counts (n, S) in float32 without zeros, words sorted.

    Raises
    ------
    DataError
        If a count is negative or not finite.
    """
    counts = csr_array(counts, dtype=np.float32)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    check_counts(name, np.asarray(counts.data, np.float32))
    return counts


def check_counts(name: str, counts: F32) -> None:
    """Refuse counts (nnz,) that are negative or not finite.

    Raises
    ------
    DataError
        Naming the column.
    """
    if len(counts) and not (np.isfinite(counts).all() and counts.min() >= 0):
        raise DataError(f"{name!r} holds a count that is negative or not finite; counts are >= 0")
