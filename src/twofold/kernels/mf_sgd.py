"""Stochastic gradient descent for matrix factorization, in parallel and reproducible.

Ratings are cut into blocks by user group and item group. Blocks that share neither run at the same
time without touching each other's rows: the strata of DSGD (Gemulla, Nijkamp, Haas & Sismanis 2011,
"Large-Scale Matrix Factorization with Distributed Stochastic Gradient Descent", KDD). The number of
groups does not depend on the number of threads, so neither do the results.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64

GROUPS = 16
"""Groups of users and of items, hence the most threads that can work at once."""


class Blocks(NamedTuple):
    """Ratings cut into groups x groups blocks, under row numbers that keep a group together."""

    start: I64  # (groups**2 + 1,) where each block begins; block g * groups + h = users g, items h
    user: I32  # (n,) places in user_order
    item: I32  # (n,) places in item_order
    value: F32  # (n,)
    user_order: I32  # (n_users,) the row at each place
    item_order: I32  # (n_items,)


def cut(indptr: I64, item: I32, value: F32, n_items: int) -> Blocks:
    """Cut ratings, given in user order, into blocks of balanced users and items; O(n).

    `indptr` (n_users + 1,) ragged rows over `item` and `value` (n,); n_users, n_items >= 1.
    """
    groups = min(GROUPS, len(indptr) - 1, n_items)
    user_order, user_start = balanced(np.diff(indptr), groups)
    item_order, item_start = balanced(np.bincount(item, minlength=n_items), groups)
    item_place = np.empty(n_items, np.int32)
    item_place[item_order] = np.arange(n_items, dtype=np.int32)
    item_group = np.empty(n_items, np.int32)
    item_group[item_order] = np.repeat(np.arange(groups, dtype=np.int32), np.diff(item_start))
    counts = np.zeros((groups, groups), np.int64)
    count_blocks(indptr, item, user_order, user_start, item_group, counts)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    blocks = Blocks(
        start,
        np.empty(len(item), np.int32),
        np.empty(len(item), np.int32),
        np.empty(len(item), np.float32),
        user_order,
        item_order,
    )
    cursor = start[:-1].reshape(groups, groups).copy()
    fill_blocks(
        indptr,
        item,
        value,
        user_order,
        user_start,
        item_group,
        item_place,
        cursor,
        blocks.user,
        blocks.item,
        blocks.value,
    )
    return blocks


def balanced(counts: I64, groups: int) -> tuple[I32, I64]:
    """Deal rows into groups of nearly equal total count: by falling count, there and back again.

    Returns the rows group by group (n,), and where each group begins (groups + 1,).
    """
    order = np.argsort(-counts, kind="stable")
    lap = np.arange(len(order)) % (2 * groups)
    group = np.minimum(lap, 2 * groups - 1 - lap)
    start = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    return order[np.argsort(group, kind="stable")].astype(np.int32), start.astype(np.int64)


@kernel(parallel=True)
def count_blocks(
    indptr: I64, item: I32, user_order: I32, user_start: I64, item_group: I32, counts: I64
) -> None:
    """Count the ratings of every block into `counts` (groups, groups), zero on entry.

    `indptr` (n_users + 1,) and `item` are the ratings in user order; `user_order` (n_users,) lists
    the users group by group, `user_start` (groups + 1,) says where each group begins.
    """
    for group in prange(len(counts)):
        for place in range(user_start[group], user_start[group + 1]):
            user = user_order[place]
            for at in range(indptr[user], indptr[user + 1]):
                counts[group, item_group[item[at]]] += 1


@kernel(parallel=True)
def fill_blocks(
    indptr: I64,
    item: I32,
    value: F32,
    user_order: I32,
    user_start: I64,
    item_group: I32,
    item_place: I32,
    cursor: I64,
    out_user: I32,
    out_item: I32,
    out_value: F32,
) -> None:
    """Write the ratings block by block, by user inside a block, under the rows of the new order.

    `cursor` (groups, groups) holds where each block begins, and is used up.
    """
    for group in prange(len(cursor)):
        for place in range(user_start[group], user_start[group + 1]):
            user = user_order[place]
            for at in range(indptr[user], indptr[user + 1]):
                into = item_group[item[at]]
                to = cursor[group, into]
                cursor[group, into] = to + 1
                out_user[to] = place
                out_item[to] = item_place[item[at]]
                out_value[to] = value[at]


@kernel()
def sgd_block(
    user: I32,
    item: I32,
    value: F32,
    p: F32,
    q: F32,
    user_bias: F32,
    item_bias: F32,
    rate: float,
    reg: float,
    biases: bool,
) -> float:
    """Pass once over the ratings of one block; return the sum of squared errors before each update.

    e = r - b_u - b_i - q_i . p_u; then every parameter x moves by rate * (e * dx - reg * x), all from
    the old values (Koren, Bell & Volinsky 2009). p (n, d), q (m, d).
    """
    d = p.shape[1]
    step, keep = np.float32(rate), np.float32(1.0 - rate * reg)
    total = 0.0
    for at in range(len(user)):
        u, i = user[at], item[at]
        error = value[at] - user_bias[u] - item_bias[i]
        error -= dot(p[u], q[i])
        total += error * error
        pull = step * error
        if biases:
            user_bias[u] = keep * user_bias[u] + pull
            item_bias[i] = keep * item_bias[i] + pull
        for f in range(d):
            old = p[u, f]
            p[u, f] = keep * old + pull * q[i, f]
            q[i, f] = keep * q[i, f] + pull * old
    return total


@kernel(parallel=True)
def sgd_epoch(
    block_start: I64,
    user: I32,
    item: I32,
    value: F32,
    shifts: I64,
    p: F32,
    q: F32,
    user_bias: F32,
    item_bias: F32,
    rate: float,
    reg: float,
    biases: bool,
    loss: F64,
) -> None:
    """Pass once over all ratings: stratum by stratum, the blocks of a stratum in parallel.

    Stratum s pairs user group g with item group (g + shifts[s]) mod groups; `shifts` is a permutation
    of 0 ... groups - 1. `loss` (groups,) receives the squared error of each user group.
    """
    groups = len(shifts)
    loss[:] = 0.0
    for s in range(groups):
        shift = shifts[s]
        for group in prange(groups):
            block = group * groups + (group + shift) % groups
            first, last = block_start[block], block_start[block + 1]
            loss[group] += sgd_block(
                user[first:last],
                item[first:last],
                value[first:last],
                p,
                q,
                user_bias,
                item_bias,
                rate,
                reg,
                biases,
            )
