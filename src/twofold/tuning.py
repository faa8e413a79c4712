"""Search a model's hyperparameters over the ranges that stand beside them, on the validation part only."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from twofold.drafts import write_page
from twofold.errors import ConfigError, NotConvergedError, need
from twofold.evaluation.run import measure
from twofold.hyperparameters import Search, search_space, values
from twofold.jobs import Job
from twofold.metrics import parse
from twofold.metrics.names import Metric
from twofold.progress import track
from twofold.split import Split, check_leaks

FAR = 1_000_003
"""Distance between the seeds of trials of jobs with neighbouring seeds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuned:
    """The best setting that was found for one model."""

    model: str
    estimator: Any
    value: float
    """The metric on the validation part."""
    default: float
    """What the setting of the job reached there, moved into the ranges; NaN = it failed."""
    trials: int
    failed: int
    """Trials that left the finite numbers."""
    table: pl.DataFrame
    """A row a trial, best first; see `trial_table`."""


def to_tune(job: Job) -> list[str]:
    """Return the models of a job that have something to search.

    Raises
    ------
    ConfigError
        If there is none.
    """
    chosen = [
        name
        for name in (job.tune.only or job.models)
        if set(search_space(type(job.models[name]))) - set(job.fixed[name])
    ]
    if not chosen:
        raise ConfigError(
            "nothing to tune: no model of the job declares a search range that the job leaves open"
        )
    return chosen


def need_optuna() -> Any:
    """Import the package that proposes settings, or say how to install it."""
    return need("optuna", "tune")


def check_validation(split: Split) -> None:
    """Check that a split has what settings are measured on.

    Raises
    ------
    ConfigError
        If it has no validation part.
    """
    if split.validation is None:
        raise ConfigError(
            "tuning measures on the validation part only, and this split has none; "
            "set validation = 0.1 in [split], a larger share where few events leave it empty"
        )


def tune(job: Job, split: Split, model: str, folder: Path, *, trials: int | None = None) -> Tuned:
    """Search one model of a job; what was tried before in `folder` counts.

    The first trial is the job's own setting; of that the search is told what lies in its ranges.
    Values that the job sets are kept as they are. The test part is not looked at.

    Parameters
    ----------
    job
        The checked job.
    split
        Its split; must have a validation part.
    model
        The model's name in the job.
    folder
        Where the journal of trials is kept.
    trials
        Settings in all, those of earlier runs included; None = as the job says.

    Raises
    ------
    ConfigError
        If the split has no validation part, or every trial failed.
    """
    optuna = need_optuna()
    check_validation(split)
    check_leaks(split)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = job.models[model]
    space = {n: s for n, s in search_space(type(base)).items() if n not in job.fixed[model]}
    own = values(base)
    told = {name: one for name, one in space.items() if holds(one, own[name])}
    metric = parse(job.tune.metric)
    folder.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / f"{model}.journal"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(
        study_name=model,
        storage=storage,
        load_if_exists=True,
        direction="maximize" if metric.higher_is_better else "minimize",
    )
    state = optuna.trial.TrialState
    finished = sum(one.state.is_finished() for one in study.trials)
    if not finished and not study.get_trials(states=(state.WAITING,)):
        study.enqueue_trial({name: own[name] for name in told})
    wanted = job.tune.trials if trials is None else trials
    for number in track(range(finished, wanted), f"tuning {model}"):
        # A trial depends on its number and the finished ones alone, so that a search that was
        # interrupted draws the same settings as one that was not.
        study.sampler = optuna.samplers.TPESampler(seed=(job.seed * FAR + number) % 2**32)
        trial = study.ask()
        settings = suggest(trial, space if number else told)
        try:
            value = _measured(job, split, _with(base, settings), metric.name)
        except NotConvergedError as error:
            log.warning("%s %s: %s", model, settings, error)
            study.tell(trial, state=state.FAIL)
            continue
        study.tell(trial, value)
        log.info("%s %s: %s %.5f", model, settings, metric.name, value)
    tried = [one for one in study.trials if one.state.is_finished()]
    done = [one for one in tried if one.state == state.COMPLETE]
    if not done:
        raise ConfigError(f"every trial of {model} left the finite numbers; look at the log")
    tuned = Tuned(
        model=model,
        estimator=_with(base, study.best_params),
        value=study.best_value,
        default=tried[0].value if tried[0] in done else math.nan,
        trials=len(done),
        failed=len(tried) - len(done),
        table=trial_table(tried, metric),
    )
    write_page(folder / f"{model}.csv", tuned.table.write_csv())
    write_page(folder / f"{model}.json", json.dumps(table(tuned), indent=1))
    return tuned


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


def table(tuned: Tuned) -> dict[str, Any]:
    """Return the model's table for a job, ready for ``twofold compare``."""
    return {"class": type(tuned.estimator).__name__, **values(tuned.estimator)}


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


def _with(base: Any, settings: Mapping[str, Any]) -> Any:
    return type(base)(**{**values(base), **settings})


def _measured(job: Job, split: Split, estimator: Any, metric: str) -> float:
    fitted = estimator.fit(split.train, validation=split.validation, rng=job.seed)
    plan = job.evaluation
    report = measure(
        fitted,
        split,
        (parse(metric),),
        part="validation",
        asking=plan.asking,
        exclude_seen=plan.exclude_seen,
        unknown_items=plan.unknown_items,
        candidates=plan.candidates,
        relevant_from=plan.relevant_from,
        confidence=plan.confidence,
        rng=job.seed,
    )
    return report.values[metric]
