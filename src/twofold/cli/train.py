"""Commands that train and measure: fit, evaluate, compare, tune."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from twofold import jobs, loading, runs, tuning
from twofold.cli.options import (
    Data,
    Folder,
    Item,
    ItemFeature,
    Items,
    Json,
    Metric,
    Out,
    Query,
    Seed,
    Time,
    User,
    Value,
    data_plan,
)
from twofold.cli.output import note, say, say_json
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError
from twofold.evaluation import compare as compare_models
from twofold.evaluation import evaluate as evaluate_model
from twofold.evaluation.report import write_page
from twofold.jobs import Job, SplitPlan
from twofold.split import Split, held_out

JobFile = Annotated[
    Path | None,
    typer.Argument(help="A TOML job: data, split, models, metrics.", show_default=False),
]
Kind = Annotated[
    str, typer.Option("--split", help="How to hold out; see `docs/splits.md`.", metavar="KIND")
]


def fit(
    model: Annotated[str, typer.Argument(help="A name of `twofold models`.", show_default=False)],
    data: Data,
    out: Out,
    settings: Annotated[
        list[str], typer.Option("--set", "-s", help="A hyperparameter, as name=value; repeatable.")
    ] = [],  # noqa: B006  typer reads the default
    split: Kind = "default",
    test: Annotated[
        float, typer.Option(help="Share held out for `evaluate`; 0 trains on everything.")
    ] = 0.1,
    seed: Seed = 0,
    user: User = "",
    item: Item = "",
    value: Value = "",
    time: Time = "",
    query: Query = "",
    items: Items = "",
    item_feature: ItemFeature = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train one model and save it.

    Example: `twofold fit IALS --data ratings.csv --out runs/ials --set factors=128`
    """
    cls = type(jobs.estimator(model, {}))
    estimator = jobs.estimator(model, jobs.assignments(settings, cls))
    plan = data_plan(
        data,
        user=user,
        item=item,
        value=value,
        time=time,
        query=query,
        items=items,
        item_feature=item_feature,
    )
    job = Job(plan, _share(split, test), {model: estimator}, {model: ()}, seed=seed)
    log = plan.read()
    _notes(log)
    cut = job.split.make(log, seed) if test else None
    run = runs.open_run(out, {**job.as_dict(), "held_out": test}, log, seed)
    note(f"training {model} on {cut.train if cut else log}")
    with runs.logged(run):
        fitted = estimator.fit(
            cut.train if cut else log, validation=cut.validation if cut else None, rng=seed
        )
    fitted.save(run.model)
    if json:
        say_json({"model": model, "out": str(out), "held_out": test})
        return
    say(f"saved {run.model}")
    say(
        f"next: twofold evaluate {out} --data {data}"
        if test
        else f"next: twofold recommend {out} --k 10 --out recommendations.parquet"
    )


def _share(kind: str, test: float) -> SplitPlan:
    if not 0 <= test < 1:
        raise ConfigError(f"--test must be a share, 0 <= test < 1; got {test:g}")
    takes_share = kind not in {"leave_last", "fixed_train"}
    options: dict[str, Any] = {"test": test} if test and takes_share else {}
    if kind in {"default", "temporal", "user_disjoint"}:
        options["validation"] = 0
    return SplitPlan(kind=kind, options=options)


