"""Encoders: from dense features, sparse counts, ids and histories to vectors.

Shapes: B rows of a batch, D the size of a vector. Every encoder
draws its first weights from a `torch.Generator`; dropout draws from torch's own generator, which
the training loop seeds and gives back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twofold.errors import ConfigError, did_you_mean
from twofold.nn.ordered import linear, scaled, shifted, sigmoid
from twofold.nn.pooling import sum_bags
from twofold.nn.ragged import Ragged

Activation: TypeAlias = Literal["tanh", "relu", "sigmoid", "identity"]
Pooling: TypeAlias = Literal["mean", "sum", "max"]
ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": sigmoid,
    "identity": lambda x: x,
}
"""The functions by name."""


def first_weights(
    shape: Sequence[int], n_in: int, n_out: int, activation: Activation, rng: torch.Generator
) -> nn.Parameter:
    """Draw weights uniformly from [-b, b], with b by the activation that follows.

    tanh and identity: b = sqrt(6 / (n_in + n_out)) (Glorot & Bengio 2010; Huang et al. 2013, section 5.2).
    sigmoid: four times that. relu: sqrt(6 / n_in) (He et al. 2015).
    """
    bound = math.sqrt(6 / (n_in if activation == "relu" else n_in + n_out))
    bound *= 4 if activation == "sigmoid" else 1
    weight = torch.empty(*shape, device=rng.device)
    return nn.Parameter(weight.uniform_(-bound, bound, generator=rng))


def check_activation(name: str) -> None:
    """Refuse an activation that is not known.

    Raises
    ------
    ConfigError
        With the nearest name.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"activation got {name!r}; {did_you_mean(name, ACTIVATIONS)}")


