"""Generated logs against plain Python that follows the same streams."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels._random import GOLDEN
from twofold.kernels.sample_log import (
    PATIENCE,
    PAUSE,
    draw_items,
    draw_values_and_times,
    fill_alias_tables,
)

WORD = 2**64 - 1


def splitmix(state):
    """The finaliser of splitmix64 in Python's own integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & WORD
    return state ^ (state >> 31)


def stream(seed, user):
    """Where the stream of one user begins."""
    start = splitmix((seed + int(GOLDEN)) & WORD)
    return splitmix((start + (user + 1) * int(GOLDEN)) & WORD)


def uniform(begin, place):
    """Number `place` of a stream."""
    return (splitmix((begin + (place + 1) * int(GOLDEN)) & WORD) >> 11) * 2.0**-53


def tables(weights):
    chance = np.empty(weights.shape, np.float32)
    alias = np.empty(weights.shape, np.int32)
    fill_alias_tables(weights, chance, alias)
    return chance, alias


@given(seed=st.integers(0, 999), m=st.integers(1, 40))
def test_alias_tables_give_every_column_its_weight(seed, m):
    """A column is drawn by its own chance, and by what the others leave to it."""
    weights = np.random.default_rng(seed).pareto(1.0, (2, m)) + 1e-3
    weights /= weights.sum(axis=1, keepdims=True)
    for share, chance, alias in zip(weights, *tables(weights), strict=True):
        given_away = np.bincount(alias, 1 - chance.astype(float), minlength=m)
        np.testing.assert_allclose((chance + given_away) / m, share, rtol=1e-5, atol=1e-6)


def log(seed, n=6, m=20, k=2):
    """Users with a mixture of two tastes, and how many items each takes."""
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, m, n))])
    mixture = np.cumsum(rng.dirichlet(np.ones(k), n), axis=1).astype(np.float32)
    mixture[:, -1] = 1
    weights = rng.dirichlet(np.ones(m) * 0.3, k)
    return indptr, mixture, weights, rng


@given(seed=st.integers(0, 999), groups=st.integers(1, 3))
def test_items_are_drawn_as_the_stream_says(seed, groups):
    indptr, mixture, weights, _ = log(seed)
    chance, alias = tables(weights)
    item = np.empty(indptr[-1], np.int32)
    draw_items(seed, indptr, mixture, chance, alias, groups, item)
    m = weights.shape[1]
    for user in range(len(mixture)):
        begin, drawn, taken = stream(seed, user), 0, []
        for at in range(indptr[user], indptr[user + 1]):
            for _ in range(PATIENCE):
                first, second = uniform(begin, drawn), uniform(begin, drawn + 1)
                drawn += 2
                taste = int(np.searchsorted(mixture[user, :-1], first, side="right"))
                column = min(int(second * m), m - 1)
                kept = second * m - column < chance[taste, column]
                found = column if kept else int(alias[taste, column])
                if found not in taken:
                    break
            while found in taken:
                found = (found + 1) % m
            taken.append(found)
            assert item[at] == found


@given(seed=st.integers(0, 999))
def test_values_and_times_are_drawn_as_the_stream_says(seed):
    indptr, mixture, weights, rng = log(seed)
    item = np.concatenate([np.arange(one) for one in np.diff(indptr)]).astype(np.int32)
    liking = rng.normal(size=weights.shape).astype(np.float32)
    user_bias = rng.normal(3, 1, len(mixture)).astype(np.float32)
    item_bias = rng.normal(0, 0.5, weights.shape[1]).astype(np.float32)
    value, time = np.empty(len(item), np.float32), np.empty(len(item), np.int64)
    draw_values_and_times(
        seed, indptr, item, mixture, liking, user_bias, item_bias, 0.5, 1000, 500, 30.0, value, time
    )  # fmt: skip
    for user in range(len(mixture)):
        begin, drawn = stream(seed, user), 1
        now = 1000 + 500 * uniform(begin, 0)
        shares = np.diff(mixture[user].astype(float), prepend=0)
        for at in range(indptr[user], indptr[user + 1]):
            score = user_bias[user] + item_bias[item[at]] + shares @ liking[:, item[at]]
            noise = sum(uniform(begin, drawn + one) for one in range(12)) - 6
            exact = np.clip(2 * (score + 0.5 * noise), 1, 10)
            assert abs(2 * value[at] - exact) <= 0.5 + 1e-4, "not the nearest half step"
            assert 2 * value[at] == round(2 * value[at])
            assert time[at] == int(now)
            pause = -np.log(1 - uniform(begin, drawn + 12))
            long = uniform(begin, drawn + 13) * 12 < 1
            now += 1 + pause * (30.0 if long else PAUSE)
            drawn += 14
