"""What other lists would have earned: literally the equations, the truth by enumeration, and refusals."""

import itertools

import numpy as np
import polars as pl
import pytest

from twofold.errors import ConfigError, DataError
from twofold.online.explore import (
    epsilon_greedy_chances,
    epsilon_greedy_propensities,
    plackett_luce_chances,
    plackett_luce_propensities,
)
from twofold.online.list_estimates import estimate_lists
from twofold.online.list_policies import Epsilon, Softmax
from twofold.online.off_policy import estimate

ITEMS = ["a", "b", "c", "d", "e"]
SCORES = np.array([2.0, 1.5, 1.0, 0.5, 0.0])
WORTH = dict(zip(ITEMS, [0.05, 0.1, 0.2, 0.3, 0.4], strict=True))
LOGGED = Softmax(temperature=1.0, candidates=5)


def log(n, k=3, seed=0, units=None):
    """Lists drawn by the softmax; a click depends on the item, and is half as likely below an "e"."""
    rng = np.random.default_rng(seed)
    shown, done = [], []
    for at in range(n):
        unit = f"u{at % (units or n)}"
        drawn = LOGGED.draw(SCORES, k, rng)
        items = [ITEMS[row] for row in drawn.places]
        shown.append((unit, "live", at * 60.0, f"r{at}", items, drawn.propensities.tolist(), ITEMS))
        below = 1.0
        for item in items:
            if rng.random() < WORTH[item] * below:
                done.append((unit, "click", at * 60.0 + 5, f"r{at}", item))
            below = 0.5 if item == "e" else below
    names = ["unit", "variant", "time", "request", "items", "propensities", "candidates"]
    exposures = pl.DataFrame(shown, schema=names, orient="row")
    return exposures, pl.DataFrame(done, schema=["unit", "kind", "time", "request", "item"], orient="row")  # fmt: skip


def target(n, items, scores=None):
    made = {"request": [f"r{at}" for at in range(n)], "items": [items] * n}
    return pl.DataFrame(made if scores is None else made | {"scores": [list(scores)] * n})


def truth(chances, k):
    """The value of a policy, by enumerating all lists of it."""
    total = 0.0
    for rows in itertools.permutations(range(5), k):
        p, below, clicks = 1.0, 1.0, 0.0
        for at, row in enumerate(rows):
            p *= chances(rows[:at])[row]
            clicks += WORTH[ITEMS[row]] * below
            below = 0.5 if ITEMS[row] == "e" else below
        total += p * clicks
    return total


@pytest.mark.parametrize("seed", range(5))
def test_chances_of_the_next_place_are_those_of_the_propensities(seed):
    rng = np.random.default_rng(seed)
    scores, places = rng.normal(size=6), rng.permutation(6)[:4]
    for at in range(4):
        soft = plackett_luce_chances(scores, places[:at], temperature=0.7)
        greedy = epsilon_greedy_chances(scores, places[:at], epsilon=0.3)
        for chances in (soft, greedy):
            assert chances.sum() == pytest.approx(1)
            assert not chances[places[:at]].any()
        assert soft[places[at]] == pytest.approx(plackett_luce_propensities(scores, places, temperature=0.7)[at])  # fmt: skip
        assert greedy[places[at]] == pytest.approx(epsilon_greedy_propensities(scores, places, epsilon=0.3)[at])  # fmt: skip
    assert plackett_luce_chances(scores, range(6), temperature=1).sum() == 0


def test_softmax_means_the_same_for_scores_of_every_scale():
    for factor, shift in ((1000.0, 0.0), (1e-3, 7.0)):
        np.testing.assert_allclose(LOGGED.chances(factor * SCORES + shift, [1]), LOGGED.chances(SCORES, [1]))  # fmt: skip
    assert LOGGED.chances([3.0, 3.0, 3.0], []).tolist() == pytest.approx([1 / 3] * 3)
    assert LOGGED.chances([0.1 + 0.2, 0.3], []).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("places", [1, 2])
