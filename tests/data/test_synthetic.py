"""Generated logs: exact sizes, distinct pairs, one seed one log, and tastes that can be found."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.data.synthetic import activity, movielens_like, small_log
from twofold.errors import ConfigError
from twofold.kernels.sample_log import fill_alias_tables


def arrays(data):
    events = data.interactions
    return [events.user, events.item, events.value, events.time]


@given(
    n_users=st.integers(2, 40),
    n_items=st.integers(2, 60),
    fill=st.floats(0, 1),
    factors=st.integers(1, 9),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=40)
def test_a_log_has_the_sizes_asked_for(n_users, n_items, fill, factors, seed):
    n_events = n_users + int(fill * n_users * (n_items // 2 - 1))
    data = movielens_like(n_users, n_items, n_events, factors, seed)
    user, item, value, time = arrays(data)
    assert (data.n_users, data.n_items, len(data)) == (n_users, n_items, n_events)
    assert len(np.unique(user.astype(np.int64) * n_items + item)) == n_events, "a pair occurs twice"
    assert np.bincount(user, minlength=n_users).min() >= 1
    assert set(np.unique(value * 2)) <= set(range(1, 11))
    assert (np.lexsort((time, user)) == np.arange(n_events)).all(), "not in user-time order"
    assert [a.dtype.name for a in arrays(data)] == ["int32", "int32", "float32", "int64"]


def test_one_seed_one_log_for_every_number_of_threads():
    one = arrays(movielens_like(200, 100, 3000, 5, rng=4))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        two = arrays(movielens_like(200, 100, 3000, 5, rng=4))
    finally:
        numba.set_num_threads(threads)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    other = arrays(movielens_like(200, 100, 3000, 5, rng=5))
    assert not (one[1] == other[1]).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50).filter(lambda w: sum(w) > 0))
@settings(deadline=None, max_examples=50)
def test_alias_tables_hold_the_distribution(weights):
    weights = np.array([weights]) / sum(weights)
    chance = np.empty(weights.shape, np.float32)
    alias = np.empty(weights.shape, np.int32)
    fill_alias_tables(weights, chance, alias)
    mass = chance[0].astype(float)
    np.add.at(mass, alias[0], 1.0 - chance[0])
    np.testing.assert_allclose(mass / len(mass), weights[0], atol=1e-6)


def test_activity_is_long_tailed_and_exact():
    lengths = activity(5000, 700_000, 13_500, np.random.default_rng(0))
    assert lengths.sum() == 700_000
    assert lengths.min() == 20
    assert lengths.max() <= 13_500
    assert np.median(lengths) < 0.6 * lengths.mean()


def test_popularity_is_skewed_and_the_tail_is_there():
    counts = np.sort(movielens_like(3000, 1000, 150_000).interactions.item_counts)[::-1]
    assert counts[:100].sum() > 0.4 * counts.sum()
    assert (counts > 0).mean() > 0.8


def test_tastes_can_be_found():
    """Most of a user's items tell more of the others than popularity does."""
    data = small_log(rng=1)
    seen = data.interactions.matrix().toarray() > 0
    hide = np.random.default_rng(0).random(seen.shape) < 0.3
    known, hidden = (seen & ~hide).astype(float), seen & hide
    together = known.T @ known
    cosine = together / np.sqrt(np.outer(known.sum(0), known.sum(0)) + 1)
    np.fill_diagonal(cosine, 0)

    def precision(scores):
        best = np.argsort(-np.where(known > 0, -np.inf, scores), axis=1)[:, :10]
        return np.take_along_axis(hidden, best, axis=1).mean()

    personal = precision(known @ cosine)
    popular = precision(np.broadcast_to(known.sum(0), known.shape))
    assert personal > 1.3 * popular


def test_items_carry_the_tastes_they_belong_to():
    data = small_log()
    column = data.items.features["tastes"]
    assert len(column) == data.n_items
    assert column.is_tags
    assert (np.diff(column.indptr) >= 1).mean() > 0.9
    assert data.frame("items")["tastes"][0][0].startswith("taste ")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1, 10, 5), "n_users and n_items must be >= 2"),
        ((10, 10, 5), "n_events must lie between"),
        ((10, 10, 51), "half of all pairs = 50"),
        ((10, 10, 20, 0), "factors must lie between"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, said):
    with pytest.raises(ConfigError, match=said):
        movielens_like(*sizes)
