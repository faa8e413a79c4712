"""The layers of both networks of Covington et al. (2016) as they are served, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twofold.kernels.dense import products_by_row
from twofold.kernels.self_attention import EPSILON
from twofold.models.mapping._youtube_inputs import Block
from twofold.typing import F32


def normed(x: F32, gain: F32, shift: F32) -> F32:
    """Return rows of x (n, d) at mean 0 and variance 1, times gain (d,) and plus shift (d,)."""
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON) * gain + shift


def dense_layers(
    x: F32, weights: Mapping[str, F32], prefix: str, *, last_relu: bool, skip: int = 0
) -> F32:
    """Return the output of layers ``prefix.layers.0``, ``prefix.layers.1`` ... on x (n, d), ReLU between them.

    Before its ReLU a layer is normed where there are weights ``prefix.norms.0`` ...
    Products are summed row by row in one order, so that a row's answer does not depend on the others.
    """
    n_layers = sum(
        name.startswith(f"{prefix}.layers.") and name.endswith(".weight") for name in weights
    )
    for at in range(skip, n_layers):
        x = products_by_row(x, weights[f"{prefix}.layers.{at}.weight"])
        x = x + weights[f"{prefix}.layers.{at}.bias"]
        if f"{prefix}.norms.{at}.weight" in weights:
            x = normed(x, *(weights[f"{prefix}.norms.{at}.{one}"] for one in ("weight", "bias")))
        if last_relu or at + 1 < n_layers:
            x = np.maximum(x, 0)
    return x


def first_layer(
    weights: Mapping[str, F32], block: Block, table: int, start: int
) -> tuple[F32, int]:
    """Return the part of the first layer that reads `block`, (n, width), and the row of W where it ends.

    Its first field is of items, the others of the tables from `table` on; its rows of W begin at `start`.
    """
    w = weights["layers.layers.0.weight"]
    total = np.zeros((len(block.dense), w.shape[1]), np.float32)
    for at, rows in enumerate(block.fields):
        e = weights[f"tables.{table + at - 1}.weight" if at else "items.weight"]
        total = total + products_by_row(
            np.asarray(rows @ e, np.float32), w[start : start + e.shape[1]]
        )
        start += e.shape[1]
    stop = start + block.dense.shape[1]
    return total + products_by_row(block.dense, w[start:stop]), stop
