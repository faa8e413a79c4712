"""A log so small that every number of its evaluation is worked out on paper."""

from dataclasses import replace
from math import log2

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.errors import ConfigError, LeakError

# Popularity in training: a 4, b 3, c 2, d 1.
TRAIN = {
    "u": [1, 1, 1, 2, 2, 3, 3, 4, 4, 5],
    "i": ["a", "b", "c", "a", "b", "a", "d", "b", "c", "a"],
}
# What popularity lists with seen items left out: 1: d; 2: c d; 3: b c; 4: a d; 5: b c d; 9: a b c d.
TEST = {"u": [1, 2, 3, 3, 5, 9, 9], "i": ["d", "d", "b", "zzz", "c", "a", "d"]}


def dataset(log, **more):
    return tw.Dataset.from_frames(pl.DataFrame(log), user="u", item="i", **more)


@pytest.fixture(scope="module")
def split():
    return tw.split.from_parts(dataset(TRAIN), dataset(TEST))


@pytest.fixture(scope="module")
def popular(split):
    return tw.models.Popularity().fit(split.train)


def test_every_value_is_the_one_on_paper(split, popular):
    report = tw.evaluate(
        popular,
        split,
        [
            "precision@2", "recall@2", "recall_capped@1", "hit@1", "map@2", "ndcg@2", "mrr@2", "auc",
            "coverage@1", "coverage@2", "gini@1", "novelty@1", "popularity_bias@1", "diversity@2",
        ],
    )  # fmt: skip
    second = 1 / log2(3)
    ideal = 1 + second
    expected = {
        # users        1        2        3          5          9
        "precision@2": (0.5 + 0.5 + 0.5 + 0.5 + 0.5) / 5,
        "recall@2": (1.0 + 1.0 + 0.5 + 1.0 + 0.5) / 5,
        "recall_capped@1": (1.0 + 0.0 + 1.0 + 0.0 + 1.0) / 5,
        "hit@1": (1.0 + 0.0 + 1.0 + 0.0 + 1.0) / 5,
        "map@2": (1.0 + 0.5 + 0.5 + 0.5 + 0.5) / 5,
        "ndcg@2": (1.0 + second + 1 / ideal + second + 1 / ideal) / 5,
        "mrr@2": (1.0 + 0.5 + 1.0 + 0.5 + 1.0) / 5,
        # user 1 has no other candidate; 2: d < c; 3: b > c, zzz behind; 5: b > c > d; 9: a above, d below
        "auc": (0.0 + 0.5 + 0.5 + 0.5) / 4,
        "coverage@1": 4 / 4,
        "coverage@2": 4 / 4,
        # first places: d, c, b, b, a
        "gini@1": 2 * (1 * 1 + 2 * 1 + 3 * 1 + 4 * 2) / (4 * 5) - 5 / 4,
        "novelty@1": -(log2(2 / 6) + log2(3 / 6) + 2 * log2(4 / 6) + log2(5 / 6)) / 5,
        "popularity_bias@1": (0 + 1 / 3 + 2 / 3 + 2 / 3 + 1) / 5,
    }
    assert {name: report[name] for name in expected} == pytest.approx(expected)
    assert report.n_users == 5
    assert report.n_targets == 7
    assert report.n_unknown_targets == 1
    assert report.sources["fallback:popularity"] == 1


def test_slices_are_the_users_and_items_they_say(split, popular):
    report = tw.evaluate(popular, split, ["recall@2"])
    found = {one.label: (one.n_users, one.values["recall@2"]) for one in report.slices}
    assert found == {
        "users without history": (1, 0.5),
        "users with 1 ... 2 events": (3, pytest.approx(2.5 / 3)),
        "users with more than 2 events": (1, 1.0),
        "head items": (1, 1.0),
        "tail items": (5, pytest.approx((1 + 1 + 1 + 1 + 0) / 5)),
        "items never seen": (1, 0.0),
    }


