"""Open a saved model: the list of classes that a folder may name, in one place."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

from twofold import persistence
from twofold.data.columns import Bag, Category, Number, Text, Time, Vector
from twofold.data.dataset import Dataset, Entities, Links
from twofold.data.interactions import Histories, Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.models import HOMES
from twofold.models._base import FittedModel, Memory

DATA_CLASSES: dict[str, type] = {
    one.__name__: one
    for one in (
        Bag,
        Category,
        Dataset,
        Entities,
        Histories,
        Interactions,
        Links,
        Number,
        Text,
        Time,
        Vector,
        Vocabulary,
    )
}
"""What a saved dataset may hold."""


def model_classes() -> dict[str, type]:
    """Return every class that a saved model of this package may name."""
    classes: dict[str, type] = {**DATA_CLASSES, "Memory": Memory}
    for home in HOMES.values():
        for one in vars(importlib.import_module(home)).values():
            if isinstance(one, type) and one.__module__ == home:
                classes[one.__name__] = one
    return classes


def load(path: str | Path, *, extra: Iterable[type] = ()) -> FittedModel:
    """Open a saved model folder.

    Parameters
    ----------
    path
        A folder written by ``model.save``.
    extra
        Classes of your own models (the estimator and the fitted one).

    Raises
    ------
    IncompatibleFileError
        If the folder is damaged, foreign or from a newer format, or names an unknown class.
    """
    classes = model_classes() | {one.__name__: one for one in extra}
    return persistence.load(Path(path), "model", classes)
