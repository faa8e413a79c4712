"""The least squares kernels against the same equations in NumPy float64, row by row."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.kernels import als
from twofold.kernels.co_occurrence import co_occurrence_rows, largest
from twofold.kernels.gram import add_gram, factorize, gram_blocks, substitute

METHODS = (als.EXACT, als.CONJUGATE_GRADIENT, als.BLOCK)


def problem(seed, n=9, m=30, d=16, fill=0.3, weights=(1.0, 0.0, 1.0, 0.0)):
    """Random rows of events and everything else that `solve_rows` reads, as keywords."""
    rng = np.random.default_rng(seed)
    seen = rng.random((n, m)) < fill
    seen[0] = False
    counts = seen.sum(axis=1)
    return {
        "order": np.argsort(-counts, kind="stable"),
        "indptr": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "items": np.nonzero(seen)[1].astype(np.int32),
        "values": rng.integers(1, 6, counts.sum()).astype(np.float32),
        "weights": np.array(weights, np.float32),
        "fixed": rng.normal(size=(m, d)).astype(np.float32),
        "base": rng.uniform(0.1, 2, d).astype(np.float32),
        "moment": rng.uniform(0.5, 2, d).astype(np.float32),
        "ridge": rng.uniform(0.1, 2, n).astype(np.float32),
        "out": rng.normal(size=(n, d)).astype(np.float32),
    }


def run(asked, method, size=0, lanes=2):
    """Return what the kernel makes of a copy of `out`."""
    out = asked["out"].copy()
    counter = np.zeros(1, np.int64)
    als.solve_rows(**(asked | {"out": out}), method=method, size=size, counter=counter, lanes=lanes)
    return out


def systems(asked):
    """Yield (row, A, b) of every row with events, in float64."""
    w0, w1, c0, c1 = asked["weights"].astype(float)
    for row in range(len(asked["out"])):
        events = slice(asked["indptr"][row], asked["indptr"][row + 1])
        value = asked["values"][events].astype(float)
        y = asked["fixed"][asked["items"][events]].astype(float)
        a = np.diag(asked["base"].astype(float) + asked["ridge"][row])
        if len(y):
            yield row, a + (y.T * (w0 + w1 * value)) @ y, y.T @ (c0 + c1 * value)


@given(
    seed=st.integers(0, 999),
    d=st.sampled_from([16, 32, 48, 112]),
    weights=st.sampled_from([(1, 0, 1, 0), (0, 40, 1, 40), (0.9, 2, 1, 2)]),
)
@settings(deadline=None, max_examples=30)
def test_exact_rows_solve_their_systems(seed, d, weights):
    asked = problem(seed, d=d, weights=weights)
    out = run(asked, als.EXACT)
    assert not out[0].any(), "a row without events is not zero"
    for row, a, b in systems(asked):
        left_over = np.linalg.norm(a @ out[row] - b)
        assert left_over <= 1e-4 * (
            np.linalg.norm(a) * np.linalg.norm(out[row]) + np.linalg.norm(b)
        )


@given(seed=st.integers(0, 999), steps=st.integers(1, 4), d=st.sampled_from([16, 48]))
@settings(deadline=None, max_examples=30)
def test_conjugate_gradients_are_the_textbook_ones(seed, steps, d):
    asked = problem(seed, d=d, weights=(0.5, 1, 1, 1))
    out = run(asked, als.CONJUGATE_GRADIENT, steps)
    for row, a, b in systems(asked):
        x = asked["out"][row].astype(float)
        n = asked["indptr"][row + 1] - asked["indptr"][row]
        scale = asked["base"] + asked["ridge"][row] + n * asked["moment"].astype(float)
        r = b - a @ x
        z = r / scale
        p = z.copy()
        for _ in range(steps):
            step = (r @ z) / (p @ a @ p)
            x += step * p
            new = r - step * a @ p
            turn = (new @ (new / scale)) / (r @ z)
            r, z = new, new / scale
            p = z + turn * p
        assert np.linalg.norm(out[row] - x) <= 5e-3 * (1 + np.linalg.norm(x))


@given(seed=st.integers(0, 999), size=st.sampled_from([16, 32]), d=st.sampled_from([16, 48]))
@settings(deadline=None, max_examples=30)
def test_blocks_are_solved_one_after_the_other(seed, size, d):
    asked = problem(seed, d=d, weights=(0.5, 1, 1, 1))
    out = run(asked, als.BLOCK, min(size, d))
    for row, a, b in systems(asked):
        x = asked["out"][row].astype(float)
        for first in range(0, d, size):
            part = slice(first, min(first + size, d))
            x[part] += np.linalg.solve(a[part, part], (b - a @ x)[part])
        assert np.linalg.norm(out[row] - x) <= 5e-3 * (1 + np.linalg.norm(x))


@pytest.mark.parametrize("method", METHODS)
def test_the_result_does_not_depend_on_the_threads(method):
    asked = problem(3, n=200, d=32)
    threads = numba.get_num_threads()
    one = run(asked, method, 16, lanes=1)
    try:
        numba.set_num_threads(1)
        two = run(asked, method, 16, lanes=3)
    finally:
        numba.set_num_threads(threads)
    assert one.tobytes() == two.tobytes() == run(asked, method, 16, lanes=2).tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_rows_too_long_for_the_buffer_are_solved_exactly(method):
    d = 16
    n = als.BUFFER_FLOATS // d + 1
    rng = np.random.default_rng(0)
    asked = problem(0, n=1, d=d) | {
        "indptr": np.array([0, n]),
        "items": rng.integers(0, 30, n).astype(np.int32),
        "values": np.zeros(0, np.float32),
        "order": np.zeros(1, np.int64),
    }
    out = run(asked, method, 16)
    y = asked["fixed"][asked["items"]].astype(float)
    a = np.diag(asked["base"].astype(float) + asked["ridge"][0]) + y.T @ y
    np.testing.assert_allclose(out[0], np.linalg.solve(a, y.sum(axis=0)), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_spare_factors_stay_zero(method):
    asked = problem(5, d=32)
    for name in ("fixed", "out"):
        asked[name][:, 20:] = 0
    asked["base"][20:] = 0
    assert not run(asked, method, 16)[:, 20:].any()


@given(
    seed=st.integers(0, 999),
    n=st.integers(0, 700),
    d=st.sampled_from([16, 32, 48, 80]),
    blocks=st.integers(1, 5),
)
@settings(deadline=None, max_examples=30)
def test_gram_matrices(seed, n, d, blocks):
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    expected = np.triu(rows.astype(float).T @ rows)
    out = np.zeros((d, d), np.float32)
    add_gram(rows, n, out)
    parts = np.empty((blocks, d, d), np.float32)
    gram_blocks(rows, parts)
    np.testing.assert_allclose(np.triu(out), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(np.triu(parts.sum(axis=0)), expected, rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 999), d=st.sampled_from([16, 32, 48, 80]))
@settings(deadline=None, max_examples=20)
def test_cholesky(seed, d):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2 * d, d))
    a = rows.T @ rows + np.eye(d)
    u = a.astype(np.float32)
    factorize(u)
    np.testing.assert_allclose(np.triu(u), np.linalg.cholesky(a).T, rtol=1e-3, atol=1e-3)
    b = rng.normal(size=d).astype(np.float32)
    x = b.copy()
    substitute(u, x)
    np.testing.assert_allclose(a @ x, b, atol=1e-2)


@given(seed=st.integers(0, 999), n=st.integers(1, 12), m=st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_products_with_the_own_transpose(seed, n, m):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 4, (n, m)).astype(np.float32)
    rows, columns = np.nonzero(a), np.nonzero(a.T)
    first = int(rng.integers(0, m))
    out = np.full((m - first, m), np.nan, np.float32)
    co_occurrence_rows(
        first,
        np.concatenate([[0], np.cumsum((a > 0).sum(axis=1))]),
        rows[1].astype(np.int32),
        a[rows],
        np.concatenate([[0], np.cumsum((a > 0).sum(axis=0))]),
        columns[1].astype(np.int32),
        a.T[columns],
        out,
    )
    np.testing.assert_array_equal(out, (a.T @ a)[first:])


@given(seed=st.integers(0, 999), m=st.integers(1, 20), k=st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_largest_entries(seed, m, k):
    k = min(k, m)
    scores = np.random.default_rng(seed).integers(-2, 5, (4, m)).astype(np.float32)
    columns, values = np.empty((4, k), np.int32), np.empty((4, k), np.float32)
    largest(scores.copy(), k, columns, values)
    for row in range(4):
        best = np.argsort(-scores[row], kind="stable")[:k]
        expected = np.sort(best[scores[row][best] > 0])
        kept = columns[row] >= 0
        np.testing.assert_array_equal(columns[row][kept], expected)
        np.testing.assert_array_equal(values[row][kept], scores[row][expected])
        assert not values[row][~kept].any()
