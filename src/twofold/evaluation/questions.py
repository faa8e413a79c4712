"""What a held-out part asks of a model: queries, targets and what to hide, in the model's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Literal

import numpy as np

from twofold.data.columns import Column
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.models._added import new_items, placed
from twofold.models._base import FittedModel
from twofold.models.baselines.mean_rating import MeanRating
from twofold.models.baselines.popularity import Popularity
from twofold.random import generator
from twofold.split import Split
from twofold.split.pairs import Pairs, shared_pairs
from twofold.typing import F32, F64, I32, I64, Bool, Rng
from twofold.unseen import mostly_unknown, not_there

Part = Literal["test", "validation"]
PARTS: tuple[Part, ...] = ("test", "validation")
UnknownItems = Literal["count", "drop", "content"]
UNKNOWN_ITEMS: tuple[UnknownItems, ...] = ("count", "drop", "content")
CandidateItems = Literal["all", "new"]
CANDIDATE_ITEMS: tuple[CandidateItems, ...] = ("all", "new")
BLOCK_USERS = 4096
"""Questions ranked at a time."""
BLOCK_EVENTS = 2**21
"""Events that the questions of a block tell, at most; a single question may tell more."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The items that each query should find: distinct rows, ascending, a ragged array.

    An item that the model does not know has a row past the catalogue: nobody can find it, and it
    counts among the targets.
    """

    indptr: I64  # (n + 1,)
    item: I32  # (nnz,)

    def where(self, keep: np.ndarray) -> Targets:
        """Return the targets where `keep` (nnz,)."""
        counts = np.concatenate([[0], np.cumsum(keep)])
        return Targets(counts[self.indptr].astype(np.int64), self.item[keep])

    def take(self, start: int, stop: int) -> Targets:
        """Return the targets of the queries start ... stop - 1."""
        indptr = self.indptr[start : stop + 1]
        return Targets(indptr - indptr[0], self.item[indptr[0] : indptr[-1]])

    def among(self, seen: Histories, n_items: int) -> Bool:
        """Say for each target whether it is among what its query has `seen`; shape (nnz,)."""
        rows = np.arange(max(n_items, int(self.item.max(initial=-1)) + 1), dtype=np.int32)
        rows[n_items:] = UNKNOWN
        own = np.arange(len(self.indptr) - 1, dtype=np.int32)
        return shared_pairs(self.indptr, self.item, own, rows, n_items, seen)

    def without_empty(self) -> Targets:
        """Return the targets of the queries that have any."""
        return Targets(np.unique(self.indptr), self.item)


@dataclass(frozen=True, eq=False)
class Prefixes:
    """What came before each of q questions: stretches of one log, which overlap and are copied block by block."""

    start: I64  # (q,)
    stop: I64  # (q,)
    item: I32  # (n,)
    value: F32  # (n,)
    time: I64 | None  # (n,)

    @property
    def lengths(self) -> I64:
        """Number of events before each question; shape (q,)."""
        return self.stop - self.start

    def take(self, rows: I64) -> Histories:
        """Return what came before the questions at `rows`."""
        lengths = self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        events = np.repeat(self.start[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        time = None if self.time is None else self.time[events]
        return Histories(indptr, self.item[events], self.value[events], time)


@dataclass(frozen=True, eq=False)
class Questions:
    """A held-out part, translated for one model: one question a user, or several along their events."""

    queries: Queries
    """One a user of the part."""
    targets: Targets
    """One set a question."""
    hidden: Histories | Prefixes | None
    """Items not to be recommended: those used between training and the part, or before each of several questions."""
    users: Dataset
    """The held-out part: its users in the order of the queries."""
    n_unknown: int
    """Targets that the model does not know."""
    first: int = 0
    """The first item row that may be listed, and be a target."""
    owner: I64 | None = None
    """Whose each of several questions is, (q,); None = one question a user."""
    told: Prefixes | None = None
    """What the questions tell in place of the queries' histories."""
    time: I64 | None = None
    """When each of several questions is asked, (q,)."""
    context: Mapping[str, Column] = field(default_factory=dict[str, Column])
    """Columns of q rows."""

    def __len__(self) -> int:
        return len(self.targets.indptr) - 1

    @property
    def whose(self) -> I64:
        """The user of the part who is asked for, by question; shape (q,)."""
        return np.arange(len(self), dtype=np.int64) if self.owner is None else self.owner

    def blocks(self) -> list[slice]:
        """Cut the questions into blocks that fit the memory, by their number and by what they tell."""
        n = len(self)
        told = self.told or (self.hidden if isinstance(self.hidden, Prefixes) else None)
        if told is None:
            return [slice(at, min(at + BLOCK_USERS, n)) for at in range(0, n, BLOCK_USERS)]
        ends = np.cumsum(told.lengths)
        found: list[slice] = []
        at = 0
        while at < n:
            most = (int(ends[at - 1]) if at else 0) + BLOCK_EVENTS
            stop = int(np.searchsorted(ends, most, side="right"))
            found.append(slice(at, min(max(stop, at + 1), at + BLOCK_USERS, n)))
            at = found[-1].stop
        return found

    def asked(self, rows: slice) -> Queries:
        """Return the questions of a block."""
        at = np.arange(rows.start, rows.stop)
        if self.owner is None:
            return self.queries.take(at)
        block = self.queries.take(self.owner[at])
        if self.told is not None:
            history = self.told.take(at)
            block = replace(block, history=history, has_history=history.lengths > 0)
        return replace(
            block,
            time=None if self.time is None else self.time[at],
            context={name: column.take(at) for name, column in self.context.items()},
        )

    def remarks(self, model: FittedModel, part: str, *, along: bool) -> list[str]:
        """Return what has to be known of the measures of a model.

        A sentence for each column that says mostly what the model never learned, or that it reads and the part lacks, if it is
        asked `along` the events; and one where lists mix what scores do not compare.
        """
        of = f"the {part} part"
        said = mostly_unknown(model, replace(self.queries, context=self.context), of)
        if model.scores_within is not None:
            said.append(
                f"scores of {type(model.estimator).__name__} compare items of one {model.scores_within!r} alone, and these lists mix all: "
                f"it is made for lists within one, where={{{model.scores_within!r}: ...}}"
            )
        return said + (not_there(model, self.users.interactions.context, of) if along else [])

    def activity(self, model: FittedModel) -> F64:
        """Return how many events the model has for each question: remembered, or told; shape (q,)."""
        remembered = model.memory.history.take(self.queries.user).lengths
        own = self.queries.history.lengths
        of_user = np.where(self.queries.has_history, own, remembered).astype(np.float64)
        if self.owner is None:
            return of_user
        if self.told is None:
            return of_user[self.owner]
        told = self.told.lengths
        return np.where(told > 0, told, of_user[self.owner]).astype(np.float64)


