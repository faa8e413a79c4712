"""Random streams of kernels: splitmix64 on a counter, so that a number depends on its seed and place alone.

Word t of stream n of a seed is ``mix(stream(seed, n) + (t + 1) * GOLDEN)``, whatever the thread that asks.
"""

from __future__ import annotations

import numpy as np

from twofold.kernels._jit import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""Step of the splitmix64 counter."""


@kernel(fastmath=False)
def mix(state: np.uint64) -> np.uint64:
    """Scramble 64 bits: the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel(fastmath=False)
def stream(seed: int, number: int) -> np.uint64:
    """Return where stream `number` >= 0 of a seed begins."""
    return mix(mix(np.uint64(seed) + GOLDEN) + (np.uint64(number) + np.uint64(1)) * GOLDEN)


@kernel(fastmath=False)
def share_of(word: np.uint64) -> float:
    """Return a word as a number in [0, 1)."""
    return np.float64(word >> np.uint64(11)) * 2.0**-53


@kernel(fastmath=False)
def positive_share_of(word: np.uint64) -> float:
    """Return a word as a number in (0, 1]."""
    return (np.float64(word >> np.uint64(11)) + 1.0) * 2.0**-53
