"""Data sets by name: ``tw.datasets.names()``, ``describe(name)``, ``load(name)``; and of plain lists."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import polars as pl

from twofold.data import catalogue
from twofold.data.dataset import Dataset
from twofold.data.loaders import LATER_LINKS, LOADERS
from twofold.data.synthetic import small_log
from twofold.data.token_lists import from_sequences
from twofold.errors import ConfigError, DataError, DataWarning, TwofoldError, did_you_mean

__all__ = [
    "LATER_LINKS",
    "describe",
    "from_sequences",
    "later_links",
    "load",
    "load_or_generate",
    "names",
]


UNREADABLE = (
    OSError, EOFError, ValueError, LookupError, struct.error, zipfile.BadZipFile, zlib.error,
    pl.exceptions.PolarsError,
)  # fmt: skip
"""What readers of formats raise where a file is cut off, empty or something else."""


def names() -> list[str]:
    """Return the names of the catalogue, sorted."""
    return sorted(catalogue.ENTRIES)


def describe(name: str) -> catalogue.Entry:
    """Return what is known of a set: title, licence, source, size, files.

    Raises
    ------
    ConfigError
        If there is no such set.
    """
    if name not in catalogue.ENTRIES:
        raise ConfigError(f"no data set is called {name!r}; {did_you_mean(name, names())}")
    return catalogue.ENTRIES[name]


def load(name: str) -> Dataset:
    """Load a set: from TWOFOLD_DATA, else the cache, else fetched, verified and cached.

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        If it cannot be found or fetched, or its files are not as they should be.

    Example
    -------
    >>> len(load("ml-100k"))  # doctest: +SKIP
    100000
    """
    entry = describe(name)
    folder = catalogue.folder(entry)
    changed = catalogue.changed(entry, folder)
    try:
        made = LOADERS[name](folder)
    except TwofoldError:
        raise
    except UNREADABLE as error:
        raise damaged(name, folder, error) from error
    if changed:
        said = f"{', '.join(changed)} in {folder} differ from the catalogue's checksums"
        warnings.warn(
            f"{said}; fetch the set again if that is not meant", DataWarning, stacklevel=2
        )
        made = replace(made, notes=(said, *made.notes))
    return made


def damaged(name: str, folder: Path, error: Exception) -> DataError:
    """Return what is said of a set whose files cannot be read."""
    return DataError(f"{name} in {folder} is not complete, or damaged: {error}; fetch it again")


def later_links(name: str) -> pl.DataFrame:
    """Return the friendships of a set on a later day, in two columns of user ids; `load` has the earlier ones.

    Raises
    ------
    ConfigError
        If there is no such set, or it knows its friendships on one day only.
    DataError
        If it cannot be found.

    Example
    -------
    >>> len(later_links("lbsn2vec-nyc"))  # doctest: +SKIP
    10545
    """
    entry = describe(name)
    if name not in LATER_LINKS:
        raise ConfigError(
            f"{name} has no friendships of a later day; those that have: {', '.join(LATER_LINKS)}"
        )
    folder = catalogue.folder(entry)
    try:
        return LATER_LINKS[name](folder)
    except TwofoldError:
        raise
    except UNREADABLE as error:
        raise damaged(name, folder, error) from error


def load_or_generate(name: str) -> Dataset:
    """Load a set, or where it cannot be reached generate a log; ``notes`` of the dataset say so."""
    try:
        return load(name)
    except DataError as error:
        made = small_log()
        said = f"GENERATED DATA with planted tastes, because {error}"
        return replace(made, notes=(said, *made.notes))
