"""Predictors of friendships beside each other, on one split, with intervals over people."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from twofold.applications.links.holdout import LinkSplit
from twofold.applications.links.predictors import FittedLinks, LinkEstimator
from twofold.applications.links.resamples import Resamples
from twofold.applications.links.vectors import PairsOfVectors
from twofold.errors import ConfigError, DataError, at_least_one, did_you_mean
from twofold.metrics import ranking
from twofold.models._base import FittedModel
from twofold.random import generator
from twofold.typing import F64, I32, Rng

DEFINITIONS: Mapping[str, str] = {
    "auc": "share of (friendship, strangers) pairs of the split in the right order, ties counting half",
    "f1": "2 PR / (P + R) where as many pairs are called friends as there are, so that P = R = F1; ties at the edge count by their share",
    "precision@k": "held-out friends among the first k recommended, over k; everybody but the known friends is ranked; mean over people with a held-out friend",
    "recall@k": "held-out friends among the first k recommended, over all held-out friends of the person; mean over the same people",
}
"""What each metric is."""
PAIRS_AT_ONCE = 2_000_000
"""Pairs that are scored at once where people are ranked."""


@dataclass(frozen=True, eq=False)
class LinkReport:
    """Metrics of each predictor with intervals, best first by the first metric."""

    frame: pl.DataFrame
    """A row a predictor and metric: predictor, metric, value, low, high, behind (the best by the first
    metric minus this one), behind_low, behind_high, seconds."""
    split: str
    """What was told apart."""
    people: int
    """People whose friends were ranked."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Predictors that could not be fitted to these friendships -> why."""

    @property
    def metrics(self) -> list[str]:
        """Metrics in the order asked for."""
        return self.frame["metric"].unique(maintain_order=True).to_list()

    @property
    def names(self) -> list[str]:
        """Predictors, best first."""
        return self.frame["predictor"].unique(maintain_order=True).to_list()

    def __getitem__(self, key: tuple[str, str]) -> float:
        """Return the value of (predictor, metric)."""
        found = self.frame.filter(predictor=key[0], metric=key[1])
        if found.is_empty():
            allowed = self.names if key[0] not in self.names else self.metrics
            raise ConfigError(f"no value for {key!r}; {did_you_mean(key[0], allowed)}")
        return float(found["value"][0])

    def table(self) -> pl.DataFrame:
        """Return a row a predictor: each metric with its interval, and how the first compares with the best."""
        first = self.metrics[0]
        rows: list[dict[str, str]] = []
        for name in self.names:
            mine = self.frame.filter(predictor=name)
            row = {"predictor": name}
            for one in mine.iter_rows(named=True):
                row[one["metric"]] = f"{one['value']:.4f} [{one['low']:.4f}, {one['high']:.4f}]"
            lead = mine.row(by_predicate=pl.col("metric") == first, named=True)
            row[f"against {self.names[0]}"] = "" if name == self.names[0] else _verdict(lead)
            row["seconds"] = f"{lead['seconds']:.1f}"
            rows.append(row)
        return pl.DataFrame(rows)

    def __str__(self) -> str:
        """Return the table as text."""
        table = self.table()
        widths = [max(len(one), *(len(cell) for cell in table[one])) for one in table.columns]
        lines = [table.columns, *table.iter_rows()]
        text = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in lines]  # fmt: skip
        return "\n".join([*text, self.foot])

    __repr__ = __str__

    @property
    def foot(self) -> str:
        """What stands below the table: who is missing, what was told apart, and what the intervals are."""
        missing = [
            f"without {name}, which could not be fitted: {why}\n"
            for name, why in self.failed.items()
        ]
        people = f"; friends of {self.people:,} people ranked" if self.people else ""
        return f"{''.join(missing)}{self.split}{people}; 95 % intervals over people drawn again"

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(
            {
                "split": self.split,
                "people": self.people,
                "definitions": dict(DEFINITIONS),
                "rows": self.frame.to_dicts(),
                "failed": dict(self.failed),
            },
            indent=1,
        )


