"""Checks of explanations of people who are known by words, features or circumstances, with a history beside them or without."""

from __future__ import annotations

from typing import Any

import numpy as np

from twofold.errors import ConfigError
from twofold.models._base import FittedModel
from twofold.testing.levels import told_log
from twofold.testing.logs import Estimator, fitted

ITEM = "i6"
"""What is explained."""


def check_reasons_are_faithful(estimator: Estimator) -> None:
    """A word, a feature or a circumstance lowers the score by the number beside it where it is left out, also beside a history."""
    model = fitted(estimator, told_log())
    said = what_is_read(model)
    if not model.reads_text:
        try:
            model.explain(text="something even", item=ITEM)
        except ConfigError as error:
            assert "\n" not in str(error), f"the refusal is longer than a sentence: {error}"
        else:
            raise AssertionError("words were explained, but reads_text is False")
    for one in said:
        _faithful(model, {one: said[one]})
    if said:
        _faithful(model, {"history": ["i0", "i2", "i4"], **said})
        _faithful(model, {"user": 100, **said})


def what_is_read(model: FittedModel) -> dict[str, Any]:
    """Return what may be told of a person, by argument of ``explain``, as far as the model reads it."""
    said: dict[str, Any] = {"text": "something even", "features": {"taste": "even"}}
    said["context"] = {"mood": "glad", "hour": 9}
    if not model.reads_text:
        del said["text"]
    for name, read in (("features", model.feature_levels), ("context", model.context_kinds)):
        said[name] = {one: value for one, value in said[name].items() if one in read}
        if not said[name]:
            del said[name]
    return said


def _faithful(model: FittedModel, said: dict[str, Any]) -> None:
    """Explain, and hold every reason that was told against the score without it."""
    why = model.explain(item=ITEM, **said)
    whole = float(why["score"][0])
    if why["kind"].to_list() == ["popularity"]:
        assert len(said) == 1, f"{sorted(said)} are told, and the reason is popularity"
        return
    rows = list(why.select("kind", "reason", "contribution").iter_rows())
    falls = why["contribution"].to_numpy()
    assert (np.diff(falls) <= 0).all(), "contributions do not fall"
    asked = {(kind, name) for kind, name in _parts(said)}
    found = {(kind, name) for kind, name, _ in rows if kind != "history"}
    assert found == asked, f"{sorted(asked)} were told, and the reasons are {sorted(found)}"
    if "user" in said or "history" in said:
        assert "history" in set(why["kind"]), "the history is no reason beside what is said"
    for kind, name, gain in rows:
        rest = _without(said, kind, name)
        if rest:
            lost = whole - float(model.explain(item=ITEM, **rest)["score"][0])
            assert abs(lost - gain) <= 1e-3 * max(1.0, abs(gain)), (
                f"without {kind} {name} the score falls by {lost:g}, the explanation says {gain:g}"
            )


def _parts(said: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the reasons that are asked for by words and columns."""
    words = [("text", one) for one in said.get("text", "").split()]
    columns = [
        (kind, f"{name}={value}")
        for kind in ("features", "context")
        for name, value in said.get(kind, {}).items()
    ]
    return words + columns


def _without(said: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Return what is told without one reason; nothing where that is not told apart."""
    if kind == "history":
        if "history" not in said:
            return {}
        return {**said, "history": [one for one in said["history"] if one != name]}
    if kind == "text":
        return {**said, "text": " ".join(one for one in said["text"].split() if one != name)}
    kept = {one: value for one, value in said[kind].items() if f"{one}={value}" != name}
    if kind == "features" and "user" in said and not kept:
        return {}  # those of training would come back
    return {**said, kind: kept}
