"""Latency and throughput of ``twofold serve`` on loopback, beside a bare FastAPI route; events kept a second.

``python benchmarks/speed/serving.py [--items N] [--users N] [--events N] [--seconds S] [--rate R] [--save]``

The client is this process, the server another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.data.synthetic import movielens_like

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

D, K = 64, 10
CONNECTIONS = 16
"""Connections of the client; as many requests are under way at most."""
HISTORY = 20
"""Items of a history that is folded in."""
BATCH = 100
"""Events of a request."""
BARE = """
from fastapi import FastAPI
app = FastAPI()
@app.post("/recommend")
async def bare(): return {"items": []}
"""


class Line(asyncio.Protocol):
    """One kept-alive connection: a request at a time."""

    def connection_made(self, transport: Any) -> None:
        """Keep where to write."""
        self.transport = transport
        self.buffer = b""
        self.waits: asyncio.Future[tuple[int, bytes]] | None = None

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the result is the status and the body."""
        self.waits = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.waits

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        size = re.search(rb"(?i)content-length: (\d+)", self.buffer[:end])
        whole = end + 4 + (int(size[1]) if size else 0)
        if len(self.buffer) >= whole and self.waits is not None:
            answer = int(self.buffer[9:12]), self.buffer[end + 4 : whole]
            self.buffer = self.buffer[whole:]
            self.waits.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if self.waits is not None and not self.waits.done():
            self.waits.set_exception(error or ConnectionError("closed"))


def post(path: str, body: Any) -> bytes:
    """Return a request as it goes over the wire."""
    said = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
    return head.encode() + said


