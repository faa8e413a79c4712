"""Analogies between vectors: king - man + woman, for any model whose items have vectors.

Mikolov, Yih & Zweig (2013), "Linguistic Regularities in Continuous Space Word Representations", NAACL, for
the question; Levy & Goldberg (2014), "Linguistic Regularities in Sparse and Explicit Word Representations",
CoNLL, for the two answers, the best d other than a, b and c by

    add   cos(d, a) - cos(d, b) + cos(d, c)                                      (3CosAdd, Eq. 3)
    mul   cos'(d, a) cos'(d, c) / (cos'(d, b) + 0.001), cos' = (cos + 1) / 2     (3CosMul, Eq. 4)

>>> import twofold as tw
>>> from twofold.applications import analogies
>>> vectors = tw.Vectors.of(
...     ["king", "man", "queen", "woman"], [[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]]
... )
>>> analogies.analogy(vectors, "king", "man", "woman", k=1)["item"].to_list()
['queen']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from twofold.applications.named import vectors_of
from twofold.data.dataset import Dataset
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, at_least_one, did_you_mean
from twofold.models._base import FittedModel
from twofold.random import generator
from twofold.typing import F32, F64, I32, Id, Rng
from twofold.vectors import Vectors

__all__ = [
    "Planted",
    "Question",
    "analogy",
    "evaluate",
    "planted",
    "read_questions",
]

Method = Literal["add", "mul"]
METHODS: tuple[Method, ...] = ("add", "mul")
EPSILON = 0.001
"""What keeps 3CosMul from dividing by zero (Levy & Goldberg 2014)."""
AT_ONCE = 4_000_000
"""Cosines that are held at once."""


@dataclass(frozen=True)
class Question:
    """a is to b as c is to d, under the name of a section."""

    section: str
    a: Id
    b: Id
    c: Id
    d: Id


def named(vectors: Vectors | FittedModel) -> Vectors:
    """Return vectors as they are, or those of the items of a model."""
    return vectors if isinstance(vectors, Vectors) else vectors_of(vectors)


def analogy(
    vectors: Vectors | FittedModel,
    a: Id,
    b: Id,
    c: Id,
    *,
    k: int = 10,
    method: Method = "add",
) -> pl.DataFrame:
    """Return the `k` items nearest to a - b + c: rank, item, score.

    Parameters
    ----------
    vectors
        A fitted model, whose item vectors are taken, or `twofold.Vectors`.
    a, b, c
        Ids. The three are never the answer.
    k
        Length of the list, >= 1.
    method
        ``add`` or ``mul``, as above.

    Raises
    ------
    UnknownIdError
        If an id is not known; the sentence names the nearest one.
    ConfigError
        If `k` or `method` is none of those allowed.
    DataError
        If a vector is zero, which has no direction.
    """
    _check(k, method)
    own = named(vectors)
    rows = np.array([[own.tokens.row(one) for one in (a, b, c)]], np.int32)
    cosines = own.cosines(rows.ravel())
    for one, likeness, row in zip((a, b, c), cosines, rows[0], strict=True):
        if not likeness[row]:
            raise DataError(f"the vector of {one!r} is zero and has no direction; ask with others")
    scores = solve(cosines.reshape(1, 3, -1), method)[0]
    scores[rows[0]] = -np.inf
    return _best(own, scores, k)


def solve(cosines: F32, method: Method) -> F64:
    """Return the score of every d for each question; `cosines` (q, 3, n) are those of a, b and c; shape (q, n)."""
    a, b, c = (cosines[:, at].astype(np.float64) for at in range(3))
    if method == "add":
        return a - b + c
    a, b, c = ((one + 1) / 2 for one in (a, b, c))
    return a * c / (b + EPSILON)


def _check(k: int, method: str) -> None:
    at_least_one("k", k)
    if method not in METHODS:
        raise ConfigError(f"method got {method!r}; {did_you_mean(method, METHODS)}")


def _best(own: Vectors, scores: F64, k: int) -> pl.DataFrame:
    order = np.argsort(-scores, kind="stable")[:k]
    order = order[np.isfinite(scores[order])]
    return pl.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1, dtype=np.int32),
            "item": own.tokens.ids.gather(pl.Series(order, dtype=pl.UInt32)),
            "score": scores[order],
        }
    )


# ---- evaluation -----------------------------------------------------------------------------------


def read_questions(path: str | Path) -> list[Question]:
    """Read a file in the format of word2vec's questions-words: ``: section``, then ``a b c d`` a line.

    a is to b as c is to d. Empty lines are passed over; ids are strings without spaces.

    Raises
    ------
    DataError
        If the file cannot be read, a line has not four ids, or there is no question.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the questions {path}: {error}") from error
    section, found = "", list[Question]()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if line.lstrip().startswith(":"):
            section = line.lstrip()[1:].strip()
        elif words:
            if len(words) != 4:
                raise DataError(
                    f"line {number} of {path} must hold four ids, a b c d; got {len(words)}: {line[:60]!r}"
                )
            found.append(Question(section, *words))
    if not found:
        raise DataError(f"{path} holds no question; a line is: a b c d")
    return found


