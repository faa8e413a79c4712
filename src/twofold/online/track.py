"""One treatment against the control at every moment of an experiment: what the sequential test reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from twofold.online.ab_test import Arm, Interval, Lift, compare_arms
from twofold.online.experiments import Experiment
from twofold.online.outcomes import DAY, HOUR, arm_of
from twofold.online.sequential import FIRST_LOOK, always_valid_interval, always_valid_p, critical

PLANNED = 10_000.0
"""Units for which the sequential test is tightest where the experiment plans none."""
ANSWERS = 20
"""Units of each variant whose total is not 0 before anything is concluded: the variance of a small arm with an answer or none is far from its own."""
LOOKS = 60
"""Days that are shown at most; of longer experiments every second, third, ... day."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a comparison said at one moment."""

    time: float
    """Seconds since 1970."""
    units: int
    difference: float
    low: float
    high: float
    """Ends of the always-valid interval; infinite before there is enough to say anything."""
    p_value: float
    """Of the sequential test, so far."""


def days(first: float, end: float) -> list[float]:
    """Return the moments of a report: the ends of whole days since the first exposure, and the end itself.

    Of an experiment younger than two days it is whole hours, of one younger than two hours minutes; of more than
    `LOOKS` moments every second, third, ... is looked at. Each set is valid by itself; what a report found at a
    moment that a later report does not look at, that one does not know.

    Example
    -------
    >>> days(0.0, 2.5 * 86400) == [86400.0, 172800.0, 216000.0]
    True
    >>> days(0.0, 150.0)
    [60.0, 120.0, 150.0]
    """
    unit = next((one for one in (DAY, HOUR) if end - first >= 2 * one), MINUTE)
    whole = [first + unit * at for at in range(1, int((end - first) / unit) + 1)]
    step = math.ceil((len(whole) + 1) / LOOKS)
    kept = whole[step - 1 :: step]
    return [*(one for one in kept if one < end), end]


def track(
    rows: list[pl.DataFrame], times: list[float], experiment: Experiment, treatment: str
) -> tuple[Lift, tuple[Look, ...], Interval] | None:
    """Return the last comparison, all of them, and the last always-valid relative lift; None where a variant has nobody."""
    lifts: list[Lift] = []
    kept: list[float] = []
    errors: list[float] = []
    for time, row in zip(times, rows, strict=True):
        present = set(row["variant"].unique().to_list())
        if not {experiment.control, treatment} <= present:
            continue
        arms = arm_of(row, experiment.control), arm_of(row, treatment)
        lifts.append(compare_arms(*arms, confidence=1 - experiment.alpha))
        kept.append(time)
        errors.append(lifts[-1].standard_error if _enough(*arms) else math.nan)
    if not lifts:
        return None
    values_, sizes = [one.difference.value for one in lifts], [one.size for one in lifts]
    tightest = _tightest(experiment, treatment, lifts, errors)
    given: dict[str, Any] = {"tightest": tightest, "alpha": experiment.alpha}
    bands = always_valid_interval(values_, errors, sizes, **given)
    p = always_valid_p(values_, errors, sizes, **given)
    looks = tuple(
        Look(time, sum(one.units), one.difference.value, float(band[0]), float(band[1]), float(q))
        for time, one, band, q in zip(kept, lifts, bands, p, strict=True)
    )
    last = lifts[-1]
    if not errors[-1] > 0:
        return last, looks, Interval(last.relative.value, -math.inf, math.inf)
    return last, looks, last.relative_within(float(critical(last.size, **given)))


def _enough(control: Arm, treatment: Arm) -> bool:
    arms = control.total, treatment.total
    return (
        min(map(len, arms)) >= FIRST_LOOK and min(int((one != 0).sum()) for one in arms) >= ANSWERS
    )


def _tightest(
    experiment: Experiment, treatment: str, lifts: list[Lift], errors: list[float]
) -> float:
    """Return the planned size in the metric's weights, from the weight of a unit at the first look that counts.

    Later looks of the same report do not move it: it is part of the test.
    """
    pair = sum(experiment.variants[one].weight for one in (experiment.control, treatment))
    share = pair / sum(one.weight for one in experiment.variants.values())
    counting = next((one for one, error in zip(lifts, errors, strict=True) if error > 0), lifts[0])
    return (experiment.planned_units or PLANNED) * share * counting.size / sum(counting.units)