async def lines(port: int) -> list[Line]:
    """Open the connections."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Line, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    return [line for _, line in made]


async def at_rate(
    port: int, make: Callable[[int], bytes], rate: float, seconds: float
) -> np.ndarray:
    """Send requests at set moments, whatever the server does; return the ms from each moment to its answer."""
    free: asyncio.Queue[Line] = asyncio.Queue()
    for line in await lines(port):
        free.put_nowait(line)
    rng = np.random.default_rng(0)
    moments = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    took = np.zeros(len(moments))
    start = time.perf_counter() + 0.1

    async def one(at: int) -> None:
        line = await free.get()
        status, body = await line.ask(make(at))
        took[at] = time.perf_counter() - start - moments[at]
        if status != 200:
            raise SystemExit(f"{status}: {body[:300]!r}")
        free.put_nowait(line)

    async with asyncio.TaskGroup() as tasks:
        for at, moment in enumerate(moments):
            wait = start + moment - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.create_task(one(at))
    return 1000 * took


async def flat_out(port: int, make: Callable[[int], bytes], seconds: float) -> float:
    """Return the requests a second that are answered when each connection asks without a pause."""
    until = time.perf_counter() + seconds
    count = 0

    async def one(line: Line, at: int) -> None:
        nonlocal count
        while time.perf_counter() < until:
            status, body = await line.ask(make(at))
            if status != 200:
                raise SystemExit(f"{status}: {body[:300]!r}")
            at += CONNECTIONS
            count += 1

    began = time.perf_counter()
    opened = await lines(port)
    await asyncio.gather(*(one(line, at) for at, line in enumerate(opened)))
    return count / (time.perf_counter() - began)


@contextlib.contextmanager
def running(command: list[str], folder: Path, ready: str) -> Iterator[int]:
    """Start a server on a free port, and end it."""
    log = folder / "log.txt"
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    one["PYTHONPATH"] = str(
        Path(tw.__file__).parents[1]
    )  # the server is the package that is imported here
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *command],
            stderr=said,
            stdout=said,
            cwd=folder,
            env={**os.environ, **one},
        )
    try:
        until = time.monotonic() + 120
        while not (found := re.search(ready, log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(log.read_text())
            time.sleep(0.05)
        time.sleep(0.5)
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(30)


def models(users: int, items: int, events: int, folder: Path) -> tw.FittedModel:
    """Write a trained model and one of random vectors, in which no item can be ruled out by its length."""
    data = movielens_like(users, items, events, rng=0)
    trained = tw.models.IALS(factors=D, epochs=3).fit(data, rng=0)
    trained.save(folder / "trained")
    rng = np.random.default_rng(0)
    vectors = {
        name: rng.standard_normal(getattr(trained, name).shape, np.float32)
        for name in ("user_factors", "item_factors")
    }
    replace(trained, **vectors).save(folder / "random")  # type: ignore[arg-type]
    return trained


def main() -> None:
    """Measure and print the table."""
    n_items, n_users = (
        int(beside.option("--items", "100000")),
        int(beside.option("--users", "20000")),
    )
    n_events, seconds = (
        int(beside.option("--events", "2000000")),
        float(beside.option("--seconds", "20")),
    )
    rate = float(beside.option("--rate", "500"))
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = models(n_users, n_items, n_events, folder)
        users, items = model.users.ids.ids.to_list(), model.items.ids.ids.to_list()
        rng = np.random.default_rng(1)
        who = [
            post("/recommend", {"user": users[at], "k": K})
            for at in rng.integers(0, len(users), 5000)
        ]
        what = [
            post(
                "/recommend",
                {"history": [items[one] for one in rng.integers(0, len(items), HISTORY)], "k": K},
            )
            for _ in range(5000)
        ]
        (folder / "bare.py").write_text(BARE)
        bare = ["-m", "uvicorn", "bare:app", "--port", "0", "--no-access-log"]
        with running(bare, folder, r"running on http://127.0.0.1:(\d+)") as port:
            limit = asyncio.run(flat_out(port, lambda at: who[at % len(who)], seconds))
            took = asyncio.run(at_rate(port, lambda at: who[at % len(who)], rate, seconds))
            rows.append(["a bare route", "", *_latency(took), f"{limit:.0f}", ""])
        for kind in ("trained", "random"):
            serve = ["-m", "twofold", "serve", str(folder / kind), "--port", "0"]
            with running(serve, folder, r"listening on http://127.0.0.1:(\d+)") as port:
                for asked, requests in (("a known user", who), ("a history", what)):

                    def make(at: int, requests: list[bytes] = requests) -> bytes:
                        return requests[at % len(requests)]

                    asyncio.run(flat_out(port, make, 1))
                    took = asyncio.run(at_rate(port, make, rate, seconds))
                    most = asyncio.run(flat_out(port, make, seconds))
                    rows.append(
                        [asked, kind, *_latency(took), f"{most:.0f}", f"{most / limit:.0%}"]
                    )
                if kind == "trained":
                    kept = asyncio.run(
                        flat_out(port, lambda at: events_of(at, users, items), seconds)
                    )
                    kept_at = asyncio.run(
                        at_rate(port, lambda at: events_of(-1 - at, users, items), 50, seconds)
                    )
                    rows.append(
                        [
                            f"{BATCH} events",
                            "",
                            *_latency(kept_at),
                            f"{kept:.0f}",
                            f"{kept * BATCH:,.0f} events/s",
                        ]
                    )
    beside.table(
        "Serving",
        [
            f"{n_items:,} items of {D} dimensions, lists of {K}, seen items left out; one server process of one thread, the client",
            f"beside it on the same machine. Latencies at {rate:.0f} requests a second (50 for events) that arrive at random moments, from that",
            f"moment on, over {seconds:g} s; `most` is what {CONNECTIONS} connections get without a pause. `trained` is iALS after 3 epochs on",
            f"{n_events:,} generated events; `random` vectors have one length, so that no item can be ruled out by it. A history has {HISTORY}",
            "items. Events are on disk when they are answered.",
        ],
        ["asked for", "vectors", "p50 ms", "p99 ms", "most a second", "of the bare route"],
        rows,
    )


def events_of(at: int, users: list[Any], items: list[Any]) -> bytes:
    """Return a request of events that nobody sent before."""
    return post(
        "/events",
        [
            {"id": f"{at}.{one}", "user": users[(at * 7 + one) % len(users)], "item": items[(at * 13 + one) % len(items)]}
            for one in range(BATCH)
        ],
    )  # fmt: skip


def _latency(took: np.ndarray) -> list[str]:
    return [f"{np.quantile(took, 0.5):.2f}", f"{np.quantile(took, 0.99):.2f}"]


if __name__ == "__main__":
    main()
