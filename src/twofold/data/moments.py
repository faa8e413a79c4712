"""Contexts that times and places hold: hour, weekday, weekend, hour of the week, cell of a grid.

The same moment has the same code in every log, so that columns of training, of a held-out part and of a
question go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from twofold.data.columns import NO_TIME, Category, Column, Number, Vector, kind_of
from twofold.data.dataset import Dataset
from twofold.data.times import parse_times
from twofold.data.vocabulary import UNKNOWN, Vocabulary, factorize
from twofold.errors import ConfigError, DataError, did_you_mean, no_context
from twofold.expected import check_log
from twofold.typing import F64, I64

Moment = Literal["hour", "weekday", "weekend", "hour_of_week"]
MINUTE, HOUR, DAY = 60, 3_600, 86_400
"""In seconds."""
FIRST_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LEVELS: dict[Moment, tuple[str, ...]] = {
    "hour": tuple(str(one) for one in range(24)),
    "weekday": WEEKDAYS,
    "weekend": ("working day", "weekend"),
    "hour_of_week": tuple(str(one) for one in range(168)),
}
"""Name of each moment -> its levels; hours count from midnight, hours of the week from Monday midnight."""
FARTHEST = 26 * 60
"""Largest offset from UTC in minutes, and a little more than there is."""
LONGEST = 60
"""Characters of a name or value that are repeated."""
KM_A_DEGREE = 111.195
"""Kilometres of one degree of latitude on a sphere of radius 6,371 km."""


def with_moments(data: Dataset, *names: Moment, offset: float | str = 0) -> Dataset:
    """Return the dataset with context columns made of the times of its events.

    Parameters
    ----------
    data
        A log with times.
    names
        ``hour`` (0 ... 23), ``weekday`` (Monday ... Sunday), ``weekend`` (working day, weekend),
        ``hour_of_week`` (0 ... 167 from Monday midnight); none named = all four. A column of such a name
        that is there already is replaced.
    offset
        Minutes that local time is ahead of UTC, -1,560 ... 1,560: a number, or the name of a context column
        that says it for each event (a number, or a category of integers). Where it is missing so is the moment.

    Raises
    ------
    DataError
        If the log has no times, or an offset is out of range.
    ConfigError
        If there is no such moment or column.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1], "i": ["a", "b"], "t": ["2024-02-02T23:30:00Z", "2024-02-03T08:00:00Z"]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> with_moments(data, "hour", "weekend", offset=60).frame().select("hour", "weekend").rows()
    [('0', 'weekend'), ('9', 'weekend')]
    """
    check_log(data, "with_moments")
    if listed := [one for one in names if not isinstance(one, str)]:
        raise ConfigError(
            f"with_moments takes names one by one, as in with_moments(data, 'hour', 'weekday'); got {listed[0]!r}"
        )
    events = data.interactions
    if events.time is None:
        raise DataError("moments need times and the log has none; name its time column")
    minutes = _told_offset(offset, events.context)
    made = {name: moment(events.time, name, offset=minutes) for name in names or tuple(LEVELS)}
    return replace(data, interactions=replace(events, context={**events.context, **made}))


def moments(
    times: Iterable[Any] | pl.Series, *names: Moment, offset: float | Iterable[float] = 0
) -> dict[str, list[str | None]]:
    """Return the moments of some times, as ``recommend(context=...)`` takes them.

    Parameters
    ----------
    times
        One a question, written in any way that a log may have them.
    names, offset
        As in `with_moments`; the offset one number, or one a time.

    Example
    -------
    >>> moments(["2024-02-02T23:30:00Z"], "hour", "weekday")
    {'hour': ['23'], 'weekday': ['Friday']}
    """
    if listed := [one for one in names if not isinstance(one, str)]:
        raise ConfigError(f"moments takes names one by one, as in moments(times, 'hour'); got {listed[0]!r}")  # fmt: skip
    if isinstance(offset, str) or offset is None:
        raise ConfigError(f"offset must be minutes, one number or one a time; got {offset!r}")
    values = times if isinstance(times, pl.Series) else pl.Series("time", list(times), strict=False)
    seconds, _ = parse_times(values, "time")
    minutes = np.asarray(list(offset) if isinstance(offset, Iterable) else offset, np.float64)
    if minutes.ndim and len(minutes) != len(seconds):
        raise ConfigError(
            f"offset must be one number or one a time; got {len(minutes)} for {len(seconds)} times"
        )
    return {
        name: moment(seconds, name, offset=minutes).series().to_list()
        for name in names or tuple(LEVELS)
    }


def moment(time: I64, name: Moment, *, offset: float | F64 = 0) -> Category:
    """Return one moment of each time (n,), seconds since 1970 UTC; missing where the time or the offset is.

    `offset` in minutes is one number or has the shape (n,), NaN = missing. Codes are places in ``LEVELS[name]``.

    Raises
    ------
    ConfigError
        If there is no such moment.
    DataError
        If an offset is out of range.
    """
    if name not in LEVELS:
        raise ConfigError(f"no moment {name!r}; {did_you_mean(name, LEVELS)}")
    minutes = np.asarray(offset, np.float64)
    wrong = np.abs(minutes) > FARTHEST
    if wrong.any():
        raise DataError(
            f"an offset from UTC must be within {FARTHEST:,} minutes; got "
            f"{float(minutes[wrong].flat[0]):g}: give minutes, not seconds or hours"
        )
    known = (time != NO_TIME) & ~np.isnan(minutes)
    ahead = np.nan_to_num(minutes * MINUTE).astype(np.int64)
    local = np.where(known, time, 0) + ahead
    hour = local // HOUR % 24
    weekday = (local // DAY + FIRST_WEEKDAY) % 7
    match name:
        case "hour":
            code = hour
        case "weekday":
            code = weekday
        case "weekend":
            code = (weekday >= WEEKDAYS.index("Saturday")).astype(np.int64)
        case "hour_of_week":
            code = weekday * 24 + hour
    code = np.where(known, code, UNKNOWN).astype(np.int32)
    return Category(code, Vocabulary(pl.Series(LEVELS[name], dtype=pl.String)))


def check_moments(name: str, given: Vocabulary, known: Vocabulary) -> None:
    """Refuse what a moment can never be, where a column has the name of one and its `known` values are such moments.

    They are the levels of `LEVELS`, or an owner's numbers, which count from 0, or from 1 where no 0 is known.

    Raises
    ------
    ConfigError
        Naming the first of the `given` values that is none.

    Example
    -------
    >>> check_moments("weekend", Vocabulary.of([7]), Vocabulary.of([0, 1]))
    Traceback (most recent call last):
    twofold.errors.ConfigError: context column 'weekend' got '7', which it can never be; allowed: 0 ... 1
    """
    if name not in LEVELS or not len(known):
        return
    levels, met = LEVELS[name], set(known.ids.cast(pl.String).to_list())
    own = tuple(str(one) for one in range(len(levels) + ("0" not in met)))
    if met <= set(levels) and not known.is_integer:
        allowed = levels
    elif met <= set(own):
        allowed = own
    else:
        return
    for one in given.ids.to_list():
        written = str(one)[:LONGEST]
        if _plainly(written) not in allowed:
            raise ConfigError(
                f"context column {name!r} got {written!r}, which it can never be; "
                + (
                    f"allowed: 0 ... {allowed[-1]}"
                    if allowed[0] == "0"
                    else did_you_mean(written, allowed)
                )
            )


def _plainly(written: str) -> str:
    """Return a whole number as it is written most plainly: 9 for 09 and 9.0; other texts as they are."""
    try:
        number = float(written)
    except ValueError:
        return written
    return str(int(number)) if number.is_integer() else written


def _told_offset(offset: float | str, context: Mapping[str, Column]) -> F64:
    """Return the offset in minutes: one number, or one an event where a column is named."""
    if not isinstance(offset, str):
        if isinstance(offset, bool) or not isinstance(offset, int | float | np.number):
            raise ConfigError(f"offset must be minutes or the name of a column; got {offset!r}")
        return np.asarray(offset, np.float64)
    if offset not in context:
        raise no_context(offset, context)
    column = context[offset]
    match column:
        case Number():
            return column.values.astype(np.float64)
        case Category():
            said = column.series().cast(pl.Float64, strict=False)
            if said.null_count() == int((column.codes == UNKNOWN).sum()):
                return said.fill_null(np.nan).to_numpy()
        case _:
            pass
    raise ConfigError(
        f"the offset column {offset!r} is a {kind_of(column)} and must hold minutes; declare it a number"
    )


def with_regions(
    data: Dataset, *, cell_km: float = 1.0, place: str = "place", context: bool = False
) -> Dataset:
    """Return the dataset with the item feature ``region``: the cell of a grid in which each item lies.

    Parameters
    ----------
    data
        A log whose items have a feature of the kind ``place``.
    cell_km
        Side of a cell in kilometres, 0.01 ... 5,000.
    place
        The feature's name.
    context
        Whether each event also gets a context column ``region``, that of its item. A question that carries it
        says where somebody is, which tells a part of the answer: use it where the product knows that too.

    Raises
    ------
    ConfigError
        If there is no such place or the cell is too small or too large.
    DataError
        If a latitude or a longitude is none.
    """
    features = data.items.features
    column = features.get(place)
    if not isinstance(column, Vector) or not column.is_place:
        there = [name for name, one in features.items() if isinstance(one, Vector) and one.is_place]
        hint = (
            did_you_mean(place, there)
            if there
            else "a file of items with the columns latitude and longitude has one (on the command line --items "
            "places.csv --item-feature place=place); it may be the log itself, if that has them"
        )
        raise ConfigError(f"no item feature {place!r} of the kind place; {hint}")
    found = regions(column.values.astype(np.float64), cell_km=cell_km)
    items = replace(data.items, features={**features, "region": found})
    if not context:
        return replace(data, items=items)
    events = data.interactions
    told = {**events.context, "region": found.take(events.item)}
    return replace(data, items=items, interactions=replace(events, context=told))


def regions(places: F64, *, cell_km: float = 1.0) -> Category:
    """Return the cell of each place (n, 2), latitude and longitude in degrees; missing where one is NaN.

    Rows of cells run along the parallels and each is cut into cells of `cell_km`, from the meridian of
    -180 degrees on; the last one of a row may be narrower. A level is the south-west corner of its cell,
    "40.7284,-73.9872", so that a place has the same level in every log with cells of that side.

    Raises
    ------
    ConfigError
        If `cell_km` is not 0.01 ... 5,000.
    DataError
        If a latitude is beyond 90 or a longitude beyond 180 degrees.
    """
    number = isinstance(cell_km, int | float | np.number) and not isinstance(cell_km, bool)
    if not number or not 0.01 <= cell_km <= 5_000:
        raise ConfigError(f"cell_km must be 0.01 ... 5,000 kilometres; got {cell_km!r}")
    latitude, longitude = places[:, 0], places[:, 1]
    known = ~(np.isnan(latitude) | np.isnan(longitude))
    wrong = np.flatnonzero(known & ((np.abs(latitude) > 90) | (np.abs(longitude) > 180)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"a place is a latitude of -90 ... 90 and a longitude of -180 ... 180 degrees; got "
            f"({latitude[row]:g}, {longitude[row]:g}) in row {row:,}: are they the wrong way round?"
        )
    side = cell_km / KM_A_DEGREE  # degrees of latitude
    up = np.floor((latitude[known] + 90) / side)
    width = side / np.maximum(np.cos(np.radians((up + 0.5) * side - 90)), 1e-9)
    along = np.floor((longitude[known] + 180) % 360 / width)
    corners = pl.DataFrame({"south": up * side - 90, "west": along * width - 180})
    digits = int(np.ceil(-np.log10(side))) + 2
    level = corners.select(
        pl.concat_str(pl.all().round(max(digits, 0)).cast(pl.String), separator=",")
    ).to_series()
    vocabulary, code = factorize(level)
    codes = np.full(len(places), UNKNOWN, np.int32)
    codes[known] = code
    return Category(codes, vocabulary)
