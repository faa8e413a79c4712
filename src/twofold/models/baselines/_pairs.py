"""What the item-to-item models share: who has what, and A'A in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from twofold.data.interactions import Histories
from twofold.kernels.co_occurrence import co_occurrence_rows
from twofold.typing import F32

BLOCK_BYTES = 64 * 2**20
"""Memory for one block of dense rows."""


def binary(histories: Histories, n_items: int) -> csr_array:
    """Return 1 where a person has an item, shape (n, n_items), float32; values are not read."""
    pairs = histories.matrix(n_items)
    pairs.data[:] = 1.0
    return pairs


def product_blocks(a: csr_array) -> Iterator[tuple[slice, F32]]:
    """Yield the rows of A'A for A (n, m), as (which rows, values (b, m)); each block is used up at once."""
    m = int((a.shape or (0, 0))[1])
    columns = csr_array(a.T)
    step = max(1, min(m, BLOCK_BYTES // (4 * max(m, 1))))
    out = np.empty((step, m), np.float32)
    by_row = (a.indptr.astype(np.int64), a.indices.astype(np.int32), a.data.astype(np.float32))
    by_column = (
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        columns.data.astype(np.float32),
    )
    for first in range(0, m, step):
        rows = slice(first, min(first + step, m))
        block = out[: rows.stop - first]
        co_occurrence_rows(first, *by_row, *by_column, block)
        yield rows, block
