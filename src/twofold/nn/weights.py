"""The weights of a module as a mapping of read-only arrays: what a fitted model holds and saves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from twofold.errors import IncompatibleFileError
from twofold.typing import F32


def arrays_of(module: nn.Module) -> Mapping[str, F32]:
    """Copy the state of `module` as name -> read-only float32 array.

    `twofold.persistence.save` writes a field that holds such a mapping as one ``.npy`` file an array.

    Raises
    ------
    TypeError
        If an entry of the state is not float32; a module keeps what is not learned elsewhere.
    """
    arrays: dict[str, F32] = {}
    for name, tensor in module.state_dict().items():
        if tensor.dtype != torch.float32:
            raise TypeError(f"{name} is {tensor.dtype}; the state of a module must be float32")
        array = np.array(tensor.detach().cpu().numpy(), order="C")
        array.flags.writeable = False
        arrays[name] = array
    return MappingProxyType(arrays)


def load_into(module: nn.Module, arrays: Mapping[str, F32]) -> None:
    """Copy `arrays` into the state of `module`, set it to evaluation, and freeze it.

    Raises
    ------
    IncompatibleFileError
        If a name, a shape or a dtype differs from the module's; nothing is changed then.

    Example
    -------
    >>> from twofold.nn.encoders import MLP
    >>> one, other = (MLP([3, 2], rng=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    >>> load_into(other, arrays_of(one))
    >>> x = torch.ones(1, 3)
    >>> bool((one(x) == other(x)).all())
    True
    """
    state: dict[str, Tensor] = module.state_dict()
    if state.keys() != arrays.keys():
        lacking, foreign = (
            sorted(state.keys() - arrays.keys()),
            sorted(arrays.keys() - state.keys()),
        )
        raise IncompatibleFileError(
            f"weights do not fit {type(module).__name__}: missing {lacking}, unexpected {foreign}; "
            "was the model saved with other hyperparameters?"
        )
    for name, tensor in state.items():
        shape, dtype = arrays[name].shape, arrays[name].dtype
        if shape != tuple(tensor.shape) or dtype != np.float32:
            raise IncompatibleFileError(
                f"weight {name!r} of {type(module).__name__} has shape {shape} and dtype {dtype}, "
                f"{tuple(tensor.shape)} and float32 are needed"
            )
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))  # a mapped file is read-only
    module.eval().requires_grad_(requires_grad=False)


def copied(module: nn.Module) -> dict[str, Tensor]:
    """Copy the state of `module`."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def digest(module: nn.Module) -> str:
    """Return the SHA-256 of the names, shapes and bytes of the state of `module`."""
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return found.hexdigest()
