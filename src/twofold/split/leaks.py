"""The leak check: what training knows that it could not know, with the rows that prove it.

It runs before every evaluation and fails it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twofold.data.columns import NO_TIME, Column, Number, Time
from twofold.data.dataset import Dataset, Entities
from twofold.data.interactions import Histories, Interactions
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import LeakError
from twofold.split._split import Split
from twofold.typing import F64, I32, I64, Bool

Side = Literal["user", "item"]
NAMED = 3
"""How many guilty rows a sentence names."""
CLOSE = 1e-4
"""Relative difference below which a feature equals a statistic of the log."""
SHARE = 0.8
"""A feature leaks if it follows the whole log in this share of the rows where the test part matters."""
FEWEST = 3
"""Rows that have to differ before a feature can be judged."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which training knows too much."""

    kind: str
    """``pair``, ``time``, ``feature``, ``history``, ``id`` or ``model``."""
    rows: tuple[int, ...]
    """Row numbers in the part that the message names."""
    message: str


def check_leaks(split: Split) -> None:
    """Fail if anything leaks.

    Raises
    ------
    LeakError
        With one sentence for each leak; ``rows`` holds the rows of the first.
    """
    raise_for(find_leaks(split))


def raise_for(leaks: list[Leak]) -> None:
    """Raise a `LeakError` that tells all of `leaks`, if there are any."""
    if leaks:
        raise LeakError("; ".join(one.message for one in leaks), leaks[0].rows)


def find_leaks(split: Split) -> list[Leak]:
    """Return every leak of a split; an empty list where it is sound."""
    found: list[Leak] = []
    held_out = {"test": split.test, "validation": split.validation}
    cuts = {"test": split.cut, "validation": split.validation_cut}
    told = {"test": split.test_history, "validation": split.validation_history}
    for name, part in held_out.items():
        if part is None:
            continue
        found += shared_pairs(split.train, part, name, repeats=split.repeats)
        found += late_events(split.train, cuts[name], name)
        history = told[name]
        if history is not None:
            found += told_targets(history, part, name)
            found += trained_users(split.train, history, name)
        found += born_later(split.train, part, name)
        found += computed_features(split.train, part, name)
    if split.validation is not None:
        shared = shared_pairs(split.validation, split.test, "test", repeats=split.repeats)
        found += [
            Leak(one.kind, one.rows, one.message.replace("training", "validation"))
            for one in shared
        ]
    return found


def keys(data: Dataset, users: I32, items: I32, n_items: int) -> I64:
    """Return a number for each event's pair in another part's rows; -1 where an id is not in it."""
    user, item = users[data.interactions.user], items[data.interactions.item]
    known = (user != UNKNOWN) & (item != UNKNOWN)
    return np.where(known, user.astype(np.int64) * n_items + item, -1)


def translations(source: Dataset, target: Dataset) -> tuple[I32, I32]:
    """Return the rows in `target` of the users and of the items of `source`."""
    return target.users.ids.rows(source.users.ids.ids), target.items.ids.rows(source.items.ids.ids)


def same_pairs(part: Dataset, other: Dataset) -> Bool:
    """Say for each event of `part` whether `other` has its pair; shape (n,)."""
    users, items = translations(part, other)
    events = other.interactions
    theirs = events.user.astype(np.int64) * other.n_items + events.item
    return np.isin(keys(part, users, items, other.n_items), theirs)


def shared_pairs(train: Dataset, part: Dataset, name: str, *, repeats: bool) -> list[Leak]:
    """Find events of a part whose pair is in training; where repeats are allowed, whose time is, too."""
    both = same_pairs(part, train)
    if repeats and both.any():
        mine, theirs = part.interactions.time, train.interactions.time
        if mine is not None and theirs is not None:
            both &= np.isin(mine, theirs)
            users, items = translations(part, train)
            own = keys(part, users, items, train.n_items)
            events = train.interactions
            pair = events.user.astype(np.int64) * train.n_items + events.item
            known = set(zip(pair.tolist(), theirs.tolist(), strict=True))
            both[both] = [
                one in known for one in zip(own[both].tolist(), mine[both].tolist(), strict=True)
            ]
    rows = np.flatnonzero(both)
    if not len(rows):
        return []
    text = (
        f"{len(rows):,} {name} events repeat a training pair: {named(part, rows)}; split by pairs"
    )
    return [Leak("pair", tuple(rows.tolist()), text)]


