"""Ratio checks against chi-square and predictive products; plans against their own power."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twofold.errors import ConfigError, DataError
from twofold.online.power import plan, power_of
from twofold.online.ratio_check import ratio_check, ratio_size, sequential_ratio_check


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=5), st.data())
def test_the_check_is_pearson_s(counts, data):
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(counts), max_size=len(counts)))
    expected = np.array(weights) / sum(weights) * sum(counts)
    other = stats.chisquare(counts, expected)
    found = ratio_check(counts, weights)
    assert found.statistic == pytest.approx(other.statistic, rel=1e-9)
    assert found.p_value == pytest.approx(other.pvalue, rel=1e-6, abs=1e-300)
    assert found.alarm == (found.p_value < 0.001)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_the_sequential_check_is_the_product_of_predictions(arrivals):
    """Unit by unit: what the Dirichlet predicted of it, over what the weights say."""
    shares, concentration = np.array([0.3, 0.7]), 20.0
    belief, factor, best = concentration * shares, 1.0, 1.0
    counts = np.zeros(2)
    looks = []
    for one in arrivals:
        factor *= (belief[one] / belief.sum()) / shares[one]
        belief[one] += 1
        counts[one] += 1
        best = max(best, factor)
        looks.append(counts.copy())
    found = sequential_ratio_check(looks, [3, 7], concentration=concentration)
    assert found[-1] == pytest.approx(1 / best, rel=1e-9)


def test_a_variant_without_units_raises_the_alarm():
    assert ratio_check([100, 0], [1, 1]).alarm
    assert "MISMATCH" in str(ratio_check([100, 0], [1, 1]))


def test_the_size_for_the_alarm_is_that_of_the_normal_limit():
    z = stats.norm.ppf([1 - 0.0005, 0.9]).sum()
    assert ratio_size([0.51, 0.49], [1, 1]) == pytest.approx(z**2 * 0.25 / 0.01**2, rel=1e-4)


@pytest.mark.parametrize(
    ("counts", "weights", "error", "said"),
    [
        ([0, 0], [1, 1], DataError, "no units"),
        ([1, -1], [1, 1], DataError, "whole numbers"),
        ([1, 1.5], [1, 1], DataError, "whole numbers"),
        ([1, np.nan], [1, 1], DataError, "whole numbers"),
        ([1, 1], [1, 0], ConfigError, "weights must be numbers > 0"),
        ([1, 1], [1, 1, 1], ConfigError, "a weight for each"),
        ([5], [1], ConfigError, "at least 2"),
    ],
)
def test_bad_counts_are_one_sentence(counts, weights, error, said):
    with pytest.raises(error, match=said):
        ratio_check(counts, weights)


def test_counts_that_fall_are_refused():
    with pytest.raises(DataError, match="never fall"):
        sequential_ratio_check([[5, 5], [4, 6]], [1, 1])
    with pytest.raises(ConfigError, match="nothing to find"):
        ratio_size([1, 1], [1, 1])


def test_a_plan_is_the_literal_formula():
    made = plan(baseline=0.1, lift=0.1)
    z = stats.norm.ppf([0.975, 0.8]).sum()
    each = z**2 * (0.1 * 0.9 + 0.11 * 0.89) / 0.01**2
    assert made.units == (math.ceil(each), math.ceil(each))
    halved = plan(baseline=0.1, lift=0.1, correlation=math.sqrt(0.5))
    assert halved.total == pytest.approx(made.total / 2, abs=2)
    skewed = plan(baseline=5.0, lift=0.1, spread=2.0, weights=(3, 1))
    assert skewed.total == pytest.approx(z**2 * 4 * (1 / 0.75 + 1 / 0.25) / 0.25, abs=2)
    assert skewed.units[0] == pytest.approx(3 * skewed.units[1], abs=3)


@given(
    baseline=st.floats(0.01, 0.4), lift=st.floats(0.02, 0.5), power=st.floats(0.5, 0.99), sequential=st.booleans()
)  # fmt: skip
def test_a_plan_has_the_power_it_was_made_for(baseline, lift, power, sequential):
    made = plan(baseline=baseline, lift=lift, power=power, sequential=sequential)
    assert power_of(made, made.total) == pytest.approx(power, abs=0.01)
    assert power_of(made, 2 * made.total) > power


def test_a_sequential_plan_is_larger_and_days_follow():
    fixed, sequential = (plan(baseline=0.1, lift=0.1, sequential=s, units_per_day=1000) for s in (False, True))  # fmt: skip
    assert 1.7 < sequential.total / fixed.total < 2.1
    assert fixed.days == math.ceil(fixed.total / 1000)
    assert plan(baseline=0.1, lift=0.1, comparisons=4).alpha == 0.0125


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"baseline": 0}, "baseline must be"),
        ({"lift": math.nan}, "lift must be"),
        ({"baseline": 2.0}, "give its standard deviation"),
        ({"lift": 20}, "give its standard deviation"),
        ({"spread": 0}, "spread must be"),
        ({"power": 1}, "power must be"),
        ({"power": 0.01}, "above alpha / 2"),
        ({"alpha": 5}, "alpha must be"),
        ({"correlation": 1}, "correlation must be"),
        ({"comparisons": 0}, "comparisons must be"),
        ({"units_per_day": 0}, "units_per_day must be"),
        ({"weights": (1, -1)}, "weights must be"),
    ],
)
def test_a_bad_plan_is_one_sentence(more, said):
    with pytest.raises(ConfigError, match=said):
        plan(**{"baseline": 0.1, "lift": 0.1, **more})
