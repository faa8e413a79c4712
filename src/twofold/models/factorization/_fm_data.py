"""From a data set to what a factorization machine reads: blocks of features, and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Category, Column, Kind
from twofold.data.dataset import Dataset
from twofold.data.entities import Levels
from twofold.data.interactions import Histories, Interactions
from twofold.data.queries import Queries
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.features.design import (
    ColumnCode,
    check_wanted,
    implicit,
    indicators,
    readable,
    side_by_side,
    width_of,
)
from twofold.models.factorization._ratings import clipped, unit_of
from twofold.questions import TIME
from twofold.typing import F32, F64, I32, I64, Bool

if TYPE_CHECKING:
    from twofold.models.factorization._fm_learners import Sample
    from twofold.models.factorization.fm import FM

DAY = "day"
"""Name of the context feature made from the times of the log."""
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """Where each feature stands: user ids, columns and history, then context, then items likewise."""

    context: tuple[ColumnCode, ...]
    passed_over: tuple[str, ...]
    """Context columns of the training log that are not read."""
    with_day: bool
    group: I32  # (features,) number of the group of each feature
    names: tuple[str, ...]  # of the groups
    n_query: int  # features of users
    n_context: int
    n_item: int
    people: tuple[ColumnCode, ...] | None = None
    """Columns of users that are read; None where a folder is older."""
    things: tuple[ColumnCode, ...] | None = None
    """The same of items."""

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, and ``time`` where the day is."""
        kinds: dict[str, Kind] = {
            one.name: one.kind for one in self.context if not self._is_day(one)
        }
        if self.with_day:
            kinds[TIME] = "time"
        return kinds

    def _is_day(self, code: ColumnCode) -> bool:
        return self.with_day and code.name == DAY

    @property
    def user_side(self) -> slice:
        """The features of users."""
        return slice(0, self.n_query)

    @property
    def context_side(self) -> slice:
        """The features of contexts."""
        return slice(self.n_query, self.n_query + self.n_context)

    @property
    def item_side(self) -> slice:
        """The features of items."""
        first = self.n_query + self.n_context
        return slice(first, first + self.n_item)

    @property
    def id_features(self) -> I64:
        """The first user id and the first item id, whose priors hold for all of them; shape (2,)."""
        return np.array([0, self.item_side.start])

    @classmethod
    def of(cls, model: FM, train: Dataset) -> tuple[Layout, csr_array, csr_array, csr_array]:
        """Return the layout and the rows of users, items and contexts.

        Raises
        ------
        ConfigError
            If a named feature does not exist or cannot be read, or `day` is asked for without times.
        """
        events = train.interactions
        if model.day and events.time is None:
            raise ConfigError("FM with day=True needs a log with times: name its time column")
        context = {**events.context, **(day_column(events.time) if model.day else {})}
        check_wanted(model.features, train.users.features, train.items.features, context)
        wanted = model.features
        if wanted is not None and model.day:
            wanted = (*wanted, DAY)
        sides: list[list[tuple[str, csr_array]]] = []
        history = Histories.of(events)
        codes_of: dict[str, list[ColumnCode]] = {"user": [], "item": []}
        for name, entities, seen, there in (
            (
                "user",
                train.users,
                implicit(history, train.n_items) if model.user_history else None,
                events.active_users,
            ),
            (
                "item",
                train.items,
                implicit(transposed(events), train.n_users) if model.item_history else None,
                events.active_items,
            ),
        ):
            parts = [(f"{name} id", indicators(np.arange(len(entities)), len(entities)))]
            for column, values in readable(entities.features, wanted).items():
                code = ColumnCode.of(column, values.take(there))
                parts.append((column, code.encode(values)))
                codes_of[name].append(code)
            if seen is not None:
                parts.append((f"{name} history", seen))
            sides.append(parts)
        columns = readable(context, wanted)
        codes = tuple(ColumnCode.of(name, one) for name, one in columns.items())
        outside = [(one.name, one.encode(columns[one.name])) for one in codes]
        names: list[str] = []
        group: list[np.ndarray] = []
        for name, rows in (*sides[0], *outside, *sides[1]):
            group.append(np.full(width_of(rows), len(names), np.int32))
            names.append(name)
        users, items = (side_by_side([rows for _, rows in side]) for side in sides)
        met = side_by_side([rows for _, rows in outside]) if outside else nothing(len(events))
        layout = cls(
            context=codes,
            passed_over=tuple(name for name in context if name not in columns),
            with_day=model.day,
            group=np.concatenate(group),
            names=tuple(names),
            n_query=width_of(users),
            n_context=width_of(met),
            n_item=width_of(items),
            people=tuple(codes_of["user"]),
            things=tuple(codes_of["item"]),
        )
        return layout, users, items, met

    def context_levels(self, learned: Bool) -> Levels:
        """Return the values of each context column of which a feature (n_context,) was `learned`; None of numbers."""
        out = levels_of(self.context, learned)
        if self.with_day:
            del out[DAY]
            out[TIME] = None
        return out

    def feature_levels(self, learned: Bool) -> Levels:
        """Return the same of each column of people."""
        return levels_of(self.people or (), learned)

    def content_levels(self, learned: Bool) -> Levels:
        """Return the same of each column of items."""
        return levels_of(self.things or (), learned)

    def people_side(self, n_users: int) -> slice:
        """The features from the columns of people, after their ids."""
        return slice(n_users, n_users + sum(one.width for one in self.people or ()))

    def forget_unmet(self, samples: Sequence[Sample], users: csr_array, met: csr_array) -> None:
        """Set to 0 what samples say of features of contexts that no event, and of people that no user had: chance, not learning."""
        side = self.people_side(len(users.indptr) - 1)
        had = np.bincount(users.indices, minlength=self.n_query)[side] > 0
        told = np.bincount(met.indices, minlength=self.n_context) > 0
        unmet = np.concatenate(
            [side.start + np.flatnonzero(~had), self.n_query + np.flatnonzero(~told)]
        )
        for one in samples:
            one.w[unmet] = 0
            one.v[:, unmet] = 0

    def encode_context(self, queries: Queries) -> csr_array | None:
        """Return the context features of questions, shape (n, n_context); None where nothing is said.

        Raises
        ------
        ConfigError
            If a column was not read in training, or is of another kind.
        """
        given: dict[str, Column] = dict(queries.context)
        names = [one.name for one in self.context if not self._is_day(one)]
        for name in given:
            if name not in names and name not in self.passed_over:
                raise ConfigError(f"no context column {name!r}; {did_you_mean(name, names)}")
        if self.with_day and queries.time is not None:
            given.update(day_column(queries.time))
        if not self.context or not given:
            return None
        n = len(queries)
        parts = [
            one.encode(given[one.name])
            if one.name in given
            else csr_array((n, one.width), dtype=np.float32)
            for one in self.context
        ]
        return side_by_side(parts)


