"""People of whom no column is known: both networks of Covington et al. read what training read where it withheld the columns."""

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.queries import Queries

pytest.importorskip("torch", reason="the extra deep is not installed")
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


@pytest.mark.parametrize("of", ["people", "circumstances"])
def test_where_a_column_is_not_said_odds_are_those_over_all_its_levels(of):
    """One level is nearly always clicked and one hardly ever: without the column neither is the answer."""
    rng = np.random.default_rng(0)
    common = rng.random(3000) < 0.8
    clicked = rng.random(3000) < np.where(common, 0.95, 0.05)
    log = {"u": range(3000), "i": rng.integers(0, 5, 3000), "v": clicked * 1.0, "t": range(3000)}
    kind, named = np.where(common, "a", "b"), {"user": "u", "item": "i", "value": "v", "time": "t"}
    if of == "people":
        people = {"users": {"u": range(3000), "kind": kind}, "user_features": {"kind": "category"}}
        data = tw.Dataset.from_frames(log, **named, **people)
    else:
        data = tw.Dataset.from_frames({**log, "kind": kind}, **named, context={"kind": "category"})
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
    log, kind = {"u": range(3000), "i": item, "t": range(3000)}, np.where(common, "a", "b")
    named = {"user": "u", "item": "i", "time": "t"}
    if of == "people":
        people = {"users": {"u": range(3000), "kind": kind}, "user_features": {"kind": "category"}}
        data = tw.Dataset.from_frames(log, **named, **people)
    else:
        data = tw.Dataset.from_frames({**log, "kind": kind}, **named, context={"kind": "category"})
    tower = tw.models.YouTubeCandidates(
        factors=8, depth=0, epochs=10, learning_rate=0.01, example_age=False, item_bias=True, unsaid=0.5
    )  # fmt: skip
    model = tower.fit(data, rng=0)
    scores = model.forward(model.inputs(Queries.known(np.array([-1], np.int32))))
    likely = np.exp(scores @ model.item_vectors.T)[0]
    shares = np.bincount(item) / 3000
    np.testing.assert_allclose(likely / likely.sum(), shares, atol=0.03)
