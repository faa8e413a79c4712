"""From whatever holds columns in memory to a polars frame, without a value changed on the way."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from twofold.errors import DataError, did_you_mean, need

NOTHING = {"NAType", "NaTType", "MaskedConstant"}
"""Types of pandas and NumPy whose only value means missing."""


def as_frame(source: Any, what: str, keys: Iterable[str] = ()) -> pl.DataFrame:
    """Return a polars frame of a frame, a mapping of columns, or a list of records.

    Parameters
    ----------
    source
        polars (lazy too), pandas (its index too, where it has a name), anything that speaks Arrow, a mapping of name -> values, a list of
        mappings, or a structured NumPy array.
    what
        What it holds, for messages.
    keys
        Columns of ids, in which strings and integers may not be mixed; elsewhere they become strings.

    Raises
    ------
    DataError
        If it is none of these, its columns differ in length, or a key mixes types.
    """
    keys = frozenset(keys)
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    try:
        if hasattr(source, "iloc") and hasattr(source, "columns"):
            return _of_pandas(source, what, keys)
        if isinstance(source, Mapping):
            return _of_columns({str(name): one for name, one in source.items()}, what, keys)
        if isinstance(source, np.ndarray) and source.dtype.names:
            return _of_columns({name: source[name] for name in source.dtype.names}, what, keys)
        if isinstance(source, Sequence) and not isinstance(source, str | bytes):
            return of_records(source, what, keys)
        if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
            return pl.DataFrame(source)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError, OverflowError) as error:  # fmt: skip
        if isinstance(error, DataError):
            raise
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{what} cannot be read as a table: {reason}") from error
    raise DataError(
        f"{what} must be a polars, pandas or pyarrow frame, a mapping of columns or a list of records; "
        f"got {type(source).__name__}: convert it, or name a file with Dataset.read"
    )


def _of_pandas(source: Any, what: str, keys: frozenset[str]) -> pl.DataFrame:
    """Read object columns value by value and the others through Arrow; names become strings, and levels of the index that have one columns."""
    levels = [one for one in source.index.names if one is not None and one not in source.columns]
    source = source.reset_index(level=levels) if levels else source
    names = [
        ".".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in source.columns
    ]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise DataError(f"{what} have two columns called {twice[0]!r}; rename one")
    columns: dict[str, pl.Series] = {}
    for at, name in enumerate(names):
        column = source.iloc[:, at]
        kind = str(column.dtype)
        if kind == "category":
            column = column.astype(column.cat.categories.dtype if not column.hasnans else object)
            kind = str(column.dtype)
        if kind == "object" or kind.startswith(("period", "interval", "Sparse")):
            columns[name] = series_of(name, column.tolist(), what, keys)
        elif kind in NUMPY_KINDS:
            columns[name] = of_array(name, column.to_numpy())
        else:
            need("pyarrow", "frames")
            columns[name] = pl.from_pandas(column).alias(name)
    return pl.DataFrame(columns)


NUMPY_KINDS = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    "datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]",
}  # fmt: skip
"""Types of pandas that are plain NumPy arrays."""


def _of_columns(source: Mapping[str, Any], what: str, keys: frozenset[str]) -> pl.DataFrame:
    made: dict[str, pl.Series] = {}
    for name, one in source.items():
        made[name] = (
            one.alias(name) if isinstance(one, pl.Series) else _column(name, one, what, keys)
        )
    lengths = {name: len(one) for name, one in made.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {n:,}" for name, n in list(lengths.items())[:6])
        raise DataError(f"{what} have columns of different lengths: {said}; cut or fill them")
    return pl.DataFrame(made)


def _column(name: str, values: Any, what: str, keys: frozenset[str]) -> pl.Series:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise DataError(
            f"column {name!r} of {what} must be a list or an array; got {type(values).__name__}"
        )
    if isinstance(values, np.ma.MaskedArray):
        return series_of(name, values.tolist(), what, keys)
    if isinstance(values, np.ndarray) and values.dtype != object:
        return of_array(name, values)
    if hasattr(values, "iloc"):
        made: Any = values
        return _of_pandas(made.to_frame(name), what, keys)[name]
    if hasattr(values, "__arrow_c_stream__"):
        return pl.Series(name, values)
    return series_of(name, list(values), what, keys)


def of_array(name: str, values: np.ndarray) -> pl.Series:
    """Return an array without objects as a series; datetimes of coarse units become milliseconds."""
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in {
        "D",
        "ms",
        "us",
        "ns",
    }:
        values = values.astype("datetime64[ms]")
    return pl.Series(name, values)


def of_records(rows: Sequence[Any], what: str, keys: Iterable[str] = frozenset()) -> pl.DataFrame:
    """Return a frame of mappings, one a row; what a row does not name is missing in it."""
    if not all(isinstance(one, Mapping) for one in rows):
        odd = next(one for one in rows if not isinstance(one, Mapping))
        raise DataError(
            f"{what} as a list must hold mappings of name to value; got {type(odd).__name__}"
        )
    names = dict.fromkeys(str(name) for row in rows for name in row)
    keys = frozenset(keys)
    return pl.DataFrame(
        {name: series_of(name, [row.get(name) for row in rows], what, keys) for name in names}
    )


def series_of(name: str, values: list[Any], what: str, keys: frozenset[str]) -> pl.Series:
    """Return Python values as a series; integers beyond 64 bits and UUIDs become strings.

    Raises
    ------
    DataError
        If a key mixes strings with other values.
    """
    plain: list[Any] = [_plain(one) for one in values]
    kinds = {type(one) for one in plain if one is not None}
    if str in kinds and len(kinds) > 1:
        if name in keys:
            first = next(one for one in plain if isinstance(one, str))
            other = next(one for one in plain if one is not None and not isinstance(one, str))
            raise DataError(
                f"{what} mix {first!r} and {other!r} in column {name!r}: use all strings or all integers"
            )
        plain = [None if one is None else str(one) for one in plain]
    if kinds == {int} and any(one is not None and not -(2**63) <= one < 2**63 for one in plain):
        plain = [None if one is None else str(one) for one in plain]
    if (
        kinds == {int, float}
        and name in keys
        and all(
            one is None or isinstance(one, int) or (one.is_integer() and abs(one) <= 2**53)
            for one in plain
        )
    ):
        plain = [None if one is None else int(one) for one in plain]
    return pl.Series(name, plain, strict=False)


def is_missing(one: object) -> bool:
    """Say whether a Python value means that there is none: None, NaN, and what pandas and NumPy have for it."""
    return one is None or type(one).__name__ in NOTHING or (isinstance(one, float) and one != one)


def _plain(one: Any) -> Any:
    if is_missing(one):
        return None
    if isinstance(one, np.ndarray):  # a cell of lists, as pandas reads them from Parquet
        return [_plain(each) for each in one.tolist()] if one.ndim else _plain(one.item())
    if isinstance(one, set | frozenset):
        return sorted((_plain(each) for each in one), key=str)
    if isinstance(one, np.generic):
        one = one.item()
        one = None if is_missing(one) else one
    return str(one) if isinstance(one, uuid.UUID) or type(one).__name__ == "Period" else one


def pick(frame: pl.DataFrame, name: str, what: str) -> pl.Series:
    """Return a column.

    Raises
    ------
    DataError
        If it is not there; the nearest name is given.
    """
    if name not in frame.columns:
        raise DataError(f"{what} have no column {name!r}; {did_you_mean(name, frame.columns)}")
    return frame[name]


def flatten(
    frame: pl.DataFrame,
    but: Iterable[str] = (),
    stays: Callable[[pl.Series], bool] = lambda _: False,
) -> pl.DataFrame:
    """Return nested objects as columns ``outer.inner``, all but those in `but` and those that `stays` says so of."""
    kept = set(but)
    while nested := [
        name
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Struct) and name not in kept and kind.fields
    ]:
        kept |= {name for name in nested if stays(frame[name])}
        frame = frame.unnest([name for name in nested if name not in kept], separator=".")
    return frame
