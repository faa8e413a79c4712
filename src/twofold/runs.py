"""Run folders: the resolved job, versions, data hash, log, results and models of one piece of work.

``job.json`` says what was asked, ``run.json`` with what; ``results/NAME`` and ``models/NAME`` are
sealed folders that appear whole or not at all, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold import locks, persistence
from twofold._version import __version__
from twofold.data.dataset import Dataset
from twofold.drafts import clear, write_page
from twofold.errors import ConfigError, DataError, IncompatibleFileError, MissingDependencyError
from twofold.fingerprints import fingerprint
from twofold.models._base import FittedModel

if TYPE_CHECKING:
    from twofold.evaluation.compare import Leaderboard, Result

PACKAGES = ("numpy", "scipy", "numba", "polars", "pydantic")
"""Whose versions a run records."""
LOCK, TRAINING, MEASURED = ".lock", "training", "measured"
BEGUN = {"run.json", ".run.json.draft", ".job.json.draft"}
"""What a run that was stopped at its very beginning may have left."""
UNUSED = BEGUN | {"job.json", "log.txt", LOCK}
"""What a run holds in which nothing was made."""
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """An open run folder."""

    path: Path

    @property
    def model(self) -> Path:
        """Where `fit` puts its model."""
        return self.path / "model"

    @property
    def measured(self) -> Path:
        """Where `fit --refit` puts the model that it measures; `model` is trained on everything."""
        return self.path / MEASURED

    @property
    def training(self) -> Path:
        """Where networks keep their state while they learn (`twofold.checkpoints`)."""
        return self.path / TRAINING

    def model_of(self, name: str) -> Path:
        """Where `compare` puts a model."""
        return self.path / "models" / name

    def result_of(self, name: str) -> Path:
        """Where the result of a model is."""
        return self.path / "results" / name

    def results(self) -> dict[str, Result]:
        """Return the results that an earlier, interrupted run left."""
        folder = self.path / "results"
        if not folder.is_dir():
            return {}
        found = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
        return {name: self.result(name) for name in found}

    def result(self, name: str) -> Result:
        """Return the result of a model."""
        # Takes a third of a second to load, for which those who only want a model do not wait.
        from twofold.evaluation.compare import Result
        from twofold.evaluation.report import Report, Slice

        classes: dict[str, type] = {"Result": Result, "Report": Report, "Slice": Slice}
        return persistence.load(self.result_of(name), "result", classes, mmap=False)

    def keep(self, name: str, result: Result, model: FittedModel) -> None:
        """Save a model and its result, the result last: it marks the model as done."""
        self.model_of(name).parent.mkdir(parents=True, exist_ok=True)
        model.save(self.model_of(name))
        self.result_of(name).parent.mkdir(parents=True, exist_ok=True)
        persistence.save(result, self.result_of(name), "result")
        self.forget_training()
        log.info("%s done in %.1f s: %s", name, result.fit_seconds, dict(result.report.values))

    def forget_training(self) -> None:
        """Remove the state of networks that have learned."""
        if self.training.is_dir():
            shutil.rmtree(self.training)

    def finish(self, board: Leaderboard) -> None:
        """Write the leaderboard as text, JSON and HTML."""
        self.forget_training()
        write_page(self.path / "leaderboard.txt", f"{board}\n")
        write_page(self.path / "leaderboard.json", board.to_json())
        board.to_html(self.path / "report.html")


def open_run(path: str | Path, job: Mapping[str, Any], data: Dataset, seed: int) -> Run:
    """Begin a run folder, or go on with one that was begun with the same job and data.

    One whose job stopped or diverged before anything was made is begun anew, whatever its job was; its log is kept.

    Raises
    ------
    ConfigError
        If the folder belongs to another job or other data, or holds something else.
    DataError
        If it cannot be written.
    """
    path = Path(path)
    said = json.loads(json.dumps(job))
    unused = _is_unused(path)
    if not unused and (path / "job.json").exists():
        before = _read(path / "job.json")
        changed = _difference(before, said)
        if changed == ["models"] and _still_holds(path, before, said):
            write_page(path / "job.json", json.dumps(said, indent=1))
        elif changed:
            raise ConfigError(
                f"{path} belongs to another job (other {', '.join(changed)}); "
                "choose another --out, or remove the folder"
            )
        about = _read(path / "run.json")
        if about["data_sha256"] != fingerprint(data):
            raise ConfigError(
                f"{path} was begun with other data; choose another --out, or remove the folder"
            )
        if about["twofold"] != __version__:
            raise ConfigError(
                f"{path} was begun with twofold {about['twofold']} and this is {__version__}; "
                "choose another --out, or remove the folder"
            )
        return Run(path)
    if path.exists() and not unused:
        raise ConfigError(f"{path} exists and is not a run of twofold; choose another --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make {path}: {error.strerror}; choose another --out") from error
    about = {
        "twofold": __version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": os.cpu_count(),
        "seed": seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data_sha256": fingerprint(data),
        "data": str(data),
        "notes": list(data.notes),
    }
    write_page(path / "run.json", json.dumps(about, indent=1))
    write_page(path / "job.json", json.dumps(said, indent=1))
    return Run(path)


def _is_unused(path: Path) -> bool:
    """Say whether a folder holds nothing but the beginning of a run, at which nobody is at work."""
    if not path.is_dir():
        return False
    there = {one.name for one in path.iterdir()} - {TRAINING}
    if there - UNUSED or not (there <= BEGUN or "job.json" in there):
        return False
    if LOCK not in there:
        return True
    with (path / LOCK).open("w") as lock:
        return locks.take(lock)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON any more"
        raise IncompatibleFileError(
            f"{path} cannot be read ({reason}); choose another --out, or remove the folder"
        ) from error


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two jobs differ; the data are compared by what is in them."""
    keys = {*before, *now} - {"data", "tune", "out"}
    return sorted(key for key in keys if before.get(key) != now.get(key))


