"""What each unit did, against a brute-force reading of the definitions."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.errors import ConfigError, DataError
from twofold.online.logs import event_log, exposure_log
from twofold.online.outcomes import (
    ClickThrough,
    Conversion,
    Retention,
    Revenue,
    WatchTime,
    answered,
    arm_of,
    outcomes,
    outcomes_at,
    units_of,
)

HOUR, DAY = 3600.0, 86400.0
UNITS, ITEMS, REQUESTS = list("uvw"), list("xyz"), ["r1", "r2", "r3"]
times = st.integers(0, 40).map(lambda one: one * HOUR / 4)
maybe = lambda one: st.none() | one  # noqa: E731
exposure = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(UNITS),
        "variant": st.sampled_from("ab"),
        "time": times,
        "request": maybe(st.sampled_from(REQUESTS)),
        "items": maybe(st.lists(st.sampled_from(ITEMS), max_size=3)),
    }
)
event = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(UNITS),
        "kind": st.sampled_from(["click", "purchase", "watch"]),
        "time": times,
        "item": maybe(st.sampled_from(ITEMS)),
        "value": maybe(st.integers(0, 9)),
        "request": maybe(st.sampled_from([*REQUESTS, "elsewhere"])),
    }
)
SHOWN = {"unit": pl.String, "variant": pl.String, "time": pl.Float64, "request": pl.String, "items": pl.List(pl.String)}  # fmt: skip
DONE = {"unit": pl.String, "kind": pl.String, "time": pl.Float64, "item": pl.String, "value": pl.Float64, "request": pl.String}  # fmt: skip


def logs(shown, done):
    return exposure_log(pl.DataFrame(shown, schema=SHOWN)).frame, event_log(pl.DataFrame(done, schema=DONE)).frame  # fmt: skip


def brute_answers(shown, done, window):
    """The rule read out: each click goes to the latest exposure that it may answer."""
    rows = list(shown.iter_rows(named=True))
    known = {(one["unit"], one["request"]) for one in rows if one["request"] is not None}
    hits = [False] * len(rows)
    for click in done.filter(pl.col("kind") == "click").iter_rows(named=True):
        best = None
        for at, one in enumerate(rows):
            if one["unit"] != click["unit"] or not 0 <= click["time"] - one["time"] <= window:
                continue
            asked = click["request"]
            if asked is not None:
                if (click["unit"], asked) in known:
                    if one["request"] != asked:
                        continue
                elif one["request"] is not None:
                    continue
            if click["item"] is not None and one["items"] is not None and click["item"] not in one["items"]:  # fmt: skip
                continue
            best = at
        if best is not None:
            hits[best] = True
    return hits


@given(st.lists(exposure, min_size=1, max_size=12), st.lists(event, max_size=12), st.sampled_from([0.25, 1, 5]))  # fmt: skip
@settings(max_examples=150)
def test_answers_are_those_of_the_rule(shown, done, window):
    exposures, events = logs(shown, done)
    # Exposures of one unit at one moment are told apart by nothing: leave such logs to the order of rows.
    if exposures.select("unit", "time").is_duplicated().any():
        return
    found = answered(exposures, events, ClickThrough(window_hours=window)).is_finite().to_list()
    assert found == brute_answers(exposures, events, window * HOUR)


@given(st.lists(exposure, min_size=1, max_size=10), st.lists(event, max_size=14), times)
@settings(max_examples=80)
def test_sums_of_units_are_those_of_the_rule(shown, done, until):
    exposures, events = logs(shown, done)
    units = units_of(exposures, ["a", "b"])
    metrics = [
        Conversion(window_hours=2),
        Revenue(window_hours=3, most=10),
        WatchTime(window_hours=1),
        Retention(after_hours=1, window_hours=2),
        Retention(event="purchase", after_hours=0, window_hours=2),
    ]
    first = {}
    for one in exposures.iter_rows(named=True):
        first.setdefault(one["unit"], []).append(one)
    for metric in metrics:
        after = getattr(metric, "after_hours", 0) * HOUR
        expected = {}
        for unit, rows in first.items():
            start = rows[0]["time"]
            if len({one["variant"] for one in rows}) > 1 or start + after + metric.window_hours * HOUR > until:  # fmt: skip
                continue
            inside = [
                one
                for one in events.iter_rows(named=True)
                if one["unit"] == unit
                and one["kind"] == (metric.event or one["kind"])
                and 0 <= one["time"] - start - after < metric.window_hours * HOUR
            ]
            many = len(inside)
            if metric.kind == "retention" and not metric.event:
                many += sum(0 <= one["time"] - start - after < metric.window_hours * HOUR for one in rows)  # fmt: skip
            if metric.kind in ("conversion", "retention"):
                expected[unit] = float(many > 0)
            else:
                total = sum(one["value"] or 0 for one in inside)
                expected[unit] = float(total if metric.most is None else min(total, metric.most))
        found = outcomes(units, exposures, events, metric, until=until)
        assert dict(found.select("unit", "total").iter_rows()) == expected


@given(st.lists(exposure, min_size=1, max_size=10), st.lists(event, max_size=10), st.lists(times, min_size=1, max_size=4))  # fmt: skip
@settings(max_examples=80)
def test_outcomes_at_many_moments_are_those_of_each_moment(shown, done, moments):
    exposures, events = logs(shown, done)
    units = units_of(exposures, ["a", "b"])
    for metric in (ClickThrough(), Revenue(window_hours=2)):
        many = outcomes_at(units, exposures, events, metric, sorted(moments), before_days=1)
        for moment, found in zip(sorted(moments), many):
            alone = outcomes(units, exposures, events, metric, until=moment, before_days=1)
            if exposures["request"].is_null().all():  # a request shown later may claim its event
                assert found.equals(alone)
            assert found["unit"].to_list() == alone["unit"].to_list()


def test_what_was_done_before_is_counted_before_alone():
    shown, done = logs(
        [{"unit": "u", "variant": "a", "time": 10 * DAY, "request": None, "items": None}],
        [
            {"unit": "u", "kind": "purchase", "time": t * DAY, "item": None, "value": v, "request": None}
            for t, v in ((1, 100), (8, 3), (9.9, 4), (10, 50), (10.5, 60))
        ],
    )  # fmt: skip
    row = outcomes(units_of(shown, ["a"]), shown, done, Revenue(), until=12 * DAY, before_days=5)
    assert row.select("total", "before").row(0) == (110.0, 7.0)
    none = outcomes(units_of(shown, ["a"]), shown, done, Revenue(), until=12 * DAY)
    assert math.isnan(none["before"][0])


def test_a_unit_in_two_variants_and_a_foreign_variant_are_left_out_and_counted():
    shown, _ = logs(
        [
            {"unit": u, "variant": v, "time": 0.0, "request": None, "items": None}
            for u, v in (("u", "a"), ("u", "b"), ("v", "a"), ("w", "other"))
        ],
        [],
    )
    made = units_of(shown, ["a", "b"])
    assert (made.frame["unit"].to_list(), made.crossed, made.foreign) == (["v"], 1, 1)


def test_exposures_logged_twice_and_events_sent_twice_count_once():
    shown = exposure_log(
        pl.DataFrame({"unit": ["u", "u", "v", "v"], "variant": ["a"] * 4, "time": [5, 4, 1, 1], "request": ["r", "r", None, None]})
    )  # fmt: skip
    assert (len(shown.frame), shown.repeated) == (2, 2)
    assert shown.frame.filter(pl.col("unit") == "u")["time"].to_list() == [4.0]
    done = event_log(
        pl.DataFrame({"unit": [1, 1, 1], "kind": ["click"] * 3, "time": [3, 2, 1], "event": ["e", "e", None]})
    )  # fmt: skip
    assert done.frame["time"].to_list() == [1.0, 2.0]
    assert done.repeated == 1


def test_a_clock_that_goes_backwards_answers_nothing():
    shown, done = logs(
        [{"unit": "u", "variant": "a", "time": 100.0, "request": "r1", "items": ["x"]}],
        [{"unit": "u", "kind": "click", "time": 99.0, "item": "x", "value": None, "request": "r1"}],
    )
    assert answered(shown, done, ClickThrough()).to_list() == [math.inf]


def test_times_may_be_datetimes_dates_texts_or_seconds():
    stamps = pl.Series(["1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z"])
    for column in (
        stamps,
        stamps.str.to_datetime(time_zone="UTC"),
        stamps.str.to_datetime(time_zone="UTC").dt.convert_time_zone("Asia/Tokyo"),
        stamps.str.to_datetime(time_zone="UTC").dt.replace_time_zone(None),
        stamps.str.to_datetime(time_zone="UTC").dt.date(),
        pl.Series([86400, 172800]),
    ):
        made = exposure_log(pl.DataFrame({"unit": ["u", "v"], "variant": "a", "time": column}))
        assert made.frame["time"].to_list() == [DAY, 2 * DAY]


def test_lists_in_a_csv_are_read():
    for text in ('["x", "y"]', "x|y", "[x,y]"):
        made = exposure_log(pl.DataFrame({"unit": ["u"], "variant": ["a"], "time": [1], "items": [text]}))  # fmt: skip
        assert made.frame["items"].to_list() == [["x", "y"]]


BASE = {"unit": ["u", "v"], "variant": ["a", "a"], "time": [1.0, 2.0]}
EVENT = {"unit": ["u", "v"], "kind": ["click", "click"], "time": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: exposure_log(pl.DataFrame({"unit": ["u"], "variant": ["a"], "tmie": [1]})), "no column 'time'.*did you mean 'tmie'"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "unit": ["u", None]})), "no unit in 1 rows, first in row 1"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "time": [1.0, np.nan]})), "not finite, in row 1"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "time": ["1970-01-01T00:00:00Z", "soon"]})), "not ISO 8601"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "time": [1, 1793491200000]})), "in row 1, which is after the year 9999.*not milliseconds"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "time": [[1], [2]]})), "times of type"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "propensities": ["a|b", "c"]})), "not lists of Float64"),
        (lambda: exposure_log(pl.DataFrame({**BASE, "items": [1, 2]})), "they must be lists"),
        (lambda: event_log(pl.DataFrame({**EVENT, "value": [1.0, np.inf]})), "value that is not finite, in row 1"),
        (lambda: event_log(pl.DataFrame({**EVENT, "value": ["1", "2"]})), "values of type String"),
        (lambda: arm_of(outcomes(units_of(exposure_log(pl.DataFrame(BASE)).frame, ["a"]), exposure_log(pl.DataFrame(BASE)).frame, event_log(pl.DataFrame(EVENT)).frame, ClickThrough()), "b"), "no units that count yet"),
    ],
)  # fmt: skip
def test_bad_logs_are_one_sentence(call, said):
    with pytest.raises(DataError, match=said):
        call()


def test_a_wrong_metric_is_one_sentence():
    with pytest.raises(ConfigError, match="did you mean 'window_hours'"):
        Conversion(window_hour=3)
    with pytest.raises(ConfigError, match="greater than 0"):
        Revenue(window_hours=0)
