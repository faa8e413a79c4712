"""How `GRU4Rec` is trained (torch); `gru4rec` serves the same network in compiled loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twofold.kernels.hits import accidental_pairs
from twofold.models.sequence import _gru4rec_parts as parts
from twofold.nn import losses
from twofold.nn.deal import session_parallel
from twofold.nn.encoders import Table, first_weights
from twofold.nn.loop import train
from twofold.nn.recurrent import CELLS, Cell
from twofold.nn.samplers import PopularitySampler
from twofold.nn.softmax import SoftmaxAmong
from twofold.nn.weights import arrays_of
from twofold.typing import F32, I32, I64

if TYPE_CHECKING:
    from twofold.models.sequence.gru4rec import GRU4Rec

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda scores: scores,
    "tanh": torch.tanh,
    "elu": lambda scores: F.elu(scores, alpha=0.5),
}
"""Of scores; elu saturates at -0.5, as in the authors' settings."""
LONGEST = 1024
"""Steps of a session, at most, where it would outlast its share of a pass: alone in a batch steps take as long as side by side."""
Weights = Callable[[], Mapping[str, F32]]


class Network(nn.Module):
    """The cell, what it reads, and the items: v_i with b_i as last column."""

    def __init__(self, model: GRU4Rec, n_items: int, *, rng: torch.Generator) -> None:
        super().__init__()
        h = model.factors
        self.how = model.embedding
        # Where all items are scored their gradient has no empty rows.
        sparse = not scores_everything(model, n_items)
        width = CELLS[model.cell.kind].gates * h
        v = first_weights((n_items, h), n_items, h, "tanh", rng)
        self.items = Table(nn.Parameter(F.pad(v.detach(), (0, 1))), sparse=sparse)
        if self.how != "shared":
            size = h if self.how == "separate" else width
            self.inputs = Table(
                first_weights((n_items, size), n_items, h, "tanh", rng), sparse=True
            )
        self.cell = Cell(model.cell.kind, 0 if self.how == "one-hot" else h, h, rng=rng)
        if isinstance(model.cell, parts.LSTM):
            with torch.no_grad():
                self.cell.bias[h : 2 * h] = model.cell.forget_bias

    def rows(self, before: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Return x of the items `before` (B,), and v with b of `asked` (C,): (B, n_in), (C, H + 1)."""
        look, sparse = self.items.weight, self.items.sparse
        if self.how == "shared":
            both = F.embedding(torch.cat([before, asked]), look, sparse=sparse)
            x, rows = both.split([len(before), len(asked)])
            return x[:, :-1], rows
        x = F.embedding(before, self.inputs.weight, sparse=True)
        return x, F.embedding(asked, look, sparse=sparse)


def scores_everything(model: GRU4Rec, n_items: int) -> bool:
    """Say whether all items are negatives, because that was asked for or there are no more than the samples."""
    return model.samples is None or n_items <= model.samples


def fit_network(
    model: GRU4Rec,
    items: I32,
    starts: I64,
    steps: I64,
    n_items: int,
    validate: Callable[[Weights], Callable[[], float] | None],
    rng: np.random.Generator,
) -> tuple[Mapping[str, F32], int]:
    """Train the network on sessions and return its weights and the pass that they are of.

    Session s reads ``items[starts[s]:starts[s] + steps[s]]`` and foresees the item after each. `validate` makes the validation
    from a function that returns the weights of the moment.
    """
    draw = torch.Generator().manual_seed(int(rng.integers(2**63)))
    net = Network(model, n_items, rng=draw)
    starts, steps = in_pieces(starts, steps, max(LONGEST, -(-int(steps.sum()) // model.batch_size)))
    batches = Batches(model, net, items, starts, steps, n_items)
    measure = validate(lambda: arrays_of(net))
    history = train(
        net,
        int(steps.sum()),
        batches.loss,
        optimiser=model.optimiser,
        epochs=model.epochs,
        batch_size=model.batch_size,
        rng=rng,
        validate=measure,
        patience=None if measure is None else model.patience,
        device="cpu",
        deal=session_parallel(starts, steps),
        label="GRU4Rec",
    )
    return arrays_of(net), history.best_epoch


def in_pieces(starts: I64, steps: I64, longest: int) -> tuple[I64, I64]:
    """Cut sessions of more than `longest` steps into as few pieces as do, as equal as they can be; first events and steps.

    Example
    -------
    >>> [one.tolist() for one in in_pieces(np.array([0, 8]), np.array([7, 2]), 3)]
    [[0, 3, 5, 8], [3, 2, 2, 2]]
    """
    pieces = -(-steps // longest)
    nth = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    whole, rest = (np.repeat(one, pieces) for one in (steps // pieces, steps % pieces))
    begin = nth * whole + np.minimum(nth, rest)
    return np.repeat(starts, pieces) + begin, whole + (nth < rest)


class Batches:
    """The loss of a batch of lanes, and the states that the lanes carry from one batch to the next."""

    def __init__(
        self, model: GRU4Rec, net: Network, items: I32, starts: I64, steps: I64, n_items: int
    ) -> None:
        self.model, self.net, self.n_items = model, net, n_items
        self.items = torch.from_numpy(items.astype(np.int64))
        self.lanes = min(model.batch_size, len(starts))
        begins = np.zeros(len(items), np.bool_)
        begins[starts] = True
        self.begins = torch.from_numpy(begins)
        self.carried = torch.zeros(self.lanes, CELLS[model.cell.kind].states * model.factors)
        inside = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
        counts = np.bincount(items[np.repeat(starts, steps) + inside + 1], minlength=n_items)
        # An item that only ever opens sessions is never a target; it can be drawn all the same.
        self.sampler = PopularitySampler.of(np.maximum(counts, 1), exponent=model.samples_exponent)
        self.everything = scores_everything(model, n_items)
        self.head = np.full(n_items, -1, np.int64)
        self.among = SoftmaxAmong()
        self.all_items = torch.arange(n_items)
        drawn = 0 if self.everything else model.samples or 0
        q = self.sampler.log_probability.exp() * drawn
        p = torch.from_numpy(counts / counts.sum()).float() * self.lanes
        self.log_q = torch.log(p + q)  # of batch and sample together, up to a constant

    def loss(self, codes: Tensor, rng: torch.Generator) -> Tensor:
        """Return the loss of one step of b lanes as a share of all lanes; `codes` (b,) are ``event * lanes + lane``."""
        model, net = self.model, self.net
        event, lane = codes // self.lanes, codes % self.lanes
        before, after = self.items[event], self.items[event + 1]
        state = self.carried[lane].masked_fill(self.begins[event][:, None], 0)
        asked = self.candidates(after, rng)
        x, rows = net.rows(before, after if self.everything else asked)
        state = net.cell(self.dropped(x), state)
        self.carried[lane] = state.detach()
        h = F.dropout(state[:, : model.factors], model.dropout_hidden, training=True)
        h = F.pad(h, (0, 1), value=1.0)  # (b, H + 1)
        rows = net.items.weight if self.everything else rows  # (C, H + 1)
        own = after if self.everything else torch.arange(len(after))
        return self.loss_of(h, rows, own, after, asked) * (len(codes) / self.lanes)

    def candidates(self, after: Tensor, rng: torch.Generator) -> Tensor:
        """Return the items that are scored (C,): all, or those of the batch and then the sampled ones."""
        if self.everything:
            return self.all_items
        return torch.cat([after, self.sampler.draw((self.model.samples or 0,), rng).ids])

    def dropped(self, x: Tensor) -> Tensor:
        """Return x with dropout; of a one-hot x whole events are left out."""
        share = self.model.dropout_embedding
        if not share:
            return x
        if self.model.embedding != "one-hot":
            return F.dropout(x, share, training=True)
        return x * F.dropout(torch.ones(len(x), 1), share, training=True)

    def loss_of(self, h: Tensor, rows: Tensor, own: Tensor, after: Tensor, asked: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        h (b, H + 1); rows (C, H + 1) of the items `asked` (C,); column own[b] is that of the row's item after[b].
        """
        if isinstance(self.model.loss, parts.CrossEntropy):
            if self.everything:
                return self.among(h, rows, None, own)
            scores = torch.addmm(-self.model.loss.log_q * self.log_q[asked], h, rows.T)
            row, column = accidental_pairs(after.numpy(), asked.numpy(), self.head)
            others = row != column
            scores[row[others], column[others]] = losses.LOWEST  # few places: cheaper than a mask
            return losses.full_softmax(scores, own)
        hits = losses.accidental_hits(after, asked)
        scores = ACTIVATIONS[self.model.loss.activation](h @ rows.T)
        positive = scores.gather(1, own[:, None])[:, 0]
        match self.model.loss:
            case parts.BPRLoss():
                return losses.bpr(positive, scores, hits)
            case parts.TOP1():
                return losses.top1(positive, scores, hits)
            case parts.BPRMax(reg=reg):
                return losses.bpr_max(positive, scores, reg, hits)
            case parts.TOP1Max():
                return losses.top1_max(positive, scores, hits)
