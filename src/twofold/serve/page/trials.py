"""Running experiments: exposures over time, lifts with the always-valid band, the ratio check."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, cast, func, select

from twofold.evaluation import pictures
from twofold.evaluation.pictures import Scale, figure, line, text
from twofold.online.ab_test import Interval, readable
from twofold.online.experiments import Slice
from twofold.online.page import band, passed
from twofold.online.track import Look
from twofold.serve.experiments import Declared, shown
from twofold.serve.live import Live
from twofold.serve.page.shell import moment
from twofold.serve.store import Store
from twofold.serve.tables import EXPOSURES

PARTS = 60
"""Points of the picture of exposures."""
ROWS = 12
"""Rows of its table."""
HEIGHT, LEFT, RIGHT, FOOT = 230.0, 58.0, 12.0, 42.0
"""Sizes of a drawing, in its own units."""


class Exposed(NamedTuple):
    """Exposures over time."""

    moments: list[float]
    """Ends of the parts, seconds since 1970."""
    counts: dict[str, list[int]]
    """Exposures of each variant up to each moment; of both together, under the method's name, where lists are interleaved."""


class Arm(NamedTuple):
    """A variant."""

    name: str
    version: int | None
    share: float
    units: int | None
    expected: float | None
    exposures: int | None
    """None where lists are interleaved: each is of both variants."""
    is_control: bool


class Compared(NamedTuple):
    """A metric of a treatment against the control."""

    metric: str
    treatment: str
    control_value: float
    treatment_value: float
    lift: str
    p_value: float
    p_corrected: float
    verdict: str
    picture: str
    looks: list[tuple[str, int, str, str]]


class Trial(NamedTuple):
    """An experiment, as it is shown."""

    name: str
    headline: str
    method: str
    rule: str
    began: str
    until: str
    arms: list[Arm]
    ratio: Mapping[str, Any] | None
    compared: list[Compared]
    preference: list[tuple[str, str]]
    exposures: str
    counted: list[str]
    """What the columns of the table of exposures are."""
    table: list[tuple[str, list[int]]]
    notes: list[str]
    alarm: bool


def trials(live: Live) -> list[Trial]:
    """Return the running experiments."""
    declared = live.assigner
    if not isinstance(declared, Declared):
        return []
    return [
        trial(live.store, one, declared.versions, live.served.version)
        for one in declared.experiments.slices.values()
    ]


def trial(store: Store, one: Slice, versions: Mapping[tuple[str, str], int], live: int) -> Trial:
    """Return what the logs show of an experiment."""
    plan = one.experiment
    found = shown(store, one)
    seen = exposed(store, one)
    total = sum(variant.weight for variant in plan.variants.values())
    ratio = found.get("ratio")
    units = found.get("units") or {}
    expected: Sequence[float] = ratio["expected"] if ratio else []
    arms = [
        Arm(
            name,
            versions.get((one.name, name), live),
            variant.weight / total,
            units.get(name),
            expected[at] if at < len(expected) else None,
            seen.counts[name][-1] if name in seen.counts else None,
            name == plan.control,
        )
        for at, (name, variant) in enumerate(plan.variants.items())
    ]
    began = seen.moments[0] if seen.moments else 0.0
    rule = (
        "sequential: it may be looked at on any day"
        if plan.test == "sequential"
        else f"looked at once, at {moment(plan.ends)}"
    )
    step = max(1, math.ceil(len(seen.moments) / ROWS))
    last = len(seen.moments) - 1
    return Trial(
        name=one.name,
        headline=str(found["headline"]),
        method=plan.method,
        rule=f"{rule}; level {plan.alpha:.0%}",
        began=str(found.get("first", "")),
        until=str(found.get("until", "")),
        arms=arms,
        ratio=ratio,
        compared=[compared(each, plan.control, began) for each in found.get("comparisons", [])],
        preference=preference(found),
        exposures=drawn(seen) if last > 0 else "",
        counted=[name.replace("_", " ") for name in seen.counts],
        table=[
            (moment(time), [counts[at] for counts in seen.counts.values()])
            for at, time in enumerate(seen.moments)
            if at and (at == last or (last - at) % step == 0)
        ],
        notes=[str(note) for note in found.get("notes", [])],
        alarm=bool(ratio and ratio["alarm"]),
    )


