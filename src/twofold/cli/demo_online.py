"""The other half of the demo: two models behind one server, a population that browses, and the verdict beside the truth."""

from __future__ import annotations

import asyncio
import contextlib
import json as text_of
import math
import shlex
import shutil
import time
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from twofold import models
from twofold.cli._serving import ended, serving
from twofold.cli.output import finite, interruptible, note, say, say_json, table
from twofold.cli.serve import EXTRA
from twofold.drafts import write_page
from twofold.errors import ConfigError, DataError, need
from twofold.hyperparameters import values
from twofold.online import experiments
from twofold.online.experiments import Slice
from twofold.online.report import Comparison, ExperimentReport, lifted, report
from twofold.online.simulate import Day, People, Population, Truth, browse, gathered, truth
from twofold.progress import track

ARMS = {
    "control": models.Popularity(),
    "new": models.CTR(factors=16, content="words", epochs=15, item_reg=1.0, unseen_weight=0.05),
}
"""What is compared: what everybody likes, and each person's own taste, which also places new items by their words."""
NAME = "ranker"
DECLARED = """salt = "demo-{seed}"

[experiments.{name}]
planned_units = {people}
before_days = 0                      # the server knows nothing of the time before
metrics.click_through = {{ kind = "click_through", window_hours = 1 }}
metrics.conversion = {{ kind = "conversion", event = "purchase", window_hours = 24 }}
metrics.watch_time = {{ kind = "watch_time", window_hours = 24 }}

[experiments.{name}.variants]
control = {{ model = "{control}" }}
new = {{ model = "{new}" }}
"""
MARK = "demo.json"
"""What tells a folder of this demo from others."""
OWN = (MARK, "experiment.toml", "exposures.parquet", "events.parquet", "verdict.json", "report.html", "models", "server", "truth")  # fmt: skip
INSIDE = {True: "yes", False: "no", None: "no interval"}
"""How it is said whether an interval holds the truth."""
DRAWS = 2
"""Lives of each person under each arm, for the truth."""
TOGETHER = 50
"""People whose lists are asked for in one request."""


def demo_online(out: Path, *, people: int, days: int, seed: int, json: bool) -> None:
    """Run the demo.

    Raises
    ------
    ConfigError
        If the folder holds something else.
    DataError
        If a server does not start, or what it logged is not what people saw.
    """
    for module in (*EXTRA, "httpx2"):
        need(module, "serve")
    settings = People(count=people, newcomers=people / 200, days=days)
    begin(out, settings, seed)
    note(f"everything is written into {out}")
    with interruptible(f"the servers are stopped; {out} holds what was made so far"), ended():
        population = Population(settings, seed)
        log = population.log()
        note(f"{people:,} people and {settings.items:,} items, with tastes that only the simulation knows; their past log has {len(log):,} events")  # fmt: skip
        for name, estimator in ARMS.items():
            began = time.perf_counter()
            estimator.fit(log, rng=seed).save(out / "models" / name)
            note(f"trained {type(estimator).__name__}, the {name} arm, in {time.perf_counter() - began:.1f} s")  # fmt: skip
        file = declare(out, people, seed)
        slice_ = experiments.read(file)[NAME]
        seen = lived(population, slice_, out, file)
        exposures, events = kept(out, seen)
        made = report(slice_, exposures, events, until=settings.end)
        note(f"now the truth: everybody lives these {days} days under each arm, {DRAWS} times with other luck")  # fmt: skip
        runs = {name: list[list[Day]]() for name in ARMS}
        for draw in track(range(DRAWS), "the truth"):
            for name, one in counterfactual(population, out, draw).items():
                runs[name].append(one)
        metrics = slice_.experiment.metrics
        found = {
            name: truth(runs["control"], runs["new"], metric, until=settings.end)
            for name, metric in metrics.items()
        }
    command = by_hand(out, settings.end)
    told = {
        "folder": str(out),
        "seed": seed,
        "people": values(settings),
        "days": [row_of(at, look) for at, look in enumerate(made.comparisons[0].looks, 1)],
        "report": made.as_dict(),
        "truth": {name: one.as_dict() for name, one in found.items()},
        "inside": {one.metric: inside(one, found[one.metric]) for one in made.comparisons},
        "command": command,
    }
    write_page(out / "verdict.json", text_of.dumps(finite(told), indent=1) + "\n")
    write_page(out / "report.html", made.to_html())
    if json:
        say_json(told)
        return
    show(made, found, out, command)


