"""What a split is: training, validation and test parts, and how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.split.pairs import repeated, repeated_moments, same_pairs

Repeats = Literal["drop", "keep"]
REPEATS: tuple[Repeats, ...] = ("drop", "keep")
TRAIN, VALIDATION, TEST, NOWHERE = range(4)
"""Codes of the parts in an assignment of events."""
MANY = 0.2
"""Share of repeated pairs among later events from which they are no accident."""


@dataclass(frozen=True, eq=False)
class Split:
    """Parts of one log. Each part knows only the ids that occur in it, unless training knows the `whole_catalogue`.

    ``test_history`` and ``validation_history`` hold what people who are not in training did before:
    they are folded in and never trained on.
    """

    train: Dataset
    test: Dataset
    validation: Dataset | None = None
    kind: str = "parts"
    """The name of the function that made it, with its arguments."""
    cut: int | None = None
    """Seconds since 1970 UTC: every training event is earlier, every test event not."""
    validation_cut: int | None = None
    """The same for the validation part."""
    test_history: Dataset | None = None
    validation_history: Dataset | None = None
    repeats: bool = False
    """Whether people may be tested on items that they have used before."""
    one_log: bool = False
    """Whether each event of one log went to one part, so that a repeated pair is another event."""
    notes: tuple[str, ...] = ()
    whole_catalogue: bool = False
    """Whether training lists items without an event of theirs, known by their features."""

    def __str__(self) -> str:
        """Say what is in each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        sizes = ", ".join(
            f"{name} {len(one):,} events of {one.n_users:,} users and {one.n_items:,} items"
            for name, one in parts.items()
            if one is not None
        )
        return f"{self.kind}: {sizes}" + "".join(f"; {note}" for note in self.notes)

    __repr__ = __str__


def fraction(name: str, value: float, *, zero: bool = False) -> float:
    """Check a share of events or users.

    Raises
    ------
    ConfigError
        If it is not in (0, 1), or [0, 1) where `zero` is allowed.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not (0 < value < 1 or (zero and value == 0)):
        low = "0 <=" if zero else "0 <"
        raise ConfigError(f"{name} must be a share, {low} {name} < 1; got {value!r}")
    return float(value)


def yes_or_no(name: str, value: object) -> None:
    """Refuse what is neither True nor False, such as a share where none is taken.

    Raises
    ------
    ConfigError
        Naming the argument.
    """
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"{name} must be True or False; got {value!r}")


def repeats_allowed(repeats: str) -> bool:
    """Check the policy for test events that repeat a training pair; return whether to keep them.

    Raises
    ------
    ConfigError
        If it is neither of those allowed.
    """
    if repeats not in REPEATS:
        raise ConfigError(f"repeats got {repeats!r}; {did_you_mean(repeats, REPEATS)}")
    return repeats == "keep"


def make(
    data: Dataset,
    part: np.ndarray,
    kind: str,
    *,
    cut: int | None = None,
    validation_cut: int | None = None,
    repeats: bool | None = None,
    wants_validation: bool = False,
    notes: tuple[str, ...] = (),
) -> Split:
    """Return the split in which event e goes to the part with the code ``part[e]``.

    A later part loses the events of pairs that an earlier part has, or with `repeats` those of pairs that it has
    at the same time, which no time tells apart; the notes say how many, and how to keep them where many repeat and the kind
    of split has the choice (`repeats` is not None), and where `wants_validation` also whether the validation part came out empty.

    Raises
    ------
    DataError
        If the training or the test part is empty.
    """
    part = part.astype(np.uint8)
    said = list(notes)
    again = (repeated_moments if repeats else repeated)(data.interactions, part) & (part < NOWHERE)
    if again.any():
        which = "seen at the same time" if repeats else "seen before"
        told = f"{int(again.sum()):,} later events of pairs {which} were left out"
        later = int((part < NOWHERE).sum() - (part == TRAIN).sum())
        if repeats is False and again.sum() > MANY * later:
            told += '; where people take things again, keep them with repeats="keep" (--split-option repeats=keep)'
        said.append(told)
    for code, name in ((TRAIN, "training"), (TEST, "test")):
        if not ((part == code) & ~again).any():
            raise DataError(
                f"the {name} part of {kind} is empty {why_empty(data, part == code, kept=bool(repeats))}"
            )
    part[again] = NOWHERE
    train, validation, test = (
        data.part(np.flatnonzero(part == code).astype(np.int64))
        for code in (TRAIN, VALIDATION, TEST)
    )
    if wants_validation and not len(validation):
        said.append("the validation part is empty; use a larger share or more data")
    return Split(
        train=train,
        test=test,
        validation=validation if len(validation) else None,
        kind=kind,
        cut=cut,
        validation_cut=validation_cut,
        repeats=bool(repeats),
        one_log=True,
        notes=tuple(said),
    )


def why_empty(data: Dataset, meant: np.ndarray, *, kept: bool) -> str:
    """Say why a part has no events and what to do; `meant` (events,) were to be in it before repeats were left out.

    `kept`: of repeats those at the same time alone were left out.
    """
    if not meant.any():
        most = int(np.diff(data.interactions.indptr).max(initial=0))
        return f"({len(data):,} events in all, at most {most:,} of a user); use other shares or more data"
    told = f"as its {int(meant.sum()):,} events are of pairs that an earlier part has"
    if kept:
        return f"{told} at the same time; check the times"
    return (
        f"{told}; where people take things again, keep them with "
        'repeats="keep" (--split-option repeats=keep)'
    )


def from_parts(
    train: Dataset, test: Dataset, validation: Dataset | None = None, *, repeats: Repeats = "drop"
) -> Split:
    """Make a split of parts of your own, as they come: nothing is moved, the leak check still runs.

    Users and items of `train` without a training event are taken out of it.
    """
    allowed = repeats_allowed(repeats)
    known = train.part(np.arange(len(train), dtype=np.int64))
    return Split(
        train=known, test=test, validation=validation, kind="from_parts()", repeats=allowed
    )


def held_out(train: Dataset, data: Dataset) -> Split:
    """Make a split of a training log and another log that tests it, without the pairs that training has.

    Raises
    ------
    DataError
        If nothing is left to test.
    """
    again = same_pairs(data, train)
    if again.all():
        raise DataError(
            f"all {len(data):,} events of these data were in training, so nothing is left to test; "
            "give later data, or hold a part out before training"
        )
    notes = (f"{int(again.sum()):,} events of pairs that training has were left out",)
    return Split(
        train=train,
        test=data.part(np.flatnonzero(~again).astype(np.int64)),
        kind="held_out()",
        notes=notes if again.any() else (),
    )
