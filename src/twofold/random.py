"""Randomness is an argument: one function turns it into a generator, one into kernel seeds."""

from __future__ import annotations

import numpy as np

from twofold.errors import ConfigError
from twofold.typing import Rng


def generator(rng: Rng) -> np.random.Generator:
    """Return the generator that `rng` means: itself, a seeded one, or a fresh one for ``None``.

    Raises
    ------
    ConfigError
        If a seed is negative or not an integer.

    Example
    -------
    >>> float(generator(0).random()) == float(generator(0).random())
    True
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, int | np.integer)):
        raise ConfigError(f"rng must be a Generator, an integer >= 0 or None; got {rng!r}")
    if rng is not None and rng < 0:
        raise ConfigError(f"rng must be an integer >= 0; got {rng}")
    return np.random.default_rng(rng)


def kernel_seed(rng: np.random.Generator) -> int:
    """Draw one seed for a compiled kernel, in 1 ... 2^31 - 1."""
    return int(rng.integers(1, 2**31 - 1))


def seed_of(rng: Rng) -> int:
    """Return the seed of several trainings: `rng` itself where it is one, so that each of them is what ``fit(rng=seed)`` makes.

    Example
    -------
    >>> seed_of(7)
    7
    """
    drawn = generator(rng)
    return int(rng) if isinstance(rng, int | np.integer) else int(drawn.integers(2**31))
