"""The command that compares models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from twofold import jobs, runs
from twofold.cli.checks import check_split
from twofold.cli.options import (
    Ask,
    Candidates,
    DataInstead,
    JobFile,
    Kind,
    Metric,
    Models,
    RelevantFrom,
    Seed,
    SplitOption,
    UnknownItems,
    read_log,
    reads_a_log,
)
from twofold.cli.output import Json, interruptible, leaderboard, note, say, width
from twofold.cli.train import what_next
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError, TwofoldError
from twofold.evaluation import compare as compare_models
from twofold.evaluation.compare import Leaderboard
from twofold.evaluation.report import Report
from twofold.evaluation.run import DEFAULT_RATING
from twofold.jobs import Job
from twofold.models.baselines.ease import check_memory, free_memory
from twofold.plans import SPLITS, DataPlan, EvaluationPlan, SplitPlan
from twofold.resuming import checkpoints
from twofold.split import Split

USUAL_MODELS = ("ItemKNN", "EASE", "IALS", "BPR")
"""What is compared where no models are named; popularity comes by itself."""
SHARES: dict[str, Any] = {
    "cold_items": 0.1,
    "cold_users": 0.1,
    "last_basket": True,
    "last_fraction": 0.1,
    "last_trajectories": 0.1,
    "leave_last": True,
    "random": 0.1,
}
"""The validation part that `tune` asks of the splits that make none by themselves."""


@reads_a_log
def compare(
    job_file: JobFile = None,
    data: DataInstead = "",
    model: Models = [],  # noqa: B006
    split: Kind = "default",
    split_option: SplitOption = [],  # noqa: B006
    metric: Metric = [],  # noqa: B006
    relevant_from: RelevantFrom = None,
    unknown_items: UnknownItems = "count",
    candidates: Candidates = "all",
    ask: Ask = "each user",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder; the job may name it too.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    *,
    said: dict[str, Any],
) -> None:
    """Train several models on one split and say which is best, with intervals and paired tests.

    Without --model, ItemKNN, EASE, IALS and BPR are compared. An interrupted run that has a folder
    goes on where it stopped when the same command is given again.

    Example: `twofold compare job.toml --out runs/first`, or `twofold compare --data ratings.csv --out runs/first`
    """
    job = job_of(
        job_file,
        data,
        list(model) or ([] if job_file else list(USUAL_MODELS)),
        split,
        split_option,
        metric,
        {
            "relevant_from": relevant_from,
            "unknown_items": unknown_items,
            "candidates": candidates,
            "ask": ask,
        },
        seed,
        said,
    )
    if not job.models:
        raise ConfigError(
            "a comparison needs models: write [models.EASE] into the job, for example"
        )
    target = out or (Path(job.out) if job.out else None)
    log = read_log(job.data)
    if not model and job_file is None:
        job = _that_fit(job, log)
    cut = job.split.make(log, job.seed)
    note(str(cut))
    check_split(job, cut)
    run = None if target is None else runs.open_run(target, job.as_dict(), log, job.seed)
    failures: dict[str, TwofoldError] = {}

    def failed(name: str, error: TwofoldError) -> None:
        failures[name] = error
        note(f"{name}: could not be fitted or measured, the others go on: {error}")

    board = run_comparison(job, cut, run, failed)
    say(board.to_json() if json else leaderboard(board, width()))
    remarks: dict[str, list[str]] = {}
    for name, one in board.results.items():
        for remark in (one.report.remark(), *one.report.notes):
            remarks.setdefault(remark, []).append(name)
    for remark, names in remarks.items():
        if remark and remark not in cut.notes:
            note(f"note: {', '.join(names)}: {remark}")
    for names in board.alike:
        note(
            f"note: {' and '.join(names)} have the same value for every user: {told_apart_by(job, cut)}"
        )
    baseline, worse = board.below
    if worse:
        of_lists = board.metrics[0] not in DEFAULT_RATING
        values = (
            "models of values, such as PMF, are made for --metric rmse and not for lists, others"
        )
        note(
            f"note: {', '.join(worse)}: clearly worse than {baseline}; {values if of_lists else 'they'} "
            "may need other hyperparameters (twofold tune) or more data"
        )
    if run is None or target is None:
        note("nothing was saved; --out runs/first keeps models, results and a report")
    else:
        note(f"wrote {run.path / 'report.html'}")
        note(what_next(target, cut))
    if failures:
        name, error = next(iter(failures.items()))
        others = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
        kept = "" if run is None else "; what is finished is kept where its settings stay"
        raise type(error)(f"{name}{others} could not be fitted or measured: {error}{kept}")


def told_apart_by(job: Job, cut: Split) -> str:
    """Return how models that answer alike may be told apart, of what the job does not do already."""
    ways: list[str] = []
    made_by = cut.kind.partition("(")[0]
    if not cut.repeats and made_by in SPLITS and "repeats" in SplitPlan.arguments(made_by):
        named = "" if job.split.kind == made_by else f"--split {made_by} "
        ways.append(
            f"models of what people have again are told apart where repeats are kept ({named}--split-option repeats=keep)"
        )
    if (made_by, job.evaluation.unknown_items) != ("cold_items", "content"):
        ways.append(
            "models that place new items alone by content are told apart by --split cold_items --unknown-items content"
        )
    return ", ".join(ways) or "they gave the same lists, such as those of popularity"


def _that_fit(job: Job, log: Dataset) -> Job:
    """Leave EASE out of the usual models where its weights would not fit into memory."""
    try:
        check_memory(log.n_items, free_memory())
    except DataError as error:
        note(f"note: EASE is left out: {error}")
        models = {name: one for name, one in job.models.items() if name != "EASE"}
        return replace(job, models=models)
    return job


def run_comparison(
    job: Job,
    cut: Split,
    run: runs.Run | None,
    on_failure: Callable[[str, TwofoldError], None] | None = None,
) -> Leaderboard:
    """Compare the models of a job on its split, keeping each result in the run as it comes; for `on_failure` see `compare`."""
    plan = job.evaluation
    keywords: dict[str, Any] = {
        "part": plan.part,
        "ask": plan.ask,
        "up_to_date": plan.up_to_date,
        "new": plan.new,
        "exclude_seen": plan.exclude_seen,
        "unknown_items": plan.unknown_items,
        "candidates": plan.candidates,
        "relevant_from": plan.relevant_from,
        "confidence": plan.confidence,
        "rng": job.seed,
        "on_failure": on_failure,
    }
    if run is None:
        with interruptible("nothing was kept; with --out the same command would go on"):
            return compare_models(job.models, cut, job.metrics, on_result=_progress, **keywords)

    def keep(name: str, result: Any, fitted: Any) -> None:
        run.keep(name, result, fitted)
        _progress(name, result, fitted)

    kept = f"what was finished is kept in {run.path}; the same command goes on from there"
    with runs.at_work(run), interruptible(kept), checkpoints(run.training):
        done = run.results()
        if done:
            note(f"going on: {', '.join(done)} done before")
        board = compare_models(job.models, cut, job.metrics, done=done, on_result=keep, **keywords)
        run.finish(board)
    return board


def _progress(name: str, result: Any, fitted: Any) -> None:
    del fitted
    report: Report = result.report
    first = next(iter(report.values))
    note(f"{name}: {first} {report.values[first]:.4f}, trained in {result.fit_seconds:.1f} s")


def job_of(
    job_file: Path | None,
    data: str,
    model: list[str],
    split: str,
    split_option: list[str],
    metric: list[str],
    evaluation: dict[str, Any],
    seed: int,
    said: dict[str, Any],
    *,
    validation: bool = False,
) -> Job:
    """Make the job that a file or options say; with `validation`, the split gets such a part.

    Raises
    ------
    ConfigError
        If both say something, or neither does.
    """
    if (job_file is None) == (not data):
        raise ConfigError("give a job file, or --data; not both and not neither")
    if job_file is not None:
        usual = jobs.values(EvaluationPlan())
        changed = any(one != usual[key] for key, one in evaluation.items())
        if model or metric or seed or said or changed or split_option or split != "default":
            raise ConfigError(
                "with a job file, models, metrics, evaluation, split, seed and columns are the file's; "
                "put them there, or leave the file out"
            )
        return jobs.read(job_file)
    table: dict[str, Any] = {
        "data": jobs.values(DataPlan.of(data, **said)),
        "split": {
            "kind": split,
            **({"validation": SHARES[split]} if split in SHARES and validation else {}),
            **jobs.split_options(split_option),
        },
        "models": {name: {} for name in model},
        "seed": seed,
        "evaluation": evaluation,
    }
    if metric:
        table["metrics"] = metric
    return jobs.from_dict(table)
