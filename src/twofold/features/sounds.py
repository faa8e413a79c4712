"""Paths of sounds: where they lie, and what becomes of each file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
import polars as pl

from twofold.data.columns import Column, Text, kind_of
from twofold.errors import ConfigError, DataError
from twofold.progress import track
from twofold.typing import F32, I32

T = TypeVar("T")


class SoundFault(DataError):
    """A file cannot be used as a sound; `why` says it without advice on how a model is trained."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why.rstrip('.')}; or leave such sounds out with on_error='skip' (on the command line --set on_error=skip)"
        )
        self.why = why


@dataclass(frozen=True, eq=False)
class Sounds:
    """Spectrograms of the sounds that could be read, and what became of the others."""

    spectrograms: tuple[F32, ...]
    """One (frames, bands) array a sound."""
    rows: I32
    """Which rows of the column they belong to, ascending."""
    n: int
    """Rows of the column."""
    n_missing: int
    """Rows that name no file."""
    skipped: tuple[tuple[str, str], ...]
    """Path and reason of every file that was left out."""

    def __len__(self) -> int:
        return len(self.spectrograms)


@dataclass(frozen=True, eq=False)
class Each(Generic[T]):
    """What was made of each sound that could be read; the rest as of `Sounds`."""

    made: list[T]
    rows: I32
    n: int
    n_missing: int
    skipped: tuple[tuple[str, str], ...]


def of_each(
    sounds: Text | pl.Series | Iterable[str | Path | None],
    make: Callable[[Path], T],
    *,
    on_error: Literal["refuse", "skip"] = "refuse",
    folder: str | Path = ".",
    least: int = 1,
) -> Each[T]:
    """Make something of each file of a sound column or of paths, one after the other; see `LogMel.spectrograms`.

    Raises
    ------
    SoundFault
        For the first faulty file, if `on_error` is ``refuse``.
    DataError
        If `sounds` is a column of another kind, or fewer than `least` sounds are left.
    """
    if on_error not in ("refuse", "skip"):
        raise ConfigError(f"on_error got {on_error!r}; allowed: refuse, skip")
    paths = paths_of(sounds)
    made, rows = list[T](), list[int]()
    skipped: list[tuple[str, str]] = []
    for row, path in enumerate(track(paths, "sounds")):
        if path is None:
            continue
        try:
            one = make(present(path if "://" in path else Path(folder) / path))
        except DataError as error:
            if on_error == "refuse":
                raise SoundFault(str(error)) from error
            skipped.append((path, str(error)))
            continue
        made.append(one)
        rows.append(row)
    if paths and len(made) < least:
        why = f"; the first: {skipped[0][1]}" if skipped else ""
        raise DataError(f"{len(made) or 'none'} of {len(paths):,} sounds can be used{why}")
    missing = sum(path is None for path in paths)
    return Each(made, np.array(rows, np.int32), len(paths), missing, tuple(skipped))


def paths_of(sounds: Text | pl.Series | Iterable[str | Path | None]) -> list[str | None]:
    """Return paths as strings, None where missing or empty.

    Raises
    ------
    DataError
        If `sounds` is a column of another kind, or a single string.
    """
    if isinstance(sounds, Text) and sounds.is_path:
        sounds = sounds.values
    elif isinstance(sounds, Column):
        raise DataError(f"spectrograms are made of sound columns; got a {kind_of(sounds)} column")
    if isinstance(sounds, str | Path):
        raise DataError(f"sounds must be a list of paths; got the single path {str(sounds)!r}")
    return [None if one is None or not str(one).strip() else str(one) for one in sounds]


def present(path: str | Path) -> Path:
    """Return the path of a file that is there.

    Raises
    ------
    DataError
        If there is none.
    """
    if "://" in str(path):
        raise DataError(
            f"sound {str(path)[:200]!r} is an address; give the path of a file on this machine"
        )
    path = Path(path)
    try:
        there, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise DataError(f"sound {str(path)[:200]!r} cannot be read: {error.strerror}") from error
    if is_folder:
        raise DataError(f"sound {str(path)!r} is a folder; give the path of a sound file")
    if not there:
        raise DataError(f"sound {str(path)!r} is missing: there is no file {path.absolute()}")
    return path


def written(path: str | Path) -> str:
    """Return a path from the root without ``..``, as it reads; nothing is looked up but where we stand.

    Example
    -------
    >>> written("/music/old/../a.wav")
    '/music/a.wav'
    """
    return os.path.normpath(Path(path).absolute())


def folders_of(paths: Iterable[str | None]) -> tuple[str, ...]:
    """Return the folders of paths as they read, sorted; without those below another, and never the root.

    Example
    -------
    >>> folders_of(["/music/a.wav", "/music/new/b.wav", "/c.wav", None])
    ('/music',)
    """
    found = {Path(written(one)).parent for one in paths if one and one.strip()}
    found = {one for one in found if one != one.parent}
    return tuple(sorted(str(one) for one in found if found.isdisjoint(one.parents)))
