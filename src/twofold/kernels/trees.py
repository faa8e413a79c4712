"""Sums of regression trees, row by row."""

from __future__ import annotations

from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64


@kernel(parallel=True)
def add_trees(
    x: F32,
    roots: I64,
    output: I32,
    feature: I32,
    threshold: F64,
    left: I32,
    right: I32,
    value: F32,
    out: F32,
) -> None:
    """Add the leaf of every tree to ``out[:, output of the tree]``.

    x (n, width), roots and output (trees,), out (n, d). Nodes of all trees lie end to end: `left` and `right` (nodes,)
    count from the root of the tree and are -1 at a leaf; a row goes left where ``x[feature] <= threshold``.
    """
    for row in prange(len(x)):
        for tree in range(len(roots)):
            node = roots[tree]
            while left[node] >= 0:
                goes_left = x[row, feature[node]] <= threshold[node]
                node = roots[tree] + (left[node] if goes_left else right[node])
            out[row, output[tree]] += value[node]
