"""Steps of log-bilinear models on rows of floats: inner products with several rows, slopes, and moves.

Rows are a multiple of eight floats long (`padded`); the last of them are zero and stay so. One row x is
held against TILE rows of another matrix at a time, so that x is read once for all of them. Sums keep the
order that is written here. Each function is called from kernels only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from twofold.kernels._dot import add_halves, starts
from twofold.kernels._vector import FUSED, LANES, intrinsic, spread, vector_at
from twofold.typing import F32, I32

TILE = 6
"""Rows of a tile: an observed one and five others, the usual number of negatives."""
BLOCKS = 4
"""Vectors that a sum of rows keeps in registers at a time."""
VECTOR = ir.VectorType(ir.FloatType(), LANES)
WORDS = ir.VectorType(ir.IntType(32), LANES)
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
EXPONENTIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    0.5,
)
"""exp(r) = 1 + r + r^2 (... r + 0.5) for |r| <= ln 2 / 2, to 2e-7 (the minimax polynomial of Cephes)."""
LARGEST = 80.0
"""Beyond it in size, a score counts for this much: sigma is 0 or 1 there in float32."""


def padded(d: int) -> int:
    """Return the length of a row that holds d floats."""
    return -(-d // LANES) * LANES


def widened(vectors: F32) -> F32:
    """Return rows (n, d) with zeros up to the padded length, C-contiguous."""
    n, d = vectors.shape
    wide = np.zeros((n, padded(d)), np.float32)
    wide[:, :d] = vectors
    return wide


def _row_of(builder: Any, rows: Any, at: Any, step: int) -> Any:
    """Return rows[at + step] as a 64-bit number."""
    place = builder.add(at, ir.Constant(at.type, step))
    return builder.sext(builder.load(builder.gep(rows, [place])), ir.IntType(64))


def _tile_products(count: int) -> Callable[..., Any]:
    def _products(
        typing_context: Any,  # noqa: ARG001
        x: Any,
        i: Any,  # noqa: ARG001
        y: Any,
        rows: Any,
        at: Any,  # noqa: ARG001
        scores: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = starts(context, builder, signature, arguments)
            (one, shape), (other, _), (listed, _), (out, _) = found
            width, at = shape[1], arguments[4]
            begin = builder.mul(arguments[1], width)
            begins = [
                builder.mul(_row_of(builder, listed, at, step), width) for step in range(count)
            ]
            zero = ir.Constant(VECTOR, [0.0] * LANES)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
            stride = ir.Constant(width.type, LANES)
            with cgutils.for_range_slice(builder, ir.Constant(width.type, 0), width, stride) as (
                place,
                _,
            ):
                here = vector_at(builder, one, builder.add(begin, place), VECTOR)
                left = builder.load(here, align=4)
                for start, total in zip(begins, sums, strict=True):
                    there = vector_at(builder, other, builder.add(start, place), VECTOR)
                    product = builder.fmul(left, builder.load(there, align=4), flags=FUSED)
                    builder.store(builder.fadd(builder.load(total), product, flags=FUSED), total)
            for step, total in enumerate(sums):
                place = builder.add(at, ir.Constant(at.type, step))
                score = add_halves(builder, builder.load(total))
                builder.store(score, builder.gep(out, [place]))
            return context.get_dummy_value()

        return types.void(x, types.intp, y, rows, types.intp, scores), emit

    return _products


def _tile_moves(count: int, into: str) -> Callable[..., Any]:
    """Return a step that moves rows; `into` says where the sum goes: set, add (to a row of e) or self (x)."""

    def _moves(
        typing_context: Any,  # noqa: ARG001
        x: Any,
        i: Any,  # noqa: ARG001
        y: Any,
        rows: Any,
        at: Any,  # noqa: ARG001
        pulls: Any,
        e: Any,
        j: Any,  # noqa: ARG001
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = starts(context, builder, signature, arguments)
            (one, shape), (other, _), (listed, _), (given, _), (sums, _) = found
            width, at = shape[1], arguments[4]
            begin = builder.mul(arguments[1], width)
            result = builder.mul(arguments[7], width)
            begins, scales = [], []
            for step in range(count):
                begins.append(builder.mul(_row_of(builder, listed, at, step), width))
                place = builder.add(at, ir.Constant(at.type, step))
                scales.append(spread(builder, builder.load(builder.gep(given, [place])), VECTOR))
            stride = ir.Constant(width.type, LANES)
            with cgutils.for_range_slice(builder, ir.Constant(width.type, 0), width, stride) as (
                place,
                _,
            ):
                here = vector_at(builder, one, builder.add(begin, place), VECTOR)
                old = builder.load(here, align=4)
                if into == "self":
                    target, total = here, old
                else:
                    target = vector_at(builder, sums, builder.add(result, place), VECTOR)
                    zero = ir.Constant(VECTOR, [0.0] * LANES)
                    total = builder.load(target, align=4) if into == "add" else zero
                for start, scale in zip(begins, scales, strict=True):
                    there = vector_at(builder, other, builder.add(start, place), VECTOR)
                    row = builder.load(there, align=4)
                    part = builder.fmul(scale, row, flags=FUSED)
                    total = builder.fadd(total, part, flags=FUSED)
                    moved = builder.fmul(scale, old, flags=FUSED)
                    builder.store(builder.fadd(row, moved, flags=FUSED), there, align=4)
                builder.store(total, target, align=4)
            return context.get_dummy_value()

        return types.void(x, types.intp, y, rows, types.intp, pulls, e, types.intp), emit

    return _moves


def exponential(builder: Any, x: Any) -> Any:
    """Return exp(x) of a vector whose numbers are at most LARGEST in size."""

    def all_of(value: float) -> Any:
        return ir.Constant(VECTOR, [value] * LANES)

    down = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR]), f"llvm.floor.v{LANES}f32"
    )
    scaled = builder.fadd(builder.fmul(x, all_of(LOG2_E)), all_of(0.5))
    power = builder.call(down, [scaled])
    rest = builder.fsub(x, builder.fmul(power, all_of(LN2_HIGH)))
    rest = builder.fsub(rest, builder.fmul(power, all_of(LN2_LOW)))
    total = all_of(EXPONENTIAL[0])
    for one in EXPONENTIAL[1:]:
        total = builder.fadd(builder.fmul(total, rest, flags=FUSED), all_of(one), flags=FUSED)
    square = builder.fmul(rest, rest)
    total = builder.fadd(builder.fmul(total, square, flags=FUSED), rest, flags=FUSED)
    total = builder.fadd(total, all_of(1.0))
    whole = builder.add(builder.fptosi(power, WORDS), ir.Constant(WORDS, [127] * LANES))
    bits = builder.shl(whole, ir.Constant(WORDS, [23] * LANES))
    return builder.fmul(total, builder.bitcast(bits, VECTOR))


def _slopes(typing_context: Any, scores: Any, first: Any, last: Any, rate: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ((data, shape),) = starts(context, builder, signature, arguments)
        less = spread(builder, builder.fneg(arguments[3]), VECTOR)
        stride = ir.Constant(shape[0].type, LANES)
        high, low, one = (ir.Constant(VECTOR, [v] * LANES) for v in (LARGEST, -LARGEST, 1.0))
        with cgutils.for_range_slice(builder, arguments[1], arguments[2], stride) as (at, _):
            here = vector_at(builder, data, at, VECTOR)
            x = builder.load(here, align=4)
            x = builder.select(builder.fcmp_ordered(">", x, high), high, x)
            x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
            part = builder.fadd(one, exponential(builder, builder.fneg(x)))
            builder.store(builder.fdiv(less, part), here, align=4)
        return context.get_dummy_value()

    return types.void(scores, types.intp, types.intp, types.float32), emit


def _add_part(
    typing_context: Any,  # noqa: ARG001
    x: Any,
    i: Any,  # noqa: ARG001
    scale: Any,  # noqa: ARG001
    y: Any,
    j: Any,  # noqa: ARG001
    first: Any,  # noqa: ARG001
    last: Any,  # noqa: ARG001
) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (source, shape), (target, _) = starts(context, builder, signature, arguments)
        begin, result = (builder.mul(arguments[at], shape[1]) for at in (1, 4))
        scale = spread(builder, arguments[2], VECTOR)
        stride = ir.Constant(shape[1].type, LANES)
        with cgutils.for_range_slice(builder, arguments[5], arguments[6], stride) as (at, _):
            here = vector_at(builder, source, builder.add(begin, at), VECTOR)
            there = vector_at(builder, target, builder.add(result, at), VECTOR)
            part = builder.fmul(scale, builder.load(here, align=4), flags=FUSED)
            total = builder.fadd(builder.load(there, align=4), part, flags=FUSED)
            builder.store(total, there, align=4)
        return context.get_dummy_value()

    signature = types.void(x, types.intp, types.float32, y, types.intp, types.intp, types.intp)
    return signature, emit


def _sum_rows(into: str) -> Callable[..., Any]:
    """Return a step that sums listed rows of x in registers; `into` says where it goes: set or add (a row of y)."""

    def _sum(
        typing_context: Any,  # noqa: ARG001
        x: Any,
        rows: Any,
        scales: Any,
        n: Any,  # noqa: ARG001
        y: Any,
        j: Any,  # noqa: ARG001
        first: Any,  # noqa: ARG001
        last: Any,  # noqa: ARG001
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = starts(context, builder, signature, arguments)
            (source, shape), (listed, _), (given, _), (target, _) = found
            count, result, left, right = (arguments[at] for at in (3, 5, 6, 7))
            width = shape[1]
            result = builder.mul(result, width)

            def columns(begin: Any, end: Any, blocks: int) -> None:
                """Emit the loop over columns begin ... end - 1 in steps of `blocks` vectors."""
                stride = ir.Constant(width.type, blocks * LANES)
                sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(blocks)]
                with cgutils.for_range_slice(builder, begin, end, stride) as (column, _):
                    steps = [ir.Constant(width.type, LANES * b) for b in range(blocks)]
                    out = builder.add(result, column)
                    places = [
                        vector_at(builder, target, builder.add(out, step), VECTOR) for step in steps
                    ]
                    zero = ir.Constant(VECTOR, [0.0] * LANES)
                    for place, total in zip(places, sums, strict=True):
                        old = builder.load(place, align=4) if into == "add" else zero
                        builder.store(old, total)
                    with cgutils.for_range(builder, count) as loop:
                        row = builder.mul(_row_of(builder, listed, loop.index, 0), width)
                        scale = builder.load(builder.gep(given, [loop.index]))
                        scale = spread(builder, scale, VECTOR)
                        start = builder.add(row, column)
                        for step, total in zip(steps, sums, strict=True):
                            here = vector_at(builder, source, builder.add(start, step), VECTOR)
                            part = builder.fmul(scale, builder.load(here, align=4), flags=FUSED)
                            builder.store(
                                builder.fadd(builder.load(total), part, flags=FUSED), total
                            )
                    for place, total in zip(places, sums, strict=True):
                        builder.store(builder.load(total), place, align=4)

            whole = ir.Constant(width.type, BLOCKS * LANES)
            rest = builder.srem(builder.sub(right, left), whole)
            middle = builder.sub(right, rest)
            columns(left, middle, BLOCKS)
            columns(middle, right, 1)
            return context.get_dummy_value()

        number = types.intp
        return types.void(x, rows, scales, number, y, number, number, number), emit

    return _sum


Number = float | np.float32
Sums = Callable[[F32, I32, F32, int, F32, int, int, int], None]
Products = Callable[[F32, int, F32, I32, int, F32], None]
Moves = Callable[[F32, int, F32, I32, int, F32, F32, int], None]

tile_products: Products = intrinsic(_tile_products(TILE))
"""(x, i, y, rows, at, scores): scores[at + k] = x[i] . y[rows[at + k]] for k < TILE; x (n, d), y (m, d)."""
row_product: Products = intrinsic(_tile_products(1))
"""`tile_products` for one row alone."""
tile_sets: Moves = intrinsic(_tile_moves(TILE, "set"))
"""(x, i, y, rows, at, pulls, e, j): e[j] = sum_k pulls[at + k] y[rows[at + k]], and each of these rows moves
by pulls[at + k] x[i]; one after the other, k < TILE. x (n, d), y (m, d), e (r, d)."""
tile_adds: Moves = intrinsic(_tile_moves(TILE, "add"))
"""`tile_sets` with the sum added to e[j]."""
tile_steps: Moves = intrinsic(_tile_moves(TILE, "self"))
"""`tile_sets` with the sum added to x[i], after the rows moved by its old value; e and j are not read."""
row_adds: Moves = intrinsic(_tile_moves(1, "add"))
"""`tile_adds` for one row alone."""
slopes: Callable[[F32, int, int, Number], None] = intrinsic(_slopes)
"""(scores, first, last, rate): scores[first:last] = -rate sigma(scores[first:last]), in whole eights."""
add_part: Callable[[F32, int, Number, F32, int, int, int], None] = intrinsic(_add_part)
"""(x, i, scale, y, j, first, last): y[j, first:last] += scale x[i, first:last]; first and last are multiples
of eight, d is the same in x (n, d) and y (m, d)."""
set_sum: Sums = intrinsic(_sum_rows("set"))
"""(x, rows, scales, n, y, j, first, last): y[j, first:last] = sum_k scales[k] x[rows[k], first:last], k < n in order;
first and last are multiples of eight, d is the same in x (n, d) and y (m, d)."""
add_sum: Sums = intrinsic(_sum_rows("add"))
"""`set_sum` that begins with what is there."""
