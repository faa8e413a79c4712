"""A test that may be looked at on any day: asymptotic confidence sequences with a normal mixture.

Robbins (1970), "Statistical methods related to the law of the iterated logarithm", is the mixture;
Johari, Pekelis & Walsh (2015) and Johari, Koomen, Pekelis & Walsh (2022) made it the mixture sequential
probability ratio test of experiments; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021, arXiv
2103.06476), Eq. 6, hold it for any outcome with a variance, which is estimated.

With n units so far, an estimate, its standard error s and a mixing variance rho^2 (in units of the
variance of one unit), let tau = n rho^2. The mixture of likelihood ratios against 0 is

    L = (1 + tau)^(-1/2) exp( z^2/2 * tau / (1 + tau) ),    z = estimate / s,

a martingale where there is no effect, so that 1 / L is a p-value at every moment at once (Ville), and
the effects not refused at level alpha are estimate ± s * sqrt( (1 + 1/tau) (log(1 + tau) + 2 log(1/alpha)) ).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from twofold.errors import ConfigError
from twofold.typing import F64

FIRST_LOOK = 100
"""Units that each variant must have before anything is concluded: the variance is estimated."""


def check_level(name: str, value: float) -> float:
    """Return a probability that is neither 0 nor 1.

    Raises
    ------
    ConfigError
        If it is not between them.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ConfigError(f"{name} must be a number between 0 and 1; got {value!r}")
    return float(value)


def mixing(size: ArrayLike, tightest: float, alpha: float) -> F64:
    """Return tau = size * rho^2, with rho chosen so that the interval is tightest at `tightest`.

    rho^2 = (2 log(1/alpha) + log(2 log(1/alpha)) + 1) / tightest (Waudby-Smith et al. 2021, Eq. 10;
    their approximation to the exact minimum).

    Parameters
    ----------
    size : any shape
        How much has been seen: units of all variants together, >= 0.
    tightest
        The size for which the test is made, > 0: what was planned. The test is valid for any other.
    alpha
        0 < alpha < 0.3; the level it is tuned for.

    Raises
    ------
    ConfigError
        If `tightest` or `alpha` is outside its range.
    """
    if not (math.isfinite(tightest) and tightest > 0):
        raise ConfigError(f"tightest must be a number of units > 0; got {tightest!r}")
    if check_level("alpha", alpha) >= 0.3:
        raise ConfigError(f"alpha must be below 0.3 for a sequential test; got {alpha!r}")
    twice = 2 * math.log(1 / alpha)
    return np.asarray(size, np.float64) * (twice + math.log(twice) + 1) / tightest


def critical(size: ArrayLike, *, tightest: float, alpha: float = 0.05) -> F64:
    """Return how many standard errors the interval reaches on each side; infinite at size 0.

    Example
    -------
    >>> round(float(critical(1000, tightest=1000)), 3)  # 1.96 for a test that is looked at once
    3.035
    """
    tau = mixing(size, tightest, alpha)
    with np.errstate(divide="ignore"):
        return np.sqrt((1 + 1 / tau) * (np.log1p(tau) + 2 * math.log(1 / alpha)))


def always_valid_interval(
    estimate: ArrayLike,
    standard_error: ArrayLike,
    size: ArrayLike,
    *,
    tightest: float,
    alpha: float = 0.05,
) -> F64:
    """Return intervals that hold the effect at all looks together with probability 1 - alpha.

    Parameters
    ----------
    estimate, standard_error : shape (looks,) or scalars
        At each look.
    size : shape (looks,) or a scalar
        Units of all variants together at each look.
    tightest, alpha
        See `mixing`.

    Returns
    -------
    ndarray, shape (looks, 2)
        Infinite where the standard error is not known.

    Example
    -------
    >>> always_valid_interval(0.2, 0.05, 1000, tightest=1000).round(3).tolist()
    [[0.048, 0.352]]
    """
    value = np.atleast_1d(np.asarray(estimate, np.float64))
    reach = np.asarray(standard_error, np.float64) * critical(size, tightest=tightest, alpha=alpha)
    reach = np.where(np.isnan(reach), np.inf, reach) * np.ones(len(value))
    return np.stack([value - reach, value + reach], axis=-1)


def always_valid_p(
    estimate: ArrayLike,
    standard_error: ArrayLike,
    size: ArrayLike,
    *,
    tightest: float,
    alpha: float = 0.05,
) -> F64:
    """Return the p-value after each look: 1 over the largest mixture so far; it never rises.

    Parameters and ranges as in `always_valid_interval`; `alpha` only tunes the mixture. A standard
    error of 0 or NaN tells nothing.

    Example
    -------
    >>> always_valid_p([0.1, 0.2, 0.1], [0.05, 0.05, 0.05], [500, 1000, 1500], tightest=1000).round(4).tolist()
    [0.4554, 0.0024, 0.0024]
    """
    value = np.atleast_1d(np.asarray(estimate, np.float64))
    error = np.asarray(standard_error, np.float64) * np.ones(len(value))
    known = error > 0
    z = np.divide(value, error, out=np.zeros(len(value)), where=known)
    tau = mixing(size, tightest, alpha) * np.ones(len(value))
    log_mixture = z**2 / 2 * tau / (1 + tau) - np.log1p(tau) / 2
    log_mixture = np.where(known, log_mixture, 0.0)
    return np.exp(-np.maximum.accumulate(np.maximum(log_mixture, 0.0)))
