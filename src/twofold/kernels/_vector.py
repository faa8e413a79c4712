"""What numba does not offer: a register-tiled Gram update, an atomic counter and a prefetch.

They are written as LLVM instructions, so that they are compiled for the vector width of the machine
(narrower vectors are taken in parts, more slowly) and cached with the kernels that use them. Nothing
here knows about models. Each function below is called from kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from twofold.typing import F32, I64

intrinsic: Any = extending.intrinsic

TILE_ROWS = 4
"""Rows of the Gram matrix that one call of `add_gram_tile` updates."""
TILE_COLUMNS = 16
"""Columns of the Gram matrix that one call of `add_gram_tile` updates."""
LANES = 8
"""Floats in one vector register."""
LINE = 16
"""Floats in one line of the cache."""
FAST = ("fast",)
"""Sums may be reordered and fused."""


def _fetch_add(typing_context: Any, counter: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", made.data, one, "monotonic")

    return types.int64(counter), emit


def _prefetch(typing_context: Any, rows: Any, row: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        width = cgutils.unpack_tuple(builder, source.shape)[1]
        start = builder.mul(arguments[1], width)
        end, stride = builder.add(start, width), ir.Constant(width.type, LINE)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        flags = [ir.Constant(number, flag) for flag in (0, 3, 1)]  # read, keep close, data
        with cgutils.for_range_slice(builder, start, end, stride) as (at, _):
            builder.call(ask, [builder.bitcast(builder.gep(source.data, [at]), byte), *flags])
        return context.get_dummy_value()

    return types.void(rows, types.intp), emit


def _add_gram_tile(
    typing_context: Any,  # noqa: ARG001
    rows: Any,
    count: Any,  # noqa: ARG001
    top: Any,  # noqa: ARG001
    left: Any,  # noqa: ARG001
    scale: Any,  # noqa: ARG001
    out: Any,
) -> Any:
    signature = types.void(rows, types.intp, types.intp, types.intp, types.float32, out)
    vector = ir.VectorType(ir.FloatType(), LANES)
    halves = TILE_COLUMNS // LANES

    def spread(builder: Any, value: Any) -> Any:
        """Repeat one float in every lane."""
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, undefined, lanes)

    def vector_at(builder: Any, data: Any, index: Any) -> Any:
        return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows_type, *_, out_type = signature.args
        source = context.make_array(rows_type)(context, builder, arguments[0])
        target = context.make_array(out_type)(context, builder, arguments[5])
        count, top, left, scale = arguments[1:5]
        width = cgutils.unpack_tuple(builder, source.shape)[1]
        out_width = cgutils.unpack_tuple(builder, target.shape)[1]
        zero = ir.Constant(vector, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(TILE_ROWS * halves)]

        def plus(index: Any, offset: int) -> Any:
            return builder.add(index, ir.Constant(index.type, offset))

        with cgutils.for_range(builder, count) as loop:
            start = builder.mul(loop.index, width)
            at_left, at_top = builder.add(start, left), builder.add(start, top)
            right = [
                builder.load(vector_at(builder, source.data, plus(at_left, LANES * half)), align=4)
                for half in range(halves)
            ]
            for row in range(TILE_ROWS):
                one = spread(builder, builder.load(builder.gep(source.data, [plus(at_top, row)])))
                for half in range(halves):
                    place = sums[row * halves + half]
                    product = builder.fmul(one, right[half], flags=FAST)
                    builder.store(builder.fadd(builder.load(place), product, flags=FAST), place)
        factor = spread(builder, scale)
        for row in range(TILE_ROWS):
            start = builder.add(builder.mul(plus(top, row), out_width), left)
            for half in range(halves):
                place = vector_at(builder, target.data, plus(start, LANES * half))
                sums_now = builder.load(sums[row * halves + half])
                product = builder.fmul(factor, sums_now, flags=FAST)
                old = builder.load(place, align=4)
                builder.store(builder.fadd(old, product, flags=FAST), place, align=4)
        return context.get_dummy_value()

    return signature, emit


fetch_add: Callable[[I64], int] = intrinsic(_fetch_add)
"""Return ``counter[0]`` and add one to it, as one step for all threads."""
prefetch: Callable[[F32, int], None] = intrinsic(_prefetch)
"""Ask for ``rows[row]`` to be brought into the cache; rows (n, d), C-contiguous."""
add_gram_tile: Callable[[F32, int, int, int, float, F32], None] = intrinsic(_add_gram_tile)
"""(rows, count, top, left, scale, out): add
``scale * rows[:count, top:top+4].T @ rows[:count, left:left+16]`` to that tile of `out`.

rows (n, d) and out (d, d) are C-contiguous; count <= n. The eight sums of eight floats stay in
registers while the rows stream by.
"""
