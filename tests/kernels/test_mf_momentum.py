"""Minibatches with momentum against dense matrices in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels.mf_momentum import coast, deal, item_gradients, move, user_gradients


def ratings(seed, n=9, m=7, d=3):
    """Random ratings, two of them of the same pair, in two batches; parameters to start from."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((n, m)) < 0.5)
    user, item = np.append(user, user[:1]), np.append(item, item[:1])
    value = rng.normal(size=len(user)).astype(np.float32)
    batch = rng.integers(0, 2, len(user)).astype(np.int32)
    u, v = (rng.normal(size=shape).astype(np.float32) for shape in ((n, d), (m, d)))
    return user.astype(np.int32), item.astype(np.int32), value, batch, u, v


@given(seed=st.integers(0, 999), count=st.integers(2, 4))
def test_every_rating_is_dealt_once_to_its_batch(seed, count):
    user, item, value, batch, _, _ = ratings(seed)
    made = deal(user, item, value, batch, count)
    runs, batches = made.by_user, np.empty(len(user), np.int32)
    who = np.repeat(runs.row, np.diff(runs.start))
    for one in range(count):
        first, last = runs.start[runs.batch[one]], runs.start[runs.batch[one + 1]]
        batches[first:last] = one
        inside = runs.row[runs.batch[one] : runs.batch[one + 1]]
        assert np.all(np.diff(inside) > 0), "a row has two runs in one batch"
    got = sorted(zip(batches, who, made.item, made.value, strict=True))
    assert got == sorted(zip(batch, user, item, value, strict=True))
    by_item = made.by_item
    which = np.repeat(by_item.row, np.diff(by_item.start))
    np.testing.assert_array_equal(made.item[made.place], which)
    np.testing.assert_array_equal(who[made.place], made.user)


@pytest.mark.parametrize("height", [0.0, 4.0])
@given(seed=st.integers(0, 999))
def test_a_batch_moves_both_sides_down_the_gradient(height, seed):
    """velocity = 0.9 velocity - pull x - rate dE/dx, summed over the batch, all from the old values."""
    user, item, value, batch, u, v = ratings(seed)
    rng = np.random.default_rng(seed + 1)
    made = deal(user, item, value, batch, 2)
    speed_u, speed_v = (rng.normal(size=one.shape).astype(np.float32) for one in (u, v))
    was = [one.astype(float) for one in (u, v, speed_u, speed_v)]
    slope, loss = np.empty(len(user), np.float32), np.zeros(len(made.by_user.row))
    coast(speed_u, u, 0.9, 0.02)
    coast(speed_v, v, 0.9, 0.03)
    start, row, bounds = made.by_user
    user_gradients(
        start, row, bounds[1], bounds[2], made.item, made.value, u, v, height, 0.1, speed_u, slope, loss
    )  # fmt: skip
    start, row, bounds = made.by_item
    item_gradients(start, row, bounds[1], bounds[2], made.place, made.user, u, slope, 0.1, speed_v)
    move(u, speed_u)
    move(v, speed_v)

    old_u, old_v, expected_u, expected_v = was
    expected_u = 0.9 * expected_u - 0.02 * old_u
    expected_v = 0.9 * expected_v - 0.03 * old_v
    total = 0.0
    for i, j, r in zip(user[batch == 1], item[batch == 1], value[batch == 1], strict=True):
        product = old_u[i] @ old_v[j]
        g = 1 / (1 + np.exp(-product))
        error = r - (height * g if height else product)
        push = error * height * g * (1 - g) if height else error
        total += error**2
        expected_u[i] += 0.1 * push * old_v[j]
        expected_v[j] += 0.1 * push * old_u[i]
    np.testing.assert_allclose(u, old_u + expected_u, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(v, old_v + expected_v, rtol=1e-4, atol=1e-5)
    assert loss.sum() == pytest.approx(total, rel=1e-4, abs=1e-6)