def test_strangers_do_not_move_the_middle_between_more_and_less_active_users(split, popular):
    many = {"u": [*TEST["u"], 10, 11, 12], "i": [*TEST["i"], "a", "a", "a"]}
    report = tw.evaluate(popular, replace(split, test=dataset(many)), ["recall@2"])
    assert [(one.label, one.n_users) for one in report.slices][:3] == [
        ("users without history", 4),
        ("users with 1 ... 2 events", 3),
        ("users with more than 2 events", 1),
    ]


def test_unknown_targets_are_counted_or_dropped(split, popular):
    counted = tw.evaluate(popular, split, ["recall@2"])
    dropped = tw.evaluate(popular, split, ["recall@2"], unknown_items="drop")
    assert counted["recall@2"] == pytest.approx(0.8)
    assert dropped["recall@2"] == pytest.approx((1 + 1 + 1 + 1 + 0.5) / 5)
    assert dropped.n_targets == 6


def test_without_hiding_what_was_seen_the_lists_are_all_alike(split, popular):
    report = tw.evaluate(popular, split, ["recall@2", "coverage@2"], exclude_seen=False)
    assert report["coverage@2"] == 0.5
    assert report["recall@2"] == pytest.approx((0 + 0 + 0.5 + 0 + 0.5) / 5)


def test_what_was_had_and_is_hidden_is_missed_and_counted():
    """User 2 is offered c and d: of a (had before), c and zzz (never seen), c is found, above d."""
    train = dataset({**TRAIN, "t": list(range(10))}, time="t")
    test = dataset({"u": [2, 2, 2], "i": ["a", "c", "zzz"], "t": [20, 21, 22]}, time="t")
    split = tw.split.from_parts(train, test, repeats="keep")
    model = tw.models.Popularity().fit(split.train)
    hidden = tw.evaluate(model, split, ["recall@2", "auc"], exclude_seen=True)
    assert dict(hidden.values) == pytest.approx({"recall@2": 1 / 3, "auc": 1 / 3})
    assert (hidden.n_hidden_targets, hidden.n_unknown_targets) == (1, 1)
    assert "1 of them had before and hidden (new='before' does not ask for them" in str(hidden)
    listed = tw.evaluate(model, split, ["recall@2", "auc"])
    # a and b lead, c is above d alone; a is above b and d, zzz behind everything
    assert dict(listed.values) == pytest.approx({"recall@2": 1 / 3, "auc": (2 + 1 + 0) / 6})
    assert (listed.n_hidden_targets, "hidden" in str(listed)) == (0, False)


def test_what_is_taken_twice_within_the_part_is_hidden_event_by_event():
    test = dataset({"u": [5, 5, 5], "i": ["b", "c", "b"]})
    split = tw.split.from_parts(dataset(TRAIN), test)
    model = tw.models.Popularity().fit(split.train)
    report = tw.evaluate(model, split, ["hit@3"], ask="each event")
    assert (report["hit@3"], report.n_hidden_targets) == (pytest.approx(2 / 3), 1)
    assert tw.evaluate(model, split, ["hit@3"], ask="each event", new="before")["hit@3"] == 1.0


def test_a_target_twice_is_a_target_once(split, popular):
    twice = replace(split, test=dataset({key: one + one for key, one in TEST.items()}))
    names = ["recall@2", "ndcg@2", "auc"]
    one, two = (tw.evaluate(popular, of, names) for of in (split, twice))
    assert dict(one.values) == dict(two.values)


def test_cuts_past_the_catalogue(split, popular):
    report = tw.evaluate(popular, split, ["recall@100", "precision@100", "coverage@100"])
    assert report["recall@100"] == pytest.approx((1 + 1 + 0.5 + 1 + 1) / 5)
    assert report["precision@100"] == pytest.approx((1 + 1 + 1 + 1 + 2) / 500)
    assert report["coverage@100"] == 1.0


