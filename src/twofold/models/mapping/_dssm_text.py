"""What the towers of DSSM read: texts as rows of words, and words as letter n-grams or themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Column
from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError
from twofold.features.counts import held_by, select
from twofold.features.design import unit_rows, width_of
from twofold.features.text import BagOfWords, NgramCode, Weight, WordCode, WordHashing
from twofold.features.words import Texts, Words, keeps_runs, letter_ngrams, words_of
from twofold.typing import F32, I32, I64, Bool


@dataclass(frozen=True, eq=False)
class TextRows:
    """n texts as weighted words; text i has ``words[indptr[i]:indptr[i + 1]]``, rows of `parts`."""

    indptr: I64  # (n + 1,)
    words: I32  # (nnz,)
    weights: F32  # (nnz,)
    parts: csr_array  # (n_words, width): the n-grams of each word, or the word itself

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def known(self) -> Bool:
        """Which texts have a word that is known, shape (n,)."""
        return np.diff(self.indptr) > 0

    @property
    def plain(self) -> bool:
        """Whether word i is input i alone, with weight 1."""
        parts, width = self.parts, width_of(self.parts)
        return (
            len(parts.indptr) - 1 == width == parts.nnz
            and bool((parts.indices == np.arange(width)).all())
            and bool((parts.data == 1).all())
        )

    def first(self, n: int) -> TextRows:
        """Return the first `n` texts."""
        end = self.indptr[n]
        return TextRows(self.indptr[: n + 1], self.words[:end], self.weights[:end], self.parts)

    def take(self, rows: I64) -> TextRows:
        """Return the texts `rows`."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return TextRows(indptr, self.words[at], self.weights[at], self.parts)

    def matrix(self) -> csr_array:
        """Return the weights of the words, shape (n, n_words)."""
        shape = (len(self), len(self.parts.indptr) - 1)
        return csr_array((self.weights, self.words, self.indptr), shape=shape)

    def merged(self) -> TextRows:
        """Return the texts with one row of `parts` for words of the same parts, such as those of stacked texts."""
        parts, seen = self.parts, dict[bytes, int]()
        ends = zip(parts.indptr[:-1], parts.indptr[1:], strict=True)
        keys = [parts.indices[a:b].tobytes() + parts.data[a:b].tobytes() for a, b in ends]
        place = np.array([seen.setdefault(key, len(seen)) for key in keys], np.int32)
        first = np.unique(place, return_index=True)[1]
        shape = (len(self), len(seen))
        rows = csr_array((self.weights, place[self.words], self.indptr), shape=shape, copy=True)
        rows.sum_duplicates()
        return replace(
            self,
            indptr=rows.indptr.astype(np.int64),
            words=rows.indices,
            weights=rows.data,
            parts=csr_array(parts[first]),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class TextCode:
    """The words and letter n-grams of training."""

    words: WordCode
    grams: NgramCode | None
    """None where words are inputs as they stand."""
    rarity: F32
    """By n-gram, log((1 + N) / (1 + n_g)) + 1 for the n_g of N texts with it; read where words are weighted."""
    ordered: bool
    """Whether texts stay sequences, each word with weight 1."""
    longest: int | None
    """Words of a text that are read; None = all."""

    @property
    def width(self) -> int:
        """Number of inputs of a tower."""
        return self.words.width if self.grams is None else self.grams.width

    @property
    def weighs(self) -> bool:
        """Whether words and n-grams are weighted, or counted."""
        return self.words.settings.weight != "count" and not self.ordered

    @cached_property
    def whole(self) -> bool:
        """Whether runs of a script without spaces are words, as where letters are read, or beside lists of such words."""
        return self.grams is not None or keeps_runs(self.words.words)

    def listed(self, column: Column) -> Vocabulary | None:
        """Return the words of a column that lists them, None of a text; words that are read by their letters have no list."""
        return self.words.words if isinstance(column, Bag) and self.grams is None else None

    def read(self, texts: Texts) -> TextRows:
        """Return texts as rows; a word that training did not see counts by the n-grams that it did see.

        Without `ordered`, tfidf and bm25 weigh the words of a row and scale it to length 1; the n-grams of
        every word are weighed by their rarity and scaled to length 1 too, so that a word counts by its
        weight and not by its letters. The words of a row are in alphabetical order, so that sums over
        it do not depend on the other texts.
        """
        found = counted(texts, whole=self.whole)
        place, parts = self._parts(found.distinct)
        keep = place[found.ids] >= 0
        indptr = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])[found.indptr]
        ids, counts = place[found.ids[keep]], found.counts[keep]
        if self.ordered:
            return TextRows(*first_words(indptr, ids, self.longest), parts)
        shape = (len(indptr) - 1, len(parts.indptr) - 1)
        rows = csr_array((counts, ids, indptr), shape=shape, copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        if self.weighs:
            rows = unit_rows(self._weighted(rows, found.distinct))
        return TextRows(
            rows.indptr.astype(np.int64),
            rows.indices.astype(np.int32),
            np.asarray(rows.data, np.float32),
            parts,
        )

    def _parts(self, distinct: Vocabulary) -> tuple[I32, csr_array]:
        """Return where each distinct word stands in the parts (-1: nowhere), and the parts."""
        if self.grams is None:
            every = identity(self.words.width)
            return self.words.words.rows(distinct.ids), every
        parts = self.grams.of_words(distinct)[0]
        if self.weighs:
            heavy = parts.data * self.rarity[parts.indices]
            parts = unit_rows(csr_array((heavy, parts.indices, parts.indptr), shape=parts.shape))
        place = np.arange(len(distinct), dtype=np.int32)
        return np.where(np.diff(parts.indptr) > 0, place, -1).astype(np.int32), parts

    def _weighted(self, rows: csr_array, distinct: Vocabulary) -> csr_array:
        """Weigh counts of words; a word that training did not see is in none of its texts."""
        code = self.words
        if self.grams is not None:
            row = code.words.rows(distinct.ids)
            held = np.where(row >= 0, np.append(code.texts_with, 0)[row], 0)
            code = WordCode(
                settings=code.settings,
                words=distinct,
                n_texts=code.n_texts,
                texts_with=held.astype(np.int64),
                mean_length=code.mean_length,
            )
        return code.weighted(rows)


def identity(n: int) -> csr_array:
    """Return ones on the diagonal, shape (n, n)."""
    ends = np.arange(n + 1, dtype=np.int64)
    return csr_array((np.ones(n, np.float32), ends[:-1], ends), shape=(n, n))


def first_words(indptr: I64, ids: I32, most: int | None) -> tuple[I64, I32, F32]:
    """Return the first `most` words of every text, in order, with weights of 1."""
    sizes = np.diff(indptr)
    if most is not None:
        keep = np.arange(len(ids)) - np.repeat(indptr[:-1], sizes) < most
        ids, sizes = ids[keep], np.minimum(sizes, most)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ends, ids, np.ones(len(ids), np.float32)


def learn_texts(
    columns: Sequence[Texts],
    what: str,
    *,
    n: int | None,
    most: int,
    weight: Weight,
    ordered: bool,
    longest: int | None,
) -> TextCode:
    """Collect the words, and with `n` their letter n-grams: at most `most` of each, those in most texts.

    Raises
    ------
    DataError
        If no text has a word; the message names `what`, the columns.
    """
    whole = n is not None or any(isinstance(one, Bag) and keeps_runs(one.levels) for one in columns)
    words = joined([counted(one, whole=whole) for one in columns])
    counts = words.matrix()
    if not (counts.data > 0).any():
        raise DataError(
            f"no text of {what} holds a word; name the column that does with content= or query= (on the command line --set content=NAME)"
        )
    kept = select(counts, 1, 1.0, most, "word")
    left = csr_array(counts[:, kept])
    code = WordCode(
        settings=BagOfWords(max_words=most, weight=weight),
        words=words.distinct.take(kept),
        n_texts=len(words),
        texts_with=held_by(left),
        mean_length=float(left.sum() / max(len(words), 1)),
    )
    grams, rarity = None, np.zeros(0, np.float32)
    if n is not None:
        per_word, every = letter_ngrams(words.distinct.ids, n)
        found = csr_array(counts @ per_word)
        kept = select(found, 1, 1.0, most, "n-gram")
        grams = NgramCode(settings=WordHashing(n=n, max_grams=most), grams=every.take(kept))
        rarity = (np.log((1 + len(words)) / (1 + held_by(found)[kept])) + 1).astype(np.float32)
    return TextCode(words=code, grams=grams, rarity=rarity, ordered=ordered, longest=longest)


def counted(texts: Texts, *, whole: bool) -> Words:
    """Return the words of texts; for `whole` see `twofold.features.text.tokens`.

    Raises
    ------
    DataError
        If a bag holds a count that is negative or not finite.
    """
    words = words_of(texts, whole=whole)
    if len(words.counts) and not (np.isfinite(words.counts).all() and words.counts.min() >= 0):
        raise DataError(
            "a bag of words holds a count that is negative or not finite; counts are >= 0"
        )
    return words


def joined(parts: Sequence[Words]) -> Words:
    """Put texts one below the other, with one list of distinct words."""
    if len(parts) == 1:
        return parts[0]
    distinct = Vocabulary(pl.concat([one.distinct.ids for one in parts]).unique().sort())
    indptr = [np.zeros(1, np.int64)]
    for one in parts:
        indptr.append(one.indptr[1:] + indptr[-1][-1])
    ids = np.concatenate([distinct.rows(one.distinct.ids)[one.ids] for one in parts])
    counts = np.concatenate([one.counts for one in parts])
    return Words(np.concatenate(indptr), ids, counts, distinct)


def bags_of(taken: csr_array, known: Bool) -> csr_array:
    """Return whose query holds which texts: ones, shape (n_users, n_texts).

    The texts are those of the items and, if there are more, those of the users: somebody with a text of
    their own asks with it, anybody else with the texts of their items. taken (n_users, n_items), known (n_texts,).
    """
    n_users, n_items = len(taken.indptr) - 1, width_of(taken)
    speaks = np.zeros(n_users, np.bool_)
    speaks[: len(known) - n_items] = known[n_items:]
    user = np.repeat(np.arange(n_users), np.diff(taken.indptr))
    kept = known[taken.indices] & ~speaks[user]
    own = np.flatnonzero(speaks)
    who = np.concatenate([user[kept], own])
    text = np.concatenate([taken.indices[kept], own + n_items])
    shape = (n_users, len(known))
    return csr_array((np.ones(len(who), np.float32), (who, text)), shape=shape)


def stacked_rows(above: TextRows, below: TextRows) -> TextRows:
    """Put texts one below the other; each keeps parts of its own."""
    n_words, width = len(above.parts.indptr) - 1, width_of(above.parts)
    parts = csr_array(
        (
            np.concatenate([above.parts.data, below.parts.data]),
            np.concatenate([above.parts.indices, below.parts.indices]),
            np.concatenate([above.parts.indptr, below.parts.indptr[1:] + above.parts.nnz]),
        ),
        shape=(n_words + len(below.parts.indptr) - 1, width),
    )
    return TextRows(
        np.concatenate([above.indptr, below.indptr[1:] + above.indptr[-1]]),
        np.concatenate([above.words, (below.words + n_words).astype(np.int32)]),
        np.concatenate([above.weights, below.weights]),
        parts,
    )
