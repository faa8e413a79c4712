"""Weighted sums of rows of a tensor in training: torch's own take most of a step for their slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from twofold.kernels.weighted_sums import weighted_sums
from twofold.nn.ragged import Ragged


class _Sums(torch.autograd.Function):
    """X T for sparse rows X (B, n) and a table T (n, d); dL/dT = X' dL/d(X T)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: csr_array) -> Tensor:  # (n, d), (B, n) -> (B, d)
        ctx.rows = rows
        return product(rows, table)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        return product(csr_array(ctx.rows.T.tocsr()), slopes[0]), None


def product(rows: csr_array, table: Tensor) -> Tensor:  # (B, n), (n, d) -> (B, d)
    """Return X T, the products of a row added in the order of its entries."""
    wide = table.detach().contiguous()
    out = torch.empty(len(rows.indptr) - 1, wide.shape[1], dtype=wide.dtype)
    values = np.asarray(rows.data, wide.numpy().dtype)
    weighted_sums(rows.indptr, rows.indices, values, wide.numpy(), out.numpy())
    return out


def pooled(table: Tensor, bags: Ragged) -> Tensor:  # (n, d), B bags -> (B, d)
    """Return the sums of the rows of `table` in every bag, weighted where the bags are."""
    size = len(bags.ids)
    weights = np.ones(size, np.float32) if bags.weights is None else bags.weights.numpy()
    parts = (weights, bags.ids.numpy(), bags.offsets.numpy())
    return _Sums.apply(table, csr_array(parts, shape=(len(bags.offsets) - 1, len(table))))  # pyright: ignore[reportReturnType]


def averaged(table: Tensor, bags: Ragged) -> Tensor:  # (n, d), B bags -> (B, d)
    """Return the means of the rows of `table` in every bag of ids; zero for an empty one."""
    shares = torch.repeat_interleave(1 / bags.lengths.clamp(min=1), bags.lengths.long())
    return pooled(table, Ragged(bags.ids, bags.offsets, shares))
