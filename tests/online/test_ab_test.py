"""Lifts against literal formulae, the bootstrap against brute force, CUPED against its theory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from twofold.errors import ConfigError, DataError
from twofold.online.ab_test import arm, compare_arms, readable, theta_of


def literal(control, treatment):
    """Deng, Knoblich & Lu 2018, section 3: the variance of a ratio from three moments, unit by unit."""
    out = []
    for y, n in (control, treatment):
        k, my, mn = len(y), np.mean(y), np.mean(n)
        vy, vn, cov = np.var(y, ddof=1), np.var(n, ddof=1), np.cov(y, n)[0, 1]
        out.append((my / mn, (vy - 2 * my / mn * cov + (my / mn) ** 2 * vn) / (k * mn**2)))
    return out


def people(seed, n=400, shift=0.0):
    rng = np.random.default_rng(seed)
    lists = rng.geometric(0.3, n).astype(float)
    return rng.binomial(lists.astype(int), np.clip(rng.beta(1, 5, n) + shift, 0, 1)).astype(float), lists  # fmt: skip


@given(seed=st.integers(0, 999))
@settings(max_examples=40)
def test_a_ratio_has_the_variance_of_the_delta_method(seed):
    control, treatment = people(seed), people(seed + 1, 300, 0.02)
    (rc, vc), (rt, vt) = literal(control, treatment)
    found = compare_arms(arm(*control), arm(*treatment))
    assert found.control == pytest.approx(rc)
    assert found.treatment == pytest.approx(rt)
    assert found.standard_error == pytest.approx(math.sqrt(vc + vt), rel=1e-9)
    assert found.relative.value == pytest.approx(rt / rc - 1)
    assert found.relative_error == pytest.approx(math.sqrt(vt / rc**2 + rt**2 * vc / rc**4), rel=1e-9)  # fmt: skip


def test_a_mean_is_welch_s_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.normal(0.5, 3, size=50)
    found = compare_arms(arm(a), arm(b), confidence=0.9)
    other = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(other.pvalue, rel=1e-9)
    low, high = other.confidence_interval(0.9)
    assert found.difference[1:] == pytest.approx((low, high), rel=1e-9)


def test_rows_of_a_person_are_not_independent():
    """Every row ten times over: the interval stays as it was."""
    y, n = people(3)
    once = compare_arms(arm(y, n), arm(*people(4)))
    tenfold = compare_arms(arm(10 * y, 10 * n), arm(*(10 * one for one in people(4))))
    assert tenfold.difference == pytest.approx(once.difference)


@given(seed=st.integers(0, 999))
@settings(max_examples=25)
def test_swapping_the_arms_turns_the_sign(seed):
    a, b = arm(*people(seed)), arm(*people(seed + 1))
    one, other = compare_arms(a, b), compare_arms(b, a)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert one.p_value == pytest.approx(other.p_value)


@given(seed=st.integers(0, 999))
@settings(max_examples=25)
def test_the_order_of_units_and_the_scale_do_not_matter(seed):
    y, n = people(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    a, b = compare_arms(arm(y, n), arm(*people(1))), compare_arms(arm(y[order], n[order]), arm(*people(1)))  # fmt: skip
    assert a.difference == pytest.approx(b.difference)
    scaled = compare_arms(arm(7 * y, n), arm(7 * people(1)[0], people(1)[1]))
    assert scaled.difference == pytest.approx([7 * one for one in a.difference])
    assert scaled.relative == pytest.approx(a.relative)


def test_cuped_is_the_literal_adjustment():
    rng = np.random.default_rng(5)
    xs = [rng.normal(size=n) for n in (60, 80)]
    ys = [2 * x + rng.normal(size=len(x)) for x in xs]
    centred_x = np.concatenate([x - x.mean() for x in xs])
    centred_y = np.concatenate([y - y.mean() for y in ys])
    theta = (centred_x @ centred_y) / (centred_x @ centred_x)
    adjusted = [y - theta * x for x, y in zip(xs, ys)]
    found = compare_arms(*(arm(y, before=x) for y, x in zip(ys, xs)))
    assert found.difference.value == pytest.approx(adjusted[1].mean() - adjusted[0].mean())
    error = math.sqrt(sum(np.var(one, ddof=1) / len(one) for one in adjusted))
    assert found.standard_error == pytest.approx(error)
    plain = math.sqrt(sum(np.var(one, ddof=1) / len(one) for one in ys))
    assert found.kept_variance == pytest.approx((error / plain) ** 2)
    assert found.kept_variance == pytest.approx(1 - 4 / 5, abs=0.06)


def test_a_covariate_that_tells_nothing_changes_nothing():
    a, b = people(1), people(2)
    plain = compare_arms(arm(*a), arm(*b))
    constant = compare_arms(arm(*a, np.ones(400)), arm(*b, np.ones(400)))
    unknown = compare_arms(arm(*a, np.full(400, np.nan)), arm(*b, np.full(400, np.nan)))
    assert plain == constant == unknown
    assert theta_of((np.ones(3), np.zeros(3))) == 0.0


def test_units_of_whom_nothing_was_known_do_not_bias_cuped():
    rng = np.random.default_rng(8)
    x = rng.normal(10, 1, (2, 5000))
    y = x + rng.normal(size=(2, 5000))
    x[:, ::2] = np.nan
    found = compare_arms(*(arm(y[at], before=x[at]) for at in (0, 1)))
    assert abs(found.difference.value) < 4 * found.standard_error
    assert found.kept_variance == pytest.approx(
        0.75, abs=0.03
    )  # half the people lose half their variance


@given(seed=st.integers(0, 99))
@settings(max_examples=8)
def test_the_bootstrap_is_close_to_the_delta_method_and_the_same_for_a_seed(seed):
    a, b = arm(*people(seed, 2000)), arm(*people(seed + 1, 2000))
    delta = compare_arms(a, b)
    drawn = compare_arms(a, b, method="bootstrap", rng=seed)
    assert drawn == compare_arms(a, b, method="bootstrap", rng=seed)
    width = delta.difference.high - delta.difference.low
    assert drawn.difference.high - drawn.difference.low == pytest.approx(width, rel=0.15)
    assert drawn.difference.low == pytest.approx(delta.difference.low, abs=0.1 * width)
    assert drawn.relative.high == pytest.approx(delta.relative.high, abs=0.15 * (delta.relative.high - delta.relative.low))  # fmt: skip


@given(seed=st.integers(0, 99), n=st.integers(20, 400), effect=st.floats(-0.9, 3))
@settings(max_examples=60)
def test_the_interval_of_the_lift_is_fiellers(seed, n, effect):
    """At its ends the treatment lies `reach` standard errors from the control made so much larger; it holds 0 with the difference's."""
    rng = np.random.default_rng(seed)
    control, treatment = rng.gamma(0.5, 1, n), rng.gamma(0.5, 1 + effect, n)
    found = compare_arms(arm(control), arm(treatment))
    reach = (found.difference.high - found.difference.value) / found.standard_error
    value, low, high = found.relative
    if math.isinf(high):
        assert found.control <= reach * found.control_error
        return
    assert low <= value <= high
    assert (low > 0, high < 0) == (found.difference.low > 0, found.difference.high < 0)
    for end in (low, high):
        if end > -1:
            moved = compare_arms(arm(control * (1 + end)), arm(treatment))
            away = abs(moved.difference.value) / moved.standard_error
            assert away == pytest.approx(reach, rel=1e-6)


