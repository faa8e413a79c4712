"""Paths of sounds, and where they lie."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


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
