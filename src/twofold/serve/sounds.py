"""Which sound files a request may name: those in folders of sounds that a model learned from, and no other file."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twofold.data.columns import Text
from twofold.features.sounds import folders_of, written
from twofold.models._around import Around
from twofold.models._base import FittedModel
from twofold.models._together import Together
from twofold.serve.failures import Refused

LONGEST_PATH = 4096
"""Characters of the path of a sound, as Linux has it: the time to resolve one grows with its square."""


def checked_sounds(models: Iterable[FittedModel], features: dict[str, Any]) -> dict[str, Any]:
    """Return features with absolute paths of sounds, None where a path is empty; no file is opened.

    Raises
    ------
    Refused
        Naming the feature, if a path lies outside the folders of the sounds that one of the `models` learned. The
        answer is the same whether there is such a file or not.
    """
    found, told_to = dict(features), list(models)
    for name, told in features.items():
        heard = [one for one in told_to if is_sound(one, name)]
        if told is None or not heard:
            continue
        if not isinstance(told, str) or len(told) > LONGEST_PATH:
            got = f"a path of {len(told):,} characters" if isinstance(told, str) else type(told).__name__  # fmt: skip
            raise Refused(
                422, "bad_request", f"features.{name} got {got}",
                f"give the path of a sound as a text of up to {LONGEST_PATH:,} characters",
            )  # fmt: skip
        if not told.strip():
            found[name] = None
            continue
        path = written(told)
        if not any(lies_in(path, folders_for(one, name)) for one in heard):
            raise Refused(
                422, "bad_request", f"features.{name} got {told[:200]!r}, which lies in no folder of the catalogue's sounds",
                "put the file beside a sound of the catalogue, or below one, and give its path from the root",
            )  # fmt: skip
        found[name] = path
    return found


def is_sound(model: FittedModel, name: str) -> bool:
    """Say whether a feature of the items is a sound."""
    column = model.items.features.get(name)
    return isinstance(column, Text) and column.is_path


def lies_in(path: str, folders: tuple[str, ...]) -> bool:
    """Say whether an absolute path lies in one of the folders, or below, as it is written and where its links lead.

    Of a path that is written elsewhere nothing is looked up.
    """
    named, real = allowed(folders)
    if named.isdisjoint(map(str, Path(path).parents)):
        return False
    # which, unlike Path.resolve, never fails
    return not real.isdisjoint(map(str, Path(os.path.realpath(path)).parents))


@functools.lru_cache(maxsize=16)
def allowed(folders: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return folders as they are written and as their links lead, both ways of writing them, and where they lead; never the root."""
    real = frozenset(os.path.realpath(one) for one in folders) - {os.sep}
    return (frozenset(folders) | real) - {os.sep}, real


def folders_for(model: FittedModel, name: str) -> tuple[str, ...]:
    """Return the folders of the sounds that a model learned from.

    They are those of the catalogue where nothing says which of its sounds were read: the model hears none, or was saved by an
    earlier version.
    """
    heard = heard_by(model, name)
    if heard is not None:
        return heard
    column = model.items.features[name]
    assert isinstance(column, Text)
    return of_catalogue(column)


@functools.lru_cache(maxsize=4)
def of_catalogue(column: Text) -> tuple[str, ...]:
    """Return the folders of the absolute paths of a column."""
    return folders_of(column.values.filter(column.values.str.starts_with(os.sep)))


def heard_by(model: FittedModel, name: str) -> tuple[str, ...] | None:
    """Return the folders of the sounds in a feature that were read in training, of all parts of a model; None = it does not say."""
    known: Any = getattr(model, "sound_folders", {})
    own: tuple[str, ...] | None = known.get(name)
    match model:
        case Around():
            parts: tuple[FittedModel, ...] = (model.base,)
        case Together():
            parts = tuple(model.parts)
        case _:
            parts = ()
    found = [one for one in (own, *(heard_by(part, name) for part in parts)) if one is not None]
    return tuple(sorted({folder for one in found for folder in one})) if found else None
