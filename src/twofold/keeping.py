"""Where networks keep their state while they learn: the folder that `twofold.checkpoints` has opened, if it has.

Models do not know of it: `fit` says what is being fitted, the training loop asks where its state goes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold._version import __version__


@dataclass(eq=False)
class Fitting:
    """An estimator, and what it learns from."""

    estimator: object
    logs: Sequence[Any]
    named: Mapping[str, Any]
    told: Mapping[str, Any] | None = None

    def identity(self, digest: Callable[[Any], str]) -> Mapping[str, Any]:
        """Return what tells it from others; read once, and only where something is kept."""
        if self.told is None:
            self.told = {
                "estimator": repr(self.estimator),
                "logs": [digest(one) for one in self.logs],
                "named": {name: digest(one) for name, one in self.named.items()},
            }
        return self.told


@dataclass
class Keeper:
    """An open folder, and what is being fitted, the outermost first."""

    folder: Path
    every: float
    """Seconds between two checkpoints of a training."""
    digest: Callable[[Any], str]
    """Tells one log, or fitted model, from another."""
    fitted: tuple[Fitting, ...] = ()


OPEN: ContextVar[Keeper | None] = ContextVar("OPEN", default=None)


@contextmanager
def fitting(estimator: object, logs: Sequence[Any], named: Mapping[str, Any]) -> Generator[None]:
    """Say that what is trained inside belongs to `estimator` on `logs`, and on what is `named`."""
    keeper = OPEN.get()
    if keeper is None:
        yield
        return
    outside = keeper.fitted
    keeper.fitted = (*outside, Fitting(estimator, logs, named))
    try:
        yield
    finally:
        keeper.fitted = outside


@dataclass
class Place:
    """The folder of one training."""

    folder: Path
    every: float
    """Seconds from one checkpoint to the next; 0 = after each epoch."""
    last: float

    def is_due(self) -> bool:
        """Say whether it is time for a checkpoint; if so, the next one is due `every` seconds later."""
        now = time.monotonic()
        if now - self.last < self.every:
            return False
        self.last = now
        return True


def place_of(identity: Mapping[str, Any]) -> tuple[Place, Mapping[str, Any]] | None:
    """Return where the training that is told by `identity` keeps its state, and what tells it wholly; None where nothing is kept.

    Another training has another folder.
    """
    keeper = OPEN.get()
    if keeper is None:
        return None
    fitted = [one.identity(keeper.digest) for one in keeper.fitted]
    whole = {**identity, "twofold": __version__, "fitted": fitted}
    name = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
    folder = keeper.folder / f"{identity['label']}-{name}"
    return Place(folder, keeper.every, time.monotonic()), whole
