"""Times against Python's datetime, in every writing that is read."""

import contextlib
import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.data.columns import NO_TIME
from twofold.data.dataset import Dataset
from twofold.data.odd_times import in_future
from twofold.data.times import parse_times, seconds_of
from twofold.errors import DataError, DataWarning

UTC = dt.UTC
WRITINGS = [
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%d %H:%M:%S -0330",
    "%d.%m.%Y %H:%M", "%d %b %Y", "%d-%b-%Y", "%A, %d %B %Y %H:%M:%S GMT", "%b %d, %Y", "%B %d, %Y %I:%M %p",
    "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S +0000 %Y", "%m %d, %Y", "%Y%m%d", "%Y%m%d%H%M%S", "%s",
]  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2099, 1, 1))


def expected(moment, writing):
    """What is left of a moment in a writing, by Python's own parser."""
    if writing == "%s":
        return int(moment.replace(tzinfo=UTC).timestamp())
    fields = {
        "hour": "%H" in writing or "%I" in writing,
        "minute": "%M" in writing,
        "second": "%S" in writing,
    }
    kept = moment.replace(**{name: 0 for name, there in fields.items() if not there}, microsecond=0)
    ahead = {"+02:00": 7200, "-0330": -12600}
    shift = next((n for text, n in ahead.items() if text in writing), 0)
    return int(kept.replace(tzinfo=UTC).timestamp()) - shift


@pytest.mark.parametrize("writing", WRITINGS)
@settings(max_examples=15)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=6))
def test_every_writing_is_read_as_python_reads_it(writing, moments):
    if writing == "%s":
        text = [str(int(one.replace(tzinfo=UTC).timestamp())) for one in moments]
    else:
        text = [one.strftime(writing) for one in moments]
    made, _ = parse_times(pl.Series([None, *text, ""]), "t")
    assert made.tolist() == [NO_TIME, *(expected(one, writing) for one in moments), NO_TIME]


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_units_are_told_by_their_size(per_second, kind):
    raw = pl.Series([1_588_687_728 * per_second, 1_700_000_000 * per_second]).cast(kind)
    made, notes = parse_times(raw, "t")
    assert made.tolist() == [1_588_687_728, 1_700_000_000]
    assert bool(notes) == (per_second > 1)


@pytest.mark.parametrize("swap", [False, True])
def test_days_and_months_are_told_apart_by_what_is_above_12(swap):
    days = [dt.date(2020, 1, 2), dt.date(2020, 3, 31)]
    form = "%m/%d/%Y" if swap else "%d/%m/%Y"
    made, notes = parse_times(pl.Series([one.strftime(form) for one in days]), "t")
    assert made.tolist() == [
        int(dt.datetime(*one.timetuple()[:3], tzinfo=UTC).timestamp()) for one in days
    ]
    assert ("month first" in notes[0]) == swap


# A column, and what is said.
REFUSED = [
    (["2018-01-01", "1514764800", "12/31/2018"], "mixes formats"),
    (["1514764800", "2018-01-01"], "mixes formats"),
    (["2018-01-01", "12/31/2018"], "mixes formats: '2018-01-01' in row 0 and '12/31/2018' in row 1"),
    (["2018-01-01T00:00:00Z", "2018-01-01T00:00:00"], "mixes formats"),
    (["2018-01-01", "yesterday"], "such as '2018-01-01' in row 0; got 'yesterday' in row 1"),
    (["yesterday"], "got 'yesterday' in row 0"),
    (["2018-02-30"], "dates that exist; got '2018-02-30' in row 0"),
    (["2018-01-01 25:00"], "dates that exist"),
    (["01/02/2018"], "days from months"),
    (["13/02/2018", "02/13/2018"], "days first and days second"),
    (["32 Foo 2018"], "dates that exist"),
    ([1.5e9, 1.5e12], "mixes formats"),
    ([1_500_000_000, 1_500_000_000_000], "mixes formats"),
    ([1.5e9, float("inf")], "infinite"),
    ([True, False], "must hold times"),
    ([dt.timedelta(1)], "must hold times"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "sentence"), REFUSED)
def test_what_is_no_time_is_said(values, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        parse_times(pl.Series(values, strict=False), "t")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [[], [None, None], ["", None], [float("nan"), None]],
)
def test_columns_of_nothing_are_missing(values):
    assert (parse_times(pl.Series(values, strict=False), "t")[0] == NO_TIME).all()


