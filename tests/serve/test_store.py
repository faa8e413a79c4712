"""Events are kept once, in both databases; a database that is full or away loses nothing that was acknowledged."""

import os
import sqlite3
import subprocess
import threading
import time

import polars as pl
import pytest
from sqlalchemy import text
from tests_of_serving import items_of

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.serve.export import log_of
from twofold.serve.failures import Refused
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


def test_a_write_that_is_given_up_or_fails_does_not_stop_the_store(store):
    """A request that is cancelled while its rows wait, and work that raises: the next ones are written."""
    begin, go = threading.Event(), threading.Event()
    slow = store.do(lambda _: (begin.set(), go.wait(10)))
    begin.wait(10)
    waits = [store.add_events([event(at)]) for at in range(6)]
    waits[1].cancel()
    broken = store.do(lambda _: 1 / 0)
    assert not slow.cancel(), "what has begun is finished"
    go.set()
    assert slow.result(10) is not None
    assert [one.result(10) for at, one in enumerate(waits) if at != 1]
    with pytest.raises(Refused, match="division by zero"):
        broken.result(10)
    assert set(store.add_events([event(9)]).result(10)) == {"e9"}
    assert store._waiting == 0


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


def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path, run, models):
    path = tmp_path / "state" / "events.db"
    path.parent.mkdir()
    Store(f"sqlite:///{path}").close()
    Store(f"sqlite:///{path}").close()  # its own version opens it again
    with sqlite3.connect(path) as other:
        assert other.execute("select number from twofold_format").fetchall() == [(1,)]
        other.execute("insert into twofold_format values (7)")
    other.close()
    before = path.read_bytes()
    code, _, err = run("serve", models / "good", "--state", tmp_path / "state")
    assert code == 2
    assert "newer version of twofold (format 7; this one reads 1)" in err
    assert path.read_bytes() == before


def test_a_store_of_before_formats_were_numbered_opens(tmp_path):
    Store(f"sqlite:///{tmp_path / 'events.db'}").close()
    with sqlite3.connect(tmp_path / "events.db") as other:
        other.execute("drop table twofold_format")
    other.close()
    made = Store(f"sqlite:///{tmp_path / 'events.db'}")
    assert made.add_events([event(1)]).result()
    made.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB, as full as its test fills it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full(small_disk, served):
    """507 while it is full; what was acknowledged stays, whole; it goes on by itself when there is room again."""
    client = served(state=small_disk / "state", patience=0.2)
    kept, codes = 0, []
    for at in range(400):
        part = [{"id": f"{at}.{one}", "user": "u" * 100, "item": "i2"} for one in range(20)]
        answer = client.post("/events", json=part)
        codes.append(answer.status_code)
        if answer.status_code != 200:
            break
        kept += 20
    assert codes[-1] == 507, answer.text
    assert answer.json()["error"]["code"] == "store_full"
    assert kept > 0
    assert items_of(client.post("/recommend", json={"user": "u" * 100}))
    assert client.get("/health").status_code == 200
    assert len(served.live.store.rows(EVENTS)) == kept
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert client.post("/events", json=part).json()["accepted"] == 20
    assert len(served.live.store.rows(EVENTS)) == kept + 20
    client.__exit__(None, None, None)
    again = sqlite3.connect(small_disk / "state" / "events.db")
    assert again.execute("pragma integrity_check").fetchone() == ("ok",)
    again.close()


def test_a_state_folder_that_cannot_be_written(small_disk, models, run):
    """One sentence where a server has to begin; one that runs answers lists and refuses events."""
    (small_disk / "state").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for state in (small_disk / "state", small_disk / "new"):
        code, _, err = run("serve", models / "good", "--state", state)
        assert code == 2
        assert "check the path, the rights" in err or "choose another --state" in err, err
        assert err.count("\n") == 1


def test_a_state_folder_that_becomes_read_only(small_disk, served):
    client = served(state=small_disk / "state", patience=0.2)
    assert client.post("/events", json={"id": "a", "user": "u", "item": "i1"}).status_code == 200
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(remount, check=False, capture_output=True).returncode:
        pytest.skip("a file system that is written to cannot be made read-only here")
    answer = client.post("/events", json={"id": "b", "user": "u", "item": "i2"})
    assert answer.status_code in (503, 507), answer.text
    assert items_of(client.post("/recommend", json={"user": "u"}))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert client.post("/events", json={"id": "b", "user": "u", "item": "i2"}).json()["accepted"] == 1  # fmt: skip


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


def test_what_was_done_at_one_second_goes_out_whole(served, run, tmp_path):
    """A click and a purchase of one item at one second are two events; one that training had is one."""
    client = served()
    user, item, when = 101, "i1", 2_000_000
    for kind, value in (("click", None), ("purchase", 19.9)):
        client.post("/events", json={"user": user, "item": item, "kind": kind, "value": value, "time": when})  # fmt: skip
    history = served.live.base.memory.history
    first = {"user": user, "item": served.live.base.items.ids.ids[int(history.item[history.indptr[served.live.base.users.ids.row(user)]])]}  # fmt: skip
    first["time"] = int(history.time[history.indptr[served.live.base.users.ids.row(user)]])
    client.post("/events", json=first)
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.parquet", "--with-training")  # fmt: skip
    assert code == 0, err
    frame = pl.read_parquet(tmp_path / "log.parquet")
    assert len(frame) == len(history.item) + 2
    assert sorted(frame.filter(pl.col("time") == when)["kind"]) == ["click", "purchase"]
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "some.csv", "--kind", "purchase")  # fmt: skip
    assert code == 0, err
    assert pl.read_csv(tmp_path / "some.csv")["value"].to_list() == [19.9]


def test_who_gives_up_waiting_does_not_stop_the_writing(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    store.do(lambda connection: time.sleep(0.3))
    given_up = store.do(lambda connection: 1)
    assert given_up.cancel()
    assert store.do(lambda connection: 2).result(10) == 2
    store.close()
