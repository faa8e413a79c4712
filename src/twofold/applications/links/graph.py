"""Who is friends with whom, as an undirected graph over the users of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError
from twofold.kernels.walks import walk_sums
from twofold.typing import F64, I32, I64, Bool


@dataclass(frozen=True, eq=False)
class Graph:
    """Friendships without direction: each once, in the rows of both ends, nobody with themselves."""

    indptr: I64  # (n + 1,)
    neighbours: I32  # (2 m,), ascending within each person

    @classmethod
    def of(cls, n: int, pairs: I32) -> Graph:
        """Return the graph of n people and of `pairs` (m, 2); a friendship that one side says is one.

        Pairs with oneself are passed over, and what is said twice counts once.
        """
        left, right = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
        apart = left != right
        left, right = left[apart], right[apart]
        keys = np.unique(np.concatenate([left * n + right, right * n + left]))
        source, target = np.divmod(keys, max(n, 1))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
        return cls(indptr.astype(np.int64), target.astype(np.int32))

    @classmethod
    def of_dataset(cls, data: Dataset) -> Graph:
        """Return the graph of the links of a dataset.

        Raises
        ------
        DataError
            If there are none.
        """
        pairs = np.column_stack([data.links.source, data.links.target])
        made = cls.of(data.n_users, pairs)
        if not len(made):
            raise DataError(
                f"the dataset has no friendships among its {data.n_users:,} users; "
                "give links= with two columns of user ids when it is read (on the command line --links)"
            )
        return made

    def __len__(self) -> int:
        """Return the number of friendships."""
        return len(self.neighbours) // 2

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.indptr) - 1

    @cached_property
    def degrees(self) -> I64:
        """Number of friends of each person; shape (n,)."""
        return np.diff(self.indptr)

    @cached_property
    def _keys(self) -> I64:
        """One number a friendship and direction, ascending; shape (2 m,)."""
        source = np.repeat(np.arange(self.n, dtype=np.int64), self.degrees)
        return source * self.n + self.neighbours

    @cached_property
    def pairs(self) -> I32:
        """Each friendship once, the lower row first; shape (m, 2)."""
        source, target = np.divmod(self._keys, max(self.n, 1))
        once = source < target
        return np.column_stack([source[once], target[once]]).astype(np.int32)

    @cached_property
    def matrix(self) -> csr_array:
        """1 where two are friends; shape (n, n), float64."""
        ones = np.ones(len(self.neighbours))
        return csr_array((ones, self.neighbours, self.indptr), shape=(self.n, self.n))

    def has(self, pairs: I32) -> Bool:
        """Say of each pair (p, 2) whether the two are friends."""
        keys = pairs[:, 0].astype(np.int64) * self.n + pairs[:, 1]
        place = np.searchsorted(self._keys, keys)
        found = np.zeros(len(keys), np.bool_)
        inside = place < len(self._keys)
        found[inside] = self._keys[place[inside]] == keys[inside]
        return found

    def without(self, pairs: I32) -> Graph:
        """Return the graph without the friendships `pairs` (p, 2)."""
        gone = Graph.of(self.n, pairs)
        return Graph.of(self.n, self.pairs[~gone.has(self.pairs)])

    def walks(self, pairs: I32, weight: F64, coefficient: F64) -> F64:
        """Return weighted sums over all walks from the first to the second of each pair (p, 2); see `walk_sums`."""
        order = np.argsort(pairs[:, 0], kind="stable")
        sources, starts = np.unique(pairs[order, 0], return_index=True)
        sums, out = np.empty((2, len(pairs)))
        walk_sums(
            self.indptr,
            self.neighbours,
            np.ascontiguousarray(weight, np.float64),
            np.ascontiguousarray(coefficient, np.float64),
            np.ascontiguousarray(sources, np.int32),
            np.append(starts, len(pairs)).astype(np.int64),
            np.ascontiguousarray(pairs[order, 1], np.int32),
            sums,
        )
        out[order] = sums
        return out


def strangers(n: int, count: int, friends: tuple[Graph, ...], rng: np.random.Generator) -> I32:
    """Draw `count` different pairs of different people, friends in none of the graphs; shape (count, 2).

    Every such pair is equally likely. The lower row comes first.

    Raises
    ------
    ConfigError
        If there are not so many.
    """
    taken = np.unique(np.concatenate([one.pairs @ np.array([n, 1], np.int64) for one in friends]))
    room = n * (n - 1) // 2 - len(taken)
    if count > room:
        raise ConfigError(
            f"{count:,} pairs of strangers were asked for, and there are {room:,}; take fewer negatives, "
            "or hold out fewer friendships"
        )
    if 4 * count > room:  # few are left over: list them all
        left, right = np.triu_indices(n, 1)
        keys = left.astype(np.int64) * n + right
        keys = keys[~np.isin(keys, taken)]
        keys = rng.choice(keys, count, replace=False)
    else:
        keys = np.zeros(0, np.int64)
        while len(keys) < count:
            drawn = rng.integers(0, n, (count + 64, 2))
            low, high = drawn.min(axis=1), drawn.max(axis=1)
            more = (low * n + high)[low < high]
            both = np.concatenate([keys, more[~np.isin(more, taken)]])
            _, first = np.unique(both, return_index=True)
            keys = both[np.sort(first)]
        keys = keys[:count]
    return np.column_stack(np.divmod(keys, n)).astype(np.int32)
