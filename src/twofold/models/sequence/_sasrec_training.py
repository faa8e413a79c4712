"""How `SASRec` is trained (torch); `sasrec` serves the same network in a compiled loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twofold.data.interactions import Histories
from twofold.kernels.hits import accidental_pairs
from twofold.nn import losses
from twofold.nn.attention import CausalBlock
from twofold.nn.deal import batch_of
from twofold.nn.encoders import Embeddings, LayerNorm
from twofold.nn.loop import train
from twofold.nn.optimisers import Adam
from twofold.nn.ordered import softplus
from twofold.nn.samplers import PopularitySampler
from twofold.nn.softmax import SoftmaxAmong
from twofold.nn.weights import arrays_of
from twofold.typing import F32

if TYPE_CHECKING:
    from twofold.models.sequence.sasrec import SASRec

SPREAD = 0.02
"""Standard deviation of the first vectors of items and places."""
BATCH, STEPS = 32, 40
"""Where the model does not say: histories a step, at most, and steps of a pass, at least."""
REDRAWS = 8
"""How often a negative that its person has taken is drawn again; then it is left out."""
PARTS = 4
"""Parts of like length that go through the network one by one, so that a batch of mixed lengths pads little.

Batches of one length would not: the steps pull apart, and the next item is told worse."""
Weights = Callable[[], Mapping[str, F32]]


class Network(nn.Module):
    """Items and places added, blocks of causal attention, a norm at the end."""

    def __init__(self, model: SASRec, n_items: int, *, rng: torch.Generator) -> None:
        super().__init__()
        d = model.factors
        self.length, self.dropout = model.length, model.dropout
        self.items = Embeddings(n_items, d, scale=SPREAD, rng=rng)
        self.places = Embeddings(model.length, d, scale=SPREAD, rng=rng)
        self.blocks = nn.ModuleList(
            CausalBlock(d, model.heads, model.dropout, rng=rng) for _ in range(model.blocks)
        )
        self.last = LayerNorm(d)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:  # (B, T), (B,) -> (B, T, d)
        """Return a vector after each event; rows end with padding of any items, which no event before it sees."""
        at = torch.arange(items.shape[1]) + (self.length - lengths)[:, None]
        at = at.clamp(max=self.length - 1)  # of padding
        scale = math.sqrt(self.items.weight.shape[1])
        x = F.embedding(items, self.items.weight) * scale + F.embedding(at, self.places.weight)
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def fit_network(
    model: SASRec,
    histories: Histories,
    n_items: int,
    validate: Callable[[Weights], Callable[[], float] | None],
    rng: np.random.Generator,
) -> tuple[Mapping[str, F32], int]:
    """Train the network on histories of two events or more and return its weights and the pass that they are of.

    `validate` makes the validation from a function that returns the weights of the moment.
    """
    draw = torch.Generator().manual_seed(int(rng.integers(2**63)))
    net = Network(model, n_items, rng=draw)
    batches = Batches(model, net, histories, n_items)
    measure = validate(lambda: arrays_of(net))
    history = train(
        net,
        len(histories),
        batches.loss,
        optimiser=Adam(learning_rate=model.learning_rate),
        epochs=model.epochs,
        batch_size=model.batch_size or batch_of(len(histories), BATCH, STEPS),
        rng=rng,
        validate=measure,
        patience=None if measure is None else model.patience,
        device="cpu",
        label="SASRec",
    )
    return arrays_of(net), history.best_epoch


class Batches:
    """The loss of a batch of whole histories: all places at once."""

    def __init__(self, model: SASRec, net: Network, histories: Histories, n_items: int) -> None:
        self.model, self.net, self.n_items = model, net, n_items
        self.items = torch.from_numpy(histories.item.astype(np.int64))
        lengths = np.minimum(histories.lengths - 1, model.length)
        self.lengths = torch.from_numpy(lengths)  # events that are read
        self.starts = torch.from_numpy(histories.indptr[1:] - 1 - lengths)
        owner = np.repeat(np.arange(len(histories)), histories.lengths)
        self.taken = torch.from_numpy(np.unique(owner * n_items + histories.item.astype(np.int64)))
        counts = np.bincount(histories.item, minlength=n_items)
        loss = model.loss
        if loss.kind == "softmax":
            self.sampler = PopularitySampler.of(counts + 1, exponent=loss.exponent)
        self.head = np.full(n_items, -1, np.int64)
        self.among = SoftmaxAmong()

    def loss(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """Return the mean loss over the places of the histories `rows` (b,)."""
        rows = rows[torch.argsort(self.lengths[rows], stable=True)]
        parts = [self.places(part) for part in rows.tensor_split(min(PARTS, len(rows)))]
        x, after, owner = (torch.cat(one) for one in zip(*parts, strict=True))
        loss = self.model.loss
        if loss.kind == "binary":
            return self.binary(x, after, *self.negatives(owner, loss.negatives, rng))
        if loss.samples is None or self.n_items <= loss.samples:
            return self.among(x, self.net.items.weight, None, after)
        return self.sampled(x, after, loss.samples, rng)

    def places(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return of the histories `rows` (b,), for each event that is read, its vector (N, d), the item after it and its history, (N,)."""
        lengths = self.lengths[rows]
        place = torch.arange(int(lengths.max()))  # (T,)
        inside = place < lengths[:, None]  # (b, T)
        event = self.starts[rows][:, None] + torch.minimum(place, lengths[:, None] - 1)
        x = self.net(self.items[event], lengths)[inside]
        return x, self.items[event + 1][inside], rows[:, None].expand_as(inside)[inside]

    def negatives(self, owner: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return items (N, n) drawn uniformly, and which of them their owner (N,) has taken after all redraws."""
        drawn = torch.randint(self.n_items, (len(owner), n), generator=rng)
        for _ in range(REDRAWS):
            hits = self.has_taken(owner, drawn)
            if not hits.any():
                break
            drawn[hits] = torch.randint(self.n_items, (int(hits.sum()),), generator=rng)
        return drawn, self.has_taken(owner, drawn)

    def has_taken(self, owner: Tensor, items: Tensor) -> Tensor:
        """Return whether each owner (N,) has taken the items (N, n), bool."""
        key = owner[:, None] * self.n_items + items
        at = torch.searchsorted(self.taken, key).clamp(max=len(self.taken) - 1)
        return self.taken[at] == key

    def binary(self, x: Tensor, after: Tensor, drawn: Tensor, hits: Tensor) -> Tensor:
        """Return the mean over places of -ln sigma(r_i) - sum_j ln(1 - sigma(r_j)), Eq. 7."""
        n = len(after)
        both = F.embedding(torch.cat([after[:, None], drawn], dim=1), self.net.items.weight)
        scores = torch.einsum("nd,njd->nj", x, both)  # (N, 1 + n)
        others = softplus(scores[:, 1:]).masked_fill(hits, 0)
        return (softplus(-scores[:, 0]).sum() + others.sum()) / n

    def sampled(self, x: Tensor, after: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Return the mean of -ln softmax over the next item and n that the batch shares, all lowered by ln Q."""
        drawn = self.sampler.draw((n,), rng)
        table = self.net.items.weight
        both = F.embedding(torch.cat([after, drawn.ids]), table)
        own, others = both.split([len(after), n])
        positive = (x * own).sum(1) - self.sampler.log_q(after)  # (N,)
        scores = torch.addmm(-drawn.log_q, x, others.T)  # (N, n)
        row, column = accidental_pairs(after.numpy(), drawn.ids.numpy(), self.head)
        scores[row, column] = losses.LOWEST
        return softplus(torch.logsumexp(scores, dim=1) - positive).mean()
