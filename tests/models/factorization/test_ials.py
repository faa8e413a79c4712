"""iALS against its objective, written out over every cell in float64, and against dense solutions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import twofold as tw
from twofold.data.interactions import Histories
from twofold.errors import ConfigError, DataError
from twofold.hyperparameters import values
from twofold.models.factorization._ials_weights import weights_of
from twofold.models.factorization.ials import (
    IALS,
    Block,
    ConjugateGradient,
    Exact,
    Side,
    half_step,
    initial,
    observations,
)

HU = {"alpha": 5.0, "unobserved_weight": 1.0, "zeros": "unobserved", "nu": 0.0}
VARIANTS = [
    {},
    {"nu": 0.5, "unobserved_weight": 0.7},
    {"alpha": 2.0},
    {"zeros": "unobserved", "unobserved_weight": 0.3},
    HU,
    HU | {"alpha": 0.0},
]
SOLVERS = [Exact(), Block(size=16), ConjugateGradient(steps=2)]


def random_log(seed, n_users=14, n_items=11, fill=0.35):
    """A dense array of counts (0 = not observed) in which everybody has something, and its dataset."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, (n_users, n_items)) * (rng.random((n_users, n_items)) < fill)
    counts[np.arange(n_users), np.arange(n_users) % n_items] = 1
    user, item = np.nonzero(counts)
    log = {"u": user, "i": item, "v": counts[user, item].astype(float)}
    return counts.astype(float), tw.Dataset.from_frames(log, user="u", item="i", value="v")


def weights(model, rows):
    return weights_of(model.reg, model.unobserved_weight, rows)


def loss(model, counts, x, y):
    """The objective of the module's docstring, cell by cell."""
    seen = counts > 0
    product = x.astype(float) @ y.T.astype(float)
    confidence = np.where(seen, 1 + model.alpha * counts, 0)
    zeros = np.ones_like(seen) if model.zeros == "all" else ~seen
    n_users, n_items = counts.shape
    reg, unobserved = weights(model, csr_array(counts))
    of_user = (seen.sum(1) + unobserved * n_items) ** model.nu
    of_item = (seen.sum(0) + unobserved * n_users) ** model.nu
    return (
        (confidence * (1 - product) ** 2).sum()
        + unobserved * (zeros * product**2).sum()
        + reg * (of_user @ (x.astype(float) ** 2).sum(1))
        + reg * (of_item @ (y.astype(float) ** 2).sum(1))
    )


def best_rows(model, counts, y):
    """The minimum of `loss` over x: one dense weighted ridge regression a row."""
    rows, (reg, unobserved) = [], weights(model, csr_array(counts))
    for r in counts:
        seen = r > 0
        confidence = np.where(seen, 1 + model.alpha * r, 0)
        zero = unobserved * (np.ones(len(r)) if model.zeros == "all" else ~seen)
        ridge = reg * (seen.sum() + unobserved * len(r)) ** model.nu
        a = (y.T * (confidence + zero)) @ y + ridge * np.eye(y.shape[1])
        rows.append(np.linalg.solve(a, y.T @ confidence))
    return np.array(rows)


def sides(model, data):
    rows = observations(model, data.interactions.matrix())
    weighed = weights(model, rows)
    of_items = Side.of(model, weighed, rows.T.tocsr(), data.n_users)
    return weighed, Side.of(model, weighed, rows, data.n_items), of_items


@given(
    seed=st.integers(0, 999),
    variant=st.sampled_from(VARIANTS),
    factors=st.sampled_from([1, 3, 16, 20]),
)
@settings(deadline=None, max_examples=40)
def test_folding_in_is_the_dense_solution(seed, variant, factors):
    counts, data = random_log(seed)
    model = IALS(factors=factors, epochs=2, reg=0.05, **variant)
    fitted = model.fit(data, rng=seed)
    found = fitted.fold_in(Histories.of(data.interactions))
    assert found.dtype == np.float32
    assert found.shape == (14, factors)
    expected = best_rows(model, counts, fitted.item_factors.astype(float))
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3)


@given(seed=st.integers(0, 999), variant=st.sampled_from(VARIANTS), solver=st.sampled_from(SOLVERS))
@settings(deadline=None, max_examples=40)
def test_a_half_step_never_raises_the_loss(seed, variant, solver):
    counts, data = random_log(seed)
    model = IALS(factors=20, reg=0.05, solver=solver, init_scale=2.0, **variant)
    weighed, users, items = sides(model, data)
    rng = np.random.default_rng(seed)
    x, y = initial(data.n_users, model, rng), initial(data.n_items, model, rng)
    before = loss(model, counts, x, y)
    for _ in range(3):
        y, x, _ = half_step(model, weighed, users, y, x, items.mass)
        middle = loss(model, counts, x, y)
        x, y, _ = half_step(model, weighed, items, x, y, users.mass)
        after = loss(model, counts, x, y)
        assert middle <= before * (1 + 1e-5)
        assert after <= middle * (1 + 1e-5)
        before = after


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_training_ends_where_the_gradient_is_zero(variant):
    counts, data = random_log(1)
    model = IALS(factors=3, epochs=600, reg=0.05, init_scale=0.5, **variant)
    fitted = model.fit(data, rng=0)
    x, y = fitted.user_factors.astype(float), fitted.item_factors.astype(float)
    np.testing.assert_allclose(best_rows(model, counts, y), x, atol=5e-3)
    other = best_rows(model, counts.T, x)
    np.testing.assert_allclose(other, y, atol=5e-3)


