"""Steps on padded rows, beside NumPy's, for every length."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels import _rows


@numba.njit
def products(x, i, y, rows, at, scores):
    _rows.tile_products(x, i, y, rows, at, scores)


@numba.njit
def one_product(x, i, y, rows, at, scores):
    _rows.row_product(x, i, y, rows, at, scores)


@numba.njit
def sets(x, i, y, rows, at, pulls, e, j):
    _rows.tile_sets(x, i, y, rows, at, pulls, e, j)


@numba.njit
def adds(x, i, y, rows, at, pulls, e, j):
    _rows.tile_adds(x, i, y, rows, at, pulls, e, j)


@numba.njit
def one_add(x, i, y, rows, at, pulls, e, j):
    _rows.row_adds(x, i, y, rows, at, pulls, e, j)


@numba.njit
def steps(x, i, y, rows, at, pulls, e, j):
    _rows.tile_steps(x, i, y, rows, at, pulls, e, j)


@numba.njit
def fall(scores, first, last, rate):
    _rows.slopes(scores, first, last, rate)


@numba.njit
def add(x, i, scale, y, j, first, last):
    _rows.add_part(x, i, scale, y, j, first, last)


lengths = given(st.integers(1, 40), st.integers(0, 2**32 - 1))


def made(seed, d):
    rng = np.random.default_rng(seed)
    x, y, e = (_rows.widened(rng.normal(size=(n, d)).astype(np.float32)) for n in (3, 9, 2))
    rows = rng.integers(0, 9, 8).astype(np.int32)  # some come twice
    return x, y, e, rows, rng.normal(size=8).astype(np.float32)


def test_rows_are_padded_with_zeros_to_whole_eights():
    wide = _rows.widened(np.ones((2, 9), np.float32))
    assert wide.shape == (2, 16)
    assert wide[:, :9].all()
    assert not wide[:, 9:].any()
    assert [_rows.padded(d) for d in (1, 8, 9)] == [8, 8, 16]


@lengths
def test_products_are_numpys(d, seed):
    x, y, _, rows, scores = made(seed, d)
    kept = scores.copy()
    products(x, 2, y, rows, 1, scores)
    wanted = y[rows[1:7]].astype(float) @ x[2]
    np.testing.assert_allclose(scores[1:7], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scores[[0, 7]], kept[[0, 7]])
    one_product(x, 2, y, rows, 7, scores)
    np.testing.assert_allclose(scores[7], y[rows[7]].astype(float) @ x[2], rtol=1e-4, atol=1e-5)


@lengths
@pytest.mark.parametrize("kernel", [sets, adds, one_add, steps], ids=lambda one: one.__name__)
def test_moves_are_one_after_the_other(kernel, d, seed):
    x, y, e, rows, pulls = made(seed, d)
    x0, plain, total = x.astype(float), y.astype(float), np.zeros(x.shape[1])
    if kernel in (adds, one_add):
        total += e[1]
    for k in range(1, 2 if kernel is one_add else 7):
        total += float(pulls[k]) * plain[rows[k]]
        plain[rows[k]] += float(pulls[k]) * x0[2]
    others = e.copy()
    kernel(x, 2, y, rows, 1, pulls, e, 1)
    np.testing.assert_allclose(y, plain, rtol=1e-3, atol=1e-4)
    if kernel is steps:
        np.testing.assert_allclose(x[2], x0[2] + total, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(e, others)
    else:
        np.testing.assert_allclose(e[1], total, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(e[0], others[0])


def test_slopes_are_the_sigmoid_everywhere():
    scores = np.linspace(-120, 120, 4_000).astype(np.float32)
    found = scores.copy()
    fall(found, 8, 3_992, np.float32(0.5))
    with np.errstate(over="ignore"):
        wanted = -0.5 / (1 + np.exp(-scores.astype(float)))
    np.testing.assert_allclose(found[8:3_992], wanted[8:3_992], rtol=3e-7, atol=1e-34)
    np.testing.assert_array_equal(found[:8], scores[:8])
    np.testing.assert_array_equal(found[3_992:], scores[3_992:])


def test_slopes_are_finite_where_scores_are_huge():
    found = np.array([3e38, -3e38, np.inf, -np.inf, 81, -81, 0, -0.0], np.float32)
    fall(found, 0, 8, np.float32(1.0))
    np.testing.assert_allclose(found, [-1, 0, -1, 0, -1, 0, -0.5, -0.5], atol=1e-30)


def test_a_part_of_a_row_is_added():
    x, y, _, _, _ = made(0, 24)
    wanted = y.astype(float)
    wanted[4, 8:16] += 0.3 * x[1, 8:16]
    add(x, 1, np.float32(0.3), y, 4, 8, 16)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
