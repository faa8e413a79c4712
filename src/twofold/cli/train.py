"""Commands that train and measure one model: fit, evaluate."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from twofold import jobs, loading, persistence, runs
from twofold.cli.checks import check_split
from twofold.cli.options import (
    Ask,
    Candidates,
    Data,
    Folder,
    Kind,
    Metric,
    Out,
    RelevantFrom,
    Seed,
    SplitOption,
    UnknownItems,
    read_log,
    reads_a_log,
)
from twofold.cli.output import Json, interruptible, note, say, say_json
from twofold.data.dataset import Dataset
from twofold.drafts import write_page
from twofold.errors import ConfigError, DataError
from twofold.evaluation import evaluate as evaluate_model
from twofold.fingerprints import fingerprint
from twofold.jobs import Job
from twofold.metrics import parse
from twofold.models._base import FittedModel
from twofold.plans import DataPlan, EvaluationPlan, SplitPlan
from twofold.rank import ScoresCandidates
from twofold.resuming import checkpoints
from twofold.split import Split, held_out

SHARE = 0.1
"""What `fit` holds out unless told otherwise."""
MANY_PAIRS = 100_000_000
"""Pairs that a model which scores each by itself takes a minute or more to read."""
AGAIN = "trained again on everything with the same settings; the report is of the model that was trained on the training part"
"""What a report says of a model that it was not made of."""
AS_THE_RUN = "as the run"
"""Stands for the policy with which the model's run measured it."""


@reads_a_log
def fit(
    model: Annotated[
        str, typer.Argument(help="A model that `twofold models` lists.", show_default=False)
    ],
    data: Data,
    out: Out,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            help="A hyperparameter that `twofold models NAME` shows, as name=value, one of a part as network.dropout=0.2; repeatable.",
        ),
    ] = [],  # noqa: B006  typer reads the default
    split: Kind = "default",
    split_option: SplitOption = [],  # noqa: B006
    test: Annotated[
        float | None,
        typer.Option(
            help="Share held out and measured; 0 trains on everything. [default: 0.1]",
            show_default=False,
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Then train again on everything, with the same settings, and save that model with the report of the first.",
        ),
    ] = False,
    unknown_items: UnknownItems = "count",
    candidates: Candidates = "all",
    ask: Ask = "each user",
    seed: Seed = 0,
    json: Json = False,
    *,
    said: dict[str, Any],
) -> None:
    """Train one model, measure it on what was held out, and save both.

    Example: `twofold fit IALS --data ratings.csv --out runs/ials --set factors=128`
    """
    if refit and test == 0:
        raise ConfigError("--refit measures a part that is held out before it trains on everything; leave out --test 0, or --refit")  # fmt: skip
    plan = jobs.section(
        EvaluationPlan,
        {"unknown_items": unknown_items, "candidates": candidates, "ask": ask},
        "evaluation",
    )
    cls = type(jobs.estimator(model, {}))
    estimator = jobs.estimator(model, jobs.assignments(settings, cls))
    cut_plan = share_plan(split, test, jobs.split_options(split_option))
    job = Job(
        DataPlan.of(data, **said),
        cut_plan,
        {model: estimator},
        {model: ()},
        evaluation=plan,
        seed=seed,
    )
    log = read_log(job.data)
    holds_out = test != 0
    cut = job.split.make(log, seed) if holds_out else None
    if cut is not None:
        check_split(job, cut)
    told = {**job.as_dict(), "held_out": holds_out, **({"refit": True} if refit else {})}
    run = runs.open_run(out, told, log, seed)
    kept = "no model was written; the same command goes on: a network from its last checkpoint, another model from the start"
    with runs.at_work(run), interruptible(kept), checkpoints(run.training):
        train, validation = (cut.train, cut.validation) if cut else (log, None)
        fitted = learned(run.measured if refit else run.model, model, estimator, train, validation, seed)  # fmt: skip
        report = None
        if cut is not None:
            if long := long_ranking(fitted, cut):
                note(long)
            report = evaluate_model(
                fitted,
                cut,
                unknown_items=plan.unknown_items,
                candidates=plan.candidates,
                ask=plan.ask,
                rng=seed,
            )
        if refit and report is not None:
            learned(run.model, model, for_as_long(estimator, fitted), log, None, seed)
            report = replace(report, notes=(*report.notes, AGAIN))
        run.forget_training()
        if report is not None:
            write_page(run.path / "metrics.json", report.to_json())
    if json:
        measured = None if report is None else report.as_dict()
        say_json({"model": model, "out": str(out), "held_out": holds_out, "report": measured})
        return
    if report is not None:
        say(str(report))
        if remark := report.remark():
            note(f"note: {remark}")
    if refit:
        note(f"note: {AGAIN}")
    say(f"saved {run.model}")
    say(what_next(out, cut))


