"""What to do, written down: data, split, models and metrics, read from a TOML (or JSON) file.

Everything is checked before the first epoch; a wrong key or value is one sentence that names it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from twofold import models
from twofold.data.passwords import without_passwords
from twofold.errors import ConfigError, did_you_mean, nearest
from twofold.hyperparameters import names, values
from twofold.metrics import parse
from twofold.pipeline import Pipeline
from twofold.plans import SPLITS, DataPlan, EvaluationPlan, SplitPlan, TunePlan, located
from twofold.ranges import named, with_parts

T = TypeVar("T")

NAME_KIND = "name=kind"
"""What an option is called that reads a column as a kind."""

MODEL_NAME = r"[\w+-][\w.+-]{0,99}( [\w.+-]{1,50}){0,5}"
"""What a model of a job may be called: its name becomes a folder."""


@dataclass(frozen=True)
class Job:
    """A checked job."""

    data: DataPlan
    split: SplitPlan
    models: Mapping[str, Any]
    """Estimators by name."""
    fixed: Mapping[str, tuple[str, ...]]
    """For each model, the hyperparameters that the job sets: `tune` leaves them alone."""
    metrics: tuple[str, ...] | None = None
    evaluation: EvaluationPlan = field(default_factory=EvaluationPlan)
    tune: TunePlan = field(default_factory=TunePlan)
    seed: int = 0
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the resolved job, every default written out; `from_dict` reads it back.

        A password in a database URL is left out.
        """
        data = values(self.data)
        if self.data.source is not None:
            data["source"] = without_passwords(self.data.source)
        return {
            "seed": self.seed,
            "metrics": None if self.metrics is None else list(self.metrics),
            "data": data,
            "split": {"kind": self.split.kind, **self.split.options},
            "evaluation": values(self.evaluation),
            "tune": values(self.tune),
            "models": {
                name: {"class": type(one).__name__, **values(one)}
                for name, one in self.models.items()
            },
        }


SECTIONS = ("data", "evaluation", "metrics", "models", "out", "seed", "split", "tune")


def section(cls: type[T], table: object, name: str) -> T:
    """Build one section of a job from its table, naming the section in every complaint."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}] must be a table of keys; got {table!r}")
    allowed = names(cls)
    for key in table:
        if key not in allowed:
            raise ConfigError(f"[{name}] has no key {key!r}; {did_you_mean(key, allowed)}")
    try:
        return cls(**table)
    except ConfigError as error:
        raise ConfigError(str(error).replace(f"{cls.__name__}.", f"[{name}] ")) from None


def estimator(name: object, settings: Mapping[str, Any]) -> Any:
    """Build a model of the package from its class name and hyperparameters.

    Raises
    ------
    ConfigError
        If there is no such model, or a hyperparameter is unknown or wrong.
    """
    if name == "Pipeline":
        return Pipeline(**settings)
    if not isinstance(name, str) or name not in models.HOMES:
        allowed = sorted({*models.HOMES, "Pipeline"})
        raise ConfigError(f"no model is called {name!r}; {did_you_mean(name, allowed)}")
    return getattr(models, name)(**settings)


def from_dict(table: Mapping[str, Any]) -> Job:
    """Check a job that is already a mapping.

    Raises
    ------
    ConfigError
        If a key, a name or a value is wrong, or a metric does not go with a model.
    """
    for key in table:
        if key not in SECTIONS:
            raise ConfigError(f"a job has no key {key!r}; {did_you_mean(key, SECTIONS)}")
    seed = table.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed must be an integer >= 0; got {seed!r}")
    out = table.get("out")
    if out is not None and (not isinstance(out, str) or not out):
        raise ConfigError(f'out must name a folder, such as "runs/first"; got {out!r}')
    if "data" not in table:
        raise ConfigError('a job needs a [data] section, for example name = "ml-100k"')
    cut = table.get("split", {})
    if not isinstance(cut, Mapping):
        raise ConfigError(f'[split] must be a table such as kind = "temporal"; got {cut!r}')
    options = {key: value for key, value in cut.items() if key != "kind"}
    if not isinstance(cut.get("kind", ""), str):
        raise ConfigError(f"[split] kind got {cut['kind']!r}; {did_you_mean(cut['kind'], SPLITS)}")
    plan = SplitPlan(**({"kind": cut["kind"]} if "kind" in cut else {}), options=options)
    made, fixed = model_tables(table.get("models", {}))
    metrics = table.get("metrics")
    if metrics is not None and (not isinstance(metrics, list) or not metrics):
        raise ConfigError(f'metrics must be a list such as ["ndcg@10"]; got {metrics!r}')
    tune = section(TunePlan, table.get("tune", {}), "tune")
    for one in tune.only:
        if one not in made:
            raise ConfigError(f"[tune] only names the model {one!r}; {did_you_mean(one, made)}")
    check_metrics([str(one) for one in metrics or ()], made)
    check_metrics([tune.metric], {name: made[name] for name in tune.only or made})
    return Job(
        data=section(DataPlan, table["data"], "data"),
        split=plan,
        models=made,
        fixed=fixed,
        metrics=None if metrics is None else tuple(str(one) for one in metrics),
        evaluation=section(EvaluationPlan, table.get("evaluation", {}), "evaluation"),
        tune=tune,
        seed=seed,
        out=out,
    )


def tuning_for(job: Job, metric: str) -> Job:
    """Return the job with another metric to make best."""
    return replace(job, metrics=None, tune=replace(job.tune, metric=metric))


def check_metrics(metrics: list[str], made: Mapping[str, Any]) -> None:
    """Check that the metrics exist, and that models which are asked for ratings predict them.

    Raises
    ------
    ConfigError
        If not.
    """
    for metric in map(parse, metrics):
        silent = [name for name, one in made.items() if not predicts_values(one)]
        if metric.family == "rating" and silent:
            raise ConfigError(
                f"{metric.name} needs models that predict ratings, and {', '.join(silent)} "
                f"{'do' if len(silent) > 1 else 'does'} not; leave out the metric or the model"
            )


def predicts_values(estimator: Any) -> bool:
    """Say whether what `estimator` fits predicts ratings, before it is fitted."""
    made = get_type_hints(type(estimator).fit).get("return")
    return bool(getattr(made, "predicts_values", False))


def model_tables(tables: object) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Build the models of a job; a table's name is its class unless it says ``class = ...``."""
    if not isinstance(tables, Mapping):
        raise ConfigError(f"[models] must hold a table a model; got {tables!r}")
    made: dict[str, Any] = {}
    fixed: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"[models.{name}] must be a table of hyperparameters; got {table!r}")
        if not re.fullmatch(MODEL_NAME, name):
            raise ConfigError(
                f"a model's name becomes a folder: letters, digits and . _ + - only, "
                f"100 at most, no dot in front; got {name!r}"
            )
        settings = {key: value for key, value in table.items() if key != "class"}
        if "class" not in table and name not in {*models.HOMES, "Pipeline"}:
            raise ConfigError(
                f"[models.{name}] is no name of a model; {did_you_mean(name, [*models.HOMES, 'Pipeline'])}, or "
                f'call it as you like and say which it is: class = "IALS"'
            )
        try:
            made[name] = estimator(table.get("class", name), settings)
        except ConfigError as error:
            raise ConfigError(f"[models.{name}] {error}") from None
        fixed[name] = named(settings)
    return made, fixed


