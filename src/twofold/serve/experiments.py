"""Declared experiments on a server: who gets which version, and what the logs show so far."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.online import interleaving_report
from twofold.online.assign import assign
from twofold.online.experiments import Experiments, Slice, read
from twofold.online.report import report
from twofold.serve.experiment_logs import ExperimentLogs
from twofold.serve.failures import Refused
from twofold.serve.registry import Registered
from twofold.serve.store import Store
from twofold.serve.variants import LIVE, Arm, Assignment, Rival
from twofold.typing import Id

AGE = 3.0
"""Seconds for which a report is given again before it is made anew."""
TIMES = 5.0
"""And so many times as long as it took to make it: reports take at most a sixth of one core."""


class Declared:
    """The experiments of a file, as an `Assigner`."""

    def __init__(self, experiments: Experiments, versions: Mapping[tuple[str, str], int]) -> None:
        self.experiments = experiments
        self.versions = versions
        """Experiment and variant -> version; those that are not here are answered by the live one."""

    @classmethod
    def read(cls, path: str | Path, found: Registered) -> Declared:
        """Read a file, and find the versions that its variants name.

        Raises
        ------
        ConfigError
            If a variant names no version, an experiment interleaves a version with itself, or experiments of two
            layers want to say what is answered.
        """
        made = read(path)
        versions: dict[tuple[str, str], int] = {}
        for name, one in made.slices.items():
            for variant, what in one.experiment.variants.items():
                if what.model is not None:
                    versions[name, variant] = version_of(what.model, found)
        deciding = [one for one in made.slices.values() if one.experiment.changes_lists]
        for one in deciding[1:]:
            first = deciding[0]
            if one.experiment.layer != first.experiment.layer:
                raise ConfigError(
                    f"the experiments {first.name} and {one.name} both say what is answered (model, explore or method) and are of two "
                    f"layers, {first.experiment.layer} and {one.experiment.layer}: a person may be in both, and gets one list; "
                    "put them into one layer"
                )
        declared = cls(made, versions)
        for one in [] if found.live is None else declared.against(found.live):
            raise ConfigError(f"{one}; give its variants two models")
        return declared

    def against(self, number: int) -> list[str]:
        """Say which experiments would interleave a version with itself if `number` were live."""
        said: list[str] = []
        for name, one in self.experiments.slices.items():
            both = {self.versions.get((name, each), number) for each in one.experiment.variants}
            if one.experiment.method != "ab_test" and len(both) == 1:
                said.append(f"the experiment {name} interleaves version {both.pop()} with itself")
        return said

    @property
    def running(self) -> Collection[str]:
        """Names of the experiments."""
        return self.experiments.slices.keys()

    def report(self, store: Store, name: str) -> dict[str, Any]:
        """Return what the logs of a store show of an experiment so far; slow, as `shown`.

        Raises
        ------
        Refused
            If there is none of this name.
        """
        if name not in self.running:
            hint = did_you_mean(name, self.running)
            raise Refused(404, "no_experiment", f"there is no experiment {name[:200]!r}", hint)
        return shown(store, self.experiments.slices[name])

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the arms of a user or session; the one whose experiment changes lists says who answers, and how."""
        arms: list[Arm] = []
        deciding: Arm | None = None
        if user is not None or session is not None:
            for name, variant in assign(self.experiments, time.time(), user=user, session=session):
                plan = self.experiments.slices[name].experiment
                unit = str(user if plan.unit == "user" else session)
                arms.append(Arm(name, variant if plan.method == "ab_test" else plan.method, unit))
                if plan.changes_lists:
                    deciding = arms[-1]
        salt = self.experiments.salt
        if deciding is None:
            variant = arms[0].variant if arms else LIVE
            unit = str(session if user is None else user)
            return Assignment(variant, tuple(arms), explore=self.experiments.explore, coin=(salt, "list", "", unit))  # fmt: skip
        one = self.experiments.slices[deciding.experiment]
        plan = one.experiment
        coin = (salt, "list", one.salt, deciding.unit)
        if plan.method != "ab_test":
            a, b = plan.control, next(other for other in plan.variants if other != plan.control)
            rival = Rival(plan.method, self.versions.get((one.name, b)))
            return Assignment(deciding.variant, tuple(arms), self.versions.get((one.name, a)), rival=rival, coin=coin, deciding=one.name)  # fmt: skip
        return Assignment(
            deciding.variant,
            tuple(arms),
            self.versions.get((one.name, deciding.variant)),
            explore=plan.variants[deciding.variant].explore,
            coin=coin,
            deciding=one.name,
        )


def version_of(text: str, found: Registered) -> int:
    """Return the version that a variant names: by number, or the newest of a class of model.

    Raises
    ------
    ConfigError
        If there is none.
    """
    named = [one.version for one in found.versions.values() if one.model == text]
    if text.isdigit() and int(text) in found.versions:
        return int(text)
    if text == LIVE and found.live is not None:
        return found.live
    if not named:
        known = [*map(str, found.versions), *{one.model for one in found.versions.values()}]
        raise ConfigError(f"a variant names the model {text!r}; {did_you_mean(text, known)}")
    return max(named)


def shown(store: Store, one: Slice) -> dict[str, Any]:
    """Return what the logs of the store show of an experiment; a note where there is nothing yet.

    What was computed less than `AGE` seconds ago is given again, or less than `TIMES` times as long ago as it took;
    otherwise only the rows that are new since then are read. Slow: to be called beside the event loop.
    """
    return _KEPT.setdefault(store, Reports(store)).of(one)


class Reports:
    """What was read of a store's logs, and what was said of its experiments."""

    def __init__(self, store: Store) -> None:
        self._store = weakref.ref(store)
        self._logs: dict[str, ExperimentLogs] = {}
        self._said: dict[str, tuple[float, dict[str, Any]]] = {}
        """Experiment -> until when it is given again, and what it is."""
        self._lock = threading.Lock()

    def of(self, one: Slice) -> dict[str, Any]:
        """Return the report of an experiment; who asks while it is made waits for it."""
        with self._lock:
            until, said = self._said.get(one.name, (0.0, {}))
            store = self._store()
            if time.monotonic() < until or store is None:
                return said
            began = time.monotonic()
            logs = self._logs.setdefault(one.name, ExperimentLogs(one))
            logs.refresh(store)
            said = reported(one, logs)
            now = time.monotonic()
            self._said[one.name] = (now + max(AGE, TIMES * (now - began)) if AGE else 0.0, said)
            return said


_KEPT: weakref.WeakKeyDictionary[Store, Reports] = weakref.WeakKeyDictionary()


def reported(one: Slice, logs: ExperimentLogs) -> dict[str, Any]:
    """Return the report of an experiment from its logs."""
    exposures = logs.exposures()
    if exposures.is_empty():
        return {"name": one.name, "headline": "nobody has taken part yet", "comparisons": []}
    make = report if one.experiment.method == "ab_test" else interleaving_report.report
    try:
        told = plain(make(one, exposures, logs.events(), kinds=logs.kinds).as_dict())
    except DataError as error:
        return {"name": one.name, "headline": str(error), "comparisons": []}
    told["exposures"] = len(exposures)
    changed = logs.versions()
    if changed:
        told["notes"] = [*told.get("notes", []), *changed]
    return told


def plain(value: Any) -> Any:
    """Return a report as JSON has it: named tuples become objects."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
