"""Sequences of tokens made ready for a pass: frequent tokens thinned out, and a window around each that is left."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix
from twofold.typing import F64, I32, I64


@kernel(fastmath=False)
def is_kept(word: np.uint64, keep: float) -> bool:
    """Say by the upper 40 bits of a random word whether an occurrence stays, with probability `keep`."""
    return bool(keep >= 1.0 or np.float64(word >> np.uint64(24)) * 2.0**-40 < keep)


@kernel(parallel=True, fastmath=False)
def count_kept(start: I64, token: I32, keep: F64, seed: int, cut: I64, counts: I64) -> None:
    """Fill `counts` (parts,) with the number of occurrences that stay.

    Sequence s is ``token[start[s]:start[s + 1]]``; part p holds the sequences cut[p] ... cut[p + 1] - 1;
    `keep` (m,) is the probability of each token to stay.
    """
    for part in prange(len(cut) - 1):
        total = 0
        for at in range(start[cut[part]], start[cut[part + 1]]):
            word = mix(np.uint64(seed) + np.uint64(at + 1) * GOLDEN)
            total += is_kept(word, float(keep[token[at]]))
        counts[part] = total


@kernel(parallel=True, fastmath=False)
def fill_windows(
    start: I64,
    token: I32,
    owner: I32,
    keep: F64,
    seed: int,
    cut: I64,
    offset: I64,
    window: int,
    dynamic: bool,
    kept: I32,
    low: I32,
    high: I32,
    document: I32,
) -> None:
    """Write what stays, and the window of each: places low ... high - 1 of `kept`, its own among them.

    `offset` (parts,) says where each part is written; `owner` names the document of each sequence. The
    window reaches up to `window` tokens to either side, or a random number in 1 ... `window`.
    """
    for part in prange(len(cut) - 1):
        place = offset[part]
        for s in range(cut[part], cut[part + 1]):
            first = place
            for at in range(start[s], start[s + 1]):
                word = mix(np.uint64(seed) + np.uint64(at + 1) * GOLDEN)
                if is_kept(word, float(keep[token[at]])):
                    kept[place] = token[at]
                    document[place] = owner[s]
                    reach = window
                    if dynamic:
                        reach = 1 + np.int64(word & np.uint64(0xFFFFFF)) % window
                    low[place] = max(place - reach, first)
                    high[place] = place + reach + 1
                    place += 1
            for at in range(first, place):
                high[at] = min(high[at], place)


@kernel(parallel=True, fastmath=False)
def count_pairs(
    low: I32,
    high: I32,
    kept: I32,
    document: I32,
    by_document: bool,
    source_group: I32,
    target_group: I32,
    cut: I64,
    sizes: I64,
) -> None:
    """Count the pairs of each part and block, `sizes` (parts, groups * groups).

    A pair is (a token of the window, the token in its middle), or with `by_document` (document, token).
    Block a * groups + b holds the pairs whose source lies in group a and whose target in group b.
    """
    groups = int(np.sqrt(sizes.shape[1]))
    for part in prange(len(cut) - 1):
        sizes[part] = 0
        for at in range(cut[part], cut[part + 1]):
            b = target_group[kept[at]]
            if by_document:
                sizes[part, source_group[document[at]] * groups + b] += 1
            else:
                for near in range(low[at], high[at]):
                    if near != at:
                        sizes[part, source_group[kept[near]] * groups + b] += 1


@kernel(parallel=True, fastmath=False)
def place_pairs(
    low: I32,
    high: I32,
    kept: I32,
    document: I32,
    by_document: bool,
    source_group: I32,
    target_group: I32,
    cut: I64,
    place: I64,
    pairs: I32,
) -> None:
    """Write the pairs block by block into `pairs` (n, 2): source, target; see `count_pairs`.

    `place` (parts, groups * groups) says where each part writes in each block, and is moved on.
    """
    groups = int(np.sqrt(place.shape[1]))
    for part in prange(len(cut) - 1):
        for at in range(cut[part], cut[part + 1]):
            target = kept[at]
            b = target_group[target]
            if by_document:
                block = source_group[document[at]] * groups + b
                pairs[place[part, block], 0] = document[at]
                pairs[place[part, block], 1] = target
                place[part, block] += 1
            else:
                for near in range(low[at], high[at]):
                    if near != at:
                        block = source_group[kept[near]] * groups + b
                        pairs[place[part, block], 0] = kept[near]
                        pairs[place[part, block], 1] = target
                        place[part, block] += 1
