"""Adagrad with momentum; tables with sparse gradients move in the rows of the batch alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from twofold.kernels import adagrad as kernels


class MomentumAdagrad(torch.optim.Optimizer):
    """S += g^2, v = momentum v - rate g / sqrt(S), w += v.

    Duchi, Hazan & Singer (2011), with the momentum that Hidasi et al. (2016) add. With a sparse gradient S, v and w change in
    the rows of the batch only; with a dense one weight decay can be had.
    """

    def __init__(
        self,
        parameters: ParamsT,
        rate: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay}
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["squares"] = torch.zeros_like(parameter)
                if momentum:
                    self.state[parameter]["velocity"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                squares: Tensor = self.state[parameter]["squares"]
                velocity: Tensor | None = self.state[parameter].get("velocity")
                rate, momentum = float(group["lr"]), float(group["momentum"])
                if gradient.is_sparse:
                    self.move_rows(parameter, gradient, squares, velocity, rate, momentum)
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                squares.addcmul_(gradient, gradient)
                step = gradient.div(squares.sqrt().add_(1e-10)).mul_(-rate)
                if velocity is not None:
                    step = velocity.mul_(momentum).add_(step)
                parameter.add_(step)

    def move_rows(
        self,
        weight: Tensor,
        gradient: Tensor,
        squares: Tensor,
        velocity: Tensor | None,
        rate: float,
        momentum: float,
    ) -> None:
        """Move the rows (n, d) that `gradient` holds."""
        if weight.device.type != "cpu":
            gradient = gradient.coalesce()
            rows, total = gradient.indices()[0], gradient.values()
            found = squares[rows].addcmul_(total, total)
            squares[rows] = found
            step = total.div(found.sqrt().add_(1e-10)).mul_(-rate)
            if velocity is not None:
                step += momentum * velocity[rows]
                velocity[rows] = step
            weight[rows] += step
            return
        ids = gradient._indices()[0].contiguous().numpy()
        values = gradient._values().contiguous().numpy()
        table = weight.numpy()
        place = self.scratch(weight)
        rows, total = np.empty(len(ids), np.int64), np.empty_like(values)
        n = kernels.gathered(ids, values, place, rows, total)
        moved = np.empty((0, values.shape[1]), np.float32) if velocity is None else velocity.numpy()
        kernels.step_rows(rows[:n], total, table, squares.numpy(), moved, rate, momentum)

    def scratch(self, weight: Tensor) -> np.ndarray:
        """Return an array (n,) of -1, made once a table; it is no part of the state."""
        made: dict[int, np.ndarray] = self.__dict__.setdefault("_places", {})
        if id(weight) not in made:
            made[id(weight)] = np.full(len(weight), -1, np.int32)
        return made[id(weight)]