# ---- the folder -----------------------------------------------------------------------------


def begin(out: Path, settings: People, seed: int) -> None:
    """Make the folder, or clear that of an earlier demo; nothing else is ever removed.

    Raises
    ------
    ConfigError
        If it holds something else, or cannot be written.
    """
    try:
        if out.exists() and not out.is_dir():
            raise ConfigError(f"{out} is a file; choose another --out")
        if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
            raise ConfigError(f"{out} holds something else than an earlier demo; choose another --out")  # fmt: skip
        for name in OWN:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for name in ("models", "truth"):
            (out / name).mkdir(parents=True)
        (out / MARK).write_text(text_of.dumps({"seed": seed, "people": values(settings)}, indent=1) + "\n", encoding="utf-8")  # fmt: skip
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename or out}: {error.strerror}; choose another --out") from error  # fmt: skip


def declare(out: Path, people: int, seed: int) -> Path:
    """Write the experiment, and register both models with the server's state; return the file."""
    # SQLAlchemy takes half a second, which the other commands shall not wait for.
    from twofold.serve.live import Live
    from twofold.serve.settings import Settings

    names = {name: type(one).__name__ for name, one in ARMS.items()}
    file = out / "experiment.toml"
    file.write_text(DECLARED.format(seed=seed, name=NAME, people=people, **names), encoding="utf-8")
    # The live version takes new items, which a model that reads no content cannot place.
    live = Live.open(Settings(state=str(out / "server"), model=str(out / "models" / "new")), events=False)  # fmt: skip
    try:
        live.registry.register(out / "models" / "control")
    finally:
        live.close()
    return file


