"""Networks from content to vectors in training (torch): dense layers on sparse rows, and a CNN on sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from twofold.errors import DataError
from twofold.features.design import width_of
from twofold.models.mapping._content_dense import DenseMap
from twofold.models.mapping._content_goal import Goal
from twofold.nn.convolutions import MelCNN
from twofold.nn.encoders import MLP, SparseLinear
from twofold.nn.loop import History, exact, pick_device, train
from twofold.nn.losses import squared_error, weighted_prediction_error
from twofold.nn.ragged import Ragged
from twofold.nn.weights import arrays_of, load_into
from twofold.typing import F32

if TYPE_CHECKING:
    from twofold.models.mapping.deep_content import DeepContent

LEAST_HELD, SPARE = 10, 40
"""Rows that have to be held out for them to say when to stop, and from how many on there are so many to spare."""
BLOCK = 64
"""Windows of a sound that pass through the network at a time."""

Encode = Callable[[Tensor, torch.Generator], Tensor]
"""(rows (b,), random) -> scaled vectors (b, d)."""


class Dense(nn.Module):
    """Sparse rows through dense layers."""

    def __init__(self, sizes: Sequence[int], dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        linear = len(sizes) == 2
        self.first = SparseLinear(
            sizes[0], sizes[1], activation="identity" if linear else "relu", rng=rng
        )
        self.dropout = nn.Dropout(0.0 if linear else dropout)
        self.rest = MLP(sizes[1:], activation="relu", dropout=dropout, rng=rng)
        self.linear = linear

    def forward(self, x: Ragged) -> Tensor:  # B rows -> (B, d)
        """Map rows of (feature, value)."""
        y = self.first(x)
        return y if self.linear else self.rest(self.dropout(torch.relu(y)))


def fit_dense(
    rows: csr_array,
    goal: Goal,
    hidden: Sequence[int],
    dropout: float,
    model: DeepContent,
    rng: np.random.Generator,
) -> DenseMap:
    """Train dense layers on sparse rows (n, width)."""
    sizes = (width_of(rows), *hidden, goal.vectors.shape[1])
    net = Dense(sizes, dropout, seeded(rng))
    inputs = Ragged.of(rows.indptr, rows.indices, np.asarray(rows.data, np.float32))

    def encode(some: Tensor, random: torch.Generator) -> Tensor:
        del random  # dropout has its own
        return net(inputs.take(some))

    train_towards(net, encode, goal, model, rng)
    found = arrays_of(net)
    n_rest = len(sizes) - 2
    return DenseMap(
        weights=(
            found["first.table.weight"],
            *(found[f"rest.layers.{at}.weight"] for at in range(n_rest)),
        ),
        biases=(found["first.bias"], *(found[f"rest.layers.{at}.bias"] for at in range(n_rest))),
        centre=goal.centre,
        scale=goal.scale,
    )


def fit_sounds(
    net: MelCNN,
    spectra: Sequence[F32],
    frames: int,
    centre: F32,
    spread: F32,
    goal: Goal,
    model: DeepContent,
    rng: np.random.Generator,
) -> Mapping[str, F32]:
    """Train on a random window of every sound a pass; spectra are (frames, bands), centre and spread (bands,)."""
    spare = torch.tensor([len(one) - frames + 1 for one in spectra])

    def encode(some: Tensor, random: torch.Generator) -> Tensor:
        drawn = (torch.rand(len(some), generator=random) * spare[some]).long()
        cut = [
            spectra[row][start : start + frames]
            for row, start in zip(some.tolist(), drawn.tolist(), strict=True)
        ]
        windows = (np.stack(cut) - centre) / spread  # (b, frames, bands)
        return net(torch.from_numpy(np.ascontiguousarray(windows.transpose(0, 2, 1), np.float32)))

    train_towards(net, encode, goal, model, rng)
    return arrays_of(net)


def train_towards(
    net: nn.Module,
    encode: Encode,
    goal: Goal,
    model: DeepContent,
    rng: np.random.Generator,
) -> History:
    """Train `net` in place. `held_out` rows say when to stop.

    Raises
    ------
    DataError
        If that share is all of them.
    """
    order = rng.permutation(len(goal))
    held = 0 if model.patience is None else held_out(model.holdout, len(goal))
    if held == len(goal):
        raise DataError(
            f"DeepContent.holdout={model.holdout:g} leaves none of {held} rows to learn from; lower it"
        )
    kept = torch.from_numpy(order[held:])
    loss = loss_towards(goal)

    def loss_of(rows: Tensor, random: torch.Generator) -> Tensor:
        return loss(encode(kept[rows], random), kept[rows])

    def validate() -> float:
        random = torch.Generator().manual_seed(0)  # the same windows after every epoch
        parts = torch.from_numpy(order[:held]).split(model.batch_size)
        return -sum(float(loss(encode(one, random), one)) * len(one) for one in parts) / held

    return train(
        net,
        len(kept),
        loss_of,
        optimiser=model.optimiser,
        epochs=model.epochs,
        batch_size=model.batch_size,
        rng=rng,
        validate=validate if held else None,
        patience=model.patience if held else None,
        device="cpu",
        label="DeepContent",
    )


def held_out(share: float, n: int) -> int:
    """Return how many of n rows are held out: the share of them, or at least `LEAST_HELD` where there are `SPARE`.

    Example
    -------
    >>> held_out(0.1, 1000), held_out(0.1, 60), held_out(0.1, 30), held_out(0.0, 60)
    (100, 10, 0, 0)
    """
    held = round(share * n)
    if held >= LEAST_HELD:
        return held
    return LEAST_HELD if share > 0 and n >= SPARE else 0


def loss_towards(goal: Goal) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean loss of scaled vectors (b, d) of the rows (b,)."""
    target = torch.from_numpy(goal.scaled)
    if not goal.on_ratings:
        return lambda found, rows: squared_error(found, target[rows])
    centre, other = torch.from_numpy(goal.centre), torch.from_numpy(goal.other)
    gram = other.T @ other
    taken = goal.weights
    users = Ragged.of(taken.indptr, taken.indices, np.asarray(taken.data, np.float32))
    return lambda found, rows: weighted_prediction_error(
        centre + goal.scale * found, gram, other, users.take(rows)
    )


def heard(
    net: MelCNN, arrays: Mapping[str, F32], windows: Sequence[F32], centre: F32, spread: F32
) -> F32:
    """Return the mean over the windows of each sound, scaled vectors (n, d); windows are (w, frames, bands).

    A sound passes through the network by itself, so that its vector does not depend on the others.
    """
    load_into(net, arrays)
    out: list[F32] = []
    with exact(pick_device("cpu")), torch.no_grad():
        for one in windows:
            x = np.ascontiguousarray(((one - centre) / spread).transpose(0, 2, 1), np.float32)
            parts = [net(part).numpy() for part in torch.from_numpy(x).split(BLOCK)]
            out.append(np.concatenate(parts).mean(axis=0))
    return np.stack(out)


def seeded(rng: np.random.Generator) -> torch.Generator:
    """Return a generator of torch with a seed drawn from `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
