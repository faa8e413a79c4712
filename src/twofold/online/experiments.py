"""Experiments, declared: variants and weights, layers, ramp-up, metrics; read from a TOML file.

A wrong key or value is one sentence that names it, before anybody is assigned.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat

from twofold.errors import ConfigError, did_you_mean, nearest
from twofold.hyperparameters import hyperparameters, names, values
from twofold.online.list_policies import Policy, policy_of
from twofold.online.moments import seconds, written
from twofold.online.outcomes import ClickThrough, Conversion, Retention, Revenue, WatchTime

KEYS = ("experiments", "explore", "salt")
"""Keys of a file."""
METRICS: Mapping[str, type] = {
    "click_through": ClickThrough,
    "conversion": Conversion,
    "retention": Retention,
    "revenue": Revenue,
    "watch_time": WatchTime,
}
"""Kinds of metrics by name."""
AnyMetric = Annotated[
    ClickThrough | Conversion | Revenue | WatchTime | Retention, Field(discriminator="kind")
]


def _as_text(model: Any) -> Any:
    """Return the number of a version as the text that it may be written as too."""
    return str(model) if isinstance(model, int) and not isinstance(model, bool) else model


@hyperparameters
class Variant:
    """One of the things that are compared."""

    weight: PositiveFloat = 1.0
    """Its share is the weight over the sum of weights."""
    model: Annotated[str, BeforeValidator(_as_text)] | None = None
    """What answers: a model or version of the server's registry; None = the live one."""
    explore: Policy | None = None
    """Lists are drawn, with chances that are logged, so that off-policy estimates can be made; None = the best first."""


@hyperparameters
class Step:
    """From a moment on, a share of the experiment's units takes part."""

    at: datetime | date | float
    """When; without a zone it is UTC."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Of the experiment's own slice of its layer; it never falls from one step to the next."""


