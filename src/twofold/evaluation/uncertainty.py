"""Intervals by resampling users, and paired tests with Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtr

from twofold.errors import ConfigError
from twofold.kernels.resample import RESAMPLES, resampled_sums
from twofold.random import kernel_seed
from twofold.typing import F64

MANY = 20_000
"""From so many users on, the bootstrap's normal limit is used in its place."""


def bootstrap(
    totals: F64, weight: F64, *, confidence: float = 0.95, rng: np.random.Generator
) -> F64:
    """Return the interval of sum(total) / sum(weight) when users are drawn again with replacement.

    Parameters
    ----------
    totals : shape (c, n)
        What each user adds to the numerator of each of c metrics: its value, or the sum of squared
        errors.
    weight : shape (n,)
        What each user adds to the denominator: 1, or the number of ratings; users with 0 are passed
        over.
    confidence
        0 < confidence < 1.
    rng
        Generator; all metrics are measured on the same resamples.

    Returns
    -------
    ndarray, shape (c, 2)
        The ends of the percentile interval (Efron & Tibshirani 1993, section 13.3) of ``RESAMPLES``
        resamples; from ``MANY`` users on, of its normal limit by the delta method. NaN for fewer than
        two users.

    Raises
    ------
    ConfigError
        If `confidence` is not in (0, 1).

    Example
    -------
    >>> values = np.arange(100.0)[None]
    >>> low, high = bootstrap(values, np.ones(100), rng=np.random.default_rng(0))[0]
    >>> bool(low < 49.5 < high)
    True
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must be between 0 and 1; got {confidence!r}")
    used = np.flatnonzero(weight > 0)
    n = len(used)
    if n < 2:
        return np.full((len(totals), 2), np.nan)
    tail = (1 - confidence) / 2
    if n >= MANY:
        reach = float(ndtri(1 - tail))
        return np.array([_normal_limit(total[used], weight[used], reach) for total in totals])
    shares = np.ascontiguousarray(np.vstack([totals[:, used], weight[None, used]]).T)
    sums = np.empty((RESAMPLES, shares.shape[1]))
    resampled_sums(kernel_seed(rng), shares, sums)
    return np.quantile(sums[:, :-1] / sums[:, -1:], [tail, 1 - tail], axis=0).T


def _normal_limit(total: F64, weight: F64, reach: float) -> tuple[float, float]:
    n = len(total)
    ratio = total.sum() / weight.sum()
    spread = np.sqrt(n / (n - 1) * ((total - ratio * weight) ** 2).sum()) / weight.sum()
    return float(ratio - reach * spread), float(ratio + reach * spread)


def paired_test(one: F64, other: F64) -> float:
    """Return the two-sided p-value of Student's paired t test of two models on the same users.

    1 where no user differs, or there are fewer than two users.
    """
    difference = one - other
    n = len(difference)
    if n < 2 or not difference.any():
        return 1.0
    spread = difference.std(ddof=1)
    if spread == 0:
        return 0.0
    statistic = difference.mean() / (spread / np.sqrt(n))
    return float(2 * stdtr(n - 1, -abs(statistic)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of comparisons (Holm 1979), in the given order.

    Example
    -------
    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[int(at)]))
        corrected[int(at)] = highest
    return corrected
