"""The report of an experiment as a page: verdict, ratio check, lifts over time with the always-valid band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from twofold.evaluation.page import cell, details, document, table
from twofold.evaluation.pictures import WIDTH, Scale, figure, line, number, text
from twofold.hyperparameters import values
from twofold.online.outcomes import DAY, HOUR
from twofold.online.track import MINUTE

if TYPE_CHECKING:
    from twofold.online.report import Comparison, ExperimentReport
    from twofold.online.track import Look

HEIGHT, LEFT, RIGHT, FOOT = 230.0, 58.0, 12.0, 42.0
"""Sizes of a drawing, in its own units."""


def passed(seconds: float) -> tuple[float, str]:
    """Return the unit in which a time is told, in seconds, and its name.

    Example
    -------
    >>> passed(10 * 86400.0), passed(7200.0), passed(300.0)
    ((86400.0, 'days'), (3600.0, 'hours'), (60.0, 'minutes'))
    """
    if seconds >= 2 * DAY:
        return DAY, "days"
    return (HOUR, "hours") if seconds >= 2 * HOUR else (MINUTE, "minutes")


def band(title: str, looks: Sequence[Look], first: float) -> str:
    """Return a difference over days with its always-valid band, and the line of no difference."""
    known = [one for one in looks if math.isfinite(one.low)]
    if not known:
        return figure(title, "too few units to say anything", 40, text(LEFT, 24, "too few units to say anything", kind="dim"))  # fmt: skip
    bottom = HEIGHT - FOOT
    unit, name = passed(known[-1].time - first)
    days = [(one.time - first) / unit for one in known]
    across = Scale(0.0, max(days), LEFT, WIDTH - RIGHT)
    # The first bands are wide: the scale is that of the last one, and what is outside is cut.
    last = 2.5 * max(abs(known[-1].low), abs(known[-1].high))
    up = Scale(-last, last, bottom, 10.0)

    def at(day: float, value: float) -> str:
        return f"{across(day):.1f},{up(min(max(value, up.low), up.high)):.1f}"

    parts = [
        line("grid", LEFT, up(tick), WIDTH - RIGHT, up(tick))
        + text(LEFT - 6, up(tick) + 4, f"{tick:.3g}", anchor="end", kind="dim")
        for tick in up.ticks(5)
    ]
    parts += [text(across(tick), bottom + 15, f"{tick:.4g}", anchor="middle", kind="dim") for tick in across.ticks(7)]  # fmt: skip
    over = [at(day, one.high) for day, one in zip(days, known, strict=True)]
    under = [at(day, one.low) for day, one in zip(days, known, strict=True)]
    middle = [at(day, one.difference) for day, one in zip(days, known, strict=True)]
    parts.append(f'<polygon class="band" points="{" ".join([*over, *reversed(under)])}"/>')
    parts.append(f'<polyline class="front" points="{at(0.0, 0.0)} {at(max(days), 0.0)}"/>')
    parts.append(f'<polyline class="path c0" points="{" ".join(middle)}"/>')  # fmt: skip
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, f"{name} since the first exposure", anchor="middle"))  # fmt: skip
    end = known[-1]
    told = f"after {days[-1]:.1f} {name} {number(end.difference)}, always-valid interval {number(end.low)} to {number(end.high)}"  # fmt: skip
    return figure(title, told, HEIGHT, "".join(parts))


def _line(one: Comparison) -> list[str]:
    # `report` imports this module when a page is asked for.
    from twofold.online.report import lifted

    value, low, high = one.difference
    within = f"{number(low)} to {number(high)}" if math.isfinite(low) else "too few units"
    return [
        cell(f"<strong>{escape(one.metric)}</strong>"),
        cell(escape(one.treatment)),
        cell(number(one.lift.control)),
        cell(number(one.lift.treatment)),
        cell(escape(lifted(one))),
        cell(f"{number(value)} <small>{within}</small>"),
        cell(f"{one.p_value:.3g}"),
        cell(f"{one.p_corrected:.3g}"),
        cell(f"{1 - one.lift.kept_variance:.0%}"),
        cell(escape(one.verdict), "best" if one.verdict in ("better", "worse") else ""),
    ]


def report(made: ExperimentReport) -> str:
    """Return the page of an experiment."""
    # `report` imports this module when a page is asked for.
    from twofold.online.report import moment

    plan = made.experiment
    shares = zip(made.units.items(), made.ratio.expected, strict=True)
    variants = [
        [
            cell(f"<strong>{escape(name)}</strong>"),
            cell(escape(plan.variants[name].model or "live")),
            cell(f"{n:,}"),
            cell(f"{wanted:,.0f}"),
        ]
        for (name, n), wanted in shares
    ]
    test = (
        "sequential: it may be looked at on any day"
        if plan.test == "sequential"
        else f"looked at once, at {moment(plan.ends)}"
    )
    parts = [
        f"<h1>Experiment {escape(made.name)}</h1>",
        f'<p class="lead">{escape(made.headline)}</p>',
        f'<p class="dim">{moment(made.first)} to {moment(made.until)}; level {plan.alpha:.0%}, {escape(test)}; '
        f"p-values corrected over {len(made.comparisons)} comparisons (Holm).</p>",
        "<h2>Units</h2>",
        table(["variant", "model", "units", "expected"], variants, "Units by variant"),
        f"<p>{escape(str(made.ratio))}; looked at daily: p {made.ratio_p:.3g}.</p>",
    ]
    if made.comparisons:
        head = ["metric", "treatment", plan.control, "treated", "lift", "difference", "p", "corrected", "CUPED", "verdict"]  # fmt: skip
        parts.append("<h2>Lifts</h2>" + table(head, [_line(one) for one in made.comparisons], "Lifts"))  # fmt: skip
        parts.append('<h2>Over time</h2><p class="dim">The band holds the true difference on all days together with the stated confidence.</p>')  # fmt: skip
        parts.append('<div class="grid-of">' + "".join(band(f"{one.metric}: {one.treatment} - {plan.control}", one.looks, made.first) for one in made.comparisons) + "</div>")  # fmt: skip
    if made.notes:
        parts.append("<h2>Notes</h2><ul>" + "".join(f"<li>{escape(one)}</li>" for one in made.notes) + "</ul>")  # fmt: skip
    declared = [
        [cell(escape(name)), cell(f"<code>{escape(str(values(one)))}</code>")]
        for name, one in plan.metrics.items()
    ]
    parts.append(details("Definitions of the metrics", table(["metric", "declared as"], declared, "Definitions")))  # fmt: skip
    return document(f"Experiment {made.name}", "".join(parts))
