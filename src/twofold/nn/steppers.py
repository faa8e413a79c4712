"""torch's optimisers made from their declarations; their state under flat names, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from twofold.errors import ConfigError
from twofold.nn.adagrad import MomentumAdagrad
from twofold.nn.optimisers import SGD, Adagrad, Adam
from twofold.nn.weights import copied

ENOUGH = 1e-6
"""A loss below which there is nothing more to learn."""


def sparse_parameters(module: nn.Module) -> set[Tensor]:
    """Return the parameters whose gradients hold the rows of the batch alone."""
    return {
        parameter
        for part in module.modules()
        if getattr(part, "sparse", False)
        for parameter in part.parameters(recurse=False)
    }


def build(declared: SGD | Adam | Adagrad, module: nn.Module) -> list[torch.optim.Optimizer]:
    """Make the optimisers of `module`: one for dense gradients and one for sparse ones.

    A part of `module` with an attribute ``step`` takes that share of the learning rate with its dense gradients.

    Raises
    ------
    ConfigError
        If there are sparse gradients and the declaration has weight decay, or the momentum of SGD.
    """
    rare = sparse_parameters(module)
    parameters = [one for one in module.parameters() if one.requires_grad]
    dense, sparse = [p for p in parameters if p not in rare], [p for p in parameters if p in rare]
    if sparse and (declared.weight_decay or (isinstance(declared, SGD) and declared.momentum)):
        name = type(declared).__name__
        raise ConfigError(f"{name}: sparse gradients allow no weight_decay and no momentum; set 0")
    shares = shares_of(module)
    rate, decay = declared.learning_rate, declared.weight_decay
    made: list[torch.optim.Optimizer] = []
    groups = [
        {"params": [p for p in dense if shares[p] == share], "lr": share * rate, "share": share}
        for share in sorted({shares[p] for p in dense}, reverse=True)
    ]
    match declared:
        case SGD(momentum=momentum):
            if dense:
                made.append(torch.optim.SGD(groups, rate, momentum, weight_decay=decay, fused=True))
            if momentum:  # begun by us: torch's fused steps refuse a first gradient that comes later than others
                for parameter in dense:
                    made[0].state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            if sparse:
                made.append(torch.optim.SGD(sparse, rate))
        case Adam():
            if dense:
                made.append(torch.optim.Adam(groups, rate, weight_decay=decay, fused=True))
            if sparse:
                made.append(torch.optim.SparseAdam(sparse, rate))
        case Adagrad(momentum=momentum):
            if dense and momentum:
                made.append(MomentumAdagrad(groups, rate, momentum, decay))
            elif dense:
                made.append(torch.optim.Adagrad(groups, rate, weight_decay=decay, fused=True))
            if sparse:
                made.append(MomentumAdagrad(sparse, rate, momentum))
    return made


def shares_of(module: nn.Module) -> dict[nn.Parameter, float]:
    """Return for each parameter which share of a step it takes: the ``step`` of the part that holds it, 1 where it has none."""
    return {
        one: float(getattr(part, "step", 1.0))
        for part in module.modules()
        for one in part.parameters(recurse=False)
    }


def set_rates(steppers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate, of which each parameter takes its share."""
    for stepper in steppers:
        for group in stepper.param_groups:
            group["lr"] = rate * group.get("share", 1.0)


def moves(module: nn.Module, loss: float) -> bool:
    """Say whether a step changes a matrix of weights, or the `loss` is as good as none.

    Rectified units that a step was too long for answer no row any more: no gradient passes them.
    """
    found = [one.grad for one in module.parameters() if one.ndim > 1 and one.grad is not None]
    if loss < ENOUGH or not found:
        return True
    return any(bool((one.coalesce().values() if one.is_sparse else one).any()) for one in found)


def clip_gradients(module: nn.Module, longest: float) -> None:
    """Shorten all gradients by one factor so that their common norm is at most `longest`."""
    found: list[Tensor] = []
    for parameter in module.parameters():
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                found.append(parameter.grad.values())
            else:
                found.append(parameter.grad)
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in found]))
    factor = (longest / norm.clamp(min=1e-12)).clamp(max=1)
    for one in found:
        one.mul_(factor)


def kept_state(
    module: nn.Module, steppers: Sequence[torch.optim.Optimizer], best: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return everything that the next epoch needs, under flat names."""
    found = {f"weight/{name}": one for name, one in copied(module).items()}
    found |= {f"best/{name}": one for name, one in best.items()}
    for number, stepper in enumerate(steppers):
        for at, state in stepper.state_dict()["state"].items():
            for key, one in state.items():
                if one is not None:
                    found[f"optimiser/{number}/{at}/{key}"] = torch.as_tensor(one).detach()
    return found


def restore(
    module: nn.Module,
    steppers: Sequence[torch.optim.Optimizer],
    tensors: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Undo `kept_state`; return the best weights."""
    parts: dict[str, dict[str, Tensor]] = {"weight": {}, "best": {}, "optimiser": {}}
    for name, one in tensors.items():
        kind, _, rest = name.partition("/")
        parts[kind][rest] = one
    module.load_state_dict(parts["weight"])
    for number, stepper in enumerate(steppers):
        whole = stepper.state_dict()
        state: dict[int, dict[str, Tensor | int]] = {}
        for name, one in parts["optimiser"].items():
            owner, at, key = name.split("/")
            if int(owner) == number:
                # SparseAdam counts its steps with a Python integer.
                counted = one.dtype == torch.int64
                state.setdefault(int(at), {})[key] = int(one) if counted else one
        stepper.load_state_dict(whole | {"state": state})
    return parts["best"]
