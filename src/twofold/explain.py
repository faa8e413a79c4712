"""Why an item is scored as it is: leave one thing out that is known of somebody and look at what changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import polars as pl

from twofold.data.alone import spread
from twofold.data.columns import Bag, Column, Number, Text, Time, Vector, present
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError
from twofold.features.words import split
from twofold.questions import TIME, questions
from twofold.rank import CONTENT, FALLBACK, PairOfEncoders, ScoresCandidates
from twofold.typing import F32, I32, I64, History, Id
from twofold.unseen import added_alone, plain, remarks, tell

BLOCK = 1 << 21
"""Events of the histories that are folded in at a time, and letters of texts, about: a history of n events is read up to n times."""

LONGEST = 1_000
"""Latest events of a history, and first words of a text, that are explained: the cost grows with their square."""


class Explainable(PairOfEncoders, Protocol):
    """A model that maps histories to vectors."""


@runtime_checkable
class Defers(Protocol):
    """A model that leaves the scores of some people to another one."""

    def explained_by(self, asked: Queries) -> Explainable:
        """Return the model whose scores order the list of the one person who is `asked` for."""
        ...


class Reason(NamedTuple):
    """Something that is known of somebody, and what the score is without it."""

    kind: str
    """``history``, ``text``, ``features`` or ``context``: where it was told."""
    item: int
    """Row of the item of the history; that of the explained item where it is something else."""
    name: str
    score: float


def explain(
    model: Explainable,
    user: Id | None = None,
    item: Id | None = None,
    *,
    history: History | None = None,
    text: str | None = None,
    features: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return what is known of a person by how much each part of it raises the score of `item`.

    The score is that of somebody never seen of whom just this is known: the history, folded in, and what is said.
    The contribution of an item of the history, a word, a feature or a circumstance is what the score
    loses when it alone is left out. It is exact by construction: removing
    the first reason lowers the score by the number beside it. Of a history of more than `LONGEST` events
    the latest so many are the whole, of a text of more words the first.

    Parameters
    ----------
    model
        The fitted model.
    user
        A user of the training set, whose remembered history is explained, and the features where the model reads them.
    item
        The item whose score is explained.
    history
        Item ids in place of a user's, and lists of ids that were taken together, or a mapping of ids to values.
    text
        What the person says, for models that read words.
    features, context
        What is known of the person, and the circumstances, by name: one value each.

    Returns
    -------
    polars.DataFrame
        ``item``, ``contribution`` (falling), ``score`` (of everything), ``kind``, ``reason``. The kind says where a
        reason was told: ``history`` (an item, in ``item``), ``text`` (a word), ``features`` or ``context`` (of which
        ``reason`` says ``name=value``, and ``item`` is the explained one). One row of kind ``popularity`` where nothing is
        known of the person, or the model does not read it.

    Raises
    ------
    ConfigError
        If nothing is said of anybody, or no item, the history is no list, words are told to a model that reads none,
        or what is said is not that of one person.
    UnknownIdError
        If the item is not in the catalogue, or the user is unknown and nothing else is said.

    Warns
    -----
    DataWarning
        Once for each value that the model did not learn, and for columns that it does not read.
    """
    said = (history, text, features, context)
    if item is None or (user is None and all(one is None for one in said)):
        raise ConfigError(
            "explain needs item= and one of user=, history=, text=, features= and context="
        )
    target = model.items.ids.row(item)
    asked = question(model, user, history, text, features, context)
    if user is not None and asked.user[0] == UNKNOWN and all(one is None for one in said):
        model.users.ids.row(user, "user")
    notes = [*remarks(model, asked), *added_alone(asked.history, model.n_trained)]
    found = reasons(model, asked, target)
    tell(notes)
    return found


def question(
    model: PairOfEncoders,
    user: Id | None,
    history: History | None,
    text: str | None,
    features: Mapping[str, Any] | None,
    context: Mapping[str, Any] | None,
) -> Queries:
    """Translate what is said of one person; see `explain`.

    Raises
    ------
    ConfigError
        If a text is no string, columns are no mapping of names to values, or they cannot be read.
    """
    if text is not None and not isinstance(text, str):
        raise ConfigError(f"text must be the words of one person, a string; got {text!r:.60}")
    for what, columns in (("features", features), ("context", context)):
        if columns is not None and not isinstance(columns, Mapping):
            raise ConfigError(
                f"{what} must map names to values of one person, such as {{'age': 30}}; got {' '.join(repr(columns).split()):.60}"
            )
    told = history if history is not None else [] if user is None else None
    features = spread(features or {}, model.users.features)
    return questions(
        model,
        None if user is None else [user],
        None if told is None else [told],
        {name: [value] for name, value in (context or {}).items()},
        {name: [value] for name, value in features.items()},
        None if text is None else [text],
    )[0]