def long_ranking(model: FittedModel, cut: Split) -> str:
    """Return what there is to say before a model that reads a pair at a time ranks everything for everybody; nothing where it is soon done."""
    people, n = cut.test.n_users, len(model.items)
    if not isinstance(model, ScoresCandidates) or people * n < MANY_PAIRS:
        return ""
    return (
        f"{type(model.estimator).__name__} reads {people * n:,} pairs of {people:,} people and {n:,} items to rank them, which takes long; "
        "the model is saved: stop here, or fit with --test 0, and ask it for the candidates of other models in a pipeline"
    )


def learned(
    folder: Path,
    name: str,
    estimator: Any,
    data: Dataset,
    validation: Dataset | None,
    seed: int,
) -> FittedModel:
    """Return the model of a folder, trained and saved there if it is not yet."""
    if (folder / persistence.MANIFEST).exists():
        note(f"{folder} was trained before, by the same job on the same data")
        return loading.load(folder)
    note(f"training {name} on {data}")
    fitted: FittedModel = estimator.fit(data, validation=validation, rng=seed)
    fitted.save(folder)
    return fitted


def for_as_long(estimator: Any, fitted: FittedModel) -> Any:
    """Return an estimator that learns for as many passes as `fitted` found best, where it tells."""
    best = getattr(fitted, "best_epoch", None)
    return estimator if best is None else replace(estimator, epochs=best)


def what_next(out: Path, cut: Split | None) -> str:
    """Return the command that lists what the model was measured on: with what people had, where the split keeps repeats."""
    keep = " --keep-seen" if cut is not None and cut.repeats else ""
    return f"next: twofold recommend {out} --k 10{keep} --out recommendations.csv"


def share_plan(kind: str, test: float | None, more: dict[str, Any]) -> SplitPlan:
    """Make the plan of a split of which the share is said, and `more` of its arguments.

    Raises
    ------
    ConfigError
        If the share is none, or the split takes none or another of the arguments.
    """
    if test is not None and not (math.isfinite(test) and 0 <= test < 1):
        raise ConfigError(f"--test must be a share, 0 <= test < 1; got {test:g}")
    takes = SplitPlan.arguments(kind)
    share = next((name for name in ("test", "share") if name in takes), None)
    if test and share is None:
        raise ConfigError(f"split {kind} takes no share; leave out --test")
    options: dict[str, Any] = {} if share is None else {share: test or SHARE}
    if kind in {"default", "temporal", "user_disjoint"}:
        options["validation"] = 0
    return SplitPlan(kind=kind, options={**options, **more})


