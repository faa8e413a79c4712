"""Samplers of negatives: ids and ln Q of each, drawn with replacement from a stated distribution.

A sampler is frozen and holds its distribution on a device; the generator is an argument. The ids are the rows of the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twofold.errors import ConfigError, DataError


class Drawn(NamedTuple):
    """Ids, and the logarithm of the probability with which each is drawn."""

    ids: Tensor  # shape as asked, int64
    log_q: Tensor  # the same shape, float32


class Sampler(Protocol):
    """What every sampler does."""

    def draw(self, shape: Sequence[int], rng: torch.Generator) -> Drawn:
        """Draw ids of the given shape, independently and with replacement."""
        ...

    def log_q(self, ids: Tensor) -> Tensor:
        """Return ln Q of `ids`, float32, the same shape."""
        ...


@dataclass(frozen=True, eq=False)
class UniformSampler:
    """Every one of `n` ids is as likely."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"a sampler needs at least one id, got {self.n}")

    def draw(self, shape: Sequence[int], rng: torch.Generator) -> Drawn:
        """Draw ids of the given shape."""
        ids = torch.randint(self.n, tuple(shape), generator=rng, device=rng.device)
        return Drawn(ids, self.log_q(ids))

    def log_q(self, ids: Tensor) -> Tensor:
        """Return -ln n, the shape of `ids`."""
        return torch.full(ids.shape, -math.log(self.n), device=ids.device)


@dataclass(frozen=True, eq=False)
class PopularitySampler:
    """Ids are drawn in proportion to given weights: counts to a power, or Zipf's law over their ranks.

    Example
    -------
    >>> sampler = PopularitySampler.of(np.array([8, 1, 1]), exponent=1.0)
    >>> sampler.log_q(torch.tensor([0, 1])).exp()
    tensor([0.8000, 0.1000])
    """

    cumulative: Tensor  # (n,) float64, the last is 1
    log_probability: Tensor  # (n,) float32

    @classmethod
    def of(
        cls,
        counts: NDArray[np.number],
        *,
        exponent: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> PopularitySampler:
        """Q(i) = counts_i^exponent / sum; an id that was never counted is never drawn.

        With exponent 0 all ids are as likely, counted or not.

        Parameters
        ----------
        counts : shape (n,)
            >= 0 and finite.
        exponent
            0 to 2; word2vec uses 0.75.
        device
            Where ids are drawn; that of the generator.

        Raises
        ------
        DataError
            If a count is negative or not finite, or all are zero.
        ConfigError
            If `exponent` is outside [0, 2].
        """
        if not 0 <= exponent <= 2:
            raise ConfigError(f"exponent got {exponent}; allowed: 0 <= exponent <= 2")
        found = np.asarray(counts, np.float64)
        if not len(found) or not np.isfinite(found).all() or found.min() < 0 or not found.any():
            raise DataError("counts must be finite and >= 0, and at least one above 0")
        return cls.weighted(found**exponent, device)

    @classmethod
    def log_uniform(
        cls, counts: NDArray[np.number], *, device: torch.device | str = "cpu"
    ) -> PopularitySampler:
        """Q(i) = ln((k + 2) / (k + 1)) / ln(n + 1), k = 0 ... n - 1 the rank of i by falling count.

        The log-uniform (Zipf) candidate sampler; equal counts rank by id. Every id can be drawn.

        Raises
        ------
        DataError
            If `counts` is empty.
        """
        if not len(counts):
            raise DataError("counts must not be empty")
        rank = np.empty(len(counts), np.int64)
        rank[np.argsort(-np.asarray(counts, np.float64), kind="stable")] = np.arange(len(counts))
        return cls.weighted(np.log((rank + 2) / (rank + 1)), device)

    @classmethod
    def weighted(
        cls, weights: NDArray[np.float64], device: torch.device | str
    ) -> PopularitySampler:
        """Q(i) = weights_i / sum."""
        total = np.cumsum(weights)
        log_probability = np.full(len(weights), -np.inf)
        np.log(weights / total[-1], out=log_probability, where=weights > 0)
        return cls(
            torch.as_tensor(total / total[-1], device=device),
            torch.as_tensor(log_probability.astype(np.float32), device=device),
        )

    def draw(self, shape: Sequence[int], rng: torch.Generator) -> Drawn:
        """Draw ids of the given shape, by bisection of the running sums."""
        at = torch.rand(tuple(shape), dtype=torch.float64, generator=rng, device=rng.device)
        ids = torch.searchsorted(self.cumulative, at, right=True)
        return Drawn(ids, self.log_probability[ids])

    def draw_distinct(self, n: int, rng: torch.Generator) -> Drawn:
        """Draw n ids; return the distinct ones, ascending, with ln Q less ln of how often each was drawn.

        A sum of e^(score - ln Q) over the draws is that over the distinct ones, of which there are fewer.
        """
        ids, times = torch.unique(self.draw((n,), rng).ids, return_counts=True)
        return Drawn(ids, self.log_probability[ids] - times.log())

    def log_q(self, ids: Tensor) -> Tensor:
        """Return ln Q of `ids`."""
        return self.log_probability[ids]


def in_batch(positive: Tensor, sampler: Sampler) -> Drawn:
    """Return the positives of a batch (B,) as its shared negatives.

    An item is there in proportion to its number of training examples: `sampler` is
    ``PopularitySampler.of(counts)`` of these. Use with `twofold.nn.losses.accidental_hits`.
    """
    return Drawn(positive.long(), sampler.log_q(positive.long()))
