"""Texts as words, and words as letter n-grams: the arrays under every text feature.

Texts of any script become ragged lists of words (`Words`), in which a distinct word is stored once. What is
computed a word (its letter n-grams) is therefore computed once, and a text is a sparse product away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Column, Text, kind_of
from twofold.data.frames import is_missing
from twofold.data.vocabulary import Vocabulary, factorize
from twofold.errors import DataError
from twofold.typing import F32, I32, I64

WORD = (
    r"[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}]|[\x{200C}\x{200D}][\p{L}\p{M}\p{N}])*"
    r"|\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\x{200D}\p{Extended_Pictographic}|[\x{E0020}-\x{E007F}])*"
    r"|\p{Regional_Indicator}{2}"
)
"""A run of letters, marks and digits of any script; or one emoji with its modifiers and tags, which spell the flag of Scotland; or one flag."""
UNSEEN = r"[\x{FE0F}\x{AD}\x{2060}]"
"""Characters of a word that are not seen: the wish for the coloured form of an emoji, a soft hyphen, a word joiner."""
SPACELESS = r"[[\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\x{3006}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{L}\p{Nl}]]"
"""A letter of a script that puts no spaces between words: Han, kana (with ー and 〆, which are of no script), Thai, Lao, Khmer, Burmese."""
UNIT = rf"{SPACELESS}(?:\p{{M}}|[\x{{200C}}\x{{200D}}]\p{{M}})*"
"""Such a letter with the vowels and tones that stand on it."""
OTHER = rf"[[\p{{L}}\p{{N}}]--{SPACELESS}]"
PIECE = rf"(?:{UNIT})+|{WORD}".replace(r"[\p{L}\p{N}]", OTHER).replace(
    r"[\p{L}\p{M}\p{N}]", rf"(?:{OTHER}|\p{{M}})"
)
"""A run of such letters, or a word without them."""
UNCUT = rf"(?:{UNIT}){{3}}|{OTHER}\p{{M}}*{SPACELESS}|{UNIT}{OTHER}"
"""What stands only in words that are cut."""
DOTTED = r"i\x{307}+"
"""What the small form of İ is; its word is written with a plain i."""
BOUNDARY = "#"
LARGEST_KEY = 2**62

Texts: TypeAlias = Text | Bag | pl.Series | Iterable[str | None]
"""What becomes words: a text column, a bag or tags column (its levels are words as they stand), or strings."""


@dataclass(frozen=True, eq=False)
class Words:
    """The words of n texts in order, ragged: text i has ``ids[indptr[i]:indptr[i + 1]]``."""

    indptr: I64  # (n + 1,)
    ids: I32  # (nnz,), rows of `distinct`
    counts: F32  # (nnz,), 1 for a text
    distinct: Vocabulary

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def matrix(self) -> csr_array:
        """Return how often each text holds each distinct word; shape (n, n_distinct), float32."""
        shape = (len(self), len(self.distinct))
        made = csr_array((self.counts, self.ids, self.indptr), shape=shape, copy=True)
        made.sum_duplicates()
        return made


def tokens(text: str, *, whole: bool = False) -> list[str]:
    """Split a text into lower-case words of any script (Unicode NFKC); emoji are words of their own.

    Punctuation, symbols and ``#`` separate. A run of a script without spaces (Han, kana, Thai, Lao, Khmer, Burmese)
    is cut into its overlapping pairs of letters, as search engines do; a letter by itself is a word. With `whole`
    the run is one word, of which letter n-grams are taken. An empty text has no words.

    Raises
    ------
    DataError
        If the text is not valid Unicode.

    Example
    -------
    >>> tokens("Good  Ｍorning, Zoë! 東京 C#")
    ['good', 'morning', 'zoë', '東京', 'c']
    >>> tokens("東京都民"), tokens("東京都民", whole=True)
    (['東京', '京都', '都民'], ['東京都民'])
    >>> tokens("")
    []
    """
    return split(as_series([text]), whole=whole).to_list()[0]


def split(texts: pl.Series, *, whole: bool = False) -> pl.Series:
    """Return the words of every text as lists, linear in the characters; null has none. See `tokens`."""
    filled = texts.fill_null("")
    if not filled.str.contains(r"^[\x00-\x7f]*$").all():
        plain = filled.str.replace_all(UNSEEN, "").str.normalize("NFKC")
        # A letter without a composed small form is composed again after lowering.
        small = plain.str.to_lowercase().str.replace_all(DOTTED, "i")
        filled = small.str.normalize("NFKC")
        if not whole and (runs := filled.str.contains(SPACELESS)).any():
            return cut_runs(filled, runs)
    else:
        filled = filled.str.to_lowercase()
    return filled.str.extract_all(WORD)


def cut_runs(texts: pl.Series, runs: pl.Series) -> pl.Series:
    """Return the words of texts as lists, of which `runs` says where letters of scripts without spaces are."""
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    pieces = (
        texts.filter(runs).str.extract_all(PIECE).rename("piece").to_frame()
        .with_columns(row.alias("text")).explode("piece").drop_nulls()
        .with_columns(row.alias("run"))
    )  # fmt: skip
    piece, unit, run = pl.col("piece"), pl.col("unit"), pl.col("run")
    is_run = piece.str.contains(rf"^{SPACELESS}")
    units = pieces.with_columns(
        pl.when(is_run).then(piece.str.extract_all(UNIT)).otherwise(pl.concat_list(piece)).alias("unit")
    ).explode("unit")  # fmt: skip
    goes_on = run.eq_missing(run.shift(-1))
    alone = ~goes_on & run.ne_missing(run.shift(1))
    words = units.select(
        "text",
        pl.when(goes_on).then(unit + unit.shift(-1)).when(alone).then(unit).alias("words"),
    ).drop_nulls()  # fmt: skip
    found = words.group_by("text", maintain_order=True).agg("words")
    cut = pl.DataFrame({"text": np.flatnonzero(runs.to_numpy())}).with_columns(found["words"])
    plain = texts.to_frame("words").with_row_index("text").filter(~runs)
    plain = plain.select(pl.col("text").cast(pl.Int64), pl.col("words").str.extract_all(WORD))
    return pl.concat([cut, plain]).sort("text")["words"].rename(texts.name)


def keeps_runs(words: Vocabulary) -> bool:
    """Say whether a vocabulary has runs of scripts without spaces as words: texts beside it are then read in the same way.

    They are levels of a list of tags, or words that an earlier version learned.
    """
    return not words.is_integer and bool(words.ids.str.contains(UNCUT).any())


def as_series(texts: pl.Series | Iterable[str | None]) -> pl.Series:
    """Return strings as a String series, null where missing (None, or NaN as pandas has it).

    Raises
    ------
    DataError
        If a text is not a string or not valid Unicode; the message names the first.
    """
    if isinstance(texts, pl.Series):
        if not isinstance(texts.dtype, pl.String | pl.Null):
            raise DataError(f"texts must be strings; got a series of {texts.dtype}")
        return texts.cast(pl.String)
    if isinstance(texts, str):
        raise DataError(f"texts must be a list of strings; got the single string {texts[:40]!r}")
    if not isinstance(texts, Iterable):
        raise DataError(f"texts must be a list of strings; got {texts!r}")
    listed = [None if is_missing(one) else one for one in texts]
    for row, one in enumerate(listed):
        if one is not None and not isinstance(one, str):
            raise DataError(f"texts must be strings or None; got {one!r} in row {row:,}")
    try:
        return pl.Series(listed, dtype=pl.String)
    except UnicodeEncodeError as error:
        row = next(i for i, one in enumerate(listed) if one is not None and not is_unicode(one))
        raise DataError(
            f"text {row:,} is not valid Unicode ({error.reason}); read its file with the right encoding"
        ) from error


def is_unicode(text: str) -> bool:
    """Say whether a string can be written down: one with lone surrogates cannot."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def words_of(texts: Texts, what: str = "texts", *, whole: bool = False) -> Words:
    """Return the words of texts, or the levels of a bag with their counts; for `whole` see `tokens`.

    Raises
    ------
    DataError
        If `texts` is a column of another kind; the message names `what`.
    """
    if isinstance(texts, Bag):
        levels = Vocabulary(texts.levels.ids.cast(pl.String))
        return Words(texts.indptr.astype(np.int64), texts.codes, texts.counts, levels)
    if isinstance(texts, Text) and not texts.is_path:
        texts = texts.values
    elif isinstance(texts, Column):
        raise DataError(
            f"{what} is a {kind_of(texts)} column; words come from text, bag and tags columns"
        )
    lists = split(as_series(texts), whole=whole)
    lengths = lists.list.len().to_numpy().astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = lists.filter(lists.list.len() > 0).explode()
    distinct, ids = factorize(flat.cast(pl.String))
    return Words(indptr, ids.astype(np.int32), np.ones(len(ids), np.float32), distinct)


