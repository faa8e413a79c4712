"""A population at a real server: its log is what people saw, nothing acknowledged is lost, the interval holds the truth."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import httpx2
import orjson
import polars as pl
import pytest

import twofold as tw
from twofold.cli._serving import serving
from twofold.errors import DataError
from twofold.online import experiments
from twofold.online.report import report
from twofold.online.simulate import People, Population, browse, gathered, truth
from twofold.serve.live import Live
from twofold.serve.settings import Settings
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS, EXPOSURES

DECLARED = """
[experiments.ranker]
planned_units = 500
before_days = 0
[experiments.ranker.variants]
control = { model = "Popularity" }
new = { model = "ItemKNN" }
"""


@pytest.fixture(scope="module")
def people():
    told = People(
        count=400, newcomers=5, items=120, new_items=1, days=3, past_items=15, visits=0.5, taste=1.5
    )
    return Population(told, rng=0)


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    log = people.log()
    tw.models.Popularity().fit(log).save(folder / "control")
    tw.models.ItemKNN().fit(log).save(folder / "new")
    return folder


def lived(people, url, **settings):
    async def work():
        async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
            return [day async for day in browse(people, client, **settings)]

    return asyncio.run(work())


def logged(state):
    store = Store(f"sqlite:///{state / 'events.db'}")
    try:
        return store.rows(EXPOSURES), store.rows(EVENTS)
    finally:
        store.close()


@pytest.mark.slow
def test_an_experiment_on_a_population_of_known_tastes(people, trained, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(DECLARED)
    live = Live.open(
        Settings(state=str(tmp_path / "s"), model=str(trained / "control")), events=False
    )
    live.registry.register(trained / "new")
    live.close()
    with serving(tmp_path / "s", tmp_path / "log.txt", "--experiment", str(file)) as url:
        days = lived(people, url, together=20)
        with urllib.request.urlopen(f"{url}/experiments/ranker") as answer:
            told = json.load(answer)
    shown, done = gathered(days)
    exposures, events = logged(tmp_path / "s")

    ours = {row["request"]: (row["unit"], row["variant"], row["time"], row["items"]) for row in shown.iter_rows(named=True)}  # fmt: skip
    theirs = {row["request_id"]: (row["unit"], row["variant"], row["time"], orjson.loads(row["items"])) for row in exposures}  # fmt: skip
    assert len(exposures) == len(shown) == len(ours)
    assert theirs == ours, "the server's log is not what people saw"
    names = {row["id"]: (row["user_id"], row["item_id"], row["kind"], row["time"], row["value"], row["request_id"]) for row in events}  # fmt: skip
    columns = ("unit", "item", "kind", "time", "value", "request")
    sent = {row["event"]: tuple(row[one] for one in columns) for row in done.iter_rows(named=True)}
    assert len(events) == len(done)
    assert names == sent, "what was acknowledged is not what is kept"
    assert "content" in days[1].refused[0], "popularity cannot place new items"

    slice_ = experiments.read(file)["ranker"]
    found = report(slice_, shown, done)
    assert told["headline"] == found.headline, "the server tells another story of the same log"
    runs = {}
    for name in ("control", "new"):
        runs[name] = []
        for draw in (0, 1):
            state = tmp_path / f"{name}-{draw}"
            with serving(trained / name, tmp_path / f"{name}.txt", "--state", str(state)) as url:
                runs[name].append(lived(people, url, draw=draw, together=100))
    metric = slice_.experiment.metrics["click_through"]
    true = truth(runs["control"], runs["new"], metric, until=people.settings.end)
    one = found.comparisons[0]
    assert one.difference.low < true.difference < one.difference.high
    assert one.difference.high - one.difference.low < 1, "an interval that holds everything"
    assert true.difference > 5 * true.difference_error, "the personal lists are not better"
    assert true.difference_error < one.lift.standard_error


def test_lists_follow_clicks_and_the_seed_decides_all(people, trained, tmp_path):
    """The same people at two servers that are asked in another way: the same lists, clicks and items."""
    runs = []
    for at, settings in enumerate(({"together": 30}, {"at_once": 4})):
        with serving(trained / "new", tmp_path / "log.txt", "--state", str(tmp_path / f"{at}")) as url:  # fmt: skip
            shown, done = gathered(lived(people, url, days=1, **settings))
        runs.append((shown.drop("request"), done.drop("request")))
    assert runs[0][0].equals(runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    again = runs[0][0].group_by("unit").agg(pl.len(), pl.col("items").n_unique().alias("lists"))
    assert (again.filter(pl.col("len") > 1)["lists"] > 1).any(), "no list followed a click"


def test_a_server_that_does_not_start_is_told_with_what_it_said(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match=r"the server did not start: .*not a model.*see "):  # noqa: SIM117
        with serving(tmp_path / "model", tmp_path / "log.txt"):
            pass


# ---- the demo -----------------------------------------------------------------------------------


def test_the_demo_refuses_kindly(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for options, said in (
        (("--online", "--out", tmp_path / "mine"), "holds something else than an earlier demo"),
        (("--online", "--out", tmp_path / "file"), "is a file; choose another --out"),
        (("--online", "--people", "10"), "300"),
        (("--days", "3"), "--days is of the online test; add --online"),
    ):
        code, out, err = run("demo", *options)
        assert code == 2
        assert said in err
        assert out == ""
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_the_demo_ends_with_the_verdict_beside_the_truth(run, tmp_path):
    """The same seed gives the same verdict; the report by hand is the same too; the folder is that of the demo alone."""
    told = []
    for _ in range(2):
        code, out, err = run("demo", "--online", "--people", 300, "--days", 2, "--out", tmp_path / "d", "--json")  # fmt: skip
        assert code == 0, err
        told.append(json.loads(out))
    assert told[0]["report"] == told[1]["report"]
    assert told[0]["truth"] == told[1]["truth"]
    assert sorted(told[0]["truth"]) == ["click_through", "conversion", "watch_time"]
    assert told[0]["inside"]["click_through"] is None, (
        "70 people an arm are too few for an interval"
    )
    code, out, _ = run(*told[0]["command"].split()[1:], "--json")
    assert code == 0
    assert json.loads(out)["comparisons"] == told[0]["report"]["comparisons"]
    assert json.loads((tmp_path / "d" / "verdict.json").read_text()) == told[1]
    assert [one.name for one in tmp_path.iterdir()] == ["d"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_no_server(tmp_path, how):
    command = [sys.executable, "-m", "twofold", "demo", "--online", "--people", "300", "--out", str(tmp_path / "d")]  # fmt: skip
    with (tmp_path / "said.txt").open("w") as told:
        process = subprocess.Popen(command, stderr=told, stdout=told, env=dict(os.environ))
    said = (tmp_path / "said.txt").read_text
    until = time.monotonic() + 240
    while "day  1:" not in said():
        assert process.poll() is None, said()
        assert time.monotonic() < until, said()
        time.sleep(0.05)
    url = said().split("serving both at ")[1].split(";")[0]
    process.send_signal(how)
    assert process.wait(60) == 130
    assert "interrupted; the servers are stopped" in said()
    assert "Traceback" not in said()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health", timeout=5)
