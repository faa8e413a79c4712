"""Vectors of new documents: the ascent of PV-DM or PV-DBOW over the document alone, words kept.

Le & Mikolov (2014), section 2.2. The draws for an occurrence depend on its token and on how many of the same
came before it, so that equal documents get equal vectors, and one event more or less leaves the draws of the others.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, stream
from twofold.kernels._rows import add_part
from twofold.kernels.cbow import mean_of_window
from twofold.kernels.noise import draw_token
from twofold.kernels.skip_gram import pulls_of, score_rows
from twofold.typing import F32, I32, I64


@kernel(parallel=True)
def infer_documents(
    indptr: I64,
    token: I32,
    nth: I32,
    weight: F32,
    window: int,
    members: I32,
    accept: F32,
    other: I32,
    negatives: int,
    epochs: int,
    longest: int,
    rates: F32,
    x: F32,
    y: F32,
    out: F32,
) -> None:
    """Fill `out` (n, d), zero before, with the vectors of documents ``token[indptr[r]:indptr[r + 1]]``.

    `nth` counts the earlier occurrences of a token in its document, and `weight` (m,) scales the steps
    of a token. With a `window` the mean of the document and a window predicts the token (PV-DM), with 0
    the document alone does (PV-DBOW). `rates` (2,): the rate falls from the first to the second over
    `epochs` passes, fewer over a document of more than `longest` tokens, so that its steps are no
    more than theirs, and at least one. `members`, `accept` and `other` are those of `noise.fill_alias` with one group.
    """
    n = negatives + 1
    wide = -(-n // 8) * 8
    width = x.shape[1]
    for row in prange(len(out)):
        rows = np.zeros(wide, np.int32)
        scores = np.zeros(wide, np.float32)
        h = np.zeros((1, width), np.float32)
        first, last = int(indptr[row]), int(indptr[row + 1])
        passes = max(epochs * min(last - first, longest) // max(last - first, 1), 1)
        steps = max((last - first) * passes, 1)
        for epoch in range(passes):
            for at in range(first, last):
                done = np.float32(epoch * (last - first) + at - first) / np.float32(steps)
                rate = rates[0] + (rates[1] - rates[0]) * done
                state = stream(token[at], nth[at] * epochs + epoch)
                low = high = at
                if window > 0:
                    reach = 1 + int(state & np.uint64(0xFFFFFF)) % window
                    low, high = max(at - reach, first), min(at + reach + 1, last)
                else:
                    high = at + 1
                part = mean_of_window(x, token, at, low, high, out, row, h, 0)
                rows[0] = token[at]
                for k in range(1, n):
                    state += GOLDEN
                    rows[k] = draw_token(state, members, accept, other, 0, len(members))
                score_rows(h, 0, y, rows, 0, n, scores)
                pulls_of(rows, 0, n, wide, rate * weight[token[at]], scores)
                for k in range(n):
                    add_part(y, rows[k], scores[k] * part, out, row, 0, width)
