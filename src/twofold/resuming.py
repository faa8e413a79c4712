"""Trainings that go on after an interruption: ``with tw.checkpoints(folder):``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twofold.errors import ConfigError
from twofold.fingerprints import digest_of
from twofold.keeping import OPEN, Keeper

EVERY = 30.0
"""Seconds between two checkpoints."""


@contextmanager
def checkpoints(folder: str | Path, *, every: float = EVERY) -> Generator[None]:
    """Keep the state of every network that is trained inside, so that an interrupted training goes on when the same lines run again.

    The model has the bytes of one that was never interrupted. Other settings, data or seeds are another training, which begins anew.
    Models without a network (factorizations, `CTR`, `CDL`) and a training shorter than `every` leave nothing. The folder
    stays until you delete it: three times the size of each network.

    Parameters
    ----------
    folder
        Made where it is needed.
    every
        Seconds between two checkpoints, >= 0; a checkpoint is written after a whole pass. 0 = after each.

    Raises
    ------
    ConfigError
        If `every` is below 0 or no number, or `folder` is no path.
    DataError
        By `fit`, if a checkpoint cannot be written.
    IncompatibleFileError
        By `fit`, if a checkpoint is damaged.

    Example
    -------
    >>> import tempfile
    >>> import twofold as tw
    >>> dssm = tw.models.DSSM(encoder={"kind": "dense", "hidden": (8,)}, content="title", epochs=3)
    >>> with tempfile.TemporaryDirectory() as folder, tw.checkpoints(folder, every=0):
    ...     model = dssm.fit(tw.testing.planted_log(), rng=0)  # interrupt it, and run the same again
    ...     len(list(Path(folder).iterdir()))
    1
    """
    seconds: Any = every
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise ConfigError(f"checkpoints: every got {every!r}; allowed: seconds, 0 or more")
    place: Any = folder
    if not isinstance(place, str | Path) or not str(place):
        raise ConfigError(
            f"checkpoints needs a folder, such as tw.checkpoints('training'); got {folder!r}"
        )
    token = OPEN.set(Keeper(Path(folder), every, digest_of))
    try:
        yield
    finally:
        OPEN.reset(token)
