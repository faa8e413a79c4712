"""Ordered probit: classes are cut out of a latent normal by ascending cut points.

Class c of an event with the latent mean f has probability Phi(t_c - f) - Phi(t_{c-1} - f), where
t_{-1} = -inf and t_{classes-1} = inf. Albert & Chib (1993), "Bayesian Analysis of Binary and
Polychotomous Response Data", JASA; cut points: Cowles (1996), "Accelerating Monte Carlo Markov Chain
Convergence for Cumulative-link Generalized Linear Models".
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from twofold.typing import F64

FIRST_WALK = 0.05
"""Standard deviation of the first proposals of a cut point."""
WANTED, ADAPTATION = 0.4, 0.05
"""Share of proposals to accept, and how fast the walk is adapted to it."""
SMALLEST = 1e-300
"""Probabilities are kept above it before a logarithm or an inverse."""


def first_cuts(target: F64, classes: int) -> F64:
    """Return cut points that give every class its share where the latent mean is 0; 0 for two classes."""
    if classes == 2:
        return np.zeros(1)
    share = np.cumsum(np.bincount(target.astype(np.int64), minlength=classes))[:-1] / len(target)
    return ndtri(np.clip(share, 1e-6, 1 - 1e-6))


def bounds(target: F64, cuts: F64) -> tuple[F64, F64]:
    """Return the interval of the latent normal of every event's class; shapes (n,)."""
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    place = target.astype(np.int64)
    return edges[place], edges[place + 1]


def log_probability(low: F64, high: F64, mean: F64) -> F64:
    """Return ln(Phi(high - mean) - Phi(low - mean)), accurate in both tails."""
    a, b = low - mean, high - mean
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    upper = log_ndtr(b)
    return upper + np.log1p(-np.exp(np.minimum(log_ndtr(a) - upper, -1e-15)))


def draw_latent(target: F64, cuts: F64, mean: F64, rng: np.random.Generator) -> F64:
    """Draw the latent normals N(mean, 1) cut to the interval of their class; shape (n,)."""
    low, high = bounds(target, cuts)
    a, b = low - mean, high - mean
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    left, right = ndtr(a), ndtr(b)
    inside = ndtri(np.maximum(left + rng.random(len(a)) * (right - left), SMALLEST))
    inside = np.clip(inside, a, b)
    return mean + np.where(flip, -inside, inside)


def expected_latent(target: F64, cuts: F64, mean: F64) -> F64:
    """Return the expectation of the latent normals cut to the interval of their class; shape (n,)."""
    low, high = bounds(target, cuts)
    a, b = low - mean, high - mean
    norm = np.log(2 * np.pi) / 2
    log_p = log_probability(low, high, mean)
    density = np.exp(-(a**2) / 2 - norm - log_p) - np.exp(-(b**2) / 2 - norm - log_p)
    return np.clip(mean + density, low, high)


def draw_cuts(
    cuts: F64, walk: F64, target: F64, mean: F64, rng: np.random.Generator
) -> tuple[F64, F64]:
    """Move each cut point by one Metropolis step with the latent normals integrated out.

    cuts, walk (classes - 1,). A proposal that passes a neighbour is refused. Return the cut points and
    the adapted widths of the proposals.
    """
    cuts, walk = cuts.copy(), walk.copy()
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    for at in range(1, len(edges) - 1):
        proposal = edges[at] + walk[at - 1] * rng.standard_normal()
        chance = 0.0
        if edges[at - 1] < proposal < edges[at + 1]:
            below, above = mean[target == at - 1], mean[target == at]
            gain = (
                log_probability(edges[at - 1], proposal, below).sum()
                + log_probability(proposal, edges[at + 1], above).sum()
                - log_probability(edges[at - 1], edges[at], below).sum()
                - log_probability(edges[at], edges[at + 1], above).sum()
            )
            chance = float(np.exp(min(gain, 0.0)))
            if rng.random() < chance:
                edges[at] = proposal
        walk[at - 1] *= np.exp(ADAPTATION * (chance - WANTED))
    return edges[1:-1], walk


def probabilities(cuts: F64, mean: F64) -> F64:
    """Return the probability of every class; cuts (..., classes - 1), mean (...); shape (..., classes)."""
    inner = ndtr(cuts - mean[..., None])
    ends = np.zeros((*inner.shape[:-1], 1))
    return np.diff(np.concatenate([ends, inner, ends + 1], axis=-1), axis=-1)
