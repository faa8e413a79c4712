"""The items of a server with their features: what the next training reads beside the log."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from twofold.data.alone import spread
from twofold.data.columns import Column, present
from twofold.data.convert import column_from_values, guess_kind
from twofold.data.entities import Entities
from twofold.data.joined import joined, joined_columns
from twofold.data.vocabulary import UNKNOWN
from twofold.models._told import read_told
from twofold.serve.export import column_of
from twofold.serve.growth import missing_in
from twofold.serve.live import Live
from twofold.serve.tables import ITEMS
from twofold.typing import Id


def told_to(live: Live) -> dict[Id, dict[str, Any]]:
    """Return the features of all items that were told by PUT, also of those that training knows."""
    found: dict[Id, dict[str, Any]] = {}
    for row in live.store.rows(ITEMS):
        features = orjson.loads(row["features"])
        if features:
            item: Id = int(row["item_id"]) if row["is_integer"] else row["item_id"]
            found[item] = spread(features, live.base.items.features)
    return found


def items_of(live: Live, *, training: bool = False) -> tuple[Entities, list[str]]:
    """Return the items that were told by PUT, with the kinds that features have in the live model, and what is to be noted.

    Features that the live model does not have are there too, with the kinds that they look like: another version may have had them.

    Parameters
    ----------
    live
        An opened server.
    training
        Put the items of training before them; what was told of one of those counts where it says something.
    """
    told = told_to(live)
    read = read_told(live.base, told, strict=False)
    rows = [features for item, features in told.items() if item not in read.wrong]
    trained = live.base.items.features
    more: dict[str, Column] = {}
    for name in dict.fromkeys(name for one in rows for name in one if name not in trained):
        values = column_of(name, [one.get(name) for one in rows])
        more[name] = column_from_values(name, values, guess_kind(values))
    own = Entities(read.items.ids, {**read.items.features, **more})
    notes = [f"item {item!r} is left out: {error}" for item, error in read.wrong.items()]
    return (over(live.base.items, own) if training else own), [*notes, *missing_in(read)]


def over(below: Entities, above: Entities) -> Entities:
    """Return the items of both; of those in both, what `above` says counts. `above` has all features of `below`."""
    fresh = np.flatnonzero(below.ids.rows(above.ids.ids) == UNKNOWN)
    place = np.concatenate([above.ids.rows(below.ids.ids), fresh]).astype(np.int64)
    old = np.concatenate([np.arange(len(below)), np.full(len(fresh), UNKNOWN)])
    ids = joined(Entities(below.ids), Entities(above.ids.take(fresh))).ids
    features: dict[str, Column] = {}
    for name, told in above.features.items():
        if name not in below.features:
            features[name] = told.with_missing_row().take(np.where(place == UNKNOWN, len(told), place))  # fmt: skip
            continue
        both = joined_columns(name, below.features[name], told, len(told))
        says = np.append(present(told), np.False_)[place]  # -1 is the last one
        features[name] = both.take(np.where(says | (old == UNKNOWN), len(below) + place, old))
    return Entities(ids, features)
