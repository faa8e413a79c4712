"""What an evaluation found: values, intervals, every user's share, slices; as table, JSON, HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from twofold import persistence
from twofold.drafts import write_page
from twofold.errors import UnknownIdError, did_you_mean
from twofold.evaluation import page
from twofold.metrics import parse
from twofold.rank import FALLBACK, SOURCES
from twofold.typing import F64

Setting = bool | int | float | str | None


@dataclass(frozen=True)
class Slice:
    """The metrics of some users, or of some items as targets."""

    label: str
    n_users: int
    values: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Report:
    """One model on one held-out part. ``values`` and ``intervals`` go by the metric's name."""

    model: str
    split: str
    part: str
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    confidence: float
    users: pl.Series
    """The ids of all users of the part."""
    totals: Mapping[str, F64]
    """What each user adds to a metric's numerator, (n,)."""
    weights: Mapping[str, F64]
    """What each user adds to its denominator, (n,): the number of questions (1 or 0 where each user is asked once), or of ratings."""
    n_users: int
    """Users with at least one target."""
    n_without_target: int
    n_targets: int
    n_unknown_targets: int
    """Targets that training never saw."""
    sources: Mapping[str, int]
    """How many answers were made in which way."""
    slices: tuple[Slice, ...]
    settings: Mapping[str, Setting]
    seconds: float
    notes: tuple[str, ...] = ()
    n_hidden_targets: int = 0
    """Targets that their user had before and that are hidden, so that no list names them."""

    def __getitem__(self, metric: str) -> float:
        """Return the value of a metric.

        Raises
        ------
        UnknownIdError
            If it was not measured, with those that were.
        """
        if metric not in self.values:
            hint = did_you_mean(metric, self.values)
            raise UnknownIdError(f"metric {metric!r} was not measured; {hint}")
        return self.values[metric]

    @property
    def per_user(self) -> pl.DataFrame:
        """Every user's value of every metric, null where it is not defined."""
        columns = {
            name: pl.Series(name, total / weight).fill_nan(None)
            for name, total, weight in (
                (name, total, _positive(self.weights[name])) for name, total in self.totals.items()
            )
        }
        return pl.DataFrame({"user": self.users, **columns})

    def frame(self) -> pl.DataFrame:
        """Return a row a metric: metric, value, low, high."""
        return pl.DataFrame(
            {
                "metric": list(self.values),
                "value": list(self.values.values()),
                "low": [self.intervals[name][0] for name in self.values],
                "high": [self.intervals[name][1] for name in self.values],
            }
        )

    def __str__(self) -> str:
        """Return the table, with the number of users and how the answers were made."""
        lines = [self.headline()]
        width = max(len(name) for name in self.values)
        for name, value in self.values.items():
            low, high = self.intervals[name]
            span = "" if math.isnan(low) else f"  [{low:.4f}, {high:.4f}]"
            lines.append(f"  {name:<{width}}  {value:.4f}{span}")
        for one in self.slices:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in list(one.values.items())[:3])
            lines.append(f"  {one.label} ({one.n_users:,} users): {shown}")
        return "\n".join(lines)

    __repr__ = __str__

    def headline(self) -> str:
        """Say what was measured on whom."""
        made = ", ".join(f"{name} {count:,}" for name, count in self.sources.items() if count)
        return f"{self.model} on {self.occasion()}; answers: {made}"

    def occasion(self) -> str:
        """Say on whom it was measured, whatever the model."""
        unknown = (
            f", {self.n_unknown_targets:,} of them never seen in training"
            if self.n_unknown_targets
            else ""
        )
        if self.n_hidden_targets:
            unknown += (
                f", {self.n_hidden_targets:,} of them had before and hidden "
                "(new='before' does not ask for them, exclude_seen=False lists them)"
            )
        asked = self.settings.get("questions")
        questions = f"{asked:,} questions ({self.settings['ask']}), " if asked else ""
        return (
            f"the {self.part} part of {self.split}: {self.n_users:,} users, {questions}"
            f"{self.n_targets:,} targets{unknown}; {self.confidence:.0%} intervals over users"
        )

    def remark(self) -> str:
        """Say where most targets are unknown items, or most answers not the model's own, and what to do that is not done already; empty where neither is so."""
        popular, answers = self.sources.get(SOURCES[FALLBACK], 0), sum(self.sources.values())
        counts = self.settings.get("unknown_items", "count") == "count"
        if counts and 2 * self.n_unknown_targets > self.n_targets:
            return (
                f"{self.n_unknown_targets:,} of {self.n_targets:,} targets are of items that training never saw, which count as missed: "
                "unknown_items='content' (--unknown-items content) places them by what they are, 'drop' leaves them out"
            )
        if self.model == "Popularity" or 2 * popular <= answers:
            return ""
        told = (
            f"{popular:,} of {answers:,} answers are popularity's, as nothing is known of who asks"
        )
        if self.settings.get("unknown_items") == "content" or self.split.startswith("cold_items"):
            return (
                f"{popular:,} of {answers:,} answers are popularity's, as the model finds nothing in what people had by which "
                "it knows other items; check the columns that it reads"
            )
        if "ask" in self.settings:
            return told
        ends = "" if self.split.startswith("last_fraction") else ", and split.last_fraction holds out the end of each history"  # fmt: skip
        return (
            f"{told}: ask='each event' (on the command line --ask \"each event\") tells a question what came before "
            f"it{ends}"
        )

    def as_dict(self) -> dict[str, object]:
        """Return what `to_json` writes."""
        return {
            "model": self.model,
            "split": self.split,
            "part": self.part,
            "confidence": self.confidence,
            "users": self.n_users,
            "users_without_target": self.n_without_target,
            "targets": self.n_targets,
            "targets_never_seen": self.n_unknown_targets,
            "targets_hidden": self.n_hidden_targets,
            "sources": dict(self.sources),
            "settings": dict(self.settings),
            "metrics": {
                name: {
                    "value": _number(value),
                    "low": _number(self.intervals[name][0]),
                    "high": _number(self.intervals[name][1]),
                    "definition": parse(name).definition,
                }
                for name, value in self.values.items()
            },
            "slices": [
                {
                    "slice": one.label,
                    "users": one.n_users,
                    "metrics": {name: _number(value) for name, value in one.values.items()},
                }
                for one in self.slices
            ],
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Return everything but the single users as JSON."""
        return json.dumps(self.as_dict(), indent=1, allow_nan=False)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        rows = [
            page.Row(name, value, *self.intervals[name], parse(name).definition)
            for name, value in self.values.items()
        ]
        body = page.report(
            self.headline(), rows, [(one.label, one.n_users, one.values) for one in self.slices]
        )
        return write_page(path, body)

    def save(self, path: str | Path) -> Path:
        """Write the report with every user's values as a folder; see `Report.load`."""
        return persistence.save(self, Path(path), kind="report")

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Open a saved report.

        Raises
        ------
        IncompatibleFileError
            If the folder is damaged or foreign.
        """
        return persistence.load(
            Path(path), "report", {"Report": Report, "Slice": Slice}, mmap=False
        )


def _positive(weight: F64) -> F64:
    filled = weight.copy()
    filled[filled == 0] = float("nan")
    return filled


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
