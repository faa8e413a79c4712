"""Passes over the events that raise the sum of ln P(item | contexts)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from twofold.errors import NotConvergedError
from twofold.kernels._context_arrays import Examples, Outputs, Tables, room
from twofold.kernels.context_cbow import context_epoch
from twofold.progress import track
from twofold.random import kernel_seed

if TYPE_CHECKING:
    from twofold.models.sequence.context_embedding import ContextEmbedding

STEPS = 50
"""Steps of a pass, at least, where there are so many events."""

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate`"


def ascend(
    model: ContextEmbedding,
    examples: Examples,
    outputs: Outputs,
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> Tables:
    """Climb the sum of ln P over the examples; `sizes` are the rows of the contexts and of the outputs.

    As in word2vec contexts begin evenly in +-1 / (2 d) and outputs at zero.
    """
    d, kinds, n = model.factors, len(examples.told), len(examples.target)
    tables = Tables(
        ((rng.random((sizes[0], d), np.float32) - np.float32(0.5)) / np.float32(d)),
        np.zeros(sizes[0], np.float32),
        np.zeros((sizes[1], d), np.float32),
        np.zeros(sizes[1], np.float32),
        np.zeros(kinds, np.float32),
        np.zeros(kinds, np.float32),
    )
    places = room(min(model.batch_size, max(n // STEPS, 1)), examples, outputs, tables)
    for epoch in track(range(model.epochs), "ContextEmbedding"):
        first, last = (rate_at(model, done / model.epochs) for done in (epoch, epoch + 1))
        loss = context_epoch(
            rng.permutation(n).astype(np.int32), examples, outputs, tables, *places,
            model.weights == "features", model.weights == "learned", kernel_seed(rng),
            first, last, model.reg,
        )  # fmt: skip
        if not np.isfinite(loss):
            raise NotConvergedError(f"ContextEmbedding diverged in epoch {epoch + 1}; {ADVICE}")
        log.debug("ContextEmbedding epoch %d/%d loss %.4f", epoch + 1, model.epochs, loss)
    return tables


def rate_at(model: ContextEmbedding, done: float) -> float:
    """Return the step size when the share `done` of training is over."""
    return model.learning_rate * (1 - model.decay * done)
