"""Inner products whose order of summation is fixed.

A compiler that may reorder a sum does so differently from one compilation to the next, and picks one of
several orders by where the arrays happen to lie: then equal inputs give unequal last bits, and a model
does not answer alike in two processes. Here product k goes to place ``k mod 16`` of sixteen sums (of
eight in float64), which are added pairwise at the end; the last products, too few for all places, are
added one after the other to a sum of their own. Each function is called from kernels only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from twofold.kernels._vector import FUSED, vector_at
from twofold.typing import F32, F64

intrinsic: Any = extending.intrinsic
Floats = F32 | F64

BYTES = 32
"""Size of one vector: eight floats, or four doubles."""
VECTORS = 2
"""Vectors of running sums of one product."""


def add_halves(builder: Any, value: Any) -> Any:
    """Return the sum of the places of a vector: its halves are added until one place is left."""
    number = ir.IntType(32)
    lanes = value.type.count
    while lanes > 1:
        lanes //= 2
        undefined = ir.Constant(value.type, ir.Undefined)
        halves = [
            builder.shuffle_vector(
                value,
                undefined,
                ir.Constant(
                    ir.VectorType(number, lanes), [number(first + k) for k in range(lanes)]
                ),
            )
            for first in (0, lanes)
        ]
        value = builder.fadd(*halves)
    return builder.extract_element(value, number(0))


def _inner_products(
    builder: Any, width: Any, scalar: Any, pairs: Sequence[Callable[[Any, Any], tuple[Any, Any]]]
) -> list[Any]:
    """Return sum_k a_k b_k for each of `pairs`: functions of a reader and k that return a_k and b_k.

    A reader takes the start of an array and k, and returns what is there: a number or a vector.
    """
    size = 4 if isinstance(scalar, ir.FloatType) else 8
    lanes = BYTES // size
    vector = ir.VectorType(scalar, lanes)
    zeros = ir.Constant(vector, [0.0] * lanes)
    sums = [[cgutils.alloca_once_value(builder, zeros) for _ in range(VECTORS)] for _ in pairs]
    tails = [cgutils.alloca_once_value(builder, ir.Constant(scalar, 0.0)) for _ in pairs]
    stride = ir.Constant(width.type, lanes * VECTORS)
    whole = builder.sub(width, builder.urem(width, stride))

    def read_vector(data: Any, at: Any) -> Any:
        return builder.load(vector_at(builder, data, at, vector), align=size)

    def read_number(data: Any, at: Any) -> Any:
        return builder.load(builder.gep(data, [at]))

    def add(place: Any, both: tuple[Any, Any]) -> None:
        product = builder.fmul(*both, flags=FUSED)
        builder.store(builder.fadd(builder.load(place), product, flags=FUSED), place)

    zero, one = ir.Constant(width.type, 0), ir.Constant(width.type, 1)
    with cgutils.for_range_slice(builder, zero, whole, stride) as (at, _):
        for part in range(VECTORS):
            here = builder.add(at, ir.Constant(width.type, lanes * part))
            for places, pair in zip(sums, pairs, strict=True):
                add(places[part], pair(read_vector, here))
    with cgutils.for_range_slice(builder, whole, width, one) as (at, _):
        for tail, pair in zip(tails, pairs, strict=True):
            add(tail, pair(read_number, at))
    totals: list[Any] = []
    for places, tail in zip(sums, tails, strict=True):
        together = builder.load(places[0])
        for place in places[1:]:
            together = builder.fadd(together, builder.load(place))
        totals.append(builder.fadd(add_halves(builder, together), builder.load(tail)))
    return totals


def starts(context: Any, builder: Any, signature: Any, arguments: Any) -> list[tuple[Any, Any]]:
    """Return the start and the shape of every argument that is an array."""
    made = [
        context.make_array(kind)(context, builder, argument)
        for kind, argument in zip(signature.args, arguments, strict=True)
        if isinstance(kind, types.Array)
    ]
    return [(one.data, cgutils.unpack_tuple(builder, one.shape)) for one in made]


def _contiguous(*arrays: Any) -> bool:
    return all(one.layout == "C" and one.dtype == arrays[0].dtype for one in arrays)


def _dot(typing_context: Any, x: Any, y: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (left, shape), (right, _) = starts(context, builder, signature, arguments)
        scalar = context.get_value_type(signature.return_type)

        def pair(read: Any, at: Any) -> tuple[Any, Any]:
            return read(left, at), read(right, at)

        return _inner_products(builder, shape[0], scalar, [pair])[0]

    return (x.dtype(x, y), emit) if _contiguous(x, y) else None


def _dot_difference(typing_context: Any, x: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (left, shape), (plus, _), (minus, _) = starts(context, builder, signature, arguments)
        scalar = context.get_value_type(signature.return_type)

        def pair(read: Any, at: Any) -> tuple[Any, Any]:
            return read(left, at), builder.fsub(read(plus, at), read(minus, at))

        return _inner_products(builder, shape[0], scalar, [pair])[0]

    return (x.dtype(x, a, b), emit) if _contiguous(x, a, b) else None


def _dot_four(typing_context: Any, rows: Any, first: Any, x: Any) -> Any:  # noqa: ARG001
    result = types.UniTuple(rows.dtype, 4)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (source, shape), (right, _) = starts(context, builder, signature, arguments)
        scalar = context.get_value_type(rows.dtype)

        def pair_of(row: int) -> Callable[[Any, Any], tuple[Any, Any]]:
            index = builder.add(arguments[1], ir.Constant(shape[1].type, row))
            start = builder.gep(source, [builder.mul(index, shape[1])])
            return lambda read, at: (read(start, at), read(right, at))

        sums = _inner_products(builder, shape[1], scalar, [pair_of(row) for row in range(4)])
        return context.make_tuple(builder, result, sums)

    return (result(rows, types.intp, x), emit) if _contiguous(rows, x) else None


dot: Callable[[Floats, Floats], float] = intrinsic(_dot)
"""(x, y): return x . y, both (d,)."""
dot_difference: Callable[[Floats, Floats, Floats], float] = intrinsic(_dot_difference)
"""(x, a, b): return x . (a - b), all (d,)."""
dot_four: Callable[[Floats, int, Floats], tuple[float, float, float, float]] = intrinsic(_dot_four)
"""(rows, first, x): return the products of rows first ... first + 3 of `rows` (n, d) with x (d,)."""
