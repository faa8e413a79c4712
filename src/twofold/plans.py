"""The parts of a job: which data, which split, how to measure, how to tune. Each is checked when it is made."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

from twofold import datasets, split
from twofold.data.dataset import Dataset
from twofold.data.moments import Moment, with_moments, with_regions
from twofold.data.odd_values import odd_values
from twofold.errors import ConfigError, DataError, DataWarning, did_you_mean
from twofold.evaluation.questions import policies
from twofold.evaluation.rolling import Asking
from twofold.hyperparameters import hyperparameters
from twofold.persistence import MANIFEST
from twofold.split import Split
from twofold.typing import Rng

SPLITS: dict[str, Callable[..., Split]] = {
    "cold_items": split.cold_items,
    "cold_users": split.cold_users,
    "default": split.default,
    "fixed_train": split.fixed_train,
    "last_basket": split.last_basket,
    "last_fraction": split.last_fraction,
    "last_trajectories": split.last_trajectories,
    "leave_last": split.leave_last,
    "random": split.random,
    "temporal": split.temporal,
    "user_disjoint": split.user_disjoint,
}
"""The splits that a job may name."""
PATHS = ("source", "items", "users", "links")
"""Fields of `DataPlan` that name files."""
KEEPS = ("min_value", "min_user_events", "min_item_events")
"""Fields of `DataPlan` that say which events are kept."""
NO_COLUMN = "-"
"""Stands for no column where a person types; ``Dataset.read`` takes the empty string."""
COLUMNS = (
    "user", "item", "value", "time", "query", "items", "users", "links", "item_features", "user_features", "context",
)  # fmt: skip
"""Fields of `DataPlan` that are passed on to ``Dataset.read``, beside `duplicates`."""


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
    moments: list[Moment] = Field(default_factory=list[Moment])
    """Context made of the times: hour, weekday, weekend, hour_of_week."""
    ahead: float | str = 0.0
    """Minutes that local time is ahead of UTC, for `moments`: a number, or a context column that says it."""
    region_km: Annotated[float, Field(ge=0)] = 0.0
    """Side in kilometres of the cells that become the item feature `region`, of items with a place; 0 = none."""
    duplicates: Literal["keep", "last", "sum", "mean"] = "keep"
    """What becomes of rows that repeat a pair."""
    min_value: float | None = None
    """Keep events with at least this value."""
    min_user_events: PositiveInt = 1
    """Keep users with at least so many events."""
    min_item_events: PositiveInt = 1
    """Keep items with at least so many events."""

    def __post_init__(self) -> None:
        """Check what can be checked without opening anything."""
        if (self.name is None) == (self.source is None):
            raise ConfigError(
                'the data need a name of the catalogue (name = "ml-100k") or a source '
                '(source = "ratings.csv"), and not both'
            )
        if self.name is not None:
            datasets.describe(self.name)
            if self.of_a_file:
                raise ConfigError(
                    f"{self.name} is a set of the catalogue, whose columns are known; "
                    f"leave out {', '.join(self.of_a_file)}, or give its file as the source"
                )
        for file, features in (("items", "item_features"), ("users", "user_features")):
            if getattr(self, features) and not getattr(self, file):
                raise ConfigError(
                    f"{features} are columns of a file of {file}, and none is named; "
                    f'give {file} = "{file}.csv" too, or read columns of the log as context'
                )
        if self.ahead and not self.moments:
            raise ConfigError('ahead goes with moments, such as moments = ["hour"]')
        if self.query and "://" not in str(self.source):
            raise ConfigError(f"a query needs a database URL as its source; got {self.source!r}")

    @property
    def of_a_file(self) -> list[str]:
        """Names of what is told of a file alone: a set that was read before has it already."""
        merged = [] if self.duplicates == default_of("duplicates") else ["duplicates"]
        return [name for name in COLUMNS if getattr(self, name)] + merged

    def read(self) -> Dataset:
        """Read and filter the log.

        Raises
        ------
        ConfigError
            If columns are named for a saved dataset, which has its own.
        DataError
            If the data cannot be read, or no event is kept.
        """
        given = {name: getattr(self, name) for name in COLUMNS if getattr(self, name)}
        if self.name is not None:
            data = datasets.load(self.name)
        elif (Path(str(self.source)) / MANIFEST).exists():
            if self.of_a_file:
                raise ConfigError(
                    f"{self.source} is a saved dataset, whose columns are known; "
                    f"leave out {', '.join(self.of_a_file)}"
                )
            data = Dataset.load(str(self.source))
        else:
            said = {name: "" if one == NO_COLUMN else one for name, one in given.items()}
            data = Dataset.read(str(self.source), duplicates=self.duplicates, **said)
        if self.moments:
            data = with_moments(data, *self.moments, offset=minutes(self.ahead))
        if self.region_km:
            data = with_regions(data, cell_km=self.region_km)
        return self.kept(data)

    def kept(self, data: Dataset) -> Dataset:
        """Return the events that are wanted.

        Raises
        ------
        DataError
            If none of them is, or values are asked for and the log has none.
        """
        made = data
        if self.min_value is not None:
            if not data.interactions.has_value:
                raise DataError(
                    f"min_value={self.min_value:g} needs values and the log has none; name their column, or leave it out"
                )
            made = made.where_value(at_least=self.min_value)
        if self.min_user_events > 1 or self.min_item_events > 1:
            made = made.filter(
                min_user_events=self.min_user_events, min_item_events=self.min_item_events
            )
        if len(data) and not len(made):
            given = {name: getattr(self, name) for name in KEEPS}
            said = ", ".join(f"{name}={one:g}" for name, one in given.items() if one != default_of(name))  # fmt: skip
            raise DataError(f"{said} leaves none of the {len(data):,} events; ask for less")
        for odd in odd_values(made.interactions.value):
            warnings.warn(odd, DataWarning, stacklevel=2)
        return made

    @classmethod
    def of(cls, text: str, **columns: Any) -> DataPlan:
        """Read what a person typed: a path or URL that is there, or else a name of the catalogue.

        Raises
        ------
        ConfigError
            If it looks like neither, or the columns do not go with it.
        """
        given: dict[str, Any] = {
            name: one for name, one in columns.items() if one not in ("", None)
        }
        if text in datasets.names() and not Path(text).exists():
            given["name"] = text
        elif any(sign in text for sign in "/.\\") or Path(text).exists():
            given["source"] = text
            given |= located(given, Path.cwd())
        else:
            raise ConfigError(
                f"no file and no data set is called {text!r}; {did_you_mean(text, datasets.names())}"
            )
        try:
            return cls(**given)
        except ConfigError as error:
            raise ConfigError(str(error).removeprefix(f"{cls.__name__}.")) from None


def default_of(name: str) -> Any:
    """Return the default of a key of a [data] section."""
    return next(one.default for one in dataclasses.fields(DataPlan) if one.name == name)  # pyright: ignore[reportArgumentType]


def minutes(ahead: float | str) -> float | str:
    """Return a number where a number was typed, and a column's name else."""
    try:
        return float(ahead)
    except ValueError:
        return ahead


