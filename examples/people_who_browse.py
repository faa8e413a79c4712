"""People of known tastes browse a server, and what the experiment says is held to the truth.

The server runs in this process and is asked as any other is; give ``httpx2.AsyncClient(base_url=...)`` for one elsewhere.
`twofold demo --online` does the same with servers in processes of their own.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx2
import polars as pl

import twofold as tw
from twofold.online import experiments
from twofold.online.report import report
from twofold.online.simulate import Day, People, Population, browse, gathered, truth
from twofold.serve.app import create_app
from twofold.serve.live import Live
from twofold.serve.settings import Settings

DECLARED = """
[experiments.ranker]
planned_units = 500
before_days = 0

[experiments.ranker.variants]
control = { model = "Popularity" }
new = { model = "ItemKNN" }
"""


async def lived(people: Population, settings: Settings, draw: int = 0) -> list[Day]:
    """Let the people browse a server."""
    live = Live.open(settings)
    transport = httpx2.ASGITransport(app=create_app(live))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://twofold") as client:
            return [day async for day in browse(people, client, draw=draw, together=50)]
    finally:
        live.close()


def main() -> None:
    people = Population(People(count=500, items=150, past_items=15, days=4, visits=0.5), rng=0)
    log = people.log()
    sys.stdout.write(
        f"{log.n_users} people, {log.n_items} items, {len(log):,} events of the past\n"
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        arms = {"control": tw.models.Popularity(), "new": tw.models.ItemKNN()}
        for name, estimator in arms.items():
            estimator.fit(log).save(folder / name)
        (folder / "experiment.toml").write_text(DECLARED)
        told = {
            "state": str(folder / "state"),
            "model": str(folder / "control"),
            "kinds": ("click",),
        }
        live = Live.open(Settings(**told), events=False)
        live.registry.register(folder / "new")
        live.close()

        days = asyncio.run(
            lived(people, Settings(**told, experiment=str(folder / "experiment.toml")))
        )
        for day in days:
            shown = len(day.exposures)
            clicks = len(day.events.filter(pl.col("kind") == "click"))
            sys.stdout.write(f"day {day.number + 1}: {shown} lists, {clicks} clicks\n")
        declared = experiments.read(folder / "experiment.toml")["ranker"]
        found = report(declared, *gathered(days), until=people.settings.end)
        sys.stdout.write(f"{found.headline}\n")

        runs = {
            name: [
                asyncio.run(
                    lived(
                        people,
                        Settings(state=f"{folder}/{name}-{draw}", model=str(folder / name), kinds=("click",)),
                        draw,
                    )
                )
                for draw in (0, 1)
            ]
            for name in arms
        }  # fmt: skip
        metric = declared.experiment.metrics["click_through"]
        true = truth(runs["control"], runs["new"], metric, until=people.settings.end)
        sys.stdout.write(f"the truth: {true.relative:+.1%} ± {1.96 * true.relative_error:.1%}\n")


if __name__ == "__main__":
    main()
