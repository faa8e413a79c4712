"""HRM: its step against finite differences, its special cases against what they are cases of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.kernels import hrm_sgd as kernels
from twofold.models.sequence._hrm_baskets import last_baskets, transitions
from twofold.models.sequence.hrm import CODES, HRM

WAYS = [(f, s) for f in ("average", "max") for s in CODES if (f, s) != ("max", "basket")]


def hybrid(u, basket, users, sources, first, second):
    """f_2(v_u, f_1(v_l)) as the module says it, in float64."""
    own = users[u]
    if not len(basket):
        nothing = np.zeros_like(own)
        return {"concatenate": np.concatenate([own, nothing]), "basket": nothing}.get(second, own)
    rows = sources[basket]
    pooled = rows.mean(axis=0) if first == "average" else rows.max(axis=0)
    match second:
        case "average":
            return (own + pooled) / 2
        case "max":
            return np.maximum(own, pooled)
        case "user":
            return own
        case "basket":
            return pooled
        case "concatenate":
            return np.concatenate([own, pooled])


def goal(u, target, basket, negatives, mask, users, sources, targets, first, second, pairwise):
    """What a step is to lower, in float64."""
    h = hybrid(u, basket, users, sources, first, second) * mask
    softplus = lambda x: np.logaddexp(0, x)  # noqa: E731
    if pairwise:
        return sum(softplus(-(targets[target] - targets[j]) @ h) for j in negatives)
    return softplus(-targets[target] @ h) + sum(softplus(targets[j] @ h) for j in negatives)


@given(
    seed=st.integers(0, 999),
    way=st.sampled_from(WAYS),
    size=st.integers(0, 4),
    pairwise=st.booleans(),
    tied=st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_a_step_goes_down_the_gradient(seed, way, size, pairwise, tied):
    first, second = way
    tied = tied and second != "concatenate"
    rng = np.random.default_rng(seed)
    n, m, d, k = 3, 9, 4, 1 if pairwise else 3
    width = 2 * d if second == "concatenate" else d
    arrays = [
        rng.normal(0, 0.5, (n, d)),
        rng.normal(0, 0.5, (m, d)),
        rng.normal(0, 0.5, (m, width)),
    ]
    if tied:
        arrays[1] = arrays[2]
    rows = rng.permutation(m)
    target, negatives, basket = rows[0], rows[1 : 1 + k], rows[4 : 4 + size]
    mask = rng.choice([0.0, 2.0], width)
    rate, reg = 1e-4, 0.0
    moved = [one.astype(np.float32) for one in arrays]
    if tied:
        moved[1] = moved[2]
    loss = kernels.hrm_step(
        1, int(target), basket.astype(np.int32), negatives.astype(np.int32), mask.astype(np.float32), *moved,
        CODES[first], CODES[second], pairwise, rate, reg,
        np.zeros(d, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32),
        np.zeros(d, np.int64),
    )  # fmt: skip

    def value():
        return goal(1, target, basket, negatives, mask, *arrays, first, second, pairwise)

    assert loss == pytest.approx(value(), rel=1e-5)
    for at, array in enumerate(arrays[:1] + arrays[2:] if tied else arrays):
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-5
            up = value()
            array[place] = kept - 1e-5
            slope[place] = (up - value()) / 2e-5
            array[place] = kept
        found = (array - (moved[2] if tied and at else moved[at])) / rate
        np.testing.assert_allclose(found, slope, atol=5e-3)


def plain_epoch(order, data, negatives, vectors, first, second, rates, reg):
    """`hrm_epoch` in NumPy, float64, without dropout, its draws given; negatives (n, k)."""
    users, sources, targets = vectors
    for at, e in enumerate(order):
        u, i, basket = data.user[e], data.item[e], data.basket[data.start[e] : data.stop[e]]
        h = hybrid(u, basket, users, sources, first, second).copy()
        rate = rates[0] + (rates[1] - rates[0]) * at / len(order)
        keep, pull = 1 - rate * reg, np.zeros_like(h)
        for j, sign in [(i, 1), *((j, -1) for j in negatives[at])]:
            g = sign * rate / (1 + np.exp(sign * targets[j] @ h))
            pull += g * targets[j]
            targets[j] = keep * targets[j] + g * h
        own = users[u].copy()
        pooled = sources[basket].mean(axis=0) if len(basket) else None
        users[u] = keep * own + (pull / 2 if len(basket) else pull)
        if pooled is not None:
            sources[basket] = keep * sources[basket] + pull / 2 / len(basket)


def log_of(seed, n=60, users=6, items=8):
    rng = np.random.default_rng(seed)
    log = {
        "u": rng.integers(0, users, n),
        "i": rng.integers(0, items, n),
        "t": rng.integers(0, 9, n),
    }
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_a_draw_is_the_first_row_whose_running_sum_is_above_its_share(weights):
    cumulative = np.cumsum(weights)
    first = kernels.shelves(cumulative)
    for state in np.random.default_rng(0).integers(0, 2**63, 200, dtype=np.uint64):
        share = kernels.share_of(np.uint64(kernels.mix(state)))
        row = np.searchsorted(cumulative, share * cumulative[-1], side="right")
        assert kernels.draw(state, cumulative, first) == min(row, len(weights) - 1)


def test_an_epoch_is_its_steps_in_order():
    data = log_of(0)
    rng = np.random.default_rng(1)
    pairs = transitions(data.interactions)
    m, d = data.n_items, 3
    vectors = [
        rng.normal(0, 0.3, (data.n_users, d)),
        rng.normal(0, 0.3, (m, d)),
        rng.normal(0, 0.3, (m, d)),
    ]
    moved = [one.astype(np.float32) for one in vectors]
    order = rng.permutation(len(pairs.item))
    cumulative, rates, seed = np.cumsum(np.ones(m)), np.array([0.1, 0.05]), 7
    drawn = []
    golden = int(kernels.GOLDEN)
    begin = int(kernels.mix(np.uint64(seed + golden)))
    for at, e in enumerate(order):
        state = np.uint64(kernels.mix(np.uint64((begin + (at + 1) * golden) % 2**64)))
        some = []
        while len(some) < 4:
            state = np.uint64((int(state) + golden) % 2**64)
            j = kernels.draw(state, cumulative, kernels.shelves(cumulative))
            if j != pairs.item[e]:
                some.append(j)
        drawn.append(some)
    kernels.hrm_epoch(
        order, *pairs, cumulative, seed, *moved, CODES["average"], CODES["average"], False, 4, rates,
        0.01, 0.0,
    )  # fmt: skip
    plain_epoch(order, pairs, drawn, vectors, "average", "average", rates, 0.01)
    for ours, plain in zip(moved, vectors, strict=True):
        np.testing.assert_allclose(ours, plain, atol=2e-5)


@given(seed=st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_transitions_are_every_distinct_item_with_the_basket_before(seed):
    data = log_of(seed)
    expected = []
    for part in data.frame().partition_by("user", maintain_order=True):
        before = []
        for basket in part.partition_by("time", maintain_order=True):
            own = sorted(set(basket["item"]))
            expected += [(part["user"][0], one, before) for one in own]
            before = own
    found = transitions(data.interactions)
    users, items = data.users.ids.ids.to_list(), data.items.ids.ids.to_list()
    assert expected == [
        (users[u], items[i], [items[one] for one in found.basket[a:b]])
        for u, i, a, b in zip(found.user, found.item, found.start, found.stop, strict=True)
    ]


def test_the_last_basket_is_of_the_latest_time_or_the_last_item():
    told = tw.Histories(
        np.array([0, 4, 4, 5]), np.array([3, 2, 1, 2, 7], np.int32), np.ones(5, np.float32),
        np.array([1, 5, 5, 5, 0]),
    )  # fmt: skip
    found = last_baskets(told)
    assert (found.indptr.tolist(), found.item.tolist()) == ([0, 2, 2, 3], [1, 2, 7])
    untold = last_baskets(tw.Histories(told.indptr, told.item, told.value))
    assert (untold.indptr.tolist(), untold.item.tolist()) == ([0, 1, 1, 2], [2, 7])
    assert len(last_baskets(tw.Histories.empty(2)).item) == 0


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize(("first", "second"), WAYS)
def test_scores_are_products_of_hybrids_and_items_and_what_sampling_took_off(
    first, second, corrected
):
    data = log_of(3)
    model = HRM(
        factors=4,
        epochs=2,
        items=first,
        hybrid=second,
        tied=second != "concatenate",
        correction=corrected,
    ).fit(data, rng=0)
    sources = model.item_factors if model.estimator.tied else model.basket_factors
    for row, part in enumerate(data.frame().partition_by("user", maintain_order=True)):
        last = part.filter(part["time"] == part["time"].max())
        basket = data.items.ids.rows(last["item"].unique().sort())
        h = hybrid(row, basket, model.user_factors, sources, first, second)
        lists = model.recommend(users=[part["user"][0]], k=8, exclude_seen=False)
        count = np.bincount(data.interactions.item, minlength=data.n_items)
        share = np.log(count / count.max()) if corrected else 0.0
        expected = dict(zip(data.items.ids.ids, model.item_factors @ h + share, strict=True))
        assert dict(lists.select("item", "score").rows()) == pytest.approx(expected, abs=1e-5)


def test_fpmc_is_three_products_of_vectors_and_a_chain_knows_no_user():
    """Rendle 2010: <v_u, v_i> + mean over the basket of <v_l, v_i>, all with vectors of their own."""
    data = log_of(5)
    fpmc = replace(HRM.fpmc(), factors=3).fit(data, rng=0)
    told = tw.Histories(
        np.array([0, 2]), np.array([1, 4], np.int32), np.ones(2, np.float32), np.array([3, 3])
    )
    scores = fpmc.resume(np.array([2]), told) @ fpmc.item_vectors.T
    chain = fpmc.basket_factors[[1, 4]].mean(axis=0) @ fpmc.item_factors[:, 3:].T
    np.testing.assert_allclose(
        scores[0], fpmc.user_factors[2] @ fpmc.item_factors[:, :3].T + chain, atol=1e-5
    )
    markov = HRM(factors=3, items="average", hybrid="basket", tied=False, dropout=0).fit(
        data, rng=0
    )
    np.testing.assert_array_equal(markov.resume(np.array([2]), told), markov.fold_in(told))
    alone = HRM(factors=3, hybrid="user", dropout=0).fit(data, rng=0)
    other = tw.Histories(np.array([0, 1]), np.array([5], np.int32), np.ones(1, np.float32))
    np.testing.assert_array_equal(
        alone.resume(np.array([2]), told), alone.resume(np.array([2]), other)
    )


def cycle(n_users=40, n_baskets=12, m=12, seed=0):
    """A user buys two items, then their successors: what comes next is known by the last basket alone."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        now = rng.choice(m, 2, replace=False)
        for t in range(n_baskets):
            rows += [(user, int(one), t) for one in now]
            now = (now + 1) % m
    return tw.Dataset.from_frames(
        {"u": [r[0] for r in rows], "i": [r[1] for r in rows], "t": [r[2] for r in rows]},
        user="u", item="i", time="t",
    )  # fmt: skip


