"""The always-valid test against its integral, its duality, and a simulation of peeking."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import ConfigError
from twofold.online.sequential import always_valid_interval, always_valid_p, critical, mixing


@given(z=st.floats(-6, 6), n=st.floats(10, 1e5), tightest=st.floats(50, 1e5))
def test_the_p_value_is_one_over_the_mixture_of_likelihood_ratios(z, n, tightest):
    """The integral itself: effects drawn from a normal, in units of the standard error."""
    tau = float(mixing(n, tightest, 0.05))
    grid = np.linspace(-60, 60, 240_001)  # effect / standard error; prior variance tau
    prior = np.exp(-(grid**2) / (2 * tau)) / math.sqrt(2 * math.pi * tau)
    inside = np.exp(z * grid - grid**2 / 2) * prior
    mixture = inside.sum() * (grid[1] - grid[0])
    found = always_valid_p(z, 1.0, n, tightest=tightest)[0]
    if tau < 60:  # the grid holds the prior
        assert found == pytest.approx(min(1.0, 1 / mixture), rel=1e-4)


@given(z=st.floats(-8, 8), n=st.floats(10, 1e6), alpha=st.floats(0.001, 0.25))
def test_an_interval_leaves_zero_exactly_when_p_is_below_the_level(z, n, alpha):
    low, high = always_valid_interval(z, 1.0, n, tightest=1000, alpha=alpha)[0]
    p = always_valid_p(z, 1.0, n, tightest=1000, alpha=alpha)[0]
    if abs(p - alpha) > 1e-9:
        assert (low > 0 or high < 0) == (p < alpha)


def test_the_width_is_the_published_one_and_least_where_it_was_planned():
    """Waudby-Smith et al. 2021, Eq. 6, with their rho."""
    t, alpha = 1000, 0.05
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / t)
    for n in (100, 1000, 5000):
        published = math.sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha))  # fmt: skip
        assert float(critical(n, tightest=t)) / math.sqrt(n) == pytest.approx(published)
    sizes = np.arange(200, 5000, 10)
    # In standard errors the boundary is lowest near the planned size.
    assert abs(sizes[critical(sizes, tightest=t).argmin()] - t) < 0.15 * t


def test_p_never_rises_and_the_interval_is_wide_where_nothing_is_known():
    p = always_valid_p([0.1, 0.3, 0.0], [0.1, 0.1, 0.1], [100, 200, 300], tightest=200)
    assert (np.diff(p) <= 0).all()
    assert always_valid_p([0.5], [np.nan], [100], tightest=200)[0] == 1
    assert always_valid_p([0.5], [0.0], [100], tightest=200)[0] == 1
    assert np.isinf(always_valid_interval(0.5, np.nan, 100, tightest=200)).all()
    assert np.isinf(always_valid_interval(0.5, 1.0, 0, tightest=200)).all()


def test_peeking_keeps_its_level_and_the_fixed_test_does_not():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(2000, 60)) * 10  # 100 units a look, standard deviation 1
    n = 100 * np.arange(1, 61)
    mean, error = steps.cumsum(axis=1) / n, 1 / np.sqrt(n)
    fixed = (np.abs(mean / error) > 1.96).any(axis=1).mean()
    sequential = np.mean([always_valid_p(one, error, n, tightest=2000)[-1] < 0.05 for one in mean])
    assert fixed > 0.25
    assert sequential < 0.05


@pytest.mark.parametrize(
    ("tightest", "alpha", "said"),
    [(0, 0.05, "tightest"), (math.inf, 0.05, "tightest"), (100, 0.5, "below 0.3"), (100, 0, "between")],
)  # fmt: skip
def test_bad_settings_are_one_sentence(tightest, alpha, said):
    with pytest.raises(ConfigError, match=said):
        critical(10, tightest=tightest, alpha=alpha)
