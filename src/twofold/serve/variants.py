"""Which version answers whom: one for everybody, unless an experiment says otherwise."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from twofold.typing import Id

LIVE = "live"
"""The variant of an answer outside of experiments."""


class Assignment(NamedTuple):
    """What an experiment says of one question."""

    variant: str = LIVE
    experiment: str | None = None
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
