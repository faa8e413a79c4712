"""Which version answers whom: one for everybody, unless an experiment says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from twofold.typing import Id

LIVE = "live"
"""The variant of an answer outside of experiments."""


class Arm(NamedTuple):
    """A variant of an experiment, and the unit that got it."""

    experiment: str
    variant: str
    unit: str

    def exposure(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of the exposure log that says this unit was shown an `answer`."""
        named = self.experiment or None
        return {**answer, "unit": self.unit, "experiment": named, "variant": self.variant}


class Assignment(NamedTuple):
    """What the experiments say of one question."""

    variant: str = LIVE
    arms: tuple[Arm, ...] = ()
    """One an experiment that the question takes part in; each is logged."""
    version: int | None = None
    """The version that answers; None = the live one."""


class Assigner(Protocol):
    """An experiment, as the server sees it."""

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the arm of a user or session; the same one every time."""
        ...


class Everybody:
    """No experiment: the live version answers."""

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the live version."""
        del user, session
        return Assignment()
