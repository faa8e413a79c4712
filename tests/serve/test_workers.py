"""Two real workers: what one acknowledged, the other answers with."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests_of_serving import Process

from twofold.serve.gate import Rates
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS
from twofold.serve.together import Board

pytestmark = pytest.mark.skipif(os.name == "nt", reason="workers share a file lock of Unix")


@contextlib.contextmanager
def two_workers(state, model, *options):
    """Start a server, and open a connection to each of its workers."""
    server = Process(state, model, "--workers", "2", *options)
    try:
        server.until_ready()
        yield server, lines(server)
    finally:
        server.end()


def lines(server):
    """Return a connection to each worker; the first part of a request's name says which it is."""
    found = {}
    until = time.monotonic() + 60
    while len(found) < 2:
        assert time.monotonic() < until, server.log.read_text()
        # Those found before are asked again: on a busy machine the other worker starts so late that they are closed as idle.
        some = [*found.values(), *(server.line() for _ in range(8))]
        found.clear()
        for line in some:
            with contextlib.suppress(OSError):  # a worker that has not started yet
                server.ask("GET", "/health", line=line)
                found.setdefault(server.headers["x-request-id"].split("-")[0], line)
        for line in some:
            if line not in found.values():
                line.close()
        time.sleep(0.05)
    return list(found.values())


@pytest.fixture(scope="module")
def two(models, tmp_path_factory):
    """A server with two workers, and a connection to each."""
    with two_workers(tmp_path_factory.mktemp("two") / "state", models / "good") as found:
        yield found


def children(pid):
    """Return the processes that a process started and that answer requests."""
    made = []
    for one in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if one.name.isdigit() and f"PPid:\t{pid}\n" in (one / "status").read_text() and "spawn_main" in (one / "cmdline").read_text():  # fmt: skip
                made.append(int(one.name))
    return made


def test_what_one_worker_took_is_in_the_next_answer_of_the_other(two):
    server, (first, second) = two
    for at in range(60):
        here, there = (first, second) if at % 2 else (second, first)
        event = {"id": f"e{at}", "user": f"x{at // 2}", "item": f"i{at % 6}"}
        assert server.ask("POST", "/events", event, line=here)[1]["accepted"] == 1
        answer = server.ask("POST", "/recommend", {"user": f"x{at // 2}", "k": 24}, line=there)[1]
        assert answer["source"] == "fold-in", at
        assert f"i{at % 6}" not in [one["item"] for one in answer["items"]], at
        assert server.ask("POST", "/events", event, line=there)[1]["duplicates"] == 1
    assert server.ask("DELETE", "/items/i7", line=first)[0] == 200
    listed = server.ask("POST", "/recommend", {"user": "nobody", "k": 30}, line=second)[1]["items"]
    assert len(listed) > 10
    assert "i7" not in [one["item"] for one in listed]
    text = server.ask("GET", "/metrics", line=second)[1]
    assert 'twofold_events_total{outcome="accepted"} 60.0' in text, (
        "metrics are the sum of the workers"
    )
    assert 'twofold_events_total{outcome="duplicate"} 60.0' in text
    assert "twofold_people 30.0" in text
    assert "twofold_live_version 1.0" in text


def test_a_promotion_reaches_every_worker_and_no_question_fails(two, models):
    server, both = two
    first = both[0]
    assert server.ask("POST", "/models", {"path": str(models / "EASE")}, line=first)[0] == 201
    for expected, path in ((2, "/models/2/promote"), (1, "/models/rollback")):
        status, said = server.ask("POST", path, {"force": True}, line=first)
        assert (status, said["live"]) == (200, expected)
        until = time.monotonic() + 10
        versions = {0}
        while versions != {expected}:
            assert time.monotonic() < until
            answers = [server.ask("POST", "/recommend", {"user": 101}, line=one) for one in both]
            assert {status for status, _ in answers} == {200}
            versions = {said["version"] for _, said in answers}


def test_a_client_has_one_rate_however_many_workers_answer(tmp_path):
    """Against buckets of one process, asked alternately by two workers that share a folder."""
    workers = [Board(tmp_path).rates(5.0) for _ in range(2)]
    alone = Rates(5.0)
    rng = random.Random(0)
    now = 100.0
    for at in range(3000):
        now += rng.expovariate(40)
        client = f"key {rng.randrange(6)}"
        assert workers[at % 2].wait_of(client, now) == pytest.approx(alone.wait_of(client, now)), at
    for at in range(20_000):  # more clients than there is room for
        assert workers[at % 2].wait_of(f"other {at}", now) == 0.0


def test_counts_of_many_writers_are_not_lost(tmp_path):
    boards = [Board(tmp_path) for _ in range(2)]
    code = f"from twofold.serve.together import Board; b = Board({str(tmp_path)!r})\nfor _ in range(5000): b.wrote(1)"
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait(120) for one in writers] == [0, 0]
    assert [one.count(1) for one in boards] == [10_000, 10_000]
    assert boards[0].count(0) == 0


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing(models, tmp_path):
    with two_workers(tmp_path / "state", models / "good") as (server, both):
        for at, line in enumerate(both):
            assert (
                server.ask(
                    "POST", "/events", {"id": f"b{at}", "user": "x", "item": "i1"}, line=line
                )[0]
                == 200
            )
        victim = children(server.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        until = time.monotonic() + 60
        while victim in children(server.process.pid) or len(children(server.process.pid)) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        both = lines(server)
        for line in both:
            assert (
                server.ask("POST", "/recommend", {"user": "x"}, line=line)[1]["source"] == "fold-in"
            )
        text = server.ask("GET", "/metrics", line=both[0])[1]
        assert re.search(r'twofold_events_total{outcome="accepted"} 2.0', text), (
            "what a dead worker counted stays"
        )
        workers = children(server.process.pid)
        server.end(signal.SIGKILL)
        until = time.monotonic() + 20
        while any(Path(f"/proc/{one}").exists() for one in workers):
            assert time.monotonic() < until, "workers whose parent is gone stop by themselves"
            time.sleep(0.1)
    store = Store(f"sqlite:///{tmp_path / 'state' / 'events.db'}")
    assert sorted(row["id"] for row in store.rows(EVENTS)) == ["b0", "b1"]
    store.close()
