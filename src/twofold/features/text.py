"""Text as sparse features: word hashing by letter n-grams, bags of words, sequences of words.

Huang et al. (2013), "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM,
section 3.2 (word hashing); Shen et al. (2014), "A Latent Semantic Model with Convolutional-Pooling Structure for
Information Retrieval", CIKM (words in order, each as its letter n-grams). Each declaration has `fit`, which learns a
vocabulary and returns a frozen code; ``code.encode`` turns texts into rows and counts what it did not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.features.counts import Collisions as Collisions
from twofold.features.counts import Encoded, held_by, project, select
from twofold.features.counts import collisions as collisions
from twofold.features.design import unit_rows
from twofold.features.words import Texts, Words, keeps_runs, letter_ngrams, words_of
from twofold.features.words import tokens as tokens
from twofold.hyperparameters import hyperparameters
from twofold.typing import F32, I32, I64

Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Weight: TypeAlias = Literal["count", "tfidf", "bm25"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Words in order, without padding: text i has positions ``indptr[i]`` to ``indptr[i + 1]``."""

    indptr: I64
    """Shape (n + 1,)."""
    ids: I32
    """Shape (positions,): row of the word; `n_words` = not in the vocabulary."""
    n_words: int
    """Words in the vocabulary; an embedding table has one row more."""
    place: I32
    """Shape (positions,): row of the word in `ngrams`."""
    ngrams: csr_array
    """Shape (distinct words of these texts, n_grams), float32: letter n-grams, of unknown words too."""
    unknown_ngrams: F32
    """Shape (distinct words of these texts,): n-grams of each word that are not in the vocabulary."""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def n_unknown(self) -> int:
        """Positions whose word is not in the vocabulary."""
        return int((self.ids == self.n_words).sum())

    @property
    def share_unknown(self) -> float:
        """Positions with an unknown word, of all."""
        return self.n_unknown / max(len(self.ids), 1)


@hyperparameters
class WordHashing:
    """Letter n-grams of ``#word#``, counted over a text (Huang et al. 2013, section 3.2).

    Example
    -------
    >>> code = WordHashing(n=3).fit(["good"])
    >>> code.grams.ids.to_list()
    ['#go', 'goo', 'od#', 'ood']
    >>> found = code.encode(["Good food", ""])
    >>> found.rows.toarray().astype(int).tolist(), found.unknown.tolist()
    ([[1, 1, 2, 2], [0, 0, 0, 0]], [2.0, 0.0])
    """

    n: PositiveInt = 3
    """Letters of a gram."""
    min_count: PositiveInt = 1
    """Texts that must hold an n-gram for it to be in the vocabulary."""
    max_share: Share = 1.0
    """Share of the texts above which an n-gram is left out."""
    max_grams: PositiveInt | None = None
    """Keep only so many n-grams, those in most texts; None = all."""

    def fit(self, texts: Texts) -> NgramCode:
        """Collect the n-grams of a text, bag or tags column, or of strings.

        Raises
        ------
        DataError
            If the column is of another kind, or no n-gram is left.
        """
        words = words_of(texts, whole=True)
        per_word, grams = letter_ngrams(words.distinct.ids, self.n)
        found = csr_array(words.matrix() @ per_word)
        kept = select(found, self.min_count, self.max_share, self.max_grams, "n-gram")
        return NgramCode(settings=self, grams=grams.take(kept))


@dataclass(frozen=True, eq=False, kw_only=True)
class NgramCode:
    """The letter n-grams that training saw."""

    settings: WordHashing
    grams: Vocabulary

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.grams)

    def encode(self, texts: Texts) -> Encoded:
        """Return counts of n-grams, (n, width); those of no use in training are dropped and counted."""
        words = words_of(texts, whole=True)
        per_word, unknown, total = self.of_words(words.distinct)
        counts = words.matrix()
        rows = csr_array(counts @ per_word, dtype=np.float32)
        rows.sort_indices()
        return Encoded(rows, counts @ unknown.astype(np.float64), counts @ total.astype(np.float64))

    def of_words(self, words: Vocabulary) -> tuple[csr_array, F32, F32]:
        """Return counts of n-grams of single words (m, width), and how many were unknown, and in all."""
        found, grams = letter_ngrams(words.ids, self.settings.n)
        kept, unknown = project(found, self.grams.rows(grams.ids), self.width)
        return kept, unknown, np.asarray(found.sum(axis=1), np.float32)


