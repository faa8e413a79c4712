"""Array and id types used in every signature. ``Rows`` are dense int32 row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
U8: TypeAlias = NDArray[np.uint8]
Bool: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = I32
Id: TypeAlias = int | str
Ids: TypeAlias = Sequence[Id]
History: TypeAlias = Iterable[Id | Iterable[Id]]
"""What somebody took, oldest first; what stands in an inner list was taken together. A mapping says the value of each item too."""
Rng: TypeAlias = np.random.Generator | int | None
