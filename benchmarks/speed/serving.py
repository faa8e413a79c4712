"""Latency and throughput of ``twofold serve`` on loopback, beside a bare FastAPI route and Cornac's server.

``python benchmarks/speed/serving.py [--items N] [--users N] [--events N] [--seconds S] [--rate R] [--graph N] [--save]``

The client is this process, the servers are others. ``--graph`` is the number of items for which the exact index and the
graph are compared, in this process.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import twofold as tw
from twofold.data.synthetic import movielens_like
from twofold.index import hnsw
from twofold.index.choice import Questions, graph_wanted, weigh
from twofold.index.coded import Coded
from twofold.index.layered import NONE, ragged
from twofold.models.sequence.gru4rec import FittedGRU4Rec, GRU4Rec
from twofold.serve.guardrails import warmed
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside
from speed import _serving_client as client

D, K = 64, 10
RUNS = 3
HISTORY = 20
"""Items of a history that is folded in."""
BATCH = 100
"""Events of a request."""
STEPS = 300
"""Events after each of which a list is asked for."""
BARE = """
from fastapi import FastAPI
app = FastAPI()
@app.post("/events")
@app.post("/recommend")
async def bare(): return {"items": []}
"""
LISTENING = r"listening on http://127.0.0.1:(\d+)"
Row = list[str]


def models(users: int, items: int, events: int, folder: Path) -> dict[str, tw.FittedModel]:
    """Write a trained model, one of random vectors, in which no item can be ruled out by its length, and a recurrent one."""
    data = movielens_like(users, items, events, rng=0)
    trained = tw.models.IALS(factors=D, epochs=3).fit(data, rng=0)
    rng = np.random.default_rng(0)
    vectors = {
        name: rng.standard_normal(getattr(trained, name).shape, np.float32)
        for name in ("user_factors", "item_factors")
    }
    spectrum = np.square(vectors["item_factors"]).sum(axis=0)
    n = len(trained.items)
    weights = {
        "items.weight": rng.standard_normal((n, D + 1), np.float32),
        "cell.inputs": 0.1 * rng.standard_normal((D, 3 * D), np.float32),
        "cell.recurrent": 0.1 * rng.standard_normal((D, 3 * D), np.float32),
        "cell.bias": np.zeros(3 * D, np.float32),
    }
    states = np.zeros((len(trained.users), D), np.float32)
    recurrent = FittedGRU4Rec(
        estimator=GRU4Rec(factors=D), memory=trained.memory, weights=weights, states=states
    )
    made: dict[str, tw.FittedModel] = {
        "trained": trained,
        "random": replace(trained, **vectors, item_spectrum=spectrum),  # type: ignore[arg-type]
        "recurrent": replace(recurrent, states=recurrent.start(trained.memory.history).rows),
    }
    for name, model in made.items():
        model.save(folder / name)
    return made


def lately(model: tw.FittedModel, rng: np.random.Generator) -> Iterator[list[Any]]:
    """Give the last items of people of the log, as somebody unknown would bring them."""
    history = model.memory.history
    for row in rng.choice(np.flatnonzero(history.lengths >= HISTORY), 5000):
        last = int(history.indptr[row + 1])
        yield model.items.ids.ids.gather(history.item[last - HISTORY : last]).to_list()


def latency(took: np.ndarray) -> np.ndarray:
    """Return the median and the 99th of a hundred, (2,)."""
    return np.quantile(took, [0.5, 0.99])


class Measured(NamedTuple):
    """What a server does, medians of `RUNS`."""

    times: list[str]
    """Latencies at a rate: half of them, and 99 of a hundred."""
    most: float
    """Requests a second."""
    share: float
    """Of what the bare route does in the same seconds."""
    slower: str
    """A remark where the rate is too high for the server."""


def measured(
    server: client.Server, make: Callable[[int], bytes], rate: float, seconds: float, bare: client.Server
) -> Measured:  # fmt: skip
    """Measure a server, and the bare route by turns with it: the machine is not as fast at every moment."""
    first = asyncio.run(client.flat_out(server.port, make, 1))
    kept = min(rate, first / 2)
    took, most, share = [], [], []
    for _ in range(RUNS):
        took.append(latency(client.at_rate(server.port, make, kept, seconds / RUNS)))
        limit = asyncio.run(client.flat_out(bare.port, make, seconds / RUNS / 2))
        most.append(asyncio.run(client.flat_out(server.port, make, seconds / RUNS)))
        limit += asyncio.run(client.flat_out(bare.port, make, seconds / RUNS / 2))
        share.append(2 * most[-1] / limit)
    said = "" if kept == rate else f"at {kept:.0f} a second; "
    times = [f"{one:.2f}" for one in np.median(took, axis=0)]
    return Measured(times, float(np.median(most)), float(np.median(share)), said)


def cycle(requests: list[bytes]) -> Callable[[int], bytes]:
    """Return what takes one request after the other."""
    return lambda at: requests[at % len(requests)]


def events_of(at: int, users: list[Any], items: list[Any]) -> bytes:
    """Return a request of events that nobody sent before."""
    return client.post(
        "/events",
        [
            {"id": f"{at}.{one}", "user": users[(at * 7 + one) % len(users)], "item": items[(at * 13 + one) % len(items)]}
            for one in range(BATCH)
        ],
    )  # fmt: skip


def start_up(folder: Path, name: str) -> Row:
    """Return the seconds until a server answers, and its memory beside the size of the model."""
    serve = ["-m", "twofold", "serve", str(folder / name), "--port", "0", "--state", str(folder / f"again-{name}")]  # fmt: skip
    began = time.monotonic()
    with client.running(serve, folder, LISTENING, settle=0) as server:
        while asyncio.run(client.once(server.port, client.get("/ready")))[0] != 200:
            time.sleep(0.01)
        seconds = time.monotonic() - began
        held = server.memory()
    opened = re.search(
        r"opened the model and the store in ([\d.]+) s", (folder / "log.txt").read_text()
    )
    size = sum(one.stat().st_size for one in (folder / name).iterdir())
    megabytes = {key: f"{value / 1e6:.0f}" for key, value in held.items()}
    said = f"of it {opened[1] if opened else '?'} s the model and the store; model {size / 1e6:.0f} MB; own {megabytes['RssAnon']}, mapped {megabytes['RssFile']}, peak {megabytes['VmHWM']}"
    return ["from the start to ready", name, f"{1000 * seconds:.0f}", "", "", said]


def index_report(server: client.Server) -> str:
    """Return which index the server chose."""
    while True:
        said = asyncio.run(client.once(server.port, client.get("/models")))[1].decode()
        found = re.search(r'"index":\{"kind":"(\w+)","why":"([^"]*)"', said)
        if found and "not measured" not in found[2]:
            return f"index {found[1]}: {found[2]}"
        time.sleep(0.2)


def ours(folder: Path, requests: dict[str, list[bytes]], rate: float, seconds: float, bare: client.Server) -> Iterator[Row]:  # fmt: skip
    """Measure the server with each kind of vectors."""
    for kind in ("trained", "random", "recurrent"):
        serve = ["-m", "twofold", "serve", str(folder / kind), "--port", "0"]
        with client.running(serve, folder, LISTENING) as server:
            said = index_report(server)
            for asked, one in requests.items():
                found = measured(server, cycle(one), rate, seconds, bare)
                yield [asked, kind, *found.times, f"{found.most:.0f}", f"{found.share:.0%} of the bare route; {found.slower}{said}"]  # fmt: skip
                said = "the same"


def events_kept(folder: Path, users: list[Any], items: list[Any], seconds: float, bare: client.Server) -> Row:  # fmt: skip
    """Measure how many events are kept."""
    serve = ["-m", "twofold", "serve", str(folder / "trained"), "--port", "0"]
    with client.running(serve, folder, LISTENING) as server:
        fresh = itertools.count()
        made = lambda _: events_of(next(fresh), users, items)  # noqa: E731
        found = measured(server, made, 50, seconds, bare)
    return [f"{BATCH} events", "", *found.times, f"{found.most:.0f}", f"{found.most * BATCH:,.0f} events/s on disk"]  # fmt: skip


def after_an_event(name: str, model: tw.FittedModel) -> Row:
    """Time one event taken up and the new list, without HTTP and disk; the first of a person counts too."""
    served, live = warmed(1, model), LiveHistories(1000)
    rng = np.random.default_rng(2)
    people = [str(one) for one in rng.choice(model.users.ids.ids.to_numpy(), 10)]
    took = np.zeros(STEPS)
    after = 1 + (served.trained_until or int(time.time()))
    for at in range(STEPS):
        who, item = people[at % len(people)], str(served.ids[rng.integers(len(served.ids))])
        row = {"seq": at + 1, "user_id": who, "item_id": item, "kind": "click", "value": None, "time": after + at, "ids": 0}  # fmt: skip
        began = time.perf_counter()
        live.add([row])
        served.answer(Question(user=who, k=K), live)
        took[at] = 1000 * (time.perf_counter() - began)
    warm = took[len(people) :]
    said = f"of the others; {took[: len(people)].max():.2f} ms at most for a first event"
    times = [f"{one:.2f}" for one in latency(warm)]
    return ["one event, then a new list", name, *times, "", said]


def graphs(n: int) -> Iterator[Row]:
    """Compare the exact index with the graph on vectors of a few tastes and noise."""
    rng = np.random.default_rng(3)
    tastes = rng.standard_normal((16, D), np.float32)
    items, people = (rng.standard_normal((m, 16), np.float32) @ tastes + rng.standard_normal((m, D), np.float32) for m in (n, 100))  # fmt: skip
    exact = Coded.of(items, NONE)
    began = time.perf_counter()
    graph = hnsw.build(items, exact)
    seconds = time.perf_counter() - began
    if graph is None:
        return
    hidden = [rng.choice(n, 50, replace=False).astype(np.int32) for _ in people]
    asked = Questions(people, *ragged(hidden))
    found, lists = graph_wanted(exact, asked, items.shape, K, "hnsw")
    _, found = weigh(graph, asked, lists, found, 0.95, force=False)
    name = f"tastes, {n:,} items"
    codes = exact.codes.nbytes + exact.tails.nbytes + exact.order.nbytes + exact.steps.nbytes * 3
    yield ["exact index, no HTTP", name, f"{found.exact_ms:.3f}", "", "", f"codes {codes / 1e6:.0f} MB"]  # fmt: skip
    yield [
        "graph, no HTTP", name, f"{found.graph_ms:.3f}", "", "",
        f"recall@{K} {found.recall:.3f}, {found.expansion} candidates; made in {seconds:.0f} s, "
        f"{graph.bytes / 1e6:.0f} MB; chosen: {found.kind}",
    ]  # fmt: skip


def cornac(folder: Path, model: tw.FittedModel, users: list[Any], rate: float, seconds: float, limit: float) -> Row:  # fmt: skip
    """Measure Cornac's server, which takes a GET and answers with all scores sorted."""
    python = beside.interpreter()
    empty = ["a known user, Cornac's server", "its own", "", "", ""]
    if python is None:
        return [*empty, "no peers installed (make peers)"]
    history = model.memory.history
    rows = np.repeat(np.arange(len(history)), history.lengths)
    np.savez(folder / "in.npz", user=rows, item=history.item, factors=D)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = [client.get(f"/recommend?uid={at}&k={K}&remove_seen=true") for at in range(0, len(users), 7)]  # fmt: skip
    script = [str(Path(__file__).parents[1] / "peers" / "cornac_server.py"), str(folder), str(port)]
    try:
        with client.running(script, folder, LISTENING, python, patience=600) as server:
            # It answers a few a second, and closes each connection: no rate is kept up.
            most = asyncio.run(client.anew(server.port, cycle(known), seconds))
    except SystemExit as error:
        return [*empty, (str(error).strip().splitlines() or ["no message"])[-1][:100]]
    del rate
    return [*empty[:4], f"{most:.0f}", f"{most / limit:.0%} of the bare route"]


