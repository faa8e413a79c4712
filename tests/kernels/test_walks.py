"""Walks on a graph against dense matrix powers and a walker in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from twofold.kernels.row_products import row_products
from twofold.kernels.walks import random_walks, walk_sums

GOLDEN = 0x9E3779B97F4A7C15
WORD = 2**64 - 1


def graph(seed, n=9, density=0.3):
    rng = np.random.default_rng(seed)
    made = np.triu(rng.random((n, n)) < density, 1)
    made |= made.T
    sparse = csr_array(made.astype(float))
    return made, sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32)


@given(seed=st.integers(0, 999), steps=st.integers(1, 6))
def test_sums_over_walks_are_matrix_powers(seed, steps):
    dense, indptr, neighbours = graph(seed)
    rng = np.random.default_rng(seed)
    weight, coefficient = rng.random(9), rng.normal(size=steps)
    coefficient[rng.random(steps) < 0.3] = 0
    sources = np.array([0, 4, 7], np.int32)
    targets = rng.integers(0, 9, 12).astype(np.int32)
    out = np.empty(12)
    walk_sums(
        indptr, neighbours, weight, coefficient, sources, np.array([0, 5, 5, 12]), targets, out
    )
    w = weight[:, None] * dense
    total = sum(c * np.linalg.matrix_power(w, t + 1) for t, c in enumerate(coefficient))
    twin = total[np.repeat(sources, [5, 0, 7]), targets]
    np.testing.assert_allclose(out, twin, rtol=1e-12, atol=1e-12)


def mix(state):
    word = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def twin_walks(indptr, neighbours, starts, seed, length):
    out = np.full((len(starts), length), -1, np.int32)
    for row, start in enumerate(starts.tolist()):
        state = mix((mix((seed + GOLDEN) & WORD) + (row + 1) * GOLDEN) & WORD)
        node = out[row, 0] = start
        for step in range(1, length):
            near = neighbours[indptr[node] : indptr[node + 1]]
            if not len(near):
                break
            word = mix((state + step * GOLDEN) & WORD)
            node = out[row, step] = near[((word >> 32) * len(near)) >> 32]
    return out


@pytest.mark.parametrize("seed", range(5))
def test_random_walks_are_those_of_the_twin(seed):
    _, indptr, neighbours = graph(seed, density=0.15)
    starts = np.tile(np.arange(9, dtype=np.int32), 3)
    out = np.empty((27, 8), np.int32)
    random_walks(indptr, neighbours, starts, seed + 1, out)
    np.testing.assert_array_equal(out, twin_walks(indptr, neighbours, starts, seed + 1, 8))


def test_every_neighbour_is_as_likely():
    # A star: from the middle each of four ways, back each time.
    indptr = np.array([0, 4, 5, 6, 7, 8])
    neighbours = np.array([1, 2, 3, 4, 0, 0, 0, 0], np.int32)
    out = np.empty((8000, 2), np.int32)
    random_walks(indptr, neighbours, np.zeros(8000, np.int32), 3, out)
    counts = np.bincount(out[:, 1], minlength=5)
    assert counts[0] == 0
    # Four standard deviations of a binomial around 2,000.
    assert (np.abs(counts[1:] - 2000) < 4 * np.sqrt(8000 * 0.25 * 0.75)).all()


@given(seed=st.integers(0, 999))
def test_products_of_rows_are_those_of_dense_rows(seed):
    rng = np.random.default_rng(seed)
    one, other = (np.where(rng.random((6, 8)) < 0.4, rng.normal(size=(6, 8)), 0) for _ in range(2))
    left, right = rng.integers(0, 6, (2, 20)).astype(np.int32)
    parts = []
    for dense in (one, other):
        sparse = csr_array(dense)
        parts += [sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32), sparse.data]
    out = np.empty(20)
    row_products(*parts, left, right, out)
    np.testing.assert_allclose(out, np.einsum("pd,pd->p", one[left], other[right]), atol=1e-12)
