"""Stochastic gradient ascent on the BPR criterion, in parallel and reproducible.

Before every epoch the items are dealt anew, at random, into equal groups; users stay in groups of
neighbouring rows. Blocks that share neither a user group nor an item group run at the same time, as
in DSGD (Gemulla, Nijkamp, Haas & Sismanis 2011), and the unobserved item of a triple is drawn from
the item group of its observed one. Over the random groups every other item is equally likely. The
number of groups does not depend on the number of threads, so neither do the results.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot_difference
from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, share_of, stream
from twofold.typing import F32, F64, I32, I64

GROUPS = 16
"""Groups of users and of items, hence the most threads that can work at once."""
LEAST = 8
"""Items a group, at least: fewer groups are made where there are not enough items."""
PATIENCE = 32
"""Draws for one unobserved item before the next free one is taken instead."""


@kernel(parallel=True, fastmath=False)
def cut_blocks(
    indptr: I64,
    item: I32,
    user_start: I64,
    group_of: I32,
    groups: int,
    block_start: I64,
    out_user: I32,
    out_item: I32,
) -> None:
    """Sort pairs by user group, item group and user.

    `indptr` (n + 1,) and `item` (nnz,) are the pairs in user order; `user_start` (g + 1,) says where
    each user group begins and `group_of` (m,) names each item's group. Block a * groups + b holds user
    group a and item group b and begins at ``block_start[a * groups + b]``.
    """
    n_user_groups = len(user_start) - 1
    for a in prange(n_user_groups):
        first, last = indptr[user_start[a]], indptr[user_start[a + 1]]
        sizes = np.zeros(groups + 1, np.int64)
        for at in range(first, last):
            sizes[group_of[item[at]] + 1] += 1
        place = np.empty(groups, np.int64)
        total = first
        for b in range(groups):
            total += sizes[b]
            place[b] = total
            block_start[a * groups + b] = total
        for user in range(user_start[a], user_start[a + 1]):
            for at in range(indptr[user], indptr[user + 1]):
                b = group_of[item[at]]
                out_user[place[b]] = user
                out_item[place[b]] = item[at]
                place[b] += 1
    block_start[n_user_groups * groups] = len(item)


@kernel(fastmath=False)
def draw(state: np.uint64, members: I32, cumulative: F64, seen: I32, mark: int) -> int:
    """Draw one of `members` (g,) that is not marked in `seen` (m,); at least one of them is not.

    `cumulative` (g,) holds running sums of weights, or is empty where all weigh the same.
    """
    size = len(members)
    place = 0
    for attempt in range(PATIENCE):
        word = mix(state + np.uint64(attempt + 1) * GOLDEN)
        share = share_of(word)
        if len(cumulative):
            low, high = 0, size - 1
            wanted = share * cumulative[size - 1]
            while low < high:
                middle = (low + high) // 2
                if cumulative[middle] > wanted:
                    high = middle
                else:
                    low = middle + 1
            place = low
        else:
            place = min(int(share * size), size - 1)
        if seen[members[place]] != mark:
            return members[place]
    while seen[members[place]] == mark:
        place = (place + 1) % size
    return members[place]


@kernel()
def step(
    w: F32,
    positive: F32,
    negative: F32,
    bias: F32,
    i: int,
    j: int,
    rate: float,
    regs: F32,
    biased: bool,
) -> float:
    """Move one triple up the gradient of ln sigma(x_uij) - lambda |Theta|^2; return -ln sigma(x_uij).

    x_uij = b_i - b_j + w_u . (h_i - h_j); w (d,) is w_u, positive (d,) h_i, negative (d,) h_j. All
    move from the old values (Rendle et al. 2009, Fig. 4 with the sign of the penalty put right).
    `regs` (4,): user, observed item, unobserved item, bias.
    """
    d = len(w)
    margin = bias[i] - bias[j] + dot_difference(w, positive, negative)
    pull = np.float32(rate) / (np.float32(1.0) + np.exp(margin))
    keep_user = np.float32(1.0 - rate * regs[0])
    keep_positive = np.float32(1.0 - rate * regs[1])
    keep_negative = np.float32(1.0 - rate * regs[2])
    for f in range(d):
        old, h_i, h_j = w[f], positive[f], negative[f]
        w[f] = keep_user * old + pull * (h_i - h_j)
        positive[f] = keep_positive * h_i + pull * old
        negative[f] = keep_negative * h_j - pull * old
    if biased:
        keep = np.float32(1.0 - rate * regs[3])
        bias[i] = keep * bias[i] + pull
        bias[j] = keep * bias[j] - pull
    return max(-margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))


@kernel(parallel=True)
def bpr_epoch(
    block_start: I64,
    user: I32,
    item: I32,
    shifts: I64,
    members: I32,
    member_start: I64,
    cumulative: F64,
    seed: int,
    w: F32,
    h: F32,
    bias: F32,
    rate: float,
    regs: F32,
    biased: bool,
    seen: I32,
    loss: F64,
) -> None:
    """Pass once over all pairs: stratum by stratum, the blocks of a stratum in parallel.

    Stratum s pairs user group a with item group (a + shifts[s]) mod groups; `shifts` (groups,) is a
    permutation. `members` (m,) lists the items group by group, `member_start` (groups + 1,) where each
    group begins, `cumulative` (m,) their running weights inside the group or nothing. w (n, d),
    h (m, d), bias (m,). `seen` (groups, m) starts at -1 and is kept from epoch to epoch: it remembers
    who took an item last, in each user group. `loss` (groups,) receives the sum of -ln sigma(x_uij) of each user group.
    """
    groups = len(shifts)
    loss[:] = 0.0
    for s in range(groups):
        for a in prange(groups):
            b = (a + shifts[s]) % groups
            block = a * groups + b
            first, last = block_start[block], block_start[block + 1]
            inside = members[member_start[b] : member_start[b + 1]]
            weights = cumulative[member_start[b] : member_start[b + 1]]
            begin = stream(seed, block)
            taken = seen[a]
            total = 0.0
            start = first
            while start < last:
                u = int(user[start])
                stop = start
                while stop < last and user[stop] == u:
                    taken[item[stop]] = u
                    stop += 1
                if stop - start < len(inside):
                    for at in range(start, stop):
                        i = item[at]
                        state = mix(begin + np.uint64(at - first + 1) * GOLDEN)
                        j = draw(state, inside, weights, taken, u)
                        total += step(w[u], h[i], h[j], bias, i, j, rate, regs, biased)
                start = stop
            loss[a] += total


@kernel(parallel=True)
def bpr_fold_in(
    indptr: I64,
    item: I32,
    members: I32,
    cumulative: F64,
    h: F32,
    bias: F32,
    epochs: int,
    rate: float,
    reg: float,
    out: F32,
) -> None:
    """Fill `out` (n, d) with vectors of new users: the same ascent over the user alone, h and bias kept.

    Starts at zero and returns the average over the later half of the steps. The draws depend on the
    place in the history only, so that people with equal histories get equal vectors.
    """
    m, d = h.shape
    for row in prange(len(out)):
        first, last = indptr[row], indptr[row + 1]
        seen = np.full(m, -1, np.int32)
        marked = 0
        for at in range(first, last):
            if seen[item[at]] != 0:
                marked += 1
            seen[item[at]] = 0
        w = np.zeros(d, np.float32)
        average = np.zeros(d, np.float32)
        steps = (last - first) * epochs
        keep = np.float32(1.0 - rate * reg)
        if marked < m:
            taken = 0
            for epoch in range(epochs):
                for at in range(first, last):
                    i = item[at]
                    place = np.uint64((at - first) * epochs + epoch + 1)
                    j = draw(mix(place * GOLDEN), members, cumulative, seen, 0)
                    margin = bias[i] - bias[j] + dot_difference(w, h[i], h[j])
                    pull = np.float32(rate) / (np.float32(1.0) + np.exp(margin))
                    for f in range(d):
                        w[f] = keep * w[f] + pull * (h[i, f] - h[j, f])
                    if 2 * taken >= steps:
                        for f in range(d):
                            average[f] += w[f]
                    taken += 1
        count = max(steps - (steps + 1) // 2, 1)
        for f in range(d):
            out[row, f] = average[f] / count
