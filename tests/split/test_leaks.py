"""Five planted leaks, each reported with its rows; no alarm on clean data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.errors import LeakError
from twofold.split import check_leaks, find_leaks
from twofold.split.leaks import remembered_targets
from twofold.testing import planted_log


def build(frame, **more):
    return tw.Dataset.from_frames(
        frame, user="user", item="item", value="value", time="time", **more
    )


def halves():
    frame = planted_log().frame().sort("time")
    return frame.head(250), frame.tail(len(frame) - 250)


def kinds(split):
    return [leak.kind for leak in find_leaks(split)]


def test_clean_data_raise_no_alarm():
    early, late = halves()
    check_leaks(tw.split.from_parts(build(early), build(late)))


def test_a_pair_on_both_sides():
    early, late = halves()
    both = pl.concat([late, early.head(2)])
    split = tw.split.from_parts(build(early), build(both))
    (leak,) = find_leaks(split)
    assert leak.kind == "pair"
    frame = split.test.frame()
    guilty = set(frame[list(leak.rows)].select("user", "item").rows())
    assert guilty == set(early.head(2).select("user", "item").rows())
    with pytest.raises(LeakError, match="2 test events repeat a training pair: row") as caught:
        check_leaks(split)
    assert caught.value.rows == leak.rows


def test_training_later_than_the_cut():
    early, late = halves()
    cut = int(late["time"].min())
    swapped = pl.concat([early, late.tail(3)])
    split = replace(tw.split.from_parts(build(swapped), build(late.head(50))), cut=cut)
    (leak,) = find_leaks(split)
    assert leak.kind == "time"
    assert len(leak.rows) == 3
    assert (split.train.frame()[list(leak.rows)]["time"] >= cut).all()


@pytest.mark.parametrize(
    ("label", "statistic"),
    [
        ("number of events", pl.len()),
        ("mean value", pl.col("value").mean()),
        ("last time", pl.col("time").max()),
    ],
)
def test_a_feature_computed_with_the_test_rows(label, statistic):
    early, late = halves()
    whole = pl.concat([early, late]).group_by("item").agg(statistic.alias("score"))
    honest = early.group_by("item").agg(statistic.alias("score"))
    leaking = tw.split.from_parts(build(early, items=whole), build(late, items=whole))
    sound = tw.split.from_parts(build(early, items=honest), build(late))
    (leak,) = find_leaks(leaking)
    assert leak.kind == "feature"
    assert f"item feature 'score' is the {label}" in leak.message
    assert len(leak.rows) >= 3
    assert find_leaks(sound) == []


def test_a_random_feature_raises_no_alarm():
    early, late = halves()
    users = {"user": np.arange(40) + 100, "age": np.random.default_rng(0).integers(18, 80, 40)}
    assert (
        find_leaks(tw.split.from_parts(build(early, users=users), build(late, users=users))) == []
    )


def test_a_history_that_holds_the_target():
    split = tw.split.user_disjoint(planted_log(), test=0.2, rng=0)
    everything = pl.concat([split.test_history.frame(), split.test.frame().head(4)])
    leaking = replace(split, test_history=build(everything))
    (leak,) = find_leaks(leaking)
    assert leak.kind == "history"
    assert len(leak.rows) == 4


def test_a_history_of_somebody_who_is_in_training():
    early, late = halves()
    split = replace(
        tw.split.from_parts(build(early), build(late)), test_history=build(early.head(5))
    )
    assert set(kinds(split)) == {"history"}


def test_ids_that_exist_only_after_the_cut():
    early, late = halves()
    new = late.head(3).with_columns(item=pl.lit("i999"), user=pl.Series([100, 101, 102]))
    catalogue = {"item": [*planted_log().items.ids.ids, "i999"]}
    train = build(early, items=catalogue)
    split = tw.Split(train=train, test=build(pl.concat([late, new])))
    (leak,) = find_leaks(split)
    assert leak.kind == "id"
    assert [train.items.ids[row] for row in leak.rows] == ["i999"]
    assert find_leaks(tw.split.from_parts(train, split.test)) == []


def test_a_model_that_was_trained_on_the_test_events():
    data = planted_log()
    split = tw.split.random(data, rng=0)
    model = tw.models.Popularity()
    for train, expected in ((data, len(split.test)), (split.train, 0)):
        memory = model.fit(train).memory
        leaks = remembered_targets(memory.users, memory.items, memory.history, split, "test")
        assert sum(len(one.rows) for one in leaks) == expected


def test_several_leaks_are_told_at_once():
    early, late = halves()
    cut = int(late["time"].min())
    both = pl.concat([early, late.head(3)])
    split = replace(tw.split.from_parts(build(both), build(late)), cut=cut)
    assert kinds(split) == ["pair", "time"]
