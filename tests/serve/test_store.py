"""Events are kept once, in both databases; a database that is full or away loses nothing that was acknowledged."""

import sqlite3
import time

import polars as pl
import pytest
from sqlalchemy import text
from tests_of_serving import items_of

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.serve.export import log_of
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS
from twofold.serve.watch import retain


def event(at, user="u", **more):
    row = {"id": f"e{at}", "user_id": user, "item_id": f"i{at % 5}", "kind": "click", "value": None}
    row |= {"time": float(at), "received": 1.0, "request_id": None, "session": None, "ids": 0}
    return row | more


@pytest.fixture
def store(tmp_path):
    made = Store(f"sqlite:///{tmp_path / 'events.db'}")
    yield made
    made.close()


def test_an_event_counts_once(store):
    assert set(store.add_events([event(1), event(2), event(1)]).result()) == {"e1", "e2"}
    assert set(store.add_events([event(2), event(3)]).result()) == {"e3"}
    numbers = [row["seq"] for row in store.rows(EVENTS)]
    assert numbers == sorted(numbers)
    assert [row["id"] for row in store.rows(EVENTS)] == ["e1", "e2", "e3"]


def test_many_requests_share_a_commit(store):
    waits = [store.add_events([event(10 * at + one) for one in range(10)]) for at in range(300)]
    assert sum(len(one.result()) for one in waits) == 3000
    assert len(store.rows(EVENTS)) == 3000


def test_what_is_acknowledged_is_read_by_another_connection(store, tmp_path):
    store.add_events([event(1)]).result()
    with sqlite3.connect(tmp_path / "events.db") as other:
        assert other.execute("select id from events").fetchall() == [("e1",)]
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    other.close()


def test_a_full_disk_is_507_and_loses_nothing(served):
    client = served(patience=0.2)
    assert (
        client.post("/events", json={"id": "first", "user": "u", "item": "i1"}).status_code == 200
    )
    live = served.live

    def limit(pages):
        with live.store.engine.connect() as connection:
            used = connection.execute(text("pragma page_count")).scalar()
        live.store.engine.dispose()
        from sqlalchemy import event as events

        events.listen(live.store.engine, "connect", lambda made, _: made.execute(f"pragma max_page_count={used + pages}"))  # fmt: skip

    limit(2)
    many = [{"id": f"m{at}", "user": "u" * 400, "item": "i2"} for at in range(400)]
    full = client.post("/events", json=many)
    assert full.status_code == 507, full.text
    assert full.json()["error"]["code"] == "store_full"
    assert items_of(client.post("/recommend", json={"user": "u"}))
    assert [row["id"] for row in live.store.rows(EVENTS)] == ["first"], "kept whole or not at all"
    limit(100_000)
    assert client.post("/events", json=many).json()["accepted"] == 400


def test_a_store_that_is_away_and_back(served):
    client = served(patience=0.2)
    client.post("/events", json={"id": "1", "user": "u", "item": "i1"})
    engine = served.live.store.engine
    other = sqlite3.connect(engine.url.database, isolation_level=None)
    with engine.connect() as connection:
        connection.execute(text("pragma busy_timeout=1"))

    from sqlalchemy import event as events

    def hasty(made, _):
        made.execute("pragma busy_timeout=1")

    engine.dispose()
    events.listen(engine, "connect", hasty)
    other.execute("begin exclusive")
    away = client.post("/events", json={"id": "2", "user": "u", "item": "i2"})
    assert away.status_code == 503, away.text
    assert away.json()["error"]["code"] == "store_away"
    assert away.headers["retry-after"] == "1"
    assert items_of(client.post("/recommend", json={"user": "u"}))
    assert client.get("/ready").json()["ready"] is True
    other.execute("rollback")
    other.close()
    assert (
        client.post("/events", json={"id": "2", "user": "u", "item": "i2"}).json()["accepted"] == 1
    )