def test_people_who_have_used_everything():
    """Nothing is left to list: the target is a miss, and beyond accuracy there is nothing to say."""
    train = dataset({"u": [1, 1, 2], "i": ["a", "b", "a"]})
    test = dataset({"u": [1, 2], "i": ["new", "b"]})
    split = tw.split.from_parts(train, test)
    report = tw.evaluate(tw.models.Popularity().fit(train), split, ["recall@1", "novelty@1"])
    assert report["recall@1"] == 0.5
    assert report.weights["novelty@1"].tolist() == [0, 1]


def test_ties_go_to_the_item_whose_id_comes_first():
    train = dataset({"u": [1, 2, 3], "i": ["c", "b", "a"]})
    test = dataset({"u": [4, 5], "i": ["a", "b"]})
    split = tw.split.from_parts(train, test)
    report = tw.evaluate(tw.models.Popularity().fit(train), split, ["hit@1", "hit@2", "auc"])
    assert dict(report.values) == {"hit@1": 0.5, "hit@2": 1.0, "auc": 0.5}


def test_repeats_are_looked_for_where_the_split_keeps_them():
    log = {"u": [1, 1, 1, 2, 2], "i": ["a", "b", "a", "b", "b"], "t": [1, 2, 9, 1, 9]}
    data = dataset(log, time="t")
    split = tw.split.temporal(data, test=0.4, validation=0, repeats="keep")
    report = tw.evaluate(tw.models.Popularity().fit(split.train), split, ["hit@1", "recall@2"])
    assert dict(report.values) == {"hit@1": 0.5, "recall@2": 1.0}
    assert not report.settings["exclude_seen"]


