"""Models made of models: estimators as plain tables that files can hold, and whether fitted ones belong together."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import ConfigError, did_you_mean
from twofold.hyperparameters import values
from twofold.models import HOMES
from twofold.models._base import Memory
from twofold.typing import I64


def table_of(part: Any, owner: str) -> dict[str, Any]:
    """Return an estimator as a table, its class under ``model``, or under ``class`` where ``model`` is one of its hyperparameters.

    A table is returned as it is. `owner` is the hyperparameter that holds it, such as ``Pipeline.ranker``.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if isinstance(part, Mapping) and isinstance(part.get(class_key(part)), str):
        return dict(part)
    if hasattr(part, "fit") and not isinstance(part, type):
        given = values(part)
        return {"class" if "model" in given else "model": type(part).__name__, **given}
    if (fitted := getattr(part, "estimator", None)) is not None:
        raise ConfigError(
            f"{owner} got a fitted {type(fitted).__name__}; it takes what is still to be fitted, such as the estimator "
            "of this model: fitted ones are put together by Pipeline.join, or handed to fit where it takes one"
        )
    raise ConfigError(
        f"{owner} got {part!r}, which is neither an estimator nor a table with its name under 'model'; "
        'write IALS(factors=32), or {"model": "IALS", "factors": 32}'
    )


def class_key(table: Mapping[str, Any]) -> str:
    """Return the key of a table that holds the class."""
    return "class" if "class" in table else "model"


def estimator_of(table: Mapping[str, Any], owner: str) -> Any:
    """Return the estimator that a table describes; undoes `table_of`.

    Raises
    ------
    ConfigError
        If the class is none of ``twofold.models``, or a hyperparameter is wrong.
    """
    at = class_key(table)
    name, given = table[at], {key: one for key, one in table.items() if key != at}
    if name not in HOMES:
        raise ConfigError(
            f"{owner} cannot fit {name!r}; {did_you_mean(name, HOMES)}; a model of your own is fitted "
            "first and passed on"
        )
    return getattr(importlib.import_module(HOMES[name]), name)(**given)


def tables_of(parts: Any, owner: str) -> tuple[dict[str, Any], ...]:
    """Return several estimators as tables.

    Raises
    ------
    ConfigError
        If it is no list of estimators.
    """
    if isinstance(parts, str | Mapping) or not isinstance(parts, Sequence):
        raise ConfigError(f"{owner} must be a list of estimators; got {parts!r}")
    return tuple(table_of(one, owner) for one in parts)


def same_training(one: Memory, other: Memory, *, taken: bool = False) -> bool:
    """Say whether two models remember the same users, items and events; added items aside.

    With `taken`, whether the `other` remembers those of the events alone whose value is above 0.
    """
    if one is other:
        return True
    if taken:
        one = replace(one, history=above_zero(one.history))
    n = min(len(one.items), len(other.items))
    mine, theirs = one.items.ids.ids, other.items.ids.ids
    return (
        mine.dtype == theirs.dtype
        and one.users.ids.ids.equals(other.users.ids.ids)
        and mine.head(n).equals(theirs.head(n))
        and all(
            np.array_equal(getattr(one.history, name), getattr(other.history, name))
            for name in ("indptr", "item", "value", "time")
        )
    )


def above_zero(histories: Histories) -> Histories:
    """Return histories without the events of value 0."""
    kept = histories.value > 0
    before = np.concatenate([[0], np.cumsum(kept)])
    indptr: I64 = before[histories.indptr].astype(np.int64)
    return histories.at(indptr, np.flatnonzero(kept))


def taken(log: Dataset | None) -> Dataset | None:
    """Return a log of impressions without those that were passed by (value 0), all its users and items kept."""
    if log is None:
        return None
    events = log.interactions
    return replace(log, interactions=events.take(np.flatnonzero(events.value > 0).astype(np.int64)))
