"""Items that join and leave an index are found, or not, exactly as if it had been made anew."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.index.coded import Coded
from twofold.index.layered import NONE, Layered, ragged


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 3),
    m=st.integers(1, 60),
    added=st.integers(0, 20),
    k=st.integers(1, 12),
    whole=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_lists_are_those_of_one_index_of_everything(seed, n, m, added, k, whole):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 5)).astype(np.float32)
    items = rng.standard_normal((m + added, 5)).astype(np.float32)
    if whole:  # ties, which go to the lower row
        vectors, items = np.rint(vectors), np.rint(items)
    gone = rng.choice(m + added, rng.integers(0, (m + added) // 2 + 1), replace=False)
    gone = gone.astype(np.int32)
    hidden = [rng.choice(m + added, rng.integers(0, 5), replace=True) for _ in range(n)]
    bounds, flat = ragged([one.astype(np.int32) for one in hidden] or [NONE])
    bounds = bounds[: n + 1]
    layered = Layered.of(Coded.of(items[:m], NONE), m, items[m:], gone)
    found, best = layered.search(vectors, bounds, flat, k)
    expected, scores = Coded.of(items, gone).search(vectors, bounds, flat, k)
    assert found.tolist() == expected.tolist()
    assert best.tobytes() == scores.tobytes()


def test_nothing_added_and_nothing_gone_costs_nothing():
    base = Coded.of(np.eye(3, dtype=np.float32), NONE)
    asked = np.ones((1, 3), np.float32), np.zeros(2, np.int64), NONE, 2
    assert Layered.of(base, 3, None, NONE).search(*asked)[0].tolist() == [[0, 1]]
    assert Layered.of(base, 3, np.zeros((0, 3), np.float32), NONE).added is None