def test_all_solvers_reach_one_loss():
    counts, data = random_log(2, n_users=60, n_items=40, fill=0.2)
    reached = []
    for solver in [*SOLVERS, Block(size=1), ConjugateGradient(steps=1)]:
        model = IALS(factors=20, epochs=60, reg=0.02, solver=solver)
        fitted = model.fit(data, rng=0)
        reached.append(loss(model, counts, fitted.user_factors, fitted.item_factors))
    assert max(reached) < 1.01 * min(reached)


def test_rotations_change_no_product():
    _, data = random_log(3)
    model = IALS(factors=20, solver=ConjugateGradient(steps=1))
    weighed, users, items = sides(model, data)
    rng = np.random.default_rng(0)
    x, y = initial(data.n_users, model, rng), initial(data.n_items, model, rng)
    x_new, _, spectrum = half_step(model, weighed, items, x, y, users.mass)
    gram = x_new.T.astype(float) @ x_new
    np.testing.assert_allclose(gram, np.diag(spectrum), atol=1e-5)
    np.testing.assert_allclose(x_new @ x_new.T, x @ x.T, atol=1e-5)


def test_values_count_only_through_alpha():
    _, data = random_log(4)
    flat = data.interactions.with_values(np.ones(len(data), np.float32))
    plain = tw.Dataset(flat, data.users, data.items)
    for alpha, same in ((0.0, True), (1.0, False)):
        a, b = (IALS(factors=4, alpha=alpha).fit(one, rng=0).item_factors for one in (data, plain))
        assert np.array_equal(a, b) == same


def test_repeated_pairs_are_one_observation():
    once = {"u": [1, 1, 2, 3], "i": ["a", "b", "b", "a"]}
    twice = {name: column + column for name, column in once.items()}
    a, b = (
        IALS(factors=2).fit(tw.Dataset.from_frames(log, user="u", item="i"), rng=0)
        for log in (once, twice)
    )
    np.testing.assert_array_equal(a.item_factors, b.item_factors)


def test_negative_values_are_refused_only_where_they_are_read():
    log = {"u": [1, 1, 2], "i": ["a", "b", "a"], "v": [1.0, -2.0, 3.0]}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="v")
    with pytest.raises(DataError, match="values as counts, which must be >= 0; found -2"):
        IALS(alpha=1.0).fit(data)
    assert np.isfinite(IALS(factors=2).fit(data, rng=0).item_factors).all()


def test_a_value_of_zero_is_no_observation_under_alpha():
    log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "b", "b"], "v": [1.0, 0.0, 3.0, 0.0, 0.0]}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="v")
    fitted = IALS(factors=2, alpha=1.0).fit(data, rng=0)
    assert not fitted.item_factors[1].any()
    nothing = data.interactions.with_values(np.zeros(5, np.float32))
    with pytest.raises(DataError, match="all of them are 0"):
        IALS(factors=2, alpha=1.0).fit(tw.Dataset(nothing, data.users, data.items), rng=0)


@pytest.mark.parametrize("solver", [*SOLVERS, Block(size=7)], ids=str)
def test_hyperparameters_survive_json(solver):
    model = IALS(factors=5, solver=solver)
    assert IALS(**json.loads(json.dumps(values(model)))) == model


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"factors": 0}, r"IALS.factors got 0"),
        ({"unobserved_weight": 0.0}, r"IALS.unobserved_weight got 0"),
        ({"solver": {"method": "block", "size": 0}}, r"IALS.solver.block.size got 0"),
        (
            {"solver": {"method": "magic"}},
            r"IALS.solver got 'magic'; allowed: exact, block, conjugate gradient",
        ),
        ({"factor": 8}, r"did you mean 'factors'"),
    ],
)
def test_a_wrong_hyperparameter_is_refused(bad, said):
    with pytest.raises(ConfigError, match=said):
        IALS(**bad)


def test_two_tastes_are_found():
    """Even users have even items and odd users odd ones, but for one held-out pair each."""
    pairs = [(u, i) for u in range(40) for i in range(20) if (u + i) % 2 == 0 and i != u % 20]
    log = {"u": [u for u, _ in pairs], "i": [i for _, i in pairs]}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    model = IALS(factors=4).fit(data, rng=0)
    lists = model.recommend(users=list(range(40)), k=1)
    assert [(u, i) for u, i in lists.select("user", "item").iter_rows()] == [
        (u, u % 20) for u in range(40)
    ]


def test_a_large_catalogue_beside_short_histories_does_not_leave_popularity():
    rng = np.random.default_rng(0)
    n_groups, n_users, n_items = 150, 900, 6000
    group = np.arange(n_users) % n_groups
    user = np.repeat(np.arange(n_users), 8)
    item = rng.integers(0, n_items // n_groups, len(user)) * n_groups + group[user]
    data = tw.Dataset.from_frames({"u": user, "i": item}, user="u", item="i")
    fitted = IALS(factors=64).fit(data, rng=0)
    found = fitted.recommend(users=list(range(n_groups)), k=5)
    right = found["item"].to_numpy() % n_groups == found["user"].to_numpy() % n_groups
    assert right.mean() > 0.3  # one of the 150 groups by chance
    assert fitted.weights.unobserved < 0.05
