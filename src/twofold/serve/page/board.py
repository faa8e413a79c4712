"""The versions by their offline reports: a table and pictures for each occasion on which they were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from twofold.evaluation import pictures
from twofold.metrics import parse
from twofold.serve.guardrails import SAME, SMALLER_IS_BETTER
from twofold.serve.registry import Registered, Version

PICTURES = 4
"""Metrics that are drawn."""


class Value(NamedTuple):
    """A metric of one version."""

    value: float | None
    low: float | None
    high: float | None
    best: bool

    @property
    def told(self) -> str:
        """The value in words."""
        return "not defined" if self.value is None else pictures.number(self.value)

    @property
    def span(self) -> str:
        """The interval in words; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{pictures.number(self.low)} to {pictures.number(self.high)}"


class Entry(NamedTuple):
    """A version of a leaderboard."""

    version: int
    model: str
    live: bool
    values: list[Value | None]
    colour: int


class Board(NamedTuple):
    """Versions that were measured on the same occasion, the best first."""

    occasion: str
    confidence: float
    metrics: list[str]
    rising: list[bool]
    """Of each metric, whether more is better."""
    definitions: list[str]
    entries: list[Entry]
    figures: list[str]
    verdict: str


def rises(metric: str) -> bool:
    """Say whether more of a metric is better.

    Example
    -------
    >>> rises("ndcg@10"), rises("rmse")
    (True, False)
    """
    return metric.split("@")[0] not in SMALLER_IS_BETTER


def boards(found: Registered, live: int) -> tuple[list[Board], list[Version]]:
    """Return a board for each occasion, that of the live version first, and the versions without a report."""
    groups: dict[tuple[Any, ...], list[Version]] = {}
    bare: list[Version] = []
    for one in found.versions.values():
        if one.report is None or not one.report.get("metrics"):
            bare.append(one)
        else:
            key = (one.data, *(one.report.get(name) for name in SAME))
            groups.setdefault(key, []).append(one)
    ordered = sorted(groups.values(), key=lambda some: live not in {one.version for one in some})
    return [board(some, live) for some in ordered], bare


def board(versions: Sequence[Version], live: int) -> Board:
    """Return the board of versions that were measured on the same occasion."""
    reports = {one.version: report_of(one) for one in versions}
    metrics = list(dict.fromkeys(name for one in reports.values() for name in one["metrics"]))
    first, up = metrics[0], rises(metrics[0])

    def rank(one: Version) -> float:
        value = reports[one.version]["metrics"].get(first, {}).get("value")
        return math.inf if value is None else (-value if up else value)

    ordered = sorted(versions, key=rank)
    best = {name: best_of(name, reports.values()) for name in metrics}
    entries = [
        Entry(
            one.version,
            one.model,
            one.version == live,
            [value_of(reports[one.version]["metrics"].get(name), best[name]) for name in metrics],
            at,
        )
        for at, one in enumerate(ordered)
    ]
    held = reports[ordered[0].version]
    told = {
        name: next(
            (str(one["metrics"][name].get("definition", "")) for one in reports.values() if name in one["metrics"]), ""
        )
        for name in metrics
    }  # fmt: skip
    occasion = f"the {held['part']} part of {held['split']}: {held['users']:,} users, {held['targets']:,} targets"
    return Board(
        occasion=occasion,
        confidence=float(held.get("confidence", 0.95)),
        metrics=metrics,
        rising=[rises(name) for name in metrics],
        definitions=[told[name] or parse(name).definition for name in metrics],
        entries=entries,
        figures=[drawn(name, at, entries) for at, name in enumerate(metrics[:PICTURES])],
        verdict=verdict(first, entries),
    )


def report_of(version: Version) -> Mapping[str, Any]:
    """Return the report of a version that has one."""
    return version.report or {}


def best_of(metric: str, reports: Any) -> float | None:
    """Return the best value of a metric."""
    values = [one["metrics"].get(metric, {}).get("value") for one in reports]
    defined = [one for one in values if one is not None]
    return None if not defined else (max(defined) if rises(metric) else min(defined))


def value_of(found: Mapping[str, Any] | None, best: float | None) -> Value | None:
    """Return a metric of a report, None where it was not measured."""
    if found is None:
        return None
    value = found["value"]
    return Value(value, found.get("low"), found.get("high"), value is not None and value == best)


def named(one: Entry) -> str:
    """Return what an entry is called."""
    return f"{one.version} · {one.model}"


def drawn(metric: str, at: int, entries: Sequence[Entry]) -> str:
    """Return the picture of a metric with its intervals."""
    points: dict[str, pictures.Point] = {}
    for one in entries:
        value = one.values[at]
        if value is not None and value.value is not None:
            low = math.nan if value.low is None else value.low
            high = math.nan if value.high is None else value.high
            points[named(one)] = (value.value, low, high)
    way = "more" if rises(metric) else "less"
    if not points:
        return ""
    return pictures.intervals(
        f"{metric} ({way} is better)", points, {named(one): one.colour for one in entries}
    )


def verdict(metric: str, entries: Sequence[Entry]) -> str:
    """Say which version is best by the first metric, and whose intervals reach it."""
    best = entries[0]
    value = best.values[0]
    if value is None or value.value is None:
        return f"{metric} is not defined for any of them."
    said = f"Best by {metric}: version {best.version}, {best.model}, {value.told}"
    said += f" ({value.span})." if value.span else "."
    if value.low is None or value.high is None or len(entries) == 1:
        return said
    alike = [
        str(one.version)
        for one in entries[1:]
        if (v := one.values[0]) is not None
        and v.low is not None
        and v.high is not None
        and v.high >= value.low
        and v.low <= value.high
    ]
    if alike:
        *others, last = alike
        which = f"versions {', '.join(others)} and {last}" if others else f"version {last}"
        return f"{said} Its interval overlaps that of {which}."
    return f"{said} No other interval reaches its own."
