"""The tables of the store, and how a database is opened: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Engine,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from twofold.data.files import SERVED
from twofold.data.passwords import without_passwords
from twofold.errors import ConfigError, DataError

META = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""Counts up by itself in both databases."""
USER_IS_INTEGER, ITEM_IS_INTEGER = 1, 2
"""Bits of ``events.ids``: ids are kept as texts, and given back as they came."""
IMPRESSION = "impression"
"""The kind of event that says what was shown, which is no history."""
LOG_VIEW = SERVED
"""What `twofold fit --data events.db` reads."""

FORMAT = 1
"""Number of the format of the store; a newer one is refused, an older one is brought up."""
AWAY = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""Seconds until PostgreSQL counts as away, and milliseconds for a packet that nobody acknowledges."""

FORMATS = Table("twofold_format", META, Column("number", Integer, primary_key=True))
EVENTS = Table(
    "events",
    META,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Double),
    Column("time", Double, nullable=False, index=True),
    Column("received", Double, nullable=False),
    Column("request_id", Text),
    Column("session", Text),
    Column("context", Text),  # a JSON object
    Column("ids", SmallInteger, nullable=False),
    sqlite_autoincrement=True,
)
EXPOSURES = Table(
    "exposures",
    META,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("request_id", Text, nullable=False),
    Column("unit", Text, nullable=False, index=True),
    Column("experiment", Text),
    Column("variant", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("items", Text, nullable=False),  # a JSON list of ids
    Column("propensities", Text),  # a JSON list of numbers
    Column("time", Double, nullable=False, index=True),
    Column("detail", Text),  # a JSON object: see `twofold.serve.variants.Trace`
    sqlite_autoincrement=True,
)
ITEMS = Table(
    "items",
    META,
    Column("item_id", Text, primary_key=True),
    Column("is_integer", SmallInteger, nullable=False),
    Column("features", Text, nullable=False),  # JSON
    Column("withdrawn", SmallInteger, nullable=False),
    Column("changed", Double, nullable=False),
)
VERSIONS = Table(
    "versions",
    META,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("model", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("data", Text),
    Column("report", Text),  # JSON
    Column("registered", Double, nullable=False),
)
CHANGES = Table(
    "changes",
    META,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False),
    Column("action", Text, nullable=False),
    Column("version", Integer),
    Column("share", Double),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)


def is_history(row: Mapping[str, Any], kinds: Sequence[str]) -> bool:
    """Say whether an event belongs to a history."""
    return row["kind"] in kinds if kinds else row["kind"] != IMPRESSION


def id_bits(user: int | str, item: int | str) -> int:
    """Return the bits that say which of two ids is an integer."""
    return USER_IS_INTEGER * isinstance(user, int) | ITEM_IS_INTEGER * isinstance(item, int)


def open_engine(url: str) -> Engine:
    """Open a database and make what is missing in it.

    Raises
    ------
    ConfigError
        If the URL cannot be understood, or its driver is not installed.
    DataError
        If the database cannot be reached or written.
    """
    full = re.sub(r"^postgres(?:ql)?://", "postgresql+psycopg://", url)
    away = AWAY if full.startswith("postgresql+psycopg://") else {}
    try:
        engine = create_engine(full, pool_pre_ping=True, pool_size=4, connect_args=away)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"the store {without_passwords(url)} cannot be opened: {without_passwords(str(error).splitlines()[0])}; "
            "write sqlite:////path/events.db or postgresql://user@host/name"
        ) from error
    if engine.dialect.name not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f"the store {without_passwords(url)} is {engine.dialect.name}; SQLite and PostgreSQL are supported"
        )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable)
    try:
        check_format(engine, without_passwords(url))
        META.create_all(engine)
        _add_columns(engine)
        with engine.begin() as connection:
            for statement in [*_view(engine.dialect.name), _MARK]:
                connection.execute(text(statement))
    except DataError:
        engine.dispose()
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        raise DataError(
            f"the store {without_passwords(url)} cannot be used: {reason_of(error)}; "
            "check the path, the rights and that the database runs"
        ) from error
    return engine


def _add_columns(engine: Engine) -> None:
    """Add the columns that a store of an earlier version has not; they are empty in its rows."""
    for table in META.sorted_tables:
        there = {one["name"] for one in inspect(engine).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(engine.dialect)
                try:
                    with engine.begin() as connection:
                        connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))  # fmt: skip
                except SQLAlchemyError:
                    # Another process may have been quicker.
                    if column.name not in {one["name"] for one in inspect(engine).get_columns(table.name)}:  # fmt: skip
                        raise


_MARK = f"INSERT INTO twofold_format (number) VALUES ({FORMAT}) ON CONFLICT DO NOTHING"


def check_format(engine: Engine, name: str) -> None:
    """Refuse a store of a newer version, before anything in it is touched.

    Raises
    ------
    DataError
        Saying which format it has and which is read here.
    """
    if not inspect(engine).has_table(FORMATS.name):
        return
    with engine.connect() as connection:
        number = connection.execute(select(func.max(FORMATS.c.number))).scalar() or FORMAT
    if number > FORMAT:
        raise DataError(
            f"the store {name} was written by a newer version of twofold (format {number}; this one reads {FORMAT}); "
            "install that version, or name another store"
        )


def _durable(connection: Any, record: object) -> None:
    """Make a commit of SQLite survive a crash, and readers and writers not wait for each other."""
    del record
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _view(dialect: str) -> list[str]:
    """Return the statements that make the view of events as a log for training; what has no value counts 1."""
    if dialect == "sqlite":
        user = f"CASE WHEN ids & {USER_IS_INTEGER} THEN CAST(user_id AS INTEGER) ELSE user_id END"
        item = f"CASE WHEN ids & {ITEM_IS_INTEGER} THEN CAST(item_id AS INTEGER) ELSE item_id END"
        made = f"CREATE VIEW IF NOT EXISTS {LOG_VIEW}"
    else:
        user, item, made = "user_id", "item_id", f"CREATE OR REPLACE VIEW {LOG_VIEW}"
    return [
        f'{made} AS SELECT {user} AS "user", {item} AS "item", COALESCE(value, 1) AS value, time FROM events '
        f"WHERE kind <> '{IMPRESSION}' ORDER BY time, seq"
    ]


def reason_of(error: BaseException) -> str:
    """Return the first line of what a database says, without passwords."""
    origin = getattr(error, "orig", None) or error
    lines = str(origin).strip().splitlines()
    return without_passwords(lines[0]) if lines else type(origin).__name__
