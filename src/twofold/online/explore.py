"""Lists that explore with known chances, so that the log can answer what another policy would have done.

A list is filled place by place from a pool of candidates. The propensity that is returned for a place is
exact: the chance of that item at that place, given the items above it. The product down to a place is the
chance of the list so far; the first one alone is the chance of the first item.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twofold.errors import ConfigError, DataError, at_least_one
from twofold.random import generator
from twofold.typing import F64, Rng


class Explored(NamedTuple):
    """A list that was drawn."""

    places: np.ndarray
    """Row numbers of the candidates, in the order of the list; shape (k,), int64."""
    propensities: F64
    """Of each item at its place, given the items above it; shape (k,), in (0, 1]."""


def _candidates(scores: ArrayLike, k: int) -> tuple[F64, int]:
    given = np.asarray(scores, np.float64)
    if given.ndim != 1 or not len(given):
        raise DataError(f"scores must be one number for each of at least one candidate; got shape {given.shape}")  # fmt: skip
    if not np.isfinite(given).all():
        raise DataError(f"the score of candidate {int(np.argmin(np.isfinite(given)))} is not finite; leave it out")  # fmt: skip
    at_least_one("k", k)
    return given, min(int(k), len(given))


def _share(epsilon: float) -> float:
    if not 0 <= epsilon <= 1:
        raise ConfigError(f"epsilon must be in 0 ... 1; got {epsilon!r}")
    return float(epsilon)


def _heat(temperature: float) -> float:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ConfigError(f"temperature must be a number > 0; got {temperature!r}")
    return float(temperature)


def epsilon_greedy(scores: ArrayLike, k: int, *, epsilon: float, rng: Rng = None) -> Explored:
    """At each place take the best candidate that is left, or with chance epsilon any that is left, alike.

    Parameters
    ----------
    scores : shape (m,)
        Of the candidates; finite. Ties go to the lower row.
    k
        Length of the list, >= 1; m where that is less.
    epsilon
        In 0 ... 1. With 0 nothing is explored, and nothing can be learned of other items.
    rng
        Of the draws.

    Raises
    ------
    DataError
        If there is no candidate, or a score is not finite.
    ConfigError
        If k or epsilon is outside its range.

    Example
    -------
    >>> epsilon_greedy([0.1, 0.9, 0.5], k=2, epsilon=0.3, rng=0).propensities.round(3).tolist()
    [0.8, 0.85]
    """
    given, length = _candidates(scores, k)
    share, draw = _share(epsilon), generator(rng)
    left = list(np.argsort(-given, kind="stable"))
    places, chances = [], []
    for _ in range(length):
        at = int(draw.integers(len(left))) if draw.random() < share else 0
        chances.append(share / len(left) + (1 - share) * (at == 0))
        places.append(int(left.pop(at)))
    return Explored(np.array(places, np.int64), np.array(chances))


def plackett_luce(scores: ArrayLike, k: int, *, temperature: float, rng: Rng = None) -> Explored:
    """At each place draw from those that are left with chances exp(score / temperature), the softmax without return.

    Drawn at once, by adding Gumbel noise and sorting (Yellott 1977; Kool, van Hoof & Welling 2019).

    Parameters
    ----------
    scores, k, rng
        As in `epsilon_greedy`.
    temperature
        > 0: the larger, the more is explored.

    Example
    -------
    >>> drawn = plackett_luce([0.1, 0.9, 0.5], k=2, temperature=1.0, rng=0)
    >>> drawn.places.tolist(), drawn.propensities.round(3).tolist()
    ([2, 1], [0.316, 0.69])
    """
    given, length = _candidates(scores, k)
    scaled, draw = given / _heat(temperature), generator(rng)
    order = np.argsort(-(scaled + draw.gumbel(size=len(scaled))), kind="stable")[:length]
    return Explored(order.astype(np.int64), plackett_luce_propensities(given, order, temperature=temperature))  # fmt: skip


def plackett_luce_propensities(scores: ArrayLike, places: ArrayLike, *, temperature: float) -> F64:
    """Return the chance of each item of a list at its place, given those above it; shape (k,).

    Also for a list that another policy drew: what an off-policy estimate needs of the target.

    Example
    -------
    >>> plackett_luce_propensities([0.0, 0.0, 0.0], [2, 0, 1], temperature=1).round(3).tolist()
    [0.333, 0.5, 1.0]
    """
    shown = np.asarray(places, np.int64)
    given, _ = _candidates(scores, max(len(shown), 1))
    _check_places(shown, len(given))
    scaled = given / _heat(temperature)
    mass = np.exp(scaled - scaled.max())
    gone = np.zeros(len(mass), np.bool_)
    chances = np.empty(len(shown))
    for at, one in enumerate(shown):
        # The rest is summed anew: subtracting what is gone would cancel where one candidate has nearly all.
        rest = scaled[~gone]
        chances[at] = math.exp(scaled[one] - rest.max()) / np.exp(rest - rest.max()).sum()
        gone[one] = True
    return chances


def epsilon_greedy_propensities(scores: ArrayLike, places: ArrayLike, *, epsilon: float) -> F64:
    """Return the chance of each item of a list at its place, given those above it; shape (k,).

    Example
    -------
    >>> epsilon_greedy_propensities([0.1, 0.9, 0.5], [2, 1], epsilon=0.3).round(3).tolist()
    [0.1, 0.85]
    """
    shown = np.asarray(places, np.int64)
    given, _ = _candidates(scores, max(len(shown), 1))
    _check_places(shown, len(given))
    share, left = _share(epsilon), list(np.argsort(-given, kind="stable"))
    chances = np.empty(len(shown))
    for at, one in enumerate(shown):
        chances[at] = share / len(left) + (1 - share) * (left[0] == one)
        left.remove(one)
    return chances


def plackett_luce_chances(scores: ArrayLike, above: ArrayLike, *, temperature: float) -> F64:
    """Return the chance of every candidate at the next place of a list; shape (m,), 0 for those above.

    Parameters
    ----------
    scores, temperature
        As in `plackett_luce`.
    above : shape (j,)
        Rows of the candidates that stand above, each once.

    Example
    -------
    >>> plackett_luce_chances([0.0, 0.0, 0.0], [2], temperature=1).tolist()
    [0.5, 0.5, 0.0]
    """
    given, left = _left(scores, above)
    scaled = given / _heat(temperature)
    chances = np.zeros(len(given))
    if left.any():
        mass = np.exp(scaled[left] - scaled[left].max())
        chances[left] = mass / mass.sum()
    return chances


def epsilon_greedy_chances(scores: ArrayLike, above: ArrayLike, *, epsilon: float) -> F64:
    """Return the chance of every candidate at the next place of a list; shape (m,), 0 for those above.

    Parameters as in `plackett_luce_chances`, and `epsilon` as in `epsilon_greedy`.

    Example
    -------
    >>> epsilon_greedy_chances([0.1, 0.9, 0.5], [1], epsilon=0.3).round(3).tolist()
    [0.15, 0.0, 0.85]
    """
    given, left = _left(scores, above)
    share = _share(epsilon)
    chances = np.where(left, share / max(int(left.sum()), 1), 0.0)
    if left.any():
        chances[int(np.argmax(np.where(left, given, -np.inf)))] += 1 - share
    return chances


def _left(scores: ArrayLike, above: ArrayLike) -> tuple[F64, np.ndarray]:
    """Return the scores, and which candidates are not above."""
    shown = np.asarray(above, np.int64)
    given, _ = _candidates(scores, 1)
    _check_places(shown, len(given))
    left = np.ones(len(given), np.bool_)
    left[shown] = False
    return given, left


def _check_places(shown: np.ndarray, m: int) -> None:
    if shown.ndim != 1 or len(set(shown.tolist())) != len(shown) or (shown < 0).any() or (shown >= m).any():  # fmt: skip
        raise DataError(f"places must be row numbers of the {m:,} candidates, each once; got {shown.tolist()}")  # fmt: skip