@hyperparameters
class Experiment:
    """Who gets which variant, when, and what is measured."""

    variants: dict[str, Variant] = Field(default_factory=dict)
    """By name, at least two."""
    control: str = "control"
    """The variant that the others are compared with."""
    unit: Literal["user", "session"] = "user"
    """What is assigned, and what is counted once."""
    layer: str = "default"
    """Experiments of one layer share its units without overlap; layers are independent of each other."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the layer's units, how many may take part."""
    place: float | None = Field(default=None, ge=0, lt=1)
    """Where its slice of the layer begins; None = behind those declared before. Write it down to add or remove others."""
    salt: str = ""
    """Another salt draws all variants anew; "" = the name of the experiment."""
    start: datetime | date | float | None = None
    """Nobody is assigned before."""
    stop: datetime | date | float | None = None
    """Nobody is assigned from then on; the planned end of a fixed test."""
    ramp: tuple[Step, ...] = ()
    """Shares over time, in order; empty = everybody from the start."""
    method: Literal["ab_test", "team_draft", "balanced"] = "ab_test"
    """Every unit one variant, or every list interleaved from the two variants."""
    test: Literal["sequential", "fixed"] = "sequential"
    """Looked at any day, or once at the stop."""
    planned_units: float | None = Field(default=None, gt=0)
    """Units of all variants for which the sequential test is tightest (``twofold experiment plan``)."""
    alpha: float = Field(default=0.05, gt=0, lt=0.3)
    """False positives that are accepted, over all metrics and treatments together."""
    before_days: float = Field(default=14.0, ge=0)
    """Days before a unit's first exposure that CUPED reads; 0 = no CUPED."""
    metrics: dict[str, AnyMetric] = Field(default_factory=lambda: {"click_through": ClickThrough()})
    """By name; the first one is what the experiment is decided by."""

    def __post_init__(self) -> None:
        """Check what spans several fields."""
        if len(self.variants) < 2:
            raise ConfigError(f"an experiment needs at least two variants; got {list(self.variants)}")  # fmt: skip
        if self.control not in self.variants:
            raise ConfigError(f"control names the variant {self.control!r}; {did_you_mean(self.control, self.variants)}")  # fmt: skip
        if self.method != "ab_test" and len(self.variants) != 2:
            raise ConfigError(f"{self.method} interleaves exactly two variants; got {list(self.variants)}")  # fmt: skip
        if self.method != "ab_test":
            self._check_interleaving()
        if not self.metrics:
            raise ConfigError('an experiment needs a metric, such as metrics.ctr = { kind = "click_through" }')  # fmt: skip
        if self.test == "fixed" and self.stop is None:
            raise ConfigError(
                'a fixed test is looked at once, at the stop: declare stop, or test = "sequential"'
            )
        if self.begins >= self.ends:
            raise ConfigError(f"stop must be after start; got {self.start} ... {self.stop}")
        times = [seconds(one.at, 0.0) for one in self.ramp]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ConfigError("the steps of a ramp must be in order of time")
        rising = [one.share for one in self.ramp]
        if any(later < earlier for earlier, later in pairwise(rising)):
            raise ConfigError(f"the shares of a ramp must not fall; got {rising}: stop the experiment instead")  # fmt: skip

    def _check_interleaving(self) -> None:
        for name, one in self.variants.items():
            if one.explore is not None:
                raise ConfigError(f"{self.method} draws its lists itself: leave explore out of the variant {name!r}")  # fmt: skip
        if len({one.weight for one in self.variants.values()}) > 1:
            raise ConfigError(f"{self.method} shows both variants in every list: leave their weights out")  # fmt: skip
        if self.metrics and not isinstance(next(iter(self.metrics.values())), ClickThrough):
            raise ConfigError(f"{self.method} is credited by clicks: the first metric must be a click_through")  # fmt: skip

    @property
    def changes_lists(self) -> bool:
        """Whether it says what a server answers: a model, exploration, or lists of two models."""
        told = self.variants.values()
        return self.method != "ab_test" or any(one.model is not None or one.explore is not None for one in told)  # fmt: skip

    @property
    def begins(self) -> float:
        """The start as seconds since 1970; minus infinity where none is declared."""
        return seconds(self.start, -math.inf)

    @property
    def ends(self) -> float:
        """The stop as seconds since 1970; infinity where none is declared."""
        return seconds(self.stop, math.inf)

    def ramped(self, time: float) -> float:
        """Return the share of the slice that takes part at a time, in 0 ... 1."""
        if not self.begins <= time < self.ends:
            return 0.0
        if not self.ramp:
            return 1.0
        passed = [one.share for one in self.ramp if seconds(one.at, 0.0) <= time]
        return passed[-1] if passed else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """An experiment with its part of a layer."""

    name: str
    experiment: Experiment
    low: float
    high: float

    @property
    def salt(self) -> str:
        """What its variants are drawn with."""
        return self.experiment.salt or self.name


