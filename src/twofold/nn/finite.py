"""Losses and weights that left the finite numbers, which training refuses to go on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from twofold.errors import NotConvergedError

Loss: TypeAlias = Tensor | Mapping[str, Tensor]


def finite_sum(loss: Loss, label: str, when: str, advice: str) -> Tensor:
    """Add the named parts of a loss, all of which must be finite."""
    parts = {"loss": loss} if isinstance(loss, Tensor) else loss
    for name, part in parts.items():
        if not torch.isfinite(part):
            raise NotConvergedError(
                f"{label} diverged: {name} became {float(part.detach())} {when}; {advice}"
            )
    return torch.stack(list(parts.values())).sum()


def check_weights(module: nn.Module, label: str, when: str, advice: str) -> None:
    """Refuse weights that left the finite numbers."""
    for name, parameter in module.named_parameters():
        if not torch.isfinite(parameter).all():
            raise NotConvergedError(
                f"{label} diverged: weight {name} is not finite {when}; {advice}"
            )
