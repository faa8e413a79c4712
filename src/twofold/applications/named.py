"""The vectors of a model under their ids: of its items or of its users."""

from __future__ import annotations

from typing import Literal

import numpy as np

from twofold.models._base import FittedModel
from twofold.vectors import Vectors

Side = Literal["items", "users"]


def vectors_of(model: FittedModel, side: Side = "items") -> Vectors:
    """Return the vectors whose cosine means likeness, of the items of a model or of its users."""
    if side == "items":
        return Vectors(model.items.ids, model.similarity_vectors)
    rows = np.arange(len(model.users), dtype=np.int32)
    return Vectors(model.users.ids, model.lookup(rows))
