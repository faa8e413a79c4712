"""Two columns of degrees as one place."""

from __future__ import annotations

import numpy as np
import polars as pl

from twofold.data.convert import guess_kind, numbers
from twofold.data.names import DEGREES, plain

PLACE = "place"
"""The kind, and the name of the feature that is made of two columns."""
WIDEST = (90.0, 180.0)
"""Degrees of latitude and of longitude that there are, to either side."""


def degrees_of(frame: pl.DataFrame, *, but: str) -> tuple[str, str] | None:
    """Return the columns of latitude and longitude, where there is one of each and both hold degrees.

    Example
    -------
    >>> degrees_of(pl.DataFrame({"cafe": [1], "Lat": [40.7], "lng": [-74.0]}), but="cafe")
    ('Lat', 'lng')
    """
    found: list[str] = []
    for names, most in zip(DEGREES, WIDEST, strict=True):
        named = [one for one in frame.columns if one != but and plain(one) in names]
        if len(named) != 1 or guess_kind(frame[named[0]]) != "number":
            return None
        if np.nanmax(np.abs(_degrees(frame[named[0]])), initial=0) > most:
            return None
        found += named
    return found[0], found[1]


def joined(frame: pl.DataFrame, columns: tuple[str, str]) -> pl.Series:
    """Return [latitude, longitude] of each row."""
    both = np.column_stack([_degrees(frame[one]) for one in columns])
    return pl.Series(PLACE, both.tolist(), dtype=pl.List(pl.Float64))


def _degrees(values: pl.Series) -> np.ndarray:
    exact = values.cast(pl.Float64, strict=False)
    if exact.null_count() == values.null_count():
        return exact.fill_null(np.nan).to_numpy()
    return numbers(values, f"column {values.name!r}").astype(np.float64)
