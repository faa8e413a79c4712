"""Queries: SQLite, and PostgreSQL on a server of its own where its programs are found."""

import datetime as dt
import sqlite3

import pytest

import twofold as tw
from twofold.errors import DataError, MissingDependencyError

pytest.importorskip("sqlalchemy")
ROWS = [
    ("007", 1, 5.0, "2020-01-01 10:00:00"),
    ("7", 2, 3.0, "2020-01-02 10:00:00"),
    ("x", 1, None, None),
]


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "log.db"
    with sqlite3.connect(path) as made:
        made.execute("create table events (user_id text, item_id integer, rating real, ts text)")
        made.executemany("insert into events values (?, ?, ?, ?)", ROWS)
    made.close()
    return path


@pytest.mark.filterwarnings("ignore::twofold.errors.DataWarning")
def test_sqlite_by_url_and_by_path(base):
    for source in (f"sqlite:///{base}", base):
        data = tw.Dataset.read(source, query="select * from events")
        assert data.frame().rows() == [("007", 1, 5.0, 1577872800), ("7", 2, 3.0, 1577959200)]


def test_columns_of_mixed_types(base):
    with sqlite3.connect(base) as made:
        made.execute("create table odd (user, item)")
        made.executemany("insert into odd values (?, ?)", [(1, "a"), ("u", "b")])
    made.close()
    data = tw.Dataset.read(base, query="select * from odd")
    assert data.users.ids.ids.to_list() == ["1", "u"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("select * from nowhere", "no such table"),
        ("select * from events where 0", "no rows"),
        ("delete from events where 0", "no rows"),
        ("select user_id, user_id from events", "two columns called 'user_id'"),
    ],
)
def test_a_query_that_fails_is_one_sentence(base, query, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        tw.Dataset.read(base, query=query)
    assert "\n" not in str(caught.value)


def test_urls_that_are_not_read(tmp_path):
    with pytest.raises(DataError, match="no database file"):
        tw.Dataset.read(f"sqlite:///{tmp_path}/none.db", query="select 1")
    with pytest.raises(DataError, match="fetch the file"):
        tw.Dataset.read("https://example.org/log.csv")
    with pytest.raises(DataError, match="failed") as caught:
        tw.Dataset.read("nosuch://me:secret@host/db", query="select 1")
    assert "secret" not in str(caught.value)


def test_without_sqlalchemy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    with pytest.raises(MissingDependencyError, match=r"twofold\[sql\]"):
        tw.Dataset.read("sqlite:///x.db", query="select 1")


def test_postgresql_by_one_url(postgresql):
    psycopg = pytest.importorskip("psycopg")
    server = postgresql.url
    with psycopg.connect(server) as made:
        made.execute(
            "create table events (user_id uuid, item_id bigint, rating numeric(3, 1), at timestamptz, day date)"
        )
        made.execute(
            "insert into events values "
            "('00000000-0000-0000-0000-000000000001', 9007199254740993, 4.5, '2020-01-01 12:00+02', '2020-01-01'),"
            "('00000000-0000-0000-0000-000000000002', -3, 3.0, '2020-01-02 12:00+02', '2020-01-02')"
        )
    data = tw.Dataset.read(server, query="select * from events", time="at")
    assert data.frame().rows() == [
        ("00000000-0000-0000-0000-000000000001", 9007199254740993, 4.5, 1577872800),
        ("00000000-0000-0000-0000-000000000002", -3, 3.0, 1577959200),
    ]
    dated = tw.Dataset.read(server, query="select user_id, item_id, day from events", time="day")
    first = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert dated.interactions.time[0] == int(first.timestamp())
    with pytest.raises(DataError, match="failed") as caught:
        tw.Dataset.read(server, query="select * from nothing")
    assert "secret" not in str(caught.value)
