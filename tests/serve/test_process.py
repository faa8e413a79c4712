"""The real process: killed while it takes events, stopped in the middle of a request, started on a taken port."""

import http.client
import json
import random
import signal
import socket
import threading
import time

from tests_of_serving import Process

from twofold.serve.store import Store
from twofold.serve.tables import EVENTS


def test_kill_9_loses_no_acknowledged_event_and_doubles_none(models, tmp_path):
    """Several clients post; the server dies at a random moment; each sends again what was not answered."""
    rng = random.Random(0)
    acknowledged, sent = set(), 0
    lock = threading.Lock()
    until = time.monotonic() + 60
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
        before = len(acknowledged)
        for one in clients:
            one.start()
        while len(acknowledged) == before and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 1.0))
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