def test_the_equations_literally(places):
    """IPS, SNIPS and DR by loops over lists and places; f from the folds that the estimate drew."""
    n = 400
    exposures, events = log(n, seed=3)
    scores = -SCORES
    new = Softmax(temperature=2.0)
    found = estimate_lists(exposures, events, target(n, ITEMS, scores), policy=new, places=places)
    clicked = set(zip(events["request"], events["item"], strict=True))
    values = {"ips": 0.0, "snips": 0.0, "dr": 0.0}
    # All units have one list: the fold of list i is that of the unit's place among the sorted names.
    order = np.argsort(np.argsort(exposures["unit"].to_numpy().astype(str)))
    fold = np.random.default_rng(0).permutation(np.arange(n) % 5)[order]
    rows = list(zip(exposures["request"], exposures["items"].to_list(), exposures["propensities"].to_list(), strict=True))  # fmt: skip
    for j in range(places):
        w, above, r, f, g = [], [], [], [], []
        for i, (request, items, p) in enumerate(rows):
            at = [ITEMS.index(one) for one in items]
            q = [new.chances(scores, at[:x])[at[x]] for x in range(j + 1)]
            w.append(np.prod(q) / np.prod(p[: j + 1]))
            above.append(np.prod(q[:j]) / np.prod(p[:j]))
            r.append(float((request, items[j]) in clicked))
            others = [(x, (rows[x][0], rows[x][1][j]) in clicked) for x in range(n) if fold[x] != fold[i]]  # fmt: skip
            mean = np.mean([hit for _, hit in others])
            rate = {}
            for item in ITEMS:
                hits = [hit for x, hit in others if rows[x][1][j] == item]
                rate[item] = (sum(hits) + 10 * mean) / (len(hits) + 10)
            f.append(rate[items[j]])
            chances = new.chances(scores, at[:j])
            g.append(sum(chances[x] * rate[item] for x, item in enumerate(ITEMS)))
        w, above, r, f, g = map(np.array, (w, above, r, f, g))
        values["ips"] += (w * r).mean()
        values["snips"] += (w * r).sum() / w.sum()
        values["dr"] += (above * g + w * (r - f)).mean()
        if places == 1:
            oracle = estimate(r, [p[0] for _, _, p in rows], w * [p[0] for _, _, p in rows], unit=exposures["unit"])  # fmt: skip
            assert (found.estimates[1].low, found.estimates[1].high) == pytest.approx((oracle.low, oracle.high))  # fmt: skip
    for one in found.estimates:
        assert one.value == pytest.approx(values[one.name], rel=1e-9)
    assert found.logged.value == pytest.approx(sum((q, i) in clicked for q, items, _ in rows for i in items[:places]) / n)  # fmt: skip


@pytest.mark.parametrize("places", [1, 2, 3])
def test_intervals_hold_the_truth_of_lists(places):
    n = 6000
    exposures, events = log(n, seed=places, units=1500)
    for scores, new in ((-SCORES, Softmax(temperature=2.0)), (SCORES, Epsilon(epsilon=0.6))):
        found = estimate_lists(exposures, events, target(n, ITEMS, scores), policy=new, places=places)  # fmt: skip
        real = truth(lambda above, new=new, scores=scores: new.chances(scores, list(above)), places)
        for one in found.estimates:
            reach = (
                1.6 * (one.high - one.low) / 2
            )  # three standard errors: six targets, three estimators
            assert abs(one.value - real) < reach, (one, real)
            assert one.mean_weight == pytest.approx(1, abs=0.2)
        assert found.units == 1500
    known = truth(lambda above: LOGGED.chances(SCORES, list(above)), places)
    assert abs(found.logged.value - known) < 1.6 * (found.logged.high - found.logged.low) / 2


def test_the_lists_of_a_version_that_does_not_explore():
    n = 4000
    exposures, events = log(n, seed=9)
    found = estimate_lists(exposures, events, target(n, ["d", "c", "a"]), name="version 2")
    for one in found.estimates:
        assert one.low < WORTH["d"] < one.high
    assert found.headline.startswith("version 2: 0.")
    assert "more than was logged" in found.headline
    assert [one.name for one in found.estimates] == ["ips", "snips", "dr"]
    # Its chances at the logged places say the same; only what dr needs is missing.
    chances = [[float(items[0] == "d"), 0.0, 0.0] for items in exposures["items"]]
    same = estimate_lists(exposures, events, pl.DataFrame({"request": exposures["request"], "propensities": chances}))  # fmt: skip
    assert [one.name for one in same.estimates] == ["ips", "snips"]
    assert same.estimates == found.estimates[:2]
    clipped = estimate_lists(exposures, events, target(n, ["d", "c", "a"]), clip=3.0)
    assert "clipped(3) dr" in clipped.headline
    assert any("weights were cut" in note for note in clipped.notes)


def test_missing_support_is_refused_in_one_sentence():
    n = 300
    exposures, events = log(n)
    with pytest.raises(DataError, match=r"no support for the target in 300 of 300 lists: item 'z'.*choose within the logged") as refused:  # fmt: skip
        estimate_lists(exposures, events, target(n, ["z", "a"]))
    assert "\n" not in str(refused.value)
    estimate_lists(exposures, events, target(n, ["a", "z"]))  # the second place does not count
    with pytest.raises(DataError, match="no support"):
        estimate_lists(exposures, events, target(n, ["a", "z"]), places=2)
    kept = estimate_lists(exposures, events, target(n, ["z", "a"]), within=True)
    assert kept.estimates == estimate_lists(exposures, events, target(n, ["a"])).estimates
    nothing = target(n, ["z"])
    with pytest.raises(
        DataError, match="would have listed nothing of what was shown in the first 1"
    ):
        estimate_lists(exposures.drop("candidates"), events, nothing)
    few = exposures.head(3).with_columns(items=pl.Series([["a", "b"], ["a", "c"], ["a", "d"]]), propensities=pl.Series([[0.5, 0.5]] * 3))  # fmt: skip
    with pytest.raises(DataError, match="in the first 2 places of 3 lists; estimate 1 places"):
        estimate_lists(few, events, target(3, ["a", "e"]), places=2)


