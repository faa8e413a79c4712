"""Versions of the model: registered, live, promoted, rolled back. Kept in the store, so that processes share it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from twofold import loading, persistence, runs
from twofold.errors import ConfigError, IncompatibleFileError, did_you_mean
from twofold.models._base import FittedModel
from twofold.serve.failures import Refused
from twofold.serve.store import Row, Store
from twofold.serve.tables import CHANGES, VERSIONS

log = logging.getLogger(__name__)

START, PROMOTE, ROLL_BACK, SHADOW = "start", "promote", "rollback", "shadow"
"""What may be done to the registry."""


@dataclass(frozen=True)
class Version:
    """A registered model."""

    version: int
    model: str
    path: str
    digest: str
    data: str | None
    report: Mapping[str, Any] | None
    registered: float

    @classmethod
    def of(cls, row: Row) -> Version:
        """Read a row of the store."""
        held: Row = dict(row)
        if held["report"] is not None:
            held["report"] = orjson.loads(held["report"])
        return cls(**held)


@dataclass(frozen=True)
class Registered:
    """The registry at one moment."""

    versions: Mapping[int, Version]
    lived: tuple[int, ...]
    """The versions that went live and were not rolled back; the last one is live."""
    shadow: int | None
    share: float
    changes: tuple[Row, ...]

    @property
    def live(self) -> int | None:
        """The live version."""
        return self.lived[-1] if self.lived else None

    def version(self, number: int) -> Version:
        """Return a version.

        Raises
        ------
        Refused
            If there is none of this number.
        """
        if number not in self.versions:
            raise Refused(
                404, "unknown_version", f"there is no version {number}",
                did_you_mean(number, self.versions),
            )  # fmt: skip
        return self.versions[number]


class Registry:
    """The versions of a store."""

    def __init__(self, store: Store, extra: Iterable[type] = ()) -> None:
        self.store = store
        self.extra = tuple(extra)

    def read(self) -> Registered:
        """Return the registry as the store has it."""
        versions = {row["version"]: Version.of(row) for row in self.store.rows(VERSIONS)}
        changes = self.store.rows(CHANGES)
        lived: list[int] = []
        shadow, share = None, 1.0
        for row in changes:
            match row["action"]:
                case "start" | "promote":
                    if not lived or lived[-1] != row["version"]:
                        lived.append(row["version"])
                case "rollback":
                    lived.pop()
                case _:
                    shadow, share = row["version"], row["share"] or 1.0
        return Registered(versions, tuple(lived), shadow, share, tuple(changes))

    def register(self, path: str | Path) -> int:
        """Add the model of a folder and return its version; see `registered`."""
        return self.registered(path)[0]

    def registered(self, path: str | Path) -> tuple[int, FittedModel]:
        """Add the model of a folder and return its version and itself; the same model is added once.

        Raises
        ------
        IncompatibleFileError
            If there is no model, or it is damaged.
        """
        folder = runs.model_folder(path).absolute()
        model = self.load(folder)
        tree = persistence.read_manifest(folder, "model").value
        found = runs.recorded(folder)
        report = report_of(folder)
        row = {
            "model": tree["fields"]["estimator"]["estimator"],
            "path": str(folder),
            "digest": digest_of(folder),
            "data": None if found is None else found[1].get("data_sha256"),
            "report": None if report is None else orjson.dumps(report).decode(),
            "registered": time.time(),
        }
        return self.store.add_version(row).result(), model

    def load(self, folder: str | Path) -> FittedModel:
        """Open a model; nothing of it is run."""
        return loading.load(folder, extra=self.extra)

    def open(self, version: Version) -> FittedModel:
        """Open the model of a version.

        Raises
        ------
        IncompatibleFileError
            If its folder is gone, damaged, or holds another model than was registered.
        """
        folder = Path(version.path)
        if not folder.is_dir():
            raise IncompatibleFileError(
                f"the folder of version {version.version}, {folder}, is gone; bring it back, or promote another"
            )
        if digest_of(folder) != version.digest:
            raise IncompatibleFileError(
                f"{folder} holds another model than was registered as version {version.version}; register it anew"
            )
        return self.load(folder)

    def change(self, action: str, version: int | None, note: str, share: float | None = None) -> None:  # fmt: skip
        """Keep what was done."""
        self.store.add_change(action, version, note, time.time(), share).result()
        log.info("registry: %s version %s %s", action, version, note)


def before(registered: Registered) -> int:
    """Return the version that a rollback goes back to.

    Raises
    ------
    Refused
        If there is none.
    """
    if len(registered.lived) < 2:
        raise Refused(
            409, "nothing_before", "there is no earlier live version to go back to",
            "promote the version you want",
        )  # fmt: skip
    return registered.lived[-2]


def digest_of(folder: Path) -> str:
    """Return what tells a saved model from others: the hash of its sealed manifest."""
    try:
        return hashlib.sha256((folder / persistence.MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise IncompatibleFileError(
            f"cannot read {folder}: {error.strerror}; save the model again"
        ) from error


def report_of(folder: Path) -> Mapping[str, Any] | None:
    """Return the offline report that the run of a model made, if it lies in one."""
    measured = folder.parent / "metrics.json"
    if measured.exists():
        try:
            return orjson.loads(measured.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"cannot read {measured}: {error}; evaluate the model again"
            ) from error
    run = runs.Run(folder.parent.parent)
    if run.result_of(folder.name).is_dir():
        return orjson.loads(run.result(folder.name).report.to_json())
    return None