def _still_holds(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether all that a comparison has finished is asked for by a job with other models, too.

    So a model that diverged may be corrected, and others added, without training the rest again.
    """
    if not (path / "results").is_dir():
        return False
    finished = {one.name for one in (path / "results").iterdir() if not one.name.startswith(".")}
    return all(before["models"].get(name) == now["models"].get(name) for name in finished)


class _Log(logging.FileHandler):
    """A log file whose failure is an error, not a traceback beside the work."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say that the log cannot be written."""
        del record
        error = sys.exception()
        raise DataError(f"cannot write {self.baseFilename}: {error}; make room") from error

    def close(self) -> None:
        """Close the file; each line was flushed when it was written, and a failure told then."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def at_work(run: Run) -> Generator[None]:
    """Keep other processes out of the run, and write the package's log messages to its ``log.txt``.

    What a killed process was writing into it is removed.

    A job that is refused before anything was made leaves no folder, so that the corrected one may have it.

    Raises
    ------
    ConfigError
        If another process is at work in the folder.
    DataError
        If the log cannot be written.
    """
    refused = False
    try:
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context((run.path / LOCK).open("w"))
                handler = _Log(run.path / "log.txt", encoding="utf-8")
            except OSError as error:
                raise DataError(f"cannot write into {run.path}: {error.strerror}") from error
            stack.callback(handler.close)
            if not locks.take(lock):
                raise ConfigError(
                    f"another process is at work in {run.path}; wait for it, or choose another --out"
                )
            for part in ("", "models", "results", "trials"):
                clear(run.path / part)
            handler.setFormatter(logging.Formatter(LOG_FORMAT))
            logger = logging.getLogger("twofold")
            stack.callback(logger.setLevel, logger.level)
            stack.callback(logger.removeHandler, handler)
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            try:
                yield
            except (ConfigError, DataError, MissingDependencyError):
                refused = {one.name for one in run.path.iterdir()} <= UNUSED
                raise
    finally:
        if refused:
            shutil.rmtree(run.path)


def leaderboard(path: str | Path) -> Leaderboard:
    """Return the leaderboard of a finished or interrupted comparison.

    Raises
    ------
    ConfigError
        If the folder holds no results.
    """
    # As above.
    from twofold.evaluation.compare import ordered

    results = Run(Path(path)).results()
    if not results:
        raise ConfigError(f"{path} holds no results of a comparison")
    return ordered(results)


def model_folder(path: str | Path) -> Path:
    """Return the model that a folder stands for: itself, the model of a fit, or the best of a comparison.

    Raises
    ------
    IncompatibleFileError
        If the folder is neither a model nor a run with one.
    """
    path = Path(path)
    run = Run(path)
    try:
        if (path / persistence.MANIFEST).exists():
            return path
    except OSError as error:  # a name that is too long, a folder of somebody else
        raise IncompatibleFileError(f"cannot open {str(path)[:200]}: {error.strerror}") from error
    if (run.model / persistence.MANIFEST).exists():
        return run.model
    if (path / "results").is_dir() and run.results():
        return run.model_of(leaderboard(path).best)
    if (path / "tuned.toml").exists():
        raise IncompatibleFileError(
            f"{path} holds settings and no model; run twofold compare {path / 'tuned.toml'} --out DIR"
        )
    reason = (
        "it is not a model or a run of twofold"
        if path.exists()
        else "it does not exist; make it with twofold fit --out"
    )
    if (path / "job.json").exists():
        reason = "its run stopped before a model was there; give the same command again"
    if (path / "trials").is_dir():
        reason = "it is a search that has not ended; give twofold tune the same command again"
    raise IncompatibleFileError(f"cannot open {path}: {reason}")


def recorded(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the job and the description of the run that a model folder lies in, if it lies in one."""
    folder = Path(path)
    for one in (folder, folder.parent, folder.parent.parent):
        if (one / "job.json").exists() and (one / "run.json").exists():
            return _read(one / "job.json"), _read(one / "run.json")
    return None
