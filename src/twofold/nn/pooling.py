"""Sums of rows of a table over bags of ids, with their gradient, by compiled loops."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from twofold.kernels import sums as kernels
from twofold.nn.ragged import Ragged

UNHELD = 3
"""References to an array that a list alone holds, while it is looked at."""


def gradient_of(table: Tensor) -> Tensor:
    """Return room for a gradient of `table`, unwritten: that of an earlier step if nothing holds it any more.

    Memory that the system gives anew for a large table costs more than the sums that are written to it.
    """
    rooms: list[np.ndarray] = getattr(table, "_gradients", [])
    for one in rooms:
        if sys.getrefcount(one) <= UNHELD:
            return torch.from_numpy(one)
    rooms.append(np.empty(tuple(table.shape), np.float32))
    table._gradients = rooms  # pyright: ignore[reportAttributeAccessIssue]
    return torch.from_numpy(rooms[-1])


class _Sums(torch.autograd.Function):
    """`sum_bags`, differentiable in the table."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, table: Tensor, starts: Tensor, stops: Tensor, ids: Tensor, weights: Tensor
    ) -> Tensor:
        """Return the sums, (B, d)."""
        out = torch.empty(len(starts), table.shape[1])
        given = starts.numpy(), stops.numpy(), ids.numpy(), weights.numpy()
        kernels.sum_bags(*given, table.detach().contiguous().numpy(), out.numpy())
        ctx.given, ctx.table = given, table
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the table, (m, d)."""
        out = gradient_of(ctx.table)
        starts, stops, ids, weights = ctx.given
        kernels.add_back(starts, stops, ids, weights, slopes[0].contiguous().numpy(), out.numpy())
        return out, None, None, None, None


def sum_bags(table: Tensor, bags: Ragged, rows: Tensor | None = None) -> Tensor:
    """Return sum_k w_k table[id_k] over each of the bags, or over those of `rows` (B,) alone; shape (B, d).

    table (m, d); the weights are 1 where the bags have none. Compiled for float32 on the CPU, torch's elsewhere.
    """
    if table.device.type != "cpu" or table.dtype != torch.float32:
        bags = bags if rows is None else bags.take(rows)
        weights = None if bags.weights is None else bags.weights.to(table.dtype)
        return F.embedding_bag(
            bags.ids, table, bags.offsets, mode="sum", per_sample_weights=weights, include_last_offset=True,
        )  # fmt: skip
    starts, stops = bags.offsets[:-1], bags.offsets[1:]
    if rows is not None:
        starts, stops = starts[rows], stops[rows]
    weights = torch.ones(len(bags.ids)) if bags.weights is None else bags.weights
    return _Sums.apply(table, starts.long(), stops.long(), bags.ids.int(), weights)  # pyright: ignore[reportReturnType]


def mean_bags(table: Tensor, bags: Ragged) -> Tensor:
    """Return the mean of the rows of `table` (m, d) over each of the bags, which have no weights; zero for an empty one; shape (B, d)."""
    shares = torch.repeat_interleave(1 / bags.lengths.clamp(min=1), bags.lengths.long())
    return sum_bags(table, Ragged(bags.ids, bags.offsets, shares))