def _verdict(row: Mapping[str, float]) -> str:
    if row["behind_low"] <= 0:
        return "no difference shown"
    return f"behind by {row['behind']:.4f} [{row['behind_low']:.4f}, {row['behind_high']:.4f}]"


def compare(
    predictors: Mapping[str, LinkEstimator | FittedLinks | FittedModel],
    split: LinkSplit,
    *,
    metrics: Sequence[str] = ("auc", "f1", "precision@10"),
    most_people: int = 500,
    rng: Rng = 0,
) -> LinkReport:
    """Measure predictors on the same pairs.

    Parameters
    ----------
    predictors
        Name -> what says how likely a pair is: an estimator (fitted here on ``split.train``), a fitted
        predictor, or a fitted model, of whose user vectors `PairsOfVectors` is made.
    split
        Of `links.split`.
    metrics
        Of ``auc``, ``f1``, ``precision@k``, ``recall@k``; the first one orders the table.
    most_people
        People, drawn at random, whose friends are ranked for the metrics with a k, >= 1.
    rng
        Seed or generator of what is learned, of that sample and of the intervals.

    Returns
    -------
    LinkReport
        With 95 % percentile intervals of a bootstrap that draws people again with replacement; a pair
        counts as often as both of its people were drawn (Owen 2007, "The pigeonhole bootstrap").

    Raises
    ------
    ConfigError
        If nothing is given to compare, or a metric does not exist.
    DataError
        If a predictor was fitted on other users, or knows a held-out friendship, or none could be fitted; where
        one of several cannot, the others go on and `LinkReport.failed` says why.

    Example
    -------
    >>> import twofold as tw
    >>> from twofold.applications import links
    >>> log = {"u": list("abcdef"), "i": [1, 1, 1, 2, 2, 2]}
    >>> friends = {"one": list("abade"), "other": list("bccef")}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", links=friends)
    >>> split = links.split(data, test=0.2, rng=0)
    >>> report = links.compare({"aa": links.Neighbourhood()}, split, metrics=["auc"])
    >>> 0 <= report["aa", "auc"] <= 1
    True
    """
    if not predictors:
        raise ConfigError("give at least one predictor, such as links.BASELINES")
    cuts = {name: _cut(name) for name in metrics}
    if not cuts:
        raise ConfigError(f"give at least one metric; allowed: {', '.join(DEFINITIONS)}")
    at_least_one("most_people", most_people)
    learning, sampling, drawing = generator(rng).spawn(3)
    seed = int(learning.integers(2**31))
    ranked = _ranked_people(split, most_people, sampling) if any(cuts.values()) else None
    resample = Resamples(split, drawing)
    found: dict[str, dict[str, F64]] = {}  # name -> metric -> its value, then its resamples
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name, one in predictors.items():
        began = time.perf_counter()
        try:
            fitted = _fitted(name, one, split, seed)
        except DataError as error:
            failed[name] = str(error)
            continue
        _refuse_what_knows(name, fitted, split)
        scores = fitted.score(split.pairs)
        if not np.isfinite(scores).all():
            raise DataError(f"{name} scores a pair {scores[~np.isfinite(scores)][0]}")
        found[name] = {}
        per_person: dict[str, F64] = {}
        if ranked is not None:
            per_person = _lists(fitted, split, ranked, [m for m, k in cuts.items() if k])
        seconds[name] = time.perf_counter() - began
        for metric, k in cuts.items():
            if k and ranked is not None:
                found[name][metric] = resample.mean(ranked, per_person[metric])
            else:
                found[name][metric] = resample.of_pairs(metric, scores)
    if not found:
        raise DataError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    first = next(iter(cuts))
    order = sorted(found, key=lambda one: -found[one][first][0])
    rows: list[dict[str, object]] = []
    for name in order:
        for metric in cuts:
            values, best = found[name][metric], found[order[0]][metric]
            low, high = np.nanquantile(values[1:], [0.025, 0.975])
            behind = np.nanquantile(best[1:] - values[1:], [0.025, 0.975])
            rows.append(
                {
                    "predictor": name,
                    "metric": metric,
                    "value": float(values[0]),
                    "low": float(low),
                    "high": float(high),
                    "behind": float(best[0] - values[0]),
                    "behind_low": float(behind[0]),
                    "behind_high": float(behind[1]),
                    "seconds": seconds[name],
                }
            )
    return LinkReport(pl.DataFrame(rows), str(split), 0 if ranked is None else len(ranked), failed)


