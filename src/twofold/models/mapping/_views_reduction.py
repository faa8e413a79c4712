"""How the many features of people become fewer.

Elkahky, Song & He (2015), "A Multi-View Deep Learning Approach for Cross Domain User Modeling in
Recommendation Systems", WWW, section 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, PositiveInt
from scipy.sparse import csr_array

from twofold.errors import DataError, need
from twofold.features.design import width_of
from twofold.hyperparameters import Search, hyperparameters
from twofold.typing import F32, I32, I64

STRIDE, STEP = 104_729, 7919
"""Steps between two bits of a feature, and between two features of a bit, in the pool of random numbers."""
SKETCH = 64
"""Numbers by which a feature is known when features are clustered."""
NOTHING = "nobody is known by what known_by names; add another of items, words and features to it"


@hyperparameters
class TopK:
    """Keep the features that most people have (section 6.1)."""

    kind: Literal["top-k"] = "top-k"
    """The tag in files."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Share of the people who must have a feature."""
    most: PositiveInt = 50_000
    """Features that are kept at most."""


@hyperparameters
class KMeans:
    """Put features that the same people have into one cluster, and add them up (section 6.2)."""

    kind: Literal["k-means"] = "k-means"
    """The tag in files."""
    clusters: Annotated[PositiveInt, Search(100, 10_000, log=True)] = 1000
    """Clusters; never more than there are features."""


@hyperparameters
class LSH:
    """The signs of random projections, whose agreement tells the cosine of two people (section 6.3)."""

    kind: Literal["lsh"] = "lsh"
    """The tag in files."""
    bits: Annotated[PositiveInt, Search(200, 10_000, log=True)] = 2000
    """Projections."""
    pool: Annotated[int, Field(ge=10_000)] = 1_000_000
    """Normal numbers that all projections share."""


Reduction: TypeAlias = TopK | KMeans | LSH


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduced:
    """A reduction with what it learned: the new place of every feature, or the pool of numbers."""

    place: I32  # (W,) column of every feature, -1 = left out; (0,) for projections
    pool: F32  # (m,) numbers of the projections; (0,) otherwise
    width: int

    @property
    def signs(self) -> bool:
        """Whether rows become signs of projections."""
        return len(self.pool) > 0

    def sums(self, rows: csr_array) -> csr_array:
        """Return the sums of rows (n, W) over the features of each new column, (n, width)."""
        kept = self.place[rows.indices] >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
        shape = ((rows.shape or (0, 0))[0], self.width)
        made = csr_array((rows.data[kept], self.place[rows.indices[kept]], ends), shape=shape)
        made.sum_duplicates()
        return made

    def of(self, rows: csr_array) -> csr_array | F32:
        """Return rows (n, W) in the new columns, (n, width): sparse sums, or projections before their sign."""
        if not self.signs:
            return self.sums(rows)
        out = np.zeros(((rows.shape or (0, 0))[0], self.width), np.float32)
        bits = np.arange(self.width, dtype=np.int64) * STRIDE
        for first in range(0, width_of(rows), 1024):
            some = csr_array(rows[:, first : first + 1024])
            feature = np.arange(first, first + width_of(some), dtype=np.int64)
            directions = self.pool[(feature[:, None] * STEP + bits) % len(self.pool)]
            out += np.asarray(some @ directions, np.float32)
        return out


def learn_reduction(how: Reduction, people: csr_array, rng: np.random.Generator) -> Reduced:
    """Learn a reduction from the rows of people (n, W).

    Raises
    ------
    DataError
        If nobody has a feature that is kept.
    """
    holders = np.bincount(people.indices[people.data != 0], minlength=width_of(people))
    nothing = np.zeros(0, np.float32)
    match how:
        case TopK(share=share, most=most):
            least = max(1.0, share * (len(people.indptr) - 1))
            order = np.argsort(-holders, kind="stable")[:most]
            kept = np.sort(order[holders[order] >= least])
            if not len(kept):
                if holders.any():
                    raise DataError(
                        f"no feature is had by a share of {share:g} of the people; lower the share of TopK"
                    )
                raise DataError(NOTHING)
            place = np.full(len(holders), -1, np.int32)
            place[kept] = np.arange(len(kept), dtype=np.int32)
            return Reduced(place=place, pool=nothing, width=len(kept))
        case KMeans(clusters=clusters):
            place = clustered(people, holders, clusters, rng)
            if place.max(initial=-1) < 0:
                raise DataError(NOTHING)
            return Reduced(place=place, pool=nothing, width=int(place.max()) + 1)
        case LSH(bits=bits, pool=pool):
            numbers = rng.standard_normal(coprime(pool, STRIDE * STEP), np.float32)
            return Reduced(place=np.zeros(0, np.int32), pool=numbers, width=bits)


def coprime(least: int, other: int) -> int:
    """Return the smallest number from `least` on that shares no factor with `other`: multiples of `other` meet all of its remainders.

    Example
    -------
    >>> coprime(10, 15), coprime(11, 15)
    (11, 11)
    """
    while math.gcd(least, other) > 1:
        least += 1
    return least


def clustered(people: csr_array, holders: I64, clusters: int, rng: np.random.Generator) -> I32:
    """Return the cluster of every feature (W,), -1 where nobody has it.

    A feature is known by a random projection of its column over the people, scaled to length 1.
    """
    library: Any = need("sklearn.cluster", "learn")
    held = np.flatnonzero(holders)
    place = np.full(len(holders), -1, np.int32)
    if not len(held):
        return place
    draws = rng.standard_normal((len(people.indptr) - 1, SKETCH), np.float32)
    sketch = np.asarray(csr_array(people.T) @ draws, np.float32)[held]
    sketch /= np.maximum(np.linalg.norm(sketch, axis=1, keepdims=True), 1e-12)
    means = library.MiniBatchKMeans(
        min(clusters, len(held)), random_state=int(rng.integers(2**31)), n_init=1
    )
    _, place[held] = np.unique(means.fit_predict(sketch), return_inverse=True)
    return place
