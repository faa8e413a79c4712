"""From a server's log of lists that explored to the rows that off-policy estimates read."""

from __future__ import annotations

import polars as pl

from twofold.errors import DataError
from twofold.online.outcomes import ClickThrough, answers


def places_of(
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    metric: ClickThrough,
    *,
    only: pl.Series | None = None,
) -> pl.DataFrame:
    """Return a row for every place of every list: what stood there, with which chance, and whether it was clicked.

    Parameters
    ----------
    exposures, events
        The frames of `logs.exposure_log` and `logs.event_log`; exposures need `items` and `propensities`.
    metric
        Which events count, and how long after.
    only
        Which exposures get rows, a truth value each; None = all. The others take the clicks that answer them.

    Returns
    -------
    DataFrame
        `unit`, `time`, `request`, `place` (from 0), `item`, `propensity` (given the items above),
        `chance` (product of the propensities down to the place), `reward` (1 if the item was clicked).
        Rows in order of time and place.

    Raises
    ------
    DataError
        If items or propensities are missing, differ in number, or a propensity is not in (0, 1].

    Example
    -------
    >>> from twofold.online.logs import event_log, exposure_log
    >>> shown = exposure_log(pl.DataFrame({"unit": ["u"], "variant": ["a"], "time": [0], "items": [["x", "y"]], "propensities": [[0.5, 0.4]]})).frame
    >>> done = event_log(pl.DataFrame({"unit": ["u"], "kind": ["click"], "time": [9], "item": ["y"]})).frame
    >>> places_of(shown, done, ClickThrough()).select("item", "chance", "reward").rows()
    [('x', 0.5, 0.0), ('y', 0.2, 1.0)]
    """
    for name in ("items", "propensities"):
        if name not in exposures.columns:
            raise DataError(f"exposures have no {name}: log the lists and the chances that were drawn from")  # fmt: skip
    rows = exposures.select("unit", "time", "request", "items", "propensities").with_row_index("at")
    rows = rows if only is None else rows.filter(only)
    uneven = rows["items"].is_null() | (rows["items"].list.len() != rows["propensities"].list.len()).fill_null(value=True)  # fmt: skip
    if uneven.any():
        raise DataError(f"exposures have not one propensity for each item in {uneven.sum():,} rows, first in row {uneven.arg_max()} by time")  # fmt: skip
    long = rows.filter(pl.col("items").list.len() > 0).explode("items", "propensities")
    wrong = ~((long["propensities"] > 0) & (long["propensities"] <= 1)).fill_null(value=False)
    if wrong.any():
        one = long.row(int(wrong.arg_max() or 0), named=True)
        raise DataError(f"the propensity of item {one['items']!r} for unit {one['unit']!r} is {one['propensities']}; a chance with which something was done is above 0 and at most 1")  # fmt: skip
    hits = answers(exposures, events, metric).filter(pl.col("item").is_not_null())
    hits = hits.select("at", "item").unique()
    return (
        long.rename({"items": "item", "propensities": "propensity"})
        .with_columns(
            place=pl.int_range(pl.len()).over("at"),
            chance=pl.col("propensity").cum_prod().over("at"),
        )
        .join(hits.with_columns(reward=1.0), on=["at", "item"], how="left", maintain_order="left")
        .with_columns(pl.col("reward").fill_null(0.0))
        .select("unit", "time", "request", "place", "item", "propensity", "chance", "reward")
    )