def late_events(train: Dataset, cut: int | None, name: str) -> list[Leak]:
    """Find training events that are not earlier than the cut."""
    time = train.interactions.time
    if cut is None or time is None:
        return []
    rows = np.flatnonzero(time >= cut)
    if not len(rows):
        return []
    text = (
        f"{len(rows):,} training events are not earlier than the {name} cut at {cut}: "
        f"{named(train, rows)}; cut at one time"
    )
    return [Leak("time", tuple(rows.tolist()), text)]


def told_targets(history: Dataset, part: Dataset, name: str) -> list[Leak]:
    """Find events of a history that are targets of the same user."""
    rows = np.flatnonzero(same_pairs(history, part))
    if not len(rows):
        return []
    text = (
        f"{len(rows):,} events of the {name} histories are {name} targets: {named(history, rows)}; "
        "take them out of the histories"
    )
    return [Leak("history", tuple(rows.tolist()), text)]


def trained_users(train: Dataset, history: Dataset, name: str) -> list[Leak]:
    """Find users whose history is to be folded in and who are in training."""
    rows = np.flatnonzero(train.users.ids.rows(history.users.ids.ids) != UNKNOWN)
    if not len(rows):
        return []
    who = ", ".join(repr(history.users.ids[row]) for row in rows[:NAMED])
    text = f"{len(rows):,} users with a {name} history are in training: {who}; take them out of it"
    return [Leak("history", tuple(rows.tolist()), text)]


def born_later(train: Dataset, part: Dataset, name: str) -> list[Leak]:
    """Find ids that training lists without an event of theirs, and that occur in the held-out part."""
    found: list[Leak] = []
    events = train.interactions
    users, items = translations(part, train)
    for what, of, rows, used in (
        ("users", train.users, users, events.user),
        ("items", train.items, items, events.item),
    ):
        without = np.bincount(used, minlength=len(of)) == 0
        here = rows[rows != UNKNOWN]
        guilty = np.sort(here[without[here]])
        if len(guilty):
            ids = ", ".join(repr(of.ids[row]) for row in guilty[:NAMED])
            text = (
                f"training lists {len(guilty):,} {what} that exist only in the {name} part: {ids}; "
                "build it from its own events (train.part)"
            )
            found.append(Leak("id", tuple(guilty.tolist()), text))
    return found


def computed_features(train: Dataset, part: Dataset, name: str) -> list[Leak]:
    """Find user and item features that equal a statistic of the log with the held-out part in it."""
    found: list[Leak] = []
    users, items = translations(part, train)
    sides: tuple[tuple[Side, Entities, I32], ...] = (
        ("user", train.users, users),
        ("item", train.items, items),
    )
    for what, of, rows in sides:
        if not of.features:
            continue
        before = dict(statistics(train, None, rows, what, len(of)))
        after = dict(statistics(train, part, rows, what, len(of)))
        for feature, column in of.features.items():
            values = numeric(column)
            if values is None:
                continue
            for label, later in after.items():
                guilty = follows(values, before[label], later)
                if guilty is not None:
                    found.append(_feature_leak(what, feature, label, name, of, guilty))
                    break
    return found


def _feature_leak(
    what: str, feature: str, label: str, name: str, of: Entities, guilty: I64
) -> Leak:
    ids = ", ".join(repr(of.ids[row]) for row in guilty[:NAMED])
    text = (
        f"{what} feature {feature!r} is the {label} over training and {name} events together in "
        f"{len(guilty):,} rows: {ids}; compute it from the training part"
    )
    return Leak("feature", tuple(guilty.tolist()), text)


