"""Steps on short rows of floats, eight at a time and without a look at whether arrays overlap.

A loop that the compiler turns into vectors asks first whether its arrays overlap, and takes 32 floats at
a time: rows of eight then cost more than rows of 64. The steps below are written as vectors of eight; what
is left over is taken one by one. Each function is called from kernels only.
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
from twofold.typing import F32

Row = int | np.uint64


def _over_row(
    builder: Any, width: Any, step: Callable[[Any, Callable[[Any], Any], Any], None]
) -> None:
    """Call `step` with a kind, a way to repeat a number in that kind, and an index, over 0 ... width.

    The kind is a vector of eight floats as long as eight are left, then one float.
    """
    one, number = ir.IntType(64), ir.FloatType()
    vector = ir.VectorType(number, LANES)
    stride = ir.Constant(one, LANES)
    whole = builder.sub(width, builder.urem(width, stride))
    with cgutils.for_range_slice(builder, ir.Constant(one, 0), whole, stride) as (at, _):
        step(vector, lambda value: spread(builder, value, vector), at)
    with cgutils.for_range_slice(builder, whole, width, ir.Constant(one, 1)) as (at, _):
        step(number, lambda value: value, at)


def _add_row(typing_context: Any, v: Any, row: Any, x: Any, q: Any, s: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (source, shape), (total, _), (squares, _) = starts(context, builder, signature, arguments)
        begin = builder.mul(arguments[1], shape[1])

        def step(kind: Any, repeat: Callable[[Any], Any], at: Any) -> None:
            here = vector_at(builder, source, builder.add(begin, at), kind)
            part = builder.fmul(builder.load(here, align=4), repeat(arguments[2]))
            into, beside = (vector_at(builder, one, at, kind) for one in (total, squares))
            builder.store(builder.fadd(builder.load(into, align=4), part), into, align=4)
            square = builder.fmul(part, part, flags=FUSED)
            more = builder.fadd(builder.load(beside, align=4), square, flags=FUSED)
            builder.store(more, beside, align=4)

        _over_row(builder, shape[1], step)
        return context.get_dummy_value()

    return types.void(v, types.intp, types.float32, q, s), emit


def _shift_row(typing_context: Any, v: Any, row: Any, keep: Any, pull: Any, q: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (source, shape), (total, _) = starts(context, builder, signature, arguments)
        begin = builder.mul(arguments[1], shape[1])

        def step(kind: Any, repeat: Callable[[Any], Any], at: Any) -> None:
            here = vector_at(builder, source, builder.add(begin, at), kind)
            there = builder.load(vector_at(builder, total, at, kind), align=4)
            away = builder.fmul(there, repeat(arguments[3]), flags=FUSED)
            kept = builder.fmul(builder.load(here, align=4), repeat(arguments[2]), flags=FUSED)
            builder.store(builder.fsub(kept, away, flags=FUSED), here, align=4)

        _over_row(builder, shape[1], step)
        return context.get_dummy_value()

    return types.void(v, types.intp, types.float32, types.float32, q), emit


def _square_less(typing_context: Any, q: Any, s: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (total, shape), (squares, _) = starts(context, builder, signature, arguments)
        vector = ir.VectorType(ir.FloatType(), LANES)
        places = {
            str(kind): cgutils.alloca_once_value(builder, ir.Constant(kind, zero))
            for kind, zero in ((vector, [0.0] * LANES), (ir.FloatType(), 0.0))
        }

        def step(kind: Any, repeat: Callable[[Any], Any], at: Any) -> None:
            del repeat
            one = builder.load(vector_at(builder, total, at, kind), align=4)
            other = builder.load(vector_at(builder, squares, at, kind), align=4)
            less = builder.fsub(builder.fmul(one, one, flags=FUSED), other, flags=FUSED)
            place = places[str(kind)]
            builder.store(builder.fadd(builder.load(place), less), place)

        _over_row(builder, shape[0], step)
        together = add_halves(builder, builder.load(places[str(vector)]))
        return builder.fadd(together, builder.load(places[str(ir.FloatType())]))

    return types.float32(q, s), emit


add_row: Callable[[F32, Row, float, F32, F32], None] = intrinsic(_add_row)
"""(v, row, x, q, s): q += x v[row] and s += (x v[row])^2; v (n, d), q and s (d,), C-contiguous."""
shift_row: Callable[[F32, Row, float, float, F32], None] = intrinsic(_shift_row)
"""(v, row, keep, pull, q): v[row] = keep v[row] - pull q; v (n, d) and q (d,), C-contiguous."""
square_less: Callable[[F32, F32], float] = intrinsic(_square_less)
"""(q, s): return sum_f q_f^2 - s_f, both (d,).

Term f goes to place f mod 8 of eight sums, which are added pairwise at the end; the last terms, too few
for all places, are added one after the other to a sum of their own.
"""
