"""The exposures and events of an experiment, read from a store a part at a time, and only once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, func, select

from twofold.errors import ConfigError, did_you_mean
from twofold.online import logs
from twofold.online.experiments import Slice
from twofold.online.outcomes import DAY
from twofold.serve.histories import RECENT
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS, EXPOSURES

PART = 10_000
"""Rows that are read at a time; between two parts the thread lets others go on."""
PAUSE = 0.002
"""Seconds of that."""
DETAIL = pl.Struct(
    {
        "candidates": pl.List(pl.String),
        "teams": pl.List(pl.Int64),
        "ranking_a": pl.List(pl.String),
        "ranking_b": pl.List(pl.String),
        "question": pl.String,
    }
)
"""What `exposures.detail` holds, as `twofold.serve.variants.Trace` says; versions are not read."""
SHOWN = {
    "seq": pl.Int64,
    "experiment": pl.String,
    "unit": pl.String,
    "variant": pl.String,
    "time": pl.Float64,
    "request_id": pl.String,
    "version": pl.Int64,
    "items": pl.String,
    "propensities": pl.String,
    "detail": pl.String,
}
"""Columns of exposures that are read."""
DONE = {"seq": pl.Int64, **logs.EVENTS}
"""Columns of events that are made."""


LOG = {
    "seq": pl.Int64,
    "experiment": pl.String,
    "unit": pl.String,
    "variant": pl.String,
    "time": pl.Float64,
    "request": pl.String,
    "version": pl.Int64,
    "items": pl.List(pl.String),
    "propensities": pl.List(pl.Float64),
    **{one.name: one.dtype for one in DETAIL.fields},
}
"""Columns of exposures that are made."""
UNREAD = ("experiment", "propensities", "candidates", "question")
"""Of these what reports do without."""


def exposure_parts(store: Store, after: int, *where: ColumnElement[bool]) -> Iterator[pl.DataFrame]:
    """Yield the exposures past a number, in its order, as `twofold.online.logs` reads them, with `seq` and `version`."""
    columns = [EXPOSURES.c[name] for name in SHOWN]
    for rows in _parts(store, columns, EXPOSURES.c.seq, after, where):
        frame = pl.DataFrame(rows, schema=SHOWN, orient="row")
        detail = frame["detail"].str.json_decode(DETAIL)
        yield (
            frame.with_columns(
                pl.col("items").str.json_decode(pl.List(pl.String)),
                pl.col("propensities").str.json_decode(pl.List(pl.Float64)),
                *(detail.struct.field(one) for one in (each.name for each in DETAIL.fields)),
            )
            .drop("detail")
            .rename({"request_id": "request"})
        )


def event_parts(store: Store, unit: str, after: int, *where: ColumnElement[bool]) -> Iterator[pl.DataFrame]:  # fmt: skip
    """Yield the events past a number that have a unit (user or session), as `twofold.online.logs` reads them, with `seq`."""
    by = EVENTS.c.user_id if unit == "user" else EVENTS.c.session
    table = EVENTS.c
    columns = [table.seq, by, table.kind, table.time, table.item_id, table.value, table.request_id, table.id]  # fmt: skip
    for rows in _parts(store, columns, table.seq, after, (by.is_not(None), *where)):
        yield pl.DataFrame(rows, schema=DONE, orient="row")


def _parts(store: Store, columns: list[Any], seq: Any, after: int, where: Any) -> Iterator[list[Any]]:  # fmt: skip
    while True:
        wanted = select(*columns).where(seq > after, *where).order_by(seq).limit(PART)
        with store.engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(wanted).fetchall()]
        if not rows:
            return
        yield rows
        after = rows[-1][0]
        time.sleep(PAUSE)


def read_logs(store: Store, unit: str = "user", name: str = "") -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    """Return the exposures and events of a store as `twofold.online.logs` reads them, of all experiments or of one.

    Raises
    ------
    ConfigError
        If there is no exposure of an experiment of this name.
    """
    where = [EXPOSURES.c.experiment == name] if name else []
    shown = pl.concat([pl.DataFrame(schema=LOG), *exposure_parts(store, 0, *where)])
    if name and shown.is_empty():
        with store.engine.connect() as connection:
            known = connection.execute(select(EXPOSURES.c.experiment).distinct()).scalars()
            names = sorted(one for one in known if one)
        raise ConfigError(f"the store has no exposures of an experiment {name!r}; {did_you_mean(name, names)}")  # fmt: skip
    done = pl.concat([pl.DataFrame(schema=DONE), *event_parts(store, unit, 0)])
    return shown.drop("seq"), done.drop("seq")


class ExperimentLogs:
    """What a store has of one experiment; each row is read once, as long as this is kept."""

    def __init__(self, one: Slice) -> None:
        self.slice = one
        self._shown = pl.DataFrame(schema={"seq": pl.Int64})
        self._done = pl.DataFrame(schema=DONE)
        self.kinds: frozenset[str] | None = None
        """Kinds of events of the store, where one that is counted is not among them; None = all that are counted are there."""

    def refresh(self, store: Store) -> None:
        """Read what is new, and drop what the store has deleted."""
        plan = self.slice.experiment
        mine = EXPOSURES.c.experiment == self.slice.name
        parts = exposure_parts(store, self._after(store, self._shown), mine)
        self._shown = _joined(self._shown, (one.drop(UNREAD) for one in parts))
        kinds = {metric.event for metric in plan.metrics.values()}
        where: list[ColumnElement[bool]] = []
        if "" not in kinds:
            where.append(EVENTS.c.kind.in_(sorted(kinds)))
        if len(self._shown):
            first = float(self._shown["time"].min()) - plan.before_days * DAY  # type: ignore[arg-type]
            where.append(EVENTS.c.time >= first)
            events = event_parts(store, plan.unit, self._after(store, self._done), *where)
            self._done = _joined(self._done, events)
        with store.engine.connect() as connection:
            met = None if kinds - {""} <= {*self._done["kind"].unique()} else connection.execute(select(EVENTS.c.kind).distinct())  # fmt: skip
            self.kinds = None if met is None else frozenset(met.scalars())
            oldest = [connection.execute(select(func.min(one.c.time))).scalar() for one in (EXPOSURES, EVENTS)]  # fmt: skip
        for frame, since in (("_shown", oldest[0]), ("_done", oldest[1])):
            kept: pl.DataFrame = getattr(self, frame)
            if len(kept) and since is not None:
                setattr(self, frame, kept.filter(pl.col("time") >= since))

    @staticmethod
    def _after(store: Store, frame: pl.DataFrame) -> int:
        """Return the number past which rows may be new."""
        last = int(frame["seq"].max() or 0) if len(frame) else 0  # type: ignore[arg-type]
        # Transactions of PostgreSQL end in another order than they take their numbers.
        return last if store.in_order else max(last - RECENT, 0)

    def exposures(self) -> pl.DataFrame:
        """Return the exposures, without what nobody has."""
        frame = self._shown.drop("seq")
        empty = [one for one in frame.columns if frame[one].null_count() == len(frame)]
        return frame.drop(empty)

    def events(self) -> pl.DataFrame:
        """Return the events of the kinds that are counted, from as long before the first exposure as is read."""
        return self._done.drop("seq")

    def versions(self) -> list[str]:
        """Return a note for every variant that was answered by several versions: a promotion has changed what is tested."""
        if self._shown.is_empty():
            return []
        seen = (
            self._shown.group_by("variant").agg(pl.col("version").unique().sort()).sort("variant")
        )
        return [
            f"{variant} was answered by the versions {', '.join(map(str, versions))}: a promotion changed what is tested"
            for variant, versions in seen.iter_rows()
            if len(versions) > 1
        ]


def _joined(frame: pl.DataFrame, parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of a frame and of further parts, each once, in the order of their numbers."""
    fresh = list(parts)
    if not fresh:
        return frame
    last = int(frame["seq"].max() or 0) if len(frame) else 0  # type: ignore[arg-type]
    made = pl.concat([frame, *fresh] if len(frame) else fresh)
    again = int(fresh[0]["seq"].min() or 0) <= last  # type: ignore[arg-type]
    return made.unique("seq", keep="first", maintain_order=True) if again else made
