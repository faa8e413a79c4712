"""EASE against the constrained regressions that it solves, one item at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import twofold as tw
from twofold.errors import DataError
from twofold.models.baselines import ease
from twofold.models.baselines.ease import EASE, check_memory, free_memory, invert, item_weights


def random_pairs(seed, n=20, m=9, fill=0.4):
    return (np.random.default_rng(seed).random((n, m)) < fill).astype(np.float32)


@given(seed=st.integers(0, 999), m=st.integers(1, 14), reg=st.floats(0.5, 200))
@settings(deadline=None, max_examples=40)
def test_each_column_is_a_ridge_regression_on_the_other_items(seed, m, reg):
    x = random_pairs(seed, m=m)
    found = item_weights(csr_array(x), reg)
    assert found.dtype == np.float32
    for j in range(m):
        others = np.arange(m) != j
        a = x[:, others].astype(float)
        expected = np.linalg.solve(a.T @ a + reg * np.eye(m - 1), a.T @ x[:, j])
        np.testing.assert_allclose(found[others, j], expected, rtol=1e-4, atol=1e-5)
        assert found[j, j] == 0


def test_the_result_does_not_depend_on_the_blocks(monkeypatch):
    x = csr_array(random_pairs(0, m=13))
    whole = item_weights(x, 3.0)
    monkeypatch.setattr(ease, "ROWS", 4)
    monkeypatch.setattr("twofold.models.baselines._pairs.BLOCK_BYTES", 3 * 4 * 13)
    np.testing.assert_array_equal(item_weights(x, 3.0), whole)


@given(seed=st.integers(0, 999), m=st.integers(1, 20))
@settings(deadline=None, max_examples=20)
def test_inverse_in_place(seed, m):
    a = np.random.default_rng(seed).normal(size=(2 * m, m))
    p = a.T @ a + np.eye(m)
    inverse = np.linalg.inv(p)
    invert(p)
    np.testing.assert_allclose(np.tril(p), np.tril(inverse), atol=1e-9)


def test_scores_are_the_history_times_the_weights():
    x = random_pairs(3)
    user, item = np.nonzero(x)
    data = tw.Dataset.from_frames({"u": user, "i": item}, user="u", item="i")
    model = EASE(reg=5.0).fit(data)
    expected = x @ item_weights(csr_array(x), 5.0)
    lists = model.recommend(users=list(range(len(x))), k=9, exclude_seen=False)
    for row, part in enumerate(lists.partition_by("user", maintain_order=True)):
        found = np.empty(9)
        found[part["item"].to_numpy()] = part["score"].to_numpy()
        np.testing.assert_allclose(found, expected[row], atol=1e-5)


def test_values_and_repetitions_are_not_read():
    once = {"u": [1, 1, 2, 3], "i": ["a", "b", "b", "a"], "v": [1.0, 2.0, 3.0, 4.0]}
    twice = {name: column + column for name, column in once.items()}
    a, b = (
        EASE().fit(tw.Dataset.from_frames(log, user="u", item="i", value="v")).weights
        for log in (once, twice)
    )
    np.testing.assert_array_equal(a, b)


def test_a_catalogue_too_large_for_the_memory_is_refused():
    with pytest.raises(DataError, match=r"EASE needs 1\.2 GB .* 10,000 items and 1\.0 GB are free"):
        check_memory(10_000, 1e9)
    check_memory(10_000, 1.3e9)
    assert free_memory() > 1e6
