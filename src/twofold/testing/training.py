"""Checks of training: randomness, inputs that stay as they were, and logs with nothing to learn."""

from __future__ import annotations

import random
from typing import Any

import numba
import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError
from twofold.testing.logs import Estimator, digests, fitted, planted_log
from twofold.unseen import gathered

LOGS: dict[str, dict[str, list[Any]]] = {
    "one event": {"u": [1], "i": ["a"], "v": [3.0]},
    "one user": {"u": [1] * 4, "i": list("abcd"), "v": [3.0, 4.0, 5.0, 1.0]},
    "one item": {"u": [1, 2, 3], "i": ["a"] * 3, "v": [3.0, 4.0, 5.0]},
    "equal values": {"u": [1, 1, 2, 2], "i": list("abbc"), "v": [4.0] * 4},
    "values of zero": {"u": [1, 1, 2, 2], "i": list("abbc"), "v": [0.0] * 4},
    "values below zero": {"u": [1, 1, 2, 2], "i": list("abbc"), "v": [-1.0, -2.0, 1.0, 3.0]},
    "the same event again": {"u": [1] * 6, "i": ["a"] * 6, "v": [2.0] * 6},
    "repeated pairs": {"u": [1, 1, 1, 2, 2], "i": list("aaabc"), "v": [4.0, 3.0, 5.0, 1.0, 2.0]},
    "a user with everything": {
        "u": [1, 1, 1, 2, 3],
        "i": list("abcab"),
        "v": [5.0, 4.0, 3.0, 2.0, 1.0],
    },
    "everybody has everything": {
        "u": [1, 1, 2, 2, 3, 3],
        "i": list("ababab"),
        "v": [5.0, 4.0, 3.0, 2.0, 1.0, 1.0],
    },
}
"""Logs that are easy to get wrong."""


def check_same_seed_same_bytes(estimator: Estimator) -> None:
    """The same seed gives the same arrays, with one thread or several; global states are untouched."""
    data = planted_log()
    states = str(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002 - must not change
    threads = numba.get_num_threads()
    found: list[list[tuple[str, str]]] = []
    try:
        for count in (threads, min(2, threads), 1):
            numba.set_num_threads(count)
            found.append(digests(fitted(estimator, data, rng=7)))
    finally:
        numba.set_num_threads(threads)
    assert found[0] == found[1] == found[2], (
        "fits with one seed differ (they ran with all threads, two and one)"
    )
    after = str(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002
    assert after == states, "a global random state was changed; draw from the rng that fit is given"


def check_inputs_are_not_changed(estimator: Estimator) -> None:
    """Fitting and asking change neither the data nor the model."""
    data = planted_log()
    before = digests(data)
    model = fitted(estimator, data)
    assert digests(data) == before, "fit changed its training data"
    mine = digests(model)
    users, history, deny = [100, 101], ["i0", "i5"], ["i1"]
    pairs = {"user": [100, 101], "item": ["i1", "i9"]}
    model.recommend(users=users, k=3, deny=deny)
    model.recommend(histories=[history], k=3)
    model.predict(pairs)
    model.explain(user=100, item="i3")
    model.similar_items("i3")
    assert digests(model) == mine, "asking changed the model"
    assert digests(data) == before, "asking changed the training data"
    assert (users, history, deny) == ([100, 101], ["i0", "i5"], ["i1"]), "a list was changed"
    assert pairs == {"user": [100, 101], "item": ["i1", "i9"]}, "the pairs were changed"


def check_degenerate_logs(estimator: Estimator) -> None:
    """Logs with nothing, or nothing new, to learn: finite answers or one sentence."""
    for name, log in LOGS.items():
        data = Dataset.from_frames(log, user="u", item="i", value="v")
        try:
            model = fitted(estimator, data)
        except (DataError, ConfigError) as error:
            assert len(str(error)) > 20, f"{name}: the refusal says too little: {error}"
            assert "\n" not in str(error), f"{name}: the refusal is longer than a sentence: {error}"
            continue
        items = sorted(set(log["i"]))
        lists = model.recommend(users=[1, "new"], k=5)
        folded = model.recommend(histories=[items[:1], items], k=5, exclude_seen=False)
        with gathered():  # of an item of which nothing was learned
            alike = model.similar_items("a")
        for made in (lists, folded, alike):
            assert np.isfinite(made["score"].to_numpy()).all(), f"{name}: a score is not finite"
        taken = {i for u, i in zip(log["u"], log["i"], strict=True) if u == 1}
        offered = set(lists.filter(lists["user"] == "1")["item"]) if len(lists) else set[str]()
        assert not taken & offered, f"{name}: something seen was recommended"
        scores = model.predict({"user": [*log["u"], 99], "item": [*log["i"], "zz"]})["score"]
        assert np.isfinite(scores.to_numpy()).all(), f"{name}: a predicted value is not finite"
        why = model.explain(user=1, item="a")
        assert np.isfinite(why["contribution"].to_numpy()).all(), f"{name}: an explanation is not"
    empty = planted_log().part(np.zeros(0, np.int64))
    try:
        fitted(estimator, empty)
    except DataError:
        return
    raise AssertionError("an empty training set was accepted; begin fit with Memory.of(train)")
