"""The towers of the multi-view network in training (torch): one for people, one for the items of every view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from twofold.features.design import width_of
from twofold.models.mapping._dssm_batches import (
    are_had,
    histories_without,
    in_random_order,
)
from twofold.models.mapping._dssm_text import TextRows
from twofold.models.mapping._dssm_towers import DenseTower
from twofold.nn.deal import within_groups
from twofold.nn.encoders import Activation
from twofold.nn.loop import train
from twofold.nn.losses import dssm_softmax
from twofold.nn.ragged import Ragged
from twofold.nn.weights import arrays_of
from twofold.typing import F32, I32, I64

if TYPE_CHECKING:
    from twofold.models.mapping.multi_view_dssm import MultiViewDSSM


@dataclass(frozen=True, eq=False)
class ViewPairs:
    """What is learned from."""

    texts: TextRows
    """The words of the items."""
    view: I32  # (n_items,) the view of every item, -1 = none
    user: I64  # (n,) of every pair
    item: I64  # (n,)
    bags: csr_array  # (n_users, n_items) the histories, ones
    parts: csr_array | F32  # (n_items, K) the items of histories, reduced
    own: csr_array | F32  # (n_users, K) the people's own words, reduced


class ViewTowers(nn.Module):
    """y_U and y_V for every view V."""

    def __init__(
        self,
        user_sizes: Sequence[int],
        item_sizes: Sequence[int],
        n_views: int,
        activation: Activation,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.user = DenseTower(user_sizes, activation, rng)
        self.views = nn.ModuleList(DenseTower(item_sizes, activation, rng) for _ in range(n_views))


class PeopleRows:
    """Rows of people without the item that is to be found, as inputs of the user tower."""

    def __init__(self, pairs: ViewPairs, longest: int, rng: np.random.Generator) -> None:
        """Put the histories in random order; a stretch of at most `longest` items is read at a time."""
        self.bags = Ragged.of(pairs.bags.indptr, in_random_order(pairs.bags, rng))
        self.longest = longest
        self.parts, self.own = input_of(pairs.parts), input_of(pairs.own)
        self.reads_history = len(pairs.parts.data) > 0

    def through(
        self, tower: DenseTower, user: Tensor, item: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Return y_U of `user` (B,), whose history is read without `item` (B,); shape (B, d)."""
        weight = tower.table.weight
        if isinstance(self.own, Ragged) and not self.reads_history:
            return tower.finish(tower.table.pool(self.own, "sum", user))
        bags = histories_without(self.bags, user, item, self.longest, draw)
        if isinstance(self.parts, Ragged) and isinstance(self.own, Ragged):
            read, at = torch.unique(bags.ids, return_inverse=True)
            each = tower.table.pool(self.parts, "sum", read)
            mean = tower.pool(each, Ragged(at, bags.offsets))
            return tower.finish(mean + tower.table.pool(self.own, "sum", user))
        assert isinstance(self.parts, Tensor)
        assert isinstance(self.own, Tensor)
        x = tower.pool(self.parts, bags) + self.own[user]
        return tower.finish(torch.sign(x) @ weight / weight.shape[0] ** 0.5)


def input_of(rows: csr_array | F32) -> Ragged | Tensor:
    """Return rows as torch reads them."""
    if isinstance(rows, np.ndarray):
        return torch.from_numpy(rows)
    return Ragged.of(rows.indptr, rows.indices, np.asarray(rows.data, np.float32))


class ViewLoss:
    """Eq. 6 of the paper for the pairs of one view."""

    def __init__(
        self, model: MultiViewDSSM, towers: ViewTowers, pairs: ViewPairs, rng: np.random.Generator
    ) -> None:
        """Put the arrays where the weights are."""
        self.towers, self.gamma, self.negatives = towers, model.gamma, model.negatives
        self.people = PeopleRows(pairs, model.history, rng)
        grams = csr_array(pairs.texts.matrix() @ pairs.texts.parts)
        self.items = Ragged.of(grams.indptr, grams.indices, np.asarray(grams.data, np.float32))
        holders = csr_array(pairs.bags.T)
        self.owners, self.n_users = Ragged.of(holders.indptr, holders.indices), width_of(holders)
        self.user, self.item = torch.from_numpy(pairs.user), torch.from_numpy(pairs.item)
        self.view_of = torch.from_numpy(pairs.view.astype(np.int64))
        known = pairs.texts.known
        self.members = [
            torch.from_numpy(np.flatnonzero((pairs.view == one) & known))
            for one in range(len(towers.views))
        ]

    def of_batch(self, rows: Tensor, draw: torch.Generator) -> Tensor:
        """Return the mean of -ln P(item | user) over the pairs `rows` of one view, against items drawn from it."""
        user, item = self.user[rows], self.item[rows]
        active = int(self.view_of[item[0]])
        members = self.members[active]
        n_drawn = min(self.negatives, len(members))
        others = members[torch.randint(len(members), (n_drawn,), generator=draw)]
        tower = self.towers.views[active]
        assert isinstance(tower, DenseTower)
        people = self.people.through(self.towers.user, user, item, draw)
        hits = are_had(self.owners, self.n_users, user, others)
        return self.value(people, tower, item, others, hits)

    def value(
        self, people: Tensor, tower: DenseTower, item: Tensor, others: Tensor, hits: Tensor
    ) -> Tensor:
        """Return the mean loss of y_U (B, d) with the items (B,) against `others` (J,), `hits` (B, J) left out."""
        found, place = torch.unique(torch.cat([item, others]), return_inverse=True)
        y = tower.finish(tower.table.pool(self.items, "sum", found))
        return dssm_softmax(people, y[place[: len(item)]], y[place[len(item) :]], self.gamma, hits)


def train_views(
    model: MultiViewDSSM,
    pairs: ViewPairs,
    n_views: int,
    widths: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Mapping[str, F32], tuple[Mapping[str, F32], ...]]:
    """Return the weights of the user tower and of the tower of every view; `widths` are those of their inputs.

    Algorithm 1: a batch holds pairs of one view, the active one, and moves its tower and the user's.
    """
    draw = torch.Generator().manual_seed(int(rng.integers(2**63)))
    rest = (*model.hidden, model.factors)
    towers = ViewTowers((widths[0], *rest), (widths[1], *rest), n_views, model.activation, draw)
    loss = ViewLoss(model, towers, pairs, rng)
    train(
        towers,
        len(pairs.user),
        loss.of_batch,
        optimiser=model.optimiser,
        epochs=model.epochs,
        batch_size=model.batch_size,
        rng=rng,
        device="cpu",
        deal=within_groups(pairs.view[pairs.item]),
        label="MultiViewDSSM",
    )
    return arrays_of(towers.user), tuple(arrays_of(one) for one in towers.views)
