"""Weights of a model's score, of popularity and of own visits: a conditional logit, climbed by Newton's method.

McFadden (1974). With x_qi what is said of item i in question q, C_q the items that come near a list, and T_q what
was taken,

    p(i | q) = exp(w . x_qi) / sum over j in C_q,
    L = sum over q of mean over i in T_q of [i in C_q] ln p(i | q)  -  ridge / 2 |w|^2,

which is concave; w counts features in units of their own spread.
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


class Choices(NamedTuple):
    """The items that come near the list of each of q questions, question by question."""

    indptr: I64  # (q + 1,); no question is without items
    taken: F64  # (r,): 1 / |T_q| where the item was taken, else 0
    features: (
        F32  # (r, k): the model's score about its mean in the question, popularity, own visits
    )


def choices(
    scores: Callable[[int, int], F32], popular: F32, taken: Taken, visits: Visits, many: int
) -> Choices:
    """Return what may come into each list: what was had, the best by score, and the most popular.

    Parameters
    ----------
    scores
        Returns the scores (stop - start, n_items) of the questions start ... stop.
    popular : shape (n_items,)
        The popularity of each item.
    taken, visits
        Of all questions.
    many
        Items that are taken by score, and by popularity.
    """
    n, n_items = len(taken.indptr) - 1, len(popular)
    many = min(many, n_items)
    best = np.argsort(-popular, kind="stable")[:many]
    lengths, weights, features = [], [], []
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        s = scores(start, stop)
        near = np.zeros(s.shape, np.bool_)
        near[:, best] = True
        top = np.argpartition(-s, many - 1, axis=1)[:, :many]
        near[np.arange(stop - start)[:, None], top] = True
        low, high = np.searchsorted(visits.owner, (start, stop))
        row, item = visits.owner[low:high] - start, visits.item[low:high]
        near[row, item] = True
        question, chosen = np.nonzero(near)
        x = np.zeros((len(question), 2 + visits.values.shape[1]), np.float32)
        counts = near.sum(axis=1)
        x[:, 0] = s[question, chosen]
        x[:, 0] -= (np.bincount(question, x[:, 0], stop - start) / counts)[question]
        x[:, 1] = popular[chosen]
        key = question * n_items + chosen
        x[np.searchsorted(key, row * n_items + item), 2:] = visits.values[low:high]
        size = np.diff(taken.indptr[start : stop + 1])
        asked = np.repeat(np.arange(stop - start), size)
        true = asked * n_items + taken.item[taken.indptr[start] : taken.indptr[stop]]
        lengths.append(counts)
        weights.append(np.isin(key, true) / np.maximum(size, 1)[question])
        features.append(x)
    indptr = np.concatenate([[0], *lengths]).cumsum().astype(np.int64)
    return Choices(indptr, np.concatenate(weights), np.concatenate(features))


def learned_weights(found: Choices, ridge: float) -> F64:
    """Return w, shape (k,), in the units of the features; `ridge` > 0, so that what never comes again is finite."""
    spread = np.sqrt((found.features.astype(np.float64) ** 2).mean(axis=0))
    spread[spread == 0] = 1.0
    at = np.zeros(len(spread))
    value, slope, bend = climb(found, at, spread, ridge)
    for _ in range(STEPS):
        step = np.linalg.solve(bend, slope)
        for _ in range(STEPS):  # half of a step that leads down
            new = climb(found, at + step, spread, ridge)
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


def climb(found: Choices, at: F64, spread: F64, ridge: float) -> tuple[float, F64, F64]:
    """Return L at weights in units of `spread`, its gradient, and minus its second derivative; (), (k,), (k, k)."""
    k, n = len(at), len(found.indptr) - 1
    total, slope, bend = -0.5 * ridge * float(at @ at), -ridge * at, ridge * np.eye(k)
    for start in range(0, n, BLOCK):
        ends = found.indptr[start : min(start + BLOCK, n) + 1]
        x = found.features[ends[0] : ends[-1]] / spread  # (r, k), in float64
        taken = found.taken[ends[0] : ends[-1]]
        first = ends[:-1] - ends[0]
        question = np.repeat(np.arange(len(first)), np.diff(ends))
        z = x @ at
        z -= np.maximum.reduceat(z, first)[question]
        p = np.exp(z)
        mass = np.add.reduceat(p, first)
        p /= mass[question]
        share = np.add.reduceat(taken, first)  # of what was taken that is among the choices
        total += float(taken @ (z - np.log(mass)[question]))
        weight = p * share[question]
        slope += x.T @ (taken - weight)
        mean = np.add.reduceat(p[:, None] * x, first)  # (questions, k)
        bend += (x * weight[:, None]).T @ x - (mean * share[:, None]).T @ mean
    return total, slope, bend
