"""What another policy would have earned, from the log of one that explored with known chances.

With reward r, the logging policy's chance p of what it did and the target's chance q of the same, w = q / p:

    IPS    V = mean(w r)                            unbiased (Horvitz & Thompson 1952)
    SNIPS  V = sum(w r) / sum(w)                    its bias falls with n (Swaminathan & Joachims 2015)
    DR     V = mean(f(target) + w (r - f(logged)))  unbiased if p or f is right (Dudik, Langford & Li 2011)

f is a model of the reward that was not fitted on the row it speaks of (`reward_of_action` fits on other
folds). "Clipped" variants cut w at a stated number: less variance, and biased towards what was logged.
Intervals take units as independent: the delta method, or the bootstrap over units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.kernels.resample import RESAMPLES, resampled_sums
from twofold.online.sequential import check_level
from twofold.random import generator, kernel_seed
from twofold.typing import F64, Rng

ESTIMATORS = ("ips", "snips", "dr")
FOLDS = 5
FEW_UNITS = 30
"""Units below which intervals are too narrow."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy."""

    name: str
    """The estimator, with its clip where there is one: ``clipped(10) snips``."""
    value: float
    low: float
    high: float
    rows: int
    units: int
    effective: float
    """Effective sample size (sum w)^2 / sum w^2, in 1 ... rows."""
    mean_weight: float
    """Near 1 where the chances are right and the log supports the target."""
    clipped: int
    """Rows whose weight was cut."""
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Return one sentence."""
        return (
            f"{self.name} {self.value:.5g} [{self.low:.5g}, {self.high:.5g}], "
            f"{self.rows:,} rows worth {self.effective:,.0f}"
        )


def _column(name: str, values: ArrayLike, n: int) -> F64:
    given = np.asarray(values, np.float64)
    if given.shape != (n,):
        raise DataError(f"{name} must have a number for each of {n:,} rows; got shape {given.shape}")  # fmt: skip
    wrong = ~np.isfinite(given)
    if wrong.any():
        raise DataError(f"{name} of row {int(np.argmax(wrong))} is {given[np.argmax(wrong)]}; it must be finite")  # fmt: skip
    return given


def check_support(logged: ArrayLike, target: ArrayLike, actions: ArrayLike | None = None) -> None:
    """Refuse a target that may do what the logging policy never would.

    Parameters
    ----------
    logged, target : shape (n, m)
        Chances of every action in every row.
    actions : shape (m,), optional
        What the columns are called.

    Raises
    ------
    DataError
        If in some row an action has a chance above 0 under the target and of 0 under the log: how many
        rows, and which action most often.

    Example
    -------
    >>> check_support([[0.5, 0.5, 0.0]], [[0.2, 0.2, 0.6]], ["x", "y", "z"])
    Traceback (most recent call last):
    twofold.errors.DataError: the log has no support for the target in 1 of 1 rows: action 'z', for one, was never possible in 1 of them and the target takes it with a mean chance of 0.6; log with exploration over all actions, or evaluate a policy that keeps to those that were possible
    """
    p, q = np.asarray(logged, np.float64), np.asarray(target, np.float64)
    if p.ndim != 2 or p.shape != q.shape:
        raise DataError(f"logged and target must have equal shapes (rows, actions); got {p.shape} and {q.shape}")  # fmt: skip
    if not (np.isfinite(p).all() and np.isfinite(q).all() and (p >= 0).all() and (q >= 0).all()):
        raise DataError("chances must be numbers in 0 ... 1")
    missing = (q > 0) & (p == 0)
    rows = int(missing.any(axis=1).sum())
    if not rows:
        return
    worst = int(missing.sum(axis=0).argmax())
    name = worst if actions is None else np.asarray(actions)[worst].item()
    chance = float(q[missing[:, worst], worst].mean())
    raise DataError(
        f"the log has no support for the target in {rows:,} of {len(p):,} rows: action {name!r}, for one, was never possible in "
        f"{int(missing[:, worst].sum()):,} of them and the target takes it with a mean chance of {chance:.3g}; log with exploration "
        "over all actions, or evaluate a policy that keeps to those that were possible"
    )


def estimate(
    reward: ArrayLike,
    logged: ArrayLike,
    target: ArrayLike,
    *,
    method: Literal["ips", "snips", "dr"] = "snips",
    model_logged: ArrayLike | None = None,
    model_target: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    action: ArrayLike | None = None,
    clip: float | None = None,
    confidence: float = 0.95,
    interval: Literal["delta", "bootstrap"] = "delta",
    rng: Rng = None,
) -> Estimate:
    """Estimate the mean reward of a target policy from a log.

    Parameters
    ----------
    reward, logged, target : shape (n,)
        Of each row: what was earned, the logging policy's chance of what it did, 0 < p <= 1, and the
        target's chance of the same, 0 <= q <= 1. For lists: products down to the place that is credited.
    method
        See the module.
    model_logged, model_target : shape (n,)
        Of ``dr`` only: the model's reward for what was done, and its mean over what the target would do.
    unit : shape (n,), optional
        Rows of one unit are not independent; None = each row is its own.
    action : shape (n,), optional
        Named where the support is missing.
    clip
        > 0: weights are cut there; None = they are not.
    confidence, interval, rng
        As in `ab_test.compare_arms`.

    Raises
    ------
    DataError
        If columns do not fit together, a chance is outside its range, support is missing (p = 0), or
        no row is possible under the target.
    ConfigError
        If an argument is unknown or outside its range.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> shown = rng.integers(0, 2, 4000)                    # a fair coin logs one of two actions
    >>> earned = rng.random(4000) < np.where(shown, 0.3, 0.1)
    >>> print(estimate(earned, np.full(4000, 0.5), shown))  # the policy that always takes the second
    snips 0.29719 [0.2773, 0.31709], 4,000 rows worth 2,029
    """
    if method not in ESTIMATORS:
        raise ConfigError(f"method got {method!r}; {did_you_mean(method, ESTIMATORS)}")
    if interval not in {"delta", "bootstrap"}:
        raise ConfigError(f"interval got {interval!r}; {did_you_mean(interval, ['delta', 'bootstrap'])}")  # fmt: skip
    tail = (1 - check_level("confidence", confidence)) / 2
    n = len(np.asarray(reward))
    if n == 0:
        raise DataError("the log has no rows; nothing can be estimated from it")
    r, p, q = (_column(name, one, n) for name, one in (("reward", reward), ("logged", logged), ("target", target)))  # fmt: skip
    _check_chances(p, q, action)
    if clip is not None and not (math.isfinite(clip) and clip > 0):
        raise ConfigError(f"clip must be a number > 0, or None; got {clip!r}")
    raw = q / p
    if not raw.any():
        raise DataError(f"the target would have done nothing of what is in the {n:,} rows; nothing can be estimated")  # fmt: skip
    w = raw if clip is None else np.minimum(raw, clip)
    if method == "dr":
        if model_logged is None or model_target is None:
            raise ConfigError("dr needs model_logged and model_target; `reward_of_action` makes them")  # fmt: skip
        f, g = _column("model_logged", model_logged, n), _column("model_target", model_target, n)
        top, below = g + w * (r - f), np.ones(n)
    elif model_logged is not None or model_target is not None:
        raise ConfigError(f"{method} reads no model of the reward; leave it out, or use dr")
    else:
        top, below = w * r, (w if method == "snips" else np.ones(n))
    sums, units = _by_unit(np.stack([top, below], axis=1), unit, n)
    value, low, high = _interval(sums, tail, interval, rng)
    effective = float(w.sum() ** 2 / (w @ w))
    name = method if clip is None else f"clipped({clip:g}) {method}"
    notes = _notes(raw, w, unit, n, effective)
    return Estimate(name, value, low, high, n, units, effective, float(raw.mean()), int((raw > w).sum()), notes)  # fmt: skip


def _check_chances(p: F64, q: F64, action: ArrayLike | None) -> None:
    for name, one in (("logged", p), ("target", q)):
        wrong = (one < 0) | (one > 1 + 1e-9)
        if wrong.any():
            raise DataError(f"{name} of row {int(np.argmax(wrong))} is {one[np.argmax(wrong)]:g}; a chance is in 0 ... 1")  # fmt: skip
    none = p == 0
    if none.any():
        named = ""
        if action is not None:
            kinds, times = np.unique(np.asarray(action)[none], return_counts=True)
            named = f", most of them action {kinds[times.argmax()].item()!r}"
        raise DataError(
            f"the log gives {int(none.sum()):,} of {len(p):,} rows a chance of 0{named}: what was done cannot have been "
            "impossible; log the chances that were drawn from"
        )


def _by_unit(rows: F64, unit: ArrayLike | None, n: int) -> tuple[F64, int]:
    """Return sums of the columns over the rows of each unit; shape (units, c)."""
    if unit is None:
        return rows, n
    who = np.asarray(unit)
    if who.shape != (n,):
        raise DataError(f"unit must name one for each of {n:,} rows; got shape {who.shape}")
    kinds, code = np.unique(who, return_inverse=True)
    return np.stack([np.bincount(code, one) for one in rows.T], axis=1).astype(np.float64), len(
        kinds
    )


def _interval(sums: F64, tail: float, interval: str, rng: Rng) -> tuple[float, float, float]:
    """Return sum / sum with its interval over units; NaN for fewer than two."""
    n = len(sums)
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    if n < 2:
        return value, math.nan, math.nan
    if interval == "bootstrap":
        drawn = np.empty((RESAMPLES, 2))
        resampled_sums(kernel_seed(generator(rng)), np.ascontiguousarray(sums), drawn)
        kept = drawn[drawn[:, 1] > 0]
        low, high = np.quantile(kept[:, 0] / kept[:, 1], [tail, 1 - tail])
        return value, float(low), float(high)
    pulls = sums[:, 0] - value * sums[:, 1]
    error = math.sqrt(n / (n - 1) * float(pulls @ pulls)) / float(sums[:, 1].sum())
    reach = float(stdtrit(n - 1, 1 - tail)) * error
    return value, value - reach, value + reach


def _notes(raw: F64, w: F64, unit: ArrayLike | None, n: int, effective: float) -> tuple[str, ...]:
    told: list[str] = []
    sums, units = _by_unit(np.stack([raw, np.ones(n)], axis=1), unit, n)
    mean, low, high = _interval(sums, 0.0005, "delta", None)
    if units >= 2 and not low <= 1 <= high:
        told.append(
            f"the mean weight is {mean:.3f} and should be 1: the target does things that the log never "
            "did, or the chances are not those that were drawn from"
        )
    if units < FEW_UNITS:
        told.append(
            f"there are {units:,} units: the interval is not to be relied on below {FEW_UNITS}"
        )
    if effective < 100:
        told.append(f"the {n:,} rows are worth {effective:,.0f}: the interval is not to be relied on below 100")  # fmt: skip
    if (raw > w).any():
        told.append(f"{int((raw > w).sum()):,} weights were cut: the estimate is biased towards what was logged")  # fmt: skip
    return tuple(told)


def reward_of_action(
    action: ArrayLike,
    reward: ArrayLike,
    target: ArrayLike,
    *,
    unit: ArrayLike | None = None,
    prior: float = 10.0,
    rng: Rng = None,
) -> tuple[F64, F64]:
    """Fit the simplest model of the reward, a shrunken mean for each action, on other folds than it speaks of.

    Parameters
    ----------
    action : shape (n,) of int in 0 ... m - 1
        What was done.
    reward : shape (n,)
        What was earned.
    target : shape (n, m) or (m,)
        The target's chances of all actions, for each row or for all.
    unit : shape (n,), optional
        Rows of one unit stay in one fold.
    prior
        Rows that the mean of all counts for, >= 0; of an action without rows it is all that is known.
    rng
        Of the folds.

    Returns
    -------
    model_logged, model_target : shape (n,)
        What `estimate` takes.

    Example
    -------
    >>> f, g = reward_of_action([0, 1, 0, 1], [0, 1, 0, 1], [0.0, 1.0], prior=0.0, rng=0)
    >>> f.tolist(), g.tolist()
    ([0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    """
    code = np.asarray(action)
    n = len(code)
    if n < 2 or not np.issubdtype(code.dtype, np.integer) or (code < 0).any():
        raise DataError("action must be a row number >= 0 for each of at least 2 rows")
    r, chances = _column("reward", reward, n), np.asarray(target, np.float64)
    m = chances.shape[-1]
    if (code >= m).any() or chances.shape not in {(m,), (n, m)}:
        raise DataError(f"target must have a chance for each of {int(code.max()) + 1:,} actions; got shape {chances.shape}")  # fmt: skip
    if not (math.isfinite(prior) and prior >= 0):
        raise ConfigError(f"prior must be a number of rows >= 0; got {prior!r}")
    who = np.arange(n) if unit is None else np.unique(np.asarray(unit), return_inverse=True)[1]
    many = int(who.max()) + 1
    fold = generator(rng).permutation(np.arange(many) % min(FOLDS, many))[who]
    f, g = np.empty(n), np.empty(n)
    for one in range(int(fold.max()) + 1):
        here, rest = fold == one, fold != one
        overall = float(r[rest].mean()) if rest.any() else 0.0
        seen = np.bincount(code[rest], minlength=m)
        earned = np.bincount(code[rest], r[rest], minlength=m)
        below = seen + prior
        means = np.divide(earned + prior * overall, below, out=np.full(m, overall), where=below > 0)
        f[here] = means[code[here]]
        g[here] = (chances if chances.ndim == 1 else chances[here]) @ means
    return f, g
