"""How many units, and how many days, an experiment needs.

With variances v_c and v_t of one unit, shares w_c and w_t of the units, and a difference d, the test
finds d with the wanted power from n = (c + z_power)^2 (v_c / w_c + v_t / w_t) / d^2 units on, where c is
the quantile of a test looked at once, or `sequential.critical` at its tightest.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import ndtr, ndtri

from twofold.errors import ConfigError
from twofold.online.ratio_check import shares_of
from twofold.online.sequential import check_level, critical


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment needs; `plan` makes it."""

    baseline: float
    lift: float
    difference: float
    """In the metric's own unit: baseline * lift."""
    spread: tuple[float, float]
    """Standard deviation of a unit of the control and of the treatment."""
    shares: tuple[float, float]
    alpha: float
    """Of one comparison, after the correction for several."""
    power: float
    sequential: bool
    correlation: float
    units: tuple[int, int]
    """Of the control and of the treatment."""
    days: int | None
    """None where the traffic is not told."""

    @property
    def total(self) -> int:
        """Units of both variants."""
        return sum(self.units)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {**asdict(self), "total": self.total}


def _variances(
    baseline: float,
    difference: float,
    spread: float | tuple[float, float] | None,
    correlation: float,
) -> tuple[float, float]:
    if spread is None:
        other = baseline + difference
        if not (0 < baseline < 1 and 0 < other < 1):
            raise ConfigError(
                f"without a spread the metric is a share of units, between 0 and 1, before and after; "
                f"got {baseline:g} and {other:g}; for a mean give its standard deviation as spread"
            )
        plain = baseline * (1 - baseline), other * (1 - other)
    else:
        both = spread if isinstance(spread, tuple) else (spread, spread)
        if len(both) != 2 or not all(math.isfinite(one) and one > 0 for one in both):
            raise ConfigError(f"spread must be a standard deviation > 0, or those of control and treatment; got {spread!r}")  # fmt: skip
        plain = both[0] ** 2, both[1] ** 2
    if not (math.isfinite(correlation) and -1 < correlation < 1):
        raise ConfigError(f"correlation must be between -1 and 1; got {correlation!r}")
    kept = 1 - correlation**2
    return plain[0] * kept, plain[1] * kept


def _quantile(alpha: float, *, sequential: bool) -> float:
    return float(critical(1.0, tightest=1.0, alpha=alpha)) if sequential else float(ndtri(1 - alpha / 2))  # fmt: skip


def plan(
    *,
    baseline: float,
    lift: float,
    spread: float | tuple[float, float] | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    weights: tuple[float, float] = (1.0, 1.0),
    correlation: float = 0.0,
    comparisons: int = 1,
    sequential: bool = False,
    units_per_day: float | None = None,
) -> Plan:
    """Return how many units find a lift with the wanted power.

    Parameters
    ----------
    baseline
        The control's metric: a share of units in (0, 1), or with `spread` any number that is not 0.
    lift
        The smallest relative lift that matters, such as 0.05 for 5 %; not 0.
    spread
        Standard deviation of one unit, or those of control and treatment: a treatment that multiplies
        amounts multiplies their spread too. None = that of a share, sqrt(p (1 - p)).
    alpha, power
        In (0, 1): false positives without an effect, finds with it; two-sided.
    weights
        Of control and treatment, > 0.
    correlation
        In (-1, 1), between the metric and what CUPED knows of before: units fall by 1 - correlation^2.
    comparisons
        Metrics times treatments that Holm's correction spans, >= 1; each is planned at alpha / comparisons.
    sequential
        Plan for the test that may be looked at any day, tightest at the planned size; it stops earlier
        where the effect is larger.
    units_per_day
        New units of both variants in a day, > 0; the days follow.

    Raises
    ------
    ConfigError
        If an argument is outside its range.

    Example
    -------
    >>> made = plan(baseline=0.10, lift=0.10, units_per_day=2000)
    >>> made.units, made.days
    ((14749, 14749), 15)
    """
    for name, value in (("baseline", baseline), ("lift", lift)):
        if not math.isfinite(value) or value == 0:
            raise ConfigError(f"{name} must be a number other than 0; got {value!r}")
    if isinstance(comparisons, bool) or comparisons < 1:
        raise ConfigError(f"comparisons must be an integer >= 1; got {comparisons!r}")
    level = check_level("alpha", alpha) / comparisons
    shares = shares_of(weights, 2)
    difference = baseline * lift
    variances = _variances(baseline, difference, spread, correlation)
    reach = _quantile(level, sequential=sequential) + float(ndtri(check_level("power", power)))
    if reach <= 0:
        raise ConfigError(f"power must be above alpha / 2; got {power!r}")
    total = reach**2 * sum(v / w for v, w in zip(variances, shares, strict=True)) / difference**2
    if units_per_day is not None and not (math.isfinite(units_per_day) and units_per_day > 0):
        raise ConfigError(f"units_per_day must be a number > 0; got {units_per_day!r}")
    units = math.ceil(total * shares[0]), math.ceil(total * shares[1])
    return Plan(
        baseline=baseline,
        lift=lift,
        difference=difference,
        spread=(math.sqrt(variances[0]), math.sqrt(variances[1])),
        shares=(float(shares[0]), float(shares[1])),
        alpha=level,
        power=power,
        sequential=sequential,
        correlation=correlation,
        units=units,
        days=None if units_per_day is None else math.ceil(sum(units) / units_per_day),
    )


def power_of(made: Plan, total: float) -> float:
    """Return the power of a plan's test with `total` units of both variants; at one look, where it is sequential.

    Example
    -------
    >>> made = plan(baseline=0.10, lift=0.10)
    >>> round(power_of(made, made.total), 3), round(power_of(made, made.total / 2), 3)
    (0.8, 0.508)
    """
    if not (math.isfinite(total) and total > 0):
        raise ConfigError(f"total must be a number of units > 0; got {total!r}")
    variance = sum(s**2 / w for s, w in zip(made.spread, made.shares, strict=True)) / total
    reach = _quantile(made.alpha, sequential=made.sequential)
    away = abs(made.difference) / math.sqrt(variance)
    return float(ndtr(away - reach) + ndtr(-away - reach))
