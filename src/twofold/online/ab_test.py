"""Lift of one variant over another, by the unit of randomisation.

A metric is a ratio of sums over units, sum(total) / sum(weight): weight 1 for a mean per person, the
number of exposures for a click-through rate. Units are independent, their rows are not, so the variance
is that of units: the delta method (Deng, Knoblich & Lu 2018, "Applying the Delta Method in Metric
Analytics"), or the bootstrap over units. CUPED (Deng, Xu, Kohavi & Walker 2013, "Improving the
Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data") takes out what was known
of each unit before: with psi_u = (total_u - R weight_u) / mean(weight), what one unit does to the ratio,
and x_u what it did before, theta = cov(psi, x) / var(x) within variants, and R - theta mean(x) is compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.kernels.resample import RESAMPLES, resampled_sums
from twofold.online.sequential import check_level
from twofold.random import generator, kernel_seed
from twofold.typing import F64, Rng

METHODS = ("delta", "bootstrap")


class Interval(NamedTuple):
    """A value with the ends of its interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """The units of one variant; made by `arm`."""

    total: F64  # (n,)
    weight: F64  # (n,) > 0
    before: F64  # (n,) NaN where nothing was known

    @property
    def ratio(self) -> float:
        """The metric."""
        return float(self.total.sum() / self.weight.sum())

    @property
    def pulls(self) -> F64:
        """What each unit does to the ratio: (total - R weight) / mean(weight); shape (n,), sum 0."""
        return (self.total - self.ratio * self.weight) / self.weight.mean()


def arm(total: ArrayLike, weight: ArrayLike | None = None, before: ArrayLike | None = None) -> Arm:
    """Check the units of one variant; those of weight 0 did not take part and are left out.

    Parameters
    ----------
    total : shape (n,)
        What each unit adds to the numerator; finite.
    weight : shape (n,), optional
        What each adds to the denominator, >= 0; None = 1 each, so that the metric is a mean over units.
    before : shape (n,), optional
        Something known of each unit before it was first exposed; NaN where nothing is known.

    Raises
    ------
    DataError
        If nothing is left, shapes differ, or a number is not finite or negative where it may not be.

    Example
    -------
    >>> arm([3, 0, 1], weight=[10, 5, 5]).ratio  # clicks and exposures of three people
    0.2
    """
    told = np.asarray(total, np.float64)
    if told.ndim != 1:
        raise DataError(f"total must be one number a unit; got shape {told.shape}")
    size = np.ones(len(told)) if weight is None else np.asarray(weight, np.float64)
    known = np.full(len(told), np.nan) if before is None else np.asarray(before, np.float64)
    for name, one in (("weight", size), ("before", known)):
        if one.shape != told.shape:
            raise DataError(f"{name} must have a number for each of {len(told):,} units; got shape {one.shape}")  # fmt: skip
    for name, bad in (
        ("total", ~np.isfinite(told)),
        ("weight", ~np.isfinite(size) | (size < 0)),
        ("before", np.isinf(known)),
    ):
        if bad.any():
            at = int(np.argmax(bad))
            value = {"total": told, "weight": size, "before": known}[name][at]
            raise DataError(f"{name} of unit {at} is {value}; it must be a finite number{' >= 0' * (name == 'weight')}")  # fmt: skip
    used = size > 0
    if (told[~used] != 0).any():
        raise DataError("a unit has a total and no weight: whatever is counted must have had a chance to happen")  # fmt: skip
    if not used.any():
        raise DataError("a variant has no units; nothing can be compared with it")
    return Arm(told[used], size[used], known[used])


