"""Multiple additive regression trees from attributes to vectors (MART; Friedman 2001).

Zhao, Li, He, Chang, Wen & Li (2016), "Connecting Social Media to E-Commerce: Cold-Start Product Recommendation
Using Microblogging Information", TKDE 28(5), section 4: one ensemble for each dimension of the vectors,
every tree on a sample of two thirds of the attributes, those that are known of more people more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt
from scipy.sparse import csc_array, csr_array

from twofold.data.columns import within
from twofold.errors import DataError, need
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.trees import add_trees
from twofold.models.mapping._content_goal import Goal
from twofold.progress import track
from twofold.typing import F32, F64, I32, I64

BLOCK_BYTES = 32 * 2**20
"""Memory for one block of dense rows."""


@hyperparameters
class Trees:
    """Boosted regression trees, one ensemble a dimension."""

    kind: Literal["trees"] = "trees"
    """The tag in files."""
    trees: Annotated[PositiveInt, Search(20, 300, log=True)] = 100
    """Trees a dimension."""
    leaves: Annotated[int, Field(ge=2), Search(2, 32, log=True)] = 6
    """Leaves of a tree."""
    shrinkage: Annotated[float, Field(gt=0, le=1), Search(0.01, 0.3, log=True)] = 0.05
    """How much of a tree is added."""
    attributes: Annotated[float, Field(gt=0, le=1)] = 2 / 3
    """Share of the attributes that a tree sees."""
    least: PositiveInt = 10
    """Rows of a leaf, at least."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TreeMap:
    """The learned trees, their nodes end to end; see `twofold.kernels.trees`."""

    roots: I64  # (trees,)
    output: I32  # (trees,)
    feature: I32  # (nodes,)
    threshold: F64  # (nodes,)
    left: I32  # (nodes,), from the root; -1 at a leaf
    right: I32  # (nodes,)
    value: F32  # (nodes,)
    width: int
    centre: F32  # (d,)
    scale: float

    def predict(self, rows: csr_array) -> F32:
        """Return the vectors of sparse rows (n, width); shape (n, d)."""
        n, width = rows.shape or (0, 0)
        y = np.zeros((n, len(self.centre)), np.float32)
        step = max(1, BLOCK_BYTES // (4 * max(width, 1)))
        for first in range(0, n, step):
            x = rows[first : first + step].toarray().astype(np.float32)
            add_trees(
                x, self.roots, self.output, self.feature, self.threshold, self.left, self.right,
                self.value, y[first : first + step],
            )  # fmt: skip
        return (self.centre + np.float32(self.scale) * y).astype(np.float32)

    def verify(self) -> None:
        """Refuse trees whose nodes lead out of them.

        Raises
        ------
        DataError
            Saying so.
        """
        ends = np.append(self.roots[1:], len(self.value))
        limit = np.repeat(ends - self.roots, ends - self.roots)
        own = np.arange(len(self.value)) - np.repeat(self.roots, ends - self.roots)
        inner = self.left >= 0
        sizes = {
            len(one) for one in (self.feature, self.threshold, self.left, self.right, self.value)
        }
        sound = len(sizes) == 1 and len(limit) == len(self.value) == len(own)
        # A child comes after its parent, so that every walk ends.
        sound = sound and all(
            bool((one[inner] < limit[inner]).all() and (one[inner] > own[inner]).all())
            for one in (self.left, self.right)
        )
        within("columns of the trees", self.feature, self.width)
        within("dimensions of the trees", self.output, len(self.centre))
        if not sound or len(self.output) != len(self.roots):
            raise DataError("the trees have nodes that lead nowhere")


def fit_trees(
    network: Trees, rows: csr_array, columns: Sequence[int], goal: Goal, rng: np.random.Generator
) -> TreeMap:
    """Fit the ensembles on rows (n, width); `columns` are the widths of the attributes, side by side.

    A tree costs what its columns hold: nothing dense is made of the rows.
    """
    tree_of: Any = need("sklearn.tree", "learn").DecisionTreeRegressor
    x = by_columns(rows)
    n, width = x.shape or (0, 0)
    target = goal.scaled.astype(np.float64)
    edges = edges_of(columns)
    known = [len(np.unique(x.indices[x.indptr[a] : x.indptr[b]])) / max(n, 1) for a, b in edges]
    taken = max(1, round(network.attributes * len(columns)))
    chance = np.maximum(known, 1e-9) / np.sum(np.maximum(known, 1e-9))
    fitted: list[tuple[int, Any, I64]] = []
    for dimension in track(range(target.shape[1]), "DeepContent, trees"):
        rest = target[:, dimension].copy()
        for _ in range(network.trees):
            some = np.sort(rng.choice(len(columns), taken, replace=False, p=chance))
            at = np.concatenate([np.arange(*edges[one]) for one in some])
            seen = by_columns(x[:, at])
            tree = tree_of(
                max_leaf_nodes=network.leaves,
                min_samples_leaf=least_of(network, n),
                random_state=int(rng.integers(2**31)),
            ).fit(seen, rest)
            rest -= network.shrinkage * tree.predict(csr_array(seen))
            fitted.append((dimension, tree.tree_, at))
    return joined(fitted, network.shrinkage, width, goal)


def by_columns(rows: csr_array | csc_array) -> csc_array:
    """Return rows (n, width) as the library reads them, without zeros that are written down."""
    made = csc_array(rows, dtype=np.float32, copy=True)
    made.eliminate_zeros()
    made.indices, made.indptr = made.indices.astype(np.int32), made.indptr.astype(np.int32)
    return made


def edges_of(columns: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first column of each attribute and the one after its last."""
    return list(pairwise(np.cumsum([0, *columns]).tolist()))


def least_of(network: Trees, n: int) -> int:
    """Return the rows that a leaf has at least, of n."""
    return min(network.least, max(1, n // 2))


def too_rare(network: Trees, rows: csr_array, columns: Sequence[int]) -> list[int]:
    """Return the attributes of which no column holds as many rows as a leaf needs: a tree cannot ask for levels of these."""
    held = np.bincount(rows.indices, minlength=(rows.shape or (0, 0))[1])
    least = least_of(network, len(rows.indptr) - 1)
    return [at for at, (a, b) in enumerate(edges_of(columns)) if held[a:b].max(initial=0) < least]


def joined(
    fitted: Sequence[tuple[int, Any, I64]], shrinkage: float, width: int, goal: Goal
) -> TreeMap:
    """Put trees, each with its dimension and its columns, end to end."""
    sizes = [tree.node_count for _, tree, _ in fitted]
    feature = [
        np.where(tree.feature >= 0, at[np.maximum(tree.feature, 0)], 0) for _, tree, at in fitted
    ]
    return TreeMap(
        roots=np.concatenate([[0], np.cumsum(sizes)])[:-1].astype(np.int64),
        output=np.array([dimension for dimension, _, _ in fitted], np.int32),
        feature=np.concatenate(feature).astype(np.int32),
        threshold=np.concatenate([tree.threshold for _, tree, _ in fitted]).astype(np.float64),
        left=np.concatenate([tree.children_left for _, tree, _ in fitted]).astype(np.int32),
        right=np.concatenate([tree.children_right for _, tree, _ in fitted]).astype(np.int32),
        value=(shrinkage * np.concatenate([tree.value[:, 0, 0] for _, tree, _ in fitted])).astype(
            np.float32
        ),
        width=width,
        centre=goal.centre,
        scale=goal.scale,
    )
