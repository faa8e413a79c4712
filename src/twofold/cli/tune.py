"""The command that searches hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twofold import jobs, runs, tuning
from twofold.cli.checks import check_split
from twofold.cli.compare import job_of
from twofold.cli.options import (
    DataInstead,
    JobFile,
    Kind,
    Models,
    Out,
    Seed,
    SplitOption,
    read_log,
    reads_a_log,
)
from twofold.cli.output import Json, interruptible, note, say, say_json, table
from twofold.drafts import write_page
from twofold.models.baselines.popularity import Popularity
from twofold.toml_text import to_toml

SHOWN = 5
"""Trials of a model that are printed; all stand in its table."""


@reads_a_log
def tune(
    job_file: JobFile = None,
    data: DataInstead = "",
    model: Models = [],  # noqa: B006
    split: Kind = "default",
    split_option: SplitOption = [],  # noqa: B006
    metric: Annotated[
        str, typer.Option("--metric", "-m", help="Without a job: what is made best.")
    ] = "",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings in all, earlier ones included.")
    ] = None,
    out: Out = Path("tuned"),
    seed: Seed = 0,
    json: Json = False,
    *,
    said: dict[str, Any],
) -> None:
    """Search hyperparameters over their declared ranges, on the validation part only.

    Values that the job sets stay as they are. An interrupted search goes on where it stopped. The
    run folder gets a table of all trials, `trials/NAME.csv`, and `tuned.toml`, a job for `twofold compare`
    with the best setting of each model.

    Example: `twofold tune job.toml --trials 30 --out runs/tuned`
    """
    metrics = [metric] if metric else []
    job = job_of(
        job_file, data, list(model), split, split_option, metrics, {}, seed, said, validation=True
    )
    if metric:
        job = jobs.tuning_for(job, metric)
    chosen = tuning.to_tune(job)
    tuning.need_optuna()
    open_to = {one for one, made in job.models.items() if not isinstance(made, Popularity)}
    if left := [one for one in job.tune.only or job.models if one in open_to - {*chosen}]:
        note(
            f"note: {', '.join(left)}: not tuned, for nothing that the job leaves open has a search range; "
            "beside tuned models it is compared as the job has it"
        )
    log = read_log(job.data)
    cut = job.split.make(log, job.seed)
    note(str(cut))
    tuning.check_validation(cut)
    check_split(job, cut)
    asked = {
        **job.as_dict(),
        "searched": {"metric": job.tune.metric, "fixed": {one: job.fixed[one] for one in chosen}},
    }
    run = runs.open_run(out, asked, log, job.seed)
    kept = f"finished trials are kept in {run.path}; the same command goes on from there"
    found: dict[str, tuning.Tuned] = {}
    with runs.at_work(run), interruptible(kept):
        for name in chosen:
            one = found[name] = tuning.tune_job(job, cut, name, run.path / "trials", trials=trials)
            note(
                f"{name}: {job.tune.metric} {one.value:.4f} on the validation part, "
                f"{one.default:.4f} as the job had it; {one.trials} settings tried"
                + (f", {one.failed} failed" if one.failed else "")
            )
            if one.idle:
                note(
                    f"note: {name}: all settings have the same {job.tune.metric}, so {' and '.join(one.idle)} change nothing here; "
                    "give other hyperparameters of it by hand"
                )
        best = job.as_dict()
        best["models"].update({name: tuning.table(one) for name, one in found.items()})
        target = write_page(run.path / "tuned.toml", to_toml(best))
    if json:
        say_json(
            {
                name: {
                    "value": one.value,
                    "default": one.default,
                    **tuning.table(one),
                    "trials": one.table.to_dicts(),
                }
                for name, one in found.items()
            }
        )
        return
    for name, one in found.items():
        say(f"{name}: the best {min(SHOWN, len(one.table))} of {len(one.table)} trials")
        say(f"{table(one.table.head(SHOWN))}\n")
    say(f"all trials: {run.path / 'trials'}")
    say(f"next: twofold compare {target} --out runs/compared")
