"""The trials of a search: how settings are drawn, where trials are kept, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from twofold.drafts import write_page
from twofold.errors import ConfigError, DataError
from twofold.hyperparameters import Search
from twofold.metrics.names import Metric


def same_search(folder: Path, name: str, asked: Mapping[str, Any]) -> None:
    """Keep what is searched beside the trials, or hold it against what was searched there before.

    Raises
    ------
    ConfigError
        If it was something else.
    DataError
        If the folder cannot be written, or holds something else.
    """
    path = folder / f"{name}.search.json"
    written = json.dumps(asked, indent=1, sort_keys=True, default=str)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot keep trials: {error}; choose another folder") from error
    if before is None:
        write_page(path, written)
        return
    now = json.loads(written)
    other = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    if other:
        raise ConfigError(
            f"{folder} holds trials of {name} of another search (other: {', '.join(other)}); choose another folder"
        )


def study_of(optuna: Any, name: str, folder: Path | None, metric: Metric) -> Any:
    """Return the study of a model: in memory, or with a journal in `folder`."""
    direction = "maximize" if metric.higher_is_better else "minimize"
    if folder is None:
        return optuna.create_study(study_name=name, direction=direction)
    path = folder / f"{name}.journal"
    try:
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)
        return optuna.create_study(
            study_name=name, storage=storage, load_if_exists=True, direction=direction
        )
    except (OSError, AssertionError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} holds no trials that can be read ({type(error).__name__}); move it away, or choose another folder"
        ) from error


def trial_table(tried: Sequence[Any], metric: Metric) -> pl.DataFrame:
    """Return a row a finished trial, best first: trial (1 is the job's setting), metric, settings, seconds."""
    rows = [
        {
            "trial": number,
            metric.name: one.value,
            **one.params,
            "seconds": round(one.duration.total_seconds(), 2),
        }
        for number, one in enumerate(tried, 1)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None).select(pl.exclude("seconds"), "seconds")
    return frame.sort(metric.name, descending=metric.higher_is_better, nulls_last=True)


def holds(search: Search, value: Any) -> bool:
    """Say whether a value lies in a range; None, which leaves it to the fit, never does."""
    if search.choices:
        return value in search.choices
    return value is not None and search.low <= value <= search.high


def suggest(trial: Any, space: Mapping[str, Search]) -> dict[str, Any]:
    """Draw a setting."""
    drawn: dict[str, Any] = {}
    for name, search in space.items():
        if search.choices:
            drawn[name] = trial.suggest_categorical(name, list(search.choices))
        elif search.integer:
            low, high = int(search.low), int(search.high)
            drawn[name] = trial.suggest_int(name, low, high, log=search.log)
        else:
            drawn[name] = trial.suggest_float(name, search.low, search.high, log=search.log)
    return drawn
