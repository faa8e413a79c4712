"""The towers of the multi-view network when they answer, in NumPy, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

from twofold.models.mapping import _dssm_serving as serving
from twofold.models.mapping._dssm_text import TextRows
from twofold.models.mapping._views_reduction import Reduced
from twofold.typing import F32, I32, Bool


def user_vectors(tower: Mapping[str, F32], reduced: Reduced, rows: csr_array, *, tanh: bool) -> F32:
    """Return y_U / |y_U| of the rows of people (n, W), shape (n, d); zero where nothing is known."""
    x = reduced.of(rows)
    weight = tower["table.weight"]
    if isinstance(x, np.ndarray):
        known: Bool = np.diff(rows.indptr) > 0
        x = csr_array(np.sign(x) / np.float32(np.sqrt(len(weight))))
    else:
        known = np.diff(x.indptr) > 0
    return serving.vectors(tower, np.asarray(x @ weight, np.float32), known, tanh=tanh)


def item_vectors(
    towers: Sequence[Mapping[str, F32]], texts: TextRows, place: I32, d: int, *, tanh: bool
) -> F32:
    """Return y_V / |y_V| of items by the tower of their view `place` (n,), shape (n, d); zero without one or words."""
    out = np.zeros((len(texts), d), np.float32)
    for at, tower in enumerate(towers):
        mine = np.flatnonzero((place == at) & texts.known)
        if len(mine):
            shown = serving.represent(tower, texts.take(mine))
            out[mine] = serving.vectors(tower, shown, texts.known[mine], tanh=tanh)
    return out
