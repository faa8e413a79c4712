"""Models with their defaults on logs of a few hundred events."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import twofold as tw

GROUPS, PER_GROUP = 4, 10


def small_log() -> tw.Dataset:
    """60 people who took 8 of the 10 items of their group, of four groups."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{user % GROUPS + GROUPS * item}")
        for user in range(60)
        for item in rng.choice(PER_GROUP, 8, replace=False)
    ]
    log = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    log = log.with_columns(time=pl.int_range(len(log)))
    return tw.Dataset.from_frames(log, user="user", item="item", time="time")


def right(model: tw.FittedModel, k: int) -> float:
    """Return the share of the first k items that are of the person's group."""
    lists = model.recommend(users=model.users.ids.ids, k=k)
    user = lists["user"].str.slice(1).cast(int) % GROUPS
    item = lists["item"].str.slice(1).cast(int) % GROUPS
    return float((user == item).mean())


@pytest.mark.parametrize("name", ["YouTubeCandidates", "YouTubeRanker"])
def test_a_pass_over_few_examples_has_steps_enough(name: str):
    model = getattr(tw.models, name)().fit(small_log(), rng=0)
    assert right(model, 2) > 0.9


def test_the_default_penalty_holds_factors_back_where_histories_are_short():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(300), 6)
    own = user % GROUPS + GROUPS * rng.integers(0, 50, len(user))
    item = np.where(rng.random(len(user)) < 0.7, own, rng.integers(0, 200, len(user)))
    log = pl.DataFrame({"user": [f"u{one}" for one in user], "item": [f"i{one}" for one in item]})
    data = tw.Dataset.from_frames(log, user="user", item="item")
    assert right(tw.models.IALS().fit(data, rng=0), 10) > right(tw.models.ItemKNN().fit(data), 10)


RARELY_MET = {
    "BPR": tw.models.BPR(),
    "Token2Vec": tw.models.Token2Vec(),
    "Doc2Vec": tw.models.Doc2Vec(),
    "FPMC": tw.models.HRM.fpmc(),
    "YouTubeCandidates": tw.models.YouTubeCandidates(),
}


@pytest.mark.parametrize("name", RARELY_MET)
def test_vectors_leave_their_start_where_people_and_items_have_few_events(name: str):
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(1500), 5)
    group = np.where(rng.random(len(user)) < 0.8, user % GROUPS, rng.integers(0, GROUPS, len(user)))
    item = group + GROUPS * (400 * rng.random(len(user)) ** 2).astype(int)
    log = pl.DataFrame({"user": [f"u{one}" for one in user], "item": [f"i{one}" for one in item]})
    data = tw.Dataset.from_frames(log, user="user", item="item")
    assert right(RARELY_MET[name].fit(data, rng=0), 10) > 0.6


def test_codes_of_few_items_do_not_hold_factors_where_chance_put_them():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(300), 8)
    group = np.where(rng.random(len(user)) < 0.8, user % GROUPS, rng.integers(0, GROUPS, len(user)))
    item = group + GROUPS * (50 * rng.random(len(user)) ** 2).astype(int)
    titles = [
        f"of{one % GROUPS} " + " ".join(f"any{word}" for word in rng.integers(0, 40, 3))
        for one in range(200)
    ]
    data = tw.Dataset.from_frames(
        {"user": user, "item": item}, user="user", item="item", duplicates="last",
        items=pl.DataFrame({"item": np.arange(200), "title": titles}), item_features={"title": "text"},
    )  # fmt: skip
    split = tw.split.random(data, test=0.2, rng=0)
    popular = tw.evaluate(tw.models.Popularity().fit(split.train), split, ["ndcg@10"])["ndcg@10"]
    found = tw.evaluate(tw.models.CDL().fit(split.train, rng=0), split, ["ndcg@10"])["ndcg@10"]
    assert found > 1.4 * popular
