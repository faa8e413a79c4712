"""The network of `YouTubeRanker` in training (torch); `youtube_ranker` scores with the same weights in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from twofold.models.mapping._youtube_impressions import first_odds
from twofold.models.mapping._youtube_inputs import Side, dimension
from twofold.models.mapping._youtube_towers import kept, ragged, said_of, silence
from twofold.nn.deal import batch_of
from twofold.nn.encoders import MLP, Embeddings
from twofold.nn.loop import train
from twofold.nn.losses import weighted_logistic
from twofold.nn.optimisers import Adam
from twofold.nn.ragged import Ragged
from twofold.nn.weights import arrays_of
from twofold.typing import F32

if TYPE_CHECKING:
    from twofold.models.mapping.youtube_ranker import YouTubeRanker


BATCH, STEPS = 256, 200
"""Where the model does not say: impressions a step, at most, and steps of a pass, at least."""


class Ranking(nn.Module):
    """W x + b, with x through ReLU layers first; the item of the impression and the watched ones share a table."""

    def __init__(
        self,
        items: tuple[int, int],
        tables: Sequence[tuple[int, int]],
        sizes: Sequence[int],
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.items = Embeddings(*items, rng=rng)
        self.tables = nn.ModuleList(Embeddings(n, d, rng=rng) for n, d in tables)
        self.layers = MLP(sizes, activation="relu", rng=rng)

    def forward(  # B rows -> (B,)
        self,
        sides: Sequence[tuple[Sequence[Ragged], Tensor, Tensor]],
        pair: Tensor,
        said: Sequence[Tensor | float] = (1.0, 1.0),
    ) -> Tensor:
        """Return the logit of every row.

        Sides are of the item, of the watched ones, of people and of circumstances: bags, numbers and the rows of both
        that are read (B,). The first bags of the first two are of items, the others of the tables in order; people and
        circumstances are withheld where their part of `said` (B, 1) is 0.
        """
        tables = iter(self.tables)
        (own, numbers, item), (watched, _, whose), *columns = sides
        parts = [self.items.pool(own[0], "sum", item)]
        parts += [next(tables).pool(bag, "sum", item) for bag in own[1:]]  # pyright: ignore[reportCallIssue]
        parts += [numbers[item], self.items.pool(watched[0], "sum", whose)]
        last: list[Tensor] = []
        for (bags, dense, rows), keep in zip(columns, said, strict=True):
            parts += [keep * next(tables).pool(bag, "sum", rows) for bag in bags]  # pyright: ignore[reportCallIssue]
            last.append(keep * dense[rows])
        return self.layers(torch.cat([*parts, *last, pair], dim=1))[:, 0]


def fit_ranking(
    model: YouTubeRanker,
    sides: Sequence[Side],
    pair: F32,
    told: int,
    value: F32,
    rng: np.random.Generator,
) -> Mapping[str, F32]:
    """Train on P impressions and return the weights.

    `sides` hold what is read of the items, of the last watched ones, of people and of circumstances, and which row of
    it each impression has (P,); `pair` (P, width of the pair features) the numbers of the impression, of which the last `told` are withheld from the share
    `unsaid`, `value` (P,) its watch time, 0 without a click.
    """
    rows = [[one.shape[1] for one in block.fields if one.shape] for block, _ in sides]
    items = (rows[0][0], dimension(rows[0][0], model.dimensions_per_bit))
    of_item, columns = ([(n, dimension(n, 1.0)) for n in own] for own in (rows[0][1:], rows[2] + rows[3]))  # fmt: skip
    tables = [*of_item, *columns]
    width = 2 * items[1] + sum(d for _, d in tables)
    width += sum(block.dense.shape[1] for block, _ in sides) + pair.shape[1]
    draw = torch.Generator().manual_seed(int(rng.integers(2**63)))
    net = Ranking(items, tables, [width, *model.hidden, 1], draw)
    clicked, weight = value > 0, value if model.weighted else np.ones_like(value)
    with torch.no_grad():
        last = net.layers.layers[-1]
        last.bias.fill_(first_odds(value, weight))  # pyright: ignore[reportCallIssue]
    held = [
        (
            [ragged(one) for one in block.fields],
            torch.from_numpy(block.dense),
            torch.from_numpy(row),
        )
        for block, row in sides
    ]
    numbers, clicks = torch.from_numpy(pair), torch.from_numpy(clicked)
    watched = torch.from_numpy(weight.copy())  # those of a log may not be written to
    own = numbers.shape[1] - told
    pooled = [items[1] + sum(d for _, d in some) for some in (of_item, columns)]
    there = [dense[row.unique()] for _, dense, row in held]
    silence(net.layers, [*pooled, 0, 0], [there[0], there[2], there[3], numbers])

    def loss_of(rows: Tensor, random: torch.Generator) -> Tensor:
        said = said_of(held[2:], model.unsaid, rows, random)
        mine = numbers[rows]
        if told:
            named = kept(model.unsaid, rows, random) * mine[:, own:]
            mine = torch.cat([mine[:, :own], named], dim=1)
        read = [(bags, dense, row[rows]) for bags, dense, row in held]
        return weighted_logistic(net(read, mine, said), clicks[rows], watched[rows])

    train(
        net,
        len(value),
        loss_of,
        optimiser=Adam(learning_rate=model.learning_rate, weight_decay=model.reg),
        epochs=model.epochs,
        batch_size=model.batch_size or batch_of(len(value), BATCH, STEPS),
        rng=rng,
        device="cpu",
        decay=model.decay,
        label="YouTubeRanker",
    )
    return arrays_of(net)
