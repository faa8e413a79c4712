"""The network of `YouTubeCandidates` in training (torch); `youtube_candidates.forward` is the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional as F

from twofold.models.mapping._youtube_inputs import Sides, dimension
from twofold.nn.deal import batch_of, passes_over, shuffled
from twofold.nn.encoders import MLP, Embeddings
from twofold.nn.loop import infer, train
from twofold.nn.optimisers import Adam
from twofold.nn.ragged import Ragged
from twofold.nn.samplers import Drawn, PopularitySampler
from twofold.nn.softmax import SoftmaxAmong
from twofold.nn.weights import arrays_of
from twofold.typing import F32, I64

if TYPE_CHECKING:
    from twofold.models.mapping.youtube_candidates import YouTubeCandidates


BATCH, STEPS = 512, 40
"""Where the model does not say: examples a step, at most, and steps of a pass, at least."""
LEAST_PASSES, MEETINGS = 10, 60
"""Passes, and meetings of an item in all of them together, where the model does not say."""

Draw: TypeAlias = Callable[[np.random.Generator], tuple[Sides, I64]]
"""Draws the examples of a pass: what they read, and their labels (n,), as many every time."""
Read: TypeAlias = tuple[Sequence[Ragged], Tensor, Tensor]
"""Bags and numbers of a side, and the rows of both that are read."""


class Tower(nn.Module):
    """u(U, C): averaged embeddings and numbers, side by side, through ReLU layers; and the items of the softmax.

    Parameters
    ----------
    tables
        (rows, size) of each input table.
    n_dense
        Width of the numbers, of which the first three are of the age.
    sizes
        Widths of the layers.
    linear
        Whether there is one layer without ReLU (depth 0).
    layer_norm
        Whether what goes into a ReLU is normed first.
    hidden_step
        Share of a step that layers after the first one take.
    """

    def __init__(
        self,
        tables: Sequence[tuple[int, int]],
        n_dense: int,
        sizes: Sequence[int],
        n_items: int,
        *,
        linear: bool,
        dropout: float,
        layer_norm: bool,
        hidden_step: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(Embeddings(n, d, rng=rng) for n, d in tables)
        width = sum(d for _, d in tables) + n_dense
        self.layers = MLP(
            [width, *sizes],
            activation="relu",
            output="identity" if linear else "relu",
            dropout=dropout,
            layer_norm=layer_norm,
            hidden_step=hidden_step,
            rng=rng,
        )
        self.items = Embeddings(n_items, sizes[-1], rng=rng)
        self.bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, sides: Sequence[Read], said: Sequence[Tensor | float] = (1.0, 1.0)) -> Tensor:  # B rows -> (B, d)  # fmt: skip
        """Return u of every row; where a part of `said` (B, 1) is 0, the columns of people, or the circumstances, are withheld."""
        pooled: list[Tensor] = []
        numbers: list[Tensor] = []
        for (bags, dense, rows), keep in zip(sides, (1.0, *said), strict=True):
            tables = self.tables[len(pooled) : len(pooled) + len(bags)]
            pooled += [
                keep * table.pool(bag, "sum", rows)  # pyright: ignore[reportCallIssue]
                for table, bag in zip(tables, bags, strict=True)
            ]
            numbers.append(keep * dense[rows])
        own = len(sides[0][0])
        return self.layers(torch.cat([*pooled[:own], numbers[0], *pooled[own:], *numbers[1:]], dim=1))  # fmt: skip


def kept(share: float, rows: Tensor, rng: torch.Generator) -> Tensor:
    """Return 0 for a random `share` of rows and 1 for the others, shape (B, 1)."""
    drawn = torch.rand(len(rows), 1, generator=rng, device=rows.device)
    return (drawn >= share).float()


def silence(layers: MLP, pooled: Sequence[int], numbers: Sequence[Tensor]) -> None:
    """Zero the first weights of numbers that are 0 in every example: nothing would move them, and later questions would be answered with chance.

    One is the sign of a missing number where nobody lacks one. The inputs are so many `pooled` ones, then `numbers` (n, width), then pooled ones again.
    """
    read = [torch.cat([torch.ones(n).bool(), given.any(0)]) for n, given in zip(pooled, numbers, strict=True)]  # fmt: skip
    with torch.no_grad():
        layers.layers[0].weight[~torch.cat(read)] = 0  # pyright: ignore[reportIndexIssue, reportArgumentType]


def ragged(rows: csr_array) -> Ragged:
    """Return weighted sparse rows as torch wants them."""
    return Ragged.of(rows.indptr, rows.indices, rows.data.astype(np.float32))


def reading(sides: Sides) -> list[Read]:
    """Return what examples read as torch wants it."""
    return [
        (
            [ragged(one) for one in block.fields],
            torch.from_numpy(block.dense),
            torch.from_numpy(rows),
        )
        for block, rows in sides
    ]


def at(sides: Sequence[Read], rows: Tensor) -> list[Read]:
    """Return what the examples at `rows` (B,) read."""
    return [(bags, dense, own[rows]) for bags, dense, own in sides]


def said_of(
    sides: Sequence[Read], share: float, rows: Tensor, rng: torch.Generator
) -> list[Tensor | float]:
    """Return for people and for circumstances 0 where they are withheld and 1 elsewhere, (B, 1): of a random `share` of the rows people, circumstances or both, a third each.

    Of a side without columns nothing is withheld, and of the other one the whole share.
    """
    there = [bool(bags) or numbers.shape[1] > 0 for bags, numbers, _ in sides]
    if not all(there):
        return [kept(share, rows, rng) if one else 1.0 for one in there]
    drawn = torch.rand(len(rows), 1, generator=rng, device=rows.device)
    people = drawn >= share * 2 / 3
    circumstances = (drawn < share / 3) | (drawn >= share)
    return [people.float(), circumstances.float()]


class Pass:
    """The examples of a pass as torch wants them; dealing the next one draws them anew."""

    def __init__(self, draw: Draw, rng: np.random.Generator) -> None:
        self.draw = draw
        self.take(rng)

    def take(self, rng: np.random.Generator) -> None:
        """Hold other examples."""
        sides, labels = self.draw(rng)
        self.tables = [[one.shape[1] for one in side.block.fields if one.shape] for side in sides]
        self.sides, self.labels = reading(sides), torch.from_numpy(labels)

    def deal(self, n_examples: int, batch_size: int, rng: np.random.Generator) -> list[I64]:
        """Draw the examples of a pass and return its batches."""
        self.take(rng)
        return shuffled(n_examples, batch_size, rng)


def fit_tower(
    model: YouTubeCandidates,
    draw: Draw,
    n_items: int,
    held_out: tuple[Sides, I64] | None,
    rng: np.random.Generator,
) -> tuple[Mapping[str, F32], int]:
    """Train the network on examples that are drawn before each pass, and return its weights and the pass that they are of.

    The softmax is over all items where there are no more of them than `negatives`; else it is sampled.
    With `held_out` examples training stops when the mean of 1 / rank of their labels no longer rises.
    """
    start = torch.Generator().manual_seed(int(rng.integers(2**63)))
    now = Pass(draw, rng)
    mine, columns = now.tables[0], now.tables[1] + now.tables[2]
    tables = [(n, model.factors) for n in mine] + [(n, dimension(n, 1.0)) for n in columns]
    n_dense = sum(dense.shape[1] for _, dense, _ in now.sides)
    tower = Tower(
        tables, n_dense, model.sizes, n_items,
        linear=model.depth == 0, dropout=model.dropout, layer_norm=model.layer_norm, hidden_step=model.hidden_step, rng=start,
    )  # fmt: skip
    tower.bias.requires_grad_(model.item_bias)
    (_, age, _), *others = now.sides
    before = sum(d for _, d in tables) + age.shape[1]
    silence(tower.layers, [before, 0], [dense[rows.unique()] for _, dense, rows in others])
    counts = np.bincount(now.labels.numpy(), minlength=n_items)
    # One more, so that every item can be drawn.
    sampler = PopularitySampler.of(counts + 1.0, exponent=model.negatives_exponent)
    among = SoftmaxAmong()

    def loss_of(rows: Tensor, random: torch.Generator) -> Tensor:
        said = said_of(others, model.unsaid, rows, random)
        u = tower(at(now.sides, rows), said)  # (B, d)
        label = now.labels[rows]
        v = tower.items.weight
        if n_items <= model.negatives:
            return among(u, v, tower.bias if model.item_bias else None, label)
        drawn = sampler.draw_distinct(model.negatives, random)
        return among_drawn(u, label, v, tower.bias, sampler, drawn, among)

    validate = None if held_out is None else reciprocal_rank(tower, *held_out)
    n_examples = len(now.labels)
    history = train(
        tower,
        n_examples,
        loss_of,
        optimiser=Adam(learning_rate=model.learning_rate, weight_decay=model.reg),
        epochs=model.epochs or passes_over(counts, LEAST_PASSES, MEETINGS),
        batch_size=model.batch_size or batch_of(n_examples, BATCH, STEPS),
        deal=now.deal,
        rng=rng,
        validate=validate,
        patience=None if validate is None else model.patience,
        device="cpu",
        decay=model.decay,
        label="YouTubeCandidates",
    )
    return arrays_of(tower), history.best_epoch


def among_drawn(
    u: Tensor,
    label: Tensor,
    v: Tensor,
    bias: Tensor,
    sampler: PopularitySampler,
    drawn: Drawn,
    among: SoftmaxAmong,
) -> Tensor:
    """Return the mean of -ln softmax of u (B, d) over the label (B,) and drawn items, all lowered by ln Q; v (m, d), bias (m,).

    A label that is drawn beside itself stays in the sum: more draws then come nearer to the softmax over all items. Left out,
    the most popular items would learn too high scores (the ranking objective of Ma & Collins 2018, "Noise Contrastive Estimation
    and Negative Sampling for Conditional Models", EMNLP).
    """
    # Gathered together, for the gradient of a gather is as large as the catalogue.
    of_label, of_drawn = F.embedding(torch.cat([label, drawn.ids]), v).split([len(label), len(drawn.ids)])  # fmt: skip
    own = (u * of_label).sum(1) + bias[label] - sampler.log_q(label)
    nowhere = torch.full_like(label, -1)
    return among(u, of_drawn, bias[drawn.ids] - drawn.log_q, nowhere, own)


def reciprocal_rank(tower: Tower, sides: Sides, labels: I64) -> Callable[[], float]:
    """Return what measures the mean of 1 / rank of the labels (n,) of held-out examples among all items."""
    read = reading(sides)
    target = torch.from_numpy(labels)

    def measure() -> float:
        u = infer(
            tower,
            lambda rows: tower(at(read, rows)),
            len(labels),
            device="cpu",
        )
        total = 0.0
        for first in range(0, len(labels), 256):
            part = slice(first, first + 256)
            scores = torch.from_numpy(u[part]) @ tower.items.weight.T + tower.bias
            own = scores.gather(1, target[part, None])
            ahead = (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
            total += float((1 / (1 + ahead)).sum())
        return total / len(labels)

    return measure
