"""Values that a model did not learn: told where they are given, refused where they can never be.

A level of a category, tags or a bag that a model did not learn is read as if it were not given. The answer is right,
but whoever mistyped the level has to be told, and told in one sentence whatever the number of rows.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
import polars as pl

from twofold.data.columns import Bag, Category, Column, Kind
from twofold.data.entities import Entities, Levels
from twofold.data.frames import is_missing
from twofold.data.interactions import Histories
from twofold.data.moments import LONGEST, check_moments
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import DataWarning, nearest
from twofold.filters import values_of
from twofold.typing import I64

CONTEXT, MOMENT = "context column", "moment"
FEATURE, CONTENT = "user feature", "item feature"
LISTED, ROOM = 24, 200
"""Known values that are named, at most, and the characters that they may take."""
COMPARED = 100
"""Known values among which the nearest is looked for letter by letter."""
FEW = 1000
"""Values below which they are looked up one by one."""


class Reads(Protocol):
    """What a model says of the columns that it reads."""

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, with their kinds."""
        ...

    @property
    def context_levels(self) -> Levels:
        """The values that were learned of each context column that is read."""
        ...

    @property
    def feature_levels(self) -> Levels:
        """The values that were learned of each user feature that is read."""
        ...

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the circumstances that are made of the time of questions."""
        ...


def remarks(model: Reads, queries: Queries) -> list[str]:
    """Return a sentence for each column in which questions say what the model did not learn or does not read.

    Raises
    ------
    ConfigError
        If a circumstance made of the time is given a value that it can never have.
    """
    said = unknown(CONTEXT, queries.context, model.context_levels)
    said += unknown(MOMENT, model.moments_of(queries), model.context_levels)
    said += unknown(FEATURE, queries.features, model.feature_levels)
    said += unread(CONTEXT, [one for one in queries.context if one not in model.context_kinds])
    return said + unread(FEATURE, [one for one in queries.features if one not in model.feature_levels])  # fmt: skip


def added_alone(histories: Histories, n_trained: int) -> list[str]:
    """Return a sentence where histories hold nothing but items past the `n_trained` that training had.

    Example
    -------
    >>> told = Histories(np.array([0, 1, 3]), np.array([7, 7, 2], np.int32), np.ones(3, np.float32))
    >>> added_alone(told, 5)
    ['1 history holds only items that were added after training, which say nothing of a person until the next one']
    """
    who = np.repeat(np.arange(len(histories)), histories.lengths)
    added = np.bincount(who[histories.item >= n_trained], minlength=len(histories))
    n = int(((added > 0) & (added == histories.lengths)).sum())
    if not n:
        return []
    return [
        f"{n:,} {'history holds' if n == 1 else 'histories hold'} only items that were added after training, "
        "which say nothing of a person until the next one"
    ]


def unknown(what: str, given: Mapping[str, Column], known: Levels) -> list[str]:
    """Return a sentence for each column that holds values which are not `known`; see `remarks`."""
    said: list[str] = []
    for name, column in given.items():
        levels = known.get(name)
        if levels is None:
            continue
        met, counts = unlearned(column, levels)
        if not len(met):
            continue
        if what == CONTEXT:
            check_moments(name, met, levels)
        said.append(sentence(f"{what} {shown(name)}", met, counts, levels))
    return said


def mostly_unknown(model: Reads, queries: Queries, of: str) -> list[str]:
    """Return a sentence for each column of the questions `of` a log most values of which the model never learned.

    A few new ones are in every later log, and whether a moment can be is not checked: the log has it.
    """
    said: list[str] = []
    for what, given, known in (
        (CONTEXT, queries.context, model.context_levels),
        (FEATURE, queries.features, model.feature_levels),
    ):
        for name, column in given.items():
            levels = known.get(name)
            if levels is None or not isinstance(column, Category | Bag):
                continue
            met, counts = unlearned(column, levels)
            if 2 * counts.sum() > (column.codes >= 0).sum():
                said.append(sentence(f"{what} {shown(name)} of {of}", met, counts, levels))
    return said


def not_there(model: Reads, there: Collection[str], of: str) -> list[str]:
    """Return a sentence for each context column that a model reads and that is not `there` in the questions `of` a log."""
    return [
        f"the model reads the {CONTEXT} {shown(name)}, which {of} does not have: its questions are asked without it; "
        f"read it with context={{{name!r}: {kind!r}}} (on the command line --context {name}={kind})"
        for name, kind in model.context_kinds.items()
        if name not in there and kind != "time"
    ]


def unlearned(column: Column, levels: Vocabulary) -> tuple[Vocabulary, I64]:
    """Return the values (j,) of a column that are not among the `levels` learned, and how often each is met (j,)."""
    if not isinstance(column, Category | Bag):
        return levels.take(np.zeros(0, np.int32)), np.zeros(0, np.int64)
    distinct = column.levels.ids
    rows = levels.rows(distinct.to_list() if len(distinct) < FEW else distinct)
    strange = np.flatnonzero(rows == UNKNOWN)
    codes = column.codes[column.codes >= 0]
    counts = np.bincount(codes, minlength=len(distinct))[strange]
    return column.levels.take(strange[counts > 0]), counts[counts > 0]


def sentence(what: str, strange: Vocabulary, counts: np.ndarray, known: Vocabulary) -> str:
    """Say which values (j,), each met `counts` (j,) times, were not learned, and what was.

    Example
    -------
    >>> sentence("context column 'mood'", Vocabulary.of(["glod"]), np.array([1]), Vocabulary.of(["sad", "glad"]))
    "context column 'mood' got 'glod', which the model never learned: it is read as unknown; known: glad, sad; did you mean 'glad'?"
    """
    worst = strange[int(counts.argmax())]
    others, total = len(strange) - 1, int(counts.sum())
    more = f" and {others:,} more such value{'s' if others > 1 else ''}" if others else ""
    more += f", {total:,} times" if total > 1 else ""
    are = "they are" if others else "it is"
    return f"{what} got {shown(worst)}{more}, which the model never learned: {are} read as unknown; {nearby(worst, known)}"  # fmt: skip


def nearby(value: object, known: Vocabulary) -> str:
    """Say which values are known, a few of many, and the nearest one if one is near.

    Example
    -------
    >>> nearby("yelow", Vocabulary.of(["red", "yellow"]))
    "known: red, yellow; did you mean 'yellow'?"
    """
    asked = str(value)[:LONGEST]
    alike = known.ids.cast(pl.String)
    if len(known) > COMPARED:
        folded = alike.str.to_lowercase()
        alike = alike.filter(folded.str.starts_with(asked[:2].lower()))
        same = alike.filter(alike.str.to_lowercase() == asked.lower())
        alike = (same if len(same) else alike).head(COMPARED)
    near = nearest(asked, [one[:LONGEST] for one in alike.to_list()])
    return known_of(known) + (f"; did you mean {shown(near)}?" if near else "")


def known_of(known: Vocabulary) -> str:
    """Say which values are known, a few of many."""
    if not len(known):
        return "known: none"
    names, room = list[str](), ROOM
    for one in known.ids.head(LISTED).to_list():
        names.append(plain(one))
        room -= len(names[-1]) + 2
        if room <= 0:
            break
    more = f", ... ({len(known):,} in all)" if len(known) > len(names) else ""
    return f"known: {', '.join(names)}{more}"


def unmet(items: Entities, where: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence on each feature of which values are asked that no item has, or None, which is none."""
    said: list[str] = []
    for name, wanted in (where or {}).items():
        column = items.features.get(name)
        if not isinstance(column, Category | Bag):
            continue
        asked = values_of(wanted)
        values = [one for one in asked if not is_missing(one)]
        if len(values) < len(asked):
            said.append(f"where asks for None (null in JSON) in {shown(name)}, which is no value: name one, or several in a list; {known_of(column.levels)}")  # fmt: skip
        lost = np.flatnonzero(column.levels.rows(values) == UNKNOWN)
        if len(lost):
            first = values[int(lost[0])]
            more = f" or {len(lost) - 1:,} more such values" if len(lost) > 1 else ""
            said.append(f"no item has {shown(first)}{more} in {shown(name)}; {nearby(first, column.levels)}")  # fmt: skip
    return said