@hyperparameters
class BagOfWords:
    """Counts of words, weighted.

    ``tfidf``: tf (log((1 + N) / (1 + n_w)) + 1). ``bm25``: idf tf (k1 + 1) / (tf + k1 (1 - b + b L / L_mean)) with
    idf = log(1 + (N - n_w + 1/2) / (n_w + 1/2)), which is never negative. N texts, n_w of them with the word; L is
    the number of known words of a text.

    Example
    -------
    >>> code = BagOfWords(min_count=2).fit(["the red car", "the car", "the dog"])
    >>> code.words.ids.to_list()
    ['car', 'the']
    >>> found = code.encode(["car car bus"])
    >>> found.rows.toarray().tolist(), found.n_unknown
    ([[2.0, 0.0]], 1.0)
    """

    min_count: PositiveInt = 1
    """Texts that must hold a word for it to be in the vocabulary."""
    max_share: Share = 1.0
    """Share of the texts above which a word is left out: 0.5 leaves out "the"."""
    max_words: PositiveInt | None = None
    """Keep only so many words, those in most texts; None = all."""
    weight: Weight = "count"
    """How counts are weighted."""
    unit_length: bool = False
    """Scale every row to length 1, so that inner products are cosines."""
    k1: NonNegativeFloat = 1.2
    """BM25: how slowly repeated words saturate."""
    b: Annotated[float, Field(ge=0, le=1)] = 0.75
    """BM25: how much long texts are discounted."""

    def fit(self, texts: Texts) -> WordCode:
        """Collect the words of a text column or strings, or the levels of a bag or tags column.

        Raises
        ------
        DataError
            If the column is of another kind, or no word is left.
        """
        words = words_of(texts)
        counts = words.matrix()
        kept = select(counts, self.min_count, self.max_share, self.max_words, "word")
        left = csr_array(counts[:, kept])
        return WordCode(
            settings=self,
            words=words.distinct.take(kept),
            n_texts=len(words),
            texts_with=held_by(left),
            mean_length=float(left.sum() / max(len(words), 1)),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class WordCode:
    """The words that training saw, and in how many of its texts."""

    settings: BagOfWords
    words: Vocabulary
    n_texts: int
    texts_with: I64  # (width,)
    mean_length: float

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.words)

    def encode(self, texts: Texts) -> Encoded:
        """Return weighted words, (n, width); unknown words are dropped and counted."""
        found = words_of(texts, whole=self._whole)
        counts = found.matrix()
        kept, unknown = project(counts, self.words.rows(found.distinct.ids), self.width)
        rows = self.weighted(kept)
        total = np.asarray(counts.sum(axis=1), np.float64)
        return Encoded(
            unit_rows(rows) if self.settings.unit_length else rows,
            unknown.astype(np.float64),
            total,
        )

    @cached_property
    def _whole(self) -> bool:
        return keeps_runs(self.words)

    def weighted(self, counts: csr_array) -> csr_array:
        """Return counts (n, width) weighted as the settings say."""
        held = self.texts_with[counts.indices].astype(np.float64)
        tf = counts.data.astype(np.float64)
        match self.settings.weight:
            case "count":
                return counts
            case "tfidf":
                data = tf * (np.log((1 + self.n_texts) / (1 + held)) + 1)
            case "bm25":
                k1, b = self.settings.k1, self.settings.b
                length = np.asarray(counts.sum(axis=1), np.float64) / max(self.mean_length, 1e-30)
                slow = np.repeat(k1 * (1 - b + b * length), np.diff(counts.indptr))
                data = (
                    np.log1p((self.n_texts - held + 0.5) / (held + 0.5))
                    * tf
                    * (k1 + 1)
                    / (tf + slow)
                )
        return csr_array(
            (data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape
        )


@hyperparameters
class WordSequences:
    """Words in order, each with its row in the vocabulary and its letter n-grams (Shen et al. 2014).

    A bag or tags column has no order: its levels come once each, as stored, without their counts.

    Example
    -------
    >>> code = WordSequences(min_count=2).fit(["red car", "blue car"])
    >>> found = code.encode(["fast car", None])
    >>> found.indptr.tolist(), found.ids.tolist(), found.n_words, found.n_unknown
    ([0, 2, 2], [1, 0], 1, 1)
    """

    n: PositiveInt = 3
    """Letters of a gram."""
    min_count: PositiveInt = 1
    """Texts that must hold a word for it to have a row of its own."""
    max_words: PositiveInt | None = None
    """Give rows only to so many words, those in most texts; None = all."""
    max_length: PositiveInt | None = None
    """Keep only the first so many words of a text; None = all."""

    def fit(self, texts: Texts) -> SequenceCode:
        """Collect the words and n-grams of texts.

        Raises
        ------
        DataError
            If the column is of another kind, or no word is left.
        """
        words = cut(words_of(texts, whole=True), self.max_length)
        kept = select(words.matrix(), self.min_count, 1.0, self.max_words, "word")
        grams = letter_ngrams(words.distinct.ids, self.n)[1]
        hashing = NgramCode(settings=WordHashing(n=self.n), grams=grams)
        return SequenceCode(settings=self, words=words.distinct.take(kept), hashing=hashing)


@dataclass(frozen=True, eq=False, kw_only=True)
class SequenceCode:
    """The words and letter n-grams that training saw."""

    settings: WordSequences
    words: Vocabulary
    hashing: NgramCode

    def encode(self, texts: Texts) -> Sequences:
        """Return word rows in order; an unknown word has the row `n_words` and its known n-grams."""
        found = cut(words_of(texts, whole=True), self.settings.max_length)
        row = self.words.rows(found.distinct.ids)
        row = np.where(row == UNKNOWN, len(self.words), row).astype(np.int32)
        ngrams, unknown, _ = self.hashing.of_words(found.distinct)
        return Sequences(found.indptr, row[found.ids], len(self.words), found.ids, ngrams, unknown)


def cut(words: Words, length: int | None) -> Words:
    """Keep the first `length` words of every text, and the distinct words that remain."""
    if length is None:
        return words
    sizes = np.diff(words.indptr)
    kept = np.arange(len(words.ids)) - np.repeat(words.indptr[:-1], sizes) < length
    indptr = np.concatenate([[0], np.cumsum(np.minimum(sizes, length))]).astype(np.int64)
    distinct, ids = np.unique(words.ids[kept], return_inverse=True)
    return Words(indptr, ids.astype(np.int32), words.counts[kept], words.distinct.take(distinct))
