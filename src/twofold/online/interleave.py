"""Interleaving: two rankers in one list, so that each person compares them.

Team draft (Radlinski, Kurup & Joachims 2008, "How does clickthrough data reflect retrieval quality?",
CIKM): the rankers pick in turn, a coin decides who goes first in each round, and a click counts for who
picked the item. Balanced (Joachims 2003, "Evaluating retrieval performance using clickthrough data"): one
coin, then always the ranker that is behind; clicks are counted in the shortest tops of both rankings that
hold everything down to the lowest click.

Where both rankings begin alike, a team draft would deal credit for that common prefix by coin alone, which
is noise. Its items therefore belong to nobody and are never credited (Chapelle, Joachims, Radlinski & Yue
2012, section 3); this changes no expectation and lowers the variance. Balanced interleaving needs no such
rule: a click in a common prefix counts for both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twofold.errors import DataError, at_least_one
from twofold.online.sequential import check_level
from twofold.random import generator
from twofold.typing import Id, Rng

NOBODY, A, B = -1, 0, 1


class Interleaved(NamedTuple):
    """A list that is shown, with what crediting it needs."""

    items: list[Id]
    teams: list[int]
    """Who is credited at each place: 0 = a, 1 = b, -1 = nobody (balanced: -1 throughout)."""


def _check(a: Sequence[Id], b: Sequence[Id], k: int) -> None:
    for name, one in (("a", a), ("b", b)):
        if len(set(one)) != len(one):
            raise DataError(f"ranking {name} names an item twice; a ranking names each once")
    at_least_one("k", k)


def _next(ranking: Sequence[Id], start: int, taken: set[Id]) -> int:
    while start < len(ranking) and ranking[start] in taken:
        start += 1
    return start


def common_prefix(a: Sequence[Id], b: Sequence[Id]) -> int:
    """Return how many first items two rankings share, place by place.

    Example
    -------
    >>> common_prefix(["x", "y", "z"], ["x", "y", "w"])
    2
    """
    return next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))  # fmt: skip


def team_draft(a: Sequence[Id], b: Sequence[Id], k: int, rng: Rng = None) -> Interleaved:
    """Mix two rankings by team draft.

    Parameters
    ----------
    a, b
        Item ids, best first, each once; where one runs out the other goes on alone.
    k
        Length of the list, >= 1; it is shorter where both run out.
    rng
        The coin.

    Raises
    ------
    DataError
        If a ranking names an item twice.
    ConfigError
        If k is no integer >= 1.

    Example
    -------
    >>> made = team_draft(["x", "y", "z"], ["x", "w", "y"], k=3, rng=0)
    >>> made.items, made.teams
    (['x', 'w', 'y'], [-1, 1, 0])
    """
    _check(a, b, k)
    draw = generator(rng)
    shared = min(common_prefix(a, b), k)
    items, teams = list(a[:shared]), [NOBODY] * shared
    taken, at, picked = set(items), [shared, shared], [0, 0]
    while len(items) < k:
        at = [_next(one, start, taken) for one, start in zip((a, b), at, strict=True)]
        open_ = [at[A] < len(a), at[B] < len(b)]
        if not any(open_):
            break
        if all(open_):
            behind = picked[A] < picked[B] or (picked[A] == picked[B] and draw.random() < 0.5)
            team = A if behind else B
        else:
            team = A if open_[A] else B
        item = (a, b)[team][at[team]]
        items.append(item)
        teams.append(team)
        taken.add(item)
        picked[team] += 1
    return Interleaved(items, teams)


def balanced(a: Sequence[Id], b: Sequence[Id], k: int, rng: Rng = None) -> Interleaved:
    """Mix two rankings so that every top of the list holds as many of the tops of both, to within one.

    Parameters, errors as in `team_draft`.

    Example
    -------
    >>> balanced(["x", "y", "z"], ["w", "x", "y"], k=4, rng=1).items
    ['w', 'x', 'y', 'z']
    """
    _check(a, b, k)
    first = generator(rng).random() < 0.5
    items, taken, at = list[Id](), set[Id](), [0, 0]
    while len(items) < k and (at[A] < len(a) or at[B] < len(b)):
        mine = at[A] < at[B] or (at[A] == at[B] and first)
        team = A if (mine and at[A] < len(a)) or at[B] >= len(b) else B
        item = (a, b)[team][at[team]]
        if item not in taken:
            items.append(item)
            taken.add(item)
        at[team] += 1
    return Interleaved(items, [NOBODY] * len(items))


class Credit(NamedTuple):
    """Clicks credited to each ranker in one list."""

    a: int
    b: int


def credit_team_draft(shown: Interleaved, clicked: Collection[Id]) -> Credit:
    """Return the clicks of each team; an item that is clicked twice counts once.

    Example
    -------
    >>> credit_team_draft(Interleaved(["x", "w", "y"], [-1, 1, 0]), {"x", "w"})
    Credit(a=0, b=1)
    """
    told = set(clicked)
    teams = [team for item, team in zip(shown.items, shown.teams, strict=True) if item in told]
    return Credit(teams.count(A), teams.count(B))


def credit_balanced(
    shown: Interleaved, clicked: Collection[Id], a: Sequence[Id], b: Sequence[Id]
) -> Credit:
    """Return the clicks in the shortest tops of `a` and `b` that together hold all down to the lowest click.

    Example
    -------
    >>> made = balanced(["x", "y", "z"], ["w", "x", "y"], k=4, rng=1)
    >>> credit_balanced(made, {"w"}, ["x", "y", "z"], ["w", "x", "y"])
    Credit(a=0, b=1)
    """
    told = set(clicked)
    places = [at for at, item in enumerate(shown.items) if item in told]
    if not places:
        return Credit(0, 0)
    lowest = shown.items[places[-1]]
    ranks = [one.index(lowest) for one in (a, b) if lowest in one]
    if not ranks:
        raise DataError(f"item {lowest!r} was shown and is in neither ranking; pass the rankings that were interleaved")  # fmt: skip
    top = min(ranks) + 1
    return Credit(len(told & set(a[:top])), len(told & set(b[:top])))


@dataclass(frozen=True, slots=True)
class Preference:
    """Which ranker people preferred."""

    units: int
    """Units with a list, whether they clicked or not."""
    requests: int
    for_a: int
    for_b: int
    """Units whose lists together credit a more than b, and the other way; the rest are ties."""
    share_b: float
    """for_b / (for_a + for_b); NaN without any."""
    share_low: float
    share_high: float
    """Clopper-Pearson's exact interval."""
    p_value: float
    """Of the exact two-sided sign test over units; 1 without any that is decided."""
    margin: float
    """Mean over units of credit for b minus credit for a, per list."""
    margin_low: float
    margin_high: float
    """Its normal interval, with units as clusters: lists of one unit are not independent."""
    margin_error: float
    """Its standard error; NaN for one unit."""
    margin_p: float
    """Of Student's t test over units."""

    def __str__(self) -> str:
        """Return one sentence."""
        if math.isnan(self.share_b):
            return f"{self.units:,} units, none decided: no difference shown"
        told = f"b preferred by {self.for_b:,}, a by {self.for_a:,} of {self.units:,} units"
        return f"{told}: {self.share_b:.1%} [{self.share_low:.1%}, {self.share_high:.1%}] for b, p {self.p_value:.3g}"


