"""ContextEmbedding on logs whose contexts are known to decide, on what it promises, and on real check-ins."""

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models.sequence.context_embedding import ContextEmbedding
from twofold.testing import CHECKS, planted_log

TREE = {"loss": "hierarchical softmax"}
DAY, MONDAY = 86_400, 4 * 86_400
MORNING, EVENING = "2026-05-04T08:30", "2026-05-04T20:30"


def hours_decide(n_users=30, days=20):
    """Everybody is at an office of their own group by day and at its bar by night."""
    rows = [
        (f"u{user}", f"{place}{user % 2}", MONDAY + day * DAY + hour * 3600 + user)
        for user in range(n_users)
        for day in range(days)
        for hour, place in ((8, "office"), (20, "bar"))
    ]
    user, item, time = zip(*rows, strict=True)
    return tw.Dataset.from_frames({"u": user, "i": item, "t": time}, user="u", item="i", time="t")


def best(model, *, k=1, **asked):
    return model.recommend(k=k, exclude_seen=False, **asked)["item"].to_list()


def test_the_hour_decides_the_place_for_who_asks_with_the_time():
    data = hours_decide()
    aware = ContextEmbedding(factors=8, contexts=("user", "hour"), epochs=20, batch_size=64)
    model = aware.fit(data, rng=0)
    asked = {"time": [MORNING, EVENING] * 2}
    found = best(model, users=["u0", "u0", "u1", "u1"], context=asked)
    assert found == ["office0", "bar0", "office1", "bar1"]
    # Without the time, both places of the group come before those of the other, and neither leads by much.
    plain = ContextEmbedding(factors=8, contexts=("user",), epochs=20, batch_size=64)
    lists = plain.fit(data, rng=0).recommend(users=["u0"], k=4, exclude_seen=False)
    assert set(lists["item"][:2]) == {"office0", "bar0"}
    scores = lists["score"].to_numpy()
    assert scores[0] - scores[1] < 0.3 < 2 < scores[1] - scores[2]
    assert "time" not in plain.fit(data, rng=0).context_kinds


def test_an_offset_moves_the_hour():
    data = hours_decide()
    settings = {"factors": 8, "contexts": ("user", "hour"), "epochs": 20, "batch_size": 64}
    model = ContextEmbedding(offset=600, **settings).fit(data, rng=0)
    assert best(model, users=["u0"], context={"time": [EVENING]}) == ["bar0"]
    # 8 and 20 o'clock UTC are 18 and 6 o'clock there.
    assert model.context_vectors("hour").tokens.ids.to_list() == ["6", "18"]


def round_trips(n_users=20, laps=15):
    """Everybody goes a, b, c, d, a ... two hours apart."""
    n = 4 * laps
    log = {
        "u": np.repeat(np.arange(n_users), n),
        "i": list("abcd") * (laps * n_users),
        "t": np.tile(np.arange(n) * 7200, n_users),
    }
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


@pytest.mark.parametrize("objective", [{"loss": "negative sampling"}, TREE])
def test_what_is_next_follows_from_the_last_places_in_their_order(objective):
    model = ContextEmbedding(
        factors=8, contexts=("surrounding",), window=1, epochs=20, batch_size=64,
        objective=objective,
    ).fit(round_trips(), rng=0)  # fmt: skip
    histories = [["a"], ["b"], ["c", "a"], ["a", "c"], ["a", "c", "d"], ["d"] * 1000 + ["b"]]
    assert best(model, histories=histories) == ["b", "c", "b", "d", "a", "c"]
    # A place outside the window and one that was never seen change nothing.
    left, right = (
        model.recommend(histories=[one], exclude_seen=False).drop("user")
        for one in (["d", "no such place", "a"], ["b", "a"])
    )
    assert left.equals(right)


