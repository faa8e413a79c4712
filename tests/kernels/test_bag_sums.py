"""Sums over bags, and what flows back from them, beside dense products in float64."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels import sums

shapes = given(
    n=st.integers(0, 30), m=st.integers(1, 12), d=st.integers(1, 40), seed=st.integers(0, 2**32 - 1)
)


def made(n, m, d, seed):
    """Bags that may overlap, be empty or hold an id twice; a table, and a slope of every sum."""
    rng = np.random.default_rng(seed)
    ids, weights = rng.integers(0, m, 50).astype(np.int32), rng.normal(size=50).astype(np.float32)
    starts = rng.integers(0, 50, n)
    stops = np.minimum(starts + rng.integers(0, 20, n), 50)
    table, slope = (rng.normal(size=(k, d)).astype(np.float32) for k in (m, n))
    return (starts, stops, ids, weights), table, slope


def dense(bags, m):
    """The weight of every id in every bag, (n, m)."""
    starts, stops, ids, weights = bags
    found = np.zeros((len(starts), m))
    for b, (start, stop) in enumerate(zip(starts, stops)):
        np.add.at(found[b], ids[start:stop], weights[start:stop])
    return found


@shapes
def test_sums_are_a_product(n, m, d, seed):
    bags, table, _ = made(n, m, d, seed)
    out = np.full((n, d), np.nan, np.float32)
    sums.sum_bags(*bags, table, out)
    np.testing.assert_allclose(out, dense(bags, m) @ table, rtol=1e-4, atol=1e-5)


@shapes
@pytest.mark.parametrize("scattered", [0, 1000])
def test_what_flows_back_is_the_transposed_product(scattered, n, m, d, seed):
    bags, table, slope = made(n, m, d, seed)
    out = np.full(table.shape, np.nan, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "SCATTERED", scattered)
        sums.add_back(*bags, slope, out)
    np.testing.assert_allclose(out, dense(bags, m).T @ slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scattered", [0, 1000])
def test_the_threads_do_not_change_a_bit(scattered, monkeypatch):
    monkeypatch.setattr(sums, "SCATTERED", scattered)
    rng = np.random.default_rng(0)
    starts = np.arange(0, 4000, 10)
    ids, weights = rng.integers(0, 50, 4010), rng.normal(size=4010).astype(np.float32)
    slope = rng.normal(size=(400, 20)).astype(np.float32)
    found = []
    before = numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        found.append(np.empty((50, 20), np.float32))
        sums.add_back(starts, starts + 10, ids, weights, slope, found[-1])
    np.testing.assert_array_equal(*found)
