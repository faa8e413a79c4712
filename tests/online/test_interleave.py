"""Interleaving by hand, its invariants, its fairness over the coin, and the test of preference."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twofold.errors import ConfigError, DataError
from twofold.online.interleave import (
    Interleaved,
    balanced,
    common_prefix,
    credit_balanced,
    credit_team_draft,
    preference,
    team_draft,
)

rankings = st.permutations(list("abcdefgh"))


@given(a=rankings, b=rankings, k=st.integers(1, 10), seed=st.integers(0, 99))
def test_a_draft_is_fair_and_each_pick_is_the_best_left(a, b, k, seed):
    made = team_draft(a, b, k, seed)
    assert len(made.items) == min(k, 8) == len(set(made.items))
    shared = min(common_prefix(a, b), k)
    assert made.items[:shared] == list(a[:shared])
    assert made.teams[:shared] == [-1] * shared
    drafted = made.teams[shared:]
    assert abs(drafted.count(0) - drafted.count(1)) <= 1
    taken = set(made.items[:shared])
    for item, team in zip(made.items[shared:], drafted):
        assert item == next(one for one in (a, b)[team] if one not in taken)
        taken.add(item)
    for one in range(0, len(drafted) - 1, 2):  # each round has one pick of either
        assert set(drafted[one : one + 2]) == {0, 1}


@given(a=rankings, b=rankings, k=st.integers(1, 10), seed=st.integers(0, 99))
def test_a_balanced_list_holds_the_tops_of_both(a, b, k, seed):
    """Joachims 2003: for every top of the list there are tops of a and b, within one of each other, that make it up."""
    made = balanced(a, b, k, seed)
    assert len(made.items) == min(k, 8) == len(set(made.items))
    for n in range(1, len(made.items) + 1):
        top = set(made.items[:n])
        assert any(
            top == set(a[:i]) | set(b[:j])
            for i, j in itertools.product(range(9), repeat=2)
            if abs(i - j) <= 1
        )


def test_every_coin_is_fair():
    a, b = ["x", "y"], ["y", "x"]
    rng = np.random.default_rng(0)
    for mix in (team_draft, balanced):
        first = [mix(a, b, 2, rng).items[0] for _ in range(4000)]
        assert abs(first.count("x") / 4000 - 0.5) < 4 * 0.5 / math.sqrt(4000)


def test_rankings_of_different_lengths_and_none():
    assert team_draft(["x"], ["y", "z", "w"], 4, 0).items[-2:] == ["z", "w"]
    assert team_draft([], ["y"], 3, 0) == (["y"], [1])
    assert team_draft([], [], 3, 0) == ([], [])
    assert balanced(["x"], [], 3, 0).items == ["x"]
    assert team_draft(["x", "y"], ["x", "y"], 2, 0).teams == [-1, -1]


def test_credit_by_hand():
    shown = Interleaved(["p", "x", "w", "y"], [-1, 0, 1, 0])
    assert credit_team_draft(shown, ["p", "x", "y", "y", "elsewhere"]) == (2, 0)
    a, b = ["x", "y", "z"], ["w", "x", "v"]
    # Lowest click y: rank 2 in a, absent in b; the tops of two: {x, y} and {w, x}.
    assert credit_balanced(Interleaved(["x", "w", "y"], []), ["w", "y"], a, b) == (1, 1)
    assert credit_balanced(Interleaved(["x", "w", "y"], []), ["x", "y"], a, b) == (2, 1)
    assert credit_balanced(Interleaved(["x", "w", "y"], []), [], a, b) == (0, 0)
    with pytest.raises(DataError, match="in neither ranking"):
        credit_balanced(Interleaved(["q"], []), ["q"], a, b)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80))  # fmt: skip
def test_the_preference_is_the_sign_test_over_units(rows):
    unit, a, b = map(list, zip(*rows))
    net = {u: sum(y - x for v, x, y in rows if v == u) for u in set(unit)}
    wins, losses = sum(one > 0 for one in net.values()), sum(one < 0 for one in net.values())
    found = preference(unit, a, b)
    assert (found.for_b, found.for_a, found.units) == (wins, losses, len(net))
    if wins + losses:
        other = stats.binomtest(wins, wins + losses)
        assert found.p_value == pytest.approx(other.pvalue, rel=1e-9)
        low, high = other.proportion_ci()
        assert (found.share_low, found.share_high) == pytest.approx((low, high), abs=1e-6)
    else:
        assert found.p_value == 1
        assert "no difference shown" in str(found)
    margins = [net[u] / unit.count(u) for u in net]
    assert found.margin == pytest.approx(np.mean(margins))
    swapped = preference(unit, b, a)
    assert (swapped.p_value, swapped.margin) == pytest.approx((found.p_value, -found.margin))


def test_lists_of_one_unit_are_one_voice():
    assert preference(["u"] * 100, np.zeros(100), np.ones(100)).p_value == 1.0
    alone = preference(["u"], [0], [1])
    assert math.isnan(alone.margin_low)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: team_draft(["x", "x"], ["y"], 2), DataError, "names an item twice"),
        (lambda: team_draft(["x"], ["y"], 0), ConfigError, "k must be"),
        (lambda: balanced(["x"], ["y"], True), ConfigError, "k must be"),
        (lambda: preference([], [], []), DataError, "at least one list"),
        (lambda: preference(["u"], [1, 2], [1]), DataError, "shapes"),
        (lambda: preference(["u"], [-1], [1]), DataError, "whole numbers"),
        (lambda: preference(["u"], [np.nan], [1]), DataError, "whole numbers"),
        (lambda: preference(["u"], [1], [1], confidence=1), ConfigError, "confidence"),
    ],
)
def test_bad_input_is_one_sentence(call, error, said):
    with pytest.raises(error, match=said):
        call()
