"""Several models on one split: a leaderboard with intervals and paired tests."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from twofold.data.dataset import Dataset
from twofold.drafts import write_page
from twofold.errors import ConfigError, TwofoldError
from twofold.evaluation import page
from twofold.evaluation.questions import CandidateItems, UnknownItems, policies
from twofold.evaluation.report import Report
from twofold.evaluation.rolling import Ask, Asking, New
from twofold.evaluation.run import chosen_metrics, measure
from twofold.evaluation.uncertainty import holm, paired_test
from twofold.expected import check_models, check_split
from twofold.hyperparameters import values as hyperparameter_values
from twofold.metrics import parse
from twofold.models._base import FittedModel
from twofold.models.baselines.mean_rating import MeanRating
from twofold.models.baselines.popularity import Popularity
from twofold.random import seed_of
from twofold.split import Split, check_leaks
from twofold.typing import Rng

SIGNIFICANT = 0.05
"""Corrected p-values from here on read "no difference shown"."""
ENOUGH = 20
"""Users of whom it is no chance that two models have the same value for each."""
BASELINE = "popularity"
"""The row that is added where no model is `Popularity`."""
RATING_BASELINE = "mean rating"
"""The row that is added in its place where ratings are predicted and no model is `MeanRating`."""


class Estimator(Protocol):
    """Hyperparameters with a ``fit``."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedModel:
        """Train."""
        ...


@dataclass(frozen=True, eq=False)
class Result:
    """One model's row."""

    report: Report
    fit_seconds: float
    hyperparameters: str
    """As JSON."""


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Results by name, best first by the first metric."""

    results: Mapping[str, Result]
    p_values: Mapping[str, Mapping[str, float]]
    """Metric -> model -> p-value of the paired test against the first model, Holm-corrected over all pairs."""
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Models that could not be fitted or measured -> why."""

    @property
    def best(self) -> str:
        """The name of the first model."""
        return next(iter(self.results))

    @property
    def metrics(self) -> list[str]:
        """The metrics that every model has; the first one orders the table."""
        reports = [one.report for one in self.results.values()]
        return [name for name in reports[0].values if all(name in one.values for one in reports)]

    def frame(self) -> pl.DataFrame:
        """Return a row a model and metric: model, metric, value, low, high, p, fit_seconds."""
        rows = [
            {
                "model": name,
                "metric": metric,
                "value": one.report.values[metric],
                "low": one.report.intervals[metric][0],
                "high": one.report.intervals[metric][1],
                "p": self.p_values.get(metric, {}).get(name),
                "fit_seconds": one.fit_seconds,
            }
            for name, one in self.results.items()
            for metric in one.report.values
        ]
        return pl.DataFrame(rows, schema_overrides={"p": pl.Float64})

    def verdict(self, name: str, metric: str) -> str:
        """Say how a model compares with the best: ``best``, ``p=...`` or ``no difference shown``."""
        if name == self.best:
            return "best"
        p = self.p_values.get(metric, {}).get(name)
        if p is None:
            return ""
        return "no difference shown" if p >= SIGNIFICANT else f"p={p:.2g}"

    @property
    def alike(self) -> list[list[str]]:
        """Models that have the same value for each of at least `ENOUGH` users, in every metric, and not 0 for all."""
        groups: dict[bytes, list[str]] = {}
        for name, one in self.results.items():
            values = [one.report.totals[m] for m in self.metrics if m in one.report.totals]
            if one.report.n_users < ENOUGH or not any(np.any(each) for each in values):
                continue
            groups.setdefault(b"".join(np.asarray(each).tobytes() for each in values), []).append(
                name
            )
        return [names for names in groups.values() if len(names) > 1]

    @property
    def below(self) -> tuple[str, list[str]]:
        """The name of the baseline, and the models whose interval in the first metric lies beyond its own, on the worse side."""
        metric, names = self.metrics[0], list(self.results)
        for at, name in enumerate(names):
            if self.results[name].report.model in (Popularity.__name__, MeanRating.__name__):
                low, high = self.results[name].report.intervals[metric]
                others = {
                    one: self.results[one].report.intervals[metric] for one in names[at + 1 :]
                }
                return name, [one for one, own in others.items() if own[1] < low or own[0] > high]
        return "", []

    @property
    def without(self) -> list[str]:
        """A line for each model that could not be fitted or measured."""
        return [f"without {name}, which could not be fitted or measured: {why}" for name, why in self.failed.items()]  # fmt: skip

    def __str__(self) -> str:
        """Return the table: values with intervals, and how each model compares with the best."""
        metrics = self.metrics
        head = ["model", *metrics, "training s", f"against {self.best} ({metrics[0]})"]
        rows = [head]
        for name, one in self.results.items():
            cells = [_cell(one.report, metric) for metric in metrics]
            rows.append([name, *cells, f"{one.fit_seconds:.1f}", self.verdict(name, metrics[0])])
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        lines = [
            "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        report = self.results[self.best].report
        foot = (
            f"{report.n_users:,} users of the {report.part} part of {report.split}; ±: half the "
            f"{report.confidence:.0%} bootstrap interval over users; p: paired t test, Holm-corrected."
        )
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *self.without, foot])

    __repr__ = __str__

    def to_json(self) -> str:
        """Return the leaderboard as JSON."""
        body = {
            "best": self.best,
            "order": self.metrics[0],
            "models": {
                name: {
                    "fit_seconds": one.fit_seconds,
                    "hyperparameters": json.loads(one.hyperparameters),
                    "report": one.report.as_dict(),
                    "p_values": {m: p[name] for m, p in self.p_values.items() if name in p},
                }
                for name, one in self.results.items()
            },
            "failed": dict(self.failed),
        }
        return json.dumps(body, indent=1, allow_nan=False)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page: the table, intervals, accuracy against training time and coverage.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        rows = {
            name: page.Entry(
                one.fit_seconds,
                {m: (v, *one.report.intervals[m]) for m, v in one.report.values.items()},
                {m: self.verdict(name, m) for m in self.metrics},
                one.hyperparameters,
            )
            for name, one in self.results.items()
        }
        definitions = {
            name: page.Definition(parse(name).definition, parse(name).higher_is_better)
            for name in self.metrics
        }
        report = self.results[self.best].report
        slices = {
            name: [(one.label, one.n_users, one.values) for one in result.report.slices]
            for name, result in self.results.items()
        }
        told = page.leaderboard(report.occasion(), rows, definitions, slices, self.failed)
        return write_page(path, told)


