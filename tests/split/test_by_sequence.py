"""The last basket and the last trajectories of each user, against loops over the users."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import ConfigError, DataError


def random_log(seed, n=150):
    rng = np.random.default_rng(seed)
    log = {"user": rng.integers(0, 15, n), "item": rng.integers(0, 8, n)}
    log |= {"time": rng.integers(0, 60, n), "bill": rng.integers(0, 6, n).astype(str)}
    frame = pl.DataFrame(log).unique(maintain_order=True)
    return tw.Dataset.from_frames(
        frame, user="user", item="item", time="time", context={"bill": "category"}
    )


def runs(rows, cut):
    found = []
    for row in rows:
        if found and not cut(found[-1][-1], row):
            found[-1].append(row)
        else:
            found.append([row])
    return found


def expected(data, cut, held):
    """Rows of training, validation and test; `held` says how many runs of n go to (test, validation)."""
    parts = [[], [], []]
    for part in data.frame().partition_by("user", maintain_order=True):
        found = runs(part.rows(), cut)
        test, validation = held(len(found))
        first, second = len(found) - test - validation, len(found) - test
        for at, run in enumerate(found):
            parts[0 if at < first else 1 if at < second else 2] += run
    return parts


def rows_of(split):
    parts = (split.train, split.validation, split.test)
    return [[] if one is None else one.frame().rows() for one in parts]


@given(seed=st.integers(0, 500), validation=st.booleans())
@settings(deadline=None, max_examples=25)
def test_last_basket_is_what_each_user_took_last(seed, validation):
    data = random_log(seed)
    most = 2 if validation else 1
    wanted = expected(
        data,
        lambda a, b: a[2] != b[2],
        lambda n: (int(n > most), int(n > most and validation)),
    )
    split = tw.split.last_basket(data, validation=validation)
    assert rows_of(split) == wanted
    assert split.repeats
    assert tw.split.find_leaks(split) == []


@given(
    seed=st.integers(0, 500),
    share=st.sampled_from([0.1, 0.3, 0.5]),
    validation=st.sampled_from([0.0, 0.2]),
    gap=st.sampled_from([0, 3, 10]),
)
@settings(deadline=None, max_examples=25)
def test_last_trajectories_leave_the_floor_of_the_rest_and_at_least_one(
    seed, share, validation, gap
):
    data = random_log(seed)

    def held(n):
        test = n - max(1, math.floor((1 - share) * n + 1e-9))
        both = n - max(1, math.floor((1 - share - validation) * n + 1e-9))
        return test, both - test

    wanted = expected(data, lambda a, b: b[2] - a[2] > gap, held)
    if not wanted[2]:
        with pytest.raises(DataError, match="the test part of last_trajectories"):
            tw.split.last_trajectories(data, share=share, gap=gap, validation=validation)
        return
    split = tw.split.last_trajectories(data, share=share, gap=gap, validation=validation)
    assert rows_of(split) == wanted
    assert tw.split.find_leaks(split) == []


def test_baskets_and_sessions_may_be_told_by_a_column_where_there_are_no_times():
    log = {"u": [1] * 6, "i": list("abacab"), "s": list("xxyyzz")}
    data = tw.Dataset.from_frames(log, user="u", item="i", context={"s": "category"})
    for split in (
        tw.split.last_basket(data, basket="s"),
        tw.split.last_trajectories(data, session="s"),
    ):
        assert split.test.frame()["item"].to_list() == ["a", "b"]
        assert split.train.frame()["item"].to_list() == list("abac")
        assert tw.split.find_leaks(split) == []  # repeats without times are no leak
        model = tw.models.Popularity().fit(split.train)
        assert tw.evaluate(model, split, ["recall@2"])["recall@2"] == 1.0


def test_users_with_one_basket_or_one_trajectory_train_only():
    log = {"u": [1, 1, 2, 2], "i": list("abab"), "t": [0, 9 * 3600, 5, 5]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    for split in (
        tw.split.last_basket(data),
        tw.split.last_trajectories(data, gap=6 * 3600),
    ):
        assert split.test.frame().rows() == [(1, "b", 9 * 3600)]
        assert len(split.train) == 3
    dropped = {"u": [1, 1, 1], "i": list("aab"), "t": [0, 1, 1]}
    data = tw.Dataset.from_frames(dropped, user="u", item="i", time="t")
    split = tw.split.last_basket(data, repeats="drop")
    assert split.test.frame()["item"].to_list() == ["b"]
    (note,) = split.notes
    assert note.startswith("1 later events of pairs seen before were left out; ")
    assert "--split-option repeats=keep" in note


def test_wrong_settings_and_data_are_refused():
    data = random_log(0)
    with pytest.raises(ConfigError, match="needs gap=, in seconds, or session="):
        tw.split.last_trajectories(data)
    with pytest.raises(ConfigError, match=r"below 1; got 0.6 \+ 0.4"):
        tw.split.last_trajectories(data, share=0.6, validation=0.4, gap=1)
    with pytest.raises(ConfigError, match="share must be a share"):
        tw.split.last_trajectories(data, share=0, gap=1)
    with pytest.raises(ConfigError, match="did you mean 'bill'"):
        tw.split.last_basket(data, basket="bil")
    timeless = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i")
    with pytest.raises(DataError, match="baskets needs times"):
        tw.split.last_basket(timeless)
    once = tw.Dataset.from_frames({"u": [1], "i": [1], "t": [1]}, user="u", item="i", time="t")
    with pytest.raises(DataError, match="the test part of last_basket"):
        tw.split.last_basket(once)
