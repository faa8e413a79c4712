"""What is kept: events, exposures, added items, versions; how it is read, and what is written beside events."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from twofold.serve.tables import CHANGES, EVENTS, EXPOSURES, ITEMS, VERSIONS, open_engine
from twofold.serve.writer import AT_ONCE, TOGETHER, Row, Writer

READ = 50_000
"""Events that are read at a time when a server starts."""


class Store(Writer):
    """A database, and the thread that writes to it. What was acknowledged is on disk."""

    def __init__(self, url: str, *, patience: float = 2.0) -> None:
        engine = open_engine(url)
        dialect: Any = importlib.import_module(f"sqlalchemy.dialects.{engine.dialect.name}")
        self._insert = dialect.insert
        super().__init__(engine, patience)

    # ---- reading ----------------------------------------------------------------------------

    def ping(self) -> bool:
        """Say whether the database answers."""
        try:
            with self.engine.connect() as connection:
                connection.execute(select(1))
        except SQLAlchemyError:
            self.reachable = False
        else:
            self.reachable = True
        return self.reachable

    def events_after(self, seq: int, limit: int = READ) -> list[Row]:
        """Return the events past `seq` in the order in which they were written."""
        with self.engine.connect() as connection:
            found = select(EVENTS).where(EVENTS.c.seq > seq).order_by(EVENTS.c.seq).limit(limit)
            return records(connection, found)

    def all_events(self) -> Iterator[list[Row]]:
        """Return all events, a part at a time, in the order in which they were written."""
        last = 0
        while some := self.events_after(last):
            last = some[-1]["seq"]
            yield some

    def numbers_after(self, seq: int) -> list[int]:
        """Return the numbers of the events past `seq`."""
        with self.engine.connect() as connection:
            found = select(EVENTS.c.seq).where(EVENTS.c.seq > seq).order_by(EVENTS.c.seq)
            return list(connection.execute(found.limit(READ)).scalars())

    def events_at(self, numbers: Sequence[int]) -> list[Row]:
        """Return the events of these numbers."""
        rows: list[Row] = []
        with self.engine.connect() as connection:
            for start in range(0, len(numbers), AT_ONCE):
                some = numbers[start : start + AT_ONCE]
                found = select(EVENTS).where(EVENTS.c.seq.in_(some)).order_by(EVENTS.c.seq)
                rows += records(connection, found)
        return rows

    def last_change(self) -> int:
        """Return the number of the last change of the registry."""
        with self.engine.connect() as connection:
            return connection.execute(select(func.max(CHANGES.c.seq))).scalar() or 0

    def count(self, table: Table) -> int:
        """Return the number of rows."""
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def items_state(self) -> tuple[float, ...]:
        """Return numbers that differ whenever an item was added or withdrawn."""
        when = ITEMS.c.changed
        with self.engine.connect() as connection:
            found = select(func.count(), func.max(when), func.sum(when)).select_from(ITEMS)
            return tuple(one or 0.0 for one in connection.execute(found).one())

    def rows(self, table: Table) -> list[Row]:
        """Return everything of a small table, in the order of its key."""
        with self.engine.connect() as connection:
            key = next(iter(table.primary_key.columns))
            return records(connection, select(table).order_by(key))

    def delete_before(self, cutoff: float) -> Future[int]:
        """Delete the events and exposures before a time, at most `TOGETHER` of each; the result says how many."""

        def work(connection: Connection) -> int:
            count = 0
            for table in (EVENTS, EXPOSURES):
                old = select(table.c.seq).where(table.c.time < cutoff).limit(TOGETHER)
                made = connection.execute(delete(table).where(table.c.seq.in_(old)))
                count += int(made.rowcount)
            return count

        return self.do(work)

    # ---- small tables -----------------------------------------------------------------------

    def put_item(self, item: int | str, features: Mapping[str, Any] | None, now: float, *, withdrawn: bool) -> Future[Any]:  # fmt: skip
        """Keep an item that was added by content, or that is listed no more; None keeps the features there are."""
        key = {"item_id": str(item), "is_integer": int(isinstance(item, int))}
        state = {"withdrawn": int(withdrawn), "changed": now}
        known = {} if features is None else {"features": orjson.dumps(features).decode()}
        statement = self._insert(ITEMS).values(**key, **{"features": "{}"} | state | known)
        change = statement.on_conflict_do_update(index_elements=["item_id"], set_=state | known)
        return self.do(lambda connection: connection.execute(change))

    def add_version(self, row: Row) -> Future[int]:
        """Register a version; the result is its number, also where it was registered before."""

        def work(connection: Connection) -> int:
            connection.execute(self._insert(VERSIONS).values(**row).on_conflict_do_nothing())
            found = select(VERSIONS.c.version).where(VERSIONS.c.digest == row["digest"])
            return connection.execute(found).scalar_one()

        return self.do(work)

    def add_change(self, action: str, version: int | None, note: str, now: float, share: float | None = None) -> Future[Any]:  # fmt: skip
        """Keep what was done to the registry."""
        row = {"time": now, "action": action, "version": version, "share": share, "note": note}
        return self.do(lambda connection: connection.execute(insert(CHANGES).values(**row)))


def records(connection: Connection, query: Select[Any]) -> list[Row]:
    """Return the rows of an answer by plain names."""
    answer = connection.execute(query)
    names = [str(name) for name in answer.keys()]  # noqa: SIM118  a result is no mapping
    return [dict(zip(names, row, strict=True)) for row in answer]
