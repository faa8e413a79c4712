"""The one way in which kernels are compiled, with types kept for the reader and the checker."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba

# Read when the first parallel kernel runs. A thread that spins while it waits holds up the one it waits
# for, wherever other programs want the cores too: 10 ms a call of a kernel in place of 10 us.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

F = TypeVar("F", bound=Callable[..., Any])

ORDERED = {"contract", "nsz", "nnan", "ninf"}
"""What the compiler may do to floats: fuse a product into a sum, expect no NaN.

It may neither reorder sums ("reassoc") nor divide by multiplying ("arcp"). What it picks differs between
the compilation in memory and the one that is cached, and with the addresses of short arrays, so that
equal inputs would give unequal last bits. Where the order costs speed it is written out, in
`twofold.kernels._dot`. Whether a product is fused differs in the same way in some plain loops (one found:
`dense.add_products`); they say ``fastmath=False``.
"""


def kernel(*, parallel: bool = False, fastmath: bool = True) -> Callable[[F], F]:
    """Compile a function with numba: no Python objects, no GIL, cached on disk.

    Parameters
    ----------
    parallel
        Allow ``numba.prange``. A parallel kernel gives the same bytes for every thread count.
    fastmath
        Allow what `ORDERED` says. Not for kernels that test for NaN or infinity.
    """

    def compile_(function: F) -> F:
        options: dict[str, Any] = {
            "nogil": True,
            "parallel": parallel,
            "fastmath": ORDERED if fastmath else False,
            "error_model": "numpy",
        }
        try:
            made: Any = numba.njit(cache=True, **options)(function)
        except RuntimeError:
            # Neither the package nor the home can be written, as in a sealed container: the kernel
            # is compiled in each process, which `twofold doctor` tells by its seconds.
            made = numba.njit(**options)(function)
        return made

    return compile_
