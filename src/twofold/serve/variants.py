"""Which version answers whom, and how its list is drawn: one version for everybody, unless an experiment says otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from twofold.online.list_policies import Epsilon, Softmax
from twofold.serve.failures import Refused
from twofold.serve.store import Store
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


class Rival(NamedTuple):
    """The version whose list is interleaved with that of the version that answers."""

    method: str
    """``team_draft`` or ``balanced``."""
    version: int | None
    """None = the live one."""


class Assignment(NamedTuple):
    """What the experiments say of one question."""

    variant: str = LIVE
    arms: tuple[Arm, ...] = ()
    """One an experiment that the question takes part in; each is logged."""
    version: int | None = None
    """The version that answers; None = the live one."""
    explore: Epsilon | Softmax | None = None
    """How the list is drawn; None = the best first."""
    rival: Rival | None = None
    """None = one version answers alone."""
    coin: tuple[str, ...] = ()
    """What draws depend on, beside the request id: salts and the unit."""
    deciding: str = ""
    """Name of the experiment that says what is answered; empty where none does."""

    def aside(self) -> Assignment:
        """Return what is left where the live version answers in place of what an experiment says: the others alone."""
        arms = tuple(one for one in self.arms if self.deciding and one.experiment != self.deciding)
        return Assignment(arms[0].variant if arms else LIVE, arms)


class Trace(NamedTuple):
    """How a list came about that is not simply a version's best: what its exposure keeps beside the items."""

    propensities: list[float] | None = None
    """Of each item at its place, given those above it."""
    candidates: list[Id] | None = None
    """What the list was drawn from, best first."""
    teams: list[int] | None = None
    """Who is credited at each place: 0 = a, 1 = b, -1 = nobody."""
    ranking_a: list[Id] | None = None
    ranking_b: list[Id] | None = None
    versions: list[int] | None = None
    """The version that each item came from, where there are two."""


class Assigner(Protocol):
    """What runs of experiments, as the server sees it."""

    @property
    def running(self) -> Collection[str]:
        """Names of the experiments."""
        ...

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the arm of a user or session; the same one every time."""
        ...

    def report(self, store: Store, name: str) -> dict[str, Any]:
        """Return what the logs of a store show of a running experiment."""
        ...

    def against(self, number: int) -> list[str]:
        """Say what the experiments have against a version's being live."""
        ...


class Everybody:
    """No experiment: the live version answers."""

    running: Collection[str] = ()

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the live version."""
        del user, session
        return Assignment()

    def against(self, number: int) -> list[str]:
        """Return nothing."""
        del number
        return []

    def report(self, store: Store, name: str) -> dict[str, Any]:
        """Refuse, for nothing runs.

        Raises
        ------
        Refused
            Always.
        """
        del store, name
        raise Refused(404, "no_experiment", "no experiment runs", "start with --experiment FILE")