def levels_of(codes: Sequence[ColumnCode], learned: Bool) -> dict[str, Vocabulary | None]:
    """Return the values of each column of which a feature was `learned`; None of numbers."""
    out: dict[str, Vocabulary | None] = {}
    start = 0
    for one in codes:
        own = learned[start : start + one.width]
        start += one.width
        out[one.name] = one.levels and one.levels.take(np.flatnonzero(own))
    return out


def nothing(n: int) -> csr_array:
    """Return `n` rows of no features."""
    return csr_array((n, 0), dtype=np.float32)


def day_column(time: I64 | None) -> Mapping[str, Column]:
    """Return the UTC day of every time as a category."""
    if time is None:
        return {}
    days, codes = np.unique(time // SECONDS_A_DAY, return_inverse=True)
    return {DAY: Category(codes.astype(np.int32), Vocabulary(pl.Series(days.astype(np.int64))))}


def transposed(events: Interactions) -> Histories:
    """Return for every item the users who touched it."""
    indptr = np.concatenate([[0], np.cumsum(events.item_counts)]).astype(np.int64)
    order = events.by_item
    return Histories(indptr, events.user[order], events.value[order])


def with_negatives(
    events: Interactions, ratio: int, rng: np.random.Generator
) -> tuple[I32, I32, F32, I64]:
    """Return user, item and value of the events (1) and of `ratio` unobserved pairs each (0).

    A drawn pair keeps the context of the event it was drawn for, which the last array names. Pairs
    that turn out to be observed are dropped.
    """
    source = np.repeat(np.arange(len(events)), ratio)
    drawn = rng.integers(0, events.n_items, len(source)).astype(np.int32)
    seen = np.sort(events.user.astype(np.int64) * events.n_items + events.item)
    key = events.user[source].astype(np.int64) * events.n_items + drawn
    place = np.minimum(np.searchsorted(seen, key), len(seen) - 1)
    source, drawn = source[seen[place] != key], drawn[seen[place] != key]
    value = np.concatenate([np.ones(len(events)), np.zeros(len(drawn))]).astype(np.float32)
    return (
        np.concatenate([events.user, events.user[source]]),
        np.concatenate([events.item, drawn]),
        value,
        np.concatenate([np.arange(len(events)), source]),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """How values are seen by the learner: divided by the unit of the scale, or as class numbers."""

    levels: F32  # (classes,) ascending values; empty for regression
    low: float
    high: float
    has_value: bool

    @property
    def classes(self) -> int:
        """Number of classes, 0 for regression."""
        return len(self.levels)

    @classmethod
    def of(cls, task: str, value: F32, *, has_value: bool) -> Targets:
        """Encode training values.

        Raises
        ------
        DataError
            If there are not two values to tell apart, or not exactly two for classification.
        """
        low, high = float(value.min()), float(value.max())
        levels = np.unique(value) if task != "regression" else np.zeros(0, np.float32)
        if task != "regression" and len(levels) < 2:
            raise DataError(
                f"FM with task={task!r} needs at least two different values; all are {low:g}: "
                "use task='regression'"
            )
        if task == "classification" and len(levels) > 2:
            raise DataError(
                f"FM with task='classification' needs two values; got {len(levels)}, from {low:g} to "
                f"{high:g}: use task='ordered', or make them 0 and 1 before reading"
            )
        return cls(levels=levels, low=low, high=high, has_value=has_value)

    @property
    def unit(self) -> float:
        """What one unit of a score is worth on the caller's scale."""
        return 1.0 if self.classes else unit_of((self.low, self.high))

    def encode(self, value: F32) -> F64:
        """Return values as numbers for the learner; unseen ones as the nearest class."""
        if not self.classes:
            return value.astype(np.float64) / self.unit
        middle = (self.levels[1:] + self.levels[:-1]) / 2
        return np.searchsorted(middle, value, side="left").astype(np.float64)

    def decode(self, scores: F32) -> F32:
        """Return scores as values: ratings cut to the range of training, classes as they are."""
        return scores if self.classes else clipped(scores, (self.low, self.high))

    def expected(self, chances: F64) -> F32:
        """Return the expected value under class probabilities (n, classes); shape (n,)."""
        return (chances @ self.levels.astype(np.float64)).astype(np.float32)


def beside_zeros(histories: Histories, n_items: int, ratio: int) -> Histories:
    """Return histories of ones and, an item, `ratio` unobserved ones spread evenly over the catalogue."""
    rows: list[I32] = []
    for one in range(len(histories)):
        own = histories.item[histories.indptr[one] : histories.indptr[one + 1]]
        free = np.setdiff1d(np.arange(n_items, dtype=np.int32), own)
        wanted = min(ratio * len(own), len(free))
        rows.append(free[np.linspace(0, len(free), wanted, endpoint=False).astype(np.int64)])
    zeros = Histories(
        np.concatenate([[0], np.cumsum([len(one) for one in rows])]).astype(np.int64),
        np.concatenate([*rows, np.zeros(0, np.int32)]).astype(np.int32),
        np.zeros(sum(len(one) for one in rows), np.float32),
    )
    ones = Histories(histories.indptr, histories.item, np.ones_like(histories.value))
    return ones.joined(zeros)
