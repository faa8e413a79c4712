"""Search a model's hyperparameters over the ranges that stand beside them, on the validation part only."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold.errors import ConfigError, NotConvergedError, need
from twofold.evaluation.report import write_page
from twofold.evaluation.run import measure
from twofold.hyperparameters import Search, search_space, values
from twofold.jobs import Job
from twofold.metrics import parse
from twofold.progress import track
from twofold.split import Split, check_leaks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuned:
    """The best setting that was found for one model."""

    model: str
    estimator: Any
    value: float
    """The metric on the validation part."""
    default: float
    """What the setting of the job reached there."""
    trials: int
    failed: int
    """Trials that left the finite numbers."""


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


def tune(job: Job, split: Split, model: str, folder: Path, *, trials: int | None = None) -> Tuned:
    """Search one model of a job; what was tried before in `folder` counts.

    The first trial is the job's own setting. Values that the job sets are kept as they are. The
    test part is not looked at.

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
    optuna: Any = need("optuna", "tune")
    if split.validation is None:
        raise ConfigError(
            "tuning measures on the validation part only, and this split has none; "
            "set validation = 0.1 in [split]"
        )
    check_leaks(split)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = job.models[model]
    space = {n: s for n, s in search_space(type(base)).items() if n not in job.fixed[model]}
    metric = parse(job.tune.metric)
    folder.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / f"{model}.journal"))
    storage = optuna.storages.JournalStorage(backend)
    names = [one.study_name for one in storage.get_all_studies()]
    study = optuna.create_study(
        study_name=model,
        storage=storage,
        load_if_exists=True,
        direction="maximize" if metric.higher_is_better else "minimize",
    )
    finished = [one for one in study.trials if one.state.is_finished()]
    study.sampler = optuna.samplers.TPESampler(seed=job.seed + len(finished))
    if model not in names:
        study.enqueue_trial(inside(values(base), space), skip_if_exists=True)
    wanted = job.tune.trials if trials is None else trials
    for _ in track(range(len(finished), wanted), f"tuning {model}"):
        trial = study.ask()
        settings = suggest(trial, space, values(base))
        try:
            value = _measured(job, split, _with(base, settings), metric.name)
        except NotConvergedError as error:
            log.warning("%s %s: %s", model, settings, error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        study.tell(trial, value)
        log.info("%s %s: %s %.5f", model, settings, metric.name, value)
    done = [one for one in study.trials if one.state == optuna.trial.TrialState.COMPLETE]
    if not done:
        raise ConfigError(f"every trial of {model} left the finite numbers; look at the log")
    best = _with(base, study.best_params)
    tuned = Tuned(
        model, best, study.best_value, done[0].value, len(done), len(study.trials) - len(done)
    )
    write_page(folder / f"{model}.json", json.dumps(table(tuned), indent=1))
    return tuned


def table(tuned: Tuned) -> dict[str, Any]:
    """Return the model's table for a job, ready for ``twofold compare``."""
    return {"class": type(tuned.estimator).__name__, **values(tuned.estimator)}


def inside(settings: Mapping[str, Any], space: Mapping[str, Search]) -> dict[str, Any]:
    """Return the settings of the searched names, moved into their ranges."""
    return {
        name: settings[name]
        if search.choices
        else type(settings[name])(min(max(settings[name], search.low), search.high))
        for name, search in space.items()
    }


def suggest(trial: Any, space: Mapping[str, Search], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a setting; what is an integer in `settings` stays one."""
    drawn: dict[str, Any] = {}
    for name, search in space.items():
        if search.choices:
            drawn[name] = trial.suggest_categorical(name, list(search.choices))
        elif isinstance(settings[name], int):
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
        exclude_seen=plan.exclude_seen,
        unknown_items=plan.unknown_items,
        relevant_from=plan.relevant_from,
        confidence=plan.confidence,
        rng=job.seed,
    )
    return report.values[metric]
