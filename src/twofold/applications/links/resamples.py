"""People drawn again with replacement: the metrics of pairs and lists under each draw (Owen 2007)."""

from __future__ import annotations

import numpy as np

from twofold.applications.links.holdout import LinkSplit
from twofold.kernels.resample import RESAMPLES
from twofold.typing import F64, I32, I64, Bool

DRAWS_AT_ONCE = 50
"""Resamples whose weights are held at once."""


class Resamples:
    """The same draws of people for every predictor and metric."""

    def __init__(self, split: LinkSplit, rng: np.random.Generator) -> None:
        self.pairs, self.label = split.pairs, split.is_link
        self.n = split.known.n
        self.seeds = rng.integers(2**31, size=RESAMPLES // DRAWS_AT_ONCE)

    def weights(self, seed: int) -> F64:
        """Return how often each person is drawn in some resamples; shape (draws, n)."""
        drawn = np.random.default_rng(seed).integers(0, self.n, (DRAWS_AT_ONCE, self.n))
        drawn += np.arange(DRAWS_AT_ONCE)[:, None] * self.n
        counts = np.bincount(drawn.ravel(), minlength=DRAWS_AT_ONCE * self.n)
        return counts.reshape(DRAWS_AT_ONCE, self.n).astype(np.float64)

    def of_pairs(self, metric: str, scores: F64) -> F64:
        """Return the value of ``auc`` or ``f1``, followed by that of each resample."""
        value = weighted_auc if metric == "auc" else weighted_f1
        order = np.argsort(-scores, kind="stable")
        label, pairs = self.label[order], self.pairs[order]
        starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf) != 0).astype(np.int64)
        out = [value(np.ones((1, len(order))), label, starts)]
        for seed in self.seeds:
            drawn = self.weights(int(seed))
            for rows in np.array_split(drawn, max(1, len(order) * len(drawn) // 20_000_000)):
                weight = rows[:, pairs[:, 0]] * rows[:, pairs[:, 1]]
                out.append(value(weight, label, starts))
        return np.concatenate(out)

    def mean(self, people: I32, values: F64) -> F64:
        """Return the mean of the people's values, followed by that of each resample."""
        out = [np.array([values.mean()])]
        for seed in self.seeds:
            weight = self.weights(int(seed))[:, people]
            total = weight.sum(axis=1)
            sums = (weight * values).sum(axis=1)
            out.append(np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0))
        return np.concatenate(out)


def weighted_auc(weight: F64, label: Bool, starts: I64) -> F64:
    """Return the AUC of weighted pairs for each row of `weight` (r, p), the highest score first.

    label (p,) says which pairs are friendships, `starts` where each run of equal scores begins. NaN
    where a resample has no friendship or no strangers.
    """
    ones = np.add.reduceat(weight * label, starts, axis=1)
    zeros = np.add.reduceat(weight * ~label, starts, axis=1)
    below = zeros.sum(axis=1, keepdims=True) - np.cumsum(zeros, axis=1)
    right = (ones * (below + 0.5 * zeros)).sum(axis=1)
    whole = ones.sum(axis=1) * zeros.sum(axis=1)
    return np.divide(right, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def weighted_f1(weight: F64, label: Bool, starts: I64) -> F64:
    """Return F1 of weighted pairs where as much weight is called friends as friendships weigh; see `weighted_auc`.

    Of a run of equal scores that the edge cuts, the friendships count by the share that is called.
    """
    ones = np.add.reduceat(weight * label, starts, axis=1)
    both = np.add.reduceat(weight, starts, axis=1)
    wanted = ones.sum(axis=1, keepdims=True)
    before = np.cumsum(both, axis=1) - both
    called = np.clip(wanted - before, 0.0, both)
    share = np.divide(called, both, out=np.zeros_like(both), where=both > 0)
    hits = (ones * share).sum(axis=1)
    total = wanted[:, 0]
    return np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0)