@dataclass(frozen=True, slots=True)
class Experiments:
    """All experiments that run together; made by `from_dict` and `read`."""

    slices: Mapping[str, Slice]
    salt: str = ""
    """Of the layers; another one draws all memberships anew."""
    explore: Policy | None = None
    """How lists are drawn for those to whom no experiment answers; None = the best first."""

    def __getitem__(self, name: str) -> Slice:
        """Return an experiment by its name.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if name not in self.slices:
            raise ConfigError(f"no experiment is called {name!r}; {did_you_mean(name, self.slices)}")  # fmt: skip
        return self.slices[name]

    def as_dict(self) -> dict[str, Any]:
        """Return the declarations, every default written out; `from_dict` reads them back."""
        return {
            "salt": self.salt,
            "explore": None if self.explore is None else values(self.explore),
            "experiments": {name: _written(one) for name, one in self.slices.items()},
        }


def _written(one: Slice) -> dict[str, Any]:
    """Return a declaration as plain values, its moments in UTC."""
    plan = one.experiment
    steps = [{"at": written(step.at), "share": step.share} for step in plan.ramp]
    moments = {"start": written(plan.start), "stop": written(plan.stop), "ramp": steps}
    return {**values(plan), **moments, "place": one.low}


def placed(
    experiments: Mapping[str, Experiment], salt: str = "", explore: Policy | None = None
) -> Experiments:
    """Give every experiment its slice of its layer.

    Raises
    ------
    ConfigError
        If slices of one layer overlap or do not fit, or its experiments assign different units.
    """
    made: dict[str, Slice] = {}
    for name, one in experiments.items():
        others = [other for other in made.values() if other.experiment.layer == one.layer]
        behind = max((other.high for other in others), default=0.0)
        low = behind if one.place is None else one.place
        high = low + one.share
        if high > 1 + 1e-9:
            raise ConfigError(
                f"experiment {name!r} does not fit into layer {one.layer!r}: its slice would be "
                f"{low:g} ... {high:g} of 1; take a smaller share or another layer"
            )
        for other in others:
            if low < other.high - 1e-9 and other.low < high - 1e-9:
                raise ConfigError(
                    f"experiments {other.name!r} and {name!r} overlap in layer {one.layer!r}: "
                    f"{other.low:g} ... {other.high:g} and {low:g} ... {high:g}; change place or share"
                )
            if other.experiment.unit != one.unit:
                raise ConfigError(
                    f"experiments {other.name!r} and {name!r} of layer {one.layer!r} assign by "
                    f"{other.experiment.unit} and by {one.unit}: give them layers of their own"
                )
        made[name] = Slice(name, one, low, min(high, 1.0))
    return Experiments(made, salt, explore)


def from_dict(table: Mapping[str, Any]) -> Experiments:
    """Check experiments that are already a mapping.

    Raises
    ------
    ConfigError
        If a key or a value is wrong.

    Example
    -------
    >>> made = from_dict({"experiments": {"ranker": {"variants": {"control": {}, "new": {"weight": 2}}}}})
    >>> made["ranker"].experiment.variants["new"].weight
    2.0
    """
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"the file has no key {key!r}; {did_you_mean(key, KEYS)}")
    explore = None if table.get("explore") is None else policy_of("explore", table["explore"])
    given, salt = table.get("experiments", {}), table.get("salt", "")
    if not isinstance(given, Mapping) or not (given or explore):
        raise ConfigError("the file needs an experiment: write a section such as [experiments.ranker]")  # fmt: skip
    if not isinstance(salt, str):
        raise ConfigError(f"salt must be a text; got {salt!r}")
    made: dict[str, Experiment] = {}
    for name, one in given.items():
        if not isinstance(one, Mapping):
            raise ConfigError(f"[experiments.{name}] must be a table of keys; got {one!r}")
        _check_keys(f"experiments.{name}", one, Experiment)
        _check_parts(f"experiments.{name}", one)
        try:
            made[str(name)] = Experiment(**one)
        except ConfigError as error:
            said = str(error).replace("Experiment.", "").replace("no hyperparameter", "no key")
            raise ConfigError(f"[experiments.{name}] {said}") from None
    return placed(made, salt, explore)


def _check_keys(place: str, table: object, cls: type) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{place}] must be a table of keys; got {table!r}")
    for key in table:
        if key not in names(cls):
            raise ConfigError(f"[{place}] has no key {key!r}; {did_you_mean(key, names(cls))}")


def _check_parts(place: str, table: Mapping[str, Any]) -> None:
    """Check the keys of the tables inside an experiment; their values are checked where it is made."""
    for part in ("variants", "metrics"):
        given = table.get(part, {})
        if not isinstance(given, Mapping):
            raise ConfigError(f"[{place}] {part} must hold a table each; got {given!r}")
        for name, one in given.items():
            inside = f"{place}.{part}.{name}"
            kind = one.get("kind") if part == "metrics" and isinstance(one, Mapping) else None
            if part == "metrics" and (not isinstance(kind, str) or kind not in METRICS):
                raise ConfigError(f"[{inside}] kind got {kind!r}; {did_you_mean(kind, METRICS)}")
            _check_keys(inside, one, Variant if kind is None else METRICS[kind])
            if part == "variants" and one.get("explore") is not None:
                policy_of(f"{inside}.explore", one["explore"])
    ramp = table.get("ramp", ())
    if not isinstance(ramp, list | tuple):
        raise ConfigError(f"[{place}] ramp must be a list of steps; got {ramp!r}")
    for step in ramp:
        _check_keys(f"{place}.ramp", step, Step)


def read(path: str | Path) -> Experiments:
    """Read and check a TOML (or JSON) file of experiments.

    Raises
    ------
    ConfigError
        If the file is not there, is not such, or says something wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest(path.name, sorted(one.name for one in there))
        hint = f"; did you mean {str(path.with_name(near))!r}?" if near else ""
        raise ConfigError(f"there is no file {path}{hint}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} holds no experiments: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} must be a table; got {type(table).__name__}")
    return from_dict(table)