def reasons(model: Explainable, asked: Queries, target: int) -> pl.DataFrame:
    """Return the reasons for the score of the item of row `target`, for the one person who is asked for; see `explain`."""
    person = whole(model, asked)
    score, found, lost = weighed(model, person, target)
    if not lost.any() and not (found and model.encode(person).source[0] == CONTENT):
        found = [Reason("popularity", target, str(model.items.ids[target]), 0.0)]
        lost = np.array([model.memory.popularity[target]])
    order = np.argsort(-lost, kind="stable")
    found = [found[at] for at in order]
    rows = pl.Series([one.item for one in found], dtype=pl.UInt32)
    return pl.DataFrame(
        {
            "item": model.items.ids.ids.gather(rows),
            "contribution": lost[order].astype(np.float32),
            "score": np.full(len(found), score, np.float32),
            "kind": [one.kind for one in found],
            "reason": [one.name for one in found],
        }
    )


def weighed(model: Explainable, person: Queries, target: int) -> tuple[float, list[Reason], F32]:
    """Return the score of the item of row `target` for one person, all that is known of them, and what the score loses without each, (n,)."""
    if isinstance(model, Defers):
        model = model.explained_by(person)
    items = np.unique(person.history.item)
    scores = scores_without(model, person, items, target)
    found = [
        *of_items(model, items, scores[1:]),
        *of_words(model, person, target),
        *of_columns(model, person, target),
    ]
    left = np.array([one.score for one in found], np.float32)
    return float(scores[0]), found, scores[0] - left


def whole(model: PairOfEncoders, asked: Queries) -> Queries:
    """Return one person as somebody never seen: with the history, what is said, and where no features are, those of training."""
    own = asked.history if asked.has_history[0] else model.memory.history.take(asked.user)
    text = asked.text
    if text is not None and len(words := words_in(model, text)) > LONGEST:
        text = Text(pl.Series([" ".join(words[:LONGEST])]))
    features = asked.features
    if not features and model.reads_features and asked.user[0] != UNKNOWN:
        features = {name: one.take(asked.user) for name, one in model.users.features.items()}
    return replace(
        asked,
        features=features,
        user=np.array([UNKNOWN], np.int32),
        history=latest(own, LONGEST),
        has_history=asked.has_history | (own.lengths > 0),
        text=text,
    )


def of_items(model: PairOfEncoders, items: I32, scores: F32) -> list[Reason]:
    """Return the items of a history (n,) with the scores without them."""
    names = model.items.ids.ids.gather(pl.Series(items, dtype=pl.UInt32)).cast(pl.String)
    told = zip(items.tolist(), names.to_list(), scores.tolist(), strict=True)
    return [Reason("history", *one) for one in told]


