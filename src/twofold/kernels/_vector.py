"""What numba does not offer: register-tiled products, an atomic counter and a prefetch.

They are written as LLVM instructions, so that they are compiled for the vector width of the machine
(narrower vectors are taken in parts, more slowly) and cached with the kernels that use them. Nothing
here knows about models. Each function below is called from kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import extending, types
from numba.core import cgutils

from twofold.typing import F32, I64

intrinsic: Any = extending.intrinsic

TILE_ROWS = 4
"""Rows of the Gram matrix that one call of `add_gram_tile` updates."""
TILE_COLUMNS = 16
"""Columns of the Gram matrix that one call of `add_gram_tile` updates."""
LANES = 8
"""Floats in one vector of a Gram tile."""
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
"""Whether the machine has 32 registers of 16 floats."""
SCORE_LANES = 16 if WIDE else 8
"""Floats in one vector of a tile of scores."""
SCORE_ROWS = 12 if WIDE else 6
"""Queries of one call of `multiply_tile`."""
SCORE_COLUMNS = 2 * SCORE_LANES
"""Items of one call of `multiply_tile`."""
LINE = 16
"""Floats in one line of the cache."""
FUSED = ("contract",)
"""A product and the sum that it goes to may be rounded once; sums keep their order."""


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


def spread(builder: Any, value: Any, vector: Any) -> Any:
    """Repeat one float in every lane of a vector type."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, lanes)


