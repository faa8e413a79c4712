"""The towers of DSSM in training: torch modules, and the loss of a batch of clicked pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from twofold.errors import DataError
from twofold.features.design import width_of
from twofold.models.mapping._dssm_batches import (
    are_had,
    distinct,
    histories_without,
    in_random_order,
    is_taken,
)
from twofold.models.mapping._dssm_text import TextRows
from twofold.nn.convolutions import TextConvolution, segment_max
from twofold.nn.deal import in_groups, shuffled
from twofold.nn.encoders import ACTIVATIONS, MLP, Activation, Table, first_weights
from twofold.nn.loop import train
from twofold.nn.losses import dssm_softmax
from twofold.nn.ordered import shifted
from twofold.nn.pooling import mean_bags, sum_bags
from twofold.nn.ragged import Ragged
from twofold.nn.samplers import UniformSampler
from twofold.nn.weights import arrays_of
from twofold.typing import F32, I64

if TYPE_CHECKING:
    from twofold.models.mapping.dssm import DSSM


class DenseTower(nn.Module):
    """Sparse counts through dense layers; the first one is a sum over words of sums over their parts."""

    def __init__(self, sizes: Sequence[int], activation: Activation, rng: torch.Generator) -> None:
        super().__init__()
        self.activation = activation
        shape = (sizes[0], sizes[1])
        self.table = Table(first_weights(shape, *shape, activation, rng))
        self.bias = nn.Parameter(torch.zeros(sizes[1], device=rng.device))
        self.rest = MLP(sizes[1:], activation=activation, output=activation, rng=rng)

    def represent(self, texts: Ragged, parts: Ragged | None) -> Tensor:  # k texts -> (k, sizes[1])
        """Return x W of every text; linear in x, so that it can be averaged over a history.

        `parts` are the n-grams of every word; None where words are inputs as they stand.
        """
        if parts is None:
            return sum_bags(self.table.weight, texts)
        words, at = distinct(texts.ids, len(parts.offsets) - 1)
        each = sum_bags(self.table.weight, parts, words)  # (distinct words, sizes[1])
        return sum_bags(each, Ragged(at, texts.offsets, texts.weights))

    def pool(self, texts: Tensor, bags: Ragged) -> Tensor:  # (k, d), B bags -> (B, d)
        """Return the mean of the texts of every bag."""
        return mean_bags(texts, bags)

    def finish(self, x: Tensor) -> Tensor:  # (B, sizes[1]) -> (B, sizes[-1])
        """Return y."""
        return self.rest(ACTIVATIONS[self.activation](shifted(x, self.bias)))


class ConvolutionTower(nn.Module):
    """Words in order through a convolution and the maximum over all places of a text, or of a history."""

    def __init__(
        self, n_in: int, n_out: int, filters: int, window: int, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.words = TextConvolution(n_in, n_out, filters=filters, window=window, rng=rng)

    def represent(self, texts: Ragged, parts: Ragged | None) -> Tensor:  # k texts -> (k, filters)
        """Return the maximum of every filter over the words of a text."""
        if parts is None:
            size = len(self.words.grams.weight)
            each = torch.arange(size + 1, device=texts.ids.device)
            parts = Ragged(each[:-1], each)
        return self.words.pooled(texts, parts)

    def pool(self, texts: Tensor, bags: Ragged) -> Tensor:  # (k, filters), B bags -> (B, filters)
        """Return the maximum over the texts of every bag: a window does not reach across two texts."""
        return segment_max(texts[bags.ids.long()], bags.offsets)

    def finish(self, x: Tensor) -> Tensor:  # (B, filters) -> (B, n_out)
        """Return y."""
        return self.words.finish(x)


Tower = DenseTower | ConvolutionTower


class Towers(nn.Module):
    """y_Q and y_D: two towers of one shape, or one for both."""

    def __init__(self, query: Tower, document: Tower | None) -> None:
        super().__init__()
        self.query = query
        self.own = document

    @property
    def document(self) -> Tower:
        """The tower of documents."""
        return self.query if self.own is None else self.own


@dataclass(frozen=True, eq=False)
class Clicks:
    """What is learned from, in rows of texts: first those of the items, then those of the users."""

    texts: TextRows
    user: I64  # (n,)
    item: I64  # (n,)
    bag_ends: I64  # (n_users + 1,)
    bag_texts: I64
    """The texts with which user u asks are those from ``bag_ends[u]`` to ``bag_ends[u + 1]``."""
    documents: I64
    """Rows of the items with words: what negatives are drawn from."""
    taken: I64
    """user * n_items + item of every pair of the log, ascending."""
    n_items: int


def draw_tower(
    sizes: Sequence[int],
    activation: Activation,
    window: int | None,
    rng: torch.Generator,
) -> Tower:
    """Return a dense tower of these `sizes`, or with a `window` the convolution (n_in, filters, n_out)."""
    if window is None:
        return DenseTower(sizes, activation, rng)
    n_in, filters, n_out = sizes
    return ConvolutionTower(n_in, n_out, filters, window, rng)


def draw_towers(
    sizes: Sequence[int],
    activation: Activation,
    window: int | None,
    *,
    shared: bool,
    rng: np.random.Generator,
) -> Towers:
    """Return towers with their first weights."""
    draw = torch.Generator().manual_seed(int(rng.integers(2**63)))
    query = draw_tower(sizes, activation, window, draw)
    return Towers(query, None if shared else draw_tower(sizes, activation, window, draw))


def train_towers(
    model: DSSM, loss: PairLoss, rng: np.random.Generator
) -> tuple[Mapping[str, F32], Mapping[str, F32]]:
    """Train, and return the weights of the query tower and of the document tower."""
    towers = loss.towers
    train(
        towers,
        len(loss.user),
        loss.of_batch,
        optimiser=model.optimiser,
        epochs=model.epochs,
        batch_size=model.batch_size,
        rng=rng,
        device="cpu",
        deal=in_groups(loss.user.numpy()) if model.dealt == "people" else shuffled,
        label="DSSM",
    )
    return arrays_of(towers.query), arrays_of(towers.document)


@dataclass(frozen=True, eq=False)
class PairLoss:
    """Eq. 5 to 7 of the paper for pairs of a log."""

    towers: Towers
    texts: Ragged
    parts: Ragged | None
    """The n-grams of every word; None where words are inputs as they stand."""
    bags: Ragged
    user: Tensor
    item: Tensor
    documents: Tensor
    taken: Tensor
    owners: Ragged
    """The users of every item."""
    n_items: int
    gamma: float
    negatives: int
    shared: bool
    """Whether the negatives are drawn once for all pairs of a batch."""
    history: int

    @classmethod
    def of(
        cls,
        towers: Towers,
        clicks: Clicks,
        *,
        gamma: float,
        negatives: int,
        shared: bool,
        history: int,
    ) -> PairLoss:
        """Put the arrays where the weights are."""
        texts, parts = clicks.texts, clicks.texts.parts
        grams = Ragged.of(parts.indptr, parts.indices, np.asarray(parts.data, np.float32))
        return cls(
            towers=towers,
            texts=Ragged.of(texts.indptr, texts.words, texts.weights),
            parts=None if texts.plain else grams,
            bags=Ragged.of(clicks.bag_ends, clicks.bag_texts),
            user=torch.from_numpy(clicks.user),
            item=torch.from_numpy(clicks.item),
            documents=torch.from_numpy(clicks.documents),
            taken=torch.from_numpy(clicks.taken),
            owners=owners_of(clicks),
            n_items=clicks.n_items,
            gamma=gamma,
            negatives=min(negatives, len(clicks.documents)),
            shared=shared,
            history=history,
        )

    def of_batch(self, rows: Tensor, draw: torch.Generator) -> Tensor:
        """Return the mean of -ln P(D+ | Q) over the pairs `rows`, with negatives drawn for each."""
        user, item = self.user[rows], self.item[rows]
        shape = (self.negatives,) if self.shared else (len(rows), self.negatives)
        others = self.documents[UniformSampler(len(self.documents)).draw(shape, draw).ids]
        bags = histories_without(self.bags, user, item, self.history, draw)
        if self.shared:
            hits = are_had(self.owners, len(self.bags.offsets) - 1, user, others)
        else:
            hits = is_taken(self.taken, self.n_items, user, others)
        return self.value(bags, item, others, hits)

    def value(self, bags: Ragged, item: Tensor, others: Tensor, hits: Tensor) -> Tensor:
        """Return the mean loss of queries `bags` (B), documents `item` (B,) and `others` (B, J) or (J,).

        `hits` (B, J) are left out of the sum.
        """
        n_texts = len(self.texts.offsets) - 1
        rows, at = distinct(torch.cat([item, others.flatten()]), n_texts)  # documents
        read, bag = distinct(bags.ids, n_texts)  # texts of queries
        said, shown = self.represented(read, rows)
        query, document = self.towers.query, self.towers.document
        y = document.finish(shown)
        clicked, drawn = y[at[: len(item)]], y[at[len(item) :]].view(*others.shape, -1)
        asks = query.finish(query.pool(said, Ragged(bag, bags.offsets)))
        return dssm_softmax(asks, clicked, drawn, self.gamma, hits)

    def represented(self, said: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the towers make of texts in queries and of documents; a shared one reads each text once."""
        towers, texts, parts = self.towers, self.texts, self.parts
        if towers.own is None:
            rows, at = distinct(torch.cat([said, shown]), len(texts.offsets) - 1)
            each = towers.query.represent(texts.take(rows), parts)
            return each[at[: len(said)]], each[at[len(said) :]]
        return (
            towers.query.represent(texts.take(said), parts),
            towers.own.represent(texts.take(shown), parts),
        )


