"""The item views of the multi-view network: which feature says the domain of an item."""

from __future__ import annotations

import numpy as np

from twofold.data.columns import Category, kind_of
from twofold.data.entities import Entities
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.typing import I32


def views_of(view: str | None, items: Entities) -> tuple[str | None, Vocabulary]:
    """Return the feature with the views, and their names.

    Raises
    ------
    ConfigError
        If there is no such feature, it is no category, or none is named and several could be meant.
    """
    found = [name for name, one in items.features.items() if kind_of(one) == "category"]
    if view is None and not found:
        return None, Vocabulary.of(["all"])
    if view is None and len(found) > 1:
        raise ConfigError(
            f"MultiViewDSSM.view got None, and the items have {len(found)} categories: {', '.join(found)}; name one"
        )
    name = found[0] if view is None else view
    if name not in items.features:
        raise ConfigError(
            f"MultiViewDSSM.view got {name!r}, which is no item feature; {did_you_mean(name, items.features)}"
        )
    column = items.features[name]
    if not isinstance(column, Category):
        raise ConfigError(
            f"MultiViewDSSM.view got {name!r}, which is a {kind_of(column)}; a view is a category"
        )
    return name, column.levels.take(np.unique(column.codes[column.codes >= 0]))


def places_of(view: str | None, items: Entities, levels: Vocabulary) -> I32:
    """Return the view of every item (n,), -1 where it has none of `levels`."""
    if view is None:
        return np.zeros(len(items), np.int32)
    column = items.features.get(view)
    if not isinstance(column, Category):
        now = "missing" if column is None else f"a {kind_of(column)}"
        raise DataError(f"the view {view!r} was a category in training and is {now} now")
    return np.append(levels.rows(column.levels.ids), UNKNOWN)[column.codes].astype(np.int32)
