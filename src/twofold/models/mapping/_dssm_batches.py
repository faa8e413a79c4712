"""What a step of the networks on words shares: whose history is read, and what was taken."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from twofold.data.file_order import drawn_within
from twofold.nn.ragged import Ragged
from twofold.typing import I64


def in_random_order(bags: csr_array, rng: np.random.Generator) -> I64:
    """Return the columns of rows of ones, those of a row in random order; shape (nnz,)."""
    whose = np.repeat(np.arange(len(bags.indptr) - 1), np.diff(bags.indptr))
    return bags.indices[drawn_within(whose, rng)].astype(np.int64)


def histories_without(
    bags: Ragged, user: Tensor, item: Tensor, longest: int, draw: torch.Generator
) -> Ragged:
    """Return the bags of users (B,) without the item (B,) that is to be found.

    Of a long one a random stretch of `longest` is taken; the item may be among them.
    """
    starts, stops = bags.offsets[user], bags.offsets[user + 1]
    spare = (stops - starts - longest).clamp(min=0)
    first = (torch.rand(len(user), generator=draw) * (spare + 1)).to(starts.dtype)
    starts = starts + torch.minimum(first, spare)
    return without(bags.cut(starts, starts + (stops - starts).clamp(max=longest)), item)


def without(bags: Ragged, item: Tensor) -> Ragged:
    """Return the bags (B) without the id `item` (B,) of each."""
    row = torch.repeat_interleave(torch.arange(len(item)), bags.lengths.long())
    keep = bags.ids.long() != item[row]
    counts = torch.bincount(row[keep], minlength=len(item))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Ragged(bags.ids[keep], offsets)


def is_taken(taken: Tensor, n_items: int, user: Tensor, items: Tensor) -> Tensor:
    """Return where a user (B,) has one of `items` (B, J); bool, shape (B, J).

    `taken` holds user * n_items + item of every pair of the log, ascending.
    """
    key = user[:, None] * n_items + items
    at = torch.searchsorted(taken, key).clamp(max=len(taken) - 1)
    return taken[at] == key


def are_had(owners: Ragged, n_users: int, user: Tensor, items: Tensor) -> Tensor:
    """Return which of `items` (J,) each `user` (B,) has; bool, shape (B, J). `owners` are the users of every item."""
    who, row = torch.unique(user, return_inverse=True)
    place = torch.full((n_users,), -1).scatter_(0, who, torch.arange(len(who)))
    bags = owners.take(items)
    at = place[bags.ids]
    column = torch.repeat_interleave(torch.arange(len(items)), bags.lengths.long())
    there = (at >= 0).nonzero().squeeze(1)
    had = torch.zeros(len(who), len(items), dtype=torch.bool)
    had[at[there], column[there]] = True
    return had[row]


def distinct(ids: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the distinct `ids` among 0 ... n - 1, ascending, and where each of `ids` (m,) stands among them."""
    there = torch.zeros(n, dtype=torch.bool, device=ids.device)
    there[ids] = True
    return there.nonzero().squeeze(1), (there.cumsum(0) - 1)[ids]
