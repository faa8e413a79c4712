"""The facts of a log that people look at first."""

from __future__ import annotations

import numpy as np
import polars as pl

from twofold.data.columns import kind_of
from twofold.data.dataset import Dataset


class Facts(pl.DataFrame):
    """A frame that is shown whole, in a notebook too; polars shows ten rows and cuts long cells."""

    def __str__(self) -> str:
        """Return the table with all its rows and all that they hold."""
        with _whole():
            return super().__str__()

    __repr__ = __str__

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        with _whole():
            return super()._repr_html_(_from_series=_from_series)


def _whole() -> pl.Config:
    return pl.Config(tbl_rows=-1, fmt_str_lengths=100_000)


def describe(data: Dataset) -> pl.DataFrame:
    """Return what the log is like, a row a fact: counts, density, time span, values, columns."""
    events = data.interactions
    facts: dict[str, str] = {
        "events": f"{len(data):,}",
        "users": f"{data.n_users:,}",
        "items": f"{data.n_items:,}",
        "distinct pairs": f"{events.n_pairs:,}",
        "density": f"{events.n_pairs / max(data.n_users * data.n_items, 1):.4%}",
    }
    for name, counts in (("a user", np.diff(events.indptr)), ("an item", events.item_counts)):
        if len(counts):
            low, middle, high = np.percentile(counts, [0, 50, 100])
            once = int((counts == 1).sum())
            facts[f"events {name}"] = f"{low:.0f} to {high:.0f}, median {middle:.0f}; one: {once:,}"
    if len(data):
        facts["of a pair before"] = f"{1 - events.n_pairs / len(data):.1%} of the events"
    if events.has_value and len(data):
        facts["values"] = f"{events.value.min():g} to {events.value.max():g}"
    if events.time is not None and len(data):
        ends = pl.Series([events.time.min(), events.time.max()]).cast(pl.Int64)
        facts["time"] = " to ".join(str(one) for one in pl.from_epoch(ends).to_list())
        alike = np.bincount(events.moments)[events.moments] > 1
        facts["of one moment"] = f"{alike.mean():.1%} of the events have another of the same user and second"  # fmt: skip
    for name, columns in (
        ("context", events.context),
        ("user features", data.users.features),
        ("item features", data.items.features),
    ):
        if columns:
            facts[name] = ", ".join(f"{key} ({kind_of(one)})" for key, one in columns.items())
    if len(data.links):
        facts["links"] = f"{len(data.links):,}"
    return Facts({"what": list(facts), "found": list(facts.values())})
