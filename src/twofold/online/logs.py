"""The two logs of an experiment: what was shown to whom, and what they did. Checked once, here.

Exposures: `unit`, `variant`, `time`, and where they are known `request`, the `experiment` (of a log of several), and the lists `items`, `propensities`,
`teams` (of a team draft), `ranking_a`, `ranking_b` (of balanced interleaving), `candidates` (that a list was drawn
from). Events: `unit`, `kind`, `time`, and where they are known `item`, `value`, `request`, `event` (its
id). Times are datetimes (UTC where they have no zone) or seconds since 1970.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from twofold.data.readers import read_frame
from twofold.errors import DataError, did_you_mean

LISTS = {
    "items": pl.String,
    "propensities": pl.Float64,
    "teams": pl.Int64,
    "ranking_a": pl.String,
    "ranking_b": pl.String,
    "candidates": pl.String,
}
"""Columns of exposures that hold lists, with what is in them."""
EXPOSURES = ("unit", "variant", "time", "request", *LISTS)
EVENTS: dict[str, Any] = {
    "unit": pl.String,
    "kind": pl.String,
    "time": pl.Float64,
    "item": pl.String,
    "value": pl.Float64,
    "request": pl.String,
    "event": pl.String,
}
"""Columns of events, with what is in them."""
LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970."""
NEEDED = 3
"""The first columns of each log, which must be there."""


@dataclass(frozen=True, slots=True)
class Log:
    """A checked log, in order of time, with what was left out of it."""

    frame: pl.DataFrame
    """Ids as texts, `time` in seconds since 1970 (float64)."""
    repeated: int
    """Rows that repeated a request or an event id, and were left out."""


def _columns(frame: pl.DataFrame, wanted: tuple[str, ...], what: str) -> pl.DataFrame:
    for name in wanted[:NEEDED]:
        if name not in frame.columns:
            raise DataError(f"{what} have no column {name!r} ({did_you_mean(name, frame.columns)}); rename the one that is meant")  # fmt: skip
    return frame.select(one for one in wanted if one in frame.columns)


def _no_nulls(frame: pl.DataFrame, names: Iterable[str], what: str) -> None:
    for name in names:
        missing = frame[name].is_null()
        if missing.any():
            raise DataError(f"{what} have no {name} in {missing.sum():,} rows, first in row {missing.arg_max()}; leave such rows out or fill them in")  # fmt: skip


def as_seconds(column: pl.Series, what: str) -> pl.Series:
    """Return times as seconds since 1970.

    Raises
    ------
    DataError
        If they are neither times nor numbers, or not finite.
    """
    if column.dtype == pl.String:
        try:
            column = column.str.to_datetime(time_zone="UTC", time_unit="us")
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{what} have times that are not ISO 8601, such as {column.head(1).to_list()}; write 2026-11-01T12:00:00Z") from error  # fmt: skip
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us").cast(pl.Float64) / 1e6
    if not column.dtype.is_numeric():
        raise DataError(f"{what} have times of type {column.dtype}; use datetimes or seconds since 1970")  # fmt: skip
    given = column.cast(pl.Float64)
    wrong = given.is_not_null() & ~given.is_finite()
    if wrong.any():
        raise DataError(f"{what} have a time that is not finite, in row {wrong.arg_max()}")
    far = given.is_not_null() & (given.abs() > LAST_MOMENT)
    if far.any():
        at = int(far.arg_max() or 0)
        raise DataError(f"{what} have the time {given[at]:.6g} in row {at}, which is after the year 9999; times are seconds since 1970, not milliseconds")  # fmt: skip
    return given


def _lists(column: pl.Series, inner: Any, what: str) -> pl.Series:
    """Return lists; a text holds them as JSON, or with | between."""
    if column.dtype == pl.String:
        column = _split(column, inner)
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise DataError(f"exposures have {what} of type {column.dtype}; they must be lists")
    try:
        return column.cast(pl.List(inner))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"exposures have {what} that are not lists of {inner}: {error}") from error


def _split(column: pl.Series, inner: Any) -> pl.Series:
    """Return the lists that texts hold: JSON, or items with bars or commas between."""
    with contextlib.suppress(pl.exceptions.PolarsError):
        return column.str.json_decode(pl.List(inner))
    bare = column.str.strip_chars("[] ").str.replace_all(r"[\"'\s]", "")
    return bare.str.replace_all(r"\|", ",").str.split(",")


