"""What holds of both networks of Covington et al.: their training, and what they read of a question that does not tell all."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.queries import Queries

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.models.mapping import _youtube_towers as towers  # noqa: E402

NETWORKS = [
    tw.models.YouTubeCandidates(factors=8, epochs=2),
    tw.models.YouTubeRanker(hidden=(8,), epochs=2),
]


def with_ages(lacking: int) -> tw.Dataset:
    """Return the planted log, its people with an age but for the first ones."""
    log = tw.testing.planted_log().frame("interactions")
    ids = log["user"].unique(maintain_order=True)
    ages = np.random.default_rng(0).integers(18, 70, len(ids)).astype(float)
    ages[:lacking] = np.nan
    people = pl.DataFrame({"user": ids, "age": ages})
    named = {one: one for one in ("user", "item", "value", "time")}
    return tw.Dataset.from_frames(log, **named, users=people, user_features={"age": "number"})


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("lacking", [0, 5])
def test_somebody_known_by_history_alone_has_no_column(network, lacking):
    model = network.fit(with_ages(lacking), rng=0)
    newcomer = Queries.of_histories(model.memory.history.take(np.array([9])))
    assert not model.people_block(newcomer).dense.any()
    told = model.recommend(histories=[["i1", "i5"]], features={"age": [30]}, k=5)
    assert told["score"].is_finite().all()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
def test_the_sign_of_a_missing_number_weighs_nothing_where_nobody_lacked_one(network):
    first = [network.fit(with_ages(n), rng=0).weights["layers.layers.0.weight"] for n in (0, 5)]
    nothing, something = (int((~weights.any(axis=1)).sum()) for weights in first)
    assert nothing == something + 1


def of_two_kinds(of, common, **log):
    """Return a log of an event a person, each of them, or the circumstances of each, of a common kind or of the other."""
    log = {"u": range(len(common)), "t": range(len(common)), **log}
    named = {"user": "u", "item": "i", "value": "v" if "v" in log else None, "time": "t"}
    kind = np.where(common, "a", "b")
    if of == "circumstances":
        return tw.Dataset.from_frames({**log, "kind": kind}, **named, context={"kind": "category"})
    people = {"users": {"u": log["u"], "kind": kind}, "user_features": {"kind": "category"}}
    return tw.Dataset.from_frames(log, **named, **people)


@pytest.mark.parametrize("of", ["people", "circumstances"])
def test_where_a_column_is_not_said_odds_are_those_over_all_its_levels(of):
    """One level is nearly always clicked and one hardly ever: without the column neither is the answer."""
    rng = np.random.default_rng(0)
    common = rng.random(3000) < 0.8
    clicked = rng.random(3000) < np.where(common, 0.95, 0.05)
    data = of_two_kinds(of, common, i=rng.integers(0, 5, 3000), v=clicked * 1.0)
    ranker = tw.models.YouTubeRanker(
        hidden=(), epochs=6, learning_rate=0.02, batch_size=64, unsaid=0.5
    )
    stranger = Queries.known(np.array([-1], np.int32))
    scores = ranker.fit(data, rng=0).score(stranger, np.arange(5, dtype=np.int32)[None])
    odds = clicked.mean() / (1 - clicked.mean())
    assert abs(np.log(scores).mean() - np.log(odds)) < 0.2


@pytest.mark.parametrize("of", ["people", "circumstances"])
def test_where_a_column_is_not_said_items_are_as_likely_as_over_all_its_levels(of):
    rng = np.random.default_rng(0)
    common = rng.random(3000) < 0.8
    item = np.where(common, rng.integers(0, 2, 3000), rng.integers(2, 6, 3000))
    data = of_two_kinds(of, common, i=item)
    tower = tw.models.YouTubeCandidates(
        factors=8, depth=0, epochs=10, learning_rate=0.01, example_age=False, item_bias=True, unsaid=0.5
    )  # fmt: skip
    model = tower.fit(data, rng=0)
    scores = model.forward(model.inputs(Queries.known(np.array([-1], np.int32))))
    likely = np.exp(scores @ model.item_vectors.T)[0]
    shares = np.bincount(item) / 3000
    np.testing.assert_allclose(likely / likely.sum(), shares, atol=0.03)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
def test_a_penalty_shrinks_the_weights(network):
    plain, held = (
        replace(network, reg=one).fit(with_ages(0), rng=0).weights["layers.layers.0.weight"]
        for one in (0.0, 1.0)
    )
    assert np.abs(held).mean() < 0.8 * np.abs(plain).mean()


@pytest.mark.parametrize("decay", [False, True])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
def test_the_step_falls_where_asked(network, decay, monkeypatch):
    steps = []
    monkeypatch.setattr("twofold.nn.loop.set_rates", lambda _, rate: steps.append(rate))
    replace(network, decay=decay).fit(with_ages(0), rng=0)
    assert bool(steps) == decay


def of_hours(n=6000, n_items=30):
    """A third of the items is taken before three o'clock alone, which is an eighth of the time, the others later; everybody has an age."""
    rng = np.random.default_rng(0)
    hour = rng.uniform(0, 24, n)
    item = np.where(hour < 3, rng.integers(0, 10, n), 10 + rng.integers(0, 20, n))
    return tw.Dataset.from_frames(
        {"u": rng.integers(0, 300, n), "i": item, "t": rng.integers(0, 86400 * 90, n), "hour": hour},
        user="u", item="i", time="t", context={"hour": "number"},
        users={"u": range(300), "age": rng.uniform(10, 80, 300)}, user_features={"age": "number"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "model", [tw.models.YouTubeCandidates(epochs=15), tw.models.YouTubeRanker()]
)
def test_a_number_that_is_not_told_is_not_the_least_one(model):
    fitted = model.fit(of_hours(), rng=0)
    early = {
        told: (fitted.recommend(users=range(100), k=5, exclude_seen=False, context=context)["item"] < 10).mean()
        for told, context in (
            ("nothing", None), ("none", {"hour": [None] * 100}), ("one", {"hour": [1.0] * 100}), ("noon", {"hour": [12.0] * 100}),
        )
    }  # fmt: skip
    assert early["one"] > 0.2  # the ranker must learn the product of two things
    assert max(early["nothing"], early["none"], early["noon"]) < 0.1


@pytest.mark.parametrize(
    ("people", "there", "expected"),
    [
        (2, 2, [1 / 6, 1 / 6, 1 / 6, 1 / 2]),
        (2, 0, [0, 1 / 2, 0, 1 / 2]),
        (0, 2, [0, 0, 1 / 2, 1 / 2]),
    ],
)
def test_of_a_share_of_the_examples_something_is_withheld(people, there, expected):
    """Of both, of people alone, of circumstances alone, of neither."""
    n = 20_000
    sides = [([], torch.zeros(n, width), torch.arange(n)) for width in (people, there)]
    said = towers.said_of(sides, 0.5, torch.arange(n), torch.Generator().manual_seed(0))
    kept = [np.broadcast_to(np.asarray(one), (n, 1))[:, 0] for one in said]
    shares = [((kept[0] == a) & (kept[1] == b)).mean() for a in (0, 1) for b in (0, 1)]
    np.testing.assert_allclose(shares, expected, atol=0.015)
