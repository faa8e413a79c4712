"""The softmax and its derivatives beside NumPy's in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels import softmax

settings = given(
    n=st.integers(1, 130), m=st.integers(1, 80), d=st.integers(1, 40), inside=st.booleans(), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip


def made(n, m, d, inside, seed):
    rng = np.random.default_rng(seed)
    u, v = (rng.normal(size=(k, d)).astype(np.float32) for k in (n, m))
    shift, own = (rng.normal(size=k).astype(np.float32) for k in (m, n))
    return u, v, shift, rng.integers(0 if inside else -1, m, n), None if inside else own


def wanted(u, v, shift, column, own):
    """The mean loss and its derivatives by u, v, shift and own, all rows and columns at once."""
    n = len(u)
    z = u.astype(float) @ v.T + shift
    inside = own is None
    own = z[np.arange(n), column] if inside else own.astype(float)
    mine = column[:, None] == np.arange(len(v))
    e = np.where(mine, 0, np.exp(z))
    total = np.exp(own) + e.sum(1)
    p = e / total[:, None] / n
    pull = p.sum(1)
    if inside:
        p = p - mine * pull[:, None]
    return np.mean(np.log(total) - own), p @ v, p.T @ u, p.sum(0), pull


def found(given, room=None):
    need = softmax.room_for(len(given[0]), len(given[1]))
    return softmax.softmax_among(
        *given, np.full(need, np.nan, np.float32) if room is None else room
    )


@settings
def test_it_is_numpys(n, m, d, inside, seed):
    given = made(n, m, d, inside, seed)
    for one, other in zip(found(given), wanted(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def test_rows_in_several_goes_are_those_in_one(monkeypatch):
    given = made(3 * softmax.TASK + 5, 20, 9, True, 0)
    at_once = found(given)
    monkeypatch.setattr(softmax, "KEPT", 20 * softmax.TASK)
    assert softmax.rows_at_once(len(given[0]), 20) == softmax.TASK
    for one, other in zip(found(given), at_once, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_without_a_shift_there_is_no_slope_of_it():
    u, v, shift, column, own = made(7, 5, 3, False, 0)
    with_zeros, without = found((u, v, 0 * shift, column, own)), found((u, v, None, column, own))
    assert without[3].shape == (0,)
    np.testing.assert_array_equal(without[2], with_zeros[2])


def test_huge_scores_stay_finite():
    u, v = np.array([[1e4], [-1e4]], np.float32), np.array([[1.0], [-1.0]], np.float32)
    loss, du, dv, _, pull = found((u, v, None, np.array([0, 0]), None))
    assert loss == pytest.approx(1e4)
    np.testing.assert_allclose(pull, [0, 0.5], atol=1e-30)
    np.testing.assert_allclose(du[:, 0], [0, -1], atol=1e-30)
    np.testing.assert_allclose(dv[:, 0], [5e3, -5e3])


def test_an_item_alone_costs_nothing():
    loss, du, *_ = found(
        (np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), None, np.array([0]), None)
    )
    assert loss == 0
    assert not du.any()
