"""From exposures and events to what each unit did: click-through, conversion, revenue, watch time, retention.

Only what happened after an exposure, inside a stated window, counts. Metrics per unit start at its first
exposure, and a unit counts when its window has passed, so that what it did is final when it enters:
units then arrive one by one, independent and alike, which is what the sequential test stands on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from pydantic import Field, NonNegativeFloat, PositiveFloat

from twofold.errors import DataError
from twofold.hyperparameters import hyperparameters
from twofold.online.ab_test import Arm, arm

HOUR, DAY = 3600.0, 86400.0
COLUMNS = ("unit", "variant", "first", "final", "total", "weight", "before")


@hyperparameters
class ClickThrough:
    """Exposures that were answered, over exposures; the unit of randomisation is the person or session."""

    kind: Literal["click_through"] = "click_through"
    """Which metric this is."""
    event: str = "click"
    """The kind of event that answers an exposure."""
    window_hours: PositiveFloat = 1.0
    """An event answers the latest exposure of its unit (its request, and its item, where these are known) this long at most."""


@hyperparameters
class Conversion:
    """Units with an event inside the window after their first exposure, over units."""

    kind: Literal["conversion"] = "conversion"
    """Which metric this is."""
    event: str = "purchase"
    """The kind of event that converts."""
    window_hours: PositiveFloat = 24.0
    """From the first exposure of the unit on."""


@hyperparameters
class Revenue:
    """Sum of the values of a unit's events inside the window, over units."""

    kind: Literal["revenue"] = "revenue"
    """Which metric this is."""
    event: str = "purchase"
    """The kind of event whose values are summed."""
    window_hours: PositiveFloat = 24.0
    """From the first exposure of the unit on."""
    most: float | None = Field(default=None, gt=0)
    """A unit's sum is cut here, so that one large order does not decide; None = it is not."""


@hyperparameters
class WatchTime:
    """Sum of the seconds that a unit watched inside the window, over units."""

    kind: Literal["watch_time"] = "watch_time"
    """Which metric this is."""
    event: str = "watch"
    """The kind of event whose values are seconds."""
    window_hours: PositiveFloat = 24.0
    """From the first exposure of the unit on."""
    most: float | None = Field(default=None, gt=0)
    """A unit's seconds are cut here; None = they are not."""


@hyperparameters
class Retention:
    """Units that come back, over units."""

    kind: Literal["retention"] = "retention"
    """Which metric this is."""
    event: str = ""
    """The kind of event that shows that somebody is back; "" = any event or exposure."""
    after_hours: NonNegativeFloat = 24.0
    """The time in which coming back counts begins so long after the first exposure,"""
    window_hours: PositiveFloat = 144.0
    """and is so long: 24 + 144 hours are the days 2 to 7."""


Metric: TypeAlias = ClickThrough | Conversion | Revenue | WatchTime | Retention


@dataclass(frozen=True, slots=True)
class Units:
    """The units of an experiment, one row each, and what was left out."""

    frame: pl.DataFrame
    """`unit`, `variant`, `first` (seconds since 1970)."""
    crossed: int
    """Units that saw more than one variant: they count nowhere."""
    foreign: int
    """Exposures to variants that are not the experiment's."""


def units_of(exposures: pl.DataFrame, variants: Mapping[str, object] | list[str]) -> Units:
    """Return each unit of an exposure log with its variant and its first exposure.

    A unit that saw two variants is left out and counted: it would carry the effect of one into the other.

    Example
    -------
    >>> log = pl.DataFrame({"unit": ["u", "v", "u"], "variant": ["a", "a", "b"], "time": [1.0, 2.0, 3.0]})
    >>> made = units_of(log, ["a", "b"])
    >>> made.frame["unit"].to_list(), made.crossed
    (['v'], 1)
    """
    own = exposures.filter(pl.col("variant").is_in(list(variants)))
    rows = own.group_by("unit", maintain_order=True).agg(
        pl.col("variant").first(), first=pl.col("time").min(), seen=pl.col("variant").n_unique()
    )
    one = rows.filter(pl.col("seen") == 1).drop("seen")
    return Units(one, len(rows) - len(one), len(exposures) - len(own))


