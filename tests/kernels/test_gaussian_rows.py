"""Random streams and small factorizations against plain Python and NumPy in float64."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from twofold.kernels._random import GOLDEN, mix
from twofold.kernels.gaussian_rows import (
    add_outer,
    cholesky,
    conditional_rows,
    fill_normal,
    solve_lower,
    solve_upper,
)

WORD = 2**64 - 1


def splitmix(state):
    """The finaliser of splitmix64 in Python's own integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & WORD
    return state ^ (state >> 31)


def stream(seed, row):
    """Where the stream (seed, row) begins."""
    start = splitmix((seed + int(GOLDEN)) & WORD)
    return splitmix((start + (row + 1) * int(GOLDEN)) & WORD)


def normals(seed, row, count):
    """Box and Muller's transform of the stream, pair by pair."""
    state, out = stream(seed, row), []
    for _ in range(0, count, 2):
        state = (state + int(GOLDEN)) & WORD
        first = ((splitmix(state) >> 11) + 1) * 2.0**-53
        state = (state + int(GOLDEN)) & WORD
        angle = (splitmix(state) >> 11) * 2.0**-53 * 2 * np.pi
        out += [np.sqrt(-2 * np.log(first)) * one(angle) for one in (np.cos, np.sin)]
    return out[:count]


@given(st.integers(0, WORD))
def test_words_are_mixed_as_in_splitmix(word):
    assert int(mix(np.uint64(word))) == splitmix(word)


def test_the_first_words_of_the_published_generator():
    """The first three outputs of splitmix64 from the seed 1234567."""
    states = [(1234567 + (at + 1) * int(GOLDEN)) & WORD for at in range(3)]
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(mix(np.uint64(one))) for one in states] == expected


@given(seed=st.integers(1, 2**31 - 1), row=st.integers(0, 10**6), count=st.integers(1, 9))
def test_normals_are_those_of_the_stream(seed, row, count):
    out = np.empty(count)
    fill_normal(seed, row, out)
    np.testing.assert_allclose(out, normals(seed, row, count), rtol=1e-12, atol=1e-12)


def test_normals_are_normal_and_rows_unrelated():
    rows = np.empty((400, 50))
    for row in range(400):
        fill_normal(5, row, rows[row])
    assert kstest(rows.ravel(), "norm").pvalue > 0.01
    apart = np.corrcoef(rows) - np.eye(400)
    assert abs(apart.sum()) / 400**2 < 0.01


@given(seed=st.integers(0, 999), d=st.integers(1, 12))
def test_cholesky_and_its_two_solves(seed, d):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    a, b = root @ root.T + np.eye(d), rng.normal(size=d)
    factor, x = a.copy(), b.copy()
    cholesky(factor)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(a), rtol=1e-9, atol=1e-9)
    solve_lower(factor, x)
    np.testing.assert_allclose(np.tril(factor) @ x, b, rtol=1e-9, atol=1e-9)
    solve_upper(factor, x)
    np.testing.assert_allclose(a @ x, b, rtol=1e-8, atol=1e-8)


@given(seed=st.integers(0, 999), d=st.integers(1, 9))
def test_outer_products_are_added_below_the_diagonal(seed, d):
    rng = np.random.default_rng(seed)
    v, gram = rng.normal(size=d).astype(np.float32), np.zeros((d, d), np.float32)
    add_outer(gram, v, 0.7)
    np.testing.assert_allclose(gram, np.tril(0.7 * np.outer(v, v)), rtol=1e-6, atol=1e-6)


@given(seed=st.integers(1, 999), d=st.integers(1, 5))
def test_a_draw_is_the_mean_and_the_noise_of_its_stream(seed, d):
    """x = A^-1 b + L^-T z, where A = L L' and z are the normals of (seed, row)."""
    rng = np.random.default_rng(seed)
    indptr, item = np.array([0, 2, 2, 5]), rng.integers(0, 4, 5).astype(np.int32)
    weight, pull = rng.uniform(0.1, 2, (2, 5)).astype(np.float32)
    v = rng.normal(size=(4, d)).astype(np.float32)
    base, shift = np.eye(d) * 1.5, rng.normal(size=d)
    out = np.empty((3, d), np.float32)
    conditional_rows(indptr, item, weight, pull, v, base, shift, 0.2, seed, out)
    for row in range(3):
        at = slice(indptr[row], indptr[row + 1])
        y = v[item[at]].astype(float)
        a = base + (y.T * weight[at]) @ y + 0.2 * len(y) * np.eye(d)
        lower = np.linalg.cholesky(a)
        noise = np.linalg.solve(lower.T, normals(seed, row, d))
        expected = np.linalg.solve(a, shift + y.T @ pull[at]) + noise
        np.testing.assert_allclose(out[row], expected, rtol=1e-3, atol=1e-4)