def evaluate(
    vectors: Vectors | FittedModel, questions: Sequence[Question], *, method: Method = "add"
) -> pl.DataFrame:
    """Return how many questions of each section are answered by the one nearest item.

    Parameters
    ----------
    vectors
        A fitted model, whose item vectors are taken, or `twofold.Vectors`.
    questions
        a is to b as c is to d, so that d is looked for near b - a + c among all items but a, b and c.
    method
        ``add`` or ``mul``.

    Returns
    -------
    polars.DataFrame
        ``section``, ``questions``, ``known`` (those whose four ids are known; the others are not
        counted as wrong), ``right``, ``accuracy`` (right over known, null without any); the last row,
        ``all``, is over all questions.

    Raises
    ------
    DataError
        If there is no question.
    ConfigError
        If the method is none of those allowed.
    """
    _check(1, method)
    if not questions:
        raise DataError("there is no question to answer")
    own = named(vectors)
    rows = np.stack(
        [own.tokens.rows([getattr(one, side) for one in questions]) for side in "bacd"], axis=1
    )
    known = (rows != UNKNOWN).all(axis=1)
    right = np.zeros(len(questions), np.bool_)
    right[known] = _answers(own, rows[known, :3], method) == rows[known, 3]
    sections = [one.section for one in questions]
    frame = pl.DataFrame({"section": sections, "known": known, "right": right})
    counted = frame.group_by("section", maintain_order=True).agg(
        pl.len().alias("questions"), pl.col("known", "right").sum()
    )
    whole = pl.DataFrame(
        {"section": "all", "questions": len(frame), "known": int(known.sum()), "right": int(right.sum())},
        schema=counted.schema,
    )  # fmt: skip
    share = pl.when(pl.col("known") > 0).then(pl.col("right") / pl.col("known"))
    return pl.concat([counted, whole]).with_columns(share.alias("accuracy"))


def _answers(own: Vectors, rows: I32, method: Method) -> I32:
    """Return the one best answer to each question, rows (q, 3) of a, b, c of a - b + c; shape (q,)."""
    out = np.empty(len(rows), np.int32)
    step = max(1, AT_ONCE // (3 * max(len(own), 1)))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        scores = solve(own.cosines(some.ravel()).reshape(len(some), 3, -1), method)
        np.put_along_axis(scores, some.astype(np.int64), -np.inf, axis=1)
        out[first : first + step] = scores.argmax(axis=1)
    return out


# ---- a log whose answers are known ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Planted:
    """A log of sentences with planted relations, and the questions whose answers are known."""

    data: Dataset
    questions: list[Question]


def planted(
    pairs: int = 12,
    *,
    sentences: int = 6000,
    relations: Sequence[str] = ("capital", "river"),
    rng: Rng = None,
) -> Planted:
    """Return sentences in which country 3 is to capital 3 as country 7 is to capital 7.

    Every country has words of its own, which stand beside the country, its capital and its river alike;
    every kind (country, capital, river) has words of its own too. A sentence is one of these names
    among two words of its country and two of its kind, in random order. So the vector of a name is the
    sum of a part of its country and a part of its kind, and capital 3 - country 3 + country 7 is capital 7.

    Parameters
    ----------
    pairs
        Countries, >= 2.
    sentences
        Users of the log; the words are its items, their places in the sentence the times. >= 1.
    relations
        Kinds beside the country; each is a section of questions.
    rng
        Seed or generator.

    Raises
    ------
    ConfigError
        If a number is too small, or there is no relation.

    Example
    -------
    >>> made = planted(pairs=3, sentences=50, rng=0)
    >>> len(made.data), len(made.questions), made.questions[0].d
    (250, 12, 'capital-1')
    """
    for name, given, least in (("pairs", pairs, 2), ("sentences", sentences, 1)):
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
            raise ConfigError(f"{name} must be an integer >= {least}; got {given!r}")
    if not relations or isinstance(relations, str):
        raise ConfigError(
            f"relations must be a list of names, such as ['capital']; got {relations!r}"
        )
    random = generator(rng)
    kinds = ["country", *relations]
    country, kind = random.integers(0, pairs, sentences), random.integers(0, len(kinds), sentences)
    own, common = (_two_of(WORDS, sentences, random) for _ in range(2))
    words: list[str] = []
    order = random.permuted(np.tile(np.arange(5), (sentences, 1)), axis=1)
    for at in range(sentences):
        p, q = int(country[at]), kinds[int(kind[at])]
        said = [f"{q}-{p}", *(f"of-{p}-{w}" for w in own[at]), *(f"as-{q}-{w}" for w in common[at])]
        words += [said[place] for place in order[at]]
    data = Dataset.from_frames(
        {
            "sentence": np.repeat(np.arange(sentences), 5),
            "word": words,
            "place": np.tile(np.arange(5), sentences),
        },
        user="sentence",
        item="word",
        time="place",
    )
    questions = [
        Question(relation, f"country-{a}", f"{relation}-{a}", f"country-{c}", f"{relation}-{c}")
        for relation in relations
        for a in range(pairs)
        for c in range(pairs)
        if a != c
    ]
    return Planted(data, questions)


WORDS = 6
"""Words of each country, and of each kind."""


def _two_of(n: int, rows: int, rng: np.random.Generator) -> I32:
    """Draw two different numbers below `n` a row; shape (rows, 2)."""
    first = rng.integers(0, n, rows)
    return np.column_stack([first, (first + rng.integers(1, n, rows)) % n]).astype(np.int32)