def vector_at(builder: Any, data: Any, index: Any, vector: Any) -> Any:
    """Return the place of a vector, or of one number, that begins at `index`."""
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _multiply(step_of: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the tile product, alone and at a place of an array, whose left numbers lie where `step_of` says."""

    def emitted(rows: Any, panels: Any, out: Any, *, placed: bool) -> Any:
        vector = ir.VectorType(ir.FloatType(), SCORE_LANES)
        halves = SCORE_COLUMNS // SCORE_LANES

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows_type, _, panels_type, _, out_type, *_ = signature.args
            left = context.make_array(rows_type)(context, builder, arguments[0])
            right = context.make_array(panels_type)(context, builder, arguments[2])
            target = context.make_array(out_type)(context, builder, arguments[4])
            width = cgutils.unpack_tuple(builder, right.shape)[1]
            columns = ir.Constant(width.type, SCORE_COLUMNS)
            zero = ir.Constant(vector, [0.0] * SCORE_LANES)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(SCORE_ROWS * halves)]
            starts, stride = step_of(builder, arguments[1], width)
            across, corner = columns, ir.Constant(width.type, 0)
            if placed:
                across = cgutils.unpack_tuple(builder, target.shape)[1]
                corner = builder.add(builder.mul(arguments[5], across), arguments[6])
            begin = builder.mul(builder.mul(arguments[3], width), columns)
            with cgutils.for_range(builder, width) as loop:
                at = builder.add(begin, builder.mul(loop.index, columns))
                items = [
                    builder.load(
                        vector_at(
                            builder,
                            right.data,
                            builder.add(at, ir.Constant(width.type, SCORE_LANES * half)),
                            vector,
                        ),
                        align=4,
                    )
                    for half in range(halves)
                ]
                gone = builder.mul(loop.index, stride)
                for row in range(SCORE_ROWS):
                    place = builder.gep(left.data, [builder.add(starts[row], gone)])
                    one = spread(builder, builder.load(place), vector)
                    for half in range(halves):
                        place = sums[row * halves + half]
                        product = builder.fmul(one, items[half], flags=FUSED)
                        builder.store(
                            builder.fadd(builder.load(place), product, flags=FUSED), place
                        )
            for row in range(SCORE_ROWS):
                line = builder.mul(across, ir.Constant(width.type, row))
                for half in range(halves):
                    more = ir.Constant(width.type, half * SCORE_LANES)
                    index = builder.add(corner, builder.add(line, more))
                    place = vector_at(builder, target.data, index, vector)
                    builder.store(builder.load(sums[row * halves + half]), place, align=4)
            return context.get_dummy_value()

        where = (types.intp, types.intp) if placed else ()
        return types.void(rows, types.intp, panels, types.intp, out, *where), emit

    def _tile(
        typing_context: Any,  # noqa: ARG001
        rows: Any,
        first: Any,  # noqa: ARG001
        panels: Any,
        panel: Any,  # noqa: ARG001
        out: Any,
    ) -> Any:
        return emitted(rows, panels, out, placed=False)

    def _placed(
        typing_context: Any,  # noqa: ARG001
        rows: Any,
        first: Any,  # noqa: ARG001
        panels: Any,
        panel: Any,  # noqa: ARG001
        out: Any,
        top: Any,  # noqa: ARG001
        left: Any,  # noqa: ARG001
    ) -> Any:
        return emitted(rows, panels, out, placed=True)

    return _tile, _placed


def _along_rows(builder: Any, first: Any, width: Any) -> tuple[list[Any], Any]:
    """Return where the rows from `first` on begin, and the step to the next number of each."""
    starts = [
        builder.mul(builder.add(first, ir.Constant(width.type, row)), width)
        for row in range(SCORE_ROWS)
    ]
    return starts, ir.Constant(width.type, 1)


def _down_a_panel(builder: Any, panel: Any, width: Any) -> tuple[list[Any], Any]:
    """Return where the columns of a panel begin, and the step to the next number of each."""
    step = ir.Constant(width.type, SCORE_ROWS)
    begin = builder.mul(builder.mul(panel, width), step)
    starts = [builder.add(begin, ir.Constant(width.type, row)) for row in range(SCORE_ROWS)]
    return starts, step


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
                builder.load(
                    vector_at(builder, source.data, plus(at_left, LANES * half), vector), align=4
                )
                for half in range(halves)
            ]
            for row in range(TILE_ROWS):
                one = spread(
                    builder, builder.load(builder.gep(source.data, [plus(at_top, row)])), vector
                )
                for half in range(halves):
                    place = sums[row * halves + half]
                    product = builder.fmul(one, right[half], flags=FUSED)
                    builder.store(builder.fadd(builder.load(place), product, flags=FUSED), place)
        factor = spread(builder, scale, vector)
        for row in range(TILE_ROWS):
            start = builder.add(builder.mul(plus(top, row), out_width), left)
            for half in range(halves):
                place = vector_at(builder, target.data, plus(start, LANES * half), vector)
                sums_now = builder.load(sums[row * halves + half])
                product = builder.fmul(factor, sums_now, flags=FUSED)
                old = builder.load(place, align=4)
                builder.store(builder.fadd(old, product, flags=FUSED), place, align=4)
        return context.get_dummy_value()

    return signature, emit


def _reaching(typing_context: Any, tile: Any, row: Any, bar: Any) -> Any:  # noqa: ARG001
    vector = ir.VectorType(ir.FloatType(), SCORE_LANES)
    word = ir.IntType(64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.mul(arguments[1], ir.Constant(arguments[1].type, SCORE_COLUMNS))
        least = spread(builder, arguments[2], vector)
        found = ir.Constant(word, 0)
        for first in range(0, SCORE_COLUMNS, SCORE_LANES):
            at = builder.add(start, ir.Constant(start.type, first))
            scores = builder.load(vector_at(builder, source.data, at, vector), align=4)
            bits = builder.fcmp_ordered(">=", scores, least)
            part = builder.zext(builder.bitcast(bits, ir.IntType(SCORE_LANES)), word)
            found = builder.or_(found, builder.shl(part, ir.Constant(word, first)))
        return found

    return types.int64(tile, types.intp, types.float32), emit


def _lowest_bit(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), emit


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
multiply_tile: Callable[[F32, int, F32, int, F32], None] = intrinsic(_multiply(_along_rows)[0])
"""(rows, first, panels, panel, out): fill `out` with ``rows[first : first + SCORE_ROWS] @ panels[panel]``.

rows (n, d), panels (p, d, SCORE_COLUMNS) and out (SCORE_ROWS, SCORE_COLUMNS) are C-contiguous. Each sum
runs over d in order, wherever in the tile it stands.
"""
multiply_into: Callable[[F32, int, F32, int, F32, int, int], None] = intrinsic(
    _multiply(_along_rows)[1]
)
"""(rows, first, panels, panel, out, top, left): `multiply_tile` into ``out[top : top + SCORE_ROWS, left : left + SCORE_COLUMNS]``."""
multiply_panels: Callable[[F32, int, F32, int, F32], None] = intrinsic(_multiply(_down_a_panel)[0])
"""(left, one, panels, panel, out): fill `out` with ``left[one].T @ panels[panel]``, as `multiply_tile` does.

left (q, n, SCORE_ROWS), panels (p, n, SCORE_COLUMNS).
"""
reaching: Callable[[F32, int, float], int] = intrinsic(_reaching)
"""(tile, row, bar): return the columns of a row of a tile that are at least `bar`, as the bits of a number."""
lowest_bit: Callable[[int], int] = intrinsic(_lowest_bit)
"""Return the place of the lowest bit that is set; `bits` is not 0."""
