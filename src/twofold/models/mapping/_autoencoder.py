"""A stacked denoising autoencoder on sparse rows (Vincent et al. 2010), with a target for its code.

Layers X_l = sigmoid(X_{l-1} W_l + b_l), l = 1 ... L, of which X_{L/2} is the code f_e and X_L the
reconstruction f_r; the code is left linear where asked, or scaled to length 1 in place of the sigmoid. For rows
j with the corrupted input X_0, the clean one X_c and the factors v,

    J = lambda_n/2 sum |f_r(X_0) - X_c|^2 + lambda_v/2 sum |v - f_e(X_0)|^2
        + lambda_w/2 sum_l (|W_l|^2 + |b_l|^2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from twofold.kernels.products import one_thread, product
from twofold.kernels.reconstruct import adam_step, reconstruction_slopes
from twofold.typing import F32, F64

OVERSAMPLING = 10
"""Directions beyond those that are wanted, by which subspace iteration becomes exact sooner."""
Code: TypeAlias = Literal["linear", "sigmoid", "unit"]
"""What becomes of the middle layer: nothing, its sigmoid, or its direction."""


@dataclass(frozen=True, eq=False)
class Network:
    """Weights and biases of the L layers, the first half of which encode."""

    weights: tuple[F32, ...]  # W_l: (K_{l-1}, K_l)
    biases: tuple[F32, ...]  # b_l: (K_l,)
    code: Code

    @property
    def middle(self) -> int:
        """L/2: the number of the layer that makes the code."""
        return len(self.weights) // 2

    @classmethod
    def draw(cls, widths: Sequence[int], *, code: Code, rng: np.random.Generator) -> Network:
        """Draw weights for the widths S, hidden ..., K as Glorot & Bengio (2010) do; biases are 0."""
        path = [*widths, *widths[-2::-1]]
        weights = tuple(
            (rng.uniform(-1, 1, (a, b)) * np.sqrt(6 / (a + b))).astype(np.float32)
            for a, b in pairwise(path)
        )
        return cls(weights, tuple(np.zeros(b, np.float32) for b in path[1:]), code)


def activations(net: Network, x: csr_array, last: int) -> list[F32]:
    """Return X_1 ... X_last of rows x (B, S)."""
    found: list[F32] = []
    below: csr_array | F32 = x
    for layer in range(last):
        z = through(below, net.weights[layer]) + net.biases[layer]
        above: F32 = shaped(z, net.code if layer + 1 == net.middle else "sigmoid")
        found.append(above)
        below = above
    return found


def through(x: csr_array | F32, weight: F32) -> F32:
    """Return x W for x (n, a) and W (a, b), in the same bits for every number of threads."""
    return product(x, weight) if isinstance(x, np.ndarray) else np.asarray(x @ weight)


def shaped(z: F32, code: Code) -> F32:
    """Return a layer (n, K) after its activation; a row of zeros has no direction and stays."""
    match code:
        case "linear":
            return z
        case "sigmoid":
            return expit(z)
        case "unit":
            return z / lengths(z)


def lengths(z: F32) -> F32:
    """Return the lengths of rows (n, K), 1 for a row of zeros; shape (n, 1)."""
    found = np.sqrt(np.einsum("nk,nk->n", z, z))[:, None]
    return np.where(found > 0, found, 1).astype(z.dtype)


def encode(net: Network, x: csr_array) -> F32:
    """Return the codes f_e of rows x (n, S); shape (n, K)."""
    return activations(net, x, net.middle)[-1]


def slopes(
    net: Network, noisy: csr_array, clean: csr_array, v: F32, fit: float, tie: float
) -> tuple[list[F32], list[F32], float]:
    """Return the slopes of fit/2 |f_r - clean|^2 + tie/2 |v - f_e|^2 by W_l and by b_l, and its value.

    `noisy` and `clean` are (B, S), `v` is (B, K); `fit` = 0 leaves the decoder alone.
    """
    middle, depth = net.middle, len(net.weights)
    seen = activations(net, noisy, depth - 1 if fit else middle)
    gap = seen[middle - 1] - v
    value = 0.5 * tie * float(np.sum(gap.astype(np.float64) ** 2))
    by_weight = [np.zeros((0, 0), np.float32)] * depth
    by_bias = [np.zeros(0, np.float32)] * depth
    delta, top = tie * gap, middle
    if fit:
        delta, losses = product(seen[-1], net.weights[-1]), np.zeros(len(v))
        reconstruction_slopes(
            delta,
            net.biases[-1],
            clean.indptr.astype(np.int64),
            np.asarray(clean.indices, np.int32),
            np.asarray(clean.data, net.biases[-1].dtype),
            fit,
            losses,
        )
        value += 0.5 * fit * float(losses.sum())
        top = depth
    for layer in range(top, 0, -1):
        below = seen[layer - 2] if layer > 1 else noisy
        if layer < depth:
            if layer == middle and fit:
                delta = delta + tie * gap
            kind = net.code if layer == middle else "sigmoid"
            if kind == "unit":
                z = through(below, net.weights[layer - 1]) + net.biases[layer - 1]
                along = np.einsum("nk,nk->n", delta, seen[layer - 1])[:, None]
                delta = (delta - along * seen[layer - 1]) / lengths(z)
            elif kind == "sigmoid":
                delta = delta * (seen[layer - 1] * (1 - seen[layer - 1]))
        by_weight[layer - 1] = np.asarray(through(below.T, delta), delta.dtype)
        by_bias[layer - 1] = delta.sum(axis=0)
        if layer > 1:
            delta = product(delta, net.weights[layer - 1].T)
    return by_weight, by_bias, value


@one_thread()
def components(x: csr_array, k: int, rng: np.random.Generator, passes: int = 3) -> F32:
    """Return the principal directions of rows x (n, S), (S, at most k), by randomized subspace iteration.

    They are where a linear autoencoder ends (Bourlard & Kamp 1988; Halko, Martinsson & Tropp 2011, algorithm 4.4).
    """
    n, size = x.shape or (0, 0)
    wide = min(k + OVERSAMPLING, n, size)
    q = np.linalg.qr(np.asarray(x.T @ rng.standard_normal((n, wide), np.float32)))[0]
    for _ in range(passes):
        above = np.linalg.qr(np.asarray(x @ q))[0]
        q = np.linalg.qr(np.asarray(x.T @ above))[0]
    image = np.asarray(x @ q)
    rotation = np.linalg.eigh((image.T @ image).astype(np.float64))[1][:, ::-1]
    return np.ascontiguousarray(q @ rotation[:, :k], np.float32)


class Trainer:
    """A network that takes Adam's steps in place."""

    def __init__(self, net: Network, rate: float, decay: float) -> None:
        """Start with the learning rate `rate` and the L2 penalty `decay` on weights and biases."""
        self.net, self.rate, self.decay, self.taken = net, rate, decay, 0
        self.began = 0.0
        arrays = (*net.weights, *net.biases)
        self.moments = [(np.zeros_like(one), np.zeros_like(one)) for one in arrays]

    def step(self, by_weight: list[F32], by_bias: list[F32]) -> None:
        """Take one step along the slopes; a layer without slopes stays."""
        self.taken += 1
        arrays = (*self.net.weights, *self.net.biases)
        for x, slope, (mean, square) in zip(arrays, (*by_weight, *by_bias), self.moments):
            if slope.size:
                adam_step(
                    np.atleast_2d(x), np.atleast_2d(slope), np.atleast_2d(mean),
                    np.atleast_2d(square), self.rate, self.decay, self.taken,
                )  # fmt: skip


def masked(x: csr_array, noise: float, rng: np.random.Generator) -> csr_array:
    """Return rows of which a share `noise` of the entries is set to 0."""
    kept = rng.random(len(x.data), np.float32) >= noise
    ends = np.concatenate([[0], np.cumsum(kept)])[x.indptr]
    return csr_array((x.data[kept], x.indices[kept], ends), shape=x.shape)


def objective(
    net: Network, noisy: csr_array, clean: csr_array, v: F32, lambdas: tuple[float, float, float]
) -> float:
    """Return J in float64 for the constants (lambda_n, lambda_v, lambda_w)."""
    fit, tie, decay = lambdas
    size = sum(float(np.sum(one.astype(np.float64) ** 2)) for one in (*net.weights, *net.biases))
    total: F64 = np.zeros(1)
    for first in range(0, len(v), 512):
        rows = slice(first, first + 512)
        total += slopes(net, noisy[rows], clean[rows], v[rows], fit, tie)[2]
    return float(total[0]) + 0.5 * decay * size
