"""What every split promises: nothing lost, nothing twice, and no leak."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.testing import planted_log

WAYS = {
    "random": lambda data, rng: tw.split.random(data, test=0.2, validation=0.1, rng=rng),
    "random per user": lambda data, rng: tw.split.random(
        data, test=0.2, validation=0.1, per_user=True, rng=rng
    ),
    "k_fold": lambda data, rng: tw.split.k_fold(data, folds=3, rng=rng)[1],
    "fixed_train": lambda data, rng: tw.split.fixed_train(data, n=2, rng=rng),
    "temporal": lambda data, rng: tw.split.temporal(data, test=0.2, validation=0.1),
    "leave_last": lambda data, rng: tw.split.leave_last(data, n=2, validation=True),
    "last_fraction": lambda data, rng: tw.split.last_fraction(data, test=0.3, validation=0.2),
    "cold_users": lambda data, rng: tw.split.cold_users(data, test=0.2, validation=0.1, rng=rng),
    "cold_items": lambda data, rng: tw.split.cold_items(data, test=0.2, validation=0.1, rng=rng),
    "user_disjoint": lambda data, rng: tw.split.user_disjoint(data, test=0.2, rng=rng),
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


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=15)
def test_every_event_is_in_exactly_one_part_and_nothing_leaks(way, seed):
    data = random_log(seed)
    split = WAYS[way](data, seed)
    parts = (
        split.train,
        split.validation,
        split.test,
        split.test_history,
        split.validation_history,
    )
    if way == "user_disjoint":
        assert set(events(*parts)) <= set(events(data))
        assert len(events(*parts)) == len(set(events(*parts)))
    else:
        assert events(*parts) == events(data)
    assert tw.split.find_leaks(split) == []


@pytest.mark.parametrize("way", WAYS)
def test_parts_know_only_their_own_ids(way):
    split = WAYS[way](planted_log(), 3)
    for part in (split.train, split.test):
        frame = part.frame()
        assert sorted(frame["user"].unique()) == part.users.ids.ids.to_list()
        assert sorted(frame["item"].unique()) == sorted(part.items.ids.ids.to_list())
        assert part.items.features["title"].values.null_count() == 0


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
        (lambda d: tw.split.random(d, test=0.6, validation=0.5), r"below 1; got 0.6 \+ 0.5"),
        (lambda d: tw.split.k_fold(d, folds=1), "folds must be an integer >= 2"),
        (lambda d: tw.split.leave_last(d, n=0), "n must be an integer >= 1; got 0"),
        (lambda d: tw.split.temporal(d, repeats="kep"), "did you mean 'keep'"),
    ],
)
def test_wrong_settings_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call(planted_log())


def test_impossible_data_are_refused_in_one_sentence():
    one = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i")
    with pytest.raises(DataError, match=r"part of random.* is empty"):
        tw.split.random(one)
    with pytest.raises(DataError, match="needs times and the log has none"):
        tw.split.temporal(one)
    flat = tw.Dataset.from_frames(
        {"u": [1, 2], "i": [1, 2], "t": [5, 5]}, user="u", item="i", time="t"
    )
    with pytest.raises(DataError, match="all events have one time"):
        tw.split.temporal(flat)
    with pytest.raises(DataError, match="part of random"):
        tw.split.default(flat)
