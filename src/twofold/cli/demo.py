"""The main job on real data, in a minute or two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from twofold import datasets, jobs, loading, runs
from twofold.cli.checks import check_split
from twofold.cli.compare import run_comparison
from twofold.cli.options import Seed
from twofold.cli.output import Json, leaderboard, note, say, table, width
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError

DATA = "ml-100k"
JOB: dict[str, Any] = {
    # In this log people rate in one sitting: a cut in time would leave hardly anybody on both sides.
    "split": {"kind": "last_fraction", "test": 0.2},
    "metrics": ["ndcg@10", "recall@10", "coverage@10", "novelty@10"],
    "models": {
        "popularity": {"class": "Popularity"},
        "item-knn": {"class": "ItemKNN"},
        "ease": {"class": "EASE"},
        "ials": {"class": "IALS"},
        "bpr": {"class": "BPR"},
        "mf": {"class": "BiasedMF"},
    },
}


FOLDER, ONLINE_FOLDER = Path("twofold-demo"), Path("twofold-demo-online")
PEOPLE, DAYS = 1500, 10
"""How many browse, and for how long, unless told otherwise."""
FEWEST = 300
"""Fewer people than this show nothing: each arm needs a hundred who come."""


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=f"The folder to write; {FOLDER} or {ONLINE_FOLDER} otherwise.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="The online test: two models, a server, people who browse, a verdict."
        ),
    ] = False,
    people: Annotated[
        int | None,
        typer.Option(
            help=f"With --online: people from the beginning; {PEOPLE:,} otherwise.",
            min=FEWEST,
            max=100_000,
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            help=f"With --online: days of the experiment; {DAYS} otherwise.",
            min=2,
            max=365,
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare the models on MovieLens 100K, recommend, explain, and write a report; or test two of them online.

    The log is looked for in TWOFOLD_DATA and the cache, then fetched; where nothing can be reached
    the demo runs on generated data and says so.

    With `--online` two models are trained on the log of a simulated population and served on this machine;
    the people browse for some days, and the experiment's verdict stands beside the truth.

    Example: `twofold demo --out twofold-demo`, or `twofold demo --online`
    """
    if online:
        # The server's packages are an extra.
        from twofold.cli.demo_online import demo_online

        demo_online(
            out or ONLINE_FOLDER, people=people or PEOPLE, days=days or DAYS, seed=seed, json=json
        )
        return
    for name, given in (("people", people), ("days", days)):
        if given is not None:
            raise ConfigError(f"--{name} is of the online test; add --online")
    out = out or FOLDER
    log = datasets.load_or_generate(DATA)
    for one in log.notes:
        note(f"note: {one}")
    job = jobs.from_dict({**JOB, "data": {"name": DATA}, "seed": seed})
    cut = job.split.make(log, seed)
    note(str(cut))
    check_split(job, cut)
    run = runs.open_run(out, job.as_dict(), log, seed)
    board = run_comparison(job, cut, run)
    if json:
        say(board.to_json())
        return
    say(f"\n{leaderboard(board, width())}\n")
    path = runs.model_folder(run.path)
    model = loading.load(path)
    someone = model.users.ids[0]
    lists = model.recommend(users=[someone], k=5)
    say(f"{board.best} recommends to user {someone}:\n{table(titled(lists, log))}\n")
    first = lists["item"][0]
    why = model.explain(someone, first).head(3).drop("reason")  # the item again
    say(f"because of what user {someone} has seen:\n{table(titled(why, log))}\n")
    say(f"open {run.path / 'report.html'}; saved models: {run.path / 'models'}")
    say(f"next: twofold recommend {run.path} --user {someone}")
    say("your own log: twofold compare --data ratings.csv --out runs/first")


def titled(frame: pl.DataFrame, log: Dataset) -> pl.DataFrame:
    """Put the titles of the items beside their ids, where the data have any."""
    items = log.frame("items")
    if "title" not in items.columns:
        return frame
    titles = items.select(pl.col("item"), pl.col("title").cast(pl.String))
    return frame.join(titles, on="item", how="left")