def letter_ngrams(words: pl.Series, n: int) -> tuple[csr_array, Vocabulary]:
    """Return how often each word holds each letter n-gram of ``#word#``, and the n-grams.

    Huang et al. 2013, section 3.2: #good# has #go, goo, ood, od#. A marked word shorter than n is one
    gram as it stands.

    Parameters
    ----------
    words : (m,) String
        Distinct words without nulls.
    n
        Letters of a gram, >= 1; a letter is a Unicode code point.

    Returns
    -------
    counts : (m, n_grams) float32
    grams
        In sorted order.
    """
    letters, indptr, starts = marked_letters(words, n)
    if not len(starts):
        return csr_array((len(words), 0), dtype=np.float32), Vocabulary(
            pl.Series([], dtype=pl.String)
        )
    alphabet, code = np.unique(letters, return_inverse=True)
    key, size = code[starts].astype(np.int64), len(alphabet)
    for step in range(1, n):
        if size * len(alphabet) >= LARGEST_KEY:
            seen, key = np.unique(key, return_inverse=True)
            size = len(seen)
        key = key * len(alphabet) + code[starts + step]
        size *= len(alphabet)
    _, first, gram = np.unique(key, return_index=True, return_inverse=True)
    spelled = letters[starts[first][:, None] + np.arange(n)]  # (n_grams, n)
    # NumPy strings end before their trailing zeros, which are the padding of short words.
    strings = pl.Series(
        np.ascontiguousarray(spelled).view(f"<U{n}")[:, 0].tolist(), dtype=pl.String
    )
    order = strings.arg_sort().to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    shape = (len(words), len(strings))
    counts = csr_array((np.ones(len(gram), np.float32), rank[gram], indptr), shape=shape)
    counts.sum_duplicates()
    return counts, Vocabulary(strings.gather(order))


def marked_letters(words: pl.Series, n: int) -> tuple[np.ndarray, I64, I64]:
    """Return ``#word#`` of all words end to end, and where their windows of n letters start.

    Returns
    -------
    letters : (total,) uint32
        Code points; a marked word shorter than n is followed by zeros up to n.
    indptr : (m + 1,)
        The windows of word i are ``indptr[i]`` to ``indptr[i + 1]``.
    starts : (windows,)
        Positions in `letters`.
    """
    if not len(words):
        return np.zeros(0, np.uint32), np.zeros(1, np.int64), np.zeros(0, np.int64)
    marked = BOUNDARY + words + BOUNDARY
    lengths = marked.str.len_chars().to_numpy().astype(np.int64)
    marked = marked.str.pad_end(n, "\0")
    padded = np.maximum(lengths, n)
    letters = np.frombuffer("".join(marked.to_list()).encode("utf-32-le"), np.uint32)
    begin = np.cumsum(padded) - padded
    windows = padded - n + 1
    indptr = np.concatenate([[0], np.cumsum(windows)]).astype(np.int64)
    starts = np.repeat(begin - indptr[:-1], windows) + np.arange(indptr[-1])
    return letters, indptr, starts
