"""Two columns of degrees as one place."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl

from twofold.data.names import DEGREES, plain
from twofold.errors import DataError, DataWarning

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
    named = _named(frame, but)
    if named is None or any(
        _wrong(frame[one], most).any() or not _degrees(frame[one]).count()
        for one, most in zip(named, WIDEST, strict=True)
    ):
        return None
    return named


def no_degrees(frame: pl.DataFrame, *, but: str, what: str) -> str:
    """Return which cell keeps columns of those names from being a place, where some of its cells are degrees; or nothing.

    Example
    -------
    >>> no_degrees(pl.DataFrame({"cafe": [1, 2], "lat": [40.7, 91], "lon": [120, 2]}), but="cafe", what="items")
    "lat and lon of the items were not read as their place: 91.0 in row 1 of 'lat' is none of -90 ... 90 degrees"
    """
    named = _named(frame, but)
    if named is None:
        return ""
    as_turned = zip(named[::-1], WIDEST, strict=True)
    turned = any(_wrong(frame[one], most).any() for one, most in as_turned)
    hint = "" if turned else ", as if the two were the wrong way round"
    for one, most in zip(named, WIDEST, strict=True):
        wrong = _wrong(frame[one], most).arg_true()
        if len(wrong) and _degrees(frame[one]).count():
            row = int(wrong[0])
            return (
                f"{' and '.join(named)} of the {what} were not read as their {PLACE}: {frame[one][row]!r} "
                f"in row {row:,} of {one!r} is none of -{most:g} ... {most:g} degrees{hint}"
            )
    return ""


def read_as_place(
    frame: pl.DataFrame, *, but: str, what: str, notes: list[str]
) -> tuple[str, str] | None:
    """Return the columns that are read as a place, and note so; warn of what keeps them from it."""
    if PLACE in {*frame.columns} - {but}:
        return None
    columns = degrees_of(frame, but=but)
    if columns is None and (wrong := no_degrees(frame, but=but, what=what)):
        notes.append(wrong)
        warnings.warn(f"{wrong}; correct it, or leave it empty", DataWarning, stacklevel=5)
    if columns:
        notes.append(f"{' and '.join(columns)} of the {what} were read as their {PLACE}")
        zero = (_degrees(frame[columns[0]]) == 0) & (_degrees(frame[columns[1]]) == 0)
        if zero.any():
            notes.append(
                f"{zero.sum():,} of the {what} have the place (0, 0), as programs write what they do not know; "
                "leave such cells empty"
            )
    return columns


def joined(frame: pl.DataFrame, columns: tuple[str, str]) -> pl.Series:
    """Return [latitude, longitude] of each row."""
    both = np.column_stack([_degrees(frame[one]).to_numpy() for one in columns])
    return pl.Series(PLACE, both.tolist(), dtype=pl.List(pl.Float64))


def is_degrees(names: Sequence[str]) -> bool:
    """Say whether the fields of an object are a latitude and a longitude.

    Example
    -------
    >>> is_degrees(["lat", "lng"]), is_degrees(["x", "y"])
    (True, False)
    """
    bare = [plain(one) for one in names]
    return len(bare) == 2 and all(any(one in some for one in bare) for some in DEGREES)


def as_degrees(values: pl.Series, name: str) -> pl.Series:
    """Return objects of a latitude and a longitude as [latitude, longitude].

    Raises
    ------
    DataError
        If they have other fields.
    """
    cells = values.struct.unnest()
    if not is_degrees(cells.columns):
        raise DataError(
            f"column {name!r} must hold two numbers, or objects of a latitude and a longitude; got the fields {cells.columns}"
        )
    found = _named(cells, "")
    return joined(cells, found) if found else values


def _named(frame: pl.DataFrame, but: str) -> tuple[str, str] | None:
    latitude, longitude = (
        [one for one in frame.columns if one != but and plain(one) in names] for names in DEGREES
    )
    if len(latitude) != 1 or len(longitude) != 1:
        return None
    return latitude[0], longitude[0]


def _degrees(values: pl.Series) -> pl.Series:
    """Return numbers, null where a cell holds none; a comma in text can only be a decimal point here."""
    if values.dtype == pl.String:
        values = values.str.strip_chars().str.replace(r"^([+-]?\d{1,3}),(\d+)$", "$1.$2")
    elif not values.dtype.is_numeric():
        return pl.repeat(None, len(values), dtype=pl.Float64, eager=True)
    return values.cast(pl.Float64, strict=False).fill_nan(None)


def _wrong(values: pl.Series, most: float) -> pl.Series:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    return ~(_degrees(values).abs() <= most).fill_null(value=False) & values.is_not_null()
