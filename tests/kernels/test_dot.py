"""Inner products in a fixed order, beside NumPy's."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels._dot import dot, dot_difference, dot_four


@numba.njit
def plain(x, y):
    return dot(x, y)


@numba.njit
def difference(x, a, b):
    return dot_difference(x, a, b)


@numba.njit
def four(rows, first, x):
    return dot_four(rows, first, x)


def written_order(x, y):
    """The order that the module promises, in the precision of the arrays, without fused roundings."""
    places = 16 if x.dtype == np.float32 else 8
    whole = len(x) // places * places
    sums = np.zeros(places, x.dtype)
    for start in range(0, whole, places):
        sums += x[start : start + places] * y[start : start + places]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    tail = x.dtype.type(0)
    for k in range(whole, len(x)):
        tail += x[k] * y[k]
    return sums[0] + tail


@given(st.integers(0, 70), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_products_are_numpys(d, seed, kind):
    rng = np.random.default_rng(seed)
    x, a, b = rng.normal(size=(3, d)).astype(kind)
    rows = rng.normal(size=(6, d)).astype(kind)
    found = np.array([plain(x, a), difference(x, a, b), *four(rows, 1, x)])
    x, a, b, rows = (one.astype(np.float64) for one in (x, a, b, rows))
    near = 1e-4 if kind == np.float32 else 1e-12
    np.testing.assert_allclose(found, [x @ a, x @ (a - b), *(rows[1:5] @ x)], rtol=near, atol=near)


@given(st.integers(0, 70), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_the_order_is_the_promised_one_at_every_address(d, seed, kind):
    rng = np.random.default_rng(seed)
    # Small whole numbers, far apart: sums are rounded, products are not.
    x = rng.choice([1.0, 3.0, 1e6, -1e6], d).astype(kind)
    y = rng.choice([1.0, 2.0**24, -(2.0**24)], d).astype(kind)
    wanted = written_order(x, y)
    for offset in range(9):
        moved = np.zeros(d + offset, kind)[offset:]
        moved[:] = x
        assert plain(moved, y) == wanted
        assert four(np.tile(moved, (4, 1)), 0, y)[3] == wanted


def test_strided_arrays_are_refused():
    matrix = np.ones((4, 4))
    with pytest.raises(numba.TypingError):
        plain(matrix[:, 0], matrix[:, 1])