def numeric(column: Column) -> F64 | None:
    """Return a column as numbers, NaN where missing; None for kinds that hold none."""
    match column:
        case Number():
            return column.values.astype(np.float64)
        case Time():
            return np.where(column.values == NO_TIME, np.nan, column.values.astype(np.float64))
        case _:
            return None


def side_of(events: Interactions, side: Side) -> I32:
    """Return the rows of the users or of the items of the events."""
    return events.user if side == "user" else events.item


def statistics(
    train: Dataset, part: Dataset | None, rows: I32, side: Side, n: int
) -> Iterator[tuple[str, F64]]:
    """Yield statistics of each user's or item's events by name, shape (n,), of training rows.

    With `part`, its events count too; `rows` holds their ids' rows in training.
    """
    events = train.interactions
    who = side_of(events, side).astype(np.int64)
    value, time = events.value.astype(np.float64), events.time
    if part is not None:
        more = part.interactions
        theirs = rows[side_of(more, side)]
        known = theirs != UNKNOWN
        who = np.concatenate([who, theirs[known]])
        value = np.concatenate([value, more.value[known]])
        if time is not None and more.time is not None:
            time = np.concatenate([time, more.time[known]])
        else:
            time = None
    count = np.bincount(who, minlength=n).astype(np.float64)
    yield "number of events", count
    if events.has_value:
        total = np.bincount(who, value, n).astype(np.float64)
        yield "sum of values", total
        yield "mean value", np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    if time is not None:
        for label, function, start in (
            ("first time", np.minimum, np.inf),
            ("last time", np.maximum, -np.inf),
        ):
            made = np.full(n, start)
            function.at(made, who, time.astype(np.float64))
            yield label, made


def follows(values: F64, before: F64, after: F64) -> I64 | None:
    """Return the rows where `values` equal `after` and not `before`, if they are most that can tell."""
    telling = np.flatnonzero(~close(before, after) & np.isfinite(values))
    if len(telling) < FEWEST:
        return None
    guilty = telling[close(values[telling], after[telling])]
    return guilty if len(guilty) >= SHARE * len(telling) else None


def close(a: F64, b: F64) -> Bool:
    """Compare by relative difference."""
    return np.isclose(a, b, rtol=CLOSE, atol=1e-6, equal_nan=True)


def remembered_targets(
    users: Entities, items: Entities, history: Histories, split: Split, part: str
) -> list[Leak]:
    """Find targets that a fitted model was trained on; `users`, `items`, `history` are its memory."""
    held_out = split.test if part == "test" else split.validation
    if held_out is None or split.repeats:
        return []
    events = held_out.interactions
    user = users.ids.rows(held_out.users.ids.ids)[events.user]
    item = items.ids.rows(held_out.items.ids.ids)[events.item]
    n_items = max(len(items), 1)
    known = (user != UNKNOWN) & (item != UNKNOWN)
    mine = np.where(known, user.astype(np.int64) * n_items + item, -1)
    who = np.repeat(np.arange(len(history)), history.lengths)
    rows = np.flatnonzero(np.isin(mine, who * n_items + history.item))
    if not len(rows):
        return []
    text = (
        f"the model was trained on {len(rows):,} of the {len(held_out):,} {part} events: "
        f"{named(held_out, rows)}; fit it on split.train"
    )
    return [Leak("model", tuple(rows.tolist()), text)]


def named(data: Dataset, rows: I64) -> str:
    """Name the first rows: their numbers, users and items."""
    frame = data.frame().select("user", "item")
    listed = [
        f"row {row} (user {user!r}, item {item!r})"
        for row in (int(one) for one in rows[:NAMED])
        for user, item in [frame.row(row)]
    ]
    return ", ".join(listed) + (", ..." if len(rows) > NAMED else "")