def _cell(report: Report, metric: str) -> str:
    low, high = report.intervals[metric]
    value = f"{report.values[metric]:.4f}"
    return value if math.isnan(low) else f"{value} ±{(high - low) / 2:.4f}"


def compare(
    models: Mapping[str, Estimator | FittedModel],
    split: Split,
    metrics: Sequence[str] | None = None,
    *,
    part: str = "test",
    ask: Ask = "each user",
    up_to_date: bool | None = None,
    new: New | None = None,
    exclude_seen: bool | None = None,
    unknown_items: UnknownItems = "count",
    candidates: CandidateItems = "all",
    relevant_from: float | None = None,
    confidence: float = 0.95,
    rng: Rng = 0,
    done: Mapping[str, Result] | None = None,
    on_result: Callable[[str, Result, FittedModel], None] | None = None,
    on_failure: Callable[[str, TwofoldError], None] | None = None,
) -> Leaderboard:
    """Fit and measure models on one split; popularity is added unless a model is `Popularity` or has its name.

    Where `metrics` names rating errors (rmse, mae) mean ratings are added in its place, as popularity predicts none.

    Parameters
    ----------
    models
        Estimators to be fitted on ``split.train``, or models fitted on it, by name.
    split
        The split; its leak check runs first, once.
    metrics, part, ask, up_to_date, new, exclude_seen, unknown_items, candidates, relevant_from, confidence
        See `evaluate`. The first metric orders the table.
    rng
        Seed: every model is fitted and measured with the same one.
    done
        Results of an earlier, interrupted run; these models are not fitted again.
    on_result
        Called with the name, the result and the fitted model as soon as each is there.
    on_failure
        Called with the name and the error of a model that diverged, or cannot be fitted to these data or measured so; the others go
        on, and the leaderboard says which is missing. Without it the comparison ends there, and also where no model can be fitted.

    Raises
    ------
    ConfigError
        If there are no models, or a metric or setting does not exist.
    LeakError
        If training knows something about the held-out part.
    DataError
        If items are to be placed by content and a model that is no baseline does not read it.
    """
    check_models(models, "compare")
    check_split(split, "compare")
    if not models:
        raise ConfigError("compare needs at least one model; got none")
    policies(unknown_items, candidates)
    asking = Asking(ask, up_to_date, new)
    entries = dict(models)
    rating = any(parse(name).family == "rating" for name in metrics or ())
    name, baseline = (RATING_BASELINE, MeanRating()) if rating else (BASELINE, Popularity())
    if not any(
        isinstance(getattr(one, "estimator", one), type(baseline)) for one in entries.values()
    ):
        entries.setdefault(name, baseline)
    check_leaks(split)
    seed = seed_of(rng)
    results: dict[str, Result] = dict(done or {})
    failed: dict[str, str] = {}
    for name, one in entries.items():
        if name in results:
            continue
        began = time.perf_counter()
        try:
            fitted = (
                one
                if isinstance(one, FittedModel)
                else one.fit(split.train, validation=split.validation, rng=seed)
            )
            seconds = 0.0 if fitted is one else time.perf_counter() - began
            report = measure(
                fitted,
                split,
                chosen_metrics(fitted, split, metrics, asking),
                part=part,
                asking=asking,
                exclude_seen=exclude_seen,
                unknown_items=unknown_items,
                candidates=candidates,
                relevant_from=relevant_from,
                confidence=confidence,
                rng=seed,
            )
        except TwofoldError as error:
            failed[name] = str(error)
            if on_failure is None or len(failed) == len(models):
                raise
            on_failure(name, error)
            continue
        settings = json.dumps(hyperparameter_values(fitted.estimator))
        results[name] = Result(report, seconds, settings)
        if on_result is not None:
            on_result(name, results[name], fitted)
    board = ordered({name: results[name] for name in entries if name in results})
    return replace(board, failed=failed)


def ordered(results: Mapping[str, Result]) -> Leaderboard:
    """Order results by their first metric and test each model against the first, metric by metric.

    p-values are corrected over all pairs of models, not over those with the first alone: which one is first is found on the same users.
    """
    board = Leaderboard(results, {})
    metric = parse(board.metrics[0])
    sign = -1 if metric.higher_is_better else 1
    names = sorted(results, key=lambda name: sign * results[name].report.values[metric.name])
    best, pairs = results[names[0]].report, list(combinations(names, 2))
    p_values: dict[str, dict[str, float]] = {}
    for one in board.metrics:
        if one not in best.totals:
            continue
        raw = [_paired(results[a].report, results[b].report, one) for a, b in pairs]
        # Pairs with the first model come first.
        p_values[one] = dict(zip(names[1:], holm(raw), strict=False))
    return Leaderboard({name: results[name] for name in names}, p_values)


def _paired(best: Report, other: Report, metric: str) -> float:
    used = (best.weights[metric] > 0) & (other.weights[metric] > 0)
    return paired_test(
        np.asarray(best.totals[metric])[used], np.asarray(other.totals[metric])[used]
    )
