"""Tables that commands write, in the format that the name says; whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from twofold.drafts import draft_of
from twofold.errors import ConfigError, DataError


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write comma-separated values; lists as their parts with | between.

    Raises
    ------
    DataError
        If a part has a | in it.
    """
    lists = pl.selectors.list()
    for column in frame.select(lists):
        parts = column.explode().cast(pl.String)
        if parts.str.contains("|", literal=True).any():
            raise DataError(f"column {column.name!r} has lists with a | in them, which .csv cannot keep apart; write .parquet or .jsonl")  # fmt: skip
    frame.with_columns(lists.list.eval(pl.element().cast(pl.String)).list.join("|")).write_csv(path)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": pl.DataFrame.write_parquet,
    ".csv": write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".json": pl.DataFrame.write_json,
}
"""Formats of the output, by suffix."""


def check_target(
    path: Path,
    suffixes: Iterable[str] = tuple(WRITERS),
    such_as: str = "lists.csv",
    option: str = "--out",
) -> None:
    """Check before any work that a file with one of the `suffixes` can be written there, as `option` says.

    Raises
    ------
    ConfigError
        If the suffix is none of those known, or the place is a folder or lies in none.
    """
    allowed = tuple(suffixes)
    if path.suffix.lower() not in allowed:
        raise ConfigError(f"{option} must end in {', '.join(allowed)}; got {path.name!r}")
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a folder; name a file, such as {path / such_as}")
    there = next(one for one in (path.parent, *path.parent.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{option} {path} cannot be written: {there} is no folder to write into")


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame under a temporary name, then rename it.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    try:
        with draft_of(path, "nothing was changed") as draft:
            WRITERS[path.suffix.lower()](frame, draft)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot write {path}: {reason}; nothing was changed") from error
