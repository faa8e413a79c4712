"""EASE: a linear model from items to items with a solution in closed form.

Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data", WWW. X binary users x items,
G = X'X, P = (G + lambda I)^-1 (Eq. 8), B_ij = -P_ij / P_jj off the diagonal and 0 on it.

Differs from the paper: in nothing; P is float64, B float32. LAPACK inverts with all threads, and their number shows in the last
bit of a few weights (decision 0003).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import PositiveFloat
from scipy.linalg import get_lapack_funcs
from scipy.sparse import csr_array

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.errors import DataError
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.baselines._pairs import binary, product_blocks
from twofold.typing import F32, F64, Rng

BYTES_A_PAIR = 12
"""Memory while fitting for each pair of items: P in float64 and B in float32."""
ROWS = 512
"""Rows of B that are made at a time."""


@hyperparameters
class EASE:
    """Score an item by a weighted sum over the history; all weights solve one ridge regression.

    Every pair in the log is one observation, whatever its value. Time is O(n_items^3) and memory
    12 bytes for each pair of items, so it is a model for catalogues up to some 30,000 items.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3, 4], "i": ["a", "b", "a", "b", "c", "d", "c"]}
    >>> model = tw.models.EASE(reg=1.0).fit(tw.Dataset.from_frames(log, user="u", item="i"))
    >>> model.recommend(users=[4], k=1)["item"].to_list()
    ['d']
    """

    reg: Annotated[PositiveFloat, Search(10, 3000, log=True)] = 300.0
    """L2 penalty lambda on the weights; larger for larger logs."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedEASE:
        """Solve for the weights.

        Raises
        ------
        DataError
            If the log is empty, or the weights of so many items do not fit the memory.
        """
        del validation, rng
        memory = Memory.of(train)
        check_memory(train.n_items, free_memory())
        weights = item_weights(binary(memory.history, train.n_items), self.reg)
        check_finite("weights", weights, "raise reg")
        return FittedEASE(estimator=self, memory=memory, weights=weights)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedEASE(FittedModel):
    """A history as a sparse row of ones, against the columns of B."""

    sparse_people: ClassVar[bool] = True

    weights: F32  # (n_items, n_items) B: row = item of the history, column = item that is scored

    @property
    def item_vectors(self) -> F32:
        """The columns of B as rows, shape (n_items, n_items)."""
        return self.weights.T

    def fold_in(self, histories: Histories) -> csr_array:
        """Return 1 where a person has an item, shape (n, n_items)."""
        return binary(histories, len(self.items))


def item_weights(x: csr_array, reg: float) -> F32:
    """Return B (m, m) of X (n, m): the minimum of |X - X B|^2 + reg |B|^2 with a diagonal of zeros."""
    m = int((x.shape or (0, 0))[1])
    p = np.empty((m, m))
    for rows, block in product_blocks(x):
        p[rows] = block
    p[np.diag_indices(m)] += reg
    invert(p)
    scale = -1.0 / np.diag(p)
    b = np.empty((m, m), np.float32)
    for start in range(0, m, ROWS):
        end = min(start + ROWS, m)
        middle = np.tril(p[start:end, start:end])
        b[start:end, :start] = p[start:end, :start] * scale[:start]
        b[start:end, start:end] = (middle + np.tril(middle, -1).T) * scale[start:end]
        b[start:end, end:] = p[end:, start:end].T * scale[end:]
    b[np.diag_indices(m)] = 0.0
    return b


def invert(p: F64) -> None:
    """Overwrite the lower triangle of a positive definite `p` (m, m) with that of its inverse."""
    columns = p.T  # LAPACK counts by columns, so it sees an upper triangle, and works in place
    factorize, invert_factor = get_lapack_funcs(("potrf", "potri"), (columns,))
    factorize(columns, lower=False, overwrite_a=True, clean=False)
    invert_factor(columns, lower=False, overwrite_c=True)


def free_memory() -> float:
    """Return the bytes that the system can still give out; infinity where it does not say."""
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" not in names:
        return float("inf")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * int(dict(one.split(":", 1) for one in lines)["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return float(os.sysconf("SC_AVPHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")


def check_memory(n_items: int, free: float) -> None:
    """Refuse a catalogue whose weights do not fit `free` bytes.

    Raises
    ------
    DataError
        With the sizes, and what to do.
    """
    needed = BYTES_A_PAIR * n_items**2
    if needed > free:
        raise DataError(
            f"EASE needs {needed / 1e9:.1f} GB for the weights between {n_items:,} items and "
            f"{free / 1e9:.1f} GB are free; use IALS or ItemKNN, or keep the items with more "
            "events with data.filter(min_item_events=...)"
        )
