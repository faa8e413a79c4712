"""What surrounds an event, as rows of one table of vectors: who, which trajectory, which items nearby, when, under what.

The coding is that of sparse feature vectors (LibSVM): each kind of context owns a run of rows, and an event
lists, kind by kind, the rows that it is told with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Category, Column, Kind, Vector, kind_of
from twofold.data.dataset import Dataset
from twofold.data.moments import LEVELS, Moment, moment, regions
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, did_you_mean
from twofold.features.design import indicators
from twofold.typing import I32, I64

USER, TRAJECTORY, SURROUNDING, REGION = "user", "trajectory", "surrounding", "region"
Source = Literal["user", "trajectory", "surrounding", "column", "feature", "moment"]
READ: tuple[Kind, ...] = ("category", "tags", "bag")
"""Kinds of context columns and item features that are contexts; a place is one by its region."""


class Ragged(NamedTuple):
    """Rows of a table for each of n events: ``row[indptr[e]:indptr[e + 1]]``."""

    indptr: I64  # (n + 1,)
    row: I64  # (nnz,)


class Around(NamedTuple):
    """n events or questions as contexts see them; -1 = none."""

    user: I32  # (n,)
    trajectory: I64  # (n,)
    near: I32  # (n, most) items nearby
    time: I64 | None  # (n,)
    columns: Mapping[str, Column]  # of n rows


@dataclass(frozen=True, eq=False, kw_only=True)
class ContextCode:
    """One kind of context: where its rows begin, and what each of them stands for."""

    name: str
    source: Source
    start: int
    kind: Kind
    """Of the column that it is read from; ``category`` where there is none."""
    levels: Vocabulary
    """What the rows stand for; trajectories are numbered from 0."""
    of_item: csr_array | None = None
    """The levels of every item, (n_items, width), where the items nearby are told by a feature."""

    @property
    def width(self) -> int:
        """Number of rows."""
        return len(self.levels)

    @property
    def is_near(self) -> bool:
        """Whether it tells of the items nearby."""
        return self.source in (SURROUNDING, "feature")

    def rows(self, around: Around, offset: float) -> Ragged:
        """Return the rows of the table that tell each event; unknown levels are left out.

        `offset` is that of local time from UTC in minutes.
        """
        match self.source:
            case "user":
                return self._one(around.user)
            case "trajectory":
                return self._one(around.trajectory)
            case "surrounding":
                return self._several(around.near)
            case "feature":
                return self._features(around.near)
            case "moment":
                if around.time is None:
                    return _nothing(len(around.user))
                return self._one(self.moments(around.time, offset).codes)
            case "column":
                column = around.columns.get(self.name)
                return _nothing(len(around.user)) if column is None else self._column(column)

    def moments(self, time: I64, offset: float) -> Category:
        """Return the moments of times (n,), `offset` minutes from UTC, where the context is one."""
        return moment(time, cast("Moment", self.name), offset=offset)

    def _one(self, codes: I32 | I64) -> Ragged:
        return self._several(codes[:, None])

    def _several(self, codes: I32 | I64) -> Ragged:
        """Return the rows of codes (n, most), -1 = none."""
        there = codes >= 0
        indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
        return Ragged(indptr, codes[there].astype(np.int64) + self.start)

    def _features(self, near: I32) -> Ragged:
        """Return the rows of the levels of items (n, most), item by item."""
        assert self.of_item is not None
        items = self._several(near)
        known, ends = items.row - self.start, self.of_item.indptr.astype(np.int64)
        lengths = ends[known + 1] - ends[known]
        stops = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(ends[known] - stops[:-1], lengths) + np.arange(stops[-1])
        return Ragged(stops[items.indptr], self.of_item.indices[at].astype(np.int64) + self.start)

    def _column(self, column: Column) -> Ragged:
        """Return the rows of a context column of n events.

        Raises
        ------
        ConfigError
            If it is of another kind than in training.
        """
        match column:
            case Category():
                return self._one(np.append(self.levels.rows(column.levels.ids), -1)[column.codes])
            case Bag():
                known = self.levels.rows(column.levels.ids)[column.codes]
                ends = np.concatenate([[0], np.cumsum(known >= 0)])[column.indptr]
                return Ragged(
                    ends.astype(np.int64), known[known >= 0].astype(np.int64) + self.start
                )
            case _:
                raise ConfigError(
                    f"context column {self.name!r} was a category or tags in training and is a "
                    f"{kind_of(column)} now; give it the same kind"
                )


def learn_contexts(
    names: Sequence[str] | None, train: Dataset, n_trajectories: int, cell_km: float
) -> tuple[ContextCode, ...]:
    """Return the kinds of context that are read, in the order of `names`; None = all that the log has.

    Raises
    ------
    ConfigError
        If a name is no context of this log; the sentence says which there are.
    """
    context, features = train.interactions.context, train.items.features
    found: list[ContextCode] = []
    start = 0
    for name in everything(train) if names is None else names:
        source: Source
        kind: Kind = "category"
        of_item = None
        if name in (USER, TRAJECTORY, SURROUNDING):
            source = cast("Source", name)
            levels = {
                USER: train.users.ids,
                SURROUNDING: train.items.ids,
                TRAJECTORY: Vocabulary(pl.Series(np.arange(n_trajectories, dtype=np.int64))),
            }[name]
        elif isinstance(column := context.get(name), Category | Bag):
            source, levels, kind = "column", column.levels, kind_of(column)
        elif name == REGION and name not in features and (place := place_of(train)) is not None:
            source = "feature"
            cells = regions(place.values.astype(np.float64), cell_km=cell_km)
            levels, of_item = cells.levels, levels_of(cells)
        elif isinstance(column := features.get(name), Category | Bag):
            source, levels, of_item = "feature", column.levels, levels_of(column)
        elif name in LEVELS and train.interactions.time is not None:
            source = "moment"
            levels = Vocabulary(pl.Series(LEVELS[name], dtype=pl.String))
        else:
            raise ConfigError(refusal(name, train))
        found.append(
            ContextCode(
                name=name, source=source, start=start, kind=kind, levels=levels, of_item=of_item
            )
        )
        start += len(levels)
    return tuple(found)


def check_names(names: Sequence[str] | None, train: Dataset) -> None:
    """Refuse no context at all, and one that is named twice.

    Raises
    ------
    ConfigError
        Saying which there are.
    """
    twice = [one for one in names or () if (names or ()).count(one) > 1]
    if twice:
        raise ConfigError(f"contexts got {twice[0]!r} twice; name each context once")
    if names is not None and not len(names):
        raise ConfigError(
            f"contexts got (), nothing to tell an event with; {did_you_mean('', there(train))}"
        )


def everything(train: Dataset) -> list[str]:
    """Return the contexts that are read where none are named.

    User, surrounding items, hour and weekday where there are times, and columns and item features of few levels.
    """
    events = train.interactions
    names = [USER, SURROUNDING]
    names += ["hour", "weekday"] if events.time is not None else []
    for columns in (events.context, train.items.features):
        names += [name for name, one in columns.items() if kind_of(one) in READ]
    return list(dict.fromkeys(names))


def there(train: Dataset) -> list[str]:
    """Return every context that a log has."""
    names = [*everything(train), TRAJECTORY]
    names += list(LEVELS) if train.interactions.time is not None else []
    names += [REGION] if place_of(train) is not None else []
    return list(dict.fromkeys(names))


def place_of(data: Dataset) -> Vector | None:
    """Return the first item feature of the kind place."""
    for column in data.items.features.values():
        if isinstance(column, Vector) and column.is_place:
            return column
    return None


def refusal(name: str, train: Dataset) -> str:
    columns = {**train.items.features, **train.interactions.context}
    if name in columns:
        return (
            f"contexts got {name!r}, which is a {kind_of(columns[name])} column; read are {', '.join(READ)}, "
            "and places as 'region'"
        )
    if name in LEVELS:
        return (
            f"contexts got {name!r}, which needs times and the log has none; name its time column"
        )
    if name == REGION:
        return f"contexts got {name!r}, which needs an item feature of the kind place; declare one"
    return (
        f"contexts got {name!r}, which this log does not have; {did_you_mean(name, there(train))}"
    )


def levels_of(column: Category | Bag) -> csr_array:
    """Return which levels each row of a column has, (n, levels), all 1."""
    if isinstance(column, Category):
        return indicators(column.codes, len(column.levels))
    made = column.matrix().copy()
    made.data = np.ones_like(made.data)
    return made


def interleaved(parts: Sequence[Ragged]) -> tuple[I64, I32]:
    """Return the rows of each event kind by kind: ends (n * kinds + 1,) and rows (nnz,)."""
    kinds = len(parts)
    counts = np.stack([np.diff(one.indptr) for one in parts], axis=1)
    ends = np.concatenate([[0], np.cumsum(counts.ravel())]).astype(np.int64)
    out = np.empty(ends[-1], np.int32)
    for k, part in enumerate(parts):
        begin = ends[k:-1:kinds]
        place = np.repeat(begin - part.indptr[:-1], np.diff(part.indptr))
        out[place + np.arange(len(part.row))] = part.row
    return ends, out


def _nothing(n: int) -> Ragged:
    return Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int64))
