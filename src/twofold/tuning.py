"""Search a model's hyperparameters over the ranges that stand beside them, on the validation part only."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import polars as pl

from twofold.data.dataset import Dataset
from twofold.drafts import write_page
from twofold.errors import ConfigError, NotConvergedError, did_you_mean, need
from twofold.evaluation.run import measure
from twofold.expected import check_models, check_split
from twofold.fingerprints import fingerprint
from twofold.hyperparameters import names, values
from twofold.jobs import Job
from twofold.metrics import parse
from twofold.metrics.names import Metric
from twofold.plans import EvaluationPlan, TunePlan
from twofold.progress import track
from twofold.random import seed_of
from twofold.ranges import open_ranges, with_settings
from twofold.split import Split, check_leaks
from twofold.trials import holds, same_search, study_of, suggest, trial_table
from twofold.typing import Rng

DEFAULT = TunePlan()
"""How many trials there are and what is made best where nobody says."""
MEASURED = tuple(name for name in names(EvaluationPlan) if name not in ("part", "confidence"))
"""Arguments of `evaluate` that say how trials are measured."""
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

    @property
    def idle(self) -> list[str]:
        """The hyperparameters that were searched, where all of several trials have the same value of the metric; none otherwise."""
        metric, *searched, _ = self.table.columns[1:]
        same = self.trials > 1 and self.table[metric].drop_nulls().n_unique() == 1
        return searched if same else []


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
        if open_ranges(job.models[name], job.fixed[name])
    ]
    if not chosen:
        raise ConfigError(
            "nothing to tune: no model of the job declares a search range that the job leaves open"
        )
    return chosen


def need_optuna() -> Any:
    """Import the package that proposes settings, or say how to install it."""
    return need("optuna", "tune")


def check_validation(split: Split) -> Dataset:
    """Return the part that settings are measured on.

    Raises
    ------
    ConfigError
        If it has no validation part.
    """
    if split.validation is None:
        raise ConfigError(
            "tuning measures on the validation part only, and this split has none; "
            "cut it with validation = 0.1 (in [split] of a job), a larger share where few events leave it empty"
        )
    return split.validation


def tune_job(
    job: Job, split: Split, model: str, folder: Path, *, trials: int | None = None
) -> Tuned:
    """Search one model of a job; see `tune`.

    Parameters
    ----------
    job
        The checked job. Values that it sets are kept as they are.
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
    return _search(
        job.models[model],
        split,
        parse(job.tune.metric),
        job.tune.trials if trials is None else trials,
        job.fixed[model],
        folder,
        model,
        job.seed,
        job.evaluation,
    )


def tune(
    model: Any,
    split: Split,
    metric: str = DEFAULT.metric,
    *,
    trials: int = DEFAULT.trials,
    fixed: Iterable[str] = (),
    folder: str | Path | None = None,
    rng: Rng = 0,
    **evaluation: Any,
) -> Tuned:
    """Search the hyperparameters of a model, and of its parts, over their declared ranges, on the validation part only.

    What the model does not read as it is set (steps of a network that takes none) is left out. The first trial is the
    model's own setting; of that the search is told what lies in its ranges. The others are proposed by a tree-structured
    Parzen estimator (optuna). The test part is not looked at.

    Parameters
    ----------
    model
        An estimator, such as ``tw.models.IALS()``.
    split
        A split with a validation part.
    metric
        What is made best.
    trials
        Settings in all, >= 1, those of earlier runs in `folder` included.
    fixed
        Hyperparameters that stay as the model has them; those of a part by its name (``network``), or one by one
        (``network.dropout``).
    folder
        Where the trials are kept, so that an interrupted search goes on; None keeps none.
    rng
        The same seed draws the same settings. Every trial is trained and measured with the same one.
    evaluation
        How trials are measured, as in `evaluate`: ``ask``, ``up_to_date``, ``new``, ``exclude_seen``,
        ``unknown_items``, ``candidates``, ``relevant_from``.

    Raises
    ------
    ConfigError
        If the split has no validation part, the model declares no range, a name does not exist, or every trial failed.
    LeakError
        If training knows something about the held-out part.
    MissingDependencyError
        If optuna is not installed.

    Example
    -------
    >>> import twofold as tw
    >>> from twofold.testing import planted_log
    >>> split = tw.split.random(planted_log(), validation=0.1, rng=0)
    >>> found = tw.tune(tw.models.IALS(epochs=2), split, trials=2, fixed=["epochs"], rng=0)
    >>> len(found.table), found.estimator.epochs, found.value >= found.default
    (2, 2, True)
    """
    check_models({"model": model}, "tune")
    if not hasattr(model, "fit"):
        raise ConfigError(f"tune trains an estimator; got a fitted model: give its settings, {type(model.estimator).__name__}(...)")  # fmt: skip
    check_split(split, "tune")
    kind = type(model)
    keep = names_in(fixed, "fixed", (*values(model), *open_ranges(model)), kind.__name__)
    if not open_ranges(model, keep):
        raise ConfigError(
            f"nothing to tune: {kind.__name__} declares no search range that is left open"
        )
    if unknown := sorted(set(evaluation) - set(MEASURED)):
        raise ConfigError(
            f"tune has no argument {unknown[0]!r}; {did_you_mean(unknown[0], ('trials', 'fixed', 'folder', 'rng', *MEASURED))}"
        )
    if isinstance(trials, bool) or not isinstance(trials, Integral) or trials < 1:
        raise ConfigError(f"trials must be an integer >= 1; got {trials!r}")
    seed = seed_of(rng)
    if not isinstance(folder, str | Path | None):
        raise ConfigError(f"folder must be a path, or None to keep no trials; got {folder!r}")
    where = None if folder is None else Path(folder)
    return _search(
        model, split, parse(metric), int(trials), keep, where, kind.__name__, seed,
        EvaluationPlan(**evaluation),
    )  # fmt: skip


