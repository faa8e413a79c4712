"""Open a saved model: the list of classes that a folder may name, in one place."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from twofold import persistence
from twofold.data.columns import Bag, Category, Number, Text, Time, Vector
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities, Links
from twofold.data.interactions import Histories, Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.errors import IncompatibleFileError
from twofold.features.audio import LogMel
from twofold.features.design import ColumnCode
from twofold.features.table import FieldCode, Table, TableCode
from twofold.features.text import (
    BagOfWords,
    NgramCode,
    SequenceCode,
    WordCode,
    WordHashing,
    WordSequences,
)
from twofold.models import HOMES
from twofold.models._added import WithItems
from twofold.models._base import FittedModel, Memory
from twofold.pipeline import FittedPipeline, Pipeline

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


FEATURE_CLASSES: dict[str, type] = {
    one.__name__: one
    for one in (
        BagOfWords,
        ColumnCode,
        FieldCode,
        LogMel,
        NgramCode,
        SequenceCode,
        Table,
        TableCode,
        WordCode,
        WordHashing,
        WordSequences,
    )
}
"""What remembers how features were made in training."""


def model_classes(estimator: str) -> dict[str, type]:
    """Return every class that the folder of a fitted `estimator` of this package may name."""
    classes: dict[str, type] = {
        **DATA_CLASSES,
        **FEATURE_CLASSES,
        "FittedPipeline": FittedPipeline,
        "Memory": Memory,
        "Pipeline": Pipeline,
        "WithItems": WithItems,
    }
    if estimator in HOMES:
        for one in vars(importlib.import_module(HOMES[estimator])).values():
            if isinstance(one, type) and one.__module__.startswith("twofold.models."):
                classes[one.__name__] = one
    return classes


def estimators_in(tree: Any) -> set[str]:
    """Return the names of the estimators that a saved model and its parts were fitted with."""
    found, rest = set[str](), [tree]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            match cast("dict[str, Any]", one):
                case {"estimator": str(name)}:
                    found.add(name)
                case inner:
                    rest += inner.values()
        elif isinstance(one, list):
            rest += cast("list[Any]", one)
    return found


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
    tree = persistence.read_manifest(Path(path), "model").value
    match tree:
        case {"fields": {"estimator": {"estimator": str()}}}:
            classes: dict[str, type] = {one.__name__: one for one in extra}
            for estimator in estimators_in(tree):
                classes = model_classes(estimator) | classes
        case _:
            raise IncompatibleFileError(f"{path} holds no fitted model; fit and save one")
    model = persistence.load(Path(path), "model", classes)
    if not isinstance(model, FittedModel):
        raise IncompatibleFileError(
            f"{path} holds a {type(model).__name__}, which is not a fitted model; fit and save one"
        )
    return model