@pytest.mark.parametrize("second", ["average", "basket", "concatenate"])
def test_a_chain_is_learned_and_one_basket_more_changes_the_answer(second):
    split = tw.split.last_basket(cycle())
    settings_ = {"items": "average", "hybrid": second, "tied": False, "dropout": 0.0, "epochs": 60}
    model = HRM(factors=16, exponent=0, **settings_).fit(split.train, rng=0)
    found = tw.evaluate(model, split, ["recall@2"], ask="each basket")["recall@2"]
    assert found > 0.9  # by popularity 2 / 12
    frozen = tw.evaluate(model, split, ["recall@2"], ask="each basket", up_to_date=False)
    assert frozen["recall@2"] > 0.9  # the remembered basket is the last one before the test
    told = [["0"], ["3"]] if isinstance(model.items.ids[0], str) else [[0], [3]]
    lists = model.recommend(histories=told, k=1)
    assert lists["item"].to_list() == [1, 4]


def test_the_order_of_baskets_matters_and_that_within_one_does_not():
    model = HRM(factors=8, epochs=5).fit(cycle(), rng=0)

    def vector(items, times):
        n = len(items)
        return model.fold_in(
            tw.Histories(
                np.array([0, n]), np.array(items, np.int32), np.ones(n, np.float32), np.array(times)
            )
        )

    np.testing.assert_array_equal(vector([1, 2, 5], [0, 1, 1]), vector([1, 5, 2], [0, 1, 1]))
    np.testing.assert_array_equal(vector([1, 2, 5], [0, 1, 1]), vector([1, 2, 5, 5], [0, 1, 1, 1]))
    assert (vector([1, 2], [0, 1]) != vector([2, 1], [0, 1])).any()


