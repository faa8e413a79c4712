"""The real process: killed while it takes events, stopped in the middle of a request, started on a taken port."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from twofold.serve.store import Store
from twofold.serve.tables import EVENTS


class Process:
    """A server of its own."""

    def __init__(self, state, model, *options):
        state.mkdir(exist_ok=True)
        self.log = state / f"log-{time.monotonic_ns()}.txt"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twofold", "serve", str(model), "--state", str(state), "--port", "0", *options],
                stderr=out,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        until = time.monotonic() + 60
        while not (
            found := re.search(r"listening on http://127.0.0.1:(\d+)", self.log.read_text())
        ):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])

    def ask(self, method, path, body=None, timeout=10):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            line.request(method, path, json.dumps(body), {"content-type": "application/json"})
            answer = line.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            line.close()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)


def test_kill_9_loses_no_acknowledged_event_and_doubles_none(models, tmp_path):
    """Several clients post; the server dies at a random moment; each sends again what was not answered."""
    rng = random.Random(0)
    acknowledged, sent = set(), 0
    lock = threading.Lock()
    until = time.monotonic() + 40
    kills = 0
    while kills < 4 and time.monotonic() < until:
        server = Process(tmp_path / "state", models / "good")
        dead = threading.Event()

        def post(client, server=server, dead=dead):
            nonlocal sent
            again = None
            while not dead.is_set():
                with lock:
                    first, sent = sent, sent + 10
                names = again or [f"e{at}" for at in range(first, first + 10)]
                events = [{"id": one, "user": f"u{client}", "item": "i1"} for one in names]
                try:
                    status, answer = server.ask("POST", "/events", events)
                except (OSError, http.client.HTTPException, ValueError):
                    again = names
                    continue
                assert status == 200, answer
                assert answer["accepted"] + answer["duplicates"] == 10
                again = None
                with lock:
                    acknowledged.update(names)

        clients = [threading.Thread(target=post, args=(at,)) for at in range(4)]
        for one in clients:
            one.start()
        time.sleep(rng.uniform(0.1, 1.0))
        server.end(signal.SIGKILL)
        dead.set()
        for one in clients:
            one.join()
        kills += 1
    store = Store(f"sqlite:///{tmp_path / 'state' / 'events.db'}")
    kept = [row["id"] for row in store.rows(EVENTS)]
    store.close()
    assert len(acknowledged) > 20, "too few were sent to mean anything"
    assert len(kept) == len(set(kept)), "an event was kept twice"
    assert acknowledged <= set(kept), "an acknowledged event is lost"
    server = Process(tmp_path / "state", models / "good")
    try:
        status, answer = server.ask("POST", "/recommend", {"user": "u0"})
        assert (status, answer["source"]) == (200, "fold-in")
    finally:
        assert server.end() in (0, -signal.SIGTERM)


def test_a_server_that_is_told_to_stop_answers_what_it_began(models, tmp_path):
    server = Process(tmp_path / "state", models / "good", "--log-requests")
    answers = []

    def flow():
        for at in range(200):
            try:
                answers.append(server.ask("POST", "/events", {"id": f"{at}", "user": "u", "item": "i1"})[0])  # fmt: skip
            except OSError:
                return

    client = threading.Thread(target=flow)
    client.start()
    until = time.monotonic() + 30
    while len(answers) < 5:
        assert time.monotonic() < until, server.log.read_text()
        time.sleep(0.01)
    server.end()
    client.join()
    assert set(answers) == {200}
    records = [json.loads(one) for one in server.log.read_text().splitlines()]
    assert any(one["message"] == "request" and one["status"] == 200 for one in records)
    store = Store(f"sqlite:///{tmp_path / 'state' / 'events.db'}")
    assert len(store.rows(EVENTS)) >= len(answers)
    store.close()


def test_a_port_that_is_taken_and_an_address_that_is_public(models, tmp_path, run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = run("serve", models / "good", "--state", tmp_path / "s", "--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in err
    code, _, err = run("serve", models / "good", "--state", tmp_path / "s", "--host", "0.0.0.0")
    assert code == 2
    assert "no API keys are set" in err
    code, _, err = run("serve", tmp_path, "--state", tmp_path / "s")
    assert code == 2
    assert "not a model" in err


@pytest.mark.slow
def test_two_workers_share_the_address_and_the_store(models, tmp_path):
    server = Process(tmp_path / "state", models / "good", "--workers", "2")
    try:
        until = time.monotonic() + 60
        while True:
            try:
                if server.ask("GET", "/ready", timeout=2)[0] == 200:
                    break
            except OSError:
                assert time.monotonic() < until, server.log.read_text()
                time.sleep(0.1)
        assert server.ask("POST", "/events", {"user": "x", "item": "i1"})[0] == 200
        time.sleep(2)
        sources = {server.ask("POST", "/recommend", {"user": "x"})[1]["source"] for _ in range(20)}
        assert sources == {"fold-in"}
    finally:
        server.end()
