"""What a network that maps content learns to hit: vectors of a factorization, or the pairs they explain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from twofold.errors import ConfigError
from twofold.models._base import Memory
from twofold.typing import F32, F64, I64

ALIKE = 1e-6
"""Spread, as a share of the largest coordinate, below which vectors differ by rounding alone."""


@dataclass(frozen=True, eq=False)
class Goal:
    """The vectors y of n rows, and for the loss on ratings who took them."""

    vectors: F32  # (n, d)
    centre: F32  # (d,) mean of the vectors
    scale: float  # spread of the vectors around it, one number
    other: F32  # (m, d) vectors of the other side; (0, d) where the loss is on the factors
    weights: csr_array  # (n, m) the confidence c of every pair of the log; (n, 0) likewise

    @classmethod
    def of(cls, vectors: F32, other: F32 | None = None, weights: csr_array | None = None) -> Goal:
        """Measure where the vectors lie."""
        centre = vectors.mean(axis=0, dtype=np.float64)
        spread = float(np.sqrt(np.mean((vectors - centre) ** 2)))
        n, d = vectors.shape
        return cls(
            vectors,
            centre.astype(np.float32),
            spread if spread > ALIKE * float(np.abs(centre).max()) else 1.0,
            np.zeros((0, d), np.float32) if other is None else other,
            csr_array((n, 0), dtype=np.float32) if weights is None else weights,
        )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def on_ratings(self) -> bool:
        """Whether the loss is on the pairs of the log."""
        return len(self.other) > 0

    @property
    def scaled(self) -> F32:
        """The vectors centred and scaled, (n, d): what a network puts out."""
        return ((self.vectors - self.centre) / self.scale).astype(np.float32)

    def take(self, rows: I64) -> Goal:
        """Return the goal of some rows, centre and scale kept."""
        return replace(self, vectors=self.vectors[rows], weights=csr_array(self.weights[rows]))


def confidence(memory: Memory, n_items: int, alpha: float, epsilon: float) -> csr_array:
    """Return c_ui = 1 + alpha ln(1 + r_ui / epsilon) of the pairs with r_ui > 0, whose p_ui is 1; shape (n_users, n_items).

    Hu et al. (2008), Eq. 6. Values of a pair are summed.

    Raises
    ------
    ConfigError
        If no pair has a value above 0, or a weight is too large for a number of 32 bits.
    """
    rows = memory.history.matrix(n_items).copy()
    rows.data = np.maximum(rows.data, 0)
    rows.eliminate_zeros()
    if not rows.nnz:
        raise ConfigError(
            'DeepContent.loss got "ratings", which learns from values above 0, and no pair has one: use loss="factors", '
            "or name another column as the value"
        )
    with np.errstate(over="ignore"):
        data = 1 + alpha * np.log1p(rows.data.astype(np.float64) / epsilon)
    if data.max(initial=0) > np.finfo(np.float32).max:
        raise ConfigError(
            f"DeepContent.alpha={alpha:g} weighs a pair of the log by {data.max():g}; lower it, or raise epsilon ({epsilon:g})"
        )
    return csr_array((data.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)


def objective(goal: Goal, predicted: F32 | F64) -> float:
    """Return the mean loss of predicted vectors (n, d) in float64."""
    y = predicted.astype(np.float64)
    if not goal.on_ratings:
        return float(np.mean(np.sum((goal.vectors - y) ** 2, axis=1)))
    score = y @ goal.other.T.astype(np.float64)
    c = goal.weights.toarray().astype(np.float64)
    taken = c > 0
    return float(np.where(taken, c * (1 - score) ** 2, score**2).sum() / len(y))