def preference(
    unit: ArrayLike, credit_a: ArrayLike, credit_b: ArrayLike, *, confidence: float = 0.95
) -> Preference:
    """Test which of two interleaved rankers people prefer; each unit has one voice.

    Parameters
    ----------
    unit : shape (n,)
        Who saw each list: lists of one unit are added up first.
    credit_a, credit_b : shape (n,) of whole numbers >= 0
        Clicks credited in each list.
    confidence
        0 < confidence < 1.

    Raises
    ------
    DataError
        If there are no lists, shapes differ, or credits are negative or not finite.

    Example
    -------
    >>> print(preference(["u", "u", "v", "w"], [1, 0, 0, 0], [0, 2, 1, 0]))
    b preferred by 2, a by 0 of 3 units: 100.0% [15.8%, 100.0%] for b, p 0.5
    """
    # Takes a tenth of a second, for which a server that makes lists does not wait.
    from scipy.special import bdtr, betaincinv, ndtri, stdtr

    tail = (1 - check_level("confidence", confidence)) / 2
    who = np.asarray(unit)
    credits = [np.asarray(one, np.float64) for one in (credit_a, credit_b)]
    if who.ndim != 1 or not len(who) or any(one.shape != who.shape for one in credits):
        raise DataError(f"unit, credit_a and credit_b must have a value for each of at least one list; got shapes {who.shape}, {credits[0].shape}, {credits[1].shape}")  # fmt: skip
    if any(not np.isfinite(one).all() or (one < 0).any() for one in credits):
        raise DataError("credits must be whole numbers >= 0")
    _, code = np.unique(who, return_inverse=True)
    gap = np.bincount(code, credits[B] - credits[A])
    lists = np.bincount(code)
    n = len(gap)
    for_a, for_b = int((gap < 0).sum()), int((gap > 0).sum())
    decided = for_a + for_b
    share, low, high, p = math.nan, math.nan, math.nan, 1.0
    if decided:
        share = for_b / decided
        low = float(betaincinv(for_b, for_a + 1, tail)) if for_b else 0.0
        high = float(betaincinv(for_b + 1, for_a, 1 - tail)) if for_a else 1.0
        p = min(1.0, 2 * float(bdtr(min(for_a, for_b), decided, 0.5)))
    margins = gap / lists
    spread = float(margins.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    mean = float(margins.mean())
    reach = float(ndtri(1 - tail)) * spread
    margin_p = float(2 * stdtr(n - 1, -abs(mean) / spread)) if spread > 0 else 1.0
    return Preference(n, len(who), for_a, for_b, share, low, high, p, mean, mean - reach, mean + reach, spread, margin_p)  # fmt: skip
