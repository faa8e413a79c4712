"""Tables of items that `--items` reads back as they were."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import polars as pl

from twofold.cli.files import write
from twofold.data.assemble import entities
from twofold.data.beside import read_beside
from twofold.data.columns import Bag, Column, Kind, Time, Vector, kind_of, present
from twofold.data.entities import Entities, differing
from twofold.data.vocabulary import UNKNOWN
from twofold.drafts import folder_draft
from twofold.errors import DataError

DAY = 86_400


def write_items(items: Entities, path: Path) -> dict[str, Kind]:
    """Write items with their features where they can be read back as they are, and return the kinds to read them with.

    Raises
    ------
    DataError
        If the format of `path` does not keep a feature as it is; what was there is left as it was.
    """
    flat = path.suffix.lower() == ".csv"
    columns = {name: _cells(column, flat=flat) for name, column in items.features.items()}
    kinds: dict[str, Kind] = {name: kind_of(one) for name, one in items.features.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_draft(path) as aside:
        trial = aside / path.name
        write(pl.DataFrame({"item": items.ids.ids, **columns}), trial)
        lost = lost_of(items, trial, kinds)
        if not lost:
            trial.replace(path)
    if lost:
        raise DataError(f"{path.suffix} does not keep the item feature {lost!r} as it is; write .parquet or .jsonl")  # fmt: skip
    return kinds


def _cells(column: Column, *, flat: bool) -> pl.Series:
    """Return a column as it is written; `flat` files have no lists, which stand there as JSON."""
    values = column.series()
    if isinstance(column, Time):
        known = values.drop_nulls()
        moments = pl.from_epoch(values, "s")
        return moments.dt.date() if (known % DAY == 0).all() else moments
    if not flat or not isinstance(column, Bag | Vector):
        return values
    rows = [
        # Levels may be integers, which an object of JSON does not keep.
        [[*one.values()] if isinstance(one, dict) else one for one in row] if there else None
        for row, there in zip(values.to_list(), present(column).tolist(), strict=True)
    ]
    return pl.Series([None if row is None else json.dumps(row) for row in rows], dtype=pl.String)


def lost_of(items: Entities, path: Path, kinds: dict[str, Kind]) -> str:
    """Return a feature that is another one when it is read back, the ids as ``item``; nothing where all are the same."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what is odd about a column was told when it was read first
        frame = read_beside(path, "item", "item", kinds)
        found = Entities(items.ids) if frame is None else entities(frame, "item", items.ids.ids, kinds, "items", [])  # fmt: skip
    rows = found.ids.rows(items.ids.ids)
    if (rows == UNKNOWN).any():
        return "item"
    again = found.take(rows)
    for name, column in items.features.items():
        one, other = (Entities(items.ids, {name: each}) for each in (column, again.features[name]))
        if differing(one, other).any() or differing(other, one).any():
            return name
    return ""