def test_baskets_are_told_as_lists_inside_a_history():
    data = cycle()
    model = HRM(factors=8, epochs=5).fit(data, rng=0)

    def scores(history):
        asked = model.recommend(histories=[history], k=12, exclude_seen=False)
        return dict(zip(asked["item"], asked["score"], strict=True))

    told = scores([[3, 1], [5, 2]])
    rows = model.items.ids.rows([3, 1, 5, 2])
    timed = tw.Histories(np.array([0, 4]), rows, np.ones(4, np.float32), np.array([10, 10, 20, 20]))
    own = model.item_vectors @ model.fold_in(timed)[0]
    for item, score in told.items():
        np.testing.assert_allclose(score, own[model.items.ids.row(item)], rtol=1e-6)
    assert told == scores([(1, 3), [2, 5]]) == scores([[3, "none", 1], [5, 2], []])
    assert told != scores([3, 1, 5, 2])
    assert scores([[3], [1]]) == scores([3, 1])


def test_a_history_longer_than_any_in_training_and_a_log_without_times():
    log = {"u": [1, 1, 2, 2, 2], "i": list("abbca")}
    model = HRM(factors=4, epochs=3).fit(tw.Dataset.from_frames(log, user="u", item="i"), rng=0)
    long = model.recommend(histories=[list("abc") * 10_000], k=3, exclude_seen=False)
    assert np.isfinite(long["score"].to_numpy()).all()


