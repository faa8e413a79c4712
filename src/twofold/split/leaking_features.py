"""Features of users and items that were computed with held-out events.

A column of numbers (number, time, or the parts of a vector) is compared with statistics of each user's
or item's events: over training alone, over each held-out part alone, over both together, and over the
whole log. It leaks where it *equals* a statistic with held-out events, or *rises or falls* with one
(ranks, logarithms, shares, standardised values), and training alone does not explain it. Only rows that the
held-out events changed can tell; agreement by chance is subtracted (Cohen's kappa).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln

from twofold.data.columns import NO_TIME, Column, Number, Time, Vector
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import UNKNOWN
from twofold.split._leak import NAMED, Leak
from twofold.split.pairs import translations
from twofold.typing import F64, I32, I64, Bool

Side = Literal["user", "item"]
CLOSE = 1e-4
"""Relative difference below which a feature equals a statistic of the log."""
CLOSE_TIME = 2e-7
"""The same for times: what float32 keeps of them, a few minutes."""
SHARE = 0.8
"""A feature leaks if it equals a statistic in this share of the rows that can tell, beyond chance."""
CHANCE = 1e-3
"""Largest probability with which so many rows may agree by chance."""
LAST_TIME = "last time"
FEWEST = 3
"""Rows that have to differ before a feature can be judged."""
ROWS = 10
"""Rows that a feature must have to be judged by its order alone."""
LOG_ORDERS = float(np.log(2 / CHANCE**2))
"""Log of the number of orders that the feature, and the statistic, must tell apart for that."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Events that a statistic is taken over: rows of users and of items in training, -1 = not in it."""

    user: I32
    item: I32
    value: F64
    time: I64 | None

    @classmethod
    def of(cls, part: Dataset, train: Dataset) -> Counted:
        """Translate the events of a part into rows of training."""
        users, items = translations(part, train)
        events: Interactions = part.interactions
        return cls(
            users[events.user], items[events.item], events.value.astype(np.float64), events.time
        )

    @classmethod
    def joined(cls, parts: Sequence[Counted]) -> Counted:
        """Return the events of several parts; without times where one of them has none."""
        times = [one.time for one in parts if one.time is not None]
        return cls(
            np.concatenate([one.user for one in parts]),
            np.concatenate([one.item for one in parts]),
            np.concatenate([one.value for one in parts]),
            np.concatenate(times) if len(times) == len(parts) else None,
        )


def computed_features(
    train: Dataset, later: Mapping[str, Dataset], histories: Sequence[Dataset]
) -> list[Leak]:
    """Find user and item features that follow a statistic of the log with held-out events in it.

    `later` holds the held-out parts by name, `histories` what else of the log is not in training.
    """
    sides: tuple[tuple[Side, Entities], ...] = (("user", train.users), ("item", train.items))
    columns = {side: dict(numeric(of.features)) for side, of in sides}
    if not any(columns.values()):
        return []
    own = Counted.of(train, train)
    parts = {name: Counted.of(part, train) for name, part in later.items()}
    unions = {f"over {name} events": one for name, one in parts.items()}
    for name, one in parts.items():
        unions[f"over training and {name} events together"] = Counted.joined([own, one])
    if len(parts) > 1 or histories:
        rest = [*parts.values(), *(Counted.of(one, train) for one in histories)]
        unions["over the whole log"] = Counted.joined([own, *rest])
    found: list[Leak] = []
    for side, of in sides:
        if not columns[side]:
            continue
        before = dict(statistics(own, side, len(of), has_value=train.interactions.has_value))
        after = {
            where: dict(statistics(one, side, len(of), has_value=train.interactions.has_value))
            for where, one in unions.items()
        }
        for feature, values in columns[side].items():
            leak = judged(side, of, feature, values, before, after)
            if leak is not None:
                found.append(leak)
    return found


def judged(
    side: Side,
    of: Entities,
    feature: str,
    values: F64,
    before: Mapping[str, F64],
    after: Mapping[str, Mapping[str, F64]],
) -> Leak | None:
    """Return the leak of one feature, if it has one: the first statistic that it equals, or follows."""
    for verb, follows in (("is", equals), ("rises or falls with", keeps_order)):
        for where, statistics_ in after.items():
            for label, later in statistics_.items():
                if label not in before:
                    continue
                rtol = CLOSE_TIME if label == LAST_TIME else CLOSE
                guilty = follows(values, before[label], later, rtol)
                if guilty is not None:
                    ids = ", ".join(repr(of.ids[row]) for row in guilty[:NAMED])
                    text = (
                        f"{side} feature {feature!r} {verb} the {label} {where} in "
                        f"{len(guilty):,} rows: {ids}; compute it from the training part"
                    )
                    return Leak("feature", tuple(guilty.tolist()), text)
    return None


