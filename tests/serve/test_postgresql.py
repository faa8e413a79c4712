"""The store on a PostgreSQL server of its own, where its programs are found."""

import time

import pytest
from tests_of_serving import items_of

from twofold.serve.store import Store
from twofold.serve.tables import EVENTS

pytest.importorskip("psycopg")


def test_events_versions_and_items(postgresql, served, models):
    client = served(store=postgresql.url)
    sent = [{"id": f"e{at}", "user": "x", "item": f"i{at}", "time": 100 - at} for at in range(50)]
    assert client.post("/events", json=sent).json()["accepted"] == 50
    again = client.post("/events", json=[*sent, {"id": "e50", "user": "x", "item": "i1"}]).json()
    assert (again["accepted"], again["duplicates"]) == (1, 50)
    before = client.post("/recommend", json={"user": "x", "k": 3}).json()
    assert before["source"] == "fold-in"
    client.post("/models", json={"path": str(models / "EASE")})
    assert client.post("/models/2/promote", json={"force": True}).json()["live"] == 2
    assert client.delete("/items/i1").status_code == 200
    client.__exit__(None, None, None)
    other = served(None, store=postgresql.url)
    assert other.post("/recommend", json={"user": "x", "k": 3}).json()["version"] == 2
    assert "i1" not in items_of(other.post("/recommend", json={"user": "new", "k": 30}))
    assert other.post("/models/rollback").json() == {"live": 1, "before": 2}
    assert len(served.live.store.rows(EVENTS)) == 51


def test_writers_that_meet_do_not_wait_for_each_other(postgresql):
    stores = [Store(postgresql.url) for _ in range(3)]
    rows = [
        {"id": f"same{at}", "user_id": "u", "item_id": "i", "kind": "click", "value": 1.5, "time": 1.0,
         "received": 1.0, "request_id": None, "session": None, "ids": 0}
        for at in range(200)
    ]  # fmt: skip
    waits = [one.add_events(rows[::step]) for step in (1, -1) for one in stores for _ in range(5)]
    assert sum(len(one.result(30)) for one in waits) == 200
    for one in stores:
        one.close()


def test_a_database_that_is_gone_and_back(postgresql, served):
    client = served(store=postgresql.url, patience=0.3)
    assert (
        client.post("/events", json={"id": "before", "user": "x", "item": "i1"}).status_code == 200
    )
    postgresql.run("pg_ctl", "-m", "immediate", "stop")
    try:
        away = client.post("/events", json={"id": "while", "user": "x", "item": "i2"})
        assert (away.status_code, away.json()["error"]["code"]) == (503, "store_away"), away.text
        assert "secret" not in away.text
        assert items_of(client.post("/recommend", json={"user": "x"}))
        assert client.get("/health").status_code == 200
    finally:
        postgresql.start()
    until = time.monotonic() + 10
    while (
        client.post("/events", json={"id": "while", "user": "x", "item": "i2"}).status_code != 200
    ):
        assert time.monotonic() < until
        time.sleep(0.1)
    kept = [row["id"] for row in served.live.store.rows(EVENTS)]
    assert {"before", "while"} <= set(kept)
    assert len(kept) == len(set(kept))