def main() -> None:
    """Measure and print the table."""
    n_items, n_users, n_events, n_graph = (
        int(beside.option(name, given))
        for name, given in (("--items", "100000"), ("--users", "20000"), ("--events", "2000000"), ("--graph", "200000"))
    )  # fmt: skip
    seconds, rate = float(beside.option("--seconds", "15")), float(beside.option("--rate", "500"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = models(n_users, n_items, n_events, folder)
        model = made["trained"]
        users, items = model.users.ids.ids.to_list(), model.items.ids.ids.to_list()
        rng = np.random.default_rng(1)
        requests = {
            "a known user": [client.post("/recommend", {"user": users[at], "k": K}) for at in rng.integers(0, len(users), 5000)],
            "a history": [client.post("/recommend", {"history": one, "k": K}) for one in lately(model, rng)],
            "a history of random items": [
                client.post("/recommend", {"history": [items[one] for one in rng.integers(0, len(items), HISTORY)], "k": K})
                for _ in range(5000)
            ],
        }  # fmt: skip
        (folder / "bare").mkdir()
        (folder / "bare" / "bare.py").write_text(BARE)
        bare = ["-m", "uvicorn", "bare:app", "--port", "0", "--no-access-log"]
        with client.running(bare, folder / "bare", r"running on http://127.0.0.1:(\d+)") as server:
            found = measured(server, cycle(requests["a known user"]), rate, seconds, server)
            limit = found.most
            rows = [["a bare route", "", *found.times, f"{limit:.0f}", ""]]
            for row in ours(folder, requests, rate, seconds, server):
                sys.stderr.write(" ".join(row) + "\n")
                rows.append(row)
            rows.append(events_kept(folder, users, items, seconds, server))
        rows += [after_an_event(name, made[name]) for name in ("trained", "random", "recurrent")]
        rows += [start_up(folder, name) for name in ("trained", "recurrent")]
        rows.append(cornac(folder, model, users, rate, seconds, limit))
        rows.append(["LibRecommender's server", "", "", "", "", "needs a Redis server beside it: not run"])  # fmt: skip
    rows += graphs(n_graph)
    beside.table(
        "Serving",
        [
            f"{n_items:,} items of {D} dimensions, lists of {K}, seen items left out; one server process of one thread, the client",
            f"beside it on the same machine. Latencies at {rate:.0f} requests a second (50 for events) that arrive at random moments, from that",
            f"moment on, and `most` is what {client.CONNECTIONS} connections get without a pause, the bare route by turns with it: medians of {RUNS} runs of {seconds / RUNS:g} s. `trained` is iALS after 3 epochs on",
            f"{n_events:,} generated events; `random` vectors have one length, so that no item can be ruled out by it; `recurrent` is a GRU4Rec of",
            f"random weights, whose people keep their state. A history is the last {HISTORY} items of somebody, or so many drawn from all. Events are on disk when they are answered. Lists after an event",
            "and the two indexes are timed in one process, without HTTP.",
        ],
        ["asked for", "vectors", "p50 ms", "p99 ms", "most a second", ""],
        rows,
    )


if __name__ == "__main__":
    main()
