"""Logistic regression whose terms may bend: each feature as a sum of hinges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twofold.errors import need
from twofold.typing import F64, Bool


@dataclass(frozen=True, eq=False)
class Additive:
    """Log odds sum_f g_f(x_f), each g_f linear between knots."""

    knots: F64  # (f, k); the hinges max(0, x - knot) stand beside x itself
    mean: F64  # (f (k + 1),) of the columns in training
    scale: F64  # (f (k + 1),) their standard deviations; 1 where a column is constant
    weight: F64  # (f (k + 1),)
    intercept: float

    def score(self, x: F64) -> F64:
        """Return the log odds of each row of `x` (p, f); shape (p,)."""
        # einsum sums in one order, whatever the number of threads.
        columns = (hinges(x, self.knots) - self.mean) / self.scale
        return np.einsum("pf,f->p", columns, self.weight) + self.intercept


def hinges(x: F64, knots: F64) -> F64:
    """Return x (p, f) beside max(0, x - knot) for every knot (f, k); shape (p, f (k + 1))."""
    bent = np.maximum(0.0, x[:, :, None] - knots[None])
    return np.concatenate([x, bent.reshape(len(x), knots.size)], axis=1)


def fit(x: F64, label: Bool, *, knots: int, reg: float) -> Additive:
    """Fit by penalised likelihood: reg / 2 |weight|^2 on columns of unit spread.

    x (p, f), label (p,). The knots stand at quantiles of each feature.
    """
    at = np.linspace(0, 1, knots + 2)[1:-1]
    places = np.quantile(x, at, axis=0).T if knots else np.zeros((x.shape[1], 0))
    columns = hinges(x, np.ascontiguousarray(places))
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    logistic = need("sklearn.linear_model", "learn").LogisticRegression(C=1.0 / reg, max_iter=5000)
    logistic.fit((columns - mean) / scale, label)
    return Additive(places, mean, scale, logistic.coef_[0], float(logistic.intercept_[0]))