def test_dates_zones_and_fractions():
    day = dt.datetime(2024, 1, 1, 12)
    assert parse_times(pl.Series([day.date(), None]), "t")[0].tolist() == [1704067200, NO_TIME]
    zoned = pl.Series([day]).dt.replace_time_zone("Europe/Berlin")
    assert parse_times(zoned, "t")[0].tolist() == [1704106800]
    assert parse_times(pl.Series([-1.5, 0.0, float("nan")]), "t")[0].tolist() == [-2, 0, NO_TIME]
    assert parse_times(pl.Series(["0", "100"]), "t")[0].tolist() == [0, 100]
    assert parse_times(pl.Series([20_000_000, 20_000_001]), "t")[0].tolist() == [
        20_000_000,
        20_000_001,
    ]
    assert parse_times(pl.Series(["1.5e9", "1500000001.25"]), "t")[0].tolist() == [
        1_500_000_000,
        1_500_000_001,
    ]


@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_calendar_times_are_counted_as_python_counts(moments):
    parts = [
        np.array([getattr(one, name) for one in moments], np.int64)
        for name in ("year", "month", "day", "hour", "minute", "second")
    ]
    made, good = seconds_of(*parts)
    assert good.all()
    assert made.tolist() == [
        int(one.replace(tzinfo=UTC, microsecond=0).timestamp()) for one in moments
    ]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["2024-01-01", "9999-12-31", "2300-01-01"], "2 of 3 times in the future, the latest 9999-12-31T00:00:00"),
        ([1_700_000_000, 13_300_000_000], "1 of 2 times in the future, the latest 2391-06-18T04:26:40"),
        ([13_300_000_000_000_000] * 2, "2 of 2 times in the future, the latest 2391-06-18T04:26:40"),
    ],
)  # fmt: skip
def test_times_in_the_future_are_told_with_their_number_and_the_latest(times, said):
    log = {"u": range(len(times)), "i": range(len(times)), "t": times}
    with pytest.warns(DataWarning, match=f"time column 't' has {said}; correct them"):
        data = Dataset.from_frames(log, user="u", item="i", time="t")
    assert data.notes[-1] == f"time column 't' has {said}"
    assert len(data) == len(times)


@pytest.mark.parametrize(
    "times", [[0, 1, 2], [2020, 2024], [45_000, 45_001], [1_000_000_000, 1_750_000_000]]
)
def test_orders_and_times_of_the_past_are_read_in_silence(times):
    log = {"u": range(len(times)), "i": range(len(times)), "t": times}
    assert not Dataset.from_frames(log, user="u", item="i", time="t").notes


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 1_700_000_000, 0], "2 of 3 times at 1970-01-01 or before, the earliest 1970-01-01T00:00:00"),
        ([-1_700_000_000, -1_600_000_000], "2 of 2 times at 1970-01-01 or before, the earliest 1916"),
        ([0, 60, 120], None),
        ([-60, 60, 120], None),
        ([1, 1_700_000_000, 2], None),
    ],
)  # fmt: skip
def test_times_that_stand_for_nothing_are_told(times, said):
    log = {"u": range(len(times)), "i": [0] * len(times), "t": times}
    with contextlib.nullcontext() if said is None else pytest.warns(DataWarning, match=said):
        data = Dataset.from_frames(log, user="u", item="i", time="t")
    assert any("1970-01-01 or before" in one for one in data.notes) == (said is not None)


def test_a_clock_of_another_zone_lies_not_in_the_future():
    now = 1_700_000_000
    assert in_future(np.array([now + 14 * 3_600, NO_TIME]), now, "t") is None
    assert in_future(np.array([now + 25 * 3_600, NO_TIME]), now, "t") is not None


@pytest.mark.parametrize("times", [[1e30], np.array([2**63 + 5], np.uint64), ["1e30"]], ids=str)
def test_a_number_beyond_64_bits_is_no_time(times):
    with pytest.raises(
        DataError, match=r"t must hold times; got .* in row 0, which no 64 bits hold"
    ):
        parse_times(pl.Series(times), "t")


def test_times_of_several_zones_are_told_and_an_offset_that_is_none_is_refused():
    here, there = "2024-01-01T08:00:00+02:00", "2024-01-02T08:00:00-03:30"
    times, notes = parse_times(pl.Series([here, there]), "t")
    assert times.tolist() == [1704088800, 1704195000]
    assert "several zones (-3.5 and +2 hours from UTC) and was read in UTC" in notes[0]
    assert parse_times(pl.Series([here, here.replace("08", "09")]), "t")[1] == []
    assert parse_times(pl.Series(["2024-01-01T08:00Z", "2024-01-01T08:00+00:00"]), "t")[1] == []
    for offset in ("+25:00", "-18:30", "+02:75"):
        odd = f"2024-01-01T08:00:00{offset}"
        with pytest.raises(
            DataError, match=re.escape(f"within 18 hours of UTC; got '{odd}' in row 1")
        ):
            parse_times(pl.Series([here, odd]), "t")
