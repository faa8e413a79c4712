"""The conformance suite that every model of twofold passes, for models of your own as well.

Run it whole with `check_estimator`, or parametrise a test over ``CHECKS``::

    @pytest.mark.parametrize("check", twofold.testing.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(MyModel(factors=4))

Each check takes an estimator, fits it on a small planted log, and raises ``AssertionError`` with one
sentence about what is wrong.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numba
import numpy as np
import polars as pl

from twofold import loading
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, UnknownIdError
from twofold.hyperparameters import names, schema
from twofold.models._base import FittedModel
from twofold.persistence import MANIFEST
from twofold.rank import SOURCES
from twofold.recommend import pair_scores
from twofold.typing import Rng

COLUMNS = ["user", "rank", "item", "score", "source"]
"""The columns of a list of recommendations."""


class Estimator(Protocol):
    """Hyperparameters with a ``fit``."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedModel:
        """Train."""
        ...


def planted_log(n_users: int = 40, n_items: int = 24, rng: int = 0) -> Dataset:
    """Return a log of two tastes: even users like even items, odd users odd ones.

    Integer user ids from 100, string item ids ``i0`` ...; ratings 1 ... 5, times, a user category,
    item text and tags. Every user has touched between a third and a half of the catalogue.
    """
    random = np.random.default_rng(rng)
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    same = (user + item) % 2 == 0
    kept = random.random(len(user)) < np.where(same, 0.7, 0.12)
    user, item, same = user[kept], item[kept], same[kept]
    value = np.where(same, random.integers(4, 6, len(user)), random.integers(1, 3, len(user)))
    events = {
        "user": user + 100,
        "item": [f"i{one}" for one in item],
        "value": value.astype(np.float32),
        "time": 1_600_000_000 + random.permutation(len(user)) * 3600,
    }
    people = {"user": np.arange(n_users) + 100, "taste": ["even", "odd"] * (n_users // 2)}
    things = {
        "item": [f"i{one}" for one in range(n_items)],
        "title": [f"{'even' if one % 2 == 0 else 'odd'} thing {one}" for one in range(n_items)],
        "tags": [["even" if one % 2 == 0 else "odd", f"t{one % 5}"] for one in range(n_items)],
    }
    return Dataset.from_frames(
        events,
        user="user",
        item="item",
        value="value",
        time="time",
        users=people,
        items=things,
        user_features={"taste": "category"},
        item_features={"title": "text", "tags": "tags"},
    )


def check_ids_are_the_callers(estimator: Estimator) -> None:
    """Ids come back as they were given, best first, and nothing seen is recommended."""
    data = planted_log()
    model = estimator.fit(data, rng=0)
    lists = model.recommend(users=[100, 101], k=5)
    assert lists.columns == COLUMNS, f"columns are {lists.columns}, not {COLUMNS}"
    assert lists["user"].dtype == pl.Int64, f"user ids came back as {lists['user'].dtype}"
    assert lists["item"].dtype == pl.String, f"item ids came back as {lists['item'].dtype}"
    assert set(lists["source"]) == {"model"}, f"known users were answered by {set(lists['source'])}"
    log = data.frame("interactions")
    for who in (100, 101):
        mine = lists.filter(pl.col("user") == who)
        seen = set(log.filter(pl.col("user") == who)["item"])
        assert mine["rank"].to_list() == list(range(1, len(mine) + 1)), "ranks do not count from 1"
        assert not seen & set(mine["item"]), f"seen items were recommended to {who}"
        scores = mine["score"].to_numpy()
        assert (np.diff(scores) <= 0).all(), "scores do not fall"
        assert np.isfinite(scores).all(), "a score is not finite"
    assert model.recommend(users=["100"], k=5)["item"].to_list() == _items(model, 100), (
        "the string '100' did not find the user 100"
    )


def _items(model: FittedModel, user: int, k: int = 5) -> list[Any]:
    return model.recommend(users=[user], k=k)["item"].to_list()


def check_unknown_user_with_history(estimator: Estimator) -> None:
    """Somebody never seen is answered from a history; unknown items in it are passed over."""
    model = estimator.fit(planted_log(), rng=0)
    history = ["i0", "i2", "i4", "no such item"]
    lists = model.recommend(users=["stranger"], histories=[history], k=6)
    assert set(lists["source"]) == {"fold-in"}, f"the source is {set(lists['source'])}"
    assert not set(history) & set(lists["item"]), "an item of the history was recommended"
    plain = model.recommend(histories=[["i0", "i2", "i4"]], k=6)
    assert plain["item"].to_list() == lists["item"].to_list(), "an unknown item changed the answer"


def check_unknown_user_without_history(estimator: Estimator) -> None:
    """Somebody of whom nothing is known gets the declared fallback."""
    model = estimator.fit(planted_log(), rng=0)
    for lists in (model.recommend(users=["x"], k=3), model.recommend(histories=[[]], k=3)):
        assert len(lists) == 3, f"{len(lists)} items came back, not 3"
        source = set(lists["source"])
        assert source == {"fallback:popularity"}, f"the source is {source}"


def check_unknown_items(estimator: Estimator) -> None:
    """An unknown item is an error where it is the question, and finite where it is predicted."""
    model = estimator.fit(planted_log(), rng=0)
    for ask in (lambda: model.similar_items("i999"), lambda: model.explain(user=100, item="i999")):
        try:
            ask()
        except UnknownIdError as error:
            assert "i999" in str(error), "the message does not name the unknown item"
        else:
            raise AssertionError("an unknown item raised nothing")
    pairs = {"user": [100, 100, 555, 555], "item": ["i1", "i999", "i1", "i999"]}
    scores = model.predict(pairs)
    assert np.isfinite(scores["score"].to_numpy()).all(), "a predicted value is not finite"
    assert scores["source"].to_list()[0] == "model", "a known pair was not scored by the model"
    assert all(one.startswith("fallback") for one in scores["source"][1:]), (
        "an unknown pair does not say that it is a fallback"
    )


def check_empty_questions(estimator: Estimator) -> None:
    """No user, nothing allowed, everything denied: an empty frame; a senseless k: an error."""
    model = estimator.fit(planted_log(), rng=0)
    everything = model.items.ids.ids.to_list()
    for lists in (
        model.recommend(users=[], k=3),
        model.recommend(users=[100], deny=everything),
        model.recommend(users=[100], allow=[]),
    ):
        assert not len(lists), "an impossible question was answered"
        assert lists.columns == COLUMNS, "the empty answer has other columns"
    allowed = model.recommend(users=["x"], allow=["i3", "i5"], k=10)
    assert set(allowed["item"]) == {"i3", "i5"}, "allow= was not respected"
    for bad in (0, -1, 2.5):
        try:
            model.recommend(users=[100], k=bad)  # type: ignore[arg-type]
        except ConfigError:
            continue
        raise AssertionError(f"k={bad} was accepted")


def check_similar_items(estimator: Estimator) -> None:
    """Similar items exclude the item itself, fall in score and are cosines."""
    similar = estimator.fit(planted_log(), rng=0).similar_items("i0", k=5)
    assert similar.columns == ["rank", "item", "score"], f"columns are {similar.columns}"
    assert "i0" not in set(similar["item"]), "an item is similar to itself"
    scores = similar["score"].to_numpy()
    assert (np.diff(scores) <= 0).all(), "scores do not fall"
    assert (np.abs(scores) <= 1 + 1e-5).all(), "a cosine is outside -1 ... 1"


def check_explanations_are_faithful(estimator: Estimator) -> None:
    """Removing the history item named first lowers the score by the number beside it."""
    model = estimator.fit(planted_log(), rng=0)
    history = ["i0", "i2", "i4", "i7"]
    why = model.explain(item="i6", history=history)
    assert why.columns == ["item", "contribution", "score", "kind"], f"columns are {why.columns}"
    if why["kind"][0] == "popularity":
        return
    assert set(why["item"]) == set(history), "the explanation does not cover the history"
    first, gain = why["item"][0], why["contribution"][0]
    if gain <= 0:
        return
    rest = [one for one in history if one != first]
    less = model.explain(item="i6", history=rest)["score"][0]
    lost = why["score"][0] - less
    assert abs(lost - gain) <= 1e-3 * max(1.0, abs(gain)), (
        f"removing {first} changed the score by {lost:g}, the explanation says {gain:g}"
    )


def check_batch_equals_single(estimator: Estimator) -> None:
    """A user's list does not depend on who else is asked for, nor on the order."""
    model = estimator.fit(planted_log(), rng=0)
    everybody = model.users.ids.ids.to_list()
    together = model.recommend(users=everybody[::-1], k=4)
    for one in everybody[:5]:
        alone = model.recommend(users=[one], k=4)
        again = together.filter(pl.col("user") == one)
        assert alone["item"].to_list() == again["item"].to_list(), f"user {one} got another list"
        assert alone["score"].to_list() == again["score"].to_list(), f"user {one} got other scores"


def check_same_seed_same_bytes(estimator: Estimator) -> None:
    """The same seed gives the same arrays, with one thread or several; the global state is untouched."""
    data = planted_log()
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - the state that must not change
    threads = numba.get_num_threads()
    digests = []
    try:
        for count in (threads, 1):
            numba.set_num_threads(count)
            digests.append(_digests(estimator.fit(data, rng=7)))
    finally:
        numba.set_num_threads(threads)
    assert digests[0] == digests[1], "two fits with one seed differ (one ran with one thread)"
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert str(after) == str(state), "the global random state of NumPy was changed"


def _digests(model: FittedModel) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = model.save(Path(folder) / "model")
        text = (path / MANIFEST).read_text().rstrip("\n").rpartition("\n")[0]
    return [(one["name"], one["sha256"]) for one in json.loads(text)["arrays"].values()]


def check_saved_model_scores_alike(estimator: Estimator) -> None:
    """A model saved here and loaded in another process gives the same lists and scores."""
    model = estimator.fit(planted_log(), rng=0)
    here = model.recommend(users=[100, 101, "x"], k=4)
    classes = [type(estimator), type(model)]
    script = (
        "import sys, importlib, runpy, twofold.loading\n"
        "def home(m):\n"
        "    script = m.endswith('.py')\n"
        "    return runpy.run_path(m) if script else vars(importlib.import_module(m))\n"
        "extra = [home(m)[n] for m, _, n in (one.rpartition(':') for one in sys.argv[3:])]\n"
        "model = twofold.loading.load(sys.argv[1], extra=extra)\n"
        "model.recommend(users=[100, 101, 'x'], k=4).write_parquet(sys.argv[2])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = model.save(Path(folder) / "model")
        again = loading.load(path, extra=classes)
        assert again.recommend(users=[100, 101, "x"], k=4).equals(here), "loaded here, it differs"
        out = Path(folder) / "lists.parquet"
        homes = [f"{_home(one)}:{one.__qualname__}" for one in classes]
        command = [sys.executable, "-c", script, str(path), str(out), *homes]
        where = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=where)
        assert ran.returncode == 0, f"loading in another process failed: {ran.stderr[-500:]}"
        assert pl.read_parquet(out).equals(here), (
            "loaded in another process, it answers differently"
        )


def _home(cls: type) -> str:
    """Return the module of a class, or the file of a script that is being run."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    return str(script) if cls.__module__ == "__main__" and script else cls.__module__


def check_hyperparameters(estimator: Estimator) -> None:
    """Unknown names are refused with what is allowed; all are documented and frozen."""
    cls: Any = type(estimator)
    try:
        cls(no_such_thing=1)
    except ConfigError as error:
        assert "no_such_thing" in str(error), "the message does not name the wrong hyperparameter"
    else:
        raise AssertionError("an unknown hyperparameter was accepted")
    described = schema(cls).get("properties", {})
    missing = [name for name in names(cls) if not described[name].get("description")]
    assert not missing, f"hyperparameters without a sentence: {missing}"
    first = (names(cls) or ["anything"])[0]
    try:
        setattr(estimator, first, 1)
    except (dataclasses.FrozenInstanceError, AttributeError):
        return
    raise AssertionError("the estimator can be changed after it was made")


def check_inputs_are_not_changed(estimator: Estimator) -> None:
    """Fitting and asking change neither the data nor the model."""
    data = planted_log()
    before = _snapshot(data)
    model = estimator.fit(data, rng=0)
    assert _snapshot(data) == before, "fit changed its training data"
    mine = _digests(model)
    model.recommend(users=[100], k=3, deny=["i1"])
    model.recommend(histories=[["i0"]], k=3)
    model.predict({"user": [100], "item": ["i1"]})
    assert _digests(model) == mine, "asking changed the model"


def _snapshot(data: Dataset) -> list[bytes]:
    events = data.interactions
    arrays = [events.user, events.item, events.value, events.time, events.indptr]
    return [np.asarray(one).tobytes() for one in arrays]


def check_degenerate_logs(estimator: Estimator) -> None:
    """One user, one item, equal values, a user with everything: finite answers or one sentence."""
    logs: dict[str, dict[str, list[Any]]] = {
        "one event": {"u": [1], "i": ["a"], "v": [3.0]},
        "one user": {"u": [1] * 4, "i": list("abcd"), "v": [3.0, 4.0, 5.0, 1.0]},
        "one item": {"u": [1, 2, 3], "i": ["a"] * 3, "v": [3.0, 4.0, 5.0]},
        "equal values": {"u": [1, 1, 2, 2], "i": list("abbc"), "v": [4.0] * 4},
        "repeated pairs": {
            "u": [1, 1, 1, 2, 2],
            "i": list("aaabc"),
            "v": [4.0, 3.0, 5.0, 1.0, 2.0],
        },
        "a user with everything": {
            "u": [1, 1, 1, 2, 3],
            "i": list("abcab"),
            "v": [5.0, 4.0, 3.0, 2.0, 1.0],
        },
    }
    for name, log in logs.items():
        data = Dataset.from_frames(log, user="u", item="i", value="v")
        try:
            model = estimator.fit(data, rng=0)
        except (DataError, ConfigError) as error:
            assert len(str(error)) > 20, f"{name}: the refusal says too little: {error}"
            continue
        lists = model.recommend(users=[1, "new"], k=5)
        assert np.isfinite(lists["score"].to_numpy()).all(), f"{name}: a score is not finite"
        scores = model.predict({"user": log["u"], "item": log["i"]})["score"].to_numpy()
        assert np.isfinite(scores).all(), f"{name}: a predicted value is not finite"
    empty = planted_log().part(np.zeros(0, np.int64))
    try:
        estimator.fit(empty, rng=0)
    except DataError:
        return
    raise AssertionError("an empty training set was accepted")


def check_scores_are_inner_products(estimator: Estimator) -> None:
    """What a list shows is the inner product of the two encoders; sources are declared names."""
    model = estimator.fit(planted_log(), rng=0)
    users = np.arange(3, dtype=np.int32)
    vectors, source = model.encode(Queries.known(users))
    product = vectors @ model.item_vectors.T
    dense = product if isinstance(product, np.ndarray) else product.toarray()
    ids = model.users.ids.ids.gather([0, 1, 2]).to_list()
    lists = model.recommend(users=ids, k=3, exclude_seen=False)
    assert set(lists["source"]) <= set(SOURCES), f"undeclared source in {set(lists['source'])}"
    assert dense.shape == (3, len(model.items)), f"scores have the shape {dense.shape}"
    assert (source < len(SOURCES)).all(), "an undeclared source code"
    best = np.sort(dense, axis=1)[:, ::-1][:, :3]
    shown = lists["score"].to_numpy().reshape(3, 3)
    assert np.allclose(shown, best, rtol=1e-4, atol=1e-5), "the list is not the top of the products"


def check_folding_in_matches_the_user(estimator: Estimator) -> None:
    """A stranger with a user's own history is scored much like that user."""
    model = estimator.fit(planted_log(), rng=0)
    history = model.memory.history.take(np.arange(6, dtype=np.int32))
    known, _ = model.encode(Queries.known(np.arange(6, dtype=np.int32)))
    folded, _ = model.encode(Queries.of_histories(history))
    left, right = _scores(known, model), _scores(folded, model)
    if not (left.std(axis=1).all() and right.std(axis=1).all()):
        return
    agreement = float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True)]))
    assert agreement > 0.5, f"folding in correlates {agreement:.2f} with the learned users"