class Linear(nn.Module):
    """x W + b, with the weights (n_in, n_out) drawn for the activation that follows, and trained by a share `step` of the learning rate."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        activation: Activation = "identity",
        step: float = 1.0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.step = step
        self.weight = first_weights((n_in, n_out), n_in, n_out, activation, rng)
        self.bias = nn.Parameter(torch.zeros(n_out, device=rng.device))

    def forward(self, x: Tensor) -> Tensor:  # (B, n_in) -> (B, n_out)
        """Map the last axis."""
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.Module):
    """Bring each row to mean 0 and variance 1, then scale and shift its units by weights (Ba, Kiros & Hinton 2016, eq. 4)."""

    def __init__(self, size: int, *, device: torch.device | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size, device=device))
        self.bias = nn.Parameter(torch.zeros(size, device=device))

    def forward(self, x: Tensor) -> Tensor:  # (..., size) -> (..., size)
        """Map the last axis."""
        return shifted(scaled(F.layer_norm(x, x.shape[-1:]), self.weight), self.bias)


class MLP(nn.Module):
    """Dense layers: ``sizes[0] -> sizes[1] -> ...``, an activation and dropout after each.

    Parameters
    ----------
    sizes
        Two or more; the first is the size of the input, the last that of the output. With one size, the
        input is handed on.
    activation
        After each layer but the last.
    output
        After the last layer, without dropout.
    dropout
        Share of hidden units that are zeroed in training, in [0, 1).
    layer_norm
        Whether what goes into each activation but ``"identity"`` is brought to mean 0 and variance 1 over the units of
        its row, then scaled and shifted by weights of each unit (Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 4).
    hidden_step
        Share of the learning rate that layers after the first one take.

    Raises
    ------
    ConfigError
        If a size is below 1, an activation is unknown, or `dropout` is outside [0, 1).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Activation = "tanh",
        output: Activation = "identity",
        dropout: float = 0.0,
        layer_norm: bool = False,
        hidden_step: float = 1.0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        if not sizes or min(sizes) < 1:
            raise ConfigError(f"sizes got {list(sizes)}; allowed: one or more integers >= 1")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout got {dropout}; allowed: 0 <= dropout < 1")
        check_activation(activation)
        check_activation(output)
        self.dropout = dropout
        names: list[Activation] = [activation for _ in sizes[2:]]
        names.append(output)
        self.names = tuple(names)
        self.layers = nn.ModuleList(
            Linear(n_in, n_out, activation=name, step=hidden_step if at else 1.0, rng=rng)
            for at, ((n_in, n_out), name) in enumerate(
                zip(pairwise(sizes), self.names, strict=False)
            )
        )
        self.norms = nn.ModuleList(
            LayerNorm(n_out, device=rng.device)
            if layer_norm and name != "identity"
            else nn.Identity()
            for n_out, name in zip(sizes[1:], self.names, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, sizes[0]) -> (B, sizes[-1])
        """Map the last axis through the layers."""
        for at, layer in enumerate(self.layers):
            x = ACTIVATIONS[self.names[at]](self.norms[at](layer(x)))
            if at + 1 < len(self.layers):
                x = F.dropout(x, self.dropout, self.training)
        return x


class Table(nn.Module):
    """Rows of weights (n, d): looked up one id at a time, or pooled over bags of ids in one call.

    Parameters
    ----------
    weight
        The rows.
    sparse
        Whether the gradient is kept as the rows of the batch alone; worth it for large tables. The optimiser
        then does not touch other rows, and allows no weight decay and no momentum. Not for ``"max"``.
    """

    def __init__(self, weight: nn.Parameter, *, sparse: bool = False) -> None:
        super().__init__()
        self.weight = weight
        self.sparse = sparse

    def forward(self, ids: Tensor) -> Tensor:  # (...,) -> (..., d)
        """Look rows up; the id -1 means unknown and gets zero."""
        known = F.embedding(ids.clamp(min=0), self.weight, sparse=self.sparse)
        return known * (ids >= 0).unsqueeze(-1)

    def pool(  # B rows -> (B, d)
        self, bags: Ragged, how: Pooling = "mean", rows: Tensor | None = None
    ) -> Tensor:
        """Pool each row of ids, or those of `rows` (B,) alone; with weights, ``"sum"`` is the weighted one; an empty row gives zero.

        Raises
        ------
        ConfigError
            If rows with weights are to be averaged or maximised, or a sparse table to be maximised.
        """
        if how != "sum" and bags.weights is not None:
            raise ConfigError(f"pooling got {how!r} for rows with weights; allowed: 'sum'")
        if how == "max" and self.sparse:
            raise ConfigError("pooling got 'max' for a sparse table; allowed: 'mean', 'sum'")
        if how == "sum" and not self.sparse:
            return sum_bags(self.weight, bags, rows)
        bags = bags if rows is None else bags.take(rows)
        weights = None if bags.weights is None else bags.weights.to(self.weight.dtype)
        return F.embedding_bag(
            bags.ids,
            self.weight,
            bags.offsets,
            mode=how,
            sparse=self.sparse,
            per_sample_weights=weights,
            include_last_offset=True,
        )


class Embeddings(Table):
    """A table of `n` vectors of size `d`, first drawn from a normal distribution of deviation `scale`."""

    def __init__(
        self, n: int, d: int, *, scale: float = 0.1, sparse: bool = False, rng: torch.Generator
    ) -> None:
        weight = torch.empty(n, d, device=rng.device).normal_(0, scale, generator=rng)
        super().__init__(nn.Parameter(weight), sparse=sparse)


class SparseLinear(nn.Module):
    """x W + b for sparse counts x, as a weighted sum of rows of W; nothing dense of n_in columns is made.

    Parameters
    ----------
    n_in, n_out
        Number of features and size of the output.
    activation
        The activation that follows, for the bound of the first weights.
    sparse
        Whether the gradient of W is kept as the rows of the batch alone (see `Table`).
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        activation: Activation = "tanh",
        sparse: bool = False,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.table = Table(
            first_weights((n_in, n_out), n_in, n_out, activation, rng), sparse=sparse
        )
        self.bias = nn.Parameter(torch.zeros(n_out, device=rng.device))

    def forward(self, x: Ragged) -> Tensor:  # B rows -> (B, n_out)
        """Map rows of (feature, count); counts are 1 where there are no weights."""
        return shifted(self.table.pool(x, "sum"), self.bias)