def of_words(model: PairOfEncoders, person: Queries, target: int) -> list[Reason]:
    """Return the distinct words of a text with the score without each, wherever it stands."""
    words = [] if person.text is None else words_in(model, person.text)
    if not words:
        return []
    distinct = list(dict.fromkeys(words))
    parts = -(-len(distinct) * sum(map(len, words)) // BLOCK)
    found: list[Reason] = []
    for some in np.array_split(np.arange(len(distinct)), max(1, min(parts, len(distinct)))):
        left = [" ".join(one for one in words if one != distinct[at]) for at in some.tolist()]
        several = person.take(np.zeros(len(left), np.int64))
        scores = scores_of(model, replace(several, text=Text(pl.Series(left))), target)
        told = zip(some.tolist(), scores.tolist(), strict=True)
        found += [Reason("text", target, distinct[at], score) for at, score in told]
    return found


def of_columns(model: PairOfEncoders, person: Queries, target: int) -> list[Reason]:
    """Return the features and circumstances that are said and read, with the score without each."""
    told = [
        (kind, name, column)
        for kind, columns, read in (
            ("features", person.features, model.feature_levels),
            ("context", person.context, model.context_kinds),
        )
        for name, column in columns.items()
        if name in read and present(column)[0]
    ]
    at = {(kind, name): row for row, (kind, name, _) in enumerate(told)}
    several = replace(
        person.take(np.zeros(len(told), np.int64)),
        features=without(person.features, "features", at),
        context=without(person.context, "context", at),
    )
    scores = scores_of(model, several, target).tolist() if told else []
    if person.time is not None:
        told.append(("context", TIME, Time(person.time)))
        scores.append(float(scores_of(model, replace(person, time=None), target)[0]))
    return [
        Reason(kind, target, f"{name}={spelled(column)}", score)
        for (kind, name, column), score in zip(told, scores, strict=True)
    ]


def without(
    columns: Mapping[str, Column], kind: str, at: Mapping[tuple[str, str], int]
) -> dict[str, Column]:
    """Return columns of one row for each in `at`, each of them missing in the row that stands there for it."""
    return {
        name: column.with_missing_row().take(
            (np.arange(len(at)) == at.get((kind, name), UNKNOWN)).astype(np.int64)
        )
        for name, column in columns.items()
    }


def words_in(model: PairOfEncoders, text: Text) -> list[str]:
    """Return the words of the text of one person as the model reads them, in their order."""
    return split(text.values, whole=model.keeps_runs).to_list()[0]


def spelled(column: Column) -> str:
    """Return the value of a column of one row as it may be shown.

    Example
    -------
    >>> spelled(Number(np.array([30], np.float32))), spelled(Time(np.array([0])))
    ('30', '1970-01-01T00:00:00')
    """
    match column:
        case Bag():
            parts = column.levels.ids.gather(pl.Series(column.codes, dtype=pl.UInt32)).to_list()
            return plain(", ".join(map(str, parts)))
        case Number() | Vector():
            return plain(", ".join(f"{one:.7g}" for one in np.atleast_1d(column.values[0])))
        case Time():
            return datetime.fromtimestamp(int(column.values[0]), UTC).isoformat()[:19]
        case _:
            return plain(column.series()[0])


def latest(own: Histories, most: int) -> Histories:
    """Return the latest `most` events of the history of one person."""
    last = np.arange(max(0, len(own.item) - most), len(own.item))
    return own.at(np.array([0, len(last)], np.int64), last)


def scores_without(model: PairOfEncoders, person: Queries, items: I32, target: int) -> F32:
    """Return the score of one item row for one person, and for them without each of `items` (n,) of the history; shape (1 + n,)."""
    own, bare = person.history, replace(person, history=Histories.empty(1))
    left_out = np.concatenate([[UNKNOWN], items])
    blocks = np.array_split(left_out, max(1, -(-len(left_out) * len(own.item) // BLOCK)))
    found: list[F32] = []
    for one in blocks:
        several = bare.take(np.zeros(len(one), np.int64))
        found.append(scores_of(model, replace(several, history=without_each(own, one)), target))
    return np.concatenate(found)


def without_each(own: Histories, items: I32) -> Histories:
    """Return one history as often as there are `items` (n,), each time without one of them."""
    keep = own.item != items[:, None]
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)
    which: I64 = np.nonzero(keep)[1]
    return own.at(indptr, which)


def scores_of(model: PairOfEncoders, queries: Queries, target: int) -> F32:
    """Return the score of one item row for each question, of nobody known that of ``unknown_user``; shape (n,)."""
    if isinstance(model, ScoresCandidates):
        return model.score(queries, np.full((len(queries), 1), target, np.int32))[:, 0]
    vectors, source = model.encode(queries)
    nobody = source == FALLBACK
    if isinstance(vectors, np.ndarray) and isinstance(model.item_vectors, np.ndarray):
        vectors = np.where(nobody[:, None], model.unknown_user, vectors)
        return np.einsum("nd,d->n", vectors, model.item_vectors[target])
    item = model.item_vectors[[target]]
    product = vectors @ item.T
    scores = (product if isinstance(product, np.ndarray) else product.toarray())[:, 0]
    if nobody.any():
        scores = np.where(nobody, np.float32((item @ model.unknown_user)[0]), scores)
    return scores
