"""Items as people read them: a title, the features that say something, and a search that is bounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from twofold.data.columns import NO_TIME, Bag, Category, Column, Number, Text, Time, kind_of
from twofold.data.entities import Entities
from twofold.models._base import FittedModel
from twofold.serve.served import Served
from twofold.typing import I32, I64, Id

LONGEST = 160
"""Characters of a title or text that are shown."""
SEVERAL = 5
"""Levels of tags that are shown."""
COLUMNS = 4
"""Features that are shown beside the title."""
FOUND = 12
"""Most items of a search."""
LONGEST_SEARCH = 100
"""Characters of a search; what is beyond is passed over."""


class Feature(NamedTuple):
    """A feature of an item, as it is shown."""

    name: str
    levels: tuple[str, ...]
    is_tag: bool


class Card(NamedTuple):
    """An item, as it is shown."""

    item: Id
    title: str
    features: tuple[Feature, ...]

    @property
    def named(self) -> bool:
        """Whether the title is more than the id."""
        return self.title != str(self.item)

    @property
    def line(self) -> str:
        """The features in one line."""
        return " · ".join(", ".join(one.levels) for one in self.features)


def title_column(entities: Entities) -> str | None:
    """Return the feature that names an item: its first text."""
    texts = (n for n, one in entities.features.items() if isinstance(one, Text) and not one.is_path)
    return next(texts, None)


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a text cut to a length."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def levels(column: Column) -> list[tuple[str, ...]]:
    """Return what each row of a feature says; nothing where it is missing."""
    match column:
        case Category() | Text():
            return [() if v is None else (shortened(str(v)),) for v in column.series().to_list()]
        case Bag():
            made: list[tuple[str, ...]] = []
            for row in range(len(column)):
                span = slice(int(column.indptr[row]), int(column.indptr[row + 1]))
                codes = column.codes[span]
                if not column.is_tags:
                    codes = codes[np.argsort(-column.counts[span], kind="stable")]
                names = column.levels.ids.gather(pl.Series(codes[:SEVERAL], dtype=pl.UInt32))
                made.append(tuple(shortened(str(one), 40) for one in names.to_list()))
            return made
        case Number():
            return [(f"{v:.6g}",) if math.isfinite(v) else () for v in column.values.tolist()]
        case Time():
            return [() if v == NO_TIME else (day(v),) for v in column.values.tolist()]
        case _:
            return [()] * len(column)


def day(seconds: int) -> str:
    """Return the day of a time; the number itself where the calendar has none.

    Example
    -------
    >>> day(86400)
    '1970-01-02'
    """
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def cards(model: FittedModel, rows: I32 | I64 | Sequence[int]) -> list[Card]:
    """Return the items of some rows, as they are shown."""
    at = np.asarray(rows, np.int64)
    taken = model.items.take(at)
    ids = taken.ids.ids.to_list()
    name = title_column(taken)
    blank: list[tuple[str, ...]] = [()] * len(ids)
    titles = blank if name is None else levels(taken.features[name])
    shown = [
        (label, kind_of(one) in ("tags", "category", "bag"), levels(one))
        for label, one in taken.features.items()
        if label != name and kind_of(one) not in ("vector", "sound", "place")
    ]
    made: list[Card] = []
    for n, item in enumerate(ids):
        features = [Feature(label, told[n], tag) for label, tag, told in shown if told[n]]
        said = "".join(titles[n]).strip()
        title = said or shortened(str(item))
        made.append(Card(item, title, tuple(features[:COLUMNS])))
    return made


class Search:
    """A search among the items of one version: by id, and by words of the title."""

    def __init__(self, served: Served) -> None:
        self.served = served
        entities = served.model.items
        name = title_column(entities)
        self.ids = entities.ids.ids.cast(pl.String).str.to_lowercase()
        column = None if name is None else entities.features[name]
        self.titles = (
            column.values.fill_null("").str.to_lowercase() if isinstance(column, Text) else None
        )
        self.hidden = served.withdrawn

    def find(self, words: str, most: int = FOUND) -> list[int]:
        """Return rows, at most `most`: the id itself, then ids and titles that begin so, then those that hold it.

        Among equals the popular ones come first. Nothing is found by nothing.
        """
        asked = words.strip().lower()[:LONGEST_SEARCH]
        if not asked:
            return []
        begins = self.ids.str.starts_with(asked)
        holds = begins
        if self.titles is not None:
            begins = begins | self.titles.str.starts_with(asked)
            holds = begins
            for word in asked.split()[:8]:
                part = self.titles.str.contains(word, literal=True)
                holds = part if holds is begins else holds & part
            holds = holds | begins
        rows = np.flatnonzero(holds.to_numpy())
        popular = self.served.model.memory.popularity
        counts = np.zeros(len(self.ids), np.float32)
        counts[: len(popular)] = popular
        rows = rows[~np.isin(rows, self.hidden)]
        exact = (self.ids == asked).to_numpy()[rows]
        first = begins.to_numpy()[rows]
        order = np.lexsort((-counts[rows], ~first, ~exact))
        return rows[order][:most].tolist()
