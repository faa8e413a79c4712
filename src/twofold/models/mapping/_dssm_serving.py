"""The towers of DSSM when they answer: the same numbers as in training, in NumPy, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from twofold.kernels.dense import add_products
from twofold.models.mapping._dssm_text import TextRows
from twofold.typing import F32, Bool

BLOCK = 4096
"""Texts that pass through the convolution at a time."""


def convolves(weights: Mapping[str, F32]) -> bool:
    """Say whether these are the weights of a convolution."""
    return "words.bias" in weights


def represent(weights: Mapping[str, F32], texts: TextRows) -> F32:
    """Return what a tower makes of each text before its texts are put together, shape (n, width).

    x W of a dense tower, the maxima of the filters of a convolution; zero for a text without known words.
    """
    if not convolves(weights):
        each = np.asarray(texts.parts @ weights["table.weight"], np.float32)
        return np.asarray(texts.matrix() @ each, np.float32)
    each = np.asarray(texts.parts @ weights["words.grams.weight"], np.float32)
    bias = weights["words.bias"]
    out = np.zeros((len(texts), len(bias)), np.float32)
    for first in range(0, len(texts), BLOCK):
        last = min(first + BLOCK, len(texts))
        indptr = texts.indptr[first : last + 1]
        out[first:last] = maxima(
            each, bias, texts.words[indptr[0] : indptr[-1]], indptr - indptr[0]
        )
    return out


def maxima(each: F32, bias: F32, words: np.ndarray, indptr: np.ndarray) -> F32:
    """Return the maximum over the places t of tanh(W_c l_t + b_c), shape (n, filters); zero without words.

    `each` (n_words, window * filters) holds the part of every word in every place of the window.
    """
    filters = len(bias)
    window = each.shape[1] // filters
    parts = each.reshape(-1, window, filters)
    h = np.tile(bias, (len(words), 1))  # (T, filters)
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    for slot in range(window):
        there = np.arange(len(words)) + slot - window // 2
        inside = (there >= 0) & (there < len(words))
        inside[inside] = row[there[inside]] == row[inside]
        h[inside] += parts[words[there[inside]], slot]
    out = np.zeros((len(indptr) - 1, filters), np.float32)
    full = np.diff(indptr) > 0
    if full.any():
        out[full] = np.tanh(np.maximum.reduceat(h, indptr[:-1][full], axis=0))
    return out


def together(weights: Mapping[str, F32], texts: F32, bags: csr_array) -> F32:
    """Return the mean (dense) or the maximum (convolution) of the texts of each bag; zero for none.

    texts (k, width), bags (n, k) with ones.
    """
    sizes = np.diff(bags.indptr)
    if not convolves(weights):
        shares = 1 / np.repeat(np.maximum(sizes, 1), sizes)
        mean = csr_array((shares.astype(np.float32), bags.indices, bags.indptr), shape=bags.shape)
        return np.asarray(mean @ texts, np.float32)
    out = np.zeros((len(sizes), texts.shape[1]), np.float32)
    full = np.flatnonzero(sizes)
    for row in full:
        out[row] = texts[bags.indices[bags.indptr[row] : bags.indptr[row + 1]]].max(axis=0)
    return out


def finish(weights: Mapping[str, F32], x: F32, *, tanh: bool) -> F32:
    """Return y / |y| of what was put together (n, width); shape (n, factors)."""
    if convolves(weights):
        return unit(np.tanh(layer(x, weights["words.dense.weight"], weights["words.dense.bias"])))
    y: F32 = x + weights["bias"]
    y = np.tanh(y) if tanh else y
    for at in range(sum(name.endswith("weight") for name in weights) - 1):
        name = f"rest.layers.{at}"
        y = layer(y, weights[f"{name}.weight"], weights[f"{name}.bias"])
        y = np.tanh(y) if tanh else y
    return unit(y)


def layer(x: F32, weight: F32, bias: F32) -> F32:
    """Return x W + b; x (n, a), weight (a, b)."""
    out = np.tile(bias, (len(x), 1))
    add_products(np.ascontiguousarray(x), np.asarray(weight), out)
    return out


def vectors(weights: Mapping[str, F32], x: F32, known: Bool, *, tanh: bool) -> F32:
    """Return y / |y| where something is `known` (n,) and zero elsewhere; x (n, width), out (n, factors)."""
    return finish(weights, x, tanh=tanh) * known[:, None].astype(np.float32)


def unit(y: F32) -> F32:
    """Return rows of length 1, so that an inner product is a cosine; a zero row stays."""
    length = np.sqrt(np.einsum("nd,nd->n", y, y))[:, None]
    return (y / np.maximum(length, 1e-8)).astype(np.float32)
