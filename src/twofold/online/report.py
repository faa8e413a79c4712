"""The report of an experiment from its two logs: units, ratio check, lifts, verdicts, and all of it day by day."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from twofold.errors import ConfigError, DataError
from twofold.evaluation.uncertainty import holm
from twofold.hyperparameters import values
from twofold.online.ab_test import Interval, Lift, readable
from twofold.online.experiments import Experiment, Slice
from twofold.online.logs import Log, event_log, exposure_log, of_experiment
from twofold.online.outcomes import ClickThrough, Metric, Units, outcomes_at, units_of
from twofold.online.ratio_check import ALARM, RatioCheck, ratio_check, sequential_ratio_check
from twofold.online.track import Look, days, track

KINDS = 10
"""Kinds of events that a note names."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one treatment against the control."""

    metric: str
    treatment: str
    lift: Lift
    """As of one look at the end."""
    difference: Interval
    relative: Interval
    """Of the test that was declared: always-valid intervals where it is sequential."""
    p_value: float
    """Of the test that was declared."""
    p_corrected: float
    """Holm's, over all metrics and treatments."""
    verdict: str
    looks: tuple[Look, ...]


class _Found(NamedTuple):
    """A comparison before it is judged beside the others."""

    metric: str
    treatment: str
    lift: Lift
    looks: tuple[Look, ...]
    relative: Interval
    """Always-valid."""


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What an experiment says so far."""

    name: str
    experiment: Experiment
    first: float
    """The first exposure, in seconds since 1970."""
    until: float
    units: Mapping[str, int]
    """By variant."""
    ratio: RatioCheck
    ratio_p: float
    """Of the ratio check that may be looked at any day."""
    ratio_alarm: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    """What was left out, and what cannot be told yet."""

    @property
    def headline(self) -> str:
        """One sentence: what the first metric says of each treatment."""
        if self.ratio_alarm:
            return f"The units are not divided as declared; find out why before any lift is believed. {self.ratio}."  # fmt: skip
        first = next(iter(self.experiment.metrics))
        told = [one for one in self.comparisons if one.metric == first]
        if not told:
            return f"Nothing can be told of {first} yet."
        return " ".join(f"{first}, {one.treatment} against {self.experiment.control}: {one.verdict}, {lifted(one)}." for one in told)  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "name": self.name,
            "headline": self.headline,
            "first": moment(self.first),
            "until": moment(self.until),
            "units": dict(self.units),
            "ratio": {
                **asdict(self.ratio),
                "always_valid_p": self.ratio_p,
                "alarm": self.ratio_alarm,
            },
            "comparisons": [asdict(one) for one in self.comparisons],
            "notes": list(self.notes),
            "experiment": values(self.experiment),
        }

    def frame(self) -> pl.DataFrame:
        """Return the comparisons as a table."""
        return pl.DataFrame(
            [
                {
                    "metric": one.metric,
                    "treatment": one.treatment,
                    self.experiment.control: round(one.lift.control, 5),
                    "treated": round(one.lift.treatment, 5),
                    "lift": lifted(one),
                    "p": f"{one.p_value:.3g}",
                    "corrected": f"{one.p_corrected:.3g}",
                    "verdict": one.verdict,
                }
                for one in self.comparisons
            ]
        )

    def to_html(self) -> str:
        """Return a page that needs nothing beside it."""
        # The page is the only part that needs pictures.
        from twofold.online import page

        return page.report(self)


def moment(time: float) -> str:
    """Return seconds since 1970 as a time.

    Example
    -------
    >>> moment(86400.0)
    '1970-01-02 00:00 UTC'
    """
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"


def lifted(one: Comparison) -> str:
    """Return a lift in per cent with the interval of the declared test, or the difference where the control is not told from 0."""
    (value, low, high), form = readable(one.relative, one.difference)
    if not math.isfinite(high - low):
        return f"{value:+{form}}, too few units for an interval"
    return f"{value:+{form}} [{low:+{form}}, {high:+{form}}]"


def report(
    slice_: Slice,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    *,
    until: float | None = None,
    kinds: Collection[str] | None = None,
) -> ExperimentReport:
    """Read the two logs of an experiment, and say what it shows.

    Parameters
    ----------
    slice_
        The experiment as it was declared.
    exposures, events
        See `twofold.online.logs`; of this experiment, or of several that a column `experiment` or the names of
        their variants tell apart.
    until
        Seconds since 1970: nothing later is looked at; None = the last time in the logs.
    kinds
        Kinds of events that there are, where `events` holds those that are counted alone; None = those of `events`.

    Raises
    ------
    ConfigError
        If the experiment interleaves.
    DataError
        If a log is wrong, or holds no exposure to a variant of the experiment.

    Example
    -------
    >>> from twofold.online.experiments import from_dict
    >>> made = from_dict({"experiments": {"ranker": {"variants": {"control": {}, "new": {}}, "before_days": 0}}})["ranker"]
    >>> n = 4000
    >>> shown = pl.DataFrame({"unit": range(n), "variant": ["control", "new"] * (n // 2), "time": range(n)})
    >>> clicked = [u for u in range(n) if (u * 7919) % 100 < (16 if u % 2 else 10)]
    >>> done = pl.DataFrame({"unit": clicked, "kind": "click", "time": clicked})
    >>> print(report(made, shown, done).headline)
    click_through, new against control: better, +60.0% [+23.8%, +110.7%].
    """
    experiment = slice_.experiment
    if experiment.method != "ab_test":
        raise ConfigError(f"experiment {slice_.name!r} interleaves; its report is made by twofold.online.interleaving_report")  # fmt: skip
    shown, done = exposure_log(of_experiment(exposures, slice_.name)), event_log(events)
    if shown.frame.is_empty():
        raise DataError("the exposure log is empty; nothing was shown to anybody")
    variants = list(experiment.variants)
    logs = _until(shown, done, until)
    end = until if until is not None else max(_last(logs[0]), _last(logs[1]))
    units = units_of(logs[0], variants)
    if units.frame.is_empty():
        found = sorted(logs[0]["variant"].unique().to_list())[:10]
        raise DataError(f"no unit saw one variant of {slice_.name!r} ({', '.join(variants)}) alone; the log's variants are {found}")  # fmt: skip
    counts = dict.fromkeys(variants, 0) | dict(units.frame.group_by("variant").len().iter_rows())
    weights = [experiment.variants[one].weight for one in variants]
    ratio = ratio_check([counts[one] for one in variants], weights)
    start = float(units.frame["first"].min())  # type: ignore[arg-type]
    times = days(start, end)
    ratio_p = float(sequential_ratio_check(_arrivals(units, variants, times), weights)[-1])
    alarm = ratio_p < ALARM if experiment.test == "sequential" else ratio.alarm
    notes = _left_out(shown, done, units)
    notes += uncounted(experiment.metrics, done.frame["kind"] if kinds is None else kinds)
    found: list[_Found] = []
    for name, metric in experiment.metrics.items():
        rows = outcomes_at(units, *logs, metric, times, before_days=experiment.before_days)
        for treatment in (one for one in variants if one != experiment.control):
            told = track(rows, times, experiment, treatment)
            if told is None:
                notes.append(f"{name}, {treatment}: no unit of {treatment} or of {experiment.control} counts yet; {_waits(metric)}")  # fmt: skip
            else:
                found.append(_Found(name, treatment, *told))
    comparisons = _judged(experiment, found, alarm=alarm, until=end)
    if experiment.test == "sequential":
        notes += faded(comparisons)
    return ExperimentReport(
        name=slice_.name,
        experiment=experiment,
        first=start,
        until=end,
        units=counts,
        ratio=ratio,
        ratio_p=ratio_p,
        ratio_alarm=alarm,
        comparisons=comparisons,
        notes=tuple(notes),
    )


def _until(shown: Log, done: Log, until: float | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    if until is None:
        return shown.frame, done.frame
    early = pl.col("time") <= until
    return shown.frame.filter(early), done.frame.filter(early)


def _last(frame: pl.DataFrame) -> float:
    return float(frame["time"].max()) if len(frame) else -math.inf  # type: ignore[arg-type]


def _waits(metric: Metric) -> str:
    if isinstance(metric, ClickThrough):
        return "check that its exposures are logged"
    after = getattr(metric, "after_hours", 0.0) + metric.window_hours
    return f"a unit counts {after:g} hours after its first exposure"


def _left_out(shown: Log, done: Log, units: Units) -> list[str]:
    notes: list[str] = []
    if units.crossed:
        share = units.crossed / (units.crossed + len(units.frame))
        told = ": more than one in a hundred, check that the assignment is stable" if share > 0.01 else ""  # fmt: skip
        notes.append(f"{units.crossed:,} units saw more than one variant and count nowhere{told}")
    for what, many in (
        ("exposures to variants that are not the experiment's", units.foreign),
        ("exposures that were logged again", shown.repeated),
        ("events that came again", done.repeated),
    ):
        if many:
            notes.append(f"{many:,} {what} were left out")
    return notes


def uncounted(metrics: Mapping[str, Metric], kinds: Iterable[str]) -> list[str]:
    """Return a note for each metric that counts a kind of event of which the log, with these `kinds`, has none.

    Example
    -------
    >>> uncounted({"ctr": ClickThrough()}, ["cook", "save", "cook"])
    ["ctr: no event of the kind 'click' was counted; the log has cook, save: set metrics.ctr.event to what is meant"]
    """
    there = sorted(set(kinds))
    has = f"the log has {', '.join(there[:KINDS])}{', ...' if there[KINDS:] else ''}: set metrics.{{}}.event to what is meant"  # fmt: skip
    has = has if there else "the log has no event at all"
    return [
        f"{name}: no event of the kind {one.event!r} was counted; {has.format(name)}"
        for name, one in metrics.items()
        if one.event and one.event not in there
    ]


def _arrivals(units: Units, variants: list[str], times: list[float]) -> np.ndarray:
    """Return how many units of each variant had arrived by each moment; shape (looks, variants)."""
    columns: list[np.ndarray] = []
    for one in variants:
        first = units.frame.filter(pl.col("variant") == one)["first"].sort().to_numpy()
        columns.append(np.searchsorted(first, times, side="right"))
    return np.stack(columns, axis=1)


def deciding(looks: Sequence[Look]) -> Look:
    """Return the look whose p-value is that of the test so far: the first one that reached it."""
    return next(one for one in looks if one.p_value <= looks[-1].p_value)


def faded(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a note for each sequential verdict whose interval of today holds 0 again."""
    return [
        f"{one.metric}, {one.treatment}: {one.verdict} since {moment(deciding(one.looks).time)}; today's interval holds 0 again"
        for one in comparisons
        if one.verdict in {"better", "worse"} and one.looks[-1].low <= 0 <= one.looks[-1].high
    ]


def _judged(
    experiment: Experiment,
    found: list[_Found],
    *,
    alarm: bool,
    until: float,
) -> tuple[Comparison, ...]:
    sequential = experiment.test == "sequential"
    p_values = [(one.looks[-1] if sequential else one.lift).p_value for one in found]
    # What is declared and has no units yet counts among the comparisons.
    declared = len(experiment.metrics) * (len(experiment.variants) - 1)
    waiting = [1.0] * (declared - len(found))
    made: list[Comparison] = []
    for one, p, corrected in zip(found, p_values, holm(p_values + waiting), strict=False):
        last = one.looks[-1]
        telling = deciding(one.looks) if sequential else last
        if alarm:
            verdict = "not to be believed"
        elif not sequential and until < experiment.ends:
            verdict = f"not yet: it is looked at once, at {moment(experiment.ends)}"
        elif corrected >= experiment.alpha:
            verdict = "no difference shown"
        else:
            verdict = "better" if telling.difference > 0 else "worse"
        difference, relative = one.lift.difference, one.lift.relative
        if sequential:
            difference, relative = Interval(last.difference, last.low, last.high), one.relative
        made.append(Comparison(one.metric, one.treatment, one.lift, difference, relative, p, corrected, verdict, one.looks))  # fmt: skip
    return tuple(made)
