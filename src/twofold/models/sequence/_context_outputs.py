"""The two ways in which the softmax over the items is taken apart, in training and when lists are made."""

from __future__ import annotations

import heapq
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, PositiveInt
from scipy.sparse import csr_array

from twofold.hyperparameters import hyperparameters
from twofold.kernels.context_cbow import Outputs
from twofold.kernels.sample_log import fill_alias_tables
from twofold.typing import F32, F64, I32, I64


@hyperparameters
class NegativeSampling:
    """Tell each item from some that are drawn by popularity (Mikolov, Sutskever et al. 2013, Eq. 4)."""

    method: Literal["negatives"] = "negatives"
    """The tag in files."""
    draws: PositiveInt = 10
    """Items drawn for each event, k; one that is the event's own is drawn anew."""
    exponent: Annotated[float, Field(ge=0, le=2)] = 0.75
    """P_n: items are drawn in proportion to their number of events to this power."""


@hyperparameters
class HierarchicalSoftmax:
    """P(i | contexts) is the product of the turns to item i in the Huffman tree of the items' counts."""

    method: Literal["tree"] = "tree"
    """The tag in files."""


class Paths(NamedTuple):
    """The way from the root of a tree to each of m leaves."""

    ends: I64  # (m + 1,)
    node: I32  # (nnz,) inner nodes, 0 ... max(m - 2, 0), the root last
    turn: F32  # (nnz,) 1 or 0


def huffman(counts: F64 | F32) -> Paths:
    """Return the paths of the Huffman tree of m leaves with these `counts` (m,); ties go to the lower number.

    Example
    -------
    >>> paths = huffman(np.array([5.0, 2.0, 1.0]))
    >>> np.diff(paths.ends).tolist(), paths.node.tolist(), paths.turn.tolist()
    ([1, 2, 2], [1, 1, 0, 1, 0], [1.0, 0.0, 1.0, 0.0, 0.0])
    """
    m = len(counts)
    heap = [(float(count), leaf) for leaf, count in enumerate(counts)]
    heapq.heapify(heap)
    parent, turn = np.zeros(2 * m, np.int64), np.zeros(2 * m, np.float32)
    for inner in range(m, 2 * m - 1):
        for way in (0.0, 1.0):
            count, node = heapq.heappop(heap)
            parent[node], turn[node] = inner, way
            if way == 0.0:
                less = count
            else:
                heapq.heappush(heap, (less + count, inner))
    ends, nodes, turns = [0], list[int](), list[float]()
    root = 2 * m - 2
    for leaf in range(m):
        at, mine = leaf, list[tuple[int, float]]()
        while at != root:
            mine.append((int(parent[at]) - m, float(turn[at])))
            at = int(parent[at])
        nodes += [one for one, _ in reversed(mine)]
        turns += [one for _, one in reversed(mine)]
        ends.append(len(nodes))
    return Paths(np.array(ends, np.int64), np.array(nodes, np.int32), np.array(turns, np.float32))


def outputs_of(how: NegativeSampling | HierarchicalSoftmax, counts: F32) -> tuple[Outputs, int]:
    """Return what a pass needs to take the softmax apart, and the number of rows of the output table.

    `counts` (m,) events of each item; one without events is drawn as if it had one.
    """
    counts = np.maximum(counts, 1).astype(np.float32)
    m = len(counts)
    nothing = np.zeros(0, np.float32)
    match how:
        case NegativeSampling():
            chance, alias = np.empty((1, m), np.float32), np.empty((1, m), np.int32)
            fill_alias_tables(noise(how, counts)[None, :], chance, alias)
            empty = np.zeros(0, np.int64)
            return Outputs(
                empty, empty.astype(np.int32), nothing, chance[0], alias[0], how.draws
            ), m
        case HierarchicalSoftmax():
            paths = huffman(counts)
            none = np.zeros(0, np.int32)
            return Outputs(paths.ends, paths.node, paths.turn, nothing, none, 0), max(m - 1, 1)


def noise(how: NegativeSampling, counts: F32) -> F64:
    """Return P_n, shape (m,)."""
    weight = np.maximum(counts, 1).astype(np.float64) ** how.exponent
    return weight / weight.sum()


def turns_of(outputs: Outputs, n_nodes: int) -> csr_array:
    """Return which turns lead to each item, (m, 2 n_nodes): column 2 n for a turn of 1 at node n, 2 n + 1 for 0.

    Without paths there are no rows.
    """
    if not len(outputs.path_ends):
        return csr_array((0, 2 * n_nodes), dtype=np.float32)
    column = 2 * outputs.node.astype(np.int64) + (outputs.turn < 0.5)
    shape = (len(outputs.path_ends) - 1, 2 * n_nodes)
    made = csr_array((np.ones(len(column), np.float32), column, outputs.path_ends), shape=shape)
    made.sort_indices()
    return made


def log_turns(h: F32, table: F32) -> F32:
    """Return ln P of both turns at every node, given h (n, d) and the nodes (n_nodes, d); shape (n, 2 n_nodes).

    Each inner product is taken by itself, so that a row's answer does not depend on the others.
    """
    out = np.empty((len(h), 2 * len(table)), np.float32)
    for row, one in enumerate(h):
        x = np.einsum("nd,d->n", table, one).astype(np.float64)
        out[row, ::2] = -np.logaddexp(0.0, -x)
        out[row, 1::2] = -np.logaddexp(0.0, x)
    return out
