"""The one way in which kernels are compiled, with types kept for the reader and the checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(*, parallel: bool = False, fastmath: bool = True) -> Callable[[F], F]:
    """Compile a function with numba: no Python objects, no GIL, cached on disk.

    Parameters
    ----------
    parallel
        Allow ``numba.prange``. A parallel kernel gives the same bytes for every thread count.
    fastmath
        Allow reordered float sums. Not for kernels that test for NaN or infinity.
    """

    def compile_(function: F) -> F:
        made: Any = numba.njit(
            nogil=True,
            cache=True,
            parallel=parallel,
            fastmath=fastmath,
            error_model="numpy",
        )
        return made(function)

    return compile_