def kept(out: Path, seen: Sequence[Day]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write what the server logged as two Parquet files, and return both logs.

    Raises
    ------
    DataError
        If a list that people saw is not in its log, or an event that it acknowledged is not kept.
    """
    # As above.
    from twofold.serve.store import Store
    from twofold.serve.tables import EVENTS, EXPOSURES

    store = Store(f"sqlite:///{(out / 'server' / 'events.db').absolute()}")
    try:
        shown = [one for one in store.rows(EXPOSURES) if one["experiment"] == NAME]
        done = store.rows(EVENTS)
    finally:
        store.close()
    exposures = pl.DataFrame(
        {
            "unit": [one["unit"] for one in shown],
            "variant": [one["variant"] for one in shown],
            "time": [one["time"] for one in shown],
            "request": [one["request_id"] for one in shown],
            "items": [[str(item) for item in text_of.loads(one["items"])] for one in shown],
        }
    ).sort("time", "unit")
    names = {"unit": "user_id", "kind": "kind", "time": "time", "item": "item_id", "value": "value", "request": "request_id", "event": "id"}  # fmt: skip
    events = pl.DataFrame(
        {name: [one[column] for one in done] for name, column in names.items()},
        schema_overrides={"value": pl.Float64},
    ).sort("time", "event")
    said, did = gathered(seen)
    for what, own, theirs, key in (
        ("lists that people saw", said, exposures, "request"),
        ("events that the server acknowledged", did, events, "event"),
    ):
        lost = set(own[key]) - set(theirs[key])
        if lost:
            raise DataError(f"{len(lost):,} of {len(own):,} {what} are not in its log, such as {min(lost)}; please report it")  # fmt: skip
    note(f"the server logged all {len(said):,} lists and kept all {len(did):,} events that it acknowledged")  # fmt: skip
    exposures.write_parquet(out / "exposures.parquet")
    events.write_parquet(out / "events.parquet")
    return exposures, events


def by_hand(out: Path, end: float) -> str:
    """Return the command that makes the report from the files."""
    parts = [
        "twofold", "experiment", "report", str(out / "experiment.toml"),
        "--exposures", str(out / "exposures.parquet"), "--events", str(out / "events.parquet"),
        "--until", f"{datetime.fromtimestamp(end, UTC):%Y-%m-%dT%H:%M:%SZ}",
    ]  # fmt: skip
    return shlex.join(parts)


# ---- days -----------------------------------------------------------------------------------


def lived(population: Population, slice_: Slice, out: Path, file: Path) -> list[Day]:
    """Run the experiment, and say day by day what it shows."""
    log = out / "server.log"
    seen: list[Day] = []
    with serving(out / "server", log, "--experiment", str(file)) as url, asyncio.Runner() as runner:  # fmt: skip
        note(f"serving both at {url}; while it runs, {url}/experiments/{NAME} says the same")  # fmt: skip
        client = client_of(url)
        days = browse(population, client, together=TOGETHER)
        try:
            for _ in track(range(population.settings.days), "days"):
                seen.append(runner.run(following(days)))
                note(line_of(seen, slice_, population.settings.start))
        finally:
            runner.run(closed(days, client))
    return seen


def counterfactual(population: Population, out: Path, draw: int) -> Mapping[str, list[Day]]:
    """Let everybody live under each arm, at a server each; return the days of each arm."""

    async def live(url: str) -> list[Day]:
        async with client_of(url) as client:
            return [day async for day in browse(population, client, draw=draw, together=TOGETHER)]

    async def both(urls: Sequence[str]) -> list[list[Day]]:
        return await asyncio.gather(*map(live, urls))

    with contextlib.ExitStack() as stack:
        urls: list[str] = []
        for name in ARMS:
            place = out / "truth" / f"{name}-{draw}"
            place.mkdir(parents=True)
            given = ("--state", str(place / "state"))
            urls.append(stack.enter_context(serving(out / "models" / name, place / "log.txt", *given)))  # fmt: skip
        return dict(zip(ARMS, asyncio.run(both(urls)), strict=True))


def client_of(url: str) -> Any:
    """Return a client of a server."""
    return need("httpx2", "serve").AsyncClient(base_url=url, timeout=60, trust_env=False)


def following(days: Any) -> Coroutine[Any, Any, Day]:
    """Return the next day as a coroutine."""

    async def step() -> Day:
        return await anext(days)

    return step()


async def closed(days: Any, client: Any) -> None:
    """Let go of a run and its client."""
    await days.aclose()
    await client.aclose()


# ---- what is said ---------------------------------------------------------------------------


def line_of(seen: Sequence[Day], slice_: Slice, start: float) -> str:
    """Return what the experiment shows after a day."""
    shown, done = gathered(seen)
    number = len(seen)
    one = seen[-1]
    head = f"day {number:2}: {one.exposures['unit'].n_unique():,} people, {len(one.exposures):,} lists, {len(one.new_items)} new items"  # fmt: skip
    made = report(slice_, shown, done, until=start + number * 86_400.0)
    first = [each for each in made.comparisons if each.metric == next(iter(slice_.experiment.metrics))]  # fmt: skip
    return f"{head}; {first[0].metric} {lifted(first[0])}" if first else head


def row_of(day: int, look: Any) -> dict[str, Any]:
    """Return a look as plain values."""
    return {"day": day, "units": look.units, "difference": look.difference, "low": look.low, "high": look.high, "p": look.p_value}  # fmt: skip


def inside(one: Comparison, found: Truth) -> bool | None:
    """Say whether the interval of a comparison holds the truth; None where there were too few units for an interval."""
    if not math.isfinite(one.difference.high - one.difference.low):
        return None
    return bool(one.difference.low <= found.difference <= one.difference.high)


def show(made: ExperimentReport, found: Mapping[str, Truth], out: Path, command: str) -> None:
    """Write the verdict beside the truth."""
    say(f"\n{made.headline}\n{made.ratio}\n")
    rows = [
        {
            "metric": one.metric,
            "control": round(one.lift.control, 4),
            "new": round(one.lift.treatment, 4),
            "lift [95 % on all days]": lifted(one),
            "verdict": one.verdict,
            "true lift": f"{found[one.metric].relative:+.1%} ± {1.96 * found[one.metric].relative_error:.1%}",
            "inside": INSIDE[inside(one, found[one.metric])],
        }
        for one in made.comparisons
    ]
    say(table(pl.DataFrame(rows)))
    for one in made.notes:
        note(f"note: {one}")
    some = next(iter(found.values()))
    say(f"\nthe true lift is that of these {some.people:,} people, each of them under both arms {some.draws} times")  # fmt: skip
    say(f"\nthe same report by hand: {command}")
    say(f"open {out / 'report.html'}; everything is in {out / 'verdict.json'}")
