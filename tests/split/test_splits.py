"""What every split promises: nothing lost, nothing twice, and no leak."""

from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.split.by_time import instant
from twofold.split.pairs import Pairs, repeated, repeated_moments, same_pairs
from twofold.testing import planted_log

WAYS = {
    "random": lambda data, rng: tw.split.random(data, test=0.2, validation=0.1, rng=rng),
    "random per user": lambda data, rng: tw.split.random(
        data, test=0.2, validation=0.1, per_user=True, rng=rng
    ),
    "k_fold": lambda data, rng: tw.split.k_fold(data, folds=3, rng=rng)[1],
    "fixed_train": lambda data, rng: tw.split.fixed_train(data, n=2, items="trained", rng=rng),
    "fixed_train, all items": lambda data, rng: tw.split.fixed_train(data, n=1, rng=rng),
    "temporal": lambda data, rng: tw.split.temporal(data, test=0.2, validation=0.1),
    "leave_last": lambda data, rng: tw.split.leave_last(data, n=2, validation=True),
    "last_fraction": lambda data, rng: tw.split.last_fraction(data, test=0.3, validation=0.2),
    "cold_users": lambda data, rng: tw.split.cold_users(data, test=0.2, validation=0.1, rng=rng),
    "cold_items": lambda data, rng: tw.split.cold_items(data, test=0.2, validation=0.1, rng=rng),
    "user_disjoint": lambda data, rng: tw.split.user_disjoint(data, test=0.2, rng=rng),
    "last_basket": lambda data, rng: tw.split.last_basket(data, validation=True, repeats="drop"),
    "last_trajectories": lambda data, rng: tw.split.last_trajectories(
        data, share=0.2, gap=5, validation=0.1, repeats="drop"
    ),
    "default": lambda data, rng: tw.split.default(data, rng=rng),
}


def events(*parts):
    """Return the multiset of (user, item, time) of some parts."""
    frames = [one.frame() for one in parts if one is not None]
    return sorted(pl.concat(frames).select("user", "item", "time").rows())


def random_log(seed, n=120, repeats=False):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 15, n), rng.integers(0, 12, n)
    log = {
        "user": user,
        "item": item,
        "time": rng.integers(0, 60, n),
        "value": rng.integers(1, 6, n),
    }
    frame = pl.DataFrame(log).unique(maintain_order=True)
    if not repeats:
        frame = frame.unique(["user", "item"], maintain_order=True)
    return tw.Dataset.from_frames(frame, user="user", item="item", value="value", time="time")


def left_out(split):
    """Return how many events the notes count as left out."""
    return sum(int(n.split()[0].replace(",", "")) for n in split.notes if "left out" in n)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=15)
def test_every_event_is_in_one_part_or_counted_as_left_out_and_nothing_leaks(way, repeats, seed):
    data = random_log(seed, repeats=repeats)
    split = WAYS[way](data, seed)
    parts = (
        split.train,
        split.validation,
        split.test,
        split.test_history,
        split.validation_history,
    )
    whole = Counter(events(data))
    kept = Counter(events(*parts))
    assert kept <= whole
    assert sum((whole - kept).values()) == left_out(split)
    assert left_out(split) == 0 or repeats or way == "user_disjoint"
    assert tw.split.find_leaks(split) == []


@pytest.mark.parametrize("way", WAYS)
def test_features_of_the_whole_log_and_of_chance_raise_no_alarm(way):
    """A log with numbers beside its users and items, none of them computed from events."""
    rng = np.random.default_rng(1)
    for seed in range(6):
        data = random_log(seed)
        users = {"user": np.arange(15), "age": rng.integers(1, 5, 15), "flag": np.ones(15)}
        items = {"item": np.arange(12), "discs": rng.integers(1, 3, 12), "year": rng.random(12)}
        data = tw.Dataset.from_frames(
            data.frame(), user="user", item="item", value="value", time="time", users=users,
            items=items, user_features={"age": "number", "flag": "number"},
            item_features={"discs": "number", "year": "number"},
        )  # fmt: skip
        assert tw.split.find_leaks(WAYS[way](data, seed)) == []


