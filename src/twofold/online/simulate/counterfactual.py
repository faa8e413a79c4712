"""What an experiment should find: everybody lives under one arm, then, with other luck and again, under the other.

The truth of a population is the ratio of what is expected of it under each arm: R = sum t / sum w over
its N people and D lives (draws) each, with t and w the metric's total and weight of one life, as
`twofold.online.outcomes` counts them. For click-through, conversion, watch time and revenue (not cut) t is what
was to be expected of the lists that were shown, not what was drawn, which takes most of the luck out
(Rao-Blackwell); an event then counts where its list does.
The people are given, their luck is not, so the error is that of luck: with psi_ud = (t_ud - R w_ud) / mean(w),

    Var(R) = (1/N^2) sum_u var_d(psi_ud) / D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from twofold.errors import ConfigError, DataError
from twofold.online.logs import event_log, exposure_log
from twofold.online.outcomes import (
    HOUR,
    ClickThrough,
    Conversion,
    Metric,
    Revenue,
    WatchTime,
    outcomes,
    units_of,
)
from twofold.online.simulate.browsing import FIRST_CLICK, NEXT_CLICK, Day, gathered
from twofold.typing import F64


@dataclass(frozen=True, slots=True)
class Truth:
    """What two arms do to the same people."""

    control: float
    treatment: float
    """The metric when everybody gets that arm."""
    difference: float
    difference_error: float
    """Standard error of the difference."""
    relative: float
    """The difference over the control's metric; NaN where that is 0."""
    relative_error: float
    people: int
    draws: int
    """Lives of each person under each arm; the fewer of the two arms."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


class _Life(NamedTuple):
    """What people did in one run."""

    unit: pl.Series
    total: pl.Series
    weight: pl.Series


def truth(
    control: Sequence[Sequence[Day]],
    treatment: Sequence[Sequence[Day]],
    metric: Metric,
    *,
    until: float,
) -> Truth:
    """Return the true lift of one arm over the other.

    Parameters
    ----------
    control, treatment
        Days of `browse` at a server that gives everybody that arm, at least two draws each.
    metric
        What is counted.
    until
        Seconds since 1970: as in a report, the units count whose window has passed by then.

    Raises
    ------
    ConfigError
        If an arm has fewer than two draws: the error could not be told.
    DataError
        If nothing was shown, or nobody counts yet.
    """
    lives: list[list[_Life]] = []
    for name, runs in (("control", control), ("treatment", treatment)):
        if len(runs) < 2:
            raise ConfigError(f"the {name} has {len(runs)} draws; run browse with draw=0, 1, ... at least twice")  # fmt: skip
        lives.append([_life(days, metric, until) for days in runs])
    names = pl.concat([one.unit for part in lives for one in part]).unique().sort().to_list()
    row = {name: at for at, name in enumerate(names)}
    (before, spread_before), (after, spread_after) = (_ratio(part, row) for part in lives)
    gap = after - before
    relative, error = math.nan, math.nan
    if before > 0:
        relative = gap / before
        error = math.sqrt(spread_after + (1 + relative) ** 2 * spread_before) / before
    return Truth(
        control=before,
        treatment=after,
        difference=gap,
        difference_error=math.sqrt(spread_before + spread_after),
        relative=relative,
        relative_error=error,
        people=len(names),
        draws=min(len(control), len(treatment)),
    )


def _life(days: Sequence[Day], metric: Metric, until: float) -> _Life:
    """Return each person's total and weight in one run."""
    shown, done = gathered(days)
    shown = shown.filter(pl.col("time") <= until).with_columns(variant=pl.lit("all"))
    if shown.is_empty():
        raise DataError("a draw has no lists; nobody came")
    expected = _expected(metric, shown)
    if expected == "answered":
        sums = shown.group_by("unit").agg(pl.col("answered").sum(), many=pl.len().cast(pl.Float64))
        return _Life(sums["unit"], sums["answered"], sums["many"])
    counted: Metric = metric
    if expected is not None:
        value = pl.col(expected)
        if isinstance(metric, Conversion):  # 1 - prod (1 - bought), as a sum of logarithms
            value, counted = (-value).log1p(), Revenue(event=metric.event, window_hours=metric.window_hours)  # fmt: skip
        done = shown.select("unit", "time", kind=pl.lit(getattr(metric, "event", "")), value=value)
    logs = exposure_log(shown).frame, event_log(done).frame
    rows = outcomes(units_of(logs[0], ["all"]), *logs, counted, until=until)
    if rows.is_empty():
        raise DataError("nobody counts yet: the window of the metric has passed for nobody; run more days")  # fmt: skip
    total = rows["total"]
    if counted is not metric:
        total = 1.0 - total.exp()
    return _Life(rows["unit"], total, rows["weight"])


def _expected(metric: Metric, shown: pl.DataFrame) -> str | None:
    """Return the column of what was to be expected of a list; None where what was drawn must be counted."""
    if isinstance(metric, ClickThrough):
        longest = int(shown["items"].list.len().max() or 0)  # type: ignore[arg-type]
        last = FIRST_CLICK + NEXT_CLICK * longest
        return (
            "answered" if metric.event == "click" and metric.window_hours * HOUR >= last else None
        )
    if isinstance(metric, WatchTime | Revenue) and metric.most is not None:
        return None
    match metric:
        case WatchTime(event="watch"):
            return "watched"
        case Revenue(event="purchase"):
            return "spent"
        case Conversion(event="purchase"):
            return "bought"
        case _:
            return None


def _ratio(lives: Sequence[_Life], row: dict[str, int]) -> tuple[float, float]:
    """Return R of an arm and its variance."""
    total: F64 = np.zeros((len(lives), len(row)))  # (D, N)
    weight: F64 = np.zeros((len(lives), len(row)))
    for at, one in enumerate(lives):
        rows = [row[name] for name in one.unit.to_list()]
        total[at, rows], weight[at, rows] = one.total.to_numpy(), one.weight.to_numpy()
    ratio = float(total.sum() / weight.sum())
    pulls = (total - ratio * weight) / weight.mean()
    return ratio, float(pulls.var(axis=0, ddof=1).sum() / len(lives) / len(row) ** 2)