def test_what_is_left_out_is_said():
    n = 200
    exposures, events = log(n)
    some = exposures.with_columns(
        propensities=pl.when(pl.int_range(pl.len()) < 50).then(None).otherwise("propensities")
    )
    found = estimate_lists(some, events, target(n, ITEMS).head(150))
    assert found.lists == 100
    assert "50 lists that were not drawn with known chances were left out" in found.notes
    assert "50 lists of which the target says nothing were left out" in found.notes
    # A click without a request answers the list that was shown last, also where that one was not drawn.
    one = exposures.head(2).with_columns(unit=pl.lit("u"), items=pl.Series([["a"], ["a"]]), propensities=pl.Series([[0.5], None]))  # fmt: skip
    click = pl.DataFrame({"unit": ["u"], "kind": ["click"], "time": [70.0], "item": ["a"]})
    assert estimate_lists(one, click, target(2, ["a"])).logged.value == 0


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"exposures": lambda one: one.drop("propensities")}, DataError, "exposures have no propensities"),
        ({"exposures": lambda one: one.with_columns(propensities=pl.lit(None, pl.List(pl.Float64)))}, DataError, "no list of the exposures was drawn"),
        ({"target": lambda one: one.drop("request")}, DataError, "needs the columns request"),
        ({"target": lambda one: pl.concat([one, one])}, DataError, "names the request 'r0' twice"),
        ({"target": lambda one: one.with_columns(request=pl.lit("x") + pl.col("request"))}, DataError, "no list is left"),
        ({"target": lambda one: one.with_columns(items=pl.lit(["a", "a"]))}, DataError, "names an item twice"),
        ({"target": lambda one: one.select("request", propensities=pl.lit([0.5]))}, DataError, "fewer than 2 propensities"),
        ({"places": 0}, ConfigError, "places"),
        ({"methods": ["sips"]}, ConfigError, "did you mean 'snips'"),
        ({"confidence": 2}, ConfigError, "confidence"),
        ({"clip": -1}, ConfigError, "clip must be"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(change, error, said):
    exposures, events = log(40)
    given = {"exposures": exposures, "events": events, "target": target(40, ITEMS), "places": 2}
    for name, one in change.items():
        given[name] = one(given[name]) if callable(one) else one
    with pytest.raises(error, match=said) as refused:
        estimate_lists(given.pop("exposures"), given.pop("events"), given.pop("target"), **given)
    assert "\n" not in str(refused.value)


@pytest.mark.data
@pytest.mark.parametrize("campaign", ["all", "men"])
def test_the_log_of_thompson_sampling_in_open_bandit_tells_what_the_uniform_policy_earned(
    real, campaign
):
    """Real traffic in the shape of a server's log: lists of one item; the uniform policy is epsilon of 1."""
    frame = real("open-bandit").frame("interactions").filter(pl.col("campaign") == campaign)
    ts, uniform = (frame.filter(pl.col("policy") == one) for one in ("bts", "random"))
    items = sorted(frame["item"].unique().to_list())
    n = len(ts)
    names = [f"r{at}" for at in range(n)]
    exposures = pl.DataFrame({"unit": names, "variant": "bts", "time": range(n), "request": names})
    exposures = exposures.with_columns(items=ts["item"].cast(pl.String).reshape((n, 1)).arr.to_list(), propensities=ts["propensity_score"].cast(pl.Float64).reshape((n, 1)).arr.to_list(), candidates=pl.lit(items))  # fmt: skip
    hit = ts["value"].to_numpy() > 0
    events = exposures.filter(pl.Series(hit)).select("unit", "request", "time", kind=pl.lit("click"), item=pl.col("items").list.first())  # fmt: skip
    wanted = pl.DataFrame({"request": names}).with_columns(items=pl.lit(items))
    found = estimate_lists(exposures, events, wanted, policy=Epsilon(epsilon=1.0))
    own = float(uniform["value"].mean())
    own_error = np.sqrt(own * (1 - own) / len(uniform))
    for one in found.estimates:
        both = np.hypot((one.high - one.low) / (2 * 1.96), own_error)
        assert abs(one.value - own) < 1.96 * both, f"{one} beside {own:.5f}"
    assert found.logged.value == pytest.approx(hit.mean())
    plain = estimate(hit, ts["propensity_score"], np.full(n, 1 / len(items)))
    assert found.estimates[1].value == pytest.approx(plain.value)