@dataclass(frozen=True, slots=True)
class Lift:
    """What a treatment does, against a control."""

    units: tuple[int, int]
    """Units of the control and of the treatment."""
    size: float
    """Sum of the weights of both: units for a mean, exposures for a click-through rate."""
    control: float
    treatment: float
    """The metric of each, before any adjustment."""
    difference: Interval
    """Treatment - control; adjusted by CUPED where something was known before."""
    relative: Interval
    """The difference over the control's metric, see `relative_within`; NaN where that is not above 0."""
    standard_error: float
    """Of the difference; NaN for fewer than two units in a variant."""
    relative_error: float
    """Standard error of the relative lift."""
    p_value: float
    """Two-sided, for one look at the planned end; 1 where the standard error is not known, or 0 because nobody differs."""
    kept_variance: float
    """Variance of the difference after CUPED over that before: 1 - rho^2 in large samples, 1 without it."""
    control_error: float
    """Standard error of the control's metric."""
    shared: float
    """Covariance of the control's metric before and after CUPED: its variance, without it."""

    def relative_within(self, reach: float) -> Interval:
        """Return the relative lift with the lifts that `reach` standard errors do not rule out (Fieller 1954).

        It holds 0 exactly where the interval of the difference does. Infinite where the control's metric is not told from
        0 at that distance, NaN where no standard error is known.
        """
        share = self.relative.value
        if math.isnan(share) or math.isnan(self.standard_error):
            return Interval(share, math.nan, math.nan)
        gap, base, square = self.difference.value, self.control, reach**2
        below = base**2 - square * self.control_error**2
        if below <= 0:
            return Interval(share, -math.inf, math.inf)
        middle = gap * base + square * self.shared
        root = math.sqrt(max(middle**2 - below * (gap**2 - square * self.standard_error**2), 0.0))
        return Interval(share, (middle - root) / below, (middle + root) / below)


def readable(relative: Interval, difference: Interval) -> tuple[Interval, str]:
    """Return what is shown of a lift, and its format: per cent, or the difference where it alone has an interval or a value.

    Example
    -------
    >>> readable(Interval(0.5, -math.inf, math.inf), Interval(0.01, 0.002, 0.018))
    (Interval(value=0.01, low=0.002, high=0.018), '.4g')
    """
    ends = [one.high - one.low for one in (relative, difference)]
    shares = math.isfinite(ends[0]) or not (math.isfinite(ends[1]) or math.isnan(relative.value))
    return (relative, ".1%") if shares else (difference, ".4g")


class _Parts(NamedTuple):
    """What the delta method needs of one arm."""

    adjusted: F64  # (n,) pulls after CUPED
    plain: F64  # (n,)


def theta_of(*parts: tuple[F64, F64]) -> float:
    """Return CUPED's coefficient from the (pulls, centred covariate) of each arm; 0 for a constant covariate."""
    spread = sum(float(x @ x) for _, x in parts)
    return sum(float(pull @ x) for pull, x in parts) / spread if spread > 0 else 0.0


def _covariates(control: Arm, treatment: Arm) -> tuple[F64, F64]:
    """Return what was known before, the mean of all where nothing was, centred on the mean of all."""
    both = np.concatenate([control.before, treatment.before])
    known = ~np.isnan(both)
    filled = np.where(known, both - both[known].mean(), 0.0) if known.any() else np.zeros(len(both))
    cut = len(control.before)
    return filled[:cut], filled[cut:]


def _variance(pulls: F64) -> float:
    return _covariance(pulls, pulls)


def _covariance(one: F64, other: F64) -> float:
    n = len(one)
    return float(one @ other) / (n * (n - 1)) if n > 1 else math.nan


