"""Tokens dealt into random groups, and draws from a group in proportion to weights, by the alias method.

Walker (1977); the tables are filled as Vose (1991) does. A draw costs one random word.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.kernels._random import mix
from twofold.typing import F32, F64, I32, I64


@kernel(parallel=True, fastmath=False)
def fill_alias(weight: F64, members: I32, start: I64, accept: F32, other: I32) -> None:
    """Fill the tables of every group.

    `weight` (m,) > 0 of each token; `members` (m,) lists the tokens group by group, `start` (groups + 1,)
    where each group begins. Place p of a group keeps ``members[p]`` with probability `accept` (m,) and
    stands for the token ``other[p]`` (m,) otherwise.
    """
    for g in prange(len(start) - 1):
        first, size = start[g], start[g + 1] - start[g]
        total = 0.0
        for p in range(first, first + size):
            total += weight[members[p]]
        scaled = np.empty(size)
        small, large = np.empty(size, np.int64), np.empty(size, np.int64)
        n_small = n_large = 0
        for p in range(size):
            scaled[p] = weight[members[first + p]] * size / total
            if scaled[p] < 1.0:
                small[n_small] = p
                n_small += 1
            else:
                large[n_large] = p
                n_large += 1
            accept[first + p] = 1.0
            other[first + p] = members[first + p]
        while n_small and n_large:
            n_small -= 1
            less, more = small[n_small], large[n_large - 1]
            accept[first + less] = scaled[less]
            other[first + less] = members[first + more]
            scaled[more] -= 1.0 - scaled[less]
            if scaled[more] < 1.0:
                n_large -= 1
                small[n_small] = more
                n_small += 1


@kernel(fastmath=False)
def draw_token(
    state: np.uint64, members: I32, accept: F32, other: I32, first: int, size: int
) -> int:
    """Draw a token of the group that begins at place `first` and has `size` >= 1 places."""
    word = mix(state)
    place = first + np.int64(((word >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))
    share = np.float32(word & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
    return members[place] if share < accept[place] else other[place]
