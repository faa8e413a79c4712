"""Sample-ratio mismatch: whether the variants have as many units as their weights say.

A mismatch means that assignment, logging or a filter is broken, and then no lift can be believed
(Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD).
Once: Pearson's chi-square. Looked at again and again: the Bayes factor of a Dirichlet-multinomial
against the stated shares (Lindon & Malek 2022, "Anytime-Valid Inference for Multinomial Count Data").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chdtri, chndtr, gammaln

from twofold.errors import ConfigError, DataError
from twofold.online.sequential import check_level
from twofold.typing import F64

ALARM = 0.001
"""The alarm sounds at p-values below this: one false alarm in a thousand experiments."""
CONCENTRATION = 1000.0
"""Of the Dirichlet around the stated shares: mismatches of a few hundredths are found soonest."""


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """Whether the units are divided as the weights say."""

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    """Units that the weights would give."""
    statistic: float
    p_value: float
    alarm: bool

    def __str__(self) -> str:
        """Return one sentence."""
        found = " : ".join(f"{one:,}" for one in self.counts)
        wanted = " : ".join(f"{one:,.0f}" for one in self.expected)
        told = "RATIO MISMATCH, believe no lift" if self.alarm else "no mismatch shown"
        return f"units {found}, expected {wanted}: {told} (p {self.p_value:.3g}, alarm below {ALARM:g})"


def shares_of(weights: Sequence[float], n: int) -> F64:
    """Return weights as shares; shape (n,).

    Raises
    ------
    ConfigError
        If there are not n >= 2 of them, or one is not above 0.
    """
    given = np.asarray(weights, np.float64)
    if given.shape != (n,) or n < 2:
        raise ConfigError(f"a ratio needs a weight for each of at least 2 variants; got {len(given)} for {n}")  # fmt: skip
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise ConfigError(f"weights must be numbers > 0; got {given.tolist()}")
    return given / given.sum()


def _counts(counts: ArrayLike) -> F64:
    given = np.asarray(counts, np.float64)
    if given.size == 0 or not np.isfinite(given).all() or (given < 0).any() or (given % 1).any():
        raise DataError(f"counts must be whole numbers >= 0; got {np.asarray(counts).tolist()}")
    return given


def ratio_check(
    counts: Sequence[int], weights: Sequence[float], *, threshold: float = ALARM
) -> RatioCheck:
    """Test the units of each variant against the weights, once: Pearson's chi-square, k - 1 degrees.

    Parameters
    ----------
    counts : k whole numbers >= 0
        Units, not requests: a unit that is exposed often counts once.
    weights : k numbers > 0
        As they were declared.
    threshold
        0 < threshold < 1.

    Raises
    ------
    DataError
        If a count is negative or not whole, or there are no units at all.
    ConfigError
        If the weights or the threshold are outside their ranges.

    Example
    -------
    >>> print(ratio_check([50_600, 49_400], [1, 1]))
    units 50,600 : 49,400, expected 50,000 : 50,000: RATIO MISMATCH, believe no lift (p 0.000148, alarm below 0.001)
    """
    check_level("threshold", threshold)
    seen = _counts(counts)
    shares = shares_of(weights, len(seen))
    if seen.sum() == 0:
        raise DataError("there are no units to check the ratio of; were exposures logged?")
    expected = seen.sum() * shares
    statistic = float(((seen - expected) ** 2 / expected).sum())
    p = float(chdtrc(len(seen) - 1, statistic))
    counted, wanted = tuple(int(one) for one in seen), tuple(float(one) for one in expected)
    return RatioCheck(counted, wanted, statistic, p, p < threshold)


def sequential_ratio_check(
    counts: ArrayLike, weights: Sequence[float], *, concentration: float = CONCENTRATION
) -> F64:
    """Return a p-value after each look that stays valid however often it is looked at.

    p = min over looks so far of prod_i shares_i^n_i * B(a) / B(a + n), with a = concentration * shares
    and B the multivariate beta function: 1 over the Bayes factor of Lindon & Malek, Eq. 9.

    Parameters
    ----------
    counts : shape (looks, k)
        Units of each variant so far, at each look; they never fall.
    weights : k numbers > 0
        As they were declared.
    concentration
        > 0: the larger, the smaller the mismatches that are found soonest.

    Raises
    ------
    DataError
        If the counts are not such.

    Example
    -------
    >>> sequential_ratio_check([[505, 495], [5_150, 4_850], [10_400, 9_600]], [1, 1]).round(6).tolist()
    [1.0, 0.055431, 1e-06]
    """
    seen = _counts(counts)
    if seen.ndim != 2 or (np.diff(seen, axis=0) < 0).any():
        raise DataError("counts must be a row a look, and never fall from one look to the next")
    if not (math.isfinite(concentration) and concentration > 0):
        raise ConfigError(f"concentration must be a number > 0; got {concentration!r}")
    shares = shares_of(weights, seen.shape[1])
    prior = concentration * shares
    factor = (
        gammaln(concentration)
        - gammaln(concentration + seen.sum(axis=1))
        + (gammaln(prior + seen) - gammaln(prior) - seen * np.log(shares)).sum(axis=1)
    )
    return np.exp(-np.maximum.accumulate(np.maximum(factor, 0.0)))


def ratio_size(
    actual: Sequence[float],
    weights: Sequence[float],
    *,
    power: float = 0.9,
    threshold: float = ALARM,
) -> int:
    """Return how many units the alarm needs to find that shares are `actual` in place of `weights`.

    The chi-square statistic is non-central with n * sum((actual - share)^2 / share).

    Example
    -------
    >>> ratio_size([0.51, 0.49], [1, 1])
    52260
    """
    check_level("power", power)
    shares, real = shares_of(weights, len(weights)), shares_of(actual, len(weights))
    distance = float(((real - shares) ** 2 / shares).sum())
    if distance == 0:
        raise ConfigError("the actual shares are those of the weights: there is nothing to find")
    degrees = len(shares) - 1
    limit = float(chdtri(degrees, check_level("threshold", threshold)))
    low, high = 0.0, 1.0
    while float(chndtr(limit, degrees, high)) > 1 - power:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(chndtr(limit, degrees, middle)) > 1 - power else (low, middle)  # fmt: skip
    return math.ceil(high / distance)