def read(path: str | Path) -> Job:
    """Read and check a job file; relative paths in it are taken from the file's folder.

    Raises
    ------
    ConfigError
        If the file is not there, is not TOML (or JSON), or says something wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the job {path} is not UTF-8 text; save it as UTF-8") from error
    except FileNotFoundError as error:
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest(path.name, sorted(one.name for one in there))
        hint = f"; did you mean {str(path.with_name(near))!r}?" if near else ""
        raise ConfigError(f"there is no job {path}{hint}") from error
    except OSError as error:
        raise ConfigError(f"cannot read the job {path}: {error.strerror}") from error
    try:
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not a job: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} is not a job: it must be a table; got {type(table).__name__}")
    if isinstance(table.get("data"), dict):
        table["data"] |= located(table["data"], path.parent)
    if isinstance(table.get("out"), str) and table["out"]:
        table["out"] = str((path.parent / table["out"]).absolute())
    return from_dict(table)


def assignments(texts: list[str], owner: type) -> dict[str, Any]:
    """Read ``name=value`` settings of a model; values are TOML, tables and lists also JSON, bare words strings.

    A name of a part, such as ``network.dropout``, sets it in the table of the part (`with_parts`).

    Example
    -------
    >>> import twofold as tw
    >>> assignments(["factors=8", "zeros=all"], tw.models.IALS)
    {'factors': 8, 'zeros': 'all'}

    Raises
    ------
    ConfigError
        If a text has no ``=`` or the model has no such hyperparameter.
    """
    hints = get_type_hints(owner)
    found = typed(texts, "--set", "factors=64")
    for name in found:
        first = name.split(".")[0]
        if first not in hints:
            raise ConfigError(
                f"{owner.__name__} has no hyperparameter {name!r}; {did_you_mean(first, names(owner))}"
            )
    return with_parts(owner, found)


def split_options(texts: list[str]) -> dict[str, Any]:
    """Read ``name=value`` arguments of a split; `SplitPlan` checks the names."""
    return typed(texts, "--split-option", "gap=21600")


def typed(texts: list[str], option: str, example: str, form: str = "name=value") -> dict[str, Any]:
    """Read ``name=value`` as typed behind an option; see `assignments`. `form` is what it is called in complaints.

    A kind holds no ``=``, so that the name of a column may.

    Raises
    ------
    ConfigError
        If a text has no ``=``, a name comes twice, or a table or list cannot be read.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.rpartition("=") if form == NAME_KIND else text.partition("=")
        if not sign:
            raise ConfigError(f"{option} takes {form}, for example {example}; got {text!r}")
        if name in found:
            raise ConfigError(f"{option} {name} is given twice; give it once")
        found[name] = _value(f"{option} {name}", value)
    return found


def _value(name: str, text: str) -> Any:
    """Read what stands behind the ``=``: TOML, a table or list also as JSON, else a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if not text.startswith(("{", "[")):
            return None if text in ("none", "None", "null") else text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if words := re.fullmatch(r"\[([^\[\]{}\"']*)\]", text):
            return [_value(name, one.strip()) for one in words[1].split(",") if one.strip()]
        kind = "table" if text.startswith("{") else "list"
        example = '{method = "sgd", epochs = 3}' if kind == "table" else '["age", "genre"]'
        raise ConfigError(
            f"{name} got {text!r}, which is no {kind} in TOML or JSON; write it like {example}"
        ) from error
