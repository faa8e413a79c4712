"""Products of whole numbers of 8 and 16 bits, which numba would take one step at a time.

Written as LLVM instructions, as in `twofold.kernels._vector`; called from kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numpy.typing import NDArray

intrinsic: Any = extending.intrinsic

BYTES = 32
"""Numbers that are multiplied at once; rows of codes are a multiple of it long."""


def _halved(builder: Any, value: Any, first: list[int], second: list[int]) -> Any:
    """Add two selections of the lanes of a vector."""
    nothing = ir.Constant(value.type, ir.Undefined)
    number = ir.IntType(32)
    parts = [
        builder.shuffle_vector(
            value, nothing, ir.Constant(ir.VectorType(number, len(lanes)), lanes)
        )
        for lanes in (first, second)
    ]
    return builder.add(*parts)


def _byte_product(typing_context: Any, codes: Any, row: Any, query: Any) -> Any:  # noqa: ARG001
    narrow, wide, number = ir.IntType(8), ir.IntType(16), ir.IntType(32)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left = context.make_array(signature.args[0])(context, builder, arguments[0])
        right = context.make_array(signature.args[2])(context, builder, arguments[2])
        width = cgutils.unpack_tuple(builder, left.shape)[1]
        half = ir.VectorType(number, BYTES // 2)
        total = cgutils.alloca_once_value(builder, ir.Constant(half, [0] * (BYTES // 2)))
        begin = builder.mul(arguments[1], width)
        zero, step = ir.Constant(width.type, 0), ir.Constant(width.type, BYTES)
        with cgutils.for_range_slice(builder, zero, width, step) as (at, _):
            place = builder.gep(left.data, [builder.add(begin, at)])
            item = builder.load(
                builder.bitcast(place, ir.VectorType(narrow, BYTES).as_pointer()), align=1
            )
            place = builder.gep(right.data, [at])
            asked = builder.load(
                builder.bitcast(place, ir.VectorType(wide, BYTES).as_pointer()), align=2
            )
            whole = ir.VectorType(number, BYTES)
            product = builder.mul(
                builder.sext(item, whole), builder.sext(asked, whole), flags=("nsw",)
            )
            pairs = _halved(builder, product, list(range(0, BYTES, 2)), list(range(1, BYTES, 2)))
            builder.store(builder.add(builder.load(total), pairs), total)
        lanes = builder.load(total)
        count = BYTES // 2
        while count > 1:
            count //= 2
            lanes = _halved(builder, lanes, list(range(count)), list(range(count, 2 * count)))
        return builder.extract_element(lanes, ir.Constant(number, 0))

    return types.int32(codes, types.intp, query), emit


byte_product: Callable[[NDArray[np.int8], int, NDArray[np.int16]], int] = intrinsic(_byte_product)
"""(codes, row, query): return the inner product of ``codes[row]`` and `query`.

codes (m, w) int8 and query (w,) int16 are C-contiguous, of numbers in -127 ... 127, w a multiple of `BYTES`.
"""