def exposed(store: Store, one: Slice) -> Exposed:
    """Count the exposures of an experiment over time; one pass of the database, whatever their number."""
    table, plan = EXPOSURES, one.experiment
    variants = list(plan.variants) if plan.method == "ab_test" else [plan.method]
    mine = (table.c.experiment == one.name) & table.c.variant.in_(variants)
    with store.engine.connect() as connection:
        first, last = connection.execute(
            select(func.min(table.c.time), func.max(table.c.time)).where(mine)
        ).one()
        if first is None:
            return Exposed([], {name: [0] for name in variants})
        step = max((last - first) / PARTS, 1e-6)
        place: Any = (table.c.time - first) / step
        # A cast rounds in PostgreSQL and cuts in SQLite.
        whole = func.floor(place) if connection.dialect.name == "postgresql" else place
        part = cast(whole, Integer).label("part")
        rows = connection.execute(
            select(table.c.variant, part, func.count()).where(mine).group_by(table.c.variant, part)
        ).all()
    counts = {name: [0] * (PARTS + 1) for name in variants}
    for variant, at, n in rows:
        counts[variant][min(int(at), PARTS - 1) + 1] += int(n)
    for row in counts.values():
        for at in range(1, len(row)):
            row[at] += row[at - 1]
    return Exposed([first + step * at for at in range(PARTS + 1)], counts)


def drawn(seen: Exposed) -> str:
    """Return the picture of exposures over time, a line a variant."""
    bottom = HEIGHT - FOOT
    unit, name = passed(seen.moments[-1] - seen.moments[0])
    times = [(one - seen.moments[0]) / unit for one in seen.moments]
    most = max(max(row) for row in seen.counts.values())
    across = Scale(0.0, times[-1], LEFT, pictures.WIDTH - RIGHT)
    up = Scale(0.0, 1.05 * max(most, 1), bottom, 10.0)
    right = pictures.WIDTH - RIGHT
    parts = [
        line("grid", LEFT, up(tick), right, up(tick))
        + text(LEFT - 6, up(tick) + 4, f"{tick:,.4g}", anchor="end", kind="dim")
        for tick in up.ticks(5)
    ]
    parts += [
        text(across(tick), bottom + 15, f"{tick:.4g}", anchor="middle", kind="dim")
        for tick in across.ticks(7)
    ]
    for at, row in enumerate(seen.counts.values()):
        points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(times, row, strict=True))
        parts.append(f'<polyline class="path c{at % pictures.COLOURS}" points="{points}"/>')
    said = f"{name} since the first exposure"
    parts.append(text((LEFT + right) / 2, HEIGHT - 8, said, anchor="middle"))
    told = "; ".join(f"{name} {row[-1]:,}" for name, row in seen.counts.items())
    return figure("Exposures so far, by variant", told, HEIGHT, "".join(parts))


def compared(found: Mapping[str, Any], control: str, began: float) -> Compared:
    """Return a comparison of a report."""
    looks = [Look(**one) for one in found["looks"]]
    metric, treatment = str(found["metric"]), str(found["treatment"])
    known = [one for one in looks if math.isfinite(one.low)]
    step = max(1, math.ceil(len(known) / ROWS))
    first = found["lift"]
    return Compared(
        metric=metric,
        treatment=treatment,
        control_value=float(first["control"]),
        treatment_value=float(first["treatment"]),
        lift=lifted(found["relative"], found["difference"]),
        p_value=float(found["p_value"]),
        p_corrected=float(found["p_corrected"]),
        verdict=str(found["verdict"]),
        picture=band(f"{metric}: {treatment} - {control}", looks, began),
        looks=[
            (
                moment(one.time),
                one.units,
                f"{one.difference:+.4f}",
                f"{one.low:+.4f} to {one.high:+.4f}",
            )
            for at, one in enumerate(known)
            if (len(known) - 1 - at) % step == 0
        ],
    )


def lifted(relative: Mapping[str, float], difference: Mapping[str, float]) -> str:
    """Return a lift in per cent with its interval, or the difference where the control is not told from 0.

    Example
    -------
    >>> lifted({"value": 0.1, "low": 0.05, "high": 0.15}, {"value": 0.01, "low": 0.005, "high": 0.015})
    '+10.0% (+5.0% to +15.0%)'
    """
    (value, low, high), form = readable(Interval(**relative), Interval(**difference))
    if not math.isfinite(high - low):
        return f"{value:+{form}} (too few units for an interval)"
    return f"{value:+{form}} ({low:+{form}} to {high:+{form}})"


def preference(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an interleaving found, a line a number."""
    told: Mapping[str, Any] = found.get("preference") or {}
    lines: list[tuple[str, str]] = []
    for name, value in told.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{part} {one:.4g}" for part, one in value.items())
        elif isinstance(value, float):
            value = f"{value:.4g}"
        elif isinstance(value, list | tuple):
            value = ", ".join(f"{one:.4g}" for one in value)
        lines.append((name.replace("_", " "), str(value)))
    return lines