def held_out(split: Split, part: str) -> Dataset:
    """Return the part that is asked for.

    Raises
    ------
    ConfigError
        If there is no such part.
    """
    if part not in PARTS:
        raise ConfigError(f"part got {part!r}; {did_you_mean(part, PARTS)}")
    found = split.test if part == "test" else split.validation
    if found is None:
        raise ConfigError(
            "the split has no validation part; make one with validation=0.1, or evaluate on 'test'"
        )
    return found


def ask(
    model: FittedModel,
    split: Split,
    part: str,
    *,
    unknown_items: UnknownItems,
    relevant_from: float | None,
    first: int = 0,
) -> Questions:
    """Translate a held-out part into the rows of `model`, items before row `first` left out.

    Raises
    ------
    ConfigError
        If the part does not exist.
    """
    data = held_out(split, part)
    rows = model.users.ids.rows(data.users.ids.ids)
    queries = Queries.known(rows)
    told = split.test_history if part == "test" else split.validation_history
    if told is not None:
        history = histories(told, data, model)
        queries = replace(queries, history=history, has_history=history.lengths > 0)
    queries = replace(queries, features=told_features(model, data, queries))
    hidden = None
    if part == "test" and split.validation is not None and split.validation_history is None:
        hidden = histories(split.validation, data, model)
    targets, unknown = targets_of(model, data, unknown_items, relevant_from, first)
    return Questions(queries, targets, hidden, data, unknown, first)