def answers(exposures: pl.DataFrame, events: pl.DataFrame, metric: ClickThrough) -> pl.DataFrame:
    """Return which exposure each event answers.

    An event answers the latest exposure of its unit that is not after it and at most `window_hours`
    before it; where both sides know the request it must be the same, and where both know items the
    event's must be among those shown. Other events answer nothing.

    Parameters
    ----------
    exposures, events
        The frames of `logs.exposure_log` and `logs.event_log`.
    metric
        Which events, and how long after.

    Returns
    -------
    DataFrame
        `at` (row number of the exposure), `item` (null where the event names none) and `time` of the
        event, a row an event.
    """
    window = metric.window_hours * HOUR
    shown = exposures.select("unit", "request", "time").with_row_index("at")
    nothing = pl.Series([None] * len(shown), dtype=pl.List(pl.String))
    shown = shown.with_columns(
        items=exposures["items"] if "items" in exposures.columns else nothing
    )
    done = events.filter(pl.col("kind") == metric.event).select("unit", "request", "item", "time")
    done = done.with_row_index("event")
    named = pl.col("request").is_not_null()
    asked = shown.filter(named)
    known = done.join(asked, on=["unit", "request"], how="semi")
    elsewhere = done.filter(named).join(asked, on=["unit", "request"], how="anti")
    found = pl.concat(
        [
            _matches(asked, known, ["unit", "request"], window),
            _matches(shown.filter(~named), elsewhere, ["unit"], window),
            _matches(shown, done.filter(~named), ["unit"], window),
        ]
    )
    # Rows are in order of time: the largest number is the latest exposure.
    latest = found.group_by("event", maintain_order=True).agg(pl.col("at").max())
    told = done.select("event", "item", "time")
    return latest.join(told, on="event").select("at", "item", "time")


def answered(exposures: pl.DataFrame, events: pl.DataFrame, metric: ClickThrough) -> pl.Series:
    """Return when each exposure was first answered, in seconds since 1970; infinite where it was not. See `answers`."""
    found = answers(exposures, events, metric)
    first = np.full(len(exposures), np.inf)
    np.minimum.at(first, found["at"].to_numpy(), found["time"].to_numpy())
    return pl.Series("answered", first)


def _matches(
    shown: pl.DataFrame, done: pl.DataFrame, keys: list[str], window: float
) -> pl.DataFrame:
    """Return pairs of an event and the latest exposure with equal keys that may have led to it."""
    # Most exposures lead to nothing: only the others are taken apart.
    shown = shown.join(done, on=keys, how="semi", maintain_order="left")
    lists = shown.filter(pl.col("items").is_not_null()).explode("items", empty_as_null=True)
    items = lists.rename({"items": "item"}).filter(pl.col("item").is_not_null())
    named = pl.col("item").is_not_null()
    found: list[pl.DataFrame] = []
    for left, right, on in (
        (done.filter(named), items, [*keys, "item"]),
        (done.filter(named), shown.filter(pl.col("items").is_null()), keys),
        (done.filter(~named), shown, keys),
    ):
        pairs = left.select(*on, "time", "event").join_asof(
            right.select(*on, "time", "at"),
            on="time", by=on, strategy="backward", tolerance=window, check_sortedness=False,
        )  # fmt: skip
        found.append(pairs.filter(pl.col("at").is_not_null()).select("event", "at"))
    return pl.concat(found)


def _sums(units: pl.DataFrame, events: pl.DataFrame, start: pl.Expr, stop: pl.Expr) -> pl.DataFrame:
    """Return the count and the sum of values of each unit's events in start <= time < stop, in its row order."""
    inside = (
        events.join(units.select("unit", "first"), on="unit")
        .filter((pl.col("time") >= start) & (pl.col("time") < stop))
        .group_by("unit")
        .agg(count=pl.len(), value=pl.col("value").fill_null(0.0).sum())
    )
    return (
        units.select("unit")
        .join(inside, on="unit", how="left", maintain_order="left")
        .with_columns(pl.col("count", "value").fill_null(0).cast(pl.Float64))
    )


def outcomes(
    units: Units,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    metric: Metric,
    *,
    until: float = math.inf,
    before_days: float = 0.0,
) -> pl.DataFrame:
    """Return what each unit did.

    Parameters
    ----------
    units, exposures, events
        Of `units_of`, `logs.exposure_log` and `logs.event_log`.
    metric
        What is counted.
    until
        Seconds since 1970: nothing later is looked at, and per unit only those count whose window had
        passed by then. Infinite = the last time in the logs.
    before_days
        Days before a unit's first exposure whose events of the same kind are its `before`; 0 = none.

    Returns
    -------
    DataFrame
        `unit`, `variant`, `first`, `final` (when it entered), `total`, `weight`, `before` (NaN where
        nothing was asked), a row a unit that counts.

    Example
    -------
    >>> from twofold.online.logs import event_log, exposure_log
    >>> shown = exposure_log(pl.DataFrame({"unit": ["u", "v"], "variant": ["a", "b"], "time": [0, 0]})).frame
    >>> done = event_log(pl.DataFrame({"unit": ["u", "u"], "kind": ["purchase"] * 2, "time": [3600, 90000], "value": [5, 7]})).frame
    >>> outcomes(units_of(shown, ["a", "b"]), shown, done, Revenue())["total"].to_list()
    [5.0, 0.0]
    """
    if math.isinf(until):
        last = [one["time"].max() for one in (exposures, events) if len(one)]
        until = float(max(last, default=0.0))  # type: ignore[type-var]
    return outcomes_at(units, exposures, events, metric, [until], before_days=before_days)[0]