def exposure_log(frame: pl.DataFrame) -> Log:
    """Check exposures: sorted by time; a request that is logged twice counts once, the first time.

    Raises
    ------
    DataError
        If a column is missing or of the wrong type, or a needed value is.

    Example
    -------
    >>> log = exposure_log(pl.DataFrame({"unit": [7, 7], "variant": ["a", "a"], "time": [5, 5], "request": ["r", "r"]}))
    >>> log.frame["unit"].to_list(), log.repeated
    (['7'], 1)
    """
    kept = _columns(frame, EXPOSURES, "exposures")
    _no_nulls(kept, EXPOSURES[:NEEDED], "exposures")
    kept = kept.with_columns(
        pl.col("unit", "variant").cast(pl.String), time=as_seconds(kept["time"], "exposures")
    )
    for name, inner in LISTS.items():
        if name in kept.columns:
            kept = kept.with_columns(_lists(kept[name], inner, name))
    if "request" in kept.columns:
        kept = kept.with_columns(pl.col("request").cast(pl.String))
    else:
        kept = kept.with_columns(request=pl.lit(None, pl.String))
    kept = kept.sort("time", maintain_order=True)
    first = (
        pl.when(pl.col("request").is_null())
        .then(pl.struct("unit", "variant", "time", "request").is_first_distinct())
        .otherwise(pl.struct("unit", "request").is_first_distinct())
    )
    keep = kept.select(first).to_series()
    return Log(kept.filter(keep), int((~keep).sum()))


def of_experiment(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the exposures of one experiment; all of them where the log does not say of which they are.

    Raises
    ------
    DataError
        If it says so, and none is of this one.

    Example
    -------
    >>> log = pl.DataFrame({"unit": [1, 2, 3], "experiment": ["page", "ranker", None]})
    >>> of_experiment(log, "page")["unit"].to_list()
    [1]
    """
    if "experiment" not in frame.columns or frame.is_empty():
        return frame
    named = pl.col("experiment").cast(pl.String)
    mine = frame.filter(named == name)
    if mine.is_empty():
        there = frame.select(named).to_series().drop_nulls().unique().sort().to_list()
        raise DataError(f"the exposure log has none of the experiment {name!r}; {did_you_mean(name, there)}")  # fmt: skip
    return mine


def event_log(frame: pl.DataFrame) -> Log:
    """Check events: sorted by time; an event id that comes twice counts once, the first time.

    Raises
    ------
    DataError
        If a column is missing or of the wrong type, or a needed value is, or a `value` is not finite.

    Example
    -------
    >>> log = event_log(pl.DataFrame({"unit": [7, 7], "kind": ["click"] * 2, "time": [9, 6], "event": ["e", "e"]}))
    >>> log.frame["time"].to_list(), log.repeated
    ([6.0], 1)
    """
    kept = _columns(frame, tuple(EVENTS), "events")
    _no_nulls(kept, list(EVENTS)[:NEEDED], "events")
    kept = kept.with_columns(time=as_seconds(kept["time"], "events"))
    for name in ("unit", "kind", "item", "request", "event"):
        given = pl.col(name) if name in kept.columns else pl.lit(None)
        kept = kept.with_columns(given.cast(pl.String).alias(name))
    if "value" not in kept.columns:
        kept = kept.with_columns(value=pl.lit(None, pl.Float64))
    if kept["value"].dtype != pl.Null and not kept["value"].dtype.is_numeric():
        raise DataError(f"events have values of type {kept['value'].dtype}; they must be numbers")
    kept = kept.with_columns(pl.col("value").cast(pl.Float64))
    wrong = kept["value"].is_not_null() & ~kept["value"].is_finite()
    if wrong.any():
        raise DataError(f"events have a value that is not finite, in row {wrong.arg_max()}")
    kept = kept.sort("time", maintain_order=True)
    keep = kept["event"].is_null() | kept["event"].is_first_distinct()
    return Log(kept.filter(keep), int((~keep).sum()))


def read_log(path: str | Path) -> pl.DataFrame:
    """Read an exported log: Parquet, CSV or JSON lines; ids are kept as they are written.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    return read_frame(
        path, ids=["experiment", "unit", "variant", "kind", "item", "request", "event", *LISTS]
    )
