"""Draw the pictures of the page: ``python docs/screenshots.py``; they are written to ``docs/images/page-*.png``.

Three models are compared on the demo's log, the best one is served with an experiment, the log of a made-up
population is put into its store, and Chromium goes through the views. Needs the extra
``dev``, and Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from twofold import datasets, jobs, runs
from twofold.cli.compare import run_comparison
from twofold.serve.experiments import Declared
from twofold.serve.registry import PROMOTE, Registry
from twofold.serve.settings import Settings
from twofold.serve.store import Store

FOLDER = Path(__file__).parent / "images"
WIDE, NARROW, TALL = ({"width": w, "height": h} for w, h in ((1120, 860), (390, 800), (1120, 1130)))
JOB: dict[str, Any] = {
    "data": {"name": "ml-100k"},
    "split": {"kind": "last_fraction", "test": 0.2},
    "metrics": ["ndcg@10", "recall@10", "coverage@10", "novelty@10"],
    "models": {
        "popularity": {"class": "Popularity"},
        "item-knn": {"class": "ItemKNN"},
        "ease": {"class": "EASE"},
        "ials": {"class": "IALS", "factors": 64},
    },
}
EXPERIMENT = """
[experiments.ease-against-ials]
layer = "ranking"
planned_units = 4000
before_days = 0
metrics.click_through = { kind = "click_through", window_hours = 2 }
metrics.conversion = { kind = "conversion", event = "play", window_hours = 24 }

[experiments.ease-against-ials.variants]
control = { model = "IALS" }
ease = { model = "EASE" }
"""
DAY, DAYS = 86400.0, 14
CHANCES = {"control": 0.16, "ease": 0.2}
"""Chance that a list is clicked: what is planted."""


def prepare(folder: Path) -> Path:
    """Train, register and log; return the state folder of the server."""
    log = datasets.load_or_generate(JOB["data"]["name"])
    job = jobs.from_dict(JOB)
    run = runs.open_run(folder / "run", job.as_dict(), log, 0)
    run_comparison(job, job.split.make(log, 0), run)
    state = folder / "state"
    settings = Settings(state=str(state))
    state.mkdir()
    (folder / "experiment.toml").write_text(EXPERIMENT)
    store = Store(settings.url)
    registry = Registry(store)
    versions = {name: registry.register(run.path / "models" / name) for name in JOB["models"]}
    registry.change("start", versions["item-knn"], "first version")
    registry.change(PROMOTE, versions["ials"], "better on what was held out")
    declared = Declared.read(folder / "experiment.toml", registry.read())
    browse(store, declared, range(10_000, 14_000))
    store.close()
    return state


def browse(store: Store, declared: Declared, people: range) -> None:
    """Keep the exposures and clicks of people who come back over two weeks."""
    rng = np.random.default_rng(0)
    now = time.time()
    exposures: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for user in people:
        given = declared.assign(user, None)
        first = now - DAYS * DAY * (1 - rng.random() ** 1.3)
        taste = rng.beta(4, 4) * 2
        for visit in range(rng.geometric(0.25)):
            when = first + visit * DAY * rng.uniform(0.6, 1.6)
            if when > now - 3 * 3600:
                break
            name = f"{user}-{visit}"
            shown = {
                "request_id": name,
                "version": 1,
                "source": "model",
                "items": '["50"]',
                "propensities": None,
                "time": when,
            }
            exposures += [arm.exposure(shown) for arm in given.arms]
            if rng.random() < min(0.95, taste * CHANCES[given.variant]):
                base = {
                    "user_id": str(user),
                    "item_id": "50",
                    "value": None,
                    "request_id": name,
                    "session": None,
                    "ids": 3,
                }
                events.append(
                    {
                        **base,
                        "id": f"c{name}",
                        "kind": "click",
                        "time": when + 20,
                        "received": when + 20,
                    }
                )
                if rng.random() < 0.4:
                    events.append(
                        {
                            **base,
                            "id": f"p{name}",
                            "kind": "play",
                            "time": when + 60,
                            "received": when + 60,
                        }
                    )
    store.add_exposures(exposures)
    store.add_events(events).result()


@contextmanager
def server(folder: Path, state: Path) -> Iterator[str]:
    """Serve; give the address."""
    log = folder / "log.txt"
    command = [
        sys.executable,
        "-m",
        "twofold",
        "serve",
        str(state),
        "--port",
        "0",
        "--experiment",
        str(folder / "experiment.toml"),
        "--kind",
        "rating",
    ]
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out)
    try:
        until = time.monotonic() + 120
        while not (found := re.search(r"listening on (http://\S+?:\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)


def chromium() -> str:
    """Return the program."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise SystemExit("Chromium is not installed; on Debian: apt-get install chromium")


