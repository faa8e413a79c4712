"""Checks of what is known by content alone: new items, and people of whom only words or features are known."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from twofold import loading
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models._base import FittedModel
from twofold.testing.logs import Estimator, fitted

NEW: dict[str, list[Any]] = {
    "item": ["n0", "n1", "n2"],
    "title": ["even thing", "odd thing", ""],
    "tags": [["even"], ["odd"], []],
}
"""New items, the last of which nothing is known of."""


def check_items_known_by_content(estimator: Estimator) -> None:
    """A new item is in the lists at once and says so, also after saving; a model that cannot place it refuses."""
    model = fitted(estimator)
    if not model.reads_content:
        try:
            model.with_items(NEW)
        except DataError as error:
            assert "\n" not in str(error), f"the refusal is longer than a sentence: {error}"
            return
        raise AssertionError("new items were accepted, but reads_content is False")
    before = model.recommend(users=[100, 101], k=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grown = model.with_items(NEW)
    said = [str(one.message) for one in caught if issubclass(one.category, DataWarning)]
    assert len(said) <= 1, f"items are known or hold nothing, and there are warnings: {said}"
    assert all("'n2'" in one for one in said), f"items are known, and there is a warning: {said}"
    assert len(model.items) == len(grown.items) - 3, "with_items must return a longer model"
    assert model.recommend(users=[100, 101], k=5).equals(before), "with_items changed the model"
    lists = _new_items(grown)
    assert lists.height == 6, "a new item is missing from a list that allows it"
    assert set(lists["source"]) == {"content"}, "the source of a new item must be content"
    assert np.isfinite(lists["score"].to_numpy()).all(), "the score of a new item is not finite"
    known = grown.recommend(users=[100], allow=model.items.ids.ids.to_list(), k=3)
    assert "content" not in set(known["source"]), "a trained item says that it is there by content"
    assert _new_items(grown.with_items(NEW)).equals(lists), "adding items again must change nothing"
    with tempfile.TemporaryDirectory() as folder:
        again = loading.load(
            grown.save(Path(folder) / "model"), extra=[type(estimator), type(model)]
        )
        assert _new_items(again).equals(lists), "loaded, new items are ranked differently"
    for wrong in ({**NEW, "item": ["n0", "n0", "n1"]}, {"item": ["n0"]}):
        try:
            model.with_items(wrong)
        except DataError as error:
            assert "\n" not in str(error), f"the refusal is longer than a sentence: {error}"
        else:
            raise AssertionError(f"new items with ids or features missing were accepted: {wrong}")


def check_people_known_by_words_or_features(estimator: Estimator) -> None:
    """Somebody known by words or features alone gets an answer by content; unread words are refused."""
    model = fitted(estimator)
    if model.reads_text:
        _by_content(model, {"text": ["something even", "an odd thing"]})
    else:
        try:
            model.recommend(text=["something even"], k=3)
        except ConfigError as error:
            assert "\n" not in str(error), f"the refusal is longer than a sentence: {error}"
        else:
            raise AssertionError("words were accepted, but reads_text is False")
    if model.reads_features:
        _by_content(model, {"features": {"taste": ["even", "odd"]}})


def _new_items(model: FittedModel) -> pl.DataFrame:
    return model.recommend(users=[100, 101], allow=NEW["item"], k=3)


def _by_content(model: FittedModel, said: dict[str, Any]) -> None:
    """Ask for two strangers of whom one thing is said, an even and an odd one."""
    what = next(iter(said))
    lists = model.recommend(**said, k=4)
    assert lists.height == 8, f"{what}: a stranger of whom something is known got a short list"
    assert set(lists["source"]) == {"content"}, f"{what}: the source must be content"
    assert np.isfinite(lists["score"].to_numpy()).all(), f"{what}: a score is not finite"
    even, odd = (lists.filter(pl.col("user") == row)["item"].to_list() for row in (0, 1))
    assert even != odd, f"{what}: two strangers of different tastes got the same list"
