"""The store on a PostgreSQL server of its own, where its programs are found."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests_of_serving import Process, items_of

from twofold.errors import DataError
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS, EXPOSURES

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


def test_a_database_that_is_stopped_and_started_under_load(postgresql, models, tmp_path):
    """The real process and a real server: 503 while it is away, lists all the while, nothing acknowledged lost, and it recovers by itself."""
    server = Process(tmp_path / "state", models / "good", "--store", postgresql.url)
    acknowledged, refusals, failed = set(), [], []
    stop = threading.Event()

    def post(client):
        line = server.line()
        at, again = 0, None
        while not stop.is_set():
            names = again or [f"{client}-{at}-{one}" for one in range(10)]
            at += 1
            events = [{"id": one, "user": f"u{client}", "item": "i1"} for one in names]
            status, said = server.ask("POST", "/events", events, line=line)
            if status == 200:
                acknowledged.update(names)
                again = None
            else:
                again = names
                refusals.append((status, said["error"]["code"], server.headers["retry-after"]))
            status, said = server.ask("POST", "/recommend", {"user": 101}, line=line)
            if status != 200:
                failed.append(said)

    clients = [threading.Thread(target=post, args=(at,)) for at in range(3)]
    try:
        for one in clients:
            one.start()
        for _ in range(2):
            many = len(acknowledged) + 50
            until = time.monotonic() + 60
            while len(acknowledged) < many:
                assert time.monotonic() < until, server.log.read_text()
                time.sleep(0.02)
            before = len(refusals)
            postgresql.run("pg_ctl", "-m", "immediate", "stop")
            while len(refusals) < before + 3:
                assert time.monotonic() < until, server.log.read_text()
                time.sleep(0.02)
            assert server.ask("GET", "/ready")[1]["store"] == "away"
            postgresql.start()
        many = len(acknowledged) + 50
        while len(acknowledged) < many:
            assert time.monotonic() < until, server.log.read_text()
            time.sleep(0.02)
    finally:
        stop.set()
        for one in clients:
            one.join()
        ended = server.end()
    assert ended in (0, -signal.SIGTERM)
    assert not failed, failed[0]
    assert {one[:2] for one in refusals} == {(503, "store_away")}
    store = Store(postgresql.url)
    kept = [row["id"] for row in store.rows(EVENTS)]
    store.close()
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_store_of_a_newer_version_is_refused(postgresql):
    Store(postgresql.url).close()
    made = Store(postgresql.url)
    made.do(lambda connection: connection.execute(text("insert into twofold_format values (7)"))).result()  # fmt: skip
    made.close()
    with pytest.raises(DataError, match="newer version of twofold"):
        Store(postgresql.url)


def test_a_store_of_an_earlier_version_gets_the_columns_that_it_lacks(postgresql):
    Store(postgresql.url).close()
    made = Store(postgresql.url)
    old = "insert into exposures (request_id, unit, variant, version, source, items, time) values ('old', 'u', 'live', 1, 'model', '[1]', 5)"

    def age(connection):
        connection.execute(text("alter table exposures drop column detail, drop column propensities"))  # fmt: skip
        connection.execute(text("alter table changes drop column share"))
        connection.execute(text(old))

    made.do(age).result()
    made.close()
    with ThreadPoolExecutor(3) as several:
        opened = list(several.map(Store, [postgresql.url] * 3))
    rows = opened[0].rows(EXPOSURES)
    assert [(row["request_id"], row["detail"], row["propensities"]) for row in rows] == [("old", None, None)]  # fmt: skip
    row = {**rows[0], "request_id": "new", "detail": "{}", "propensities": "[0.5]"}
    del row["seq"]
    opened[1].add_exposures([row])
    opened[1].do(lambda connection: None).result()
    assert opened[2].rows(EXPOSURES)[1]["detail"] == "{}"
    for one in opened:
        one.close()