def smaller(path: Path) -> None:
    """Write a picture with 256 colours, which is a third of the bytes."""
    with Image.open(path) as read:
        made = read.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    made.save(path, optimize=True)


def settled(page: Page) -> None:
    """Wait until nothing is loading."""
    page.wait_for_selector("#view[aria-busy=false]", timeout=90_000)


def tour(page: Page, address: str, save: Any) -> None:
    """Go through the views; `save` takes a picture of a name."""
    page.goto(f"{address}/?user=42")
    settled(page)
    page.wait_for_selector(".items li")
    page.locator("[data-why]").nth(1).click()
    page.wait_for_selector(".reasons")
    save("try")
    page.goto(f"{address}/")
    settled(page)
    page.get_by_text("A history", exact=True).click()
    for words in ("star wars", "raiders of"):
        page.get_by_role("combobox").fill(words)
        page.wait_for_selector("[role=option]")
        page.keyboard.press("Enter")
    page.get_by_role("combobox").fill("toy")
    page.wait_for_selector("[role=option]")
    page.keyboard.press("ArrowDown")
    save("history")
    page.goto(f"{address}/page/similar?item=50")
    settled(page)
    page.wait_for_selector(".items li")
    save("similar")
    page.goto(f"{address}/page/map")
    settled(page)
    page.wait_for_selector(".plane")
    page.locator(".plane").focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    save("map")
    page.goto(f"{address}/page/leaderboard")
    settled(page)
    save("leaderboard")
    page.goto(f"{address}/page/versions")
    settled(page)
    save("versions")
    page.get_by_role("button", name="Promote version 1", exact=True).click()
    page.get_by_role("button", name="Promote", exact=True).click()
    page.wait_for_selector(".refusal:not([hidden])")
    save("refused")
    page.goto(f"{address}/page/experiments")
    settled(page)
    save("experiment")


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="Folder of the pictures.")
    parser.add_argument(
        "--keep", type=Path, help="Folder of models and state, made once and used again."
    )
    parser.add_argument("--all", action="store_true", help="Each view light, dark and narrow.")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    folder = given.keep or Path(tempfile.mkdtemp())
    state = folder / "state" if (folder / "state").exists() else prepare(folder)
    chosen = {
        "try": "light",
        "history": "dark",
        "similar": "narrow",
        "map": "light",
        "leaderboard": "light",
        "versions": "light",
        "refused": "light",
        "experiment": "dark",
    }
    with server(folder, state) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for style in ("light", "dark", "narrow"):
            page = browser.new_page(
                viewport=NARROW if style == "narrow" else WIDE,
                color_scheme="dark" if style == "dark" else "light",
                device_scale_factor=1,
                reduced_motion="reduce",
            )

            def save(name: str, page: Page = page, style: str = style) -> None:
                if given.all or chosen[name] == style:
                    whole = name in {"map", "leaderboard", "experiment"} or given.all
                    at = given.out / (
                        f"page-{name}-{style}.png" if given.all else f"page-{name}.png"
                    )
                    tall = (
                        {"clip": {"x": 0, "y": 0, **TALL}}
                        if name == "try" and not given.all
                        else {}
                    )
                    page.screenshot(path=str(at), full_page=whole or bool(tall), **tall)
                    smaller(at)

            tour(page, address, save)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
