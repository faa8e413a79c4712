"""The best items of a few queries, exactly, by a pass over vectors of 8 bits that rules out almost all items."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twofold.kernels._bytes import byte_product
from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels.top_k import ROUNDING, insert, passing_of
from twofold.typing import F32, I32, I64, U8

I8: TypeAlias = NDArray[np.int8]
RUN = 256
"""Items that are looked at together: their codes stay in the first cache while the queries pass."""


@kernel(fastmath=False)
def code_row(vector: F32, codes: NDArray[Any]) -> tuple[float, float, float]:
    """Write a vector (d,) as whole numbers of -127 ... 127; return the step, what is lost, and the length.

    vector = step * codes + rest; what is lost is the length of the rest. `codes` may be longer, its end is left; or
    shorter: what it has no room for is neither coded nor lost, but counts for the length.
    """
    head = min(len(vector), len(codes))
    largest = np.float32(0)
    for value in vector[:head]:
        largest = max(largest, abs(value))
    step = np.float64(largest) / 127.0
    lost = 0.0
    length = 0.0
    for at in range(len(vector)):
        value = np.float64(vector[at])
        length += value * value
        if at < head:
            whole = np.rint(value / step) if step > 0 else 0.0
            codes[at] = whole
            lost += (value - step * whole) ** 2
    return step, np.sqrt(lost), np.sqrt(length)


@kernel(fastmath=False)
def code_rows(
    vectors: F32, order: I32, codes: I8, tails: F32, steps: F32, losts: F32, lengths: F32
) -> None:
    """Fill `codes` (c, w), `tails`, `steps`, `losts` and `lengths` (c,) with the rows of `vectors` (m, d) in `order` (c,).

    w is a multiple of ``BYTES``; where it is larger than d the end of each row of codes stays as it is, where it is
    smaller the numbers past it become a row each of `tails` (d - w, c).
    """
    width = codes.shape[1]
    for at in range(len(order)):
        vector = vectors[order[at]]
        step, lost, length = code_row(vector, codes[at])
        steps[at] = step
        losts[at] = lost
        lengths[at] = length
        for one in range(len(tails)):
            tails[one, at] = vector[width + one]


@kernel()
def _bound(
    whole: I32,
    steps: F32,
    losts: F32,
    lengths: F32,
    scale: float,
    of_lost: float,
    of_length: float,
    most: F32,
) -> None:
    """Fill `most` with what the products of a run of items are at most, but for their tails; all arrays (c,)."""
    for at in range(len(most)):
        most[at] = (
            scale * steps[at] * np.float32(whole[at])
            + of_lost * losts[at]
            + of_length * lengths[at]
        )


@kernel()
def _add_tail(tail: F32, factor: float, most: F32) -> None:
    """Add what one number past the codes contributes; both arrays (c,)."""
    for at in range(len(most)):
        most[at] += factor * tail[at]


@kernel(fastmath=False)
def top_k_coded(
    vectors: F32,
    item_vectors: F32,
    order: I32,
    codes: I8,
    tails: F32,
    steps: F32,
    losts: F32,
    lengths: F32,
    indptr: I64,
    hidden: I32,
    marks: U8,
    items: I32,
    best: F32,
) -> int:
    """Fill `items` and `best` (n, k) with the largest products of `vectors` (n, d) with items (m, d).

    An item is at most as good as its product of codes and what the codes may have lost; only
    where that reaches the worst item that is kept, the product itself is made. The items come by falling length,
    so that a query is done when no product can reach its list any more.

    Parameters
    ----------
    vectors : shape (n, d)
        The queries.
    item_vectors : shape (m, d)
        The items.
    order, codes, tails, steps, losts, lengths
        What `code_rows` made of the c items that may be listed, by falling length.
    indptr, hidden : shapes (n + 1,), (nnz,)
        Items to leave out for each query.
    marks : shape (m,)
        Zeros; room to mark what is left out.
    items, best : shape (n, k)
        Item -1 and -inf on entry; the answer, best first, ties to the lower item.

    Returns
    -------
    int
        How many products were made.
    """
    n, d = vectors.shape
    k = items.shape[1]
    width = codes.shape[1]
    made = 0
    queries = np.zeros((n, width), np.int16)
    scale = np.empty(n, np.float32)
    of_lost = np.empty(n, np.float32)
    of_length = np.empty(n, np.float32)
    reach = np.empty(n, np.float32)
    bar = np.full(n, -np.inf, np.float32)
    filled = np.zeros(n, np.int64)
    done = np.zeros(n, np.bool_)
    slack = ROUNDING * (d + 8)
    up = 1.0 + 1e-6
    for u in range(n):
        step, lost, length = code_row(vectors[u], queries[u])
        scale[u] = step
        of_lost[u] = (length + lost) * up
        reach[u] = length * (1.0 + slack)
        of_length[u] = (lost + slack * length) * up
    whole = np.empty(RUN, np.int32)
    most = np.empty(RUN, np.float32)
    left = n
    for start in range(0, len(order), RUN):
        count = min(RUN, len(order) - start)
        for u in range(n):
            if done[u]:
                continue
            if reach[u] * lengths[start] < bar[u]:
                done[u] = True
                left -= 1
                continue
            for at in range(count):
                whole[at] = byte_product(codes, start + at, queries[u])
            stop = start + count
            _bound(
                whole[:count],
                steps[start:stop],
                losts[start:stop],
                lengths[start:stop],
                scale[u],
                of_lost[u],
                of_length[u],
                most[:count],
            )
            for one in range(len(tails)):
                _add_tail(tails[one, start:stop], vectors[u, width + one], most[:count])
            if passing_of(most[:count], bar[u]) == 0:
                continue
            for at in range(indptr[u], indptr[u + 1]):
                marks[hidden[at]] = 1
            for at in range(count):
                if most[at] >= bar[u]:
                    item = order[start + at]
                    if marks[item]:
                        continue
                    made += 1
                    score = dot(vectors[u], item_vectors[item])
                    better = score > bar[u] or (score == bar[u] and item < items[u, k - 1])
                    if filled[u] < k or better:
                        filled[u] = insert(items[u], best[u], filled[u], item, score)
                        if filled[u] == k:
                            bar[u] = best[u, k - 1]
            for at in range(indptr[u], indptr[u + 1]):
                marks[hidden[at]] = 0
        if left == 0:
            break
    return made
