"""The pass over 8-bit codes finds exactly what a full product finds, ties and masks included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.index.coded import Coded
from twofold.kernels._bytes import BYTES
from twofold.kernels.coded import code_rows, top_k_coded
from twofold.kernels.top_k import rescore_block

NONE = np.zeros(0, np.int32)


def all_scores(vectors, item_vectors):
    """Every product in the order of summation of the kernels, shape (n, m)."""
    n, m = len(vectors), len(item_vectors)
    items = np.tile(np.arange(m, dtype=np.int32), (n, 1))
    best = np.zeros((n, m), np.float32)
    rescore_block(vectors, item_vectors, np.ones(n, np.bool_), items, best)
    scores = np.empty((n, m), np.float32)
    np.put_along_axis(scores, items, best, 1)
    return scores


def twin(vectors, item_vectors, banned, hidden, k):
    """Sort everything by (score down, row up)."""
    scores = all_scores(vectors, item_vectors)
    items = np.full((len(vectors), k), -1, np.int32)
    best = np.full((len(vectors), k), -np.inf, np.float32)
    for row, line in enumerate(scores):
        allowed = np.setdiff1d(np.arange(len(line)), np.concatenate([banned, hidden[row]]))
        order = allowed[np.lexsort((allowed, -line[allowed]))][:k]
        items[row, : len(order)], best[row, : len(order)] = order, line[order]
    return items, best


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 4),
    m=st.integers(1, 700),
    d=st.integers(1, 70),
    k=st.integers(1, 12),
    kind=st.sampled_from(["normal", "few values", "tied", "zeros", "tiny", "huge", "skewed"]),
)
@settings(max_examples=150)
def test_lists_are_those_of_a_full_sort(seed, n, m, d, k, kind):
    rng = np.random.default_rng(seed)
    vectors, items = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    match kind:
        case "few values":
            vectors, items = np.rint(vectors), np.rint(items)
        case "tied":
            items = items[rng.integers(0, max(1, m // 10), m)]
        case "zeros":
            items[rng.random(m) < 0.5] = 0
            vectors[0] = 0
        case "tiny":
            items *= 1e-18
        case "huge":
            items *= 1e15
        case "skewed":
            items *= np.exp(-rng.exponential(3, m))[:, None]
    vectors, items = vectors.astype(np.float32), items.astype(np.float32)
    banned = rng.choice(m, m // 10, replace=False).astype(np.int32)
    hidden = [rng.choice(m, rng.integers(0, m // 3 + 1), replace=False) for _ in range(n)]
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in hidden])]).astype(np.int64)
    flat = np.concatenate(hidden).astype(np.int32) if n else NONE
    found, best = Coded.of(items, banned).search(vectors, indptr, flat, k)
    expected, scores = twin(vectors, items, banned, hidden, k)
    assert found.tolist() == expected.tolist()
    assert best.tobytes() == scores.tobytes()


def test_what_the_codes_say_is_what_they_lose():
    """The oracle of the codes: step * codes + rest is the vector, and the rest is as long as is said."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50, 33)).astype(np.float32)
    vectors[3] = 0
    codes = np.zeros((50, 2 * BYTES), np.int8)
    steps, losts, lengths = np.empty((3, 50), np.float32)
    order = rng.permutation(50).astype(np.int32)
    code_rows(vectors, order, codes, np.empty((0, 50), np.float32), steps, losts, lengths)
    exact = vectors[order].astype(np.float64)
    step = np.abs(exact).max(axis=1, keepdims=True) / 127
    whole = np.rint(np.divide(exact, step, out=np.zeros_like(exact), where=step > 0))
    assert (codes[:, :33] == whole).all()
    assert not codes[:, 33:].any()
    np.testing.assert_allclose(losts, np.linalg.norm(exact - step * whole, axis=1), rtol=1e-5)
    np.testing.assert_allclose(lengths, np.linalg.norm(exact, axis=1), rtol=1e-6)


def test_a_bias_beside_the_vectors_costs_no_row_of_codes():
    """The oracle again, where the codes have no room for the last number."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50, 33)).astype(np.float32)
    vectors[:, -1] *= 100
    coded = Coded.of(vectors, NONE)
    assert coded.codes.shape == (50, BYTES)
    exact = vectors[coded.order].astype(np.float64)
    np.testing.assert_array_equal(coded.tails, vectors[coded.order, BYTES:].T)
    head = exact[:, :BYTES]
    step = np.abs(head).max(axis=1, keepdims=True) / 127
    np.testing.assert_array_equal(coded.codes, np.rint(head / step))
    lost = np.linalg.norm(head - step * np.rint(head / step), axis=1)
    np.testing.assert_allclose(coded.losts, lost, rtol=1e-5)
    np.testing.assert_allclose(coded.lengths, np.linalg.norm(exact, axis=1), rtol=1e-6)


@pytest.mark.parametrize("shape", ["spread", "skewed"])
def test_few_products_are_made(shape):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1, 64)).astype(np.float32)
    items = rng.standard_normal((20_000, 64)).astype(np.float32)
    if shape == "skewed":
        items *= np.exp(-rng.exponential(2, 20_000)).astype(np.float32)[:, None]
    coded = Coded.of(items, NONE)
    found, best = np.full((1, 10), -1, np.int32), np.full((1, 10), -np.inf, np.float32)
    made = top_k_coded(
        vectors, coded.item_vectors, coded.order, coded.codes, coded.tails, coded.steps, coded.losts,
        coded.lengths, np.zeros(2, np.int64), NONE, np.zeros(20_000, np.uint8), found, best,
    )  # fmt: skip
    assert 10 <= made < 400


def test_nothing_is_asked_or_nothing_is_there():
    coded = Coded.of(np.zeros((0, 4), np.float32), NONE)
    found, best = coded.search(np.ones((2, 4), np.float32), np.zeros(3, np.int64), NONE, 3)
    assert (found == -1).all()
    assert np.isneginf(best).all()
    assert Coded.of(np.ones((5, 4), np.float32), NONE).search(np.zeros((0, 4), np.float32), np.zeros(1, np.int64), NONE, 2)[0].shape == (0, 2)  # fmt: skip