def compare_arms(
    control: Arm,
    treatment: Arm,
    *,
    confidence: float = 0.95,
    method: Literal["delta", "bootstrap"] = "delta",
    rng: Rng = None,
) -> Lift:
    """Return the lift of the treatment over the control, with intervals.

    Parameters
    ----------
    control, treatment
        Made by `arm`. Where both know something of before, CUPED is applied.
    confidence
        0 < confidence < 1.
    method
        ``delta``: Student's interval with Welch's degrees of freedom around the delta method's
        variance for the difference, and Fieller's with as many standard errors for the relative lift. ``bootstrap``: percentiles of
        ``RESAMPLES`` resamples of units, theta held. The p-value is Welch's in both.
    rng
        Of the bootstrap.

    Raises
    ------
    ConfigError
        If an argument is outside its range.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> found = compare_arms(arm(rng.random(4000) < 0.10), arm(rng.random(4000) < 0.13))
    >>> [round(one, 3) for one in found.difference], round(found.p_value, 4)
    ([0.032, 0.017, 0.046], 0.0)
    """
    tail = (1 - check_level("confidence", confidence)) / 2
    if method not in METHODS:
        raise ConfigError(f"method got {method!r}; {did_you_mean(method, METHODS)}")
    covariate = _covariates(control, treatment)
    centred = [x - x.mean() for x in covariate]
    parts = list(zip((control.pulls, treatment.pulls), centred, strict=True))
    theta = theta_of(*parts)
    before, after = (_Parts(pull - theta * x, pull) for pull, x in parts)
    base = control.ratio
    gap = treatment.ratio - base - theta * float(covariate[1].mean() - covariate[0].mean())
    shares = [_variance(one.adjusted) for one in (before, after)]
    error = math.sqrt(sum(shares)) if not math.isnan(sum(shares)) else math.nan
    sizes = (len(control.total), len(treatment.total))
    reach = float(stdtrit(_degrees(shares, sizes), 1 - tail)) if error > 0 else 0.0
    raw = sum(_variance(one.plain) for one in (before, after))
    difference = Interval(gap, gap - reach * error, gap + reach * error)
    relative, relative_error = Interval(math.nan, math.nan, math.nan), math.nan
    if base > 0:
        share = gap / base
        spread = _variance(after.adjusted) + _variance(before.adjusted + share * before.plain)
        relative_error = math.sqrt(spread) / base if not math.isnan(spread) else math.nan
        relative = Interval(share, math.nan, math.nan)
    if method == "bootstrap" and not math.isnan(error):
        difference, relative = _resampled(
            control, treatment, covariate, theta, difference, relative, tail, generator(rng)
        )
    made = Lift(
        units=sizes,
        size=float(control.weight.sum() + treatment.weight.sum()),
        control=base,
        treatment=treatment.ratio,
        difference=difference,
        relative=relative,
        standard_error=error,
        relative_error=relative_error,
        p_value=_p_value(gap, error, _degrees(shares, sizes)),
        kept_variance=sum(shares) / raw if raw > 0 else 1.0,
        control_error=math.sqrt(_variance(before.plain)),
        shared=_covariance(before.adjusted, before.plain),
    )
    if error == 0 and gap != 0:  # nobody differs within an arm: chance has no size
        nothing = {"low": -math.inf, "high": math.inf}
        return replace(made, difference=made.difference._replace(**nothing), relative=made.relative._replace(**nothing))  # fmt: skip
    return made if method == "bootstrap" else replace(made, relative=made.relative_within(reach))


def _degrees(shares: list[float], sizes: tuple[int, int]) -> float:
    """Return Welch's degrees of freedom; 1 where nothing varies."""
    below = sum(s**2 / (n - 1) for s, n in zip(shares, sizes, strict=True) if n > 1)
    return sum(shares) ** 2 / below if below > 0 else 1.0


def _p_value(gap: float, error: float, degrees: float) -> float:
    if not error > 0 or gap == 0:
        return 1.0
    return float(2 * stdtr(degrees, -abs(gap) / error))


def _resampled(
    control: Arm,
    treatment: Arm,
    covariate: tuple[F64, F64],
    theta: float,
    difference: Interval,
    relative: Interval,
    tail: float,
    rng: np.random.Generator,
) -> tuple[Interval, Interval]:
    """Return the intervals of the bootstrap around the given values."""
    ratios, means = list[F64](), list[F64]()
    for one, x in zip((control, treatment), covariate, strict=True):
        shares = np.ascontiguousarray(np.stack([one.total, one.weight, x], axis=1))
        sums = np.empty((RESAMPLES, 3))
        resampled_sums(kernel_seed(rng), shares, sums)
        ratios.append(sums[:, 0] / sums[:, 1])
        means.append(sums[:, 2] / len(x))
    gaps = ratios[1] - ratios[0] - theta * (means[1] - means[0])
    low, high = np.quantile(gaps, [tail, 1 - tail])
    made = Interval(difference.value, float(low), float(high))
    if not (ratios[0] > 0).all():
        return made, Interval(relative.value, math.nan, math.nan)
    low, high = np.quantile(gaps / ratios[0], [tail, 1 - tail])
    return made, Interval(relative.value, float(low), float(high))
