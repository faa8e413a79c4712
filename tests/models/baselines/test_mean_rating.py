"""MeanRating against the sums of the paper, written out, and beside a peer's biases on real ratings."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import ConfigError


def random_ratings(seed, n=40):
    rng = np.random.default_rng(seed)
    log = {"u": rng.integers(0, 6, n), "i": rng.integers(0, 9, n), "r": rng.integers(1, 6, n)}
    return tw.Dataset.from_frames(log, user="u", item="i", value="r")


def by_hand(rows, item_damping, user_damping):
    """mu, and the biases of the items and users of `rows` of (user, item, rating)."""
    mu = sum(r for *_, r in rows) / len(rows)
    b_i, b_u = {}, {}
    for item in {i for _, i, _ in rows}:
        mine = [r - mu for _, i, r in rows if i == item]
        b_i[item] = sum(mine) / (item_damping + len(mine))
    for user in {u for u, *_ in rows}:
        mine = [r - mu - b_i[i] for u, i, r in rows if u == user]
        b_u[user] = sum(mine) / (user_damping + len(mine))
    return mu, b_i, b_u


@given(
    seed=st.integers(0, 999),
    item_damping=st.sampled_from([0.0, 0.5, 25.0]),
    user_damping=st.sampled_from([0.0, 2.0, 10.0]),
)
@settings(deadline=None, max_examples=40)
def test_ratings_are_those_of_the_equations(seed, item_damping, user_damping):
    data = random_ratings(seed)
    model = tw.models.MeanRating(item_damping=item_damping, user_damping=user_damping).fit(data)
    rows = data.frame().select("user", "item", "value").rows()
    mu, b_i, b_u = by_hand(rows, item_damping, user_damping)
    pairs = [(u, i) for u in [*b_u, 77] for i in [*b_i, 88]]
    told = model.predict({"user": [u for u, _ in pairs], "item": [i for _, i in pairs]})
    expected = [np.clip(mu + b_u.get(u, 0) + b_i.get(i, 0), *data.value_range) for u, i in pairs]
    assert told["score"].to_list() == pytest.approx(expected, abs=1e-4)


def test_lists_are_those_of_the_best_liked_and_few_ratings_say_little():
    log = [(u, "liked", 5) for u in range(30)] + [(u, "plain", 3) for u in range(30)]
    frame = pl.DataFrame(
        [*log, (0, "once", 5), (1, "bad", 1)], orient="row", schema=["u", "i", "r"]
    )
    model = tw.models.MeanRating().fit(tw.Dataset.from_frames(frame, user="u", item="i", value="r"))
    known = model.recommend(users=[0], k=4, exclude_seen=False)
    assert known["item"].to_list() == ["liked", "once", "bad", "plain"]


def test_a_history_with_ratings_says_how_generous_somebody_is():
    log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"], "r": [5, 1, 4, 2, 1]}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    model = tw.models.MeanRating(user_damping=2).fit(data)
    told = model.recommend(histories=[{"a": 4, "c": 2}], k=3, exclude_seen=False)
    known = model.recommend(users=[2], k=3, exclude_seen=False)
    assert set(told["source"]) == {"fold-in"}
    assert dict(told.select("item", "score").rows()) == pytest.approx(
        dict(known.select("item", "score").rows()), abs=1e-6
    )


def test_it_is_the_baseline_of_ratings():
    split = tw.split.random(random_ratings(0, n=200), test=0.2, rng=0)
    board = tw.compare({"PMF": tw.models.PMF(factors=2, epochs=2)}, split, ["rmse"])
    assert set(board.results) == {"PMF", "mean rating"}
    own = tw.compare({"means": tw.models.MeanRating()}, split, ["rmse", "ndcg@5"])
    assert set(own.results) == {"means"}
    assert own.results["means"].report["rmse"] == board.results["mean rating"].report["rmse"]


def test_an_item_that_training_never_saw_has_the_mean():
    log = {"u": [1, 1, 2, 2, 3, 3], "i": ["a", "b", "a", "b", "a", "new"], "r": [5, 3, 4, 2, 5, 4]}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    split = tw.split.cold_items(data, test=0.3, rng=0)
    model = tw.models.MeanRating(user_damping=0).fit(split.train)
    report = tw.evaluate(model, split, ["rmse"], unknown_items="content")
    pairs = split.test.frame().select("user", "item")
    errors = model.predict(pairs)["score"].to_numpy() - split.test.frame()["value"].to_numpy()
    assert report["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_dropped_items_are_not_measured():
    log = {"u": [1, 1, 2, 2, 3, 3], "i": ["a", "b", "a", "b", "a", "b"], "r": [5, 3, 4, 2, 5, 4]}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    split = tw.split.cold_items(data, test=0.4, rng=0)
    model = tw.models.MeanRating().fit(split.train)
    with pytest.raises(ConfigError, match="nobody in the test part has anything to measure rmse on"):  # fmt: skip
        tw.evaluate(model, split, ["rmse"], unknown_items="drop")


@pytest.mark.data
def test_the_means_of_ml_100k(real):
    """Surprise's BaselineOnly, biases by alternating least squares, has .944 on five such folds."""
    split = tw.split.k_fold(real("ml-100k"), folds=5, rng=0)[0]
    found = tw.evaluate(tw.models.MeanRating().fit(split.train), split, ["rmse"])["rmse"]
    events = split.test.interactions
    constant = float(np.sqrt(np.mean((events.value - split.train.interactions.value.mean()) ** 2)))
    assert found < 0.955
    assert found < 0.87 * constant