def evaluate(
    folder: Folder,
    data: Data,
    metric: Metric = [],  # noqa: B006
    relevant_from: Annotated[
        float | None, typer.Option(help="The least value of a relevant event.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the report as a page.")] = None,
    seed: Seed = 0,
    user: User = "",
    item: Item = "",
    value: Value = "",
    time: Time = "",
    query: Query = "",
    items: Items = "",
    item_feature: ItemFeature = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Measure a model on what it was not trained on.

    With the data that it was made from, the part that `fit` held out is measured; other data are a
    held-out log as they are, without the pairs that training had.

    Example: `twofold evaluate runs/ials --data ratings.csv --metric ndcg@10`
    """
    path = runs.model_folder(folder)
    model = loading.load(path)
    log = data_plan(
        data,
        user=user,
        item=item,
        value=value,
        time=time,
        query=query,
        items=items,
        item_feature=item_feature,
    ).read()
    _notes(log)
    cut = _held_out(path, model.memory.log(), log)
    report = evaluate_model(model, cut, metric or None, relevant_from=relevant_from, rng=seed)
    if html is not None:
        note(f"wrote {report.to_html(html)}")
    say(report.to_json() if json else str(report))


def _held_out(path: Path, remembered: Dataset, log: Dataset) -> Split:
    """Return the split that the model's run made of `log`, or `log` itself as the test part."""
    found = runs.recorded(path)
    if found is None or found[1]["data_sha256"] != runs.fingerprint(log):
        return held_out(remembered, log)
    job, about = found
    if not job.get("held_out", True):
        raise DataError(
            "this model was trained on all of these data, so nothing in them can test it; "
            "give later data, or fit with --test 0.1"
        )
    cut = dict(job["split"])
    return SplitPlan(kind=cut.pop("kind"), options=cut).make(log, about["seed"])


def compare(
    job_file: JobFile = None,
    data: Annotated[
        str, typer.Option("--data", "-d", help="Without a job: a file or a name of `datasets`.")
    ] = "",
    model: Annotated[
        list[str], typer.Option("--model", help="Without a job: a model; repeatable.")
    ] = [],  # noqa: B006
    split: Kind = "default",
    metric: Metric = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder; the job may name it too.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train several models on one split and say which is best, with intervals and paired tests.

    An interrupted run goes on where it stopped when the same command is given again.

    Example: `twofold compare job.toml --out runs/first`, or `twofold compare --data ml-100k --model IALS --model EASE`
    """
    job = _job(job_file, data, model, split, metric, seed)
    if not job.models:
        raise ConfigError("a comparison needs models: a [models] section, or --model IALS")
    log = job.data.read()
    _notes(log)
    cut = job.split.make(log, job.seed)
    note(str(cut))
    target = out or (Path(job.out) if job.out else None)
    run = None if target is None else runs.open_run(target, job.as_dict(), log, job.seed)
    board = run_comparison(job, cut, run)
    say(board.to_json() if json else str(board))
    if run is not None:
        note(f"wrote {run.path / 'report.html'}")


def run_comparison(job: Job, cut: Split, run: runs.Run | None) -> Any:
    """Compare the models of a job on its split, keeping each result in the run as it comes."""
    plan = job.evaluation
    keywords: dict[str, Any] = {
        "part": plan.part,
        "exclude_seen": plan.exclude_seen,
        "unknown_items": plan.unknown_items,
        "relevant_from": plan.relevant_from,
        "confidence": plan.confidence,
        "rng": job.seed,
    }
    if run is None:
        return compare_models(job.models, cut, job.metrics, on_result=_progress, **keywords)

    def keep(name: str, result: Any, fitted: Any) -> None:
        run.keep(name, result, fitted)
        _progress(name, result, fitted)

    done = run.results()
    if done:
        note(f"going on: {', '.join(done)} done before")
    with runs.logged(run):
        board = compare_models(job.models, cut, job.metrics, done=done, on_result=keep, **keywords)
    run.finish(board)
    return board


def _progress(name: str, result: Any, fitted: Any) -> None:
    del fitted
    first = next(iter(result.report.values.items()))
    note(f"{name}: {first[0]} {first[1]:.4f}, trained in {result.fit_seconds:.1f} s")


def tune(
    job_file: JobFile = None,
    data: Annotated[
        str, typer.Option("--data", "-d", help="Without a job: a file or a name of `datasets`.")
    ] = "",
    model: Annotated[
        list[str], typer.Option("--model", help="Without a job: a model; repeatable.")
    ] = [],  # noqa: B006
    split: Kind = "default",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings in all, earlier ones included.")
    ] = None,
    out: Out = Path("tuned"),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Search hyperparameters over their declared ranges, on the validation part only.

    Values that the job sets stay as they are. An interrupted search goes on where it stopped. The
    result, `tuned.json`, is a job for `twofold compare`.

    Example: `twofold tune job.toml --trials 30 --out runs/tuned`
    """
    job = _job(job_file, data, model, split, [], seed)
    chosen = tuning.to_tune(job)
    log = job.data.read()
    _notes(log)
    cut = job.split.make(log, job.seed)
    run = runs.open_run(out, {**job.as_dict(), "metric": job.tune.metric}, log, job.seed)
    found: dict[str, tuning.Tuned] = {}
    with runs.logged(run):
        for name in chosen:
            found[name] = tuning.tune(job, cut, name, run.path / "trials", trials=trials)
            one = found[name]
            note(
                f"{name}: {job.tune.metric} {one.value:.4f} on the validation part, "
                f"{one.default:.4f} as the job had it; {one.trials} settings tried"
                + (f", {one.failed} failed" if one.failed else "")
            )
    best = job.as_dict()
    best["models"].update({name: tuning.table(one) for name, one in found.items()})
    write_page(run.path / "tuned.json", jsonlib.dumps(best, indent=1))
    if json:
        say_json({name: {"value": one.value, **tuning.table(one)} for name, one in found.items()})
        return
    for name, one in found.items():
        settings = " ".join(f"{k}={v}" for k, v in tuning.table(one).items() if k != "class")
        say(f"{name}  {job.tune.metric} {one.value:.4f} (was {one.default:.4f})  {settings}")
    say(f"next: twofold compare {run.path / 'tuned.json'}")


def _job(
    job_file: Path | None, data: str, model: list[str], split: str, metric: list[str], seed: int
) -> Job:
    if (job_file is None) == (not data):
        raise ConfigError("give a job file, or --data with --model; not both and not neither")
    if job_file is not None:
        if model or metric or seed or split != "default":
            raise ConfigError(
                "with a job file, models, metrics, split and seed are the file's; "
                "put them there, or leave the file out"
            )
        return jobs.read(job_file)
    table: dict[str, Any] = {
        "data": {},
        "split": {"kind": split},
        "models": {name: {} for name in model},
        "seed": seed,
    }
    if metric:
        table["metrics"] = metric
    checked = jobs.from_dict(table)
    return Job(
        jobs.DataPlan.of(data),
        checked.split,
        checked.models,
        checked.fixed,
        checked.metrics,
        seed=seed,
    )


def _notes(log: Dataset) -> None:
    for one in log.notes:
        note(f"note: {one}")
