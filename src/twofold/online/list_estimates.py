"""What the lists of another policy would have earned, from a log of lists that were drawn with known chances.

The value of a policy is the expected number of clicks in the first m places of a list, V = sum_j V_j. With p_l and
q_l the chances of the item at place l given those above it, logged and target, w_j = prod_{l <= j} q_l / p_l, w_0 = 1:

    IPS    V_j = mean(w_j r_j)                                        (McInerney et al. 2020, "Counterfactual evaluation
    SNIPS  V_j = sum(w_j r_j) / sum(w_j)                               of slate recommendations with sequential reward
    DR     V_j = mean(w_{j-1} sum_a q(a) f_j(a) + w_j (r_j - f_j))     interactions"; DR: Kiyohara et al. 2022)

f_j(a) is the click rate of item a at place j among the people of other folds, shrunken to that of the place. A click
may depend on the items above it, not on those below. Units are independent, their lists are not: intervals are
the delta method's over units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from twofold.errors import ConfigError, DataError, at_least_one, did_you_mean
from twofold.online._list_rows import Chooses, chances_of, chosen_by, lists_of
from twofold.online.ab_test import Interval
from twofold.online.list_policies import Greedy
from twofold.online.logs import event_log, exposure_log
from twofold.online.off_policy import ESTIMATORS, Estimate, estimate
from twofold.online.outcomes import ClickThrough
from twofold.online.sequential import check_level
from twofold.typing import F64, Rng


@dataclass(frozen=True, slots=True)
class ListEstimates:
    """What a target would have earned, beside what was earned."""

    target: str
    places: int
    lists: int
    units: int
    logged: Interval
    """Clicks in the first places of the lists that were shown."""
    estimates: tuple[Estimate, ...]
    """Of the sum over places, one an estimator; `effective` and `mean_weight` are those of the worst place."""
    difference: Interval
    """The last estimate minus what was logged."""
    by_place: tuple[tuple[Estimate, ...], ...]
    """By place, one an estimator."""
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """One sentence."""
        best = self.estimates[-1]
        low, high = self.difference.low, self.difference.high
        verdict = "more than was logged" if low > 0 else "less than was logged" if high < 0 else "no difference shown"  # fmt: skip
        where = "the first place" if self.places == 1 else f"the first {self.places} places"
        return (
            f"{self.target}: {best.value:.4g} [{best.low:.4g}, {best.high:.4g}] clicks a list in {where} ({best.name}), "
            f"logged {self.logged.value:.4g} [{self.logged.low:.4g}, {self.logged.high:.4g}]: {verdict}; "
            f"{self.lists:,} lists of {self.units:,} units, worth {best.effective:,.0f}."
        )

    def frame(self) -> pl.DataFrame:
        """Return the estimates as a table."""
        rows = [("all", one) for one in self.estimates]
        if self.places > 1:
            rows += [(str(at), one) for at, place in enumerate(self.by_place, 1) for one in place]
        return pl.DataFrame(
            [
                {
                    "place": place,
                    "estimator": one.name,
                    "clicks a list": one.value,
                    "low": one.low,
                    "high": one.high,
                    "effective": round(one.effective),
                    "mean weight": one.mean_weight,
                }
                for place, one in rows
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "target": self.target,
            "headline": self.headline,
            "places": self.places,
            "lists": self.lists,
            "units": self.units,
            "logged": self.logged._asdict(),
            "difference": self.difference._asdict(),
            "estimates": [_plain(one) for one in self.estimates],
            "by_place": [[_plain(one) for one in place] for place in self.by_place],
            "notes": list(self.notes),
        }


def _plain(one: Estimate) -> dict[str, Any]:
    told = ("name", "value", "low", "high", "rows", "units", "effective", "mean_weight", "clipped")
    return {name: getattr(one, name) for name in told} | {"notes": list(one.notes)}


def estimate_lists(
    exposures: pl.DataFrame,
    events: pl.DataFrame,
    target: pl.DataFrame,
    *,
    policy: Chooses | None = None,
    name: str = "target",
    metric: ClickThrough | None = None,
    places: int = 1,
    within: bool = False,
    methods: Sequence[str] = ESTIMATORS,
    clip: float | None = None,
    confidence: float = 0.95,
    rng: Rng = 0,
) -> ListEstimates:
    """Estimate the clicks a list that a target would have earned.

    Parameters
    ----------
    exposures, events
        See `twofold.online.logs`; exposures need `request`, `items` and `propensities`, and `candidates` for the
        check of support.
    target
        A row a `request` (and `unit`, where requests of several units are called alike): either `items`, what the
        target would list, best first (with `scores` for a policy that reads them), or `propensities`, its
        chance of each logged item at its place given those above.
    policy
        How the target chooses among its `items`; None = the best first.
    name
        What the target is called.
    metric
        Which events count, and how long after; None = clicks within an hour.
    places
        How many places of a list count; the variance grows quickly with them.
    within
        Let the target choose among the logged candidates only, in place of refusing one that would list others.
    methods
        Among ips, snips, dr, in the order wanted; dr needs `items`. The last one is the headline's.
    clip, confidence
        As in `off_policy.estimate`.
    rng
        Of the folds of the model of the reward.

    Raises
    ------
    ConfigError
        If an argument is outside its range.
    DataError
        If a log is wrong, no list was drawn with known chances, or support is missing: the target would list what
        could not be shown, or nothing of what was.

    Example
    -------
    >>> shown = pl.DataFrame({"unit": ["u", "v"], "variant": "a", "time": [0, 0], "request": ["r", "s"], "items": [["x"], ["y"]], "propensities": [[0.5], [0.5]], "candidates": [["x", "y"]] * 2})
    >>> done = pl.DataFrame({"unit": ["v"], "kind": ["click"], "time": [9], "item": ["y"]})
    >>> always_y = pl.DataFrame({"request": ["r", "s"], "items": [["y"]] * 2})
    >>> estimate_lists(shown, done, always_y, methods=["ips"]).estimates[0].value
    1.0
    """
    at_least_one("places", places)
    tail = (1 - check_level("confidence", confidence)) / 2
    for one in methods:
        if one not in ESTIMATORS:
            raise ConfigError(f"methods got {one!r}; {did_you_mean(one, ESTIMATORS)}")
    wanted = [one for one in methods if one != "dr" or "items" in target.columns]
    if not wanted:
        raise ConfigError(
            "dr needs what the target would list; give its items, or take ips and snips"
        )
    log = lists_of(
        exposure_log(exposures), event_log(events), target, metric or ClickThrough(), places
    )
    code, unit_kinds = _coded(log.unit)
    if "items" in target.columns:
        q, model_logged, model_target = chosen_by(log, policy or Greedy(), code, within=within, rng=rng)  # fmt: skip
    else:
        q = chances_of(log.target, places)
        model_logged = model_target = np.zeros_like(q)
    p_all, q_all = log.chance.cumprod(axis=1), q.cumprod(axis=1)
    _check_reach(q_all, name)
    w_above = np.ones_like(q)
    w_above[:, 1:] = (q_all / p_all)[:, :-1]
    if clip is not None:
        w_above = np.minimum(w_above, clip)
    by_place: list[tuple[Estimate, ...]] = []
    for at in range(places):
        made: list[Estimate] = []
        for method in wanted:
            models = {}
            if method == "dr":
                models = {"model_logged": model_logged[:, at], "model_target": w_above[:, at] * model_target[:, at]}  # fmt: skip
            made.append(estimate(log.reward[:, at], p_all[:, at], q_all[:, at], method=method, unit=code, clip=clip, confidence=confidence, **models))  # type: ignore[arg-type]  # fmt: skip
        by_place.append(tuple(made))
    w = q_all / p_all if clip is None else np.minimum(q_all / p_all, clip)
    earned = log.reward.sum(axis=1)
    own_pulls = earned - earned.mean()
    totals: list[Estimate] = []
    pulls = own_pulls
    for method, parts in zip(wanted, zip(*by_place, strict=True), strict=True):
        model = w_above * model_target + w * (log.reward - model_logged)
        pulls = _pulls(method, w, log.reward, model)
        totals.append(_total(parts, pulls, code, unit_kinds, tail))
    gap = totals[-1].value - float(earned.mean())
    return ListEstimates(
        target=name,
        places=places,
        lists=len(code),
        units=unit_kinds,
        logged=_around(float(earned.mean()), own_pulls, code, tail),
        estimates=tuple(totals),
        difference=_around(gap, pulls - own_pulls, code, tail),
        by_place=tuple(by_place),
        notes=tuple(dict.fromkeys([*log.notes, *(note for one in totals for note in one.notes)])),
    )


def _coded(unit: np.ndarray) -> tuple[np.ndarray, int]:
    kinds, code = np.unique(unit, return_inverse=True)
    return code, len(kinds)


def _check_reach(q_all: F64, name: str) -> None:
    """Refuse a target that never agrees with the log.

    Raises
    ------
    DataError
        Naming the first place that it never reaches.
    """
    reached = (q_all > 0).sum(axis=0)
    none = np.flatnonzero(reached == 0)
    if not len(none):
        return
    at = int(none[0])
    hint = "explore more, or a target nearer to what was logged" if at == 0 else f"estimate {at} places"  # fmt: skip
    raise DataError(f"{name} would have listed nothing of what was shown in the first {at + 1} places of {len(q_all):,} lists; {hint}")  # fmt: skip


def _pulls(method: str, w: F64, r: F64, model: F64) -> F64:
    """Return what each list does to the sum over places of an estimate, times the number of lists; shape (n,)."""
    if method == "snips":
        values = (w * r).sum(axis=0) / w.sum(axis=0)
        return ((w * (r - values)) / w.mean(axis=0)).sum(axis=1)
    rows = model if method == "dr" else w * r
    return (rows - rows.mean(axis=0)).sum(axis=1)


def _around(value: float, pulls: F64, code: np.ndarray, tail: float) -> Interval:
    """Return a mean over lists with its interval over units; NaN for fewer than two."""
    sums = np.bincount(code, pulls)
    units = len(sums)
    if units < 2:
        return Interval(value, math.nan, math.nan)
    error = math.sqrt(units / (units - 1) * float(sums @ sums)) / len(pulls)
    reach = float(stdtrit(units - 1, 1 - tail)) * error
    return Interval(value, value - reach, value + reach)


def _total(parts: Sequence[Estimate], pulls: F64, code: np.ndarray, units: int, tail: float) -> Estimate:  # fmt: skip
    """Return the sum over places."""
    made = _around(sum(one.value for one in parts), pulls, code, tail)
    notes = tuple(dict.fromkeys(note for one in parts for note in one.notes))
    return Estimate(
        parts[0].name,
        *made,
        rows=len(code),
        units=units,
        effective=min(one.effective for one in parts),
        mean_weight=max((one.mean_weight for one in parts), key=lambda w: abs(math.log(w))),
        clipped=sum(one.clipped for one in parts),
        notes=notes,
    )
