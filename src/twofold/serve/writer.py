"""The thread that writes: many requests a commit, so that a thousand small ones cost one flush of the disk."""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twofold.serve.failures import Refused, unwritten
from twofold.serve.tables import EVENTS, EXPOSURES, reason_of

log = logging.getLogger(__name__)

Row = dict[str, Any]
Work = Callable[[Connection], Any]
TOGETHER = 20_000
"""Most rows of one commit."""
AT_ONCE = 500
"""Rows of one statement."""
WAITING = 200_000
"""Rows that wait to be written before further ones are refused."""
STOP = "stop"
FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SQLAlchemyError,
    TypeError,
    ValueError,
)
"""What may go wrong in one job; the thread outlives it, for without it the store would take nothing more."""
FULL = ("disk is full", "no space left", "disk full")
"""What the databases say when there is no room."""


@dataclass
class Job:
    """Rows to write, or other work to do, and who waits for it."""

    rows: Sequence[Row]
    table: Table | None = None
    work: Work | None = None
    done: Future[Any] = field(default_factory=Future[Any])


class Writer:
    """Writes to a database in a thread of its own.

    Rows that wait are written in one transaction (group commit), so that a thousand small requests cost
    one flush of the disk. What was acknowledged is on disk.
    """

    def __init__(self, engine: Engine, patience: float) -> None:
        self.engine = engine
        self.patience = patience
        self.lost = 0
        """Exposures that could not be written."""
        self.reachable = True
        self._queue: queue.SimpleQueue[Job | str] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="store", daemon=True)
        self._thread.start()

    # ---- writing ----------------------------------------------------------------------------

    def add_events(self, rows: Sequence[Row]) -> Future[dict[str, int]]:
        """Write events; the result is the number of each id that is new, once they are on disk.

        Raises
        ------
        Refused
            If too much waits to be written.
        """
        return self._put(Job(rows, EVENTS))

    def add_exposures(self, rows: Sequence[Row]) -> None:
        """Write exposures soon; nobody waits for them."""
        try:
            self._put(Job(rows, EXPOSURES))
        except Refused:
            self.lost += len(rows)

    def do(self, work: Work) -> Future[Any]:
        """Do other work in a transaction of its own."""
        return self._put(Job((), work=work))

    def _put(self, job: Job) -> Future[Any]:
        with self._lock:
            if self._closed:
                raise Refused(503, "stopping", "the server is stopping", "send it again")
            if self._waiting + len(job.rows) > WAITING:
                raise Refused(
                    503, "busy", f"{self._waiting:,} rows wait to be written", "send it again later",
                    {"retry-after": "1"},
                )  # fmt: skip
            self._waiting += len(job.rows)
        self._queue.put(job)
        return job.done

    def _write_all(self) -> None:
        stop = False
        while not stop:
            jobs: list[Job] = []
            first = self._queue.get()
            count = 0
            while True:
                if isinstance(first, str):
                    stop = True
                    break
                jobs.append(first)
                count += len(first.rows)
                if count >= TOGETHER:
                    break
                try:
                    first = self._queue.get_nowait()
                except queue.Empty:
                    break
            wanted = self._begun(jobs)
            if wanted:
                self._commit(wanted)

    def _begun(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs that somebody still waits for; from now on they can be given up no more."""
        wanted = [job for job in jobs if job.done.set_running_or_notify_cancel()]
        with self._lock:
            self._waiting -= sum(len(job.rows) for job in jobs) - sum(len(job.rows) for job in wanted)  # fmt: skip
        return wanted

    def _commit(self, jobs: list[Job]) -> None:
        """Write jobs in one transaction, trying again while the database is away."""
        until = time.monotonic() + self.patience
        pause = 0.05
        while True:
            try:
                results = self._transaction(jobs)
            except DBAPIError as error:
                said = reason_of(error)
                full = any(one in said.lower() for one in FULL)
                gone = error.connection_invalidated or type(error).__name__ in {
                    "OperationalError",
                    "InterfaceError",
                    "InternalError",
                }
                if gone and not full and time.monotonic() < until:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.5)
                    continue
                if not gone and len(jobs) > 1:
                    # One of them is at fault: the others shall not fail with it.
                    for one in jobs:
                        self._commit([one])
                    return
                self.reachable = not gone or full
                log.warning("store: %d jobs not written: %s", len(jobs), said)
                self._end(jobs, failure=unwritten(said, full=full, gone=gone))
            except Refused as refused:
                if len(jobs) > 1:
                    for one in jobs:
                        self._commit([one])
                    return
                self._end(jobs, failure=refused)
            except FAULTS as error:
                if len(jobs) > 1:
                    for one in jobs:
                        self._commit([one])
                    return
                log.exception("store: a job failed")
                self._end(jobs, failure=unwritten(reason_of(error), full=False, gone=False))
            else:
                self.reachable = True
                self._end(jobs, results)
            return

    def _transaction(self, jobs: list[Job]) -> list[Any]:
        results: list[Any] = []
        with self.engine.begin() as connection:
            for job in jobs:
                if job.work is not None:
                    results.append(job.work(connection))
                elif job.table is EVENTS:
                    results.append(self._insert_events(connection, job.rows))
                else:
                    connection.execute(insert(EXPOSURES), list(job.rows))
                    results.append(None)
        return results

    def _insert_events(self, connection: Connection, rows: Sequence[Row]) -> dict[str, int]:
        """Insert the events whose ids are new, in the order of the ids so that two writers never wait for each other."""
        ordered = sorted(rows, key=lambda row: row["id"]) if self._is_postgresql else rows
        new: dict[str, int] = {}
        for start in range(0, len(ordered), AT_ONCE):
            some = ordered[start : start + AT_ONCE]
            statement = insert_events(len(some), "%s" if self._is_postgresql else "?")
            given = tuple(value for row in some for value in event_values(row))
            new.update(connection.exec_driver_sql(statement, given).all())
        return new

    @property
    def in_order(self) -> bool:
        """Whether an event that turns up has a higher number than those before it."""
        return not self._is_postgresql

    @property
    def _is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def _end(
        self, jobs: list[Job], results: list[Any] | None = None, failure: Refused | None = None
    ) -> None:
        with self._lock:
            self._waiting -= sum(len(job.rows) for job in jobs)
        for at, job in enumerate(jobs):
            if failure is not None and job.table is EXPOSURES:
                self.lost += len(job.rows)
            if failure is not None:
                job.done.set_exception(failure)
            elif results is not None:
                job.done.set_result(results[at])

    def close(self) -> None:
        """Write what waits, then close; further rows are refused."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(STOP)
        self._thread.join()
        self.engine.dispose()


EVENT_COLUMNS = tuple(one.name for one in EVENTS.columns if one.name != "seq")


def event_values(row: Row) -> tuple[Any, ...]:
    """Return the values of an event in the order of its columns, None where it says nothing."""
    return tuple(map(row.get, EVENT_COLUMNS))


@functools.lru_cache(maxsize=AT_ONCE)
def insert_events(n: int, place: str) -> str:
    """Return the statement that inserts `n` events and says which were new.

    Written out, because putting together the same for a hundred rows takes SQLAlchemy longer than the database takes to insert them.
    """
    row = f"({', '.join([place] * len(EVENT_COLUMNS))})"
    return (
        f"INSERT INTO {EVENTS.name} ({', '.join(EVENT_COLUMNS)}) VALUES {', '.join([row] * n)} "
        "ON CONFLICT DO NOTHING RETURNING id, seq"
    )
