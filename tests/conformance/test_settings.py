"""Any settings within the declared bounds give a model that answers, or a sentence that says what to change."""

import warnings

import numpy as np
import pytest

import twofold as tw
from twofold.errors import TwofoldError
from twofold.hyperparameters import schema
from twofold.testing import planted_log

SEEDS = range(4)
WORDS = ("борщ", "寿司", "pizza 🍕", "", "tea", "green tea")
SMALLER = {"epochs": 3, "factors": 32, "pretraining": 2}
"""The most that is drawn, so that a fit takes a moment."""
ASIDE = {"content", "factorization", "model", "side", "searches", "features", "links"}
"""Settings that name columns or other models."""


def log_of(rng):
    """Return a log with columns of every kind, some of whose values lack; its catalogue may be tiny."""
    n_users, n_items = rng.integers(3, 60), rng.integers(2, 40)
    n = int(rng.integers(2 * n_users, 8 * n_users))
    events = {
        "user": rng.integers(0, n_users, n),
        "item": [f"i{one}" for one in rng.integers(0, n_items, n)],
        "value": rng.choice([1.0, 2.0, 5.0], n),
        "time": rng.integers(0, 50, n) * 3600,
        "device": rng.choice(["a", "b", None], n).tolist(),
        "said": rng.choice(WORDS, n).tolist(),
    }
    people = {
        "user": np.arange(n_users),
        "age": rng.normal(40, 10, n_users),
        "bio": rng.choice(WORDS, n_users).tolist(),
    }
    things = {
        "item": [f"i{one}" for one in range(n_items)],
        "title": [f"{one} {at % 3}" for at, one in enumerate(rng.choice(WORDS, n_items))],
        "tags": [["x", "y"][: rng.integers(0, 3)] for _ in range(n_items)],
        "price": rng.normal(size=n_items),
    }
    return tw.Dataset.from_frames(
        events, user="user", item="item", value="value", time="time", context={"device": "category", "said": "text"},
        users=people, user_features={"age": "number", "bio": "text"},
        items=things, item_features={"title": "text", "tags": "tags", "price": "number"},
    )  # fmt: skip


def drawn(spec, known, rng):
    """Return a value that a JSON schema allows, its default or one not far from its least."""
    spec = known[spec["$ref"].rpartition("/")[2]] if "$ref" in spec else spec
    options = spec.get("anyOf") or spec.get("oneOf")
    if options:
        return drawn(options[rng.integers(len(options))], known, rng)
    if "enum" in spec:
        return str(rng.choice(spec["enum"]))
    kind, default = spec.get("type"), spec.get("default", spec.get("const"))
    if kind == "boolean":
        return bool(rng.random() < 0.5)
    if kind == "object" and "properties" in spec:
        return {name: drawn(one, known, rng) for name, one in spec["properties"].items()}
    if kind not in ("integer", "number"):
        return default
    least = spec.get("minimum", spec.get("exclusiveMinimum", 0))
    most = spec.get("maximum", spec.get("exclusiveMaximum", least + (20 if kind == "integer" else 2)))  # fmt: skip
    inside = least + (most - least) * rng.uniform(0.01, 0.99)
    return min(most, int(inside) + 1) if kind == "integer" else float(inside)


def settings_of(estimator, rng):
    """Return settings, half of them drawn."""
    declared = schema(estimator)
    found = {}
    for name, spec in declared["properties"].items():
        if name not in ASIDE and rng.random() < 0.5:
            value = drawn(spec, declared.get("$defs", {}), rng)
            found[name] = min(value, SMALLER[name]) if name in SMALLER and value else value
    if "epochs" in declared["properties"]:
        found["epochs"] = int(rng.integers(1, SMALLER["epochs"] + 1))
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(tw.models.__all__))
def test_settings_within_bounds_answer_or_say_what_to_change(name, seed, tmp_path):
    rng = np.random.default_rng([seed, *name.encode()])
    estimator, log = getattr(tw.models, name), log_of(rng) if seed else planted_log()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = estimator(**settings_of(estimator, rng)).fit(log, rng=seed)
    except TwofoldError:  # settings that do not go together, or learn too fast: told in a sentence
        return
    asked = [*log.users.ids.ids.to_list()[:3], "x"]
    lists = model.recommend(users=asked, k=3)
    assert np.isfinite(lists["score"].to_numpy()).all()
    assert set(lists.filter(user="x")["item"]) == set(model.recommend(users=["x"], k=3)["item"])
    model.save(tmp_path / "model")
    assert tw.load(tmp_path / "model").recommend(users=asked, k=3).equals(lists)
