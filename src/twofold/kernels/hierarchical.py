"""Hierarchical softmax: Huffman codes, and ascent along the paths of the observed tokens.

Morin & Bengio (2005) with the tree of Mikolov, Sutskever, Chen, Corrado & Dean (2013), Eq. 3. Every path
begins at the root, so that no two steps are apart: one thread does them in the order of the log.
"""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel
from twofold.kernels._rows import Number, add_part, slopes
from twofold.kernels.cbow import mean_of_window
from twofold.kernels.skip_gram import pull_rows, score_rows
from twofold.typing import F32, I32, I64, U8


@kernel(fastmath=False)
def join_rarest(count: I64, parent: I64, bit: U8) -> None:
    """Build Huffman's tree over leaves of ascending `count` (n,), n >= 2: `parent` and `bit` (2 n - 1,).

    Leaves come first, then the n - 1 inner nodes in the order in which they are made, the root last. Of
    two that are joined the rarer gets bit 0; of equals a leaf goes before an inner node.
    """
    n = len(count)
    weight = np.empty(2 * n - 1, np.int64)
    weight[:n] = count
    leaf, inner = 0, n
    for made in range(n, 2 * n - 1):
        for side in range(2):
            if leaf < n and (inner >= made or weight[leaf] <= weight[inner]):
                taken = leaf
                leaf += 1
            else:
                taken = inner
                inner += 1
            parent[taken] = made
            bit[taken] = side
            if side == 0:
                weight[made] = weight[taken]
            else:
                weight[made] += weight[taken]
    parent[2 * n - 2] = -1


@kernel(fastmath=False)
def fill_paths(parent: I64, bit: U8, leaf: I64, start: I64, node: I32, code: U8) -> None:
    """Write the way from the root to each token: inner nodes from 0, and the bit taken at each.

    `leaf` (m,) is the leaf of a token, -1 for none; token w owns node[start[w]:start[w + 1]].
    """
    n = (len(parent) + 1) // 2
    for w in range(len(leaf)):
        at = leaf[w]
        for place in range(start[w + 1] - 1, start[w] - 1, -1):
            code[place] = bit[at]
            at = parent[at]
            node[place] = at - n


@kernel()
def follow(
    x: F32, i: int, y: F32, node: I32, code: U8, first: int, last: int, rate: Number, scores: F32,
    e: F32,
) -> None:  # fmt: skip
    """Move the nodes of a path, and fill e[0] with the gradient of x[i] times `rate`.

    The objective is sum_k ln sigma((1 - 2 code_k) x_i . y_k) over the path.
    """
    n = last - first
    score_rows(x, i, y, node[first:last], 0, n, scores)
    slopes(scores, 0, -(-n // 8) * 8, rate)
    for k in range(n):
        if code[first + k] == 0:
            scores[k] += rate
    pull_rows(x, i, y, node[first:last], 0, n, scores, e, 0)


@kernel()
def hierarchical_chunk(
    kept: I32,
    low: I32,
    high: I32,
    start: I64,
    node: I32,
    code: U8,
    mean: bool,
    rates: F32,
    x: F32,
    y: F32,
) -> None:
    """Pass once over the places of a chunk, in order, the rate falling from rates[0] to rates[1].

    `start`, `node` and `code` are those of `fill_paths`. With `mean` the mean of the window predicts the
    token in its middle, otherwise each token of the window does. x (m, d) and y (nodes, d) have padded rows.
    """
    width = x.shape[1]
    longest = 0
    for w in range(len(start) - 1):
        longest = max(longest, start[w + 1] - start[w])
    scores = np.zeros(longest + 8, np.float32)
    h, e = np.zeros((1, width), np.float32), np.zeros((1, width), np.float32)
    for at in range(len(kept)):
        share = np.float32(at) / np.float32(len(kept))
        rate = rates[0] + (rates[1] - rates[0]) * share
        first, last = int(start[kept[at]]), int(start[kept[at] + 1])
        if mean:
            part = mean_of_window(x, kept, at, int(low[at]), int(high[at]), x, -1, h, 0)
            if part > 0.0:
                follow(h, 0, y, node, code, first, last, rate, scores, e)
                for near in range(low[at], high[at]):
                    if near != at:
                        add_part(e, 0, part, x, kept[near], 0, width)
        else:
            for near in range(low[at], high[at]):
                if near != at:
                    follow(x, kept[near], y, node, code, first, last, rate, scores, e)
                    add_part(e, 0, np.float32(1.0), x, kept[near], 0, width)