def told_features(model: FittedModel, data: Dataset, queries: Queries) -> dict[str, Column]:
    """Return the features of the users of `data` that the model was trained with, where somebody has no history."""
    told = np.where(queries.has_history, queries.history.lengths, 0)
    strangers = model.memory.history.take(queries.user).lengths + told == 0
    if not (model.reads_features and strangers.any()):
        return {}
    return {
        name: column for name, column in data.users.features.items() if name in model.users.features
    }


def policies(unknown_items: str, candidates: str) -> None:
    """Refuse policies that do not exist or do not go together.

    Raises
    ------
    ConfigError
        Saying which.
    """
    if unknown_items not in UNKNOWN_ITEMS:
        raise ConfigError(
            f"unknown_items got {unknown_items!r}; {did_you_mean(unknown_items, UNKNOWN_ITEMS)}"
        )
    if candidates not in CANDIDATE_ITEMS:
        raise ConfigError(
            f"candidates got {candidates!r}; {did_you_mean(candidates, CANDIDATE_ITEMS)}"
        )
    if candidates == "new" and unknown_items != "content":
        raise ConfigError(
            "candidates='new' ranks items that training never saw, which are known by content alone; "
            "write unknown_items='content' too"
        )


def with_held_out_items(model: FittedModel, data: Dataset, rng: Rng) -> FittedModel:
    """Return the model with the items of a held-out part that it does not know, placed by content.

    They are added in an order drawn from `rng`, which decides their ties: ids are often given in the
    order of arrival, and early items are the popular ones.

    Popularity and mean ratings are the baselines for every model and have no content to read: new items have the
    score 0, or the person's mean.

    Raises
    ------
    DataError
        If the model does not read content.
    """
    fresh = new_items(model, data.items)
    if not len(fresh):
        return model
    fresh = fresh.take(generator(rng).permutation(len(fresh)))
    if model.reads_content:
        return model.place(fresh)
    if isinstance(model.estimator, (Popularity, MeanRating)):
        nowhere = np.tile(model.unknown_item, (len(fresh), 1))
        return placed(model, fresh, nowhere, model.similarity_of(nowhere))
    raise DataError(
        f"{type(model.estimator).__name__} does not read content and cannot be measured on the "
        f"{len(fresh):,} items that training never saw; leave it out, or use unknown_items='count'"
    )


def histories(told: Dataset, data: Dataset, model: FittedModel) -> Histories:
    """Return what the users of `data` did in `told`, in rows of the model's items."""
    items = model.items.ids.rows(told.items.ids.ids)
    events = told.interactions
    known = np.flatnonzero(items[events.item] != UNKNOWN).astype(np.int64)
    kept = events.take(known)
    renamed = replace(kept, item=items[kept.item], n_items=len(model.items))
    return Histories.of(renamed).take(told.users.ids.rows(data.users.ids.ids))


def targets_of(
    model: FittedModel,
    data: Dataset,
    unknown_items: UnknownItems,
    relevant_from: float | None,
    first: int = 0,
    *,
    among: Bool | None = None,
    groups: I64 | None = None,
) -> tuple[Targets, int]:
    """Return the distinct items of each user of `data`, and how many the model does not know.

    Of the events where `among` (n,) alone, if it is given; and of stretches of events that begin at `groups`
    (g + 1,) in place of users.
    """
    events = data.interactions
    ends = events.indptr if groups is None else groups
    rows = model.items.ids.rows(data.items.ids.ids)
    new = np.flatnonzero(rows == UNKNOWN)
    rows = rows.copy()
    rows[new] = len(model.items) + np.arange(len(new), dtype=np.int32)
    item = rows[events.item]
    keep = np.ones(len(events), np.bool_) if among is None else among.copy()
    if relevant_from is not None:
        if isinstance(relevant_from, bool) or not isinstance(relevant_from, Real):
            raise ConfigError(f"relevant_from must be a number; got {relevant_from!r}")
        keep &= events.value >= relevant_from
    if unknown_items == "drop":
        keep &= item < len(model.items)
    keep &= item >= first
    item = item[keep]
    kept = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    pairs = Pairs.of_ragged(kept[ends], item)
    distinct = np.empty(len(pairs), np.int32)
    distinct[pairs.of_event] = item
    n_unknown = int((distinct >= len(model.items)).sum())
    return Targets(pairs.indptr, distinct), n_unknown
