"""The two ways in which the softmax over the items is taken apart, in training and when lists are made."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from twofold.kernels._context_arrays import Outputs
from twofold.kernels.noise import fill_alias
from twofold.models.sequence._codes import huffman
from twofold.models.sequence.token2vec import HierarchicalSoftmax, NegativeSampling
from twofold.typing import F32, F64


def outputs_of(how: NegativeSampling | HierarchicalSoftmax, counts: F32) -> tuple[Outputs, int]:
    """Return what a pass needs to take the softmax apart, and the number of rows of the output table.

    `counts` (m,) events of each item; one without events is drawn as if it had one.
    """
    m = len(counts)
    members = np.arange(m, dtype=np.int32)
    accept, other = np.ones(m, np.float32), members.copy()
    match how:
        case NegativeSampling():
            start = np.array([0, m], np.int64)
            fill_alias(noise(how, counts), members, start, accept, other)
            none = np.zeros(0, np.int32)
            way = (np.zeros(0, np.int64), none, none.astype(np.uint8))
            return Outputs(*way, members, accept, other, how.count), m
        case HierarchicalSoftmax():
            way = huffman(np.maximum(counts, 1).astype(np.int64))
            return Outputs(*way, members, accept, other, 0), max(m - 1, 1)


def longest_way(outputs: Outputs) -> int:
    """Return the most outputs that a target has, at least 1."""
    return max(int(np.diff(outputs.path_ends).max(initial=0)), outputs.negatives + 1)


def noise(how: NegativeSampling, counts: F32) -> F64:
    """Return P_n, shape (m,)."""
    weight = np.maximum(counts, 1).astype(np.float64) ** how.exponent
    return weight / weight.sum()


def kept(threshold: float, counts: F32) -> F32:
    """Return the chance of an event of each item (m,) to be an example, sqrt(t / f) up to 1; 1 for t = 0."""
    if not threshold:
        return np.ones(len(counts), np.float32)
    share = np.maximum(counts, 1) / max(float(counts.sum()), 1.0)
    return np.minimum(np.sqrt(threshold / share), 1).astype(np.float32)


def log_chance(how: NegativeSampling | HierarchicalSoftmax, counts: F32, keep: F32) -> F32:
    """Return what turns v_i . h into ln P(i | contexts) up to a constant: ln P_n(i) - ln keep_i, shape (m,).

    At the maximum of the objective of negative sampling v_i . h is ln P(i | contexts) - ln(k P_n(i)), where P is
    that of the examples, which subsampling thinned out (Levy & Goldberg 2014). A tree needs the second part only.
    """
    drawn = noise(how, counts) if isinstance(how, NegativeSampling) else np.ones(len(counts))
    return (np.log(drawn) - np.log(keep.astype(np.float64))).astype(np.float32)


def turns_of(outputs: Outputs, n_nodes: int, bias: F32) -> csr_array:
    """Return which turns lead to each item, (m, 2 n_nodes + 1), and its `bias` (m,) in the last column.

    Column 2 n stands for bit 0 at node n, column 2 n + 1 for bit 1. Without paths there are no rows.
    """
    width = 2 * n_nodes + 1
    if not len(outputs.path_ends):
        return csr_array((0, width), dtype=np.float32)
    m = len(bias)
    row = np.repeat(np.arange(m), np.diff(outputs.path_ends))
    column = 2 * outputs.node.astype(np.int64) + outputs.bit
    value = np.concatenate([np.ones(len(column), np.float32), bias])
    cells = (np.append(row, np.arange(m)), np.append(column, np.full(m, width - 1)))
    made = csr_array((value, cells), shape=(m, width))
    made.sort_indices()
    return made


def log_turns(h: F32, table: F32) -> F32:
    """Return ln P of both turns at every node, and a 1, given h (n, d) and nodes (n_nodes, d); (n, 2 n_nodes + 1).

    Each row is made by itself, so that an answer does not depend on the others.
    """
    out = np.ones((len(h), 2 * len(table) + 1), np.float32)
    for row, one in enumerate(h):
        x = np.einsum("nd,d->n", table, one).astype(np.float64)
        out[row, :-1:2] = -np.logaddexp(0.0, -x)
        out[row, 1::2] = -np.logaddexp(0.0, x)
    return out


def mean_turns(turns: csr_array, table: F32) -> F32:
    """Return the mean of the nodes (n_nodes, d) on the way to each item, less those taken by bit 1; (m, d)."""
    signed = np.zeros((2 * len(table) + 1, table.shape[1]), np.float32)
    signed[:-1:2], signed[1::2] = table, -table
    length = np.maximum(np.diff(turns.indptr) - 1, 1)[:, None]
    return np.asarray(turns @ signed / length, np.float32)
