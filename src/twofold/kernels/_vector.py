"""Two operations that numba does not offer: a register-tiled Gram update and an atomic counter.

Both are written as LLVM instructions, so that they are compiled for the vector width of the machine
and cached with the kernels that use them. Nothing here knows about models.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from twofold.typing import F32, I64

TILE_ROWS = 4
"""Rows of the Gram matrix that one call of `add_gram_tile` updates."""
TILE_COLUMNS = 16
"""Columns of the Gram matrix that one call of `add_gram_tile` updates."""
LANES = 8
"""Floats in one vector register."""


@intrinsic
def fetch_add(typing_context: Any, counter: I64) -> Any:  # noqa: ARG001
    """Return ``counter[0]`` and add one to it, as one step for all threads."""
    signature = types.int64(counter)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", made.data, one, "monotonic")

    return signature, emit


@intrinsic
def add_gram_tile(
    typing_context: Any,  # noqa: ARG001
    rows: F32,
    count: int,
    top: int,
    left: int,
    scale: float,
    out: F32,
) -> Any:
    """Add ``scale * rows[:count, top:top+4].T @ rows[:count, left:left+16]`` to that tile of `out`.

    rows (n, d) and out (d, d) are C-contiguous float32; count <= n. The eight sums of eight floats
    stay in registers while the rows stream by.
    """
    signature = types.void(rows, types.intp, types.intp, types.intp, types.float32, out)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows_type, *_, out_type = signature.args
        source = context.make_array(rows_type)(context, builder, arguments[0])
        target = context.make_array(out_type)(context, builder, arguments[5])
        count, top, left, scale = arguments[1:5]
        width = cgutils.unpack_tuple(builder, source.shape)[1]
        out_width = cgutils.unpack_tuple(builder, target.shape)[1]
        number, vector = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)
        halves = TILE_COLUMNS // LANES
        zero = ir.Constant(vector, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(TILE_ROWS * halves)]

        def spread(value: Any) -> Any:
            """Repeat one float in every lane."""
            undefined = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(first, undefined, lanes)

        def vector_at(data: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

        def plus(index: Any, offset: int) -> Any:
            return builder.add(index, ir.Constant(index.type, offset))

        fast = ("fast",)
        with cgutils.for_range(builder, count) as loop:
            start = builder.mul(loop.index, width)
            at_left, at_top = builder.add(start, left), builder.add(start, top)
            right = [
                builder.load(vector_at(source.data, plus(at_left, LANES * half)), align=4)
                for half in range(halves)
            ]
            for row in range(TILE_ROWS):
                one = spread(builder.load(builder.gep(source.data, [plus(at_top, row)])))
                for half in range(halves):
                    place = sums[row * halves + half]
                    product = builder.fmul(one, right[half], flags=fast)
                    builder.store(builder.fadd(builder.load(place), product, flags=fast), place)
        factor = spread(scale)
        for row in range(TILE_ROWS):
            start = builder.add(builder.mul(plus(top, row), out_width), left)
            for half in range(halves):
                place = vector_at(target.data, plus(start, LANES * half))
                product = builder.fmul(factor, builder.load(sums[row * halves + half]), flags=fast)
                old = builder.load(place, align=4)
                builder.store(builder.fadd(old, product, flags=fast), place, align=4)
        return context.get_dummy_value()

    return signature, emit
