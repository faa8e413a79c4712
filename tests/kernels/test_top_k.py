"""Lists of the best items against a stable sort of all scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.index.exact import Packed, top_k, top_products


def ragged(rng, n, m, most):
    """Return items to leave out for each of n queries, repeats among them."""
    lengths = rng.integers(0, most + 1, n)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return indptr, rng.integers(0, m, indptr[-1]).astype(np.int32)


def sorted_lists(scores, indptr, seen, banned, k):
    """Sort every row of scores literally: score down, item up; masked items are not there."""
    items = np.full((len(scores), k), -1)
    for row, line in enumerate(scores):
        hidden = {*seen[indptr[row] : indptr[row + 1]].tolist(), *banned.tolist()}
        order = sorted((-one, item) for item, one in enumerate(line) if item not in hidden)[:k]
        items[row, : len(order)] = [item for _, item in order]
    return items


SHAPES = {"n": st.integers(1, 30), "m": st.integers(1, 150), "seed": st.integers(0, 10_000)}


@given(**SHAPES, levels=st.sampled_from([2, 5, 10_000]), share=st.floats(0.01, 1))
def test_scores_are_ranked_as_a_stable_sort_ranks_them(n, m, seed, levels, share):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-levels, levels + 1, (n, m)) / 7).astype(np.float32)
    scores[scores == 0] = -0.0
    k = max(1, int(share * m))
    indptr, seen = ragged(rng, n, m, m // 3)
    banned = np.unique(rng.integers(0, m, m // 10)).astype(np.int32)
    expected = sorted_lists(scores, indptr, seen, banned, k)
    items, best = top_k(scores.copy(), indptr, seen, banned, k)
    np.testing.assert_array_equal(items, expected)
    known = expected >= 0
    np.testing.assert_array_equal(
        best[known], np.take_along_axis(scores, np.maximum(expected, 0), axis=1)[known]
    )
    assert (best[~known] == -np.inf).all()


@given(**SHAPES, d=st.integers(1, 20), share=st.floats(0.01, 1), spread=st.floats(0, 3))
def test_products_are_ranked_as_their_scores_are(n, m, seed, d, share, spread):
    """Whole numbers have exact products, so that ties are ties whichever way they are summed."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, (n, d)).astype(np.float32)
    scale = np.round(np.exp(spread * rng.standard_normal((m, 1))))
    item_vectors = (rng.integers(-3, 4, (m, d)) * scale).astype(np.float32)
    k = max(1, int(share * m))
    indptr, seen = ragged(rng, n, m, m // 3)
    banned = np.unique(rng.integers(0, m, m // 10)).astype(np.int32)
    expected = sorted_lists(vectors @ item_vectors.T, indptr, seen, banned, k)
    packed = Packed.of(item_vectors, banned)
    items, _ = top_products(vectors, packed, indptr, seen, k)
    np.testing.assert_array_equal(items, expected)


@pytest.mark.parametrize("m", [40, 700])
def test_long_catalogues_and_long_lists_fill_their_room_many_times(m):
    """Scores that rise with the item are the worst case: every one of them enters the list."""
    rising = np.arange(1, m + 1, dtype=np.float32)
    none = np.zeros(0, np.int32)
    k = 9
    items, _ = top_k(np.tile(rising, (3, 1)), np.zeros(4, np.int64), none, none, k)
    np.testing.assert_array_equal(items, np.tile(np.arange(m - 1, m - 1 - k, -1), (3, 1)))
    packed = Packed.of(rising[:, None], none)
    found, _ = top_products(np.ones((3, 1), np.float32), packed, np.zeros(4, np.int64), none, k)
    np.testing.assert_array_equal(found, items)
    worst, _ = top_products(-np.ones((3, 1), np.float32), packed, np.zeros(4, np.int64), none, k)
    np.testing.assert_array_equal(worst, np.tile(np.arange(k), (3, 1)))


def test_everything_left_out_gives_an_empty_list():
    none = np.zeros(0, np.int32)
    packed = Packed.of(np.ones((3, 2), np.float32), np.arange(3, dtype=np.int32))
    items, best = top_products(np.ones((2, 2), np.float32), packed, np.zeros(3, np.int64), none, 2)
    assert (items == -1).all()
    assert (best == -np.inf).all()