def test_a_pause_ends_a_trajectory():
    model = ContextEmbedding(
        factors=8,
        contexts=("surrounding", "user"),
        window=1,
        gap=3 * 3600,
        epochs=20,
        batch_size=64,
    ).fit(round_trips(), rng=0)
    last = int(model.memory.history.time.max())
    soon, late = (
        model.recommend(users=[0], context={"time": [last + pause]}, exclude_seen=False)
        for pause in (7200, 4 * 3600)
    )
    assert soon["item"][0] == "a"
    assert soon["score"].to_numpy()[:2].tolist() != late["score"].to_numpy()[:2].tolist()
    assert model.context_kinds == {"time": "time"}
    # With a gap of None the pause does not matter, and the time is not asked for.
    model = ContextEmbedding(contexts=("surrounding",), gap=None, epochs=1).fit(
        round_trips(), rng=0
    )
    assert model.context_kinds == {}


def test_a_session_ends_a_trajectory():
    log = {"u": [1] * 6, "i": list("abcabc"), "s": list("xxyyzz")}
    data = tw.Dataset.from_frames(log, user="u", item="i", context={"s": "category"})
    model = ContextEmbedding(contexts=("trajectory", "surrounding"), session="s", epochs=1)
    fitted = model.fit(data, rng=0)
    assert len(fitted.context_vectors("trajectory")) == 3
    assert fitted.context_vectors("surrounding").tokens.ids.to_list() == ["a", "b", "c"]
    with pytest.raises(ConfigError, match=r"no context column 'ss': .*'s'"):
        ContextEmbedding(session="ss").fit(data, rng=0)


