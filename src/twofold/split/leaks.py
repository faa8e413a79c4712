"""The leak check: what training knows that it could not know, with the rows that prove it.

It runs before every evaluation and fails it.
"""

from __future__ import annotations

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Histories
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import LeakError
from twofold.expected import check_split
from twofold.split._leak import NAMED, Leak, named
from twofold.split._split import Split
from twofold.split.leaking_features import computed_features
from twofold.split.pairs import at_their_time, remembered_pairs, same_pairs, translations


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
    """Return every leak of a split; an empty list where it is sound.

    Raises
    ------
    DataError
        If `split` is none.
    """
    check_split(split, "find_leaks")
    found: list[Leak] = []
    held_out = {"test": split.test, "validation": split.validation}
    cuts = {"test": split.cut, "validation": split.validation_cut}
    told = {"test": split.test_history, "validation": split.validation_history}
    for name, part in held_out.items():
        if part is None:
            continue
        if not untold(split, part):
            found += shared_pairs(split.train, part, "training", name, repeats=split.repeats)
        found += late_events(split.train, "training", cuts[name], name)
        history = told[name]
        if history is not None:
            found += told_targets(history, part, name)
            found += trained_users(split.train, history, name)
            found += late_events(history, f"{name} history", cuts[name], name)
        found += born_later(split, part, name)
    if split.validation is not None:
        if not untold(split, split.test):
            found += shared_pairs(
                split.validation, split.test, "validation", "test", repeats=split.repeats
            )
        found += late_events(split.validation, "validation", split.cut, "test")
    later = {name: part for name, part in held_out.items() if part is not None}
    histories = [part for part in told.values() if part is not None]
    return found + computed_features(split.train, later, histories)


def untold(split: Split, part: Dataset) -> bool:
    """Say whether a repeated pair of a part is another event although no time tells it: one log was cut."""
    return split.repeats and split.one_log and part.interactions.time is None


def shared_pairs(
    earlier: Dataset, part: Dataset, known: str, name: str, *, repeats: bool
) -> list[Leak]:
    """Find events of a part whose pair is in an earlier one; where repeats are allowed, whose time is, too."""
    rows = np.flatnonzero(same_pairs(part, earlier, same_time=repeats))
    if not len(rows):
        return []
    text = f"{len(rows):,} {name} events repeat a {known} pair: {named(part, rows)}; split by pairs"
    return [Leak("pair", tuple(rows.tolist()), text)]


def late_events(part: Dataset, what: str, cut: int | None, name: str) -> list[Leak]:
    """Find events of an earlier part that are not earlier than the cut."""
    time = part.interactions.time
    if cut is None or time is None:
        return []
    rows = np.flatnonzero(time >= cut)
    if not len(rows):
        return []
    text = (
        f"{len(rows):,} {what} events are not earlier than the {name} cut at {cut}: "
        f"{named(part, rows)}; cut at one time"
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


def born_later(split: Split, part: Dataset, name: str) -> list[Leak]:
    """Find ids that training lists without an event of theirs, and that occur in the held-out part; of items where it does not know all."""
    found: list[Leak] = []
    train = split.train
    events = train.interactions
    users, items = translations(part, train)
    for what, of, rows, used in (
        ("users", train.users, users, events.user),
        ("items", train.items, items, events.item),
    ):
        if what == "items" and split.whole_catalogue:
            continue
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


def remembered_targets(
    users: Entities, items: Entities, history: Histories, split: Split, part: str
) -> list[Leak]:
    """Find targets that a fitted model was trained on; `users`, `items`, `history` are its memory.

    Where repeats are kept these are pairs at the same time; without times nothing tells them from earlier ones.
    """
    held_out = split.test if part == "test" else split.validation
    if held_out is None:
        return []
    events = held_out.interactions
    if split.repeats and (events.time is None or history.time is None):
        return []
    mine, theirs = users.ids.rows(held_out.users.ids.ids), items.ids.rows(held_out.items.ids.ids)
    found = remembered_pairs(events, mine, theirs, len(items), history)
    if split.repeats:
        at_their_time(events, mine, theirs, history, found)
    rows = np.flatnonzero(found)
    if not len(rows):
        return []
    text = (
        f"the model was trained on {len(rows):,} of the {len(held_out):,} {part} events: "
        f"{named(held_out, rows)}; fit it on split.train"
    )
    return [Leak("model", tuple(rows.tolist()), text)]
