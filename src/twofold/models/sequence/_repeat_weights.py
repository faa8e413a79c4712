"""Weights of a model's score and of own visits: a conditional logit, climbed by Newton's method.

McFadden (1974). With s_qi the score that a model gives item i in question q, f_qi what the asker's own visits say
of it (zero where there were none), and T_q what was taken,

    p(i | q) = exp(a s_qi + w . f_qi) / sum over j,    L = sum over q and i in T_q of ln p(i | q) - ridge / 2 |(a, w)|^2,

which is concave; a and w count features in units of their own spread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from twofold.models.sequence._repeat_visits import Visits
from twofold.typing import F32, F64, I32, I64

BLOCK = 512
"""Questions whose scores are held at a time."""
STEPS = 30
"""Steps of Newton's method, at most."""
ENOUGH = 1e-6
"""A step that raises L by less than this share of it is the last."""


class Taken(NamedTuple):
    """What was taken in each of q questions."""

    indptr: I64  # (q + 1,)
    item: I32  # (nnz,) item rows


def learned_weights(
    scores: Callable[[int, int], F32], taken: Taken, visits: Visits, ridge: float
) -> F64:
    """Return a and w, shape (1 + number of features,).

    Parameters
    ----------
    scores
        Returns the scores (stop - start, n_items) of the questions start ... stop.
    taken, visits
        Of all questions.
    ridge
        Penalty, > 0, so that what never comes again has a finite weight.
    """
    spread = spreads(scores, taken, visits)
    at = np.zeros(len(spread))
    value, slope, bend = climb(scores, taken, visits, at, spread, ridge)
    for _ in range(STEPS):
        step = np.linalg.solve(bend, slope)
        for _ in range(STEPS):  # half of a step that leads down
            new = climb(scores, taken, visits, at + step, spread, ridge)
            if new[0] >= value:
                break
            step /= 2
        else:
            break
        gain, at = new[0] - value, at + step
        value, slope, bend = new
        if gain <= ENOUGH * abs(value):
            break
    return at / spread


def spreads(scores: Callable[[int, int], F32], taken: Taken, visits: Visits) -> F64:
    """Return the root mean square of the scores about their question's mean, and of each feature; 1 where it is 0."""
    some = scores(0, min(BLOCK, len(taken.indptr) - 1)).astype(np.float64)
    inside = np.sqrt(((some - some.mean(axis=1, keepdims=True)) ** 2).mean())
    features = visits.values.astype(np.float64)
    found = np.append(inside, np.sqrt((features**2).sum(axis=0) / max(len(features), 1)))
    return np.where(found > 0, found, 1.0)


def climb(
    scores: Callable[[int, int], F32],
    taken: Taken,
    visits: Visits,
    at: F64,
    spread: F64,
    ridge: float,
) -> tuple[float, F64, F64]:
    """Return L at weights in units of `spread`, its gradient, and minus its second derivative; (), (k,), (k, k)."""
    k, n = len(at), len(taken.indptr) - 1
    total, slope, bend = -0.5 * ridge * float(at @ at), -ridge * at, ridge * np.eye(k)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        s = scores(start, stop) / np.float32(spread[0])
        s -= s.max(axis=1, keepdims=True)
        low, high = np.searchsorted(visits.owner, (start, stop))
        row, item = visits.owner[low:high] - start, visits.item[low:high]
        f = visits.values[low:high] / spread[1:]
        z = np.float32(at[0]) * s
        z[row, item] += (f @ at[1:]).astype(np.float32)
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        mass = p.sum(axis=1, keepdims=True, dtype=np.float64)
        p /= mass.astype(np.float32)
        many = np.diff(taken.indptr[start : stop + 1])
        true = taken.item[taken.indptr[start] : taken.indptr[stop]]
        asked = np.repeat(np.arange(stop - start), many)
        total += float((z[asked, true] - np.log(mass[asked, 0])).sum())
        # Means under p: of the score, of the features, and of their products.
        ps = p * s
        mean = np.zeros((stop - start, k))
        mean[:, 0] = ps.sum(axis=1, dtype=np.float64)
        there = p[row, item].astype(np.float64)
        for one in range(k - 1):
            mean[:, 1 + one] = np.bincount(row, there * f[:, one], stop - start)
        slope[0] += float(s[asked, true].sum(dtype=np.float64))
        slope[1:] += features_of(row, item, f, asked, true, p.shape[1])
        slope -= many @ mean
        weight = there * many[row]
        bend[0, 0] += float((ps * s).sum(axis=1, dtype=np.float64) @ many)
        cross = (weight * s[row, item]) @ f
        bend[0, 1:] += cross
        bend[1:, 0] += cross
        bend[1:, 1:] += (weight[:, None] * f).T @ f
        bend -= (many[:, None] * mean).T @ mean
    return total, slope, bend


def features_of(row: I64, item: I32, f: F64, asked: I64, true: I32, n_items: int) -> F64:
    """Return the sum of the features of what was taken, shape (k - 1,)."""
    key, wanted = row * n_items + item, asked * n_items + true
    if not len(key):
        return np.zeros(f.shape[1])
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return f[at[key[at] == wanted]].sum(axis=0)
