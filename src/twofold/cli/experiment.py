"""Commands for online tests: how large an experiment must be, and what its logs show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from twofold.cli.experiment_logs import Events, Exposures, StateOption, logs_of
from twofold.cli.output import Json, note, say, say_json, table
from twofold.cli.serve import StoreUrl
from twofold.drafts import write_page
from twofold.errors import ConfigError, DataError
from twofold.online import experiments
from twofold.online.interleaving_report import InterleavingReport
from twofold.online.interleaving_report import report as report_interleaving
from twofold.online.logs import as_seconds
from twofold.online.power import plan as plan_experiment
from twofold.online.report import report as report_experiment


def plan(
    baseline: Annotated[
        float, typer.Option(help="The control's metric, such as 0.05 for 5 % of people.")
    ],
    lift: Annotated[
        float, typer.Option(help="The smallest relative lift that matters, such as 0.1.")
    ],
    spread: Annotated[
        float | None,
        typer.Option(help="Standard deviation of a unit; without it the metric is a share."),
    ] = None,
    treatment_spread: Annotated[
        float | None, typer.Option(help="That of the treatment, where it differs.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="False positives that are accepted.")] = 0.05,
    power: Annotated[float, typer.Option(help="How often such a lift is to be found.")] = 0.8,
    treatment_share: Annotated[
        float, typer.Option(help="Share of the units that get the treatment.")
    ] = 0.5,
    correlation: Annotated[
        float, typer.Option(help="With what is known of before (CUPED), -1 ... 1.")
    ] = 0.0,
    comparisons: Annotated[int, typer.Option(min=1, help="Metrics times treatments.")] = 1,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="For the test that may be looked at any day.")
    ] = False,
    units_per_day: Annotated[float | None, typer.Option(help="New units in a day.")] = None,
    json: Json = False,
) -> None:
    """Say how many units, and how many days, an experiment needs.

    Example: `twofold experiment plan --baseline 0.1 --lift 0.05 --units-per-day 5000`
    """
    if not 0 < treatment_share < 1:
        raise ConfigError(f"--treatment-share must be between 0 and 1; got {treatment_share}")
    if treatment_spread is not None and spread is None:
        raise ConfigError("--treatment-spread needs --spread, that of the control, too")
    made = plan_experiment(
        baseline=baseline,
        lift=lift,
        spread=spread if spread is None or treatment_spread is None else (spread, treatment_spread),
        alpha=alpha,
        power=power,
        weights=(1 - treatment_share, treatment_share),
        correlation=correlation,
        comparisons=comparisons,
        sequential=sequential,
        units_per_day=units_per_day,
    )
    if json:
        say_json(made.as_dict())
        return
    test = "looked at any day" if sequential else "looked at once, at the end"
    say(
        f"{made.total:,} units ({made.units[0]:,} control, {made.units[1]:,} treatment) find a lift of "
        f"{lift:+.3g} on {baseline:g} with a power of {power:.0%}; {test}, level {made.alpha:.3g}"
    )
    if made.days is not None:
        say(f"{made.days:,} days at {units_per_day:,.0f} new units a day, and the window of the metric")  # fmt: skip
    note(f"declare planned_units = {made.total} in the experiment")


def report(
    file: Annotated[Path, typer.Argument(help="A TOML file of experiments.", show_default=False)],
    exposures: Exposures = None,
    events: Events = None,
    state: StateOption = None,
    store: StoreUrl = "",
    name: Annotated[str, typer.Option(help="Which experiment, where the file has several.")] = "",
    until: Annotated[
        str, typer.Option(help="Look at nothing later, such as 2026-11-08T00:00:00Z.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A page to write (HTML).")] = None,
    json: Json = False,
) -> None:
    """Say what an experiment shows so far: units, ratio check, lifts with intervals, verdicts.

    Example: `twofold experiment report exp.toml --state runs/ials-serving --out report.html`
    """
    declared = experiments.read(file)
    if not name and len(declared.slices) > 1:
        raise ConfigError(f"{file} has {len(declared.slices)} experiments ({', '.join(declared.slices)}); say which with --name")  # fmt: skip
    chosen = declared[name or next(iter(declared.slices))]
    end = _moment(until) if until else None
    logs = logs_of(exposures, events, state, store, unit=chosen.experiment.unit, name=chosen.name)
    if chosen.experiment.method == "ab_test":
        made = report_experiment(chosen, *logs, until=end)
    else:
        made = report_interleaving(chosen, *logs, until=end)
    if json:
        say_json(made.as_dict())
    elif isinstance(made, InterleavingReport):
        say(made.headline)
    else:
        say(made.headline)
        say(str(made.ratio))
        if made.comparisons:
            say(f"\n{table(made.frame())}")
    for one in () if json else made.notes:
        note(f"note: {one}")
    if out is not None:
        write_page(out, made.to_html())
        note(f"wrote {out}")


def _moment(text: str) -> float:
    try:
        return float(as_seconds(pl.Series([text]), "--until")[0])
    except DataError:
        raise ConfigError(f"--until got {text!r}; write a time such as 2026-11-08T00:00:00Z") from None  # fmt: skip
