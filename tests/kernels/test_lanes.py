"""Steps on short rows, beside NumPy's, for every length."""

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels._lanes import add_row, shift_row, square_less


@numba.njit
def forward(v, row, x, q, s):
    add_row(v, row, x, q, s)


@numba.njit
def backward(v, row, keep, pull, q):
    shift_row(v, row, keep, pull, q)


@numba.njit
def reduced(q, s):
    return square_less(q, s)


lengths = given(st.integers(0, 40), st.integers(0, 2**32 - 1))


def numbers(seed, d):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(3, d)).astype(np.float32), *rng.normal(size=(2, d)).astype(np.float32)  # fmt: skip


@lengths
def test_a_row_is_added_with_its_squares(d, seed):
    rng, v, q, s = numbers(seed, d)
    x = np.float32(rng.normal())
    wanted = q + x * v[1], s + (x * v[1]) ** 2
    forward(v, 1, x, q, s)
    np.testing.assert_allclose(q, wanted[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(s, wanted[1], rtol=1e-5, atol=1e-6)


@lengths
def test_a_row_moves_and_its_neighbours_stay(d, seed):
    _, v, q, _ = numbers(seed, d)
    wanted = v.copy()
    wanted[1] = np.float32(0.9) * v[1] - np.float32(0.3) * q
    backward(v, 1, np.float32(0.9), np.float32(0.3), q)
    np.testing.assert_allclose(v, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(v[[0, 2]], wanted[[0, 2]])


@lengths
def test_the_reduction_is_numpys_and_the_same_at_every_address(d, seed):
    _, _, q, s = numbers(seed, d)
    found = reduced(q, s)
    np.testing.assert_allclose(
        found, q.astype(float) @ q - s.astype(float).sum(), rtol=1e-4, atol=1e-5
    )
    for offset in range(1, 9):
        room = np.zeros(2 * d + 16, np.float32)
        one, other = room[offset : offset + d], room[offset + d : offset + 2 * d]
        one[:], other[:] = q, s
        assert reduced(one, other) == found
