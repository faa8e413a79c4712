"""The events of a server as a log: what the next training reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import polars as pl

from twofold.models._base import FittedModel
from twofold.serve.live import Live
from twofold.serve.tables import ITEM_IS_INTEGER, USER_IS_INTEGER, is_history

SCHEMA = {
    "user": pl.String,
    "item": pl.String,
    "value": pl.Float64,
    "time": pl.Int64,
    "kind": pl.String,
    "session": pl.String,
    "context": pl.String,  # a JSON object
    "ids": pl.Int8,
}
UNSAID = ("session", "time")
"""Columns that are left out where no event has them."""


def log_of(live: Live, *, training: bool = False) -> pl.DataFrame:
    """Return the events that make histories, in order of time, in the ids they came with, a column for each circumstance.

    An event without a value gets the one that it has in lists: 1, the highest rating where values are ratings.

    Parameters
    ----------
    live
        An opened server.
    training
        Put what the live model remembers of its training before them; events that training had already (the same
        item at the same second) are left out. A model does not remember the circumstances of its training: they are null.
    """
    parts = [pl.DataFrame(schema=SCHEMA)]
    for rows in live.store.all_events():
        kept = [row for row in rows if is_history(row, live.settings.kinds)]
        if kept:
            columns = {
                "user": [row["user_id"] for row in kept],
                "item": [row["item_id"] for row in kept],
                "value": [row["value"] for row in kept],
                "time": [int(row["time"]) for row in kept],
                "kind": [row["kind"] for row in kept],
                "session": [row["session"] for row in kept],
                "context": [row["context"] for row in kept],
                "ids": [row["ids"] for row in kept],
            }
            parts.append(pl.DataFrame(columns, schema=SCHEMA))
    found = pl.concat(parts)
    if training:
        before = trained(live.base)
        if live.base.memory.history.time is not None:
            found = found.join(
                before, on=["user", "item", "time"], how="anti", maintain_order="left"
            )
        found = pl.concat([before, found], how="diagonal_relaxed")
    for name, bit in (("user", USER_IS_INTEGER), ("item", ITEM_IS_INTEGER)):
        if len(found) and (found["ids"] & bit != 0).all():
            found = found.with_columns(pl.col(name).cast(pl.Int64))
    found = found.with_columns(pl.col("value").fill_null(live.base.unsaid_value))
    found = found.sort("time", maintain_order=True, nulls_last=False)
    unsaid = [name for name in UNSAID if found[name].null_count() == len(found)]
    return found.drop("ids", "context", *unsaid).hstack(circumstances(found["context"]))


def circumstances(texts: Iterable[str | None]) -> list[pl.Series]:
    """Return the columns of circumstances that are kept as JSON objects, in the order in which they are first named.

    Example
    -------
    >>> [one.to_list() for one in circumstances(['{"hour": 9}', None, '{"hour": 21, "at": "home"}'])]
    [[9, None, 21], [None, None, 'home']]
    """
    told: list[dict[str, Any]] = [{} if one is None else orjson.loads(one) for one in texts]
    names = dict.fromkeys(name for one in told for name in one)
    return [column_of(name, [one.get(name) for one in told]) for name in names]


def column_of(name: str, values: list[Any]) -> pl.Series:
    """Return values of JSON as a column: of numbers where all are numbers, else of texts; of lists where one is a list."""
    nested = any(isinstance(one, list) for one in values)
    lists: list[list[Any] | None] = [
        one if isinstance(one, list) or one is None else [one] for one in values
    ]
    parts = [part for one in lists if one is not None for part in one if part is not None]
    kind: type[pl.DataType] = pl.String
    for python, of_numbers in ((int, pl.Int64), (int | float, pl.Float64)):
        if all(isinstance(part, python) and not isinstance(part, bool) for part in parts):
            kind = of_numbers
            break
    if kind is pl.String:
        lists = [None if one is None else [as_text(part) for part in one] for one in lists]
    made = pl.Series(name, lists, pl.List(kind), strict=False)
    return made if nested else made.list.first()


def as_text(part: Any) -> str | None:
    """Return a value of JSON as people write it."""
    return None if part is None else part if isinstance(part, str) else orjson.dumps(part).decode()


def trained(model: FittedModel) -> pl.DataFrame:
    """Return what a model remembers of its training, with the columns of the store."""
    log = model.memory.log().frame("interactions")
    bits = (
        USER_IS_INTEGER * log["user"].dtype.is_integer()
        | ITEM_IS_INTEGER * log["item"].dtype.is_integer()
    )
    columns: list[pl.Expr] = [
        pl.col("user").cast(pl.String),
        pl.col("item").cast(pl.String),
        (pl.col("value") if "value" in log.columns else pl.lit(None))
        .cast(pl.Float64)
        .alias("value"),
        (pl.col("time") if "time" in log.columns else pl.lit(None)).cast(pl.Int64).alias("time"),
        pl.lit("training").alias("kind"),
        pl.lit(bits, dtype=pl.Int8).alias("ids"),
    ]
    return log.select(columns)
