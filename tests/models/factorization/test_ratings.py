"""BiasedMF, PMF and BPMF against their equations in float64, and on real ratings."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wishart

import twofold as tw
from twofold.data.interactions import Histories
from twofold.errors import NotConvergedError
from twofold.kernels.gaussian_rows import conditional_rows
from twofold.kernels.mf_sgd import cut, sgd_block, sgd_epoch
from twofold.models.factorization.biased_mf import BiasedMF, ridge_rows
from twofold.models.factorization.bpmf import BPMF, sample_prior, sample_wishart
from twofold.models.factorization.pmf import PMF, logistic
from twofold.testing import planted_log


def ratings(seed, n=7, m=6, d=3):
    """Random ratings as (user, item, value), and parameters to start from."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((n, m)) < 0.5)
    value = rng.normal(size=len(user))
    p, q = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    return (
        user.astype(np.int32),
        item.astype(np.int32),
        value,
        p,
        q,
        rng.normal(size=n),
        rng.normal(size=m),
    )


def single(*arrays):
    return [np.array(one, np.float32) for one in arrays]


@given(seed=st.integers(0, 999), biases=st.booleans())
def test_a_block_is_the_papers_step_rating_by_rating(seed, biases):
    user, item, value, p, q, b_u, b_i = ratings(seed)
    got = single(p, q, b_u, b_i)
    loss = sgd_block(user, item, *single(value), *got, 0.05, 0.2, biases)
    total = 0.0
    for u, i, r in zip(user, item, value, strict=True):
        e = r - b_u[u] - b_i[i] - q[i] @ p[u]
        total += e * e
        q_i, p_u = q[i].copy(), p[u].copy()
        q[i] += 0.05 * (e * p_u - 0.2 * q_i)
        p[u] += 0.05 * (e * q_i - 0.2 * p_u)
        if biases:
            b_u[u] += 0.05 * (e - 0.2 * b_u[u])
            b_i[i] += 0.05 * (e - 0.2 * b_i[i])
    for mine, expected in zip(got, (p, q, b_u, b_i), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-4)
    assert loss == pytest.approx(total, rel=1e-3, abs=1e-6)


@given(seed=st.integers(0, 999), n=st.integers(1, 40), m=st.integers(1, 40))
def test_blocks_hold_every_rating_once_and_share_nothing(seed, n, m):
    rng = np.random.default_rng(seed)
    there = rng.random((n, m)) < 0.3
    user, item = np.nonzero(there)
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    value = rng.normal(size=len(user)).astype(np.float32)
    made = cut(indptr, item.astype(np.int32), value, m)
    rows, columns = made.user_order[made.user], made.item_order[made.item]
    order = np.lexsort((columns, rows))
    np.testing.assert_array_equal(rows[order], user)
    np.testing.assert_array_equal(columns[order], item)
    np.testing.assert_array_equal(made.value[order], value)
    groups = round(len(made.start) ** 0.5)
    users_of, items_of = {}, {}
    for block in range(groups * groups):
        inside = slice(made.start[block], made.start[block + 1])
        users_of.setdefault(block // groups, set()).update(made.user[inside].tolist())
        items_of.setdefault(block % groups, set()).update(made.item[inside].tolist())
    for sides in (users_of, items_of):
        assert sum(map(len, sides.values())) == len(set().union(*sides.values()))


def test_an_epoch_visits_every_block():
    """With a step of nothing the loss is that of the start, over all ratings."""
    user, item, value, p, q, b_u, b_i = ratings(3, 30, 20)
    indptr = np.searchsorted(user, np.arange(31))
    made = cut(indptr, item, value.astype(np.float32), 20)
    groups = 16
    loss = np.zeros(groups)
    placed = single(
        p[made.user_order], q[made.item_order], b_u[made.user_order], b_i[made.item_order]
    )
    sgd_epoch(
        made.start, made.user, made.item, made.value, np.random.default_rng(0).permutation(groups),
        *placed, 0.0, 0.0, True, loss,
    )  # fmt: skip
    error = value - b_u[user] - b_i[item] - np.einsum("nd,nd->n", p[user], q[item])
    assert loss.sum() == pytest.approx(error @ error, rel=1e-4)


@given(seed=st.integers(0, 999), d=st.integers(1, 6))
def test_conditional_means_solve_their_systems(seed, d):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 6, 5)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    item = rng.integers(0, 7, indptr[-1]).astype(np.int32)
    weight, pull = single(rng.uniform(0.1, 2, len(item)), rng.normal(size=len(item)))
    (v,) = single(rng.normal(size=(7, d)))
    root = rng.normal(size=(d, d))
    base, shift = root @ root.T + np.eye(d), rng.normal(size=d)
    out = np.empty((5, d), np.float32)
    conditional_rows(indptr, item, weight, pull, v, base, shift, 0.3, 0, out)
    for row in range(5):
        at = slice(indptr[row], indptr[row + 1])
        y = v[item[at]].astype(float)
        a = base + (y.T * weight[at]) @ y + 0.3 * lengths[row] * np.eye(d)
        np.testing.assert_allclose(
            out[row], np.linalg.solve(a, shift + y.T @ pull[at]), rtol=1e-3, atol=1e-4
        )