def _scores(vectors: Any, model: FittedModel) -> np.ndarray:
    product = vectors @ model.item_vectors.T
    return product if isinstance(product, np.ndarray) else product.toarray()


def check_pairs_agree_with_lists(estimator: Estimator) -> None:
    """Histories of many people at once score as one by one."""
    model = estimator.fit(planted_log(), rng=0)
    many = model.memory.history.take(np.arange(8, dtype=np.int32))
    items = np.arange(8, dtype=np.int32)
    together = pair_scores(model, Queries.of_histories(many), items)
    for row in range(8):
        one: Histories = many.take(np.array([row], np.int32))
        alone = pair_scores(model, Queries.of_histories(one), items[[row]])
        assert np.allclose(alone, together[row], rtol=1e-4, atol=1e-5), "a batch changes a score"


CHECKS: tuple[Callable[[Estimator], None], ...] = (
    check_ids_are_the_callers,
    check_unknown_user_with_history,
    check_unknown_user_without_history,
    check_unknown_items,
    check_empty_questions,
    check_similar_items,
    check_explanations_are_faithful,
    check_batch_equals_single,
    check_same_seed_same_bytes,
    check_saved_model_scores_alike,
    check_hyperparameters,
    check_inputs_are_not_changed,
    check_degenerate_logs,
    check_scores_are_inner_products,
    check_folding_in_matches_the_user,
    check_pairs_agree_with_lists,
)
"""Every check, in the order in which to read a failure."""


def check_estimator(estimator: Estimator) -> None:
    """Run every check on an estimator (an instance, with settings that fit in a second).

    Raises
    ------
    AssertionError
        With one sentence about the first thing that is wrong.
    """
    for check in CHECKS:
        check(estimator)