def unread(what: str, names: Sequence[str], known: Iterable[str] = ()) -> list[str]:
    """Return the sentence about columns that a model does not read, if there are any, with one of the `known` that is near."""
    if not names:
        return []
    near = next(((one, near) for one in names if (near := nearest(one[:LONGEST], known))), None)
    hint = ""
    if near is not None:
        instead = f" in place of {shown(near[0])}" if len(names) > 1 else ""
        hint = f"; did you mean {shown(near[1])}{instead}?"
    listed = ", ".join(shown(one) for one in names[:3])
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    several = "s" if len(names) > 1 else ""
    return [f"the model does not read the {what}{several} {listed}{more} and passes over what is said there{hint}"]  # fmt: skip


def shown(value: object) -> str:
    """Return a value as it may be repeated: quoted, without control characters, cut to a length."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def plain(value: object) -> str:
    """Return a known value: as it stands where it can be printed, else as `shown` does."""
    text = str(value)
    return text if text.isprintable() and len(text) <= LONGEST else shown(text)


_GATHERED: ContextVar[list[str] | None] = ContextVar("_GATHERED", default=None)


@contextmanager
def gathered() -> Generator[list[str]]:
    """Collect the sentences that `tell` is given inside, in place of warnings: for who answers with them."""
    said: list[str] = []
    mark = _GATHERED.set(said)
    try:
        yield said
    finally:
        _GATHERED.reset(mark)


def tell(sentences: Sequence[str]) -> None:
    """Warn, at the line outside twofold that asked; where sentences are `gathered`, add them there, each once."""
    if not sentences:
        return
    said = _GATHERED.get()
    if said is not None:
        said += [one for one in sentences if one not in said]
        return
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("twofold."):
        level, frame = level + 1, frame.f_back
    for one in sentences:
        warnings.warn(one, DataWarning, stacklevel=level)
