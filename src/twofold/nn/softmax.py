"""The softmax over many items, with its gradient, without a matrix of all scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from twofold.kernels import softmax as kernels
from twofold.nn.losses import LOWEST
from twofold.nn.ordered import softplus
from twofold.typing import F32


def array(one: Tensor) -> F32:
    """Return the numbers of a tensor."""
    return one.detach().contiguous().numpy()


class _Among(torch.autograd.Function):
    """The compiled one; what flows back is found in passing."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, u: Tensor, v: Tensor, shift: Tensor | None, column: Tensor, own: Tensor | None, room: F32,
    ) -> Tensor:  # fmt: skip
        """Return the mean loss."""
        value, *found = kernels.softmax_among(
            array(u), array(v), None if shift is None else array(shift), column.numpy(), None if own is None else array(own), room,
        )  # fmt: skip
        ctx.found = [torch.from_numpy(one) for one in found]
        ctx.given = shift is not None, own is not None
        return torch.tensor(value, dtype=u.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what was found."""
        du, dv, dshift, pull = (one.mul_(slopes[0]) for one in ctx.found)
        shifted, scored = ctx.given
        return du, dv, dshift if shifted else None, None, -pull if scored else None, None


@dataclass(eq=False)
class SoftmaxAmong:
    """The mean of -ln(e^own / (e^own + sum over the others of e^(v_c . u + shift_c))) over rows.

    It keeps the memory that it needs from one batch to the next.
    """

    room: F32 = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)

    def __call__(
        self, u: Tensor, v: Tensor, shift: Tensor | None, column: Tensor, own: Tensor | None = None
    ) -> Tensor:
        """Return the loss; it can be differentiated once.

        Parameters
        ----------
        u : shape (B, d)
            Vectors of the rows.
        v : shape (C, d)
            Vectors of items.
        shift : shape (C,)
            Added to the scores: a bias, or less ln Q where the items were drawn; nothing where None.
        column : int64, shape (B,)
            The column of `v` that is the row's own item and none of the others, or -1.
        own : shape (B,)
            Scores of the rows' own items; None where they are those of their columns.
        """
        if u.device.type == "cpu" and u.dtype == torch.float32:
            need = kernels.room_for(len(u), len(v))
            if need > len(self.room):
                self.room = np.empty(need, np.float32)
            return _Among.apply(u, v, shift, column, own, self.room)  # pyright: ignore[reportReturnType]
        scores = u @ v.T if shift is None else u @ v.T + shift  # (B, C)
        if own is None:
            return F.cross_entropy(scores, column)
        mine = column[:, None] == torch.arange(len(v), device=v.device)
        rivals = torch.logsumexp(scores.masked_fill(mine, LOWEST), dim=1)
        return softplus(rivals - own).mean()