def numeric(features: Mapping[str, Column]) -> Iterator[tuple[str, F64]]:
    """Yield the columns that hold numbers, by name, (n,), NaN where missing; a vector by its parts."""
    for name, column in features.items():
        match column:
            case Number():
                yield name, column.values.astype(np.float64)
            case Time():
                missing = column.values == NO_TIME
                yield name, np.where(missing, np.nan, column.values.astype(np.float64))
            case Vector() if not column.is_place:
                for at, values in enumerate(column.values.T):
                    yield f"{name}[{at}]", values.astype(np.float64)
            case _:
                continue


def statistics(
    events: Counted, side: Side, n: int, *, has_value: bool
) -> Iterator[tuple[str, F64]]:
    """Yield statistics of each user's or item's events by name, shape (n,); NaN where there are none.

    The time of the first event is none of them: when somebody joined or something was published is
    known beforehand.
    """
    rows = events.user if side == "user" else events.item
    known = rows != UNKNOWN
    who = rows[known].astype(np.int64)
    count = np.bincount(who, minlength=n).astype(np.float64)
    nobody = count == 0
    yield "number of events", np.where(nobody, np.nan, count)
    if has_value:
        total = np.bincount(who, events.value[known], n).astype(np.float64)
        total[nobody] = np.nan
        yield "sum of values", total
        yield "mean value", total / np.maximum(count, 1)
    if events.time is not None:
        last = np.full(n, -np.inf)
        np.maximum.at(last, who, events.time[known].astype(np.float64))
        last[nobody] = np.nan
        yield LAST_TIME, last


def equals(values: F64, before: F64, after: F64, rtol: float) -> I64 | None:
    """Return the rows where `values` equal `after` and not `before`, if they are most that can tell."""
    finite = np.isfinite(values)
    telling = np.flatnonzero(finite & np.isfinite(after) & ~close(before, after, rtol))
    if len(telling) < FEWEST:
        return None
    guilty = telling[close(values[telling], after[telling], rtol)]
    chance = agreement_by_chance(values[finite], after[telling], rtol)
    agree = len(guilty) / len(telling)
    if chance >= 1 or (agree - chance) / (1 - chance) < SHARE:
        return None
    return guilty if chance ** len(guilty) <= CHANCE else None


def agreement_by_chance(one: F64, other: F64, rtol: float) -> float:
    """Return the probability that a value drawn from each are close."""
    ordered = np.sort(one)
    reach = rtol * np.abs(other) + 1e-6
    inside = np.searchsorted(ordered, other + reach, side="right")
    inside -= np.searchsorted(ordered, other - reach, side="left")
    return float(inside.mean() / len(one))


def keeps_order(values: F64, before: F64, after: F64, rtol: float) -> I64 | None:
    """Return the rows that `after` puts in the order of `values`, or the reverse, and `before` does not."""
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(before) & np.isfinite(after))
    if len(rows) < ROWS or min(log_orders(one[rows]) for one in (values, after)) < LOG_ORDERS:
        return None
    for sign in (1, -1):
        if disorder(sign * values[rows], after[rows]):
            continue
        if disorder(sign * values[rows], before[rows]) < FEWEST:
            return None
        return rows[~close(before[rows], after[rows], rtol)]
    return None


def log_orders(values: F64) -> float:
    """Return the logarithm of how many orders the values can stand in; 0 where they are all the same."""
    ties = np.unique(values, return_counts=True)[1]
    return float(gammaln(len(values) + 1) - gammaln(ties + 1).sum())


def disorder(values: F64, statistic: F64) -> int:
    """Return how many steps of a statistic from one value to the next do not raise `values`, or keep them."""
    order = np.argsort(statistic, kind="stable")
    ordered, ranked = statistic[order], values[order]
    starts = np.flatnonzero(np.diff(ordered) > 1e-12 * np.abs(ordered).max()) + 1
    starts = np.concatenate([[0], starts])
    lowest, highest = np.minimum.reduceat(ranked, starts), np.maximum.reduceat(ranked, starts)
    slack = 1e-7 * np.abs(ranked).max()
    return int((np.maximum.accumulate(highest)[:-1] > lowest[1:] + slack).sum())


def close(a: F64, b: F64, rtol: float) -> Bool:
    """Compare by relative difference."""
    return np.isclose(a, b, rtol=rtol, atol=1e-6, equal_nan=True)