@given(seed=st.integers(0, 300), share=st.floats(0.05, 0.9))
@settings(deadline=None, max_examples=40)
def test_the_cut_in_time_is_the_nearest_that_the_times_allow(seed, share):
    """Against every possible cut."""
    time = np.random.default_rng(seed).integers(0, 12, 40).astype(np.int64)
    found = instant(time, share)
    wanted = share * len(time)
    errors = {int(cut): abs((time >= cut).sum() - wanted) for cut in np.unique(time)[1:]}
    assert errors[found] == min(errors.values())


@given(seed=st.integers(0, 300))
@settings(deadline=None, max_examples=25)
def test_folds_share_the_pairs_out(seed):
    data = random_log(seed, repeats=True)
    folds = tw.split.k_fold(data, folds=4, rng=seed)
    assert sorted(chain.from_iterable(events(one.test) for one in folds)) == events(data)
    sizes = [len(one.test.frame().unique(["user", "item"])) for one in folds]
    assert max(sizes) - min(sizes) <= 1
    for one in folds:
        assert sorted(events(one.train) + events(one.test)) == events(data)


@given(seed=st.integers(0, 300), n=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_the_last_events_are_the_latest(seed, n):
    data = random_log(seed)
    for split in (tw.split.leave_last(data, n=n), tw.split.last_fraction(data, test=0.3)):
        latest = split.train.frame().group_by("user").agg(pl.col("time").max().alias("latest"))
        held = split.test.frame().join(latest, on="user")
        assert (held["time"] >= held["latest"]).all()
        if split.kind.startswith("leave_last"):
            assert set(split.test.frame().group_by("user").len()["len"]) <= {n}


@given(seed=st.integers(0, 300), n=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_fixed_train_keeps_so_many_items(seed, n):
    data = random_log(seed, repeats=True)
    split = tw.split.fixed_train(data, n=n, rng=seed)
    items = split.train.frame().group_by("user").agg(pl.col("item").n_unique())["item"]
    mine = data.frame().group_by("user").agg(pl.col("item").n_unique())["item"]
    assert sorted(items) == sorted(min(n, size) for size in mine)


def test_strangers_are_strangers():
    data = planted_log()
    users = tw.split.cold_users(data, test=0.2, rng=0)
    assert not set(users.train.users.ids.ids) & set(users.test.users.ids.ids)
    assert users.test.n_users == 8
    items = tw.split.cold_items(data, test=0.25, rng=0)
    assert not set(items.train.items.ids.ids) & set(items.test.items.ids.ids)
    assert items.test.n_items == 6


def test_people_with_a_single_item_have_no_target_and_are_counted():
    log = {"u": [*range(10), *range(10, 20), *range(10, 20)], "i": [0] * 10 + [0] * 10 + [1] * 10}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    split = tw.split.user_disjoint(data, test=0.5, validation=0, rng=0)
    alone = [u for u in range(10) if u not in split.train.users.ids.ids.to_list()]
    assert split.notes == (
        f"{len(alone):,} events of held-out users with a single item were left out",
    )
    assert set(split.test.frame().group_by("user").len()["len"]) == {1}


def test_a_part_that_was_asked_for_and_is_empty_is_mentioned():
    log = {"u": [1, 2, 3], "i": [1, 2, 3], "t": [1, 2, 3]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    split = tw.split.temporal(data, test=0.34, validation=0.01)
    assert split.validation is None
    assert split.notes == ("the validation part is empty; use a larger share or more data",)
    assert "the validation part is empty" in str(split)


@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=40)
def test_pairs_are_numbered_as_numpy_does(seed):
    data = random_log(seed, repeats=True)
    events = data.interactions
    keys = events.user.astype(np.int64) * data.n_items + events.item
    unique, inverse = np.unique(keys, return_inverse=True)
    pairs = Pairs.of(events)
    np.testing.assert_array_equal(pairs.of_event, inverse)
    np.testing.assert_array_equal(pairs.user, unique // data.n_items)
    np.testing.assert_array_equal(pairs.size, np.bincount(pairs.user)[pairs.user])
    key = np.random.default_rng(seed).integers(0, 4, len(pairs)).astype(float)
    order = np.lexsort((key, pairs.user))
    expected = np.empty(len(pairs), int)
    expected[order] = np.arange(len(pairs)) - pairs.indptr[pairs.user[order]]
    np.testing.assert_array_equal(pairs.rank(key), expected)
    part = np.random.default_rng(seed).integers(0, 3, len(events)).astype(np.uint8)
    again = [any(part[at] > p for p in part[inverse == inverse[at]]) for at in range(len(events))]
    np.testing.assert_array_equal(repeated(events, part), again)


@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=40)
def test_a_pair_at_one_time_stays_in_the_earliest_of_its_parts(seed):
    rng = np.random.default_rng(seed)
    log = {"u": rng.integers(0, 4, 80), "i": rng.integers(0, 3, 80), "t": rng.integers(0, 5, 80)}
    data = tw.Dataset.from_frames(
        log | {"c": rng.random(80)}, user="u", item="i", time="t", context=["c"]
    )
    events, part = data.interactions, rng.integers(0, 3, 80).astype(np.uint8)
    keys = list(zip(events.user, events.item, events.time, strict=True))
    expected = [
        any(a == b and p < own for b, p in zip(keys, part, strict=True))
        for a, own in zip(keys, part, strict=True)
    ]
    assert repeated_moments(events, part).tolist() == expected
    split = tw.split.last_fraction(data, test=0.3, repeats="keep")
    assert tw.split.find_leaks(split) == []
    assert len(split.train) + len(split.test) + left_out(split) == 80


@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=40)
def test_pairs_are_found_in_another_log(seed):
    one, other = random_log(seed, 40, repeats=True), random_log(seed + 1, 60, repeats=True)
    pairs, moments = (
        set(other.frame().select(*columns).rows())
        for columns in (["user", "item"], ["user", "item", "time"])
    )
    mine = one.frame()
    assert same_pairs(one, other).tolist() == [
        row in pairs for row in mine.select("user", "item").rows()
    ]
    assert same_pairs(one, other, same_time=True).tolist() == [
        row in moments for row in mine.select("user", "item", "time").rows()
    ]


def test_a_log_that_tests_a_model_loses_what_training_has():
    train = tw.Dataset.from_frames({"u": [1, 2], "i": ["a", "b"]}, user="u", item="i")
    log = tw.Dataset.from_frames({"u": [1, 1, 9], "i": ["a", "b", "a"]}, user="u", item="i")
    split = tw.split.held_out(train, log)
    assert split.test.frame().rows() == [(1, "b"), (9, "a")]
    assert split.notes == ("1 events of pairs that training has were left out",)
    assert tw.split.held_out(train, split.test).notes == ()
    with pytest.raises(DataError, match="all 2 events of these data were in training"):
        tw.split.held_out(train, train)


@pytest.mark.parametrize("way", WAYS)
def test_parts_know_only_their_own_ids(way):
    split = WAYS[way](planted_log(), 3)
    for part in (split.train, split.test):
        frame = part.frame()
        assert sorted(frame["user"].unique()) == part.users.ids.ids.to_list()
        if part is split.test or not split.whole_catalogue:
            assert sorted(frame["item"].unique()) == sorted(part.items.ids.ids.to_list())
        assert part.items.features["title"].values.null_count() == 0


def test_fixed_train_lists_every_item_with_what_it_is_made_of():
    """As in the papers of CTR and CDL: who wants an article that nobody has in training must be able to get it by its words."""
    data = planted_log()
    split = tw.split.fixed_train(data, n=1, rng=3)
    assert split.train.items.ids.ids.to_list() == data.items.ids.ids.to_list()
    untouched = int((split.train.interactions.item_counts == 0).sum())
    assert f"24 items of the log, {untouched} of them without an event in it" in split.notes[0]
    model = tw.models.ItemKNN(content=("title",), similarity="bm25").fit(split.train, rng=0)
    report = tw.evaluate(model, split, metrics=["recall@5"])
    assert report.n_unknown_targets == 0
    assert report["recall@5"] > 0.2
    trained = tw.split.fixed_train(data, n=1, rng=3, items="trained")
    assert trained.train.n_items == 24 - untouched
    assert trained.test.frame().equals(split.test.frame())
    with pytest.raises(ConfigError, match="items got 'every'; allowed"):
        tw.split.fixed_train(data, n=1, items="every")
    guilty = replace(split, whole_catalogue=False)
    assert {one.kind for one in tw.split.find_leaks(guilty)} == {"id"}


@pytest.mark.parametrize("way", ["random", "k_fold", "cold_users", "user_disjoint", "fixed_train"])
def test_the_seed_decides(way):
    one, two, other = (WAYS[way](planted_log(), rng) for rng in (5, 5, 6))
    assert events(one.test) == events(two.test)
    assert events(one.test) != events(other.test)


def test_temporal_cuts_everybody_at_one_instant():
    split = tw.split.temporal(planted_log(), test=0.2, validation=0.1)
    assert split.train.interactions.time.max() < split.validation_cut
    assert split.validation.interactions.time.min() >= split.validation_cut
    assert split.validation.interactions.time.max() < split.cut
    assert split.test.interactions.time.min() >= split.cut
    assert len(split.test) == round(0.2 * len(planted_log()))


def test_events_of_one_instant_stay_together():
    log = {"u": [1, 2, 3, 4, 5, 6], "i": list("abcdef"), "t": [1, 2, 3, 3, 3, 3]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    split = tw.split.temporal(data, test=0.3, validation=0)
    assert split.train.frame()["time"].to_list() == [1, 2]


def test_repeated_pairs_are_kept_only_where_asked():
    log = {"u": [1, 1, 1, 2, 2], "i": list("aabab"), "t": [1, 5, 6, 2, 7]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    dropped = tw.split.temporal(data, test=0.5, validation=0)
    kept = tw.split.temporal(data, test=0.5, validation=0, repeats="keep")
    assert dropped.test.frame().rows() == [(1, "b", 6), (2, "b", 7)]
    assert "1 later events" in dropped.notes[0]
    assert len(kept.test) == 3
    assert kept.repeats
    assert tw.split.find_leaks(kept) == []


@given(seed=st.integers(0, 300))
@settings(deadline=None, max_examples=20)
def test_a_random_split_keeps_all_events_of_a_pair_together(seed):
    data = random_log(seed, repeats=True)
    split = tw.split.random(data, test=0.3, rng=seed)
    assert tw.split.find_leaks(split) == []
    assert len(split.train) + len(split.test) == len(data)


def test_shares_are_met():
    data = planted_log()
    split = tw.split.random(data, test=0.25, validation=0.25, rng=1)
    assert len(split.test) == round(0.25 * len(data))
    assert len(split.validation) == round(0.25 * len(data))
    per_user = tw.split.random(data, test=0.1, per_user=True, rng=1)
    sizes = data.frame().group_by("user").len().sort("user")["len"]
    held = per_user.test.frame().group_by("user").len().sort("user")["len"]
    assert held.to_list() == [max(1, n // 10) for n in sizes]


def test_leave_last_takes_the_last_and_needs_something_to_train_on():
    log = {"u": [1, 1, 1, 2, 3, 3], "i": list("abcabc"), "t": [3, 1, 2, 1, 2, 1]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    split = tw.split.leave_last(data)
    assert split.test.frame().select("user", "item").rows() == [(1, "a"), (3, "b")]
    assert 2 in split.train.users.ids.ids


def test_user_disjoint_tells_a_share_of_the_history():
    split = tw.split.user_disjoint(planted_log(), test=0.2, history=0.8, rng=0)
    held = split.test.frame()["user"].unique().to_list()
    assert not set(held) & set(split.train.users.ids.ids)
    told = split.test_history.frame().group_by("user").len()
    wanted = split.test.frame().group_by("user").len()
    both = told.join(wanted, on="user")
    assert ((both["len"] / (both["len"] + both["len_right"])) <= 0.8).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: tw.split.random(d, test=0), "test must be a share"),
        (lambda d: tw.split.random(d, test=1.5), "got 1.5"),
        (lambda d: tw.split.random(d, test="0.1"), "test must be a share, 0 < test < 1; got '0.1'"),
        (lambda d: tw.split.random(d, test=True), "got True"),
        (lambda d: tw.split.random(d, test=float("nan")), "got nan"),
        (lambda d: tw.split.random(d, validation=-0.1), "0 <= validation < 1; got -0.1"),
        (lambda d: tw.split.temporal(d, test=0.6, validation=0.4), "must be below 1"),
        (lambda d: tw.split.cold_users(d, test=0.6, validation=0.4), "must be below 1"),
        (lambda d: tw.split.user_disjoint(d, history=1.0), "history must be a share"),
        (lambda d: tw.split.fixed_train(d, n=2.5), "n must be an integer >= 1; got 2.5"),
        (lambda d: tw.split.last_fraction(d, test=0), "test must be a share"),
        (lambda d: tw.split.random(d, test=0.6, validation=0.5), r"below 1; got 0.6 \+ 0.5"),
        (lambda d: tw.split.k_fold(d, folds=1), "folds must be an integer >= 2"),
        (lambda d: tw.split.leave_last(d, n=0), "n must be an integer >= 1; got 0"),
        (lambda d: tw.split.temporal(d, repeats="kep"), "did you mean 'keep'"),
    ],
)
def test_wrong_settings_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call(planted_log())


def test_a_test_of_nothing_but_repeats_says_how_to_keep_them():
    log = tw.Dataset.from_frames(
        {"u": [1, 2, 1, 2], "i": list("aaaa"), "t": [0, 1, 2, 3]}, user="u", item="i", time="t"
    )
    with pytest.raises(DataError, match=r"its 2 events are of pairs .*split-option repeats=keep"):
        tw.split.temporal(log, test=0.5)
    assert len(tw.split.temporal(log, test=0.5, repeats="keep").test) == 2
    once = tw.Dataset.from_frames(
        {"u": [1, 2, 3], "i": list("abc"), "t": [0, 0, 0]}, user="u", item="i", time="t"
    )
    with pytest.raises(
        DataError, match=r"last_basket.* is empty \(3 events in all, at most 1 of a user"
    ):
        tw.split.last_basket(once)


def test_impossible_data_are_refused_in_one_sentence():
    one = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i")
    with pytest.raises(DataError, match=r"part of random.* is empty"):
        tw.split.random(one)
    for way in (
        tw.split.leave_last,
        tw.split.last_fraction,
        tw.split.cold_users,
        tw.split.cold_items,
    ):
        with pytest.raises(DataError, match=r"the (test|training) part of .* is empty \(1 events"):
            way(one)
    with pytest.raises(DataError, match="5 folds need as many pairs; the log has 1"):
        tw.split.k_fold(one)
    with pytest.raises(DataError, match="test part of fixed_train"):
        tw.split.fixed_train(one, n=1)
    with pytest.raises(DataError, match="is empty"):
        tw.split.user_disjoint(one)
    with pytest.raises(DataError, match="needs times and the log has none"):
        tw.split.temporal(one)
    flat = tw.Dataset.from_frames(
        {"u": [1, 2], "i": [1, 2], "t": [5, 5]}, user="u", item="i", time="t"
    )
    with pytest.raises(DataError, match="all events have one time"):
        tw.split.temporal(flat)
    with pytest.raises(DataError, match="part of random"):
        tw.split.default(flat)
