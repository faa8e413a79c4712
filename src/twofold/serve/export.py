"""The events of a server as a log: what the next training reads."""

from __future__ import annotations

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
    "ids": pl.Int8,
}


def log_of(live: Live, *, training: bool = False) -> pl.DataFrame:
    """Return the events that make histories, in order of time, in the ids they came with.

    An event without a value gets the one that it has in lists: 1, the highest rating where values are ratings.

    Parameters
    ----------
    live
        An opened server.
    training
        Put what the live model remembers of its training before them; events that training had already (the same
        item at the same second) are left out.
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
    return found.sort("time", maintain_order=True, nulls_last=False).drop("ids")


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