def test_what_cannot_be_learned_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match=r"cannot be tied; set tied=False"):
        HRM(hybrid="concatenate")
    once = tw.Dataset.from_frames(
        {"u": [1, 2], "i": [1, 2], "t": [0, 0]}, user="u", item="i", time="t"
    )
    with pytest.raises(DataError, match="learns from two baskets of one user and nobody has two"):
        HRM(hybrid="basket").fit(once, rng=0)
    assert len(HRM(epochs=1).fit(once, rng=0).recommend(users=[1], k=1)) == 1


@pytest.mark.parametrize(("first", "second"), [one for one in WAYS if one[1] != "basket"])
def test_a_stranger_climbs_the_objective_alone(first, second):
    """With every item but the target as a negative there is nothing to draw: two items, one negative."""
    data = log_of(9, items=2)
    model = HRM(
        factors=4, epochs=3, items=first, hybrid=second, tied=second != "concatenate", negatives=1,
        learning_rate=0.3, reg=0.0, dropout=0.0,
    ).fit(data, rng=0)  # fmt: skip
    sources = (model.item_factors if model.estimator.tied else model.basket_factors).astype(float)
    targets = model.item_factors.astype(float)
    own = model.user_factors.mean(axis=0, dtype=float)[None]
    told = [([0], []), ([0, 1], [0]), ([1], [0, 1])]  # (what is taken, the basket before)
    steps = [(i, basket) for items, basket in told for i in items] * 3
    for at, (i, basket) in enumerate(steps):
        slope = np.zeros(4)
        for f in range(4):
            up, down = own.copy(), own.copy()
            up[0, f] += 1e-6
            down[0, f] -= 1e-6
            slope[f] = (
                goal(0, i, basket, [1 - i], 1.0, up, sources, targets, first, second, False)
                - goal(0, i, basket, [1 - i], 1.0, down, sources, targets, first, second, False)
            ) / 2e-6
        own[0] -= 0.3 * (1 - 0.99 * at / len(steps)) * slope
    history = tw.Histories(
        np.array([0, 4]),
        np.array([0, 0, 1, 1], np.int32),
        np.ones(4, np.float32),
        np.array([0, 1, 1, 2]),
    )
    found = model.fold_in(history)[0, :-1]
    np.testing.assert_allclose(found, hybrid(0, [1], own, sources, first, second), atol=1e-4)
    twice = model.fold_in(history.take(np.array([0, -1, 0])))
    np.testing.assert_array_equal(twice[0], twice[2])
    np.testing.assert_array_equal(twice[0, :-1], found)


@pytest.mark.data
def test_fpmc_beats_popularity_on_the_next_baskets_of_ta_feng(real):
    data = real("tafeng")
    quarter = np.flatnonzero(data.interactions.user % 4 == 0).astype(np.int64)
    split = tw.split.last_basket(data.part(quarter), validation=True)
    fpmc, popular = (
        tw.evaluate(
            model.fit(split.train, rng=0), split, ["f1@5"], part="validation", ask="each basket"
        )["f1@5"]
        for model in (HRM.fpmc(), tw.models.Popularity())
    )
    assert fpmc > 1.2 * popular