def test_conditional_draws_have_the_conditional_mean_and_covariance():
    n = 40_000
    base = np.array([[2.0, 0.5], [0.5, 1.0]])
    shift = np.array([1.0, -1.0])
    v = np.array([[1.0, 2.0]], np.float32)
    ones = np.ones(n, np.float32)
    out = np.empty((n, 2), np.float32)
    conditional_rows(
        np.arange(n + 1), np.zeros(n, np.int32), 3 * ones, 2 * ones, v, base, shift, 0.0, 7, out
    )
    a = base + 3 * v.T @ v
    np.testing.assert_allclose(out.mean(axis=0), np.linalg.solve(a, shift + 2 * v[0]), atol=0.015)
    np.testing.assert_allclose(np.cov(out.T), np.linalg.inv(a), atol=0.01)


def test_wishart_draws_have_the_moments_of_the_distribution():
    rng = np.random.default_rng(0)
    scale = np.array([[1.0, 0.3], [0.3, 0.5]])
    drawn = np.array([sample_wishart(scale, 5, rng) for _ in range(4000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 5 * scale, rtol=0.06)
    expected = wishart(5, scale).var()
    np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=0.15)


def test_priors_concentrate_on_the_moments_of_many_rows():
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.4], [0.4, 0.5]])
    rows = rng.multivariate_normal([2.0, -1.0], covariance, 20_000).astype(np.float32)
    prior = sample_prior(rows, 2.0, rng)
    np.testing.assert_allclose(prior.mean, [2, -1], atol=0.05)
    np.testing.assert_allclose(np.linalg.inv(prior.precision), covariance, atol=0.05)


@given(seed=st.integers(0, 999))
def test_folding_in_is_the_ridge_solution(seed):
    rng = np.random.default_rng(seed)
    history = Histories(
        np.array([0, 4, 4]), rng.integers(0, 5, 4).astype(np.int32), np.ones(4, np.float32)
    )
    v, target = single(rng.normal(size=(5, 3)), rng.normal(size=4))
    found = ridge_rows(history, v, target, 0.2)
    y = v[history.item].astype(float)
    expected = np.linalg.solve(y.T @ y + 4 * 0.2 * np.eye(3), y.T @ target)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)
    assert not found[1].any()


@pytest.mark.parametrize("bounded", [True, False])
def test_pmf_ends_where_equation_4_is_flat(bounded):
    """Long training with small steps: the gradient of E, from its definition, all but vanishes."""
    data = planted_log()
    events = data.interactions
    model = PMF(
        factors=2, bounded=bounded, epochs=3000, batches=1, learning_rate=0.004, momentum=0.9,
        user_reg=1.0, item_reg=2.0,
    ).fit(data, rng=0)  # fmt: skip
    u, v = (one[:, :2].astype(float) for one in (model.user_factors, model.item_factors))
    product = np.einsum("nd,nd->n", u[events.user], v[events.item])
    if bounded:
        g = logistic(product)
        slope = (events.value - 1 - 4 * g) * 4 * g * (1 - g)
    else:
        slope = events.value - model.mean - product
    gradient_u, gradient_v = -1.0 * u, -2.0 * v
    np.add.at(gradient_u, events.user, slope[:, None] * v[events.item])
    np.add.at(gradient_v, events.item, slope[:, None] * u[events.user])
    assert np.abs(gradient_u).max() < 0.02
    assert np.abs(gradient_v).max() < 0.02


@pytest.mark.parametrize("model", [BiasedMF(factors=4), PMF(factors=4), BPMF(factors=3)])
def test_the_number_of_threads_changes_nothing(model):
    before = numba.get_num_threads()
    one = model.fit(planted_log(), rng=1)
    try:
        numba.set_num_threads(1)
        two = model.fit(planted_log(), rng=1)
    finally:
        numba.set_num_threads(before)
    assert one.item_factors.tobytes() == two.item_factors.tobytes()


def test_settings_do_not_depend_on_the_scale():
    """The same likings told in stars and in percent are ranked alike."""
    data = planted_log()
    frame = data.frame("interactions")
    columns = {"user": "user", "item": "item", "value": "value"}
    stars = tw.Dataset.from_frames(frame.select("user", "item", "value"), **columns)
    percent = frame.select("user", "item", value=(frame["value"] - 1) * 25)
    percent = tw.Dataset.from_frames(percent, **columns)
    one, two = (BiasedMF(factors=4).fit(log, rng=0) for log in (stars, percent))
    np.testing.assert_allclose(one.item_factors[:, :4], two.item_factors[:, :4], atol=1e-3)


def test_divergence_is_one_sentence():
    with pytest.raises(NotConvergedError, match="lower `learning_rate`"):
        BiasedMF(learning_rate=30.0).fit(planted_log(), rng=0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("model", "floor"),
    [(BiasedMF(), 0.92), (PMF(), 0.935), (BPMF(), 0.91)],
    ids=["mf", "pmf", "bpmf"],
)
def test_real_ratings_are_predicted_well(model, floor, real):
    split = tw.split.k_fold(real("ml-100k"), folds=5, rng=0)[0]
    assert tw.evaluate(model.fit(split.train, rng=0), split, ["rmse"])["rmse"] < floor
