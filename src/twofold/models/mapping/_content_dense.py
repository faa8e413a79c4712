"""Linear maps and dense layers from sparse rows to vectors: how they are declared, and how they answer.

y = centre + scale (relu(... relu(x W_1 + b_1) ...) W_L + b_L), in NumPy, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.errors import need
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.products import one_thread
from twofold.models.mapping._content_goal import Goal
from twofold.models.mapping._dssm_serving import layer
from twofold.typing import F32


@hyperparameters
class Linear:
    """One matrix. Ridge regression, solved exactly, where the loss is on the factors."""

    kind: Literal["linear"] = "linear"
    """The tag in files."""
    reg: Annotated[PositiveFloat, Search(0.1, 100, log=True)] = 3.0
    """L2 penalty of the weights against the sum of squared errors, the factors scaled to unit variance; not read where the loss is on ratings, where `optimiser` has the penalty."""


@hyperparameters
class MLP:
    """Dense layers with rectified units."""

    kind: Literal["mlp"] = "mlp"
    """The tag in files."""
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1000,)
    """Widths of the hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.7)] = 0.5
    """Share of hidden units that is dropped in training."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseMap:
    """The learned layers."""

    weights: tuple[F32, ...]  # W_l: (width_{l-1}, width_l)
    biases: tuple[F32, ...]  # b_l: (width_l,)
    centre: F32  # (d,)
    scale: float

    def predict(self, rows: csr_array) -> F32:
        """Return the vectors of sparse rows (n, width); shape (n, d)."""
        y: F32 = np.asarray(rows @ self.weights[0], np.float32) + self.biases[0]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            y = layer(np.maximum(y, 0), weight, bias)
        return (self.centre + np.float32(self.scale) * y).astype(np.float32)


@one_thread()
def ridge(rows: csr_array, goal: Goal, reg: float) -> DenseMap:
    """Return the least squares of the scaled vectors on rows (n, width), the intercept without penalty."""
    linear: Any = need("sklearn.linear_model", "learn")
    solved = linear.Ridge(alpha=reg, solver="sparse_cg", tol=1e-6).fit(rows, goal.scaled)
    weight = np.atleast_2d(np.asarray(solved.coef_, np.float32)).T
    return DenseMap(
        weights=(np.ascontiguousarray(weight),),
        biases=(np.atleast_1d(np.asarray(solved.intercept_, np.float32)),),
        centre=goal.centre,
        scale=goal.scale,
    )
