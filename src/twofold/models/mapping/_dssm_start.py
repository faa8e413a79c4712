"""First weights of a dense tower with which it begins near the cosine of the weighted words."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from twofold.features.design import width_of
from twofold.models.mapping._autoencoder import components
from twofold.models.mapping._dssm_text import TextRows
from twofold.models.mapping._dssm_towers import DenseTower, Towers
from twofold.nn.encoders import Linear
from twofold.typing import F32

ROUNDS = 30
"""Steps of conjugate gradients: the error is then far below what the n-grams leave open."""
RIDGE = 1e-2
"""Penalty of the squared weights of an n-gram, beside the squared weights of the words that have it."""

SHARED = 0.9
"""Share of the texts that must have a word with another one in common for words to have directions."""


def begin_at_words(towers: Towers, texts: TextRows, rng: np.random.Generator) -> None:
    """Set the layers of dense towers: the first one to the principal directions of the words, the others to the identity.

    Where words are letter n-grams, the first layer is the one whose sums over the n-grams of a word come nearest to the
    directions of that word; or that of the principal directions of the n-grams where texts share no words, as in scripts
    without spaces: words that are never together have no directions. Units beyond the number of directions are zero, and
    stay so in a shared tower.
    """
    query = towers.query
    assert isinstance(query, DenseTower)
    texts = texts.merged()
    words = texts.matrix()
    width = query.table.weight.shape[1]
    if texts.plain or sharing(words) >= SHARED:
        found = components(words, width, rng, passes=1)
        if not texts.plain:
            found = through_parts(texts.parts, energy(words), found)
    else:
        found = components(csr_array(words @ texts.parts), width, rng, passes=1)
    with torch.no_grad():
        query.table.weight.zero_()[:, : found.shape[1]] = torch.from_numpy(found)
        for layer in query.rest.layers:
            assert isinstance(layer, Linear)
            torch.nn.init.eye_(layer.weight)
    towers.document.load_state_dict(query.state_dict())


def sharing(words: csr_array) -> float:
    """Return the share of the texts (n, n_words) that have a word with another one in common, of those with words; 1 for none."""
    shared = np.bincount(words.indices, minlength=width_of(words)) > 1
    lengths = np.diff(words.indptr)
    row = np.repeat(np.arange(len(lengths)), lengths)
    common = np.bincount(row, shared[words.indices], len(lengths)) > 0
    return float(common[lengths > 0].mean()) if len(row) else 1.0


def energy(rows: csr_array) -> F32:
    """Return the sum of the squares of every column, shape (width,)."""
    return np.bincount(rows.indices, rows.data**2, width_of(rows)).astype(np.float32)


def through_parts(parts: csr_array, weight: F32, wanted: F32) -> F32:
    """Return W (width, d) with the least sum over words of weight |parts W - wanted|^2, and RIDGE |W|^2.

    parts (n_words, width), weight (n_words,), wanted (n_words, d); by conjugate gradients, all d columns at once.
    """
    back = csr_array(parts.T.tocsr())
    w = np.zeros((width_of(parts), wanted.shape[1]), np.float32)
    left = np.asarray(back @ (weight[:, None] * wanted))
    step, size = left.copy(), np.einsum("nd,nd->d", left, left)
    for _ in range(ROUNDS):
        image = np.asarray(back @ (weight[:, None] * (parts @ step))) + RIDGE * step
        share = size / np.maximum(np.einsum("nd,nd->d", step, image), 1e-20)
        w += share * step
        left -= share * image
        old, size = size, np.einsum("nd,nd->d", left, left)
        step = left + size / np.maximum(old, 1e-20) * step
    return w.astype(np.float32)
