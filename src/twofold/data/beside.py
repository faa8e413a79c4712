"""Files that accompany a log, and what is suspicious about a log whose columns were guessed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from twofold.data.columns import Kind
from twofold.data.convert import is_one_column
from twofold.data.dataset import Dataset
from twofold.data.frames import as_frame, flatten
from twofold.data.names import KEYS, near_usual, plain, usual, words
from twofold.data.readers import read_frame
from twofold.data.roles import NAMELESS
from twofold.errors import DataWarning

FEW = 50
"""Events below which nothing is suspected."""


def read_beside(
    source: Any, key: str, role: str, kinds: Mapping[str, Kind | None] = MappingProxyType({})
) -> pl.DataFrame | None:
    """Read what is known of users, items or links; the id column is called `key` afterwards.

    It is the column `key`, or the one that `key_column` finds. Paths of sounds are told from the file's own folder.
    """
    if source is None:
        return None
    what = f"the {role}s"
    if not isinstance(source, str | Path):
        return as_frame(source, what, [key])
    frame = read_frame(source, ids=[key], named=list(kinds), may_be_empty=role == "link")
    sounds = [name for name, kind in kinds.items() if kind == "sound" and name in frame.columns]
    frame = frame.with_columns(placed(frame[name], source) for name in sounds)
    if key not in frame.columns:  # in nested records it may be inside
        frame = flatten(frame, stays=is_one_column)
    names = frame.columns
    if not key or key in names:
        return frame
    chosen = key_column(names, key, role)
    if chosen is None:
        chosen = next((one for one in names if not NAMELESS.match(one)), names[0])
        if len(names) > 1 and not NAMELESS.match(chosen):
            warnings.warn(
                f"{source} has no column {key!r}: the ids of the {role}s are read from its first column, {chosen!r}; "
                f"call the column of the ids {key!r} if that is another one",
                DataWarning,
                stacklevel=2,
            )
    return frame.rename({chosen: key})


def key_column(names: Sequence[str], key: str, role: str) -> str | None:
    """Return the column with the ids of users or items whose ids the log has in the column `key`, or None.

    It has the same name but for signs and case, or but for words such as id; or a usual name of this role; or is called id.

    Example
    -------
    >>> key_column(["artist_id", "song_id"], "song", "item"), key_column(["stock", "id"], "movieId", "item")
    ('song_id', 'id')
    >>> key_column(["stock", "title"], "movieId", "item") is None
    True
    """

    def core(name: str) -> list[str]:
        return [one for one in words(name) if one not in KEYS]

    for alike in (
        lambda one: plain(one) == plain(key),
        lambda one: core(one) == core(key) != [],
        lambda one: usual(one) == role,
        lambda one: near_usual(one) == role,
        lambda one: words(one) == ["id"],
    ):  # fmt: skip
        for one in names:
            if alike(one):
                return one
    return None


def placed(paths: pl.Series, source: str | Path) -> pl.Series:
    """Return the paths of sounds in a table (n,) from the root, null where empty.

    They are told from the folder of the table. Where none of them is there and some are where we stand, that is said, and
    they are told from here.
    """
    paths = paths.cast(pl.String)
    paths = paths.set(paths.str.strip_chars() == "", None)
    here, told = Path.cwd(), paths.drop_nulls().unique(maintain_order=True).to_list()
    told = [one for one in told if not Path(one).is_absolute() and not is_url(one)]
    folder = here if is_url(str(source)) else Path(os.path.realpath(Path(source).parent))
    while folder.is_file():  # the table is in an archive
        folder = folder.parent
    if folder != here and not any(is_there(folder / one) for one in told):
        found = next((one for one in told if is_there(here / one)), None)
        if found is not None:
            warnings.warn(
                f"none of the sounds in column {paths.name!r} of {source} lies in {folder}, the folder of that file, and {found!r} lies in "
                f"{here}, where the command runs: all are told from there; write their paths from the folder of the file, or from the root",
                DataWarning,
                stacklevel=2,
            )
            folder = here
    return paths.map_elements(
        lambda one: one if is_url(one) else str(folder / one), return_dtype=pl.String
    )


def is_url(path: str) -> bool:
    """Say whether a path is an address, such as that of a database."""
    return "://" in path


def is_there(path: Path) -> bool:
    """Say whether there is a file."""
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def same_type(
    frame: pl.DataFrame, beside: pl.DataFrame | None, key: str, notes: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the log and what accompanies it with ids of one type: strings where either has strings."""
    if beside is None or key not in beside.columns or key not in frame.columns:
        return frame, beside
    one, other = frame.schema[key], beside.schema[key]
    if one.is_integer() and other == pl.String:
        notes.append(
            f"ids of {key!r} are strings, because not all in the accompanying file are integers"
        )
        frame = frame.with_columns(pl.col(key).cast(pl.String))
    elif one == pl.String and other.is_integer():
        beside = beside.with_columns(pl.col(key).cast(pl.String))
    return frame, beside


def suspect(data: Dataset, guessed: list[str], names: dict[str, str]) -> None:
    """Warn where a guessed column of ids is different in every row, or the same: it is hardly one."""
    if len(data) < FEW:
        return
    for role in guessed:
        n = len(data.users if role == "user" else data.items)
        if n in (1, len(data)):
            said = "the same in every row" if n == 1 else "different in every row"
            warnings.warn(
                f"column {names[role]!r} was taken for the {role} and is {said}; "
                f"say {role}=... if it is another one",
                DataWarning,
                stacklevel=3,
            )
