"""Events of a server that is killed at random moments, and requests of one whose model is swapped: what is lost.

``python benchmarks/quality/kill.py [--kills N] [--swaps N] [--store URL] [--save]``

``--store postgresql://user@host/name`` adds rows for that database, of which the tables `events` and others must be empty.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import twofold as tw
from twofold.serve.store import Store
from twofold.testing import planted_log

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

CLIENTS, TOGETHER = 4, 10
"""Clients that post at once, and events of a request."""
LATEST = 1.0
"""Seconds after the first answer within which the server is killed."""
AWAY = (OSError, http.client.HTTPException, ValueError)
"""What a client of a dead server sees."""


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server on a free port, and end it; gives its process and its port."""
    log = folder / "log.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(tw.__file__).parents[1])}  # fmt: skip
    command = [sys.executable, "-m", "twofold", "serve", str(folder / "first"), "--port", "0"]
    command += ["--state", str(folder / "state"), *options]
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out, stdout=out, env=environment)
    try:
        until = time.monotonic() + 300
        while not (found := re.search(r"listening on http://127.0.0.1:(\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(log.read_text())
            time.sleep(0.02)
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait(30)


def ask(line: http.client.HTTPConnection, path: str, body: Any) -> Any:
    """Post a body on a connection; return the answer."""
    line.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = line.getresponse()
    said = json.loads(answer.read())
    if answer.status != 200:
        raise ValueError(f"{answer.status}: {said}")
    return said


def killed(folder: Path, kills: int, options: list[str], url: str) -> list[str]:
    """Kill a server again and again while clients post; return a row of the table."""
    rng = random.Random(0)
    lock = threading.Lock()
    acknowledged: set[str] = set()
    unanswered: list[list[str]] = []
    sent = count = 0

    def post(port: int, dead: threading.Event) -> None:
        nonlocal sent
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not dead.is_set():
            with lock:
                if unanswered:
                    names = unanswered.pop()
                else:
                    names = [f"e{at}" for at in range(sent, sent + TOGETHER)]
                    sent += TOGETHER
            events = [{"id": one, "user": one[-2:], "item": "i1"} for one in names]
            try:
                said = ask(line, "/events", events)
            except AWAY:
                with lock:
                    unanswered.append(names)
                line.close()
                continue
            with lock:
                acknowledged.update(said["ids"])
        line.close()

    for _ in range(kills):
        with server(folder, *options) as (process, port):
            dead = threading.Event()
            before = len(acknowledged)
            clients = [threading.Thread(target=post, args=(port, dead)) for _ in range(CLIENTS)]
            for one in clients:
                one.start()
            while len(acknowledged) == before:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, LATEST))
            process.send_signal(signal.SIGKILL)
            process.wait()
            dead.set()
            for one in clients:
                one.join()
            count += 1
            sys.stderr.write(
                f"killed {count} of {kills}: {len(acknowledged):,} events acknowledged\n"
            )
    with server(folder, *options) as (_, port):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        again = sum(ask(line, "/events", [{"id": one, "user": "x", "item": "i1"} for one in names])["duplicates"] for names in unanswered)  # fmt: skip
        acknowledged.update(one for names in unanswered for one in names)
        line.close()
    store = Store(url)
    kept = [row["id"] for rows in store.all_events() for row in rows]
    store.close()
    lost, twice = len(acknowledged - set(kept)), len(kept) - len(set(kept))
    name = "PostgreSQL" if url.startswith("postgresql") else "SQLite"
    return [f"killed, {name}", f"{count}", f"{len(acknowledged):,} events", f"{again} kept, not answered", f"{lost} lost, {twice} twice"]  # fmt: skip


def swapped(folder: Path, swaps: int, options: list[str]) -> list[str]:
    """Promote and roll back while clients ask; return a row of the table."""
    failed: list[str] = []
    versions: set[int] = set()
    asked = 0
    stop = threading.Event()
    lock = threading.Lock()

    def load(port: int, at: int) -> None:
        nonlocal asked
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        mine = 0
        while not stop.is_set():
            body = {"user": 100 + mine % 40} if mine % 3 else {"history": ["i1"], "diversity": 0.3}
            try:
                said = ask(line, "/recommend", {**body, "k": 4})
                versions.add(said["version"])
                if mine % 10 == 0:
                    ask(line, "/events", {"user": f"{at}", "item": "i1"})
            except AWAY as error:
                failed.append(repr(error))
            mine += 1
        with lock:
            asked += mine
        line.close()

    with server(folder, *options) as (_, port):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        line.request("POST", "/models", json.dumps({"path": str(folder / "second")}), {"content-type": "application/json"})  # fmt: skip
        number = json.loads(line.getresponse().read())["version"]
        clients = [threading.Thread(target=load, args=(port, at)) for at in range(CLIENTS)]
        for one in clients:
            one.start()
        for _ in range(swaps // 2):
            ask(line, f"/models/{number}/promote", {"force": True})
            ask(line, "/models/rollback", {})
        stop.set()
        for one in clients:
            one.join()
        line.close()
    if len(versions) != 2:
        failed.append(f"versions {versions} answered, not both")
    workers = f", {options[-1]} workers" if "--workers" in options else ""
    return [f"swapped{workers}", f"{swaps // 2 * 2}", f"{asked:,} requests", "", f"{len(failed)} failed {failed[:1] or ''}"]  # fmt: skip


def main() -> None:
    """Measure and print the table."""
    kills, swaps = int(beside.option("--kills", "50")), int(beside.option("--swaps", "50"))
    rows: list[list[str]] = []
    database = beside.option("--store", "")
    for store in ["", *([database] if database else [])]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data = planted_log()
            tw.models.IALS(factors=4, epochs=2).fit(data, rng=0).save(folder / "first")
            tw.models.EASE().fit(data).save(folder / "second")
            options = ["--store", store] if store else []
            url = store or f"sqlite:///{folder / 'state' / 'events.db'}"
            rows.append(killed(folder, kills, options, url))
            rows.append(swapped(folder, swaps, options))
            if not store:
                rows.append(swapped(folder, swaps, ["--workers", "2"]))
    beside.table(
        "Killed and swapped",
        [
            f"`twofold serve` is killed (SIGKILL) at a random moment of the first {LATEST:g} s after its first answer, while {CLIENTS} clients post {TOGETHER} events a",
            "request and send again, to the next process, what was not answered. Swapped: promotions and rollbacks, one after the other,",
            f"while {CLIENTS} clients ask for lists and post events without a pause.",
        ],
        ["what", "times", "answered", "unanswered", "result"],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