def test_the_interval_of_the_lift_takes_what_was_known_before_into_account():
    """With CUPED: differences of the quadratic form that the ends are roots of, by hand."""
    a, b = people(3), people(4)
    rng = np.random.default_rng(0)
    known = [one[0] + rng.normal(size=len(one[0])) for one in (a, b)]
    found = compare_arms(arm(*a, known[0]), arm(*b, known[1]))
    reach = (found.difference.high - found.difference.value) / found.standard_error
    for end in found.relative[1:]:
        gap = found.difference.value - end * found.control
        spread = found.standard_error**2 + 2 * end * found.shared + end**2 * found.control_error**2
        assert gap**2 == pytest.approx(reach**2 * spread, rel=1e-9)
    assert 0 < found.shared <= found.control_error**2


def test_a_lift_over_a_control_that_is_not_told_from_nothing_is_shown_as_a_difference():
    some = np.zeros(200)
    some[:3] = 1
    many = np.zeros(200)
    many[:60] = 1
    found = compare_arms(arm(some), arm(many))
    assert math.isinf(found.relative.high)
    assert readable(found.relative, found.difference) == (found.difference, ".4g")


def test_at_the_edges():
    alone = compare_arms(arm([1.0]), arm([2.0, 3.0]))
    assert alone.difference.value == 1.5
    assert math.isnan(alone.standard_error)
    assert alone.p_value == 1.0
    zero = compare_arms(arm(np.zeros(50)), arm(np.zeros(50)))
    assert zero.difference == (0.0, 0.0, 0.0)
    assert zero.p_value == 1.0
    assert math.isnan(zero.relative.value)
    constant = compare_arms(arm(np.zeros(50)), arm(np.ones(50)))
    assert constant.p_value == 1.0, "nobody differs within an arm: chance has no size"
    assert constant.difference == (1.0, -math.inf, math.inf)


BAD = [
    (lambda: arm([]), "has no units"),
    (lambda: arm([0.0, 0.0], [0, 0]), "has no units"),
    (lambda: arm([1.0, np.nan]), "total of unit 1 is nan"),
    (lambda: arm([1.0], [np.inf]), "weight of unit 0 is inf"),
    (lambda: arm([1.0], [-1.0]), "weight of unit 0 is -1.0"),
    (lambda: arm([1.0], [0.0]), "a total and no weight"),
    (lambda: arm([1.0], before=[np.inf]), "before of unit 0 is inf"),
    (lambda: arm([1.0, 2.0], [1.0]), "weight must have a number for each of 2 units"),
    (lambda: arm([[1.0]]), "one number a unit"),
]


@pytest.mark.parametrize(("make", "said"), BAD)
def test_bad_units_are_one_sentence(make, said):
    with pytest.raises(DataError, match=said):
        make()


def test_bad_settings_are_one_sentence():
    a = arm([1.0, 2.0])
    with pytest.raises(ConfigError, match="did you mean 'bootstrap'"):
        compare_arms(a, a, method="bootstap")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        compare_arms(a, a, confidence=95)
