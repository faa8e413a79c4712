"""Latent Dirichlet allocation by batch variational inference (Blei, Ng & Jordan 2003).

theta_j ~ Dir(alpha), beta_k ~ Dir(eta); q(beta_k) = Dir(lambda_k) and q(theta_j) = Dir(gamma_j).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import digamma

from twofold.kernels.topics import variational_step
from twofold.progress import track
from twofold.typing import F64

SLICES = 8
"""Parts of the documents whose counts are summed apart."""
STEPS, TOLERANCE = 100, 1e-3
"""Steps for a document, and the mean change of gamma below which they end."""


def fit_topics(
    bag: csr_array, topics: int, passes: int, alpha: float, eta: float, rng: np.random.Generator
) -> tuple[F64, F64]:
    """Return lambda (S, K) of the topics and gamma (D, K) of the documents of `bag` (D, S)."""
    n, size = bag.shape or (0, 0)
    weights = rng.gamma(100.0, 0.01, (size, topics))
    gamma = np.ones((n, topics))
    for _ in track(range(passes), "LDA"):
        sums = np.zeros((SLICES, size, topics))
        # Every pass starts from even proportions: from its last ones, a document stays where it fell.
        gamma = np.ones((n, topics))
        step(bag, weights, alpha, gamma, sums)
        weights = eta + sums.sum(axis=0)
    return weights, gamma


def infer(bag: csr_array, weights: F64, alpha: float) -> F64:
    """Return gamma (D, K) of documents under fixed topics `weights` (S, K)."""
    gamma = np.ones(((bag.shape or (0, 0))[0], weights.shape[1]))
    step(bag, weights, alpha, gamma, np.zeros((SLICES, 0, 0)))
    return gamma


def step(bag: csr_array, weights: F64, alpha: float, gamma: F64, sums: F64) -> None:
    """Improve `gamma` and fill `sums`; see `variational_step`."""
    expected = np.exp(digamma(weights) - digamma(weights.sum(axis=0)))
    indptr, words = bag.indptr.astype(np.int64), bag.indices.astype(np.int32)
    counts = np.asarray(bag.data, np.float32)
    variational_step(indptr, words, counts, expected, alpha, STEPS, TOLERANCE, gamma, sums)


def proportions(gamma: F64) -> F64:
    """Return rows that sum to 1."""
    return gamma / gamma.sum(axis=1, keepdims=True)