def _search(
    base: Any,
    split: Split,
    metric: Metric,
    wanted: int,
    fixed: Sequence[str],
    folder: Path | None,
    name: str,
    seed: int,
    plan: EvaluationPlan,
) -> Tuned:
    optuna = need_optuna()
    validation = check_validation(split)
    check_leaks(split)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = open_ranges(base, fixed, split.train)
    if not ranges:
        raise ConfigError(
            f"nothing to tune: on this log {name} reads nothing that has a search range and is left open"
        )
    space = {key: one.search for key, one in ranges.items()}
    own = {key: one.value for key, one in ranges.items() if holds(one.search, one.value)}
    if folder is not None:
        asked = {
            "metric": metric.name, "model": table_of(base), "fixed": sorted(fixed), "seed": seed,
            "evaluation": values(plan), "train": fingerprint(split.train), "validation": fingerprint(validation),
        }  # fmt: skip
        same_search(folder, name, asked)
    study = study_of(optuna, name, folder, metric)
    state = optuna.trial.TrialState
    finished = sum(one.state.is_finished() for one in study.trials)
    if not finished and not study.get_trials(states=(state.WAITING,)):
        study.enqueue_trial(own)
    for number in track(range(finished, wanted), f"tuning {name}"):
        # A trial depends on its number and the finished ones alone, so that a search that was
        # interrupted draws the same settings as one that was not.
        study.sampler = optuna.samplers.TPESampler(seed=(seed * FAR + number) % 2**32)
        trial = study.ask()
        settings = suggest(trial, space if number else {key: space[key] for key in own})
        try:
            value = _measured(plan, split, with_settings(base, settings), metric, seed)
        except NotConvergedError as error:
            log.warning("%s %s: %s", name, settings, error)
            study.tell(trial, state=state.FAIL)
            continue
        study.tell(trial, value)
        log.info("%s %s: %s %.5f", name, settings, metric.name, value)
    tried = [one for one in study.trials if one.state.is_finished()]
    done = [one for one in tried if one.state == state.COMPLETE]
    if not done:
        raise ConfigError(f"every trial of {name} left the finite numbers; look at the log")
    tuned = Tuned(
        model=name,
        estimator=with_settings(base, study.best_params),
        value=study.best_value,
        default=tried[0].value if tried[0] in done else math.nan,
        trials=len(done),
        failed=len(tried) - len(done),
        table=trial_table(tried, metric),
    )
    if folder is not None:
        write_page(folder / f"{name}.csv", tuned.table.write_csv())
        write_page(folder / f"{name}.json", json.dumps(table(tuned), indent=1))
    return tuned


def names_in(given: object, what: str, known: Iterable[str], owner: str) -> tuple[str, ...]:
    """Return the names of hyperparameters that are `given`.

    Raises
    ------
    ConfigError
        If it is no list of them, or one does not exist.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"{what} must be a list of names; got {given!r}: write [{given!r}]")
    for name in (kept := tuple(given)):
        if name not in tuple(known):
            raise ConfigError(
                f"{owner} has no hyperparameter {name!r}; {did_you_mean(str(name), known)}"
            )
    return kept


def table(tuned: Tuned) -> dict[str, Any]:
    """Return the model's table for a job, ready for ``twofold compare``."""
    return table_of(tuned.estimator)


def table_of(estimator: Any) -> dict[str, Any]:
    """Return an estimator as a table of a job."""
    return {"class": type(estimator).__name__, **values(estimator)}


def _measured(plan: EvaluationPlan, split: Split, estimator: Any, metric: Metric, seed: int) -> float:  # fmt: skip
    fitted = estimator.fit(split.train, validation=split.validation, rng=seed)
    report = measure(
        fitted,
        split,
        (metric,),
        part="validation",
        asking=plan.asking,
        exclude_seen=plan.exclude_seen,
        unknown_items=plan.unknown_items,
        candidates=plan.candidates,
        relevant_from=plan.relevant_from,
        confidence=plan.confidence,
        rng=seed,
    )
    return report.values[metric.name]
