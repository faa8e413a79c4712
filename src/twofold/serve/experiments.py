"""Declared experiments on a server: who gets which version, and what the logs show so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.online.assign import assign
from twofold.online.experiments import Experiments, Slice, read
from twofold.online.report import report
from twofold.serve.registry import Registered
from twofold.serve.store import Store
from twofold.serve.tables import EVENTS, EXPOSURES
from twofold.serve.variants import LIVE, Arm, Assignment
from twofold.typing import Id


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
            If a variant names no version, or an experiment interleaves, which the server does not do.
        """
        made = read(path)
        versions: dict[tuple[str, str], int] = {}
        for name, one in made.slices.items():
            if one.experiment.method != "ab_test":
                raise ConfigError(
                    f"the experiment {name} is {one.experiment.method}; this server assigns variants "
                    'and does not interleave: write method = "ab_test"'
                )
            for variant, what in one.experiment.variants.items():
                if what.model is not None:
                    versions[name, variant] = version_of(what.model, found)
        return cls(made, versions)

    def assign(self, user: Id | None, session: str | None) -> Assignment:
        """Return the arms of a user or session; the first one that names a version says who answers."""
        if user is None and session is None:
            return Assignment()
        given = assign(self.experiments, time.time(), user=user, session=session)
        if not given:
            return Assignment()
        arms = tuple(Arm(one.experiment, one.variant, self._unit(one.experiment, user, session)) for one in given)  # fmt: skip
        deciding = next(
            (one for one in given if (one.experiment, one.variant) in self.versions), given[0]
        )
        return Assignment(
            deciding.variant, arms, self.versions.get((deciding.experiment, deciding.variant))
        )

    def _unit(self, name: str, user: Id | None, session: str | None) -> str:
        by = self.experiments.slices[name].experiment.unit
        return str(user if by == "user" else session)

    def one(self, name: str) -> Slice:
        """Return an experiment.

        Raises
        ------
        ConfigError
            If there is none of this name.
        """
        if name not in self.experiments.slices:
            raise ConfigError(
                f"there is no experiment {name!r}; {did_you_mean(name, self.experiments.slices)}"
            )
        return self.experiments.slices[name]


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
    """Return what the logs of the store show of an experiment; a note where there is nothing yet."""
    exposures = [row for row in store.rows(EXPOSURES) if row["experiment"] == one.name]
    if not exposures:
        return {"name": one.name, "headline": "nobody has taken part yet", "comparisons": []}
    by = "user_id" if one.experiment.unit == "user" else "session"
    events = [row for row in store.rows(EVENTS) if row[by] is not None]
    seen = pl.DataFrame(
        {
            "unit": [row["unit"] for row in exposures],
            "variant": [row["variant"] for row in exposures],
            "time": [row["time"] for row in exposures],
            "request": [row["request_id"] for row in exposures],
            "items": [[str(item) for item in orjson.loads(row["items"])] for row in exposures],
        }
    )
    done = pl.DataFrame(
        {
            "unit": [row[by] for row in events],
            "kind": [row["kind"] for row in events],
            "time": [row["time"] for row in events],
            "item": [row["item_id"] for row in events],
            "value": [row["value"] for row in events],
            "request": [row["request_id"] for row in events],
            "event": [row["id"] for row in events],
        },
        schema_overrides={"unit": pl.String, "kind": pl.String, "time": pl.Float64, "item": pl.String,
                          "value": pl.Float64, "request": pl.String, "event": pl.String},
    )  # fmt: skip
    try:
        return plain(report(one, seen, done).as_dict())
    except DataError as error:
        return {"name": one.name, "headline": str(error), "comparisons": []}


def plain(value: Any) -> Any:
    """Return a report as JSON has it: named tuples become objects."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
