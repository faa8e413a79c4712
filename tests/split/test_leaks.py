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


def counted(frame, what):
    whole = {
        "number of events": pl.len(),
        "sum of values": pl.col("value").sum(),
        "mean value": pl.col("value").mean(),
        "last time": pl.col("time").max(),
    }[what]
    return frame.group_by("item").agg(whole.cast(pl.Float64).alias("score"))


STATISTICS = ["number of events", "sum of values", "mean value", "last time"]


@pytest.mark.parametrize("label", STATISTICS)
def test_a_feature_computed_with_the_test_rows(label):
    early, late = halves()
    whole, honest = counted(pl.concat([early, late]), label), counted(early, label)
    leaking = tw.split.from_parts(build(early, items=whole), build(late, items=whole))
    sound = tw.split.from_parts(build(early, items=honest), build(late))
    (leak,) = find_leaks(leaking)
    assert leak.kind == "feature"
    assert f"item feature 'score' is the {label}" in leak.message
    assert len(leak.rows) >= 3
    assert find_leaks(sound) == []


@pytest.mark.parametrize("label", STATISTICS)
def test_a_feature_computed_from_the_test_rows_alone(label):
    early, late = halves()
    (leak,) = find_leaks(tw.split.from_parts(build(early, items=counted(late, label)), build(late)))
    assert (
        f"item feature 'score' is the {label} over test events" in leak.message
        or label == "last time"
    )


@pytest.mark.parametrize("label", ["number of events", "mean value"])
def test_a_feature_computed_from_the_whole_log_where_there_is_validation(label):
    data = planted_log()
    everything = build(data.frame(), items=counted(data.frame(), label))
    for split in (
        tw.split.temporal(everything, test=0.2, validation=0.2),
        tw.split.user_disjoint(everything, test=0.2, validation=0.2, rng=0),
    ):
        (leak,) = find_leaks(split)
        assert f"item feature 'score' is the {label} over the whole log" in leak.message


@pytest.mark.parametrize(
    "disguise",
    [
        pl.col("score").log(),
        pl.col("score") / pl.col("score").sum(),
        (pl.col("score") - pl.col("score").mean()) / pl.col("score").std(),
        pl.col("score").rank("ordinal", descending=True).cast(pl.Float64),
    ],
)
@pytest.mark.parametrize("label", ["number of events", "mean value"])
def test_disguises_are_seen_through(label, disguise):
    early, late = halves()
    whole = counted(pl.concat([early, late]), label).with_columns(disguise.alias("score"))
    (leak,) = find_leaks(tw.split.from_parts(build(early, items=whole), build(late)))
    assert "rises or falls with the" in leak.message
    honest = counted(early, label).with_columns(disguise.alias("score"))
    assert find_leaks(tw.split.from_parts(build(early, items=honest), build(late))) == []


def test_parts_of_a_vector_are_numbers_too():
    early, late = halves()
    whole = counted(pl.concat([early, late]), "mean value")
    noise = np.random.default_rng(0).random(len(whole))
    vectors = {"item": whole["item"], "both": [[a, b] for a, b in zip(noise, whole["score"])]}
    train = build(early, items=vectors, item_features={"both": "vector"})
    (leak,) = find_leaks(tw.split.from_parts(train, build(late)))
    assert "item feature 'both[1]' is the mean value" in leak.message


def test_when_somebody_joined_is_known_beforehand():
    """The time of the first event is no leak, even where the first event is held out."""
    data = planted_log()
    joined = data.frame().group_by("user").agg(pl.col("time").min().alias("joined"))
    whole = build(data.frame(), users=joined, user_features={"joined": "time"})
    assert find_leaks(tw.split.random(whole, test=0.3, rng=0)) == []


def test_a_random_feature_raises_no_alarm():
    early, late = halves()
    users = {"user": np.arange(40) + 100, "age": np.random.default_rng(0).integers(18, 80, 40)}
    assert (
        find_leaks(tw.split.from_parts(build(early, users=users), build(late, users=users))) == []
    )


@pytest.mark.parametrize("events", [1, 2])
def test_as_many_test_events_for_everybody_tell_no_order(events):
    ages = np.random.default_rng(0).integers(18, 80, 40)
    users = {"user": np.arange(40) + 100, "age": ages}
    data = build(planted_log().frame(), users=users, user_features={"age": "number"})
    split = tw.split.leave_last(data, n=events)
    assert set(np.bincount(split.test.interactions.user)) == {events}
    assert find_leaks(split) == []


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


def test_what_lies_between_may_not_be_later_than_the_test_cut():
    early, late = halves()
    cut = int(late["time"].min())
    parts = tw.split.from_parts(build(early), build(late.head(50)), build(late.tail(3)))
    (leak,) = find_leaks(replace(parts, cut=cut))
    assert leak.kind == "time"
    assert "3 validation events are not earlier than the test cut" in leak.message
    told = tw.split.user_disjoint(planted_log(), test=0.2, validation=0, rng=0)
    cut = int(told.train.interactions.time.max()) + 1
    late_history = int((told.test_history.interactions.time >= cut).sum())
    leaks = find_leaks(replace(told, cut=cut - 10**6))
    assert "test history events are not earlier" in leaks[-1].message
    assert late_history >= 0


def test_validation_and_test_may_not_share_pairs():
    early, late = halves()
    both = pl.concat([late.tail(20), late.head(4)])
    split = tw.split.from_parts(build(early), build(late.head(50)), build(both))
    (leak,) = find_leaks(split)
    assert leak.kind == "pair"
    assert "4 test events repeat a validation pair" in leak.message


def test_where_repeats_are_allowed_only_the_same_moment_leaks():
    early, late = halves()
    again = early.head(5).with_columns(pl.col("time") + 10**8)
    sound = tw.split.from_parts(build(early), build(pl.concat([late, again])), repeats="keep")
    assert find_leaks(sound) == []
    same = pl.concat([late, again, early.tail(2)])
    (leak,) = find_leaks(tw.split.from_parts(build(early), build(same), repeats="keep"))
    assert len(leak.rows) == 2
    untimed = early.drop("time")
    log = tw.Dataset.from_frames(untimed, user="user", item="item", value="value")
    (leak,) = find_leaks(tw.split.from_parts(log, log, repeats="keep"))
    assert len(leak.rows) == len(early)