def test_stores_that_cannot_be_opened(tmp_path):
    for url, kind, words in [
        (f"sqlite:///{tmp_path}/no/such/events.db", DataError, "cannot be used"),
        ("nonsense", ConfigError, "cannot be opened"),
        ("postgresql://me:secret@127.0.0.1:1/x", DataError, "cannot be used"),
        ("mysql+nosuch://h/x", ConfigError, "cannot be opened"),
    ]:
        with pytest.raises(kind, match=words) as caught:
            Store(url)
        assert "secret" not in str(caught.value)
    (tmp_path / "events.db").write_text("this is no database at all" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        Store(f"sqlite:///{tmp_path / 'events.db'}")


def test_a_clock_that_goes_backwards(served, monkeypatch):
    client = served()
    clock = [0.0]
    monkeypatch.setattr("twofold.serve.live.time.time", lambda: clock[0])
    served.live._clock = 0.0
    for at, clock[0] in enumerate([1_000_000.0, 500_000.0, 1_000_001.0]):
        client.post("/events", json={"id": f"{at}", "user": "u", "item": f"i{at}"})
    assert [row["time"] for row in served.live.store.rows(EVENTS)] == [1_000_000.0, 1_000_000.0, 1_000_001.0]  # fmt: skip
    lately = served.live.histories.of("u")
    assert [served.live.histories.items[one] for one in lately.item] == ["i0", "i1", "i2"]


def test_old_events_are_deleted(served):
    client = served(retention_days=1.0)
    now = time.time()
    client.post("/events", json=[{"user": "u", "item": "i1", "time": now - 200_000}, {"user": "u", "item": "i2", "time": now}, {"user": "v", "item": "i3", "time": now - 200_000}])  # fmt: skip
    until = time.monotonic() + 5
    while len(served.live.store.rows(EVENTS)) > 1 or served.live.histories.count > 1:
        # The first look comes at once, the next ones every ten minutes: ask for one.
        client.portal.call(retain, served.live)
        assert time.monotonic() < until
    assert [row["item_id"] for row in served.live.store.rows(EVENTS)] == ["i2"]
    assert served.live.histories.of("v") is None


def test_the_circle_closes(served, run, tmp_path, models):
    """Events go out as a log, with the training before them, and a model is fitted on the store itself."""
    client = served()
    sent = [{"id": f"{u}-{i}", "user": f"new{u}", "item": f"i{(u + i) % 20}", "time": 2_000_000_000 - 100 * u - i, "kind": "play"} for u in range(30) for i in range(6)]  # fmt: skip
    sent = [one | {"time": 1_000_000 + at} for at, one in enumerate(sent)]
    assert client.post("/events", json=sent).json()["accepted"] == 180
    client.post("/events", json={"user": "x", "item": "i1", "kind": "impression"})
    assert len(log_of(served.live)) == 180
    code, out, err = run("events", tmp_path / "state", "--out", tmp_path / "log.parquet", "--with-training", "--json")  # fmt: skip
    assert code == 0, err
    frame = pl.read_parquet(tmp_path / "log.parquet")
    trained = len(served.live.base.memory.history.item)
    assert len(frame) == trained + 180, out
    assert frame["time"].is_sorted()
    code, _, err = run("fit", "ItemKNN", "--data", tmp_path / "state" / "events.db", "--out", tmp_path / "run", "--test", 0)  # fmt: skip
    assert code == 0, err
    model = tw.load(tmp_path / "run" / "model")
    assert len(model.users) == 30
    code, _, err = run("fit", "ItemKNN", "--data", tmp_path / "log.parquet", "--out", tmp_path / "second")  # fmt: skip
    assert code == 0, err


def test_who_gives_up_waiting_does_not_stop_the_writing(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    store.do(lambda connection: time.sleep(0.3))
    given_up = store.do(lambda connection: 1)
    assert given_up.cancel()
    assert store.do(lambda connection: 2).result(10) == 2
    store.close()
