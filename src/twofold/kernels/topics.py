"""Topics of documents: the variational step of LDA, and proportions drawn to a point on the simplex.

Documents are rows of counts (indptr, words, counts). Sums over documents are made slice by slice, so that
they do not depend on the number of threads. All floats are float64.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64

TINY = 1e-100
"""Keeps the mixture of a word that no topic explains above 0."""


@kernel()
def digamma(x: float) -> float:
    """Return the logarithmic derivative of the gamma function at x > 0, to 1e-10."""
    total = 0.0
    while x < 8.0:
        total -= 1.0 / x
        x += 1.0
    inverse = 1.0 / x
    s = inverse * inverse
    series = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s / 240)))
    return total + np.log(x) - 0.5 * inverse - series


@kernel(parallel=True)
def variational_step(
    indptr: I64,
    words: I32,
    counts: F32,
    weights: F64,
    alpha: float,
    steps: int,
    tolerance: float,
    gamma: F64,
    sums: F64,
) -> None:
    """Improve gamma (D, K) of every document in place; add the expected counts to sums (b, S, K).

    gamma_dk = alpha + e_dk sum_w n_dw weights_wk / (e_d . weights_w), e_d = exp E[log theta_d], at
    most `steps` times or until the mean change is below `tolerance`. `weights` (S, K) is
    exp E[log beta]. `sums` may have no slices with room (b, 0, 0), and is then not read.
    """
    n, topics = gamma.shape
    slices = len(sums)
    wanted = sums.shape[1] > 0
    size = (n + slices - 1) // slices
    for part in prange(slices):
        e, new = np.empty(topics), np.empty(topics)
        for d in range(min(part * size, n), min(part * size + size, n)):
            for _ in range(steps):
                total = 0.0
                for k in range(topics):
                    total += gamma[d, k]
                base = digamma(total)
                for k in range(topics):
                    e[k] = np.exp(digamma(gamma[d, k]) - base)
                    new[k] = 0.0
                for at in range(indptr[d], indptr[d + 1]):
                    word = words[at]
                    mix = TINY + dot(e, weights[word])
                    share = counts[at] / mix
                    for k in range(topics):
                        new[k] += share * weights[word, k]
                change = 0.0
                for k in range(topics):
                    value = alpha + e[k] * new[k]
                    change += abs(value - gamma[d, k])
                    gamma[d, k] = value
                if change < tolerance * topics:
                    break
            if not wanted:
                continue
            total = 0.0
            for k in range(topics):
                total += gamma[d, k]
            base = digamma(total)
            for k in range(topics):
                e[k] = np.exp(digamma(gamma[d, k]) - base)
            for at in range(indptr[d], indptr[d + 1]):
                word = words[at]
                mix = TINY + dot(e, weights[word])
                share = counts[at] / mix
                for k in range(topics):
                    sums[part, word, k] += share * e[k] * weights[word, k]


@kernel(parallel=True)
def expected_words(indptr: I64, words: I32, counts: F32, beta: F64, theta: F64, sums: F64) -> None:
    """Add to sums (b, S, K) how often a word is expected to be of a topic: n_dw theta_dk beta_wk / (theta_d . beta_w).

    `beta` is (S, K), `theta` (D, K).
    """
    n, topics = theta.shape
    slices = len(sums)
    size = (n + slices - 1) // slices
    for part in prange(slices):
        for d in range(min(part * size, n), min(part * size + size, n)):
            for at in range(indptr[d], indptr[d + 1]):
                word = words[at]
                share = counts[at] / (TINY + dot(theta[d], beta[word]))
                for k in range(topics):
                    sums[part, word, k] += share * theta[d, k] * beta[word, k]


@kernel()
def project(x: F64, sorted_: F64) -> None:
    """Overwrite x (K,) with the nearest point of the simplex; `sorted_` (K,) is scratch."""
    sorted_[:] = x
    sorted_.sort()
    n = len(x)
    total, shift = 0.0, 0.0
    for rank in range(n):
        value = sorted_[n - 1 - rank]
        total += value
        if value > (total - 1.0) / (rank + 1):
            shift = (total - 1.0) / (rank + 1)
    for k in range(n):
        x[k] = max(x[k] - shift, 0.0)


@kernel(fastmath=False)
def bound(expected: F64, theta: F64, v: F64, strength: float) -> float:
    """Return strength/2 |v - theta|^2 - sum_k expected_k log theta_k; infinite where it must be."""
    total = 0.0
    for k in range(len(theta)):
        away = v[k] - theta[k]
        total += 0.5 * strength * away * away
        if expected[k] > 0.0:
            if theta[k] <= 0.0:
                return np.inf
            total -= expected[k] * np.log(theta[k])
    return total


@kernel(parallel=True, fastmath=False)
def improve_proportions(
    indptr: I64,
    words: I32,
    counts: F32,
    beta: F64,
    v: F64,
    strength: float,
    halvings: int,
    theta: F64,
) -> None:
    """Take one projected gradient step for every document's theta (D, K), in place.

    The step lowers strength/2 |v_j - theta_j|^2 - sum_w n_jw log sum_k theta_jk beta_wk, through the
    bound at phi_jwk proportional to theta_jk beta_wk (Wang & Blei 2011, section 3), or changes nothing.
    `beta` is (S, K), `v` (D, K); both C-contiguous.
    """
    topics = theta.shape[1]
    for d in prange(len(theta)):
        expected, target = np.zeros(topics), np.empty(topics)
        scratch = np.empty(topics)
        old = theta[d]
        for at in range(indptr[d], indptr[d + 1]):
            word = words[at]
            mix = TINY + dot(old, beta[word])
            share = counts[at] / mix
            for k in range(topics):
                expected[k] += share * old[k] * beta[word, k]
        size = 0.0
        for k in range(topics):
            slope = -strength * (v[d, k] - old[k])
            if expected[k] > 0.0:
                slope -= expected[k] / old[k]
            target[k] = slope
            size += abs(slope)
        if size == 0.0:
            continue
        # The gradient is scaled to length 1, as the authors do, since the simplex is that wide.
        for k in range(topics):
            target[k] = old[k] - (target[k] / size if size > 1.0 else target[k])
        project(target, scratch)
        before = bound(expected, old, v[d], strength)
        part = 1.0
        for _ in range(halvings):
            for k in range(topics):
                scratch[k] = old[k] + part * (target[k] - old[k])
            if bound(expected, scratch, v[d], strength) <= before:
                for k in range(topics):
                    old[k] = scratch[k]
                break
            part *= 0.5