def outcomes_at(
    units: Units,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    metric: Metric,
    moments: Sequence[float],
    *,
    before_days: float = 0.0,
) -> list[pl.DataFrame]:
    """Return `outcomes` as they were at each of some moments, rising; the logs are joined once."""
    shown = exposures.filter(pl.col("time") <= moments[-1])
    done = events.filter(pl.col("time") <= moments[-1])
    rows = units.frame.filter(pl.col("first") <= moments[-1])
    rows = rows.with_columns(before=_before(rows, events, metric, before_days))
    if isinstance(metric, ClickThrough):
        lists = shown.select("unit", "variant", "time", answered=answered(shown, done, metric))
        lists = lists.join(rows, on=["unit", "variant"], how="semi")
        return [_clicks(rows, lists, moment) for moment in moments]
    after = metric.after_hours * HOUR if isinstance(metric, Retention) else 0.0
    length = after + metric.window_hours * HOUR
    rows = rows.with_columns(final=pl.col("first") + length)
    rows = rows.filter(pl.col("final") <= moments[-1])
    kinds = done if not metric.event else done.filter(pl.col("kind") == metric.event)
    if isinstance(metric, Retention) and not metric.event:
        # The first exposure is no coming back.
        again = shown.join(rows.select("unit", "first"), on="unit").filter(pl.col("time") > pl.col("first"))  # fmt: skip
        kinds = pl.concat([kinds.select("unit", "time", "value"), again.select("unit", "time", value=pl.lit(0.0))])  # fmt: skip
    inside = _sums(rows, kinds, pl.col("first") + after, pl.col("first") + length)
    if isinstance(metric, Conversion | Retention):
        total = (inside["count"] > 0).cast(pl.Float64)
    else:
        total = inside["value"]
        total = total if metric.most is None else total.clip(upper_bound=metric.most)
    rows = rows.with_columns(total=total, weight=pl.lit(1.0)).select(COLUMNS)
    return [rows.filter(pl.col("final") <= moment) for moment in moments]


def _clicks(rows: pl.DataFrame, lists: pl.DataFrame, moment: float) -> pl.DataFrame:
    """Return the exposures of each unit, and those answered, as they were at a moment."""
    seen = lists.filter(pl.col("time") <= moment)
    sums = seen.group_by("unit").agg(
        total=(pl.col("answered") <= moment).sum().cast(pl.Float64),
        weight=pl.len().cast(pl.Float64),
    )
    here = rows.filter(pl.col("first") <= moment).join(sums, on="unit", how="left", maintain_order="left")  # fmt: skip
    return here.with_columns(final=pl.col("first")).select(COLUMNS)


def _before(rows: pl.DataFrame, events: pl.DataFrame, metric: Metric, days: float) -> pl.Series:
    """Return what each unit did in the days before its first exposure; NaN for 0 days."""
    if days <= 0:
        return pl.Series("before", np.full(len(rows), np.nan))
    kinds = events if not metric.event else events.filter(pl.col("kind") == metric.event)
    found = _sums(rows, kinds, pl.col("first") - days * DAY, pl.col("first"))
    if not isinstance(metric, Revenue | WatchTime):
        return found["count"].rename("before")
    most = metric.most
    return (found["value"] if most is None else found["value"].clip(upper_bound=most)).rename("before")  # fmt: skip


def arm_of(rows: pl.DataFrame, variant: str) -> Arm:
    """Return the units of one variant of the answer of `outcomes`.

    Raises
    ------
    DataError
        If there are none.
    """
    own = rows.filter(pl.col("variant") == variant)
    if own.is_empty():
        raise DataError(f"variant {variant!r} has no units that count yet; wait until a window has passed, or check the exposure log")  # fmt: skip
    return arm(own["total"].to_numpy(), own["weight"].to_numpy(), own["before"].to_numpy())
