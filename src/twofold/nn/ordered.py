"""Steps of a network whose gradients are the same bytes for every number of threads, where torch's own are not.

Torch gives threads whole columns of a sum over rows, and adds up those at the end of a thread's share in another order:
`column_sums` leaves no such end. The gradient of its softmax depends on where a thread's rows begin, and its sigmoid
and softplus are rounded otherwise at the end of a share, which the logarithm of the sigmoid is not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

SHARE = 32
"""Columns (128 bytes) of which torch gives a thread some whole multiple."""


def column_sums(x: Tensor) -> Tensor:
    """Return the sums over all but the last axis of x (..., n); shape (n,)."""
    n = x.shape[-1]
    rows = x.reshape(-1, n)
    return F.pad(rows, (0, -n % SHARE)).sum(0)[:n]


class _Shifted(torch.autograd.Function):
    """What `bias` was added to already, differentiable in `bias`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return y, (..., n)."""
        del ctx, bias
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of y (..., n) and of the bias (n,)."""
        del ctx
        return slopes[0], column_sums(slopes[0])


class _Scaled(torch.autograd.Function):
    """x times `weight`, differentiable in both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the products, (..., n)."""
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of x (..., n) and of the weights (n,)."""
        x, weight = ctx.saved_tensors
        return slopes[0] * weight, column_sums(slopes[0] * x)


class _Softmax(torch.autograd.Function):
    """`softmax`, differentiable."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the shares, (..., n)."""
        found = F.softmax(x, dim=-1)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        """Return the gradient of x, (..., n)."""
        (found,) = ctx.saved_tensors
        share = slopes[0] * found
        return share - found * share.sum(-1, keepdim=True)


def softmax(x: Tensor) -> Tensor:
    """Return exp(x) / sum exp(x) over the last axis of x (..., n)."""
    return _Softmax.apply(x)  # pyright: ignore[reportReturnType]


class _Sigmoid(torch.autograd.Function):
    """`sigmoid`, differentiable."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the values, (...)."""
        found = F.logsigmoid(x).exp_()
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        """Return the gradient of x, (...)."""
        (found,) = ctx.saved_tensors
        return slopes[0] * (found - found * found)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x)) of each number."""
    return _Sigmoid.apply(x)  # pyright: ignore[reportReturnType]


def softplus(x: Tensor) -> Tensor:
    """Return ln(1 + exp x) of each number."""
    return -F.logsigmoid(-x)


def shifted(x: Tensor, bias: Tensor) -> Tensor:
    """Return x + bias for x (..., n) and bias (n,)."""
    return _Shifted.apply(x + bias.detach(), bias)  # pyright: ignore[reportReturnType]


def scaled(x: Tensor, weight: Tensor) -> Tensor:
    """Return x * weight for x (..., n) and weight (n,)."""
    return _Scaled.apply(x, weight)  # pyright: ignore[reportReturnType]


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b for x (..., n), weight (n, m) and bias (m,)."""
    return _Shifted.apply(F.linear(x, weight.T, bias.detach()), bias)  # pyright: ignore[reportReturnType]
