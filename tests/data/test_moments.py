"""Moments against the calendar of the standard library, regions against distances on the sphere."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data.columns import NO_TIME
from twofold.data.moments import (
    LEVELS,
    WEEKDAYS,
    moment,
    moments,
    regions,
    with_moments,
    with_regions,
)
from twofold.errors import ConfigError, DataError, DataWarning

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    seconds=st.integers(-(10**10), 10**11),
    offset=st.integers(-14 * 60, 14 * 60),
)
@settings(deadline=None, max_examples=200)
def test_moments_are_those_of_the_calendar(seconds, offset):
    local = (EPOCH + timedelta(seconds=seconds)).astimezone(timezone(timedelta(minutes=offset)))
    time = np.array([seconds])
    found = {name: moment(time, name, offset=offset).series()[0] for name in LEVELS}
    assert found == {
        "hour": str(local.hour),
        "weekday": WEEKDAYS[local.weekday()],
        "weekend": "weekend" if local.weekday() >= 5 else "working day",
        "hour_of_week": str(24 * local.weekday() + local.hour),
    }


def log(**more):
    frame = {"u": [1, 1, 2], "i": list("aba"), "t": [0, 3600, 10 * 3600], **more}
    context = dict.fromkeys(more, "category")
    return tw.Dataset.from_frames(frame, user="u", item="i", time="t", context=context)


def test_a_dataset_gets_the_columns_that_are_named():
    made = with_moments(log(), "hour", "weekday", offset=-60)
    assert made.frame().columns == ["user", "item", "time", "hour", "weekday"]
    assert made.frame()["hour"].to_list() == ["23", "0", "9"]
    assert made.frame()["weekday"].to_list() == ["Wednesday", "Thursday", "Thursday"]
    assert set(with_moments(log()).interactions.context) == set(LEVELS)
    # A part and a question have the codes of the whole.
    part = made.part(np.array([2]))
    assert part.interactions.context["hour"].codes.tolist() == [9]
    again = tw.Dataset.from_frames(
        made.frame(), user="user", item="item", time="time", context={"hour": "category"}
    )
    assert again.frame()["hour"].to_list() == ["23", "0", "9"]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_an_offset_may_stand_in_a_column(kind):
    frame = {"u": [1, 1, 2], "i": list("aba"), "t": [0, 3600, 7200], "zone": [-60, 330, None]}
    data = tw.Dataset.from_frames(frame, user="u", item="i", time="t", context={"zone": kind})
    assert with_moments(data, "hour", offset="zone").frame()["hour"].to_list() == ["23", "6", None]


def test_a_question_is_asked_with_the_moments_of_its_time():
    asked = moments(["2024-02-02T23:30:00Z", None], "hour", "weekend", offset=[60, 0])
    assert asked == {"hour": ["0", None], "weekend": ["weekend", None]}
    assert moments([0, 86_400 * 365], "hour_of_week")["hour_of_week"][0] == "72"
    assert moment(np.array([NO_TIME]), "hour").codes.tolist() == [-1]
    assert moments([], "hour") == {"hour": []}


def test_wrong_moments_are_refused_in_one_sentence():
    timeless = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i")
    with pytest.raises(DataError, match="moments need times and the log has none"):
        with_moments(timeless)
    with pytest.raises(ConfigError, match=r"no moment 'weekdays'; .*did you mean 'weekday'"):
        with_moments(log(), "weekdays")
    with pytest.raises(DataError, match="within 1,560 minutes; got -18000: give minutes"):
        with_moments(log(), offset=-18_000)
    with pytest.raises(ConfigError, match=r"no context column .zones.: .*'zone'"):
        with_moments(log(zone=["1", "2", "3"]), offset="zones")
    with pytest.raises(ConfigError, match="'zone' is a category and must hold minutes"):
        with_moments(log(zone=["EST", "CET", "CET"]), offset="zone")
    with pytest.raises(ConfigError, match="offset must be minutes or the name of a column"):
        with_moments(log(), offset=True)
    with pytest.raises(ConfigError, match="got 2 for 1 times"):
        moments([0], offset=[1, 2])


def sphere(a, b):
    """Kilometres along the great circle."""
    (p, x), (q, y) = np.radians(a), np.radians(b)
    h = np.sin((q - p) / 2) ** 2 + np.cos(p) * np.cos(q) * np.sin((y - x) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(h))


@given(
    latitude=st.floats(-85, 85),
    longitude=st.floats(-180, 180),
    cell=st.sampled_from([0.1, 1.0, 25.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=100)
def test_a_cell_is_as_wide_as_it_says_and_the_same_in_every_log(latitude, longitude, cell, seed):
    rng = np.random.default_rng(seed)
    near = np.array([latitude, longitude]) + rng.normal(0, 0.5 * cell / 111, (40, 2))
    near[:, 1] = (near[:, 1] + 180) % 360 - 180
    found = regions(near, cell_km=cell)
    for level in np.unique(found.codes):
        inside = near[found.codes == level]
        far = max(sphere(a, b) for a in inside for b in inside)
        assert far <= 1.5 * cell * np.sqrt(2)
    assert regions(near[3:4], cell_km=cell).series()[0] == found.series()[3]
    spread = {sphere(near[0], b) > 3 * cell and found.codes[0] == c for b, c in zip(near, found.codes, strict=True)}  # fmt: skip
    assert True not in spread


def test_items_with_a_place_get_a_region():
    frame = {"u": [1, 1, 2], "i": list("abc")}
    spots = {"i": list("abc"), "place": [[40.7306, -73.9866], [40.7307, -73.9867], [None, None]]}
    data = tw.Dataset.from_frames(
        frame, user="u", item="i", items=pl.DataFrame(spots), item_features={"place": "place"}
    )
    made = with_regions(data, cell_km=5)
    region = made.items.features["region"]
    assert region.codes.tolist() == [0, 0, -1]
    assert "region" not in made.interactions.context
    told = with_regions(data, cell_km=5, context=True).frame()["region"].to_list()
    assert told == [region.series()[0]] * 2 + [None]
    south, west = (float(one) for one in told[0].split(","))
    assert 0 <= 40.7306 - south < 5 / 111.1
    assert 0 <= -73.9866 - west < 5 / (111.1 * np.cos(np.radians(40.8)))
    with pytest.raises(
        ConfigError, match=r"no item feature 'spot' of the kind place; allowed: place"
    ):
        with_regions(data, place="spot")
    with pytest.raises(ConfigError, match=r"latitude and longitude"):
        with_regions(log())
    with pytest.raises(ConfigError, match=r"cell_km must be 0\.01"):
        with_regions(data, cell_km=0)
    with pytest.raises(DataError, match=r"in row 1: are they the wrong way round"):
        regions(np.array([[1.0, 2.0], [-120.0, 40.0]]))


def test_latitude_and_longitude_are_one_place(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user,venue,Lat,LNG\na,1,40.70012345678,-74\na,2,40.8,-74.1\nb,1,0,0\n")
    data = tw.Dataset.read(log, items=log)
    assert data.items.features["place"].values.tolist()[0] == [40.70012345678, -74.0]
    assert any("Lat and LNG of the items were read as their place" in one for one in data.notes)
    assert "region" in tw.with_regions(data).items.features
    # The id column may be called place too, and a place that is asked for is the same one.
    frame = {"u": ["a", "a"], "place": [1, 2]}
    items = {"place": [1, 2], "latitude": [40.7, None], "longitude": [-74.0, -74.1]}
    for features in (None, {"place": "place"}):
        asked = tw.Dataset.from_frames(
            frame, user="u", item="place", items=items, item_features=features
        )
        found = asked.items.features["place"].values
        assert found[0].tolist() == [40.7, -74.0]
        assert np.isnan(found[1]).any()


@pytest.mark.parametrize(
    "items",
    [
        {"i": [1, 2], "lat": ["north", "south"], "lon": [1.0, 2.0]},
        {"i": [1, 2], "lat": [1.0, 2.0], "lon": [1.0, 2.0], "long": [1.0, 2.0]},
    ],
)
def test_other_columns_of_such_names_stay_what_they_are(items):
    data = tw.Dataset.from_frames({"u": [1, 1], "i": [1, 2]}, user="u", item="i", items=items)
    assert "place" not in data.items.features
    assert {"lat", "lon"} <= set(data.items.features)


@pytest.mark.parametrize(
    ("latitude", "longitude", "said"),
    [
        (
            [40.7, 91.0, 0.5],
            [120.0, 2.0, 3.0],
            r"91.0 in row 1 of 'lat' is none of -90 ... 90 degrees;",
        ),
        ([40.7, 9.0, 0.5], [1.0, 181.0, 3.0], r"181.0 in row 1 of 'lon' is none of -180 ... 180"),
        (["40.7", "x", "1"], ["1", "2", "3"], r"'x' in row 1 of 'lat'"),
        (
            [178.4, 179.0, 178.0],
            [-18.1, -18.0, -17.0],
            r"'lat' .* as if the two were the wrong way",
        ),
    ],
)
def test_what_keeps_degrees_from_being_a_place_is_told(latitude, longitude, said):
    log = {"u": ["a", "a", "b"], "i": [1, 2, 3]}
    items = {"i": [1, 2, 3], "lat": latitude, "lon": longitude}
    with pytest.warns(DataWarning, match=said):
        data = tw.Dataset.from_frames(log, user="u", item="i", items=items)
    assert "place" not in data.items.features


def test_degrees_with_a_decimal_comma_are_a_place_and_the_sea_off_ghana_is_noted():
    log = {"u": ["a", "a", "b"], "i": [1, 2, 3]}
    items = {"i": [1, 2, 3], "lat": ["38,72", "0", None], "lon": ["-9,14", "0,0", "1"]}
    data = tw.Dataset.from_frames(log, user="u", item="i", items=items)
    found = data.items.features["place"].values
    np.testing.assert_array_equal(found, [[38.72, -9.14], [0, 0], [np.nan, 1]])
    assert any("1 of the items have the place (0, 0)" in one for one in data.notes)
