"""The arrays that a pass of multi-context CBOW reads, changes and needs as room."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twofold.typing import F32, F64, I32, I64, U8


class Examples(NamedTuple):
    """n targets with their contexts: features ``ends[e * kinds + k]`` to ``ends[e * kinds + k + 1]`` of example e, kind k."""

    target: I32  # (n,) rows of the items
    ends: I64  # (n * kinds + 1,)
    feature: I32  # (nnz,) rows of the context table
    keep: F32  # (n_items,) chance of an event of this item to be an example
    told: F32  # (kinds,) chance of a kind of context to be told


class Outputs(NamedTuple):
    """How the softmax over the items is taken apart into yes or no.

    A target's path through the Huffman tree where there are paths, else itself and items drawn by the alias table.
    """

    path_ends: I64  # (n_items + 1,) or empty
    node: I32  # (nnz,) rows of the output table
    bit: U8  # (nnz,) which way the path goes; 0 is the way of sigma(v . h)
    members: I32  # (n_items,) and the next two: the tables of one group of `noise.fill_alias`
    accept: F32  # (n_items,)
    other: I32  # (n_items,)
    negatives: int


class Tables(NamedTuple):
    """What is learned, with the sums of mean squared gradients of each row."""

    context: F32  # (n_features, d)
    context_squares: F32  # (n_features,)
    output: F32  # (n_outputs, d)
    output_squares: F32  # (n_outputs,)
    share: F32  # (kinds,) logarithms of the weights of the kinds
    share_squares: F32  # (kinds,)


class Touched(NamedTuple):
    """The rows of one table that a batch touches, each with a chain of entries in the order of the batch."""

    row: I32  # (capacity,) of each entry
    place: I32  # (capacity,) where in the batch
    scale: F32  # (capacity,) what the vector at that place counts for
    following: I32  # (capacity,) the next entry of the same row, -1 = none
    first: I32  # (n_rows,) first entry of a row, -1 between batches
    distinct: I32  # (capacity,) the rows


class Batch(NamedTuple):
    """Room for one batch; `width` is the most outputs that a target has."""

    vector: F32  # (size, d) h
    pull: F32  # (size, d) gradient of the objective by h
    output: I32  # (size, width) rows of the output table, -1 = none
    slope: F32  # (size, width) label - sigma(v . h)
    weight: F32  # (size, kinds) what one feature of each kind counts for in h
    tilt: F32  # (size, kinds) gradient by the logarithms of the weights
    loss: F64  # (size,)


def room(
    size: int, examples: Examples, outputs: Outputs, tables: Tables
) -> tuple[Batch, Touched, Touched]:
    """Return the room that batches of `size` examples need, and that for their contexts and outputs."""
    d, kinds = tables.context.shape[1], len(tables.share)
    longest = int(np.diff(outputs.path_ends).max(initial=0))
    width = max(longest if len(outputs.path_ends) else outputs.negatives + 1, 1)
    most = int(np.diff(examples.ends[::kinds]).max(initial=1))
    batch = Batch(
        np.zeros((size, d), np.float32),
        np.zeros((size, d), np.float32),
        np.full((size, width), -1, np.int32),
        np.zeros((size, width), np.float32),
        np.zeros((size, kinds), np.float32),
        np.zeros((size, kinds), np.float32),
        np.zeros(size),
    )
    return (
        batch,
        _touched(size * most, len(tables.context)),
        _touched(size * width, len(tables.output)),
    )


def _touched(capacity: int, n_rows: int) -> Touched:
    row, place, following, distinct = np.zeros((4, capacity), np.int32)
    first = np.full(n_rows, -1, np.int32)
    return Touched(row, place, np.zeros(capacity, np.float32), following, first, distinct)