def _cut(name: str) -> int:
    """Return the k of a metric, 0 for one without.

    Raises
    ------
    ConfigError
        If there is no such metric.
    """
    base, at, cut = name.partition("@")
    if name in ("auc", "f1"):
        return 0
    if f"{base}@k" in DEFINITIONS and at and cut.isdecimal() and int(cut) >= 1:
        return int(cut)
    raise ConfigError(
        f"there is no metric {name!r} of friendships; {did_you_mean(name, DEFINITIONS)}"
    )


def _fitted(
    name: str, one: LinkEstimator | FittedLinks | FittedModel, split: LinkSplit, seed: int
) -> FittedLinks:
    if isinstance(one, FittedModel):
        one = PairsOfVectors(model=one)
    if isinstance(one, FittedLinks):
        return one
    if not isinstance(one, LinkEstimator):
        raise ConfigError(
            f"{name!r} is {type(one).__name__}; give a predictor of links, or a fitted model"
        )
    return one.fit(split.train, rng=seed)


def _refuse_what_knows(name: str, one: FittedLinks, split: LinkSplit) -> None:
    if not one.train.users.ids.ids.equals(split.train.users.ids.ids):
        raise DataError(
            f"{name!r} was fitted on other users than those of the split; fit it on split.train"
        )
    known = int(one.learned_from.has(split.links).sum())
    if known:
        raise DataError(
            f"{name!r} knows {known:,} of the held-out friendships; fit it on split.train, or hold out those that "
            "are new on a later day (on the command line --later)"
        )


def _ranked_people(split: LinkSplit, most: int, rng: np.random.Generator) -> I32:
    """Return the rows of people with a held-out friend, or a sample of them, ascending."""
    people = np.unique(split.links)
    if len(people) > most:
        people = np.sort(rng.choice(people, most, replace=False))
    return people.astype(np.int32)


def _lists(
    fitted: FittedLinks, split: LinkSplit, people: I32, metrics: Sequence[str]
) -> dict[str, F64]:
    """Return each person's value of the metrics of lists."""
    n = split.known.n
    k = min(max(_cut(one) for one in metrics), n - 1)
    lists = np.full((len(people), k), -1, np.int32)
    for first in range(0, len(people), max(1, PAIRS_AT_ONCE // n)):
        some = people[first : first + max(1, PAIRS_AT_ONCE // n)]
        pairs = np.column_stack([np.repeat(some, n), np.tile(np.arange(n, dtype=np.int32), len(some))])  # fmt: skip
        asked = (pairs[:, 0] != pairs[:, 1]) & ~split.known.has(pairs)
        scores = np.full(len(pairs), -np.inf)
        scores[asked] = fitted.score(pairs[asked])
        for at, row in enumerate(scores.reshape(len(some), n)):
            best = np.argsort(-row, kind="stable")[:k]
            best = best[np.isfinite(row[best])]
            lists[first + at, : len(best)] = best
    both = np.concatenate([split.links, split.links[:, ::-1]])
    place = np.searchsorted(people, both[:, 0])
    mine = (place < len(people)) & (people[np.minimum(place, len(people) - 1)] == both[:, 0])
    order = np.argsort(place[mine], kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(place[mine], minlength=len(people)))])
    return ranking(lists, ends.astype(np.int64), both[mine][order, 1].astype(np.int32), metrics)
