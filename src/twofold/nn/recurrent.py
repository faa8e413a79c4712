"""Recurrent cells, one step at a time; `twofold.kernels.recurrent` is the same for serving.

B rows, H units. Columns of the weights are those of the gates, H each. A state is h, for the LSTM h and c side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from twofold.nn.encoders import first_weights
from twofold.nn.ordered import linear, shifted, sigmoid

CellKind: TypeAlias = Literal["rnn", "lstm", "gru"]


def rnn_step(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Return tanh(W x + U h + b); gates (B, H) of W x + b, recurrent (H, H), state (B, H)."""
    return torch.tanh(torch.addmm(gates, state, recurrent))


def gru_step(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Return (1 - z) h + z h', h' = tanh(W x + U (r * h) + b); gates (B, 3 H) of z, r and the candidate.

    Hidasi et al. (2016), Eq. 1 to 4: r is taken before U.
    """
    size = state.shape[1]
    both = torch.addmm(gates[:, : 2 * size], state, recurrent[:, : 2 * size])
    z, r = sigmoid(both).chunk(2, dim=1)
    fresh = torch.tanh(torch.addmm(gates[:, 2 * size :], r * state, recurrent[:, 2 * size :]))
    return torch.lerp(state, fresh, z)


def lstm_step(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Return h and c; gates (B, 4 H) of i, f, o and the candidate, state (B, 2 H).

    c = f c + i c', h = o tanh(c) (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    """
    size = state.shape[1] // 2
    h, c = state[:, :size], state[:, size:]
    gates = torch.addmm(gates, h, recurrent)
    i, f, o = sigmoid(gates[:, : 3 * size]).chunk(3, dim=1)
    c = f * c + i * torch.tanh(gates[:, 3 * size :])
    return torch.cat([o * torch.tanh(c), c], dim=1)


class Shape(NamedTuple):
    """What a kind of cell is made of."""

    step: Callable[[Tensor, Tensor, Tensor], Tensor]
    gates: int  # blocks of H columns
    states: int  # blocks of H columns of a state


CELLS: dict[CellKind, Shape] = {
    "rnn": Shape(rnn_step, 1, 1),
    "lstm": Shape(lstm_step, 4, 2),
    "gru": Shape(gru_step, 3, 1),
}
"""The cells by name."""


class Cell(nn.Module):
    """One step from W x and a state to the next state.

    Parameters
    ----------
    kind
        ``"rnn"`` (tanh), ``"lstm"`` or ``"gru"``.
    n_in
        Size of x; 0 where W x is looked up, so that there is no W.
    n_units
        H.
    """

    def __init__(self, kind: CellKind, n_in: int, n_units: int, *, rng: torch.Generator) -> None:
        super().__init__()
        self.kind: CellKind = kind
        width = CELLS[kind].gates * n_units
        self.recurrent = first_weights((n_units, width), n_units, n_units, "tanh", rng)
        self.bias = nn.Parameter(torch.zeros(width, device=rng.device))
        if n_in:
            self.inputs = first_weights((n_in, width), n_in, n_units, "tanh", rng)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:  # (B, n_in), (B, states H) -> state
        """Take one step; x is W x (B, gates H) where the cell has no W."""
        has_inputs = "inputs" in self._parameters
        gates = linear(x, self.inputs, self.bias) if has_inputs else shifted(x, self.bias)
        return CELLS[self.kind].step(gates, self.recurrent, state)
