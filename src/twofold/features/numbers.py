"""Numbers for networks: quantiles, cells of a grid, centred and scaled vectors.

The quantiles are those of Covington, Adams & Sargin (2016), section 4.1.
"""

from __future__ import annotations

import numpy as np

from twofold.data.columns import Vector
from twofold.errors import DataError
from twofold.typing import F32, F64, I64, Bool

BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


def distribution(values: F64, quantiles: int) -> tuple[F64, F64]:
    """Return knots of the empirical distribution of `values` (n,), and the share of values below each.

    F(v) = |{x < v}| / n at every distinct value v, or at `quantiles` of them that lie evenly among the
    sorted values, the smallest and the largest among them. NaN and infinity are left out; without a
    value left the one knot is 0.
    """
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.zeros(1), np.zeros(1)
    knots, below = np.unique(ordered, return_index=True)
    if len(knots) > quantiles:
        at = np.linspace(0, len(ordered) - 1, quantiles).round().astype(np.int64)
        picked = np.unique(np.searchsorted(knots, ordered[at]))
        knots, below = knots[picked], below[picked]
    return knots, below / len(ordered)


def quantile_powers(values: F64, knots: F64, shares: F64) -> tuple[F32, int]:
    """Return x~, x~^2, sqrt(x~) and the indicator of missing, (n, 4), and how many lie out of range.

    x~ is interpolated between the knots; below the first it is 0, above the last the share of the last.
    """
    missing = np.isnan(values)
    x = np.interp(np.where(missing, knots[0], values), knots, shares)
    # A share of one less in 2^25 rounds to 1 as float32.
    x = np.where(missing, 0.0, np.minimum(x, BELOW_ONE))
    lowest, highest = np.min(knots), np.max(knots)
    outside = np.count_nonzero(values < lowest) + np.count_nonzero(values > highest)
    return np.column_stack([x, x**2, np.sqrt(x), missing]).astype(np.float32), int(outside)


def mean_powers(shares: F64) -> F32:
    """Return the means of x~, x~^2 and sqrt(x~) over the training values, and 0 for the indicator of missing, (4,).

    `shares` are those of all values below each knot, so that a knot has what lies up to the next one.

    Example
    -------
    >>> mean_powers(np.array([0.0, 0.25])).tolist()  # a quarter of the values is the smaller one
    [0.1875, 0.046875, 0.375, 0.0]
    """
    weight = np.diff(shares, append=1.0)
    means = [float(weight @ shares**power) for power in (1.0, 2.0, 0.5)]
    return np.array([*means, 0.0], np.float32)


def cells(places: F64, degrees: float) -> I64:
    """Return the cell of every place (n, 2) on a grid of `degrees`, (n,), -1 where missing.

    180 degrees east is 180 degrees west.
    """
    across = int(np.ceil(360 / degrees))
    missing: Bool = np.asarray(np.isnan(places).any(axis=1))
    latitude, longitude = np.where(missing[:, None], 0, places).T
    north = np.floor((latitude + 90) / degrees).astype(np.int64)
    east = np.floor((longitude + 180) % 360 / degrees).astype(np.int64)
    return np.where(missing, -1, north * across + east)


def finite_or_missing(name: str, column: Vector) -> F64:
    """Return a vector column as float64 (n, d), NaN where missing.

    Raises
    ------
    DataError
        If it holds infinity.
    """
    values = column.values.astype(np.float64)
    bad = np.flatnonzero(np.isinf(values).any(axis=1))
    if len(bad):
        raise DataError(
            f"column {name!r} holds infinity in row {int(bad[0]):,}; "
            "vectors must be finite, or NaN where missing"
        )
    return values


def centre_and_scale(values: F64) -> tuple[F32, F32]:
    """Return mean and spread of every column of `values` (n, d), NaN left out; spread 0 becomes 1."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - centre, 0) ** 2).sum(axis=0) / count)
    # Rounding leaves a constant column a spread of some ulp: it must become 0, not noise.
    constant = spread <= 1e-6 * np.abs(centre)
    return centre.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32)


def standardised(values: F64, centre: F32, scale: F32) -> F32:
    """Return `values` (n, d) centred and scaled, 0 where missing, and an indicator: (n, d + 1)."""
    missing = np.isnan(values)
    made = np.where(missing, 0.0, (values - centre) / scale)
    return np.column_stack([made, missing.any(axis=1)]).astype(np.float32)
