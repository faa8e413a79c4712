"""What to do, written down: data, split, models and metrics, read from a TOML (or JSON) file.

Everything is checked before the first epoch; a wrong key or value is one sentence that names it.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import Field, PositiveInt

from twofold import datasets, models, split
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.hyperparameters import hyperparameters, names, values
from twofold.metrics import parse
from twofold.persistence import MANIFEST
from twofold.split import Split
from twofold.typing import Rng

T = TypeVar("T")

SPLITS: dict[str, Callable[..., Split]] = {
    "cold_items": split.cold_items,
    "cold_users": split.cold_users,
    "default": split.default,
    "fixed_train": split.fixed_train,
    "last_fraction": split.last_fraction,
    "leave_last": split.leave_last,
    "random": split.random,
    "temporal": split.temporal,
    "user_disjoint": split.user_disjoint,
}
"""The splits that a job may name."""
READ_ONLY = {"name", "source", "min_value", "min_user_events", "min_item_events"}
"""Fields of `DataPlan` that are not passed on to ``Dataset.read``."""

NO_COLUMN = "-"
"""Stands for no column where a person types; ``Dataset.read`` takes the empty string."""
MAY_LACK = {"value", "time"}
"""What a log may be without."""


@hyperparameters
class DataPlan:
    """Which log to read, and how."""

    name: str | None = None
    """A set of the catalogue (``twofold datasets``)."""
    source: str | None = None
    """A file (CSV, Parquet, JSON lines), a saved dataset folder, or a database URL with `query`."""
    user: str | None = None
    """Column of the user id; None = found by its usual names."""
    item: str | None = None
    """Column of the item id."""
    value: str | None = None
    """Column of the rating or count; "-" = there is none."""
    time: str | None = None
    """Column of the time; "-" = there is none."""
    query: str | None = None
    """SQL, where `source` is a database URL."""
    items: str | None = None
    """File of what is known of the items."""
    users: str | None = None
    """File of what is known of the users."""
    links: str | None = None
    """File of user-user pairs."""
    item_features: dict[str, str] = Field(default_factory=dict)
    """Item columns to read, with their kinds."""
    user_features: dict[str, str] = Field(default_factory=dict)
    """User columns to read, with their kinds."""
    context: dict[str, str] = Field(default_factory=dict)
    """Columns of the log to read as context, with their kinds."""
    min_value: float | None = None
    """Keep events with at least this value."""
    min_user_events: PositiveInt = 1
    """Keep users with at least so many events."""
    min_item_events: PositiveInt = 1
    """Keep items with at least so many events."""

    def read(self) -> Dataset:
        """Read and filter the log.

        Raises
        ------
        ConfigError
            If not exactly one of `name` and `source` is given.
        DataError
            If the data cannot be read.
        """
        if (self.name is None) == (self.source is None):
            raise ConfigError(
                'the data need a name of the catalogue (name = "ml-100k") or a source '
                '(source = "ratings.csv"), and not both'
            )
        if self.name is not None:
            data = datasets.load(self.name)
        elif (Path(str(self.source)) / MANIFEST).exists():
            data = Dataset.load(str(self.source))
        else:
            given = {name: one for name, one in values(self).items() if name not in READ_ONLY}
            given = {name: "" if one == NO_COLUMN else one for name, one in given.items()}
            said = {
                name: one for name, one in given.items() if one or (one == "" and name in MAY_LACK)
            }
            data = Dataset.read(str(self.source), **said)
        if self.min_value is not None:
            data = data.where_value(at_least=self.min_value)
        if self.min_user_events > 1 or self.min_item_events > 1:
            data = data.filter(
                min_user_events=self.min_user_events, min_item_events=self.min_item_events
            )
        return data

    @classmethod
    def of(cls, text: str, **columns: Any) -> DataPlan:
        """Read what a person typed: a path or URL that is there, or else a name of the catalogue."""
        given = {name: one for name, one in columns.items() if one}
        known = text in datasets.names() and not Path(text).exists()
        looks_like_path = "/" in text or "." in text or "\\" in text or Path(text).exists()
        if not known and not looks_like_path:
            raise DataError(
                f"no file and no data set is called {text!r}; {did_you_mean(text, datasets.names())}"
            )
        return cls(**({"name": text} if known else {"source": text}), **given)


@hyperparameters
class SplitPlan:
    """Which part is held out."""

    kind: str = "default"
    """A function of ``tw.split``; the default is global time where there are times."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Its arguments."""

    def __post_init__(self) -> None:
        """Check the name and the arguments."""
        if self.kind not in SPLITS:
            raise ConfigError(
                f"no split is called {self.kind!r}; {did_you_mean(self.kind, SPLITS)}"
            )
        allowed = [name for name in self._signature() if name not in {"data", "rng"}]
        for name in self.options:
            if name not in allowed:
                raise ConfigError(
                    f"split {self.kind} has no argument {name!r}; {did_you_mean(name, allowed)}"
                )

    def _signature(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(SPLITS[self.kind]).parameters

    def make(self, data: Dataset, rng: Rng) -> Split:
        """Cut the log; splits that draw use `rng`."""
        drawn = {"rng": rng} if "rng" in self._signature() else {}
        missing = [
            name
            for name, one in self._signature().items()
            if one.default is inspect.Parameter.empty and name not in {"data", *self.options}
        ]
        if missing:
            raise ConfigError(f"split {self.kind} needs the argument {missing[0]!r}")
        return SPLITS[self.kind](data, **self.options, **drawn)


@hyperparameters
class EvaluationPlan:
    """How the models are measured."""

    part: Literal["test", "validation"] = "test"
    """The held-out part."""
    exclude_seen: bool | None = None
    """Leave out what each user has used before; None = unless the split keeps repeats."""
    unknown_items: Literal["count", "drop"] = "count"
    """What becomes of targets that training never saw."""
    relevant_from: float | None = None
    """The least value of a relevant event."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the intervals."""


@hyperparameters
class TunePlan:
    """How hyperparameters are searched, on the validation part only."""

    trials: PositiveInt = 30
    """Settings tried for each model."""
    metric: str = "ndcg@10"
    """What is made best."""
    only: list[str] = Field(default_factory=list)
    """Models of the job to tune; empty = all that declare search ranges."""


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
        """Return the resolved job, every default written out; `from_dict` reads it back."""
        return {
            "seed": self.seed,
            "metrics": None if self.metrics is None else list(self.metrics),
            "data": values(self.data),
            "split": {"kind": self.split.kind, **self.split.options},
            "evaluation": values(self.evaluation),
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


def estimator(name: str, settings: Mapping[str, Any]) -> Any:
    """Build a model of the package from its class name and hyperparameters.

    Raises
    ------
    ConfigError
        If there is no such model, or a hyperparameter is unknown or wrong.
    """
    if name not in models.HOMES:
        raise ConfigError(
            f"no model is called {name!r}; {did_you_mean(name, sorted(models.HOMES))}"
        )
    return getattr(models, name)(**settings)


def from_dict(table: Mapping[str, Any]) -> Job:
    """Check a job that is already a mapping.

    Raises
    ------
    ConfigError
        If a key, a name or a value is wrong.
    """
    for key in table:
        if key not in SECTIONS:
            raise ConfigError(f"a job has no key {key!r}; {did_you_mean(key, SECTIONS)}")
    seed = table.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed must be an integer >= 0; got {seed!r}")
    if "data" not in table:
        raise ConfigError('a job needs a [data] section, for example name = "ml-100k"')
    cut = dict(table.get("split", {}))
    plan = SplitPlan(**({"kind": cut.pop("kind")} if "kind" in cut else {}), options=cut)
    made, fixed = model_tables(table.get("models", {}))
    metrics = table.get("metrics")
    if metrics is not None and (not isinstance(metrics, list) or not metrics):
        raise ConfigError(f'metrics must be a list such as ["ndcg@10"]; got {metrics!r}')
    tune = section(TunePlan, table.get("tune", {}), "tune")
    for one in [*(metrics or ()), tune.metric]:
        parse(str(one))
    for one in tune.only:
        if one not in made:
            raise ConfigError(f"[tune] only names the model {one!r}; {did_you_mean(one, made)}")
    return Job(
        data=section(DataPlan, table["data"], "data"),
        split=plan,
        models=made,
        fixed=fixed,
        metrics=None if metrics is None else tuple(str(one) for one in metrics),
        evaluation=section(EvaluationPlan, table.get("evaluation", {}), "evaluation"),
        tune=tune,
        seed=seed,
        out=table.get("out"),
    )


def model_tables(tables: object) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Build the models of a job; a table's name is its class unless it says ``class = ...``."""
    if not isinstance(tables, Mapping):
        raise ConfigError(f"[models] must hold a table a model; got {tables!r}")
    made: dict[str, Any] = {}
    fixed: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"[models.{name}] must be a table of hyperparameters; got {table!r}")
        if not re.fullmatch(r"[\w.+-]+( [\w.+-]+)*", name) or set(name) == {"."}:
            raise ConfigError(
                f"a model's name becomes a folder: letters, digits and . _ + - only; got {name!r}"
            )
        settings = {key: value for key, value in table.items() if key != "class"}
        made[name] = estimator(str(table.get("class", name)), settings)
        fixed[name] = tuple(settings)
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
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the job {path}: {error}") from error
    try:
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not a job: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} is not a job: it must be a table; got {type(table).__name__}")
    data = table.get("data")
    if isinstance(data, dict):
        for key in ("source", "items", "users", "links"):
            beside = path.parent / str(data.get(key))
            if isinstance(data.get(key), str) and beside.exists():
                data[key] = str(beside)
    return from_dict(table)


def assignments(texts: list[str], owner: type) -> dict[str, Any]:
    """Read ``name=value`` settings of a model; values are TOML, bare words are strings.

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
    found: dict[str, Any] = {}
    hints = get_type_hints(owner)
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--set takes name=value, for example factors=64; got {text!r}")
        if name not in hints:
            raise ConfigError(
                f"{owner.__name__} has no hyperparameter {name!r}; {did_you_mean(name, names(owner))}"
            )
        try:
            found[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = None if value == "None" else value
    return found
