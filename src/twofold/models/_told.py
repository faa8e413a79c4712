"""New items that are told one by one, and what there is to say of those whose features a model passes over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from twofold.data.alone import column_of, reader, spread
from twofold.data.columns import Category, Column
from twofold.data.entities import Entities, differing
from twofold.data.vocabulary import UNKNOWN, WHOLE, Vocabulary
from twofold.errors import DataError
from twofold.models._base import FittedModel
from twofold.typing import I64, Id
from twofold.unseen import CONTENT, shown, unread


class Told(NamedTuple):
    """Items that were told, and what could not be read of them."""

    items: Entities
    wrong: dict[Id, DataError]
    """What is wrong with each item that is left out."""
    missing: dict[str, dict[Id, DataError | None]]
    """By feature, the items in which it is missing: None where they do not bring it, else why it cannot be read."""


def read_told(
    model: FittedModel, told: Mapping[Id, Mapping[str, Any]], *, strict: bool = True
) -> Told:
    """Read items by id and features, each by itself.

    `strict` leaves out an item that lacks a feature of training or has it in another kind; otherwise that feature is
    missing in it, as where items were told to an earlier version of the model.
    """
    trained = of_training(model)
    readers = {name: reader(name, column) for name, column in trained.items()}
    known = model.items.ids
    values: dict[str, list[Any]] = {name: [] for name in readers}
    ids: dict[Id, None] = {}
    wrong: dict[Id, DataError] = {}
    missing: dict[str, dict[Id, DataError | None]] = {}
    for item, features in told.items():
        row: dict[str, Any] = {}
        try:
            own = own_id(item, known)
            if own in ids:
                raise DataError(f"the item {own!r} is told twice; tell it once")
            features = spread(features, readers)
            if strict:
                check_names(readers, features)
            for name, read in readers.items():
                try:
                    row[name] = read(features.get(name))
                except DataError as error:
                    if strict:
                        raise
                    row[name] = read(None)
                    missing.setdefault(name, {})[item] = error
                else:
                    if name not in features:
                        missing.setdefault(name, {})[item] = None
        except DataError as error:
            wrong[item] = error
            continue
        ids[own] = None
        for name, value in row.items():
            values[name].append(value)
    kind = pl.Int64() if known.is_integer else pl.String()
    features = {name: column_of(name, values[name], one) for name, one in trained.items()}
    return Told(Entities(Vocabulary(pl.Series("item", list(ids), dtype=kind)), features), wrong, missing)  # fmt: skip


def of_training(model: FittedModel) -> dict[str, Column]:
    """Return the features of the catalogue; a category with the levels that items of training have, whatever was added."""
    n = model.n_trained
    return {
        name: column.take(np.arange(n)) if isinstance(column, Category) else column
        for name, column in model.items.features.items()
    }


def own_id(item: Id, known: Vocabulary) -> Id:
    """Return the id of a new item in the type of the `known` ones.

    Raises
    ------
    DataError
        If those are integers and it is not.
    """
    if not known.is_integer:
        return str(item)
    whole = WHOLE.fullmatch(str(item))
    if whole is None:
        raise not_integer(item, known)
    return int(whole[1])


def not_integer(item: Any, known: Vocabulary) -> DataError:
    """Return the error of a new item whose id is no integer where the `known` ones are."""
    return DataError(
        f"the catalogue has integer ids, such as {known[0]}; got the new item {item!r}: give it an integer"
    )


def check_names(trained: Collection[str], given: Collection[str]) -> None:
    """Refuse new items without a feature of training.

    Raises
    ------
    DataError
        Naming those that are missing, and those that are there instead.
    """
    missing = [name for name in trained if name not in given]
    if not missing:
        return
    strange = [name for name in given if name not in trained]
    listed = ", ".join(map(repr, missing))
    beside = f" (they have {', '.join(map(repr, strange))} beside those of training)" if strange else ""  # fmt: skip
    raise DataError(
        f"the new items lack the feature{'s' if len(missing) > 1 else ''} {listed} of training{beside}; "
        "give null where nothing is known"
    )


def passed_over(model: FittedModel, given: Entities, names: Sequence[str]) -> list[str]:
    """Return what there is to say of items whose features `names` are: columns that training did not have, and items that are known with others."""
    trained = model.items.features
    said = unread(CONTENT, [name for name in names if name not in trained], trained)
    rows = model.items.ids.rows(given.ids.ids)
    known = np.flatnonzero(rows != UNKNOWN)
    if not len(known):
        return said
    rows = rows[known]
    other = differing(given.take(known), model.items.take(rows))
    if len(at := known[other & (rows < model.n_trained)]):
        said.append(
            f"the model learned {some_of(at, given)} in training and keeps that until the next training: "
            "the other features given here change nothing"
        )
    if len(at := known[other & (rows >= model.n_trained)]):
        said.append(
            f"the model got {some_of(at, given)} before and keeps that: to change it, begin with the model without it"
        )
    return said


def some_of(rows: I64, items: Entities) -> str:
    """Name the one item at `rows` (n,), or say how many there are, and one of them."""
    one = shown(items.ids[int(rows[0])])
    return f"item {one}" if len(rows) == 1 else f"{len(rows):,} of the items, such as {one},"