@reads_a_log
def evaluate(
    folder: Folder,
    data: Annotated[
        str,
        typer.Option(
            "--data", "-d", help="The log to measure on; without it, the log of the model's run."
        ),
    ] = "",
    metric: Metric = [],  # noqa: B006
    relevant_from: RelevantFrom = None,
    unknown_items: UnknownItems = AS_THE_RUN,
    candidates: Candidates = AS_THE_RUN,
    ask: Ask = AS_THE_RUN,
    html: Annotated[Path | None, typer.Option(help="Also write the report as a page.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of ties and bootstraps. [default: as the run]", show_default=False),
    ] = None,
    json: Json = False,
    *,
    said: dict[str, Any],
) -> None:
    """Measure a model on what it was not trained on.

    With the data that it was made from, the part that was held out is measured; other data are a
    held-out log as they are, without the pairs that training had. Questions, metrics and the seed are those of the
    model's run unless told otherwise.

    Example: `twofold evaluate runs/ials --metric ndcg@10 --metric recall@20`
    """
    for one in metric:
        parse(one)
    path = runs.model_folder(folder)
    given = {"unknown_items": unknown_items, "candidates": candidates, "ask": ask}
    changed: dict[str, Any] = {name: one for name, one in given.items() if one != AS_THE_RUN}
    if relevant_from is not None:
        changed["relevant_from"] = relevant_from
    plan = jobs.section(EvaluationPlan, {**_asked_before(path), **changed}, "evaluation")
    model = loading.load(path)
    if metric:
        jobs.check_metrics(metric, {type(model.estimator).__name__: model.estimator})
    log = read_log(_data_of(path, data, said))
    cut = _held_out(path, model.memory.log(), log)
    strange = plan.unknown_items != "content"
    if strange and (model.items.ids.rows(log.items.ids.ids) < 0).all():
        raise DataError(
            f"none of the {log.n_items:,} items of these data is known to the model, "
            f"whose items are such as {model.items.ids[0]!r}; are these data of the same catalogue?"
        )
    report = evaluate_model(
        model,
        cut,
        metric or _recorded(path).get("metrics"),
        relevant_from=plan.relevant_from,
        unknown_items=plan.unknown_items,
        candidates=plan.candidates,
        ask=plan.ask,
        up_to_date=plan.up_to_date,
        new=plan.new,
        exclude_seen=plan.exclude_seen,
        confidence=plan.confidence,
        rng=_recorded(path).get("seed", 0) if seed is None else seed,
    )
    if html is not None:
        note(f"wrote {report.to_html(html)}")
    say(report.to_json() if json else str(report))
    if remark := report.remark():
        note(f"note: {remark}")


def _asked_before(path: Path) -> dict[str, Any]:
    """Return how the run of a model measured it."""
    return dict(_recorded(path).get("evaluation", {}))


def _recorded(path: Path) -> dict[str, Any]:
    """Return the job of the run that a model lies in; nothing where it lies in none."""
    found = runs.recorded(path)
    return {} if found is None else found[0]


def _data_of(path: Path, data: str, said: dict[str, Any]) -> DataPlan:
    """Return the plan of the data that were named, read as the run read them where they are the run's."""
    found = runs.recorded(path)
    plan = DataPlan.of(data, **said) if data else None
    if found is None:
        if plan is None:
            raise ConfigError(f"{path} lies in no run that tells its data; name them with --data")
        return plan
    recorded = jobs.section(DataPlan, found[0]["data"], "data")
    if plan is None:
        if said:
            raise ConfigError("columns go with --data; without it, the run's own are read")
        return recorded
    same = (plan.name, plan.source) == (recorded.name, recorded.source)
    return recorded if same and not said else plan


def _held_out(path: Path, remembered: Dataset, log: Dataset) -> Split:
    """Return the split that the model's run made of `log`, or `log` itself as the test part."""
    found = runs.recorded(path)
    if found is None or found[1]["data_sha256"] != fingerprint(log):
        return held_out(remembered, log)
    job, about = found
    if not job.get("held_out", True):
        raise DataError(
            "this model was trained on all of these data, so nothing in them can test it; "
            "give later data, or fit with --test 0.1"
        )
    if job.get("refit") and path.name != runs.MEASURED:
        raise DataError(
            f"this model was trained again on all of these data, so nothing in them can test it; its report is of {path.parent / runs.MEASURED}: "
            "measure that one, or give later data"
        )
    cut = dict(job["split"])
    return SplitPlan(kind=cut.pop("kind"), options=cut).make(log, about["seed"])
