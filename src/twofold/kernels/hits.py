"""Which negatives of a batch are the row's own item."""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel
from twofold.typing import I64


@kernel()
def accidental_pairs(own: I64, asked: I64, head: I64) -> tuple[I64, I64]:
    """Return rows b and columns c with ``own[b] == asked[c]``, by c and then by falling b; shapes (n,).

    own (B,), asked (C,); `head` (n_items,) is -1 everywhere before and after.
    """
    following = np.empty(len(own), np.int64)
    for b in range(len(own)):
        following[b] = head[own[b]]
        head[own[b]] = b
    n = 0
    for c in range(len(asked)):
        b = head[asked[c]]
        while b >= 0:
            n += 1
            b = following[b]
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    n = 0
    for c in range(len(asked)):
        b = head[asked[c]]
        while b >= 0:
            rows[n], columns[n] = b, c
            n += 1
            b = following[b]
    for b in range(len(own)):
        head[own[b]] = -1
    return rows, columns
