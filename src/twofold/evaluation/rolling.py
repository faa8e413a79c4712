"""Held-out events asked about one after the other, each with what came before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from twofold.data.columns import Column
from twofold.data.dataset import Dataset
from twofold.data.sequences import baskets
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, did_you_mean
from twofold.evaluation.questions import (
    Prefixes,
    Questions,
    UnknownItems,
    ask,
    targets_of,
)
from twofold.models._base import FittedModel
from twofold.split import Split
from twofold.typing import F32, F64, I32, I64, Bool

Ask = Literal["each user", "each event", "each basket"]
ASKS: tuple[Ask, ...] = ("each user", "each event", "each basket")
New = Literal["before", "training"]
NEW: tuple[New, ...] = ("before", "training")


@dataclass(frozen=True)
class Asking:
    """How a held-out part is turned into questions; see `twofold.evaluate`."""

    ask: Ask = "each user"
    up_to_date: bool | None = None
    new: New | None = None

    def __post_init__(self) -> None:
        """Refuse ways that do not exist.

        Raises
        ------
        ConfigError
            Saying which.
        """
        if self.ask not in ASKS:
            raise ConfigError(f"ask got {self.ask!r}; {did_you_mean(self.ask, ASKS)}")
        if self.new is not None and self.new not in NEW:
            raise ConfigError(f"new got {self.new!r}; {did_you_mean(self.new, NEW)}, or None")
        if self.up_to_date is not None and not isinstance(self.up_to_date, bool):
            raise ConfigError(f"up_to_date must be True, False or None; got {self.up_to_date!r}")

    @property
    def plain(self) -> bool:
        """Whether everybody is asked for once, as the model remembers them."""
        return self.ask == "each user" and not self.up_to_date and self.new is None

    @property
    def tells(self) -> bool:
        """Whether a question tells what happened since training."""
        return self.ask != "each user" if self.up_to_date is None else self.up_to_date

    def hides(self, split: Split, *, exclude_seen: bool | None) -> bool:
        """Return whether what was seen is left out of the lists."""
        if exclude_seen is not None:
            return exclude_seen
        return self.new is not None or not split.repeats

    def settings(self, n_questions: int) -> dict[str, bool | int | str]:
        """Return what a report says of it; nothing where everybody is asked for once."""
        if self.plain:
            return {}
        told = {"ask": self.ask, "questions": n_questions, "up_to_date": self.tells}
        return told | ({"new": self.new} if self.new else {})


def ask_along(
    model: FittedModel,
    split: Split,
    part: str,
    asking: Asking,
    *,
    unknown_items: UnknownItems,
    relevant_from: float | None,
    first: int = 0,
) -> Questions:
    """Translate a held-out part into questions; along the events, those without a target are not asked.

    Raises
    ------
    ConfigError
        If the part does not exist, or no question is left.
    DataError
        If baskets are asked for and the log has no times.
    """
    base = ask(
        model, split, part, unknown_items=unknown_items, relevant_from=relevant_from, first=first
    )
    if asking.plain:
        return base
    data = base.users
    events = data.interactions
    groups = group_starts(data, asking.ask)
    log = along(model, split, part, data)
    among = None if asking.new is None else is_new(log, asking.new)
    targets, unknown = targets_of(
        model, data, unknown_items, relevant_from, first, among=among, groups=groups
    )
    asked = np.flatnonzero(np.diff(targets.indptr))
    if not len(asked):
        raise ConfigError(
            f"no question of the {part} part is left to ask; use new=None, unknown_items='count' or a lower "
            "relevant_from"
        )
    begin = groups[asked]  # the first event of each question
    owner = events.user[begin].astype(np.int64)
    known = log.item >= 0
    counts = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
    came_before = Prefixes(
        counts[log.start[owner]],
        counts[log.place[begin]],
        log.item[known],
        log.value[known],
        None if log.time is None else log.time[known],
    )
    hidden = came_before
    if asking.new == "training":
        hidden = before_the_part(log, owner)
    context: dict[str, Column] = {}
    if asking.ask != "each user":
        context = {
            name: column.take(begin)
            for name, column in events.context.items()
            if name in model.context_kinds
        }
    return replace(
        base,
        targets=targets.without_empty(),
        n_unknown=unknown,
        owner=owner,
        told=came_before if asking.tells else None,
        hidden=hidden,
        time=None if events.time is None or asking.ask == "each user" else events.time[begin],
        context=context,
    )


def group_starts(data: Dataset, ask: Ask) -> I64:
    """Return where the events of each question start, and their number at the end."""
    events = data.interactions
    match ask:
        case "each event":
            return np.arange(len(events) + 1, dtype=np.int64)
        case "each basket":
            return baskets(events).indptr
        case "each user":
            return events.indptr


class Along(NamedTuple):
    """All that the users of a held-out part did, n events by user and time; earlier parts first where times tie."""

    start: I64  # (n_users,) where each user's events begin
    user: I32  # (n,)
    item: I32  # (n,) rows of the model, -1 = unknown
    thing: I64  # (n,) numbers of items, known to the model or not, -1 = not in the part
    value: F32  # (n,)
    time: I64 | None  # (n,)
    held: Bool  # (n,) whether an event is of the part
    place: I64  # where each event of the part is, (events of the part,)


def along(model: FittedModel, split: Split, part: str, data: Dataset) -> Along:
    """Line up what the users of a held-out part did in training, were told of, and did in the part."""
    parts = [split.train, split.test_history if part == "test" else split.validation_history]
    parts += [split.validation if part == "test" else None, data]
    there = [one for one in parts if one is not None]
    timed = all(one.interactions.time is not None for one in there)
    columns: list[tuple[np.ndarray, ...]] = []
    for one in there:
        events = one.interactions
        user = data.users.ids.rows(one.users.ids.ids)[events.user]
        kept = np.flatnonzero(user != UNKNOWN)
        item = model.items.ids.rows(one.items.ids.ids)
        theirs = data.items.ids.rows(one.items.ids.ids).astype(np.int64)
        thing = np.where(theirs == UNKNOWN, UNKNOWN, len(model.items) + theirs)
        thing = np.where(item == UNKNOWN, thing, item)
        rows = events.item[kept]
        time = events.time[kept] if timed and events.time is not None else np.zeros(0, np.int64)
        columns.append((user[kept], item[rows], thing[rows], events.value[kept], time))
    user, item, thing, value, time = (np.concatenate(some) for some in zip(*columns, strict=True))
    order = np.lexsort((time, user)) if timed else np.argsort(user, kind="stable")
    n_held = len(data)
    held = np.arange(len(user)) >= len(user) - n_held
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user))
    start = np.searchsorted(user[order], np.arange(data.n_users)).astype(np.int64)
    return Along(
        start, user[order], item[order], thing[order], value[order],
        time[order] if timed else None, held[order], place[len(user) - n_held :],
    )  # fmt: skip


def is_new(log: Along, new: New) -> Bool:
    """Say for each event of the part whether its user has its item for the first time; (events of the part,).

    Before the event, or with ``training`` before the part.
    """
    key = log.user.astype(np.int64) * (int(log.thing.max(initial=0)) + 2) + log.thing + 1
    if new == "training":
        return ~np.isin(key[log.place], key[~log.held])
    firsts = np.zeros(len(key), np.bool_)
    firsts[np.unique(key, return_index=True)[1]] = True
    return firsts[log.place]


def before_the_part(log: Along, owner: I64) -> Prefixes:
    """Return all that the user of each question, `owner` (q,), did outside the part."""
    kept = ~log.held & (log.item >= 0)
    counts = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    end = np.append(log.start[1:], len(log.user))
    return Prefixes(
        counts[log.start[owner]], counts[end[owner]], log.item[kept], log.value[kept], None
    )


def by_user(values: F64, owner: I64, n: int) -> tuple[F64, F64]:
    """Return the sum of each user's values and how many they are, (n,) each; NaN counts for nothing."""
    there = np.isfinite(values)
    total = np.bincount(owner[there], values[there], n).astype(np.float64)
    return total, np.bincount(owner[there], minlength=n).astype(np.float64)
