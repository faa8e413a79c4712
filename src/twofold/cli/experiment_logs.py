"""Commands on the logs of online tests: writing them, and what another policy would have earned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from twofold.cli.files import check_target, write
from twofold.cli.output import Json, note, say, say_json, table
from twofold.cli.serve import State, StoreUrl, settings_of
from twofold.errors import ConfigError, need
from twofold.online.list_estimates import ListEstimates, estimate_lists
from twofold.online.list_policies import Epsilon, Softmax
from twofold.online.logs import of_experiment, read_log
from twofold.online.outcomes import ClickThrough

Exposures = Annotated[
    Path | None,
    typer.Option(
        help="Exposures: unit, variant, time; request, items, propensities.", show_default=False
    ),
]
Events = Annotated[
    Path | None,
    typer.Option(help="Events: unit, kind, time; item, value, request, event.", show_default=False),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="In place of files: the state folder of a server.", show_default=False),
]  # fmt: skip
Session = Annotated[bool, typer.Option("--session", help="Units are sessions, not users.")]


def logs_of(
    exposures: Path | None,
    events: Path | None,
    state: Path | None,
    store: str,
    *,
    unit: str = "user",
    name: str = "",
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the two logs, from files or from the store of a server.

    Raises
    ------
    ConfigError
        If it is not said where they are, or said twice.
    """
    files = [one for one in (exposures, events) if one is not None]
    if state is None and not store:
        if exposures is None or events is None:
            raise ConfigError("say where the logs are: --exposures and --events, or --state of a server")  # fmt: skip
        shown = read_log(exposures)
        return of_experiment(shown, name) if name else shown, read_log(events)
    if files:
        raise ConfigError("give --exposures and --events, or --state; not both")
    need("sqlalchemy", "serve")
    # What needs a database, which files shall not wait for.
    from twofold.serve.experiment_logs import read_logs
    from twofold.serve.settings import Settings
    from twofold.serve.store import Store

    opened = Store(settings_of(state or Path(), store, Settings).url)
    try:
        return read_logs(opened, unit, name)
    finally:
        opened.close()


def export(
    state: State,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A folder for exposures.parquet and events.parquet.")
    ],
    name: Annotated[str, typer.Option(help="One experiment alone.")] = "",
    session: Session = False,
    store: StoreUrl = "",
    json: Json = False,
) -> None:
    """Write the exposures and events of a server as the logs that report and estimate read.

    Example: `twofold experiment export runs/ials-serving --name ranker --out logs`
    """
    targets = {one: out / f"{one}.parquet" for one in ("exposures", "events")}
    for one in targets.values():
        check_target(one)
    shown, done = logs_of(None, None, state, store, unit="session" if session else "user", name=name)  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write(shown, targets["exposures"])
    write(done, targets["events"])
    if json:
        say_json({"exposures": len(shown), "events": len(done), "out": str(out)})
    else:
        say(f"wrote {len(shown):,} exposures and {len(done):,} events to {out}")


def estimate(
    state: StateOption = None,
    model: Annotated[
        str,
        typer.Option(help="With --state: the version to estimate, by number or newest of a class."),
    ] = "",
    exposures: Exposures = None,
    events: Events = None,
    target: Annotated[
        Path | None,
        typer.Option(
            help="With files: request, and items or propensities of the target.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Lists of one experiment alone.")] = "",
    session: Session = False,
    places: Annotated[int, typer.Option(min=1, help="Places of a list whose clicks count.")] = 1,
    within: Annotated[
        bool, typer.Option("--within", help="Let the target choose among the logged candidates.")
    ] = False,
    epsilon: Annotated[
        float | None, typer.Option(help="The target explores too, by epsilon.", show_default=False)
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="The target explores too, by softmax.", show_default=False)
    ] = None,
    event: Annotated[str, typer.Option(help="The kind of event that counts.")] = "click",
    window_hours: Annotated[float, typer.Option(help="How long after a list.", min=0.0001)] = 1.0,
    clip: Annotated[
        float | None,
        typer.Option(help="Cut weights there: less variance, and biased.", show_default=False),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    kind: Annotated[
        list[str],
        typer.Option(help="Kind of event in histories, as in `twofold serve`; repeatable."),
    ] = [],  # noqa: B006
    store: StoreUrl = "",
    json: Json = False,
) -> None:
    """Say what another policy would have earned, from lists that were drawn with known chances: IPS, SNIPS, DR.

    Example: `twofold experiment estimate --state runs/ials-serving --model 2`
    """  # fmt: skip
    if epsilon is not None and temperature is not None:
        raise ConfigError("give --epsilon or --temperature, not both")
    policy: Epsilon | Softmax | None = None
    if epsilon is not None:
        policy = Epsilon(epsilon=epsilon)
    elif temperature is not None:
        policy = Softmax(temperature=temperature)
    shown, done = logs_of(exposures, events, state, store, unit="session" if session else "user", name=name)  # fmt: skip
    notes: tuple[str, ...] = ()
    if state is None and not store:
        if target is None or model:
            raise ConfigError("with files, name the target's lists or chances with --target")
        wanted, label = read_log(target), target.stem
    else:
        if not model or target is not None:
            raise ConfigError("with --state, name the version to estimate with --model")
        depth = places if policy is None else None
        label, wanted, notes = _asked_again(state, store, model, shown, depth, kind, within=within)
    found = estimate_lists(
        shown,
        done,
        wanted,
        policy=policy,
        name=label,
        metric=ClickThrough(event=event, window_hours=window_hours),
        places=places,
        within=within,
        clip=clip,
        confidence=confidence,
    )
    _say(found, [*notes, *found.notes], json=json)


def _say(found: ListEstimates, notes: list[str], *, json: bool) -> None:
    if json:
        say_json({**found.as_dict(), "notes": notes})
        return
    say(found.headline)
    say(f"\n{table(found.frame())}")
    for one in notes:
        note(f"note: {one}")


def _asked_again(
    state: Path | None,
    store: str,
    model: str,
    shown: pl.DataFrame,
    depth: int | None,
    kinds: list[str],
    *,
    within: bool,
) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    """Return what a version of a server would have listed, and what is to be said of it."""
    # As in `logs_of`.
    from twofold.serve.experiments import version_of
    from twofold.serve.live import Live
    from twofold.serve.replay import replay
    from twofold.serve.settings import Settings

    settings: Any = settings_of(state or Path(), store, Settings, kinds=tuple(kinds))
    live = Live.open(settings, events=False)
    try:
        number = version_of(model, live.registry.read())
        made = replay(live, number, shown, k=depth, within=within)
    finally:
        live.close()
    return f"version {number}", made.target, made.notes
