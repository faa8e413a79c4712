"""Exploration by enumeration, estimators by their formulae, and the Open Bandit log as an outside check."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from twofold.errors import ConfigError, DataError
from twofold.online.explore import (
    epsilon_greedy,
    epsilon_greedy_propensities,
    plackett_luce,
    plackett_luce_propensities,
)
from twofold.online.off_policy import check_support, estimate, reward_of_action

SCORES = [0.3, -1.0, 2.0, 0.3]
POLICIES = [
    (lambda k, rng: plackett_luce(SCORES, k, temperature=0.7, rng=rng), lambda one: plackett_luce_propensities(SCORES, one, temperature=0.7)),
    (lambda k, rng: epsilon_greedy(SCORES, k, epsilon=0.4, rng=rng), lambda one: epsilon_greedy_propensities(SCORES, one, epsilon=0.4)),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "chances"), POLICIES, ids=["plackett-luce", "epsilon-greedy"])
def test_propensities_are_the_frequencies_and_sum_to_one(draw, chances):
    lists = list(itertools.permutations(range(4), 2))
    expected = {one: chances(one).prod() for one in lists}
    assert sum(expected.values()) == pytest.approx(1)
    rng, n, seen = np.random.default_rng(0), 20_000, dict.fromkeys(lists, 0)
    for _ in range(n):
        made = draw(2, rng)
        assert made.propensities == pytest.approx(chances(made.places))
        seen[tuple(made.places.tolist())] += 1
    statistic = sum((seen[one] - n * p) ** 2 / (n * p) for one, p in expected.items())
    assert statistic < 31.26  # chi-square, 11 degrees, 0.001


def test_plackett_luce_is_the_softmax_without_return():
    p = np.exp(np.array(SCORES) / 0.7)
    assert plackett_luce_propensities(SCORES, [0, 2, 1, 3], temperature=0.7) == pytest.approx(
        [p[0] / p.sum(), p[2] / p[[1, 2, 3]].sum(), p[1] / p[[1, 3]].sum(), 1.0]
    )
    extreme = plackett_luce_propensities([1e6, 0.0, 1.0], [0, 2, 1], temperature=1.0)
    assert extreme == pytest.approx([1.0, math.e / (1 + math.e), 1.0])


def test_exploration_at_its_ends():
    assert epsilon_greedy(SCORES, 9, epsilon=0, rng=0).places.tolist() == [2, 0, 3, 1]
    assert epsilon_greedy(SCORES, 9, epsilon=0, rng=0).propensities.tolist() == [1, 1, 1, 1]
    assert epsilon_greedy(SCORES, 1, epsilon=1, rng=0).propensities.tolist() == [0.25]
    assert plackett_luce([5.0], 3, temperature=1, rng=0).propensities.tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: epsilon_greedy([], 2, epsilon=0.1), DataError, "at least one candidate"),
        (lambda: epsilon_greedy([1, np.nan], 2, epsilon=0.1), DataError, "candidate 1 is not finite"),
        (lambda: epsilon_greedy([1, 2], 0, epsilon=0.1), ConfigError, "k must be"),
        (lambda: epsilon_greedy([1, 2], 2, epsilon=1.1), ConfigError, "epsilon must be"),
        (lambda: plackett_luce([1, 2], 2, temperature=0), ConfigError, "temperature must be"),
        (lambda: plackett_luce_propensities([1, 2], [0, 0], temperature=1), DataError, "each once"),
        (lambda: plackett_luce_propensities([1, 2], [2], temperature=1), DataError, "row numbers"),
    ],
)  # fmt: skip
def test_bad_exploration_is_one_sentence(call, error, said):
    with pytest.raises(error, match=said):
        call()


def log(seed, n=500, m=3):
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(m) * 3)
    done = rng.choice(m, n, p=chances)
    earned = (rng.random(n) < np.linspace(0.1, 0.6, m)[done]).astype(float)
    target = rng.dirichlet(np.ones(m))
    return done, earned, chances, target


@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_estimates_are_the_formulae(seed):
    done, r, chances, target = log(seed)
    p, q = chances[done], target[done]
    w, n = q / p, len(r)
    f, g = reward_of_action(done, r, target, rng=0)
    ips, snips = estimate(r, p, q, method="ips"), estimate(r, p, q)
    dr = estimate(r, p, q, method="dr", model_logged=f, model_target=g)
    assert ips.value == pytest.approx((w * r).mean())
    assert snips.value == pytest.approx((w * r).sum() / w.sum())
    assert dr.value == pytest.approx((g + w * (r - f)).mean())
    assert ips.effective == pytest.approx(w.sum() ** 2 / (w**2).sum())
    z = t.ppf(0.975, n - 1)
    assert ips.high - ips.value == pytest.approx(z * (w * r).std(ddof=1) / math.sqrt(n))
    pulls = w * (r - snips.value)
    assert snips.high - snips.value == pytest.approx(z * math.sqrt(n / (n - 1) * (pulls**2).sum()) / w.sum())  # fmt: skip
    clipped = estimate(r, p, q, method="ips", clip=1.0)
    assert clipped.value == pytest.approx((np.minimum(w, 1) * r).mean())
    assert clipped.name == "clipped(1) ips"
    assert clipped.clipped == int((w > 1).sum())


@given(seed=st.integers(0, 999))
@settings(max_examples=20)
def test_the_logging_policy_evaluates_to_its_own_mean(seed):
    done, r, chances, _ = log(seed)
    p = chances[done]
    for method in ("ips", "snips"):
        found = estimate(r, p, p, method=method)
        assert found.value == pytest.approx(r.mean())
        assert found.effective == pytest.approx(len(r))
        assert found.notes == ()


def test_rows_of_a_unit_are_not_independent():
    done, r, chances, target = log(1)
    p, q = chances[done], target[done]
    once = estimate(r, p, q)
    again = estimate(np.repeat(r, 5), np.repeat(p, 5), np.repeat(q, 5), unit=np.repeat(np.arange(500), 5))  # fmt: skip
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    assert again.units == 500
    naive = estimate(np.repeat(r, 5), np.repeat(p, 5), np.repeat(q, 5))
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_a_right_model_of_the_reward_leaves_only_its_own_noise():
    done, r, chances, target = log(2, n=4000)
    truth = np.linspace(0.1, 0.6, 3)
    p, q = chances[done], target[done]
    dr = estimate(r, p, q, method="dr", model_logged=truth[done], model_target=np.full(4000, target @ truth))  # fmt: skip
    assert dr.low < target @ truth < dr.high
    assert dr.high - dr.low < estimate(r, p, q, method="ips").high - estimate(r, p, q, method="ips").low  # fmt: skip


def test_the_model_never_saw_the_row_it_speaks_of():
    action = np.zeros(50, np.int64)
    reward = np.arange(50.0)
    f, _ = reward_of_action(action, reward, [1.0], prior=0, rng=0)
    # The mean of the other folds: one value for each of five folds, none the mean of all.
    assert len(np.unique(f)) == 5
    for value in np.unique(f):
        inside = reward[f == value]
        assert value == pytest.approx((reward.sum() - inside.sum()) / (50 - len(inside)))


def test_missing_support_is_named_with_rows_and_action():
    with pytest.raises(
        DataError, match=r"2 of 3 rows: action 'c', for one, was never possible in 2"
    ):
        check_support([[0.5, 0.5, 0]] * 2 + [[0.2, 0.2, 0.6]], [[0, 0.5, 0.5]] * 3, ["a", "b", "c"])
    check_support([[0.5, 0.5, 0]], [[0.9, 0.1, 0]])
    with pytest.raises(DataError, match=r"1 of 2 rows a chance of 0, most of them action 'x'"):
        estimate([1.0, 0.0], [0.0, 0.5], [0.1, 0.5], action=["x", "y"])
    # The log tells what it never did by its mean weight, too.
    rng = np.random.default_rng(0)
    half = estimate(rng.random(1000), np.full(1000, 0.5), np.full(1000, 0.25))
    assert "should be 1" in half.notes[0]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: estimate([], [], []), DataError, "no rows"),
        (lambda: estimate([1.0], [1.5], [1.0]), DataError, "logged of row 0 is 1.5"),
        (lambda: estimate([1.0], [0.5], [-1.0]), DataError, "target of row 0 is -1"),
        (lambda: estimate([np.nan], [0.5], [1.0]), DataError, "reward of row 0 is nan"),
        (lambda: estimate([1.0], [0.5], [0.0]), DataError, "done nothing of what"),
        (lambda: estimate([1.0], [0.5, 0.5], [1.0]), DataError, "logged must have a number"),
        (lambda: estimate([1.0], [0.5], [1.0], method="dr"), ConfigError, "dr needs model_logged"),
        (lambda: estimate([1.0], [0.5], [1.0], model_logged=[1.0]), ConfigError, "reads no model"),
        (lambda: estimate([1.0], [0.5], [1.0], method="sips"), ConfigError, "did you mean 'snips'"),
        (lambda: estimate([1.0], [0.5], [1.0], clip=0), ConfigError, "clip must be"),
        (lambda: estimate([1.0], [0.5], [1.0], unit=["a", "b"]), DataError, "unit must name"),
        (lambda: check_support([[0.5]], [[0.5, 0.5]]), DataError, "equal shapes"),
        (lambda: reward_of_action([0.5, 1.0], [1, 1], [1.0]), DataError, "row number"),
        (lambda: reward_of_action([0, 3], [1, 1], [0.5, 0.5]), DataError, "each of 4 actions"),
    ],
)
def test_bad_logs_are_one_sentence(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_one_row_has_a_value_and_no_interval():
    found = estimate([1.0], [0.5], [1.0])
    assert found.value == 1.0
    assert math.isnan(found.low)


@pytest.mark.data
@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_the_uniform_log_of_open_bandit_tells_what_thompson_sampling_earned(real, campaign):
    """Saito et al. 2021: the value of Bernoulli TS from the uniform log, beside its own clicks."""
    frame = real("open-bandit").frame("interactions")
    frame = frame.filter(frame["campaign"] == campaign)
    uniform, ts = (frame.filter(frame["policy"] == one) for one in ("random", "bts"))
    items = sorted(frame["item"].unique().to_list())
    code = {item: at for at, item in enumerate(items)}
    # The target by place, as the mean over its own week: the same week in which the uniform log was made.
    target = np.zeros((3, len(items)))
    places = sorted(frame["position"].unique().to_list())
    for item, place in zip(ts["item"], ts["position"]):
        target[places.index(place), code[item]] += 1
    target /= target.sum(axis=1, keepdims=True)
    done = np.array([code[one] for one in uniform["item"]])
    place = np.array([places.index(one) for one in uniform["position"]])
    p, q = uniform["propensity_score"].to_numpy(), target[place, done]
    check_support(np.full((3, len(items)), 1 / len(items)), target, items)
    r = uniform["value"].to_numpy().astype(float)
    own = ts["value"].mean()
    own_error = math.sqrt(own * (1 - own) / len(ts))
    f, g = reward_of_action(done, r, target[place], rng=0)
    for found in (
        estimate(r, p, q, method="ips"),
        estimate(r, p, q, method="snips"),
        estimate(r, p, q, method="dr", model_logged=f, model_target=g),
    ):
        error = math.hypot((found.high - found.low) / (2 * 1.96), own_error)
        assert abs(found.value - own) < 1.96 * error, f"{found} beside {own:.5f}"
        assert found.mean_weight == pytest.approx(1, abs=0.05)


def test_the_bootstrap_is_close_to_the_delta_method_and_the_same_for_a_seed():
    done, r, chances, target = log(4, n=3000)
    p, q = chances[done], target[done]
    delta = estimate(r, p, q)
    drawn = estimate(r, p, q, interval="bootstrap", rng=1)
    assert drawn == estimate(r, p, q, interval="bootstrap", rng=1)
    width = delta.high - delta.low
    assert (drawn.low, drawn.high) == pytest.approx((delta.low, delta.high), abs=0.15 * width)
    with pytest.raises(ConfigError, match="did you mean 'bootstrap'"):
        estimate(r, p, q, interval="bootstrp")
    with pytest.raises(DataError, match="chances must be numbers"):
        check_support([[-0.5, 1.5]], [[0.5, 0.5]])
    with pytest.raises(ConfigError, match="prior must be"):
        reward_of_action(done, r, target, prior=-1)