def located(table: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the paths of a [data] table, taken from `folder` and made absolute; URLs stay as they are."""
    return {
        key: str((folder / table[key]).absolute())
        for key in PATHS
        if isinstance(table.get(key), str) and "://" not in table[key]
    }


@hyperparameters
class SplitPlan:
    """Which part is held out."""

    kind: str = "default"
    """A function of ``tw.split``; the default is global time where there are times."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Its arguments."""

    def __post_init__(self) -> None:
        """Check the name, and the arguments as far as that goes without the data."""
        allowed = self.arguments(self.kind)
        hints = get_type_hints(SPLITS[self.kind])
        for name, value in self.options.items():
            if name not in allowed:
                raise ConfigError(
                    f"split {self.kind} has no argument {name!r}; {did_you_mean(name, allowed)}"
                )
            _check_option(name, value, hints[name])
        for name in allowed:
            required = self._signature()[name].default is inspect.Parameter.empty
            if required and name not in self.options:
                raise ConfigError(
                    f"split {self.kind} needs {name}: write it in the [split] section of a job, or --split-option {name}=... on the command line"
                )
        shares = [self.options.get(name, 0) for name in ("test", "validation")]
        if not isinstance(shares[1], bool) and sum(shares) >= 1:
            raise ConfigError(
                f"test + validation must be below 1; got {shares[0]:g} + {shares[1]:g}"
            )

    @staticmethod
    def arguments(kind: str) -> list[str]:
        """Return the names of what a split can be told.

        Raises
        ------
        ConfigError
            If there is no such split.
        """
        if kind not in SPLITS:
            raise ConfigError(f"no split is called {kind!r}; {did_you_mean(kind, SPLITS)}")
        return [
            one for one in inspect.signature(SPLITS[kind]).parameters if one not in {"data", "rng"}
        ]

    def _signature(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(SPLITS[self.kind]).parameters

    def make(self, data: Dataset, rng: Rng) -> Split:
        """Cut the log; splits that draw use `rng`."""
        drawn = {"rng": rng} if "rng" in self._signature() else {}
        return SPLITS[self.kind](data, **self.options, **drawn)


def _check_option(name: str, value: object, hint: Any) -> None:
    """Check the type of one argument of a split, and that shares are shares and counts are counts."""
    try:
        TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(
            f"[split] {name} got {value!r}: {reason[0].lower()}{reason[1:]}"
        ) from None
    low = 0 if name == "validation" else None
    if hint is float and not (0 < float(str(value)) < 1 or value == low):
        sign = "0 <=" if low == 0 else "0 <"
        raise ConfigError(f"[split] {name} must be a share, {sign} {name} < 1; got {value!r}")
    if hint is int and int(str(value)) < 1:
        raise ConfigError(f"[split] {name} must be an integer >= 1; got {value!r}")


@hyperparameters
class EvaluationPlan:
    """How the models are measured."""

    part: Literal["test", "validation"] = "test"
    """The held-out part."""
    ask: Literal["each user", "each event", "each basket"] = "each user"
    """What is one question: each user, each held-out event, or what a user took at one time."""
    up_to_date: bool | None = None
    """Whether a question tells what its user did before it; None = where events or baskets are asked for."""
    new: Literal["before", "training"] | None = None
    """Ask only for items that the user never had before the question, or not in training."""
    exclude_seen: bool | None = None
    """Leave out what each user has used before; None = unless the split keeps repeats, or new is given."""
    unknown_items: Literal["count", "drop", "content"] = "count"
    """What becomes of targets that training never saw: missed, dropped, or placed by content."""
    candidates: Literal["all", "new"] = "all"
    """Which items are ranked; ``new`` = those that training never saw, placed by content."""
    relevant_from: float | None = None
    """The least value of a relevant event."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the intervals."""

    def __post_init__(self) -> None:
        """Check that the policies go together."""
        policies(self.unknown_items, self.candidates)

    @property
    def asking(self) -> Asking:
        """How the part is turned into questions."""
        return Asking(self.ask, self.up_to_date, self.new)


@hyperparameters
class TunePlan:
    """How hyperparameters are searched, on the validation part only."""

    trials: PositiveInt = 30
    """Settings tried for each model."""
    metric: str = "ndcg@10"
    """What is made best."""
    only: list[str] = Field(default_factory=list)
    """Models of the job to tune; empty = all that declare search ranges."""
