"""Stochastic gradient ascent on the hierarchical representation model, one target item at a time.

The steps of an epoch run one after the other, in the order that is given: each reads and moves the vectors
of a whole basket, so that no two can be told to be independent beforehand. The same for every thread count.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, share_of, stream
from twofold.typing import F32, F64, I32, I64

AVERAGE, MAXIMUM, USER, BASKET, CONCATENATE = range(5)
"""Codes of the aggregations."""


@kernel(fastmath=False)
def pool(rows: I32, vectors: F32, how: int, out: F32, chosen: I64) -> None:
    """Aggregate the vectors (m, d) of `rows` (r,), r >= 1, into `out` (d,): their average or maximum.

    `chosen` (d,) receives the place in `rows` from which each maximum came, the first of equals.
    """
    for f in range(len(out)):
        out[f] = vectors[rows[0], f]
        chosen[f] = 0
    for at in range(1, len(rows)):
        one = vectors[rows[at]]
        if how == AVERAGE:
            for f in range(len(out)):
                out[f] += one[f]
        else:
            for f in range(len(out)):
                more = one[f] > out[f]
                out[f] = one[f] if more else out[f]
                chosen[f] = at if more else chosen[f]
    if how == AVERAGE:
        for f in range(len(out)):
            out[f] /= np.float32(len(rows))


@kernel(fastmath=False)
def combine(user: F32, basket: F32, empty: bool, how: int, out: F32) -> None:
    """Aggregate a user (d,) and the pooled basket (d,) into `out` (d,), or (2 d,) side by side.

    Without a basket the user stands alone; where only the basket counts that is zero.
    """
    d = len(user)
    for f in range(d):
        if how == CONCATENATE:
            out[f] = user[f]
            out[d + f] = np.float32(0.0) if empty else basket[f]
        elif how == BASKET:
            out[f] = np.float32(0.0) if empty else basket[f]
        elif how == USER or empty:
            out[f] = user[f]
        elif how == AVERAGE:
            out[f] = np.float32(0.5) * (user[f] + basket[f])
        else:
            out[f] = max(user[f], basket[f])


@kernel(fastmath=False)
def hrm_step(
    u: int,
    target: int,
    basket: I32,
    negatives: I32,
    mask: F32,
    users: F32,
    sources: F32,
    targets: F32,
    first: int,
    second: int,
    pairwise: bool,
    rate: float,
    reg: float,
    pooled: F32,
    hybrid: F32,
    pull: F32,
    chosen: I64,
) -> float:
    """Move the vectors of one target item up the gradient; return what is minimised, without the penalty.

    With h the hybrid of user `u` and `basket` (b,), times `mask` (D,):  -ln s(v_i . h) - sum_j ln s(-v_j . h)
    over `negatives` (k,), or -sum_j ln s((v_i - v_j) . h) where `pairwise`. users (n, d), sources (m, d) the
    items as they were bought, targets (m, D) the items as they are predicted; sources and targets may be one
    array. Every vector that is read is also shrunk by `rate` * `reg`. pooled (d,), hybrid and pull (D,),
    chosen (d,) are working space.
    """
    empty = len(basket) == 0
    d = len(pooled)
    if not empty:
        pool(basket, sources, first, pooled, chosen)
    combine(users[u], pooled, empty, second, hybrid)
    for f in range(len(hybrid)):
        hybrid[f] *= mask[f]
        pull[f] = 0.0
    step, keep = np.float32(rate), np.float32(1.0 - rate * reg)
    loss = 0.0
    positive = targets[target]
    if not pairwise:
        margin = dot(positive, hybrid)
        g = step / (np.float32(1.0) + np.exp(margin))
        loss += max(-margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))
        for f in range(len(hybrid)):
            pull[f] += g * positive[f]
            positive[f] = keep * positive[f] + g * hybrid[f]
    for at in range(len(negatives)):
        other = targets[negatives[at]]
        margin = dot(other, hybrid)
        if pairwise:
            margin -= dot(positive, hybrid)
        g = step / (np.float32(1.0) + np.exp(-margin))
        loss += max(margin, np.float32(0.0)) + np.log1p(np.exp(-abs(margin)))
        if pairwise:
            for f in range(len(hybrid)):
                pull[f] += g * (positive[f] - other[f])
                positive[f] = keep * positive[f] + g * hybrid[f]
                other[f] = keep * other[f] - g * hybrid[f]
        else:
            for f in range(len(hybrid)):
                pull[f] -= g * other[f]
                other[f] = keep * other[f] - g * hybrid[f]
    for f in range(len(hybrid)):
        pull[f] *= mask[f]
    own = users[u]
    for f in range(d):
        if second == BASKET:
            to_user, to_basket = np.float32(0.0), pull[f]
        elif second == CONCATENATE:
            to_user, to_basket = pull[f], pull[d + f]
        elif second == USER or empty:
            to_user, to_basket = pull[f], np.float32(0.0)
        elif second == AVERAGE:
            to_user = to_basket = np.float32(0.5) * pull[f]
        elif own[f] >= pooled[f]:
            to_user, to_basket = pull[f], np.float32(0.0)
        else:
            to_user, to_basket = np.float32(0.0), pull[f]
        if second != BASKET:
            own[f] = keep * own[f] + to_user
        if empty or second == USER:
            continue
        if first == AVERAGE:
            share = to_basket / np.float32(len(basket))
            for at in range(len(basket)):
                sources[basket[at], f] = keep * sources[basket[at], f] + share
        else:
            row = basket[chosen[f]]
            sources[row, f] = keep * sources[row, f] + to_basket
    return loss


@kernel(fastmath=False)
def shelves(cumulative: F64) -> I64:
    """Return about which row the draws of each m-th part of [0, 1) begin, shape (m,); see `draw`."""
    m = len(cumulative)
    first = np.zeros(m, np.int64)
    row = 0
    for part in range(m):
        while cumulative[row] <= cumulative[-1] * (part / m):
            row += 1
        first[part] = row
    return first


@kernel(fastmath=False)
def draw(state: np.uint64, cumulative: F64, first: I64) -> int:
    """Draw a row in proportion to the weights > 0 whose running sums are `cumulative` (m,).

    The first row whose sum is above a share of all, looked for from where `first` (m,) says, in O(1) on average.
    """
    share = share_of(mix(state))
    wanted = share * cumulative[-1]
    row = first[int(share * len(first))]
    while row > 0 and cumulative[row - 1] > wanted:
        row -= 1
    while row + 1 < len(cumulative) and cumulative[row] <= wanted:
        row += 1
    return row


@kernel(fastmath=False)
def hrm_epoch(
    order: I64,
    user: I32,
    item: I32,
    start: I64,
    stop: I64,
    basket: I32,
    cumulative: F64,
    seed: int,
    users: F32,
    sources: F32,
    targets: F32,
    first: int,
    second: int,
    pairwise: bool,
    n_negatives: int,
    rates: F64,
    reg: float,
    dropout: float,
) -> float:
    """Take one step for each target in `order` (n,); return the mean of what is minimised.

    Target e is ``item[e]`` of ``user[e]``, who bought ``basket[start[e]:stop[e]]`` before. Negatives are drawn
    by `cumulative` (m,); one that is the target is drawn again. `rates` (2,) are the steps at the beginning and
    the end. A unit of the hybrid is zero with the chance `dropout`, and else divided by what is left.
    """
    m, d = sources.shape
    width = targets.shape[1]
    pooled, chosen = np.zeros(d, np.float32), np.zeros(d, np.int64)
    hybrid, pull = np.zeros(width, np.float32), np.zeros(width, np.float32)
    mask = np.ones(width, np.float32)
    negatives = np.zeros(n_negatives, np.int32)
    kept = np.float32(1.0 / (1.0 - dropout))
    first_row = shelves(cumulative)
    total = 0.0
    for at in range(len(order)):
        e = order[at]
        state = stream(seed, at)
        count = 0
        while count < n_negatives and m > 1:
            state += GOLDEN
            j = draw(state, cumulative, first_row)
            if j != item[e]:
                negatives[count] = j
                count += 1
        if dropout > 0:
            for f in range(width):
                state += GOLDEN
                share = share_of(mix(state))
                mask[f] = kept if share >= dropout else np.float32(0.0)
        rate = rates[0] + (rates[1] - rates[0]) * at / len(order)
        total += hrm_step(
            int(user[e]), int(item[e]), basket[start[e] : stop[e]], negatives[:count], mask, users, sources, targets,
            first, second, pairwise, rate, reg, pooled, hybrid, pull, chosen,
        )  # fmt: skip
    return total / max(len(order), 1)


@kernel(parallel=True, fastmath=False)
def hrm_fold_in(
    indptr: I64,
    item: I32,
    start: I64,
    stop: I64,
    basket: I32,
    cumulative: F64,
    sources: F32,
    targets: F32,
    first: int,
    second: int,
    pairwise: bool,
    n_negatives: int,
    epochs: int,
    rate: float,
    reg: float,
    out: F32,
) -> None:
    """Move `out` (n, d), the vectors of new users, up the same gradient, the items kept.

    Person r has the targets indptr[r] ... indptr[r + 1] - 1, each with the basket before it. The step falls from
    `rate` to a hundredth. Draws depend on the place in the history only: equal histories get equal vectors.
    """
    m, d = sources.shape
    width = targets.shape[1]
    first_row = shelves(cumulative)
    for row in prange(len(out)):
        pooled, chosen = np.zeros(d, np.float32), np.zeros(d, np.int64)
        hybrid, pull = np.zeros(width, np.float32), np.zeros(width, np.float32)
        own = out[row]
        begin, end = indptr[row], indptr[row + 1]
        steps = (end - begin) * epochs
        for at in range(steps):
            e = begin + at % (end - begin)
            rows = basket[start[e] : stop[e]]
            if len(rows) > 0:
                pool(rows, sources, first, pooled, chosen)
            combine(own, pooled, len(rows) == 0, second, hybrid)
            step = np.float32(rate * (1.0 - 0.99 * at / steps))
            positive = targets[item[e]]
            margin = dot(positive, hybrid)
            g = np.float32(0.0) if pairwise else step / (np.float32(1.0) + np.exp(margin))
            for f in range(width):
                pull[f] = g * positive[f]
            count = 0
            state = mix(np.uint64(at + 1) * GOLDEN)
            while count < n_negatives and m > 1:
                state += GOLDEN
                j = draw(state, cumulative, first_row)
                if j == item[e]:
                    continue
                count += 1
                other = targets[j]
                below = dot(other, hybrid) - (margin if pairwise else np.float32(0.0))
                g = step / (np.float32(1.0) + np.exp(-below))
                for f in range(width):
                    pull[f] += g * ((positive[f] if pairwise else np.float32(0.0)) - other[f])
            keep = np.float32(1.0 - step * reg)
            for f in range(d):
                share = pull[f]
                if len(rows) > 0 and second == AVERAGE:
                    share = np.float32(0.5) * pull[f]
                elif len(rows) > 0 and second == MAXIMUM and own[f] < pooled[f]:
                    share = np.float32(0.0)
                own[f] = keep * own[f] + share


@kernel(fastmath=False)
def hybrids(
    own: F32, indptr: I64, item: I32, sources: F32, first: int, second: int, out: F32
) -> None:
    """Fill `out` (n, D) with the hybrids of people, own (n, d), and their last baskets, ragged rows of items."""
    d = sources.shape[1]
    pooled, chosen = np.zeros(d, np.float32), np.zeros(d, np.int64)
    for row in range(len(own)):
        rows = item[indptr[row] : indptr[row + 1]]
        if len(rows) > 0:
            pool(rows, sources, first, pooled, chosen)
        combine(own[row], pooled, len(rows) == 0, second, out[row])
