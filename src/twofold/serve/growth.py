"""A model with the items that were added while it is served: each is read by itself, first told, told again or restored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from twofold.data.entities import Entities
from twofold.errors import DataError
from twofold.models._added import new_items, remarks_on
from twofold.models._base import FittedModel
from twofold.models._told import passed_over, read_told
from twofold.serve.schemas import LONGEST_NOTE, MOST_NOTES
from twofold.typing import Id
from twofold.unseen import gathered

log = logging.getLogger(__name__)


def read_one(model: FittedModel, item: Id, features: Mapping[str, Any]) -> Entities:
    """Read an item.

    Raises
    ------
    DataError
        If a feature is missing or of another kind.
    """
    read, wrong = read_told(model, {item: features})
    if wrong:
        raise wrong[item]
    return read


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
    return [one if len(one) <= LONGEST_NOTE else f"{one[: LONGEST_NOTE - 1]}…" for one in said][:MOST_NOTES]  # fmt: skip


def grown_by_what_is_left(
    version: int, model: FittedModel, items: Mapping[Id, Mapping[str, Any]]
) -> FittedModel:
    """Return the model with those of the items that can be read and placed; the log says of the others, whose sound is gone, why."""
    if not items:
        return model
    read, wrong = read_told(model, items)
    for item, error in wrong.items():
        log.warning("version %d goes without item %r: %s", version, item, error)
    with gathered() as heard:
        model = placed(version, model, new_items(model, read))
    for one in heard:
        log.warning("version %d: %s", version, one)
    return model


def placed(version: int, model: FittedModel, items: Entities) -> FittedModel:
    """Return the model with those of the items that can be placed; half of them at a time where not all can be."""
    if not len(items):
        return model
    try:
        return model.place(items)
    except DataError as error:
        if len(items) == 1:
            log.warning("version %d goes without item %r: %s", version, items.ids[0], error)
            return model
    half, rows = len(items) // 2, np.arange(len(items))
    return placed(version, placed(version, model, items.take(rows[:half])), items.take(rows[half:]))