def owners_of(clicks: Clicks) -> Ragged:
    """Return the users of every item."""
    user, item = np.divmod(clicks.taken, clicks.n_items)
    order = np.argsort(item, kind="stable")
    return Ragged.of(np.searchsorted(item[order], np.arange(clicks.n_items + 1)), user[order])


def clicks_of(
    taken: csr_array, bags: csr_array, texts: TextRows, rng: np.random.Generator
) -> Clicks:
    """Return the pairs that can be learned from: those with words on both sides.

    taken (n_users, n_items) and bags (n_users, n_texts) hold ones. The texts of a bag are put in random order.

    Raises
    ------
    DataError
        If there is none.
    """
    known = texts.known
    n_items = width_of(taken)
    user = np.repeat(np.arange(len(taken.indptr) - 1, dtype=np.int64), np.diff(taken.indptr))
    item = taken.indices.astype(np.int64)
    kept = known[item]
    user, item = user[kept], item[kept]
    sizes = np.diff(bags.indptr)
    # A history has to hold something beside the item that is to be found.
    learnable = (sizes[user] > 1) | (
        bags.indices[bags.indptr[user].clip(max=bags.nnz - 1)] >= n_items
    )
    if not learnable.any():
        raise DataError(
            "no pair of the log can be learned from: each needs an item with known words and a person with words of "
            "their own, or with another such item; check that the items of the log are those with words"
        )
    return Clicks(
        texts=texts,
        user=user[learnable],
        item=item[learnable],
        bag_ends=bags.indptr.astype(np.int64),
        bag_texts=in_random_order(bags, rng),
        documents=np.flatnonzero(known[:n_items]).astype(np.int64),
        taken=np.sort(user * n_items + item),
        n_items=n_items,
    )
