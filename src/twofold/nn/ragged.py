"""Ragged rows on a device: histories, bags of words, word sequences; a batch is one gather."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twofold.errors import DataError
from twofold.typing import F32


class Ragged(NamedTuple):
    """Rows of ids of any length, end to end, as `torch.nn.functional.embedding_bag` wants them."""

    ids: Tensor  # (nnz,) int32 or int64
    offsets: Tensor  # (B + 1,) of the dtype of ids
    weights: Tensor | None = None  # (nnz,) float32, one for each id

    @classmethod
    def of(
        cls,
        indptr: NDArray[np.integer],
        ids: NDArray[np.integer],
        weights: F32 | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> Ragged:
        """Copy compressed rows to `device`: indptr (B + 1,), ids (nnz,), weights (nnz,).

        Raises
        ------
        DataError
            If `indptr` does not fit `ids`, an id is negative, or a weight is not finite.
        """
        if (
            len(indptr) == 0
            or indptr[0] != 0
            or indptr[-1] != len(ids)
            or (np.diff(indptr) < 0).any()
        ):
            raise DataError(f"indptr must rise from 0 to the {len(ids):,} ids")
        if len(ids) and ids.min() < 0:
            raise DataError(f"ids must be >= 0, found {ids.min()}; drop what is unknown")
        if weights is not None and (weights.shape != ids.shape or not np.isfinite(weights).all()):
            raise DataError(f"weights must be {len(ids):,} finite numbers, one for each id")
        small = len(ids) < 2**31 and (not len(ids) or ids.max() < 2**31)
        dtype = np.int32 if small else np.int64
        return cls(
            torch.as_tensor(np.array(ids, dtype), device=device),
            torch.as_tensor(np.array(indptr, dtype), device=device),
            None
            if weights is None
            else torch.as_tensor(np.array(weights, np.float32), device=device),
        )

    @property
    def lengths(self) -> Tensor:
        """Number of ids of each row, shape (B,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def take(self, rows: Tensor) -> Ragged:
        """Return the rows `rows` (b,), in that order; a row may come twice."""
        rows = rows.long()
        return self.cut(self.offsets[rows], self.offsets[rows + 1])

    def cut(self, starts: Tensor, stops: Tensor) -> Ragged:
        """Return ids[start:stop] for each pair of positions, shapes (b,): histories up to a moment."""
        lengths = (stops - starts).long()
        offsets = torch.zeros(len(lengths) + 1, dtype=torch.int64, device=self.ids.device)
        torch.cumsum(lengths, 0, out=offsets[1:])
        total = int(offsets[-1])
        shift = torch.repeat_interleave(starts.long() - offsets[:-1], lengths, output_size=total)
        where = shift + torch.arange(total, device=self.ids.device)  # (nnz of the batch,)
        weights = None if self.weights is None else self.weights[where]
        return Ragged(self.ids[where], offsets.to(self.ids.dtype), weights)
