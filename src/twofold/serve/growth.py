"""A model with the items that were added while it is served: each is read by itself, first told, told again or restored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from twofold.data.entities import Entities
from twofold.errors import DataError
from twofold.features.sounds import SoundFault
from twofold.models._added import new_items, remarks_on
from twofold.models._base import FittedModel
from twofold.models._told import Told, passed_over, read_told
from twofold.serve.schemas import LONGEST_NOTE, MOST_NOTES
from twofold.typing import Id
from twofold.unseen import gathered, shown

log = logging.getLogger(__name__)


def read_one(model: FittedModel, item: Id, features: Mapping[str, Any]) -> Entities:
    """Read an item.

    Raises
    ------
    DataError
        If a feature is missing or of another kind.
    """
    told = read_told(model, {item: features})
    if told.wrong:
        raise told.wrong[item]
    return told.items


def grown_by(
    model: FittedModel, item: Id, features: Mapping[str, Any]
) -> tuple[FittedModel, list[str]]:
    """Return the model with one more item, and what there is to say of it.

    Raises
    ------
    DataError
        If the model does not read content, or a feature is missing or of another kind.
    """
    model.check_content()
    read = read_one(model, item, features)
    with gathered() as heard:
        grown = model.place(new_items(model, read))
    return grown, notes([*heard, *passed_over(model, read, list(features)), *remarks_on(grown, read)])  # fmt: skip


def remarks_of_known(model: FittedModel, item: Id, features: Mapping[str, Any]) -> list[str]:
    """Return what there is to say of an item of training that is told with features; none of them only lists it again.

    Raises
    ------
    DataError
        As of a new item.
    """
    return notes(passed_over(model, read_one(model, item, features), list(features))) if features else []  # fmt: skip


def notes(said: list[str]) -> list[str]:
    """Return sentences as an answer has them: few and short."""
    if len(said) > MOST_NOTES:
        more = len(said) - MOST_NOTES + 1
        said = [*said[: MOST_NOTES - 1], f"{more:,} further notes are not shown"]
    return [one if len(one) <= LONGEST_NOTE else f"{one[: LONGEST_NOTE - 1]}…" for one in said]


def grown_by_what_is_left(
    version: int, model: FittedModel, items: Mapping[Id, Mapping[str, Any]]
) -> tuple[FittedModel, list[str]]:
    """Return the model with those of the items that can be read and placed, as items of an earlier version; and what there is to say.

    Features that they do not bring, or bring in another kind, are missing in them. What is said, also in the log, is which,
    and which item it goes without and why, such as one whose sound is gone.
    """
    if not items:
        return model, []
    told = read_told(model, items, strict=False)
    without = dict(told.wrong)
    with gathered() as heard:
        model = placed(model, new_items(model, told.items), without)
    said = [
        f"item {shown(item)} is left out: {error.why if isinstance(error, SoundFault) else error}"
        for item, error in without.items()
    ]
    said += [*missing_in(told), *heard]
    for one in said:
        log.warning("version %d: %s", version, one)
    return model, said


def missing_in(told: Told) -> list[str]:
    """Return a sentence for each feature of training that items which were added to an earlier version do not have as it was there."""
    said: list[str] = []
    for name, items in told.missing.items():
        for lack in (True, False):
            some = [one for one, error in items.items() if (error is None) is lack]
            if not some:
                continue
            item, error = shown(some[0]), items[some[0]]
            who = f"item {item}, which was" if len(some) == 1 else f"{len(some):,} items, such as {item}, that were"  # fmt: skip
            why = "told without it" if lack else f"told with it in another kind ({error})"
            said.append(
                f"feature {shown(name)} of training is missing in {who} {why}: PUT what is known of it"
            )
    return said


def placed(model: FittedModel, items: Entities, without: dict[Id, DataError]) -> FittedModel:
    """Return the model with those of the items that can be placed; half of them at a time where not all can be.

    The others are put into `without`.
    """
    if not len(items):
        return model
    try:
        return model.place(items)
    except DataError as error:
        if len(items) == 1:
            without[items.ids[0]] = error
            return model
    half, rows = len(items) // 2, np.arange(len(items))
    first = placed(model, items.take(rows[:half]), without)
    return placed(first, items.take(rows[half:]), without)
