"""Checks of values that training never saw: the answer is the one without them, and the asker is told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from twofold.data.columns import Category
from twofold.data.dataset import Dataset
from twofold.data.entities import Levels
from twofold.data.moments import with_moments
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataWarning
from twofold.models._base import FittedModel
from twofold.testing.content import NEW
from twofold.testing.logs import Estimator, fitted, planted_log

NEVER = "blub"
"""A value that no column of the planted log has."""
LISTED = ("category", "tags", "bag")
"""Kinds of columns whose values are listed."""


def told_log() -> Dataset:
    """Return the planted log with circumstances: the ``hour``, and a ``mood``, glad where the item was liked."""
    data = with_moments(planted_log(), "hour")
    events = data.interactions
    liked = (events.value > 3).astype(np.int32)
    mood = Category(liked, Vocabulary(pl.Series(["sad", "glad", "unmet"])))
    return replace(data, interactions=replace(events, context={**events.context, "mood": mood}))


def check_unknown_values_are_told(estimator: Estimator) -> None:
    """A value that training never saw is read as if it were not given, and told once; one that can never be is refused."""
    model = fitted(estimator, told_log())
    kinds = model.context_kinds
    listed = [name for name, kind in kinds.items() if kind in LISTED]
    missing = [name for name in listed if model.context_levels.get(name) is None]
    assert not missing, f"context_levels does not say which values of {missing} were learned"
    if "mood" in kinds:
        _told(partial(_asked, model, "context", "mood", "unmet"), "'mood'", "'unmet'")
    else:
        _told(partial(_asked, model, "context", "mood", "sad"), "does not read", "'mood'")
    if "hour" in listed:
        _refused(partial(_asked, model, "context", "hour", 26))
    if not model.reads_features:
        _told(partial(_asked, model, "features", "taste", "even"), "does not read", "'taste'")
    _columns(model, "features", model.feature_levels)
    own = {name: model.context_levels[name] for name in listed if name != "hour"}
    _columns(model, "context", own)
    for name, levels in model.content_levels.items():
        if levels is not None and name in NEW:
            new = {**NEW, name: [[NEVER], [NEVER], []]}
            _told(partial(model.with_items, new), repr(name), repr(NEVER))


def _columns(model: FittedModel, said: str, levels: Levels) -> None:
    """Tell a model of each column what it knows, nothing, and what it does not know."""
    for name, known in levels.items():
        if known is None:
            continue
        assert len(known), f"{name} is read and none of its values was learned"
        _told(partial(_asked, model, said, name, known[0]))
        nothing = _told(partial(_asked, model, said, name, None))
        found = _told(partial(_asked, model, said, name, NEVER), repr(name), repr(NEVER))
        assert found.equals(nothing), f"{name} with a value that training never saw changes a list"


def _asked(model: FittedModel, said: str, name: str, value: Any) -> pl.DataFrame:
    """Return the lists of a user and of somebody unknown, of whom the same is said."""
    told: dict[str, Any] = {said: {name: [value] * 2}}
    return model.recommend(users=[100, -1], k=4, **told)


def _told(ask: Callable[[], Any], *parts: str) -> Any:
    """Ask, and check that there is one warning, a sentence that holds `parts`; none where there are no parts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = ask()
    found = [str(one.message) for one in caught if issubclass(one.category, DataWarning)]
    if not parts:
        assert not found, f"nothing unknown was said, and there is a warning: {found}"
        return answer
    about = [one for one in found if all(part in one for part in parts)]
    assert len(about) == 1, (
        f"{' and '.join(parts)} must be told in one warning; the warnings are {found}"
    )
    assert "\n" not in about[0], f"the warning is longer than a sentence: {about[0]}"
    return answer


def _refused(ask: Callable[[], Any]) -> None:
    try:
        ask()
    except ConfigError as error:
        assert "26" in str(error), f"the refusal does not name the value: {error}"
        assert "\n" not in str(error), f"the refusal is longer than a sentence: {error}"
        return
    raise AssertionError("hour=26 was accepted, and no hour is 26")
