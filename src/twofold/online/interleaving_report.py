"""The report of an interleaving experiment from its two logs: whose items people chose."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
import polars as pl

from twofold.errors import ConfigError, DataError
from twofold.evaluation.page import cell, document, table
from twofold.hyperparameters import values
from twofold.online.experiments import Experiment, Slice
from twofold.online.interleave import (
    Credit,
    Interleaved,
    Preference,
    credit_balanced,
    credit_team_draft,
    preference,
)
from twofold.online.logs import event_log, exposure_log, of_experiment
from twofold.online.outcomes import ClickThrough, answers
from twofold.online.report import moment, uncounted
from twofold.online.sequential import FIRST_LOOK, always_valid_p
from twofold.online.track import PLANNED

NEEDED = {"team_draft": ("items", "teams"), "balanced": ("items", "ranking_a", "ranking_b")}
"""Columns of the exposures that each method is credited from."""


@dataclass(frozen=True, slots=True)
class InterleavingReport:
    """What an interleaving experiment says so far; a = the control, b = the other variant."""

    name: str
    experiment: Experiment
    a: str
    b: str
    preference: Preference
    p_value: float
    """Of the declared test: of the margin, at any day, or of the sign test, once."""
    until: float
    """Seconds since 1970: nothing later was looked at."""
    notes: tuple[str, ...] = ()
    """What cannot be told."""

    @property
    def headline(self) -> str:
        """One sentence."""
        fixed = self.experiment.test == "fixed"
        towards_b = self.preference.for_b > self.preference.for_a if fixed else self.preference.margin > 0  # fmt: skip
        if fixed and self.until < self.experiment.ends:
            verdict = f"not yet: it is looked at once, at {moment(self.experiment.ends)}"
        elif self.p_value >= self.experiment.alpha:
            verdict = "no difference shown"
        else:
            verdict = f"{self.b if towards_b else self.a} is preferred"
        return f"{self.b} (b) against {self.a} (a): {verdict}, p {self.p_value:.3g}; {self.preference}."  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "name": self.name,
            "headline": self.headline,
            "a": self.a,
            "b": self.b,
            "p_value": self.p_value,
            "preference": asdict(self.preference),
            "notes": list(self.notes),
            "experiment": values(self.experiment),
        }

    def to_html(self) -> str:
        """Return a page that needs nothing beside it."""
        rows = [
            [cell(escape(name)), cell(f"{one:,}" if isinstance(one, int) else f"{one:.4g}")]
            for name, one in asdict(self.preference).items()
        ]
        body = f"<h1>Experiment {escape(self.name)}</h1><p class='lead'>{escape(self.headline)}</p>"
        body += "".join(f"<p>{escape(one)}</p>" for one in self.notes)
        return document(f"Experiment {self.name}", body + table(["", "value"], rows, "Preference"))


def report(
    slice_: Slice,
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    *,
    until: float | None = None,
    kinds: Collection[str] | None = None,
) -> InterleavingReport:
    """Credit the clicks of interleaved lists, and test which ranker people prefer.

    Parameters
    ----------
    slice_
        An experiment whose method is ``team_draft`` or ``balanced``; its first metric must be a click-through.
    exposures, events
        See `twofold.online.logs`; exposures need `items`, and `teams` or `ranking_a` and `ranking_b`.
    until
        Seconds since 1970: nothing later is looked at.
    kinds
        Kinds of events that there are, where `events` holds those that are counted alone; None = those of `events`.

    Raises
    ------
    ConfigError
        If the experiment does not interleave, or its first metric is no click-through.
    DataError
        If a log is wrong or lacks what is credited from.
    """
    experiment = slice_.experiment
    first, metric = next(iter(experiment.metrics.items()))
    if experiment.method not in NEEDED:
        raise ConfigError(f"experiment {slice_.name!r} does not interleave; its method is {experiment.method}")  # fmt: skip
    if not isinstance(metric, ClickThrough):
        raise ConfigError(f"interleaving is credited by clicks: the first metric of {slice_.name!r} must be a click_through")  # fmt: skip
    shown, done = exposure_log(of_experiment(exposures, slice_.name)).frame, event_log(events).frame
    notes = uncounted({first: metric}, done["kind"] if kinds is None else kinds)
    if until is not None:
        shown, done = (one.filter(pl.col("time") <= until) for one in (shown, done))
    for name in NEEDED[experiment.method]:
        if name not in shown.columns or shown[name].is_null().any():
            raise DataError(f"exposures need {name} in every row to credit {experiment.method}")
    if shown.is_empty():
        raise DataError("the exposure log is empty; nothing was shown to anybody")
    hits = answers(shown, done, metric).filter(pl.col("item").is_not_null())
    clicked = dict(hits.group_by("at").agg(pl.col("item").unique(maintain_order=True)).iter_rows())
    credit = _crediting(experiment.method)
    gains = np.zeros((len(shown), 2))
    for at, items in clicked.items():
        gains[at] = credit(shown.row(at, named=True), items)
    found = preference(shown["unit"].to_numpy(), gains[:, 0], gains[:, 1], confidence=1 - experiment.alpha)  # fmt: skip
    other = next(one for one in experiment.variants if one != experiment.control)
    p = found.p_value if experiment.test == "fixed" else _any_day(experiment, found)
    last = max(float(one["time"].max()) for one in (shown, done) if len(one))  # type: ignore[arg-type]
    return InterleavingReport(
        slice_.name,
        experiment,
        experiment.control,
        other,
        found,
        p,
        last if until is None else until,
        tuple(notes),
    )


def _crediting(method: str) -> Callable[[dict[str, Any], list[str]], Credit]:
    if method == "team_draft":
        return lambda row, items: credit_team_draft(Interleaved(row["items"], row["teams"]), items)
    return lambda row, items: credit_balanced(Interleaved(row["items"], []), items, row["ranking_a"], row["ranking_b"])  # fmt: skip


def _any_day(experiment: Experiment, found: Preference) -> float:
    """Return the p-value of the margin by the sequential test; 1 before there are enough units."""
    error = found.margin_error if found.units >= 2 * FIRST_LOOK else math.nan
    tightest = experiment.planned_units or PLANNED
    return float(always_valid_p(found.margin, error, found.units, tightest=tightest, alpha=experiment.alpha)[0])  # fmt: skip