@pytest.mark.parametrize("sides", ["before", "both"])
def test_both_sides_are_read_in_training_and_the_past_alone_when_asked(sides):
    log = {"u": [1] * 3, "i": list("abc"), "t": [0, 1, 2]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    model = ContextEmbedding(contexts=("surrounding",), sides=sides, epochs=1).fit(data, rng=0)
    met = ["a", "b"] if sides == "before" else ["a", "b", "c"]
    assert model.context_vectors("surrounding").tokens.ids.to_list() == met


def test_scores_are_the_logarithms_of_the_chances():
    """Given the hour alone, P(i | hour) is the share of the hour's visits."""
    rng = np.random.default_rng(0)
    chance = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    late = rng.integers(0, 2, 6000)
    item = [int(rng.choice(3, p=chance[one])) for one in late]
    log = {"u": np.arange(6000) % 50, "i": item, "t": late * 43_200 + np.arange(6000) * DAY}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    for objective, exact in ((TREE, True), ({"loss": "negative sampling", "count": 5}, False)):
        model = ContextEmbedding(
            factors=4, contexts=("hour",), epochs=15, withheld=0, objective=objective
        ).fit(data, rng=0)
        asked = {"time": [0, 43_200]}
        lists = model.recommend(users=[0, 0], k=3, context=asked, exclude_seen=False)
        found = lists.with_columns(hour=np.repeat([0, 1], 3)).sort("hour", "item")["score"]
        share = np.exp(found.to_numpy().reshape(2, 3))
        if exact:
            np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(share / share.sum(axis=1, keepdims=True), chance, atol=0.05)


def test_an_informative_context_weighs_more_than_noise():
    data = hours_decide()
    events = data.interactions
    coin = np.random.default_rng(0).integers(0, 2, len(events)).astype(str)
    frame = data.frame().with_columns(pl.Series("coin", coin))
    data = tw.Dataset.from_frames(
        frame, user="user", item="item", time="time", context={"coin": "category"}
    )
    model = ContextEmbedding(factors=8, contexts=("user", "hour", "coin"), weights="learned")
    weight = model.fit(data, rng=0).context_weights
    assert sum(weight.values()) == pytest.approx(1)
    assert weight["coin"] < 0.7 * min(weight["user"], weight["hour"])


def test_features_and_regions_of_the_places_nearby_are_contexts():
    """What comes next depends on the kind of the last place, and each place is met once before it."""
    rng = np.random.default_rng(0)
    things = [f"p{at}" for at in range(60)]
    kinds = ["cafe" if at < 30 else "gym" for at in range(60)]
    first = rng.integers(0, 60, 300)
    log = {
        "u": np.repeat(np.arange(300), 2),
        "i": [one for at in first for one in (f"p{at}", "work" if at < 30 else "home")],
        "t": np.tile([0, 1000], 300),
    }
    frame = {
        "i": [*things, "work", "home"],
        "kind": [*kinds, "other", "other"],
        "at": [[0.0, at / 10] for at in range(62)],
    }
    data = tw.Dataset.from_frames(
        log, user="u", item="i", time="t", items=frame,
        item_features={"kind": "category", "at": "place"},
    )  # fmt: skip
    for names in (("kind",), ("region",)):
        model = ContextEmbedding(factors=8, contexts=names, window=1, epochs=40, cell_km=300)
        fitted = model.fit(data, rng=0)
        assert best(fitted, histories=[["p3"], ["p55"]]) == ["work", "home"]
    assert len(fitted.context_vectors("region")) < 10


def test_somebody_new_is_inferred_from_a_history():
    data = planted_log()
    model = ContextEmbedding(factors=8, contexts=("user",), epochs=40, batch_size=32)
    fitted = model.fit(data, rng=0)
    lists = fitted.recommend(histories=[["i0", "i2", "i4", "i6"], ["i1", "i3", "i5"] * 100], k=5)
    even, odd = (
        [int(one[1:]) % 2 for one in lists.filter(pl.col("user") == row)["item"]] for row in (0, 1)
    )
    assert sum(even) <= 1
    assert sum(odd) >= 4
    assert set(lists["source"]) == {"fold-in"}


def test_a_known_user_with_a_history_keeps_the_own_embedding():
    model = ContextEmbedding(factors=8, epochs=5, batch_size=32, gap=None).fit(planted_log(), rng=0)
    row = np.array([0], np.int32)
    own = model.memory.history.take(row)
    told = Queries(row, own, np.ones(1, np.bool_))
    np.testing.assert_array_equal(model.aggregate(told), model.aggregate(Queries.known(row)))
    stranger = Queries.of_histories(own)
    assert not np.array_equal(model.aggregate(stranger), model.aggregate(told))


def test_a_stranger_who_tells_the_time_is_answered_by_it():
    model = ContextEmbedding(factors=8, epochs=20, batch_size=64).fit(hours_decide(), rng=0)
    lists = model.recommend(users=["new"], context={"time": [EVENING]}, k=2)
    assert set(lists["source"]) == {"content"}
    assert {one[:3] for one in lists["item"]} == {"bar"}
    assert set(model.recommend(users=["new"], k=2)["source"]) == {"fallback:popularity"}


def test_context_columns_are_read_by_their_levels():
    log = {"u": [1, 2] * 60, "i": list("aabb") * 30, "w": ["sun", "sun", "rain", "rain"] * 30}
    data = tw.Dataset.from_frames(log, user="u", item="i", context={"w": "category"})
    model = ContextEmbedding(factors=4, contexts=("user", "w"), epochs=30, batch_size=16)
    fitted = model.fit(data, rng=0)
    asked = {"w": ["sun", "rain", "rain"]}
    assert best(fitted, users=[1, 1, 2], context=asked) == ["a", "b", "b"]
    with pytest.warns(DataWarning, match="'w' got 'snow'.*known: rain, sun"):
        assert best(fitted, users=[1], context={"w": ["snow"]}) == best(fitted, users=[1])
    with pytest.raises(ConfigError, match=r"no context column 'weather'; .*w"):
        fitted.recommend(users=[1], context={"weather": ["sun"]})


@pytest.mark.parametrize(
    ("contexts", "said"),
    [
        (("usr",), "contexts got 'usr', which this log does not have; .*did you mean 'user'"),
        (("tag",), "did you mean 'tags'"),
        (("title",), "is a text column; read are category, tags, bag"),
        (("region",), "needs an item feature of the kind place"),
        (("user", "user"), "'user' twice"),
        ((), "nothing to tell an event with"),
    ],
)
def test_a_wrong_context_is_refused_with_what_there_is(contexts, said):
    with pytest.raises(ConfigError, match=said):
        ContextEmbedding(contexts=contexts).fit(planted_log(), rng=0)


def test_moments_need_times():
    data = tw.Dataset.from_frames({"u": [1, 1], "i": ["a", "b"]}, user="u", item="i")
    with pytest.raises(ConfigError, match="'hour', which needs times and the log has none"):
        ContextEmbedding(contexts=("hour",)).fit(data, rng=0)
    assert [one.name for one in ContextEmbedding(epochs=1).fit(data, rng=0).contexts.codes] == [
        "user",
        "surrounding",
    ]


def test_equal_times_and_a_time_of_each_sort_are_no_matter():
    log = {"u": [1] * 4, "i": list("abcd"), "t": [5, 5, 5, 1_700_000_000]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    model = ContextEmbedding(factors=2, epochs=2).fit(data, rng=0)
    with pytest.warns(DataWarning, match="moment 'weekday' got 'Wednesday'"):
        lists = model.recommend(users=[1], context={"time": ["1969-12-31"]}, exclude_seen=False)
    assert np.isfinite(lists["score"].to_numpy()).all()
    lists = model.recommend(users=[1], context={"time": [None]}, exclude_seen=False)
    assert np.isfinite(lists["score"].to_numpy()).all()


def test_vectors_can_be_used_by_themselves():
    data = hours_decide()
    model = ContextEmbedding(factors=8, epochs=20, batch_size=64).fit(data, rng=0)
    assert model.user_vectors.shape == (30, 8)
    unit = model.user_vectors / np.linalg.norm(model.user_vectors, axis=1, keepdims=True)
    group = np.array([int(one[1:]) % 2 for one in data.users.ids.ids])
    alike = (unit @ unit.T)[group[:, None] == group].mean()
    assert alike > (unit @ unit.T)[group[:, None] != group].mean() + 0.5
    assert model.context_vectors("hour").similar("8", k=1)["item"].to_list() == ["20"]
    with pytest.raises(ConfigError, match=r"no context 'our' in this model; .*'hour'"):
        model.context_vectors("our")
    alone = ContextEmbedding(contexts=("hour",), epochs=1).fit(data, rng=0)
    with pytest.raises(ConfigError, match="no context 'user' in this model"):
        _ = alone.user_vectors


def test_subsampling_thins_out_frequent_items_and_scores_take_it_back():
    model = ContextEmbedding(factors=4, contexts=("user",), subsample=0.01, epochs=2)
    fitted = model.fit(planted_log(), rng=0)
    counts = fitted.memory.popularity
    keep = np.minimum(np.sqrt(0.01 / (counts / counts.sum())), 1)
    noise = counts**0.75 / (counts**0.75).sum()
    np.testing.assert_allclose(fitted.log_chance, np.log(noise) - np.log(keep), rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"objective": TREE}, {"weights": "features"}, {"weights": "learned", "sides": "both"}],
)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_other_settings_conform_too(check, settings):
    check(ContextEmbedding(factors=8, epochs=30, batch_size=32, **settings))


def test_a_log_without_events_is_refused():
    with pytest.raises(DataError, match="no interactions"):
        ContextEmbedding().fit(planted_log().part(np.zeros(0, np.int64)), rng=0)


@pytest.mark.data
def test_check_ins_are_found_by_who_where_from_and_when(real):
    split = tw.split.last_fraction(real("lbsn2vec-nyc"), test=0.1, repeats="keep")
    settings = {"factors": 32, "epochs": 6}
    models = {
        "popular": tw.models.Popularity(),
        "general": ContextEmbedding(contexts=("user", "surrounding"), **settings),
        "aware": ContextEmbedding(contexts=("user", "surrounding", "hour", "weekday"), **settings),
    }
    found = {
        name: tw.evaluate(one.fit(split.train, rng=0), split, ["recall@1"], ask="each event")
        for name, one in models.items()
    }
    recall = {name: report["recall@1"] for name, report in found.items()}
    assert recall["general"] > 4 * recall["popular"]
    assert recall["aware"] > 1.05 * recall["general"]