def test_ratings_count_once_each():
    """rmse and mae are means over ratings, not over users."""
    train = dataset({"u": [1, 2], "i": ["a", "b"], "r": [3.0, 3.0]}, value="r")
    test = dataset({"u": [1, 1, 2], "i": ["b", "c", "a"], "r": [3.0, 5.0, 0.0]}, value="r")
    split = tw.split.from_parts(train, test)
    model = tw.models.BiasedMF(factors=1, epochs=1).fit(train, rng=0)
    report = tw.evaluate(model, split, ["rmse", "mae"])
    predicted = model.predict({"user": [1, 1, 2], "item": ["b", "c", "a"]})["score"].to_numpy()
    error = predicted.astype(np.float64) - [3.0, 5.0, 0.0]
    assert report["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
    assert report["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-6)
    assert report.weights["rmse"].tolist() == [2, 1]
    with pytest.raises(ConfigError, match="rmse needs a model that predicts ratings"):
        tw.evaluate(tw.models.Popularity().fit(train), split, ["rmse"])


def test_ratings_of_unknown_items_are_left_out_where_asked():
    train = dataset({"u": [1, 2], "i": ["a", "b"], "r": [3.0, 3.0]}, value="r")
    test = dataset({"u": [1, 1, 2], "i": ["b", "new", "new"], "r": [4.0, 9.0, 9.0]}, value="r")
    split = tw.split.from_parts(train, test)
    model = tw.models.BiasedMF(factors=1, epochs=1).fit(train, rng=0)
    counted, dropped = (
        tw.evaluate(model, split, ["mae"], unknown_items=one) for one in ("count", "drop")
    )
    assert counted.weights["mae"].tolist() == [2, 1]
    assert dropped.weights["mae"].tolist() == [1, 0]
    predicted = model.predict({"user": [1], "item": ["b"]})["score"][0]
    assert dropped["mae"] == pytest.approx(abs(predicted - 4), rel=1e-6)


def test_only_good_ratings_are_relevant_where_asked():
    train = dataset({"u": [1, 2], "i": ["a", "b"], "r": [3.0, 3.0]}, value="r")
    test = dataset({"u": [1, 2], "i": ["b", "a"], "r": [5.0, 1.0]}, value="r")
    split = tw.split.from_parts(train, test)
    model = tw.models.Popularity().fit(train)
    report = tw.evaluate(model, split, ["hit@1"], relevant_from=4)
    assert (report.n_users, report.n_without_target) == (1, 1)
    assert report.per_user["hit@1"].to_list() == [1.0, None]
    assert tw.evaluate(model, split, ["hit@1"], relevant_from=5).n_users == 1
    assert tw.evaluate(model, split, ["hit@1"], relevant_from=1).n_users == 2
    with pytest.raises(ConfigError, match="nobody in the test part has anything to measure hit@1"):
        tw.evaluate(model, split, ["hit@1"], relevant_from=9)


def test_auc_of_a_catalogue_of_one_item_says_what_it_needs():
    data = dataset({"u": [1, 2, 1, 2], "i": ["a", "a", "a", "a"]})
    split = tw.split.last_fraction(data, test=0.5, repeats="keep")
    model = tw.models.Popularity().fit(split.train)
    with pytest.raises(
        ConfigError, match="auc needs an item that was not taken beside one that was"
    ):
        tw.evaluate(model, split, ["auc"])


def test_what_happened_between_training_and_test_is_hidden():
    log = {"u": [1, 1, 1, 2, 2, 3], "i": ["a", "b", "c", "b", "c", "c"], "t": [1, 5, 9, 1, 2, 1]}
    split = tw.split.temporal(dataset(log, time="t"), test=1 / 6, validation=1 / 6)
    assert split.validation.frame()["item"].to_list() == ["b"]
    report = tw.evaluate(tw.models.Popularity().fit(split.train), split, ["hit@1"])
    assert report["hit@1"] == 1.0
    assert (
        tw.evaluate(tw.models.Popularity().fit(split.train), split, ["hit@1"], part="validation")[
            "hit@1"
        ]
        == 0.0
    )


def test_a_split_made_by_hand_that_leaks_is_not_measured(split, popular):
    leaking = tw.Split(train=split.train, test=dataset({"u": [1, 2], "i": ["d", "a"]}))
    with pytest.raises(LeakError, match="1 test events repeat a training pair: row 1") as caught:
        tw.evaluate(popular, leaking, ["hit@1"])
    assert caught.value.rows == (1,)
    with pytest.raises(LeakError, match="repeat a training pair"):
        tw.compare({"popular": tw.models.Popularity()}, leaking, ["hit@1"])


def test_a_model_that_saw_the_test_part_is_not_measured(split):
    both = pl.concat([pl.DataFrame(TRAIN), pl.DataFrame(TEST)])
    cheat = tw.models.Popularity().fit(dataset(both.to_dict()))
    with pytest.raises(LeakError, match="the model was trained on 7 of the 7 test events"):
        tw.evaluate(cheat, split, ["hit@1"])


def test_a_model_that_remembers_the_test_fails_where_repeats_are_kept_too():
    """Pairs had before are no leak there, the same pair at the same time is."""
    log = {"u": [1, 1, 1, 2, 2, 2], "i": list("aabbba"), "t": [1, 2, 9, 1, 2, 9]}
    whole = dataset(log, time="t")
    split = tw.split.temporal(whole, test=0.3, repeats="keep")
    assert tw.evaluate(tw.models.Popularity().fit(split.train), split, ["hit@1"])["hit@1"] >= 0
    with pytest.raises(LeakError, match="trained on 2 of the 2 test events"):
        tw.evaluate(tw.models.Popularity().fit(whole), split, ["hit@1"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metrics": "ndcg@5"}, r"must be a list of names; got 'ndcg@5'"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": ["hit@1"], "part": "tset"}, "did you mean 'test'"),
        ({"metrics": ["hit@1"], "part": "validation"}, "has no validation part"),
        ({"metrics": ["hit@1"], "unknown_items": "skip"}, "unknown_items got 'skip'"),
        ({"metrics": ["hit@1"], "confidence": 95}, "confidence must be between 0 and 1; got 95"),
    ],
)
def test_wrong_settings_are_refused(split, popular, more, message):
    with pytest.raises(ConfigError, match=message):
        tw.evaluate(popular, split, **more)
