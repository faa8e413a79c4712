"""Factorization machines against the double sum, literal coordinate steps, and known answers."""

from dataclasses import replace

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import norm

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, DataWarning, NotConvergedError
from twofold.models.factorization import _fm_learners as learners
from twofold.models.factorization import _fm_people as people
from twofold.models.factorization import _probit as probit
from twofold.models.factorization.fm import ALS, FM, MCMC, SGD
from twofold.testing import planted_log

BRIEF = MCMC(burn_in=20, samples=20, thin=1)


def machine(seed, n=40, sizes=((5, 4), (3, 2), (6, 5)), k=3):
    """A random problem of three blocks, its dense design matrix, and parameters."""
    rng = np.random.default_rng(seed)
    blocks, dense = [], []
    for rows, width in sizes:
        x = rng.normal(size=(rows, width)) * (rng.random((rows, width)) < 0.7)
        x = x.astype(np.float32)
        row = rng.integers(0, rows, n).astype(np.int32)
        blocks.append(learners.Block(csr_array(x), row))
        dense.append(x[row].astype(float))
    width = sum(one for _, one in sizes)
    group = np.repeat(np.arange(len(sizes), dtype=np.int32), [one for _, one in sizes])
    problem = learners.Problem.of(blocks, group, len(sizes))
    w, v = rng.normal(size=width), rng.normal(size=(k, width))
    return problem, np.hstack(dense), w, v, rng


def double_sum(x, w0, w, v):
    """Eq. 1 term by term."""
    y = w0 + x @ w
    for i in range(x.shape[1]):
        for j in range(i + 1, x.shape[1]):
            y = y + (v[:, i] @ v[:, j]) * x[:, i] * x[:, j]
    return y


@given(seed=st.integers(0, 999))
def test_predictions_are_the_double_sum(seed):
    problem, x, w, v, _ = machine(seed)
    np.testing.assert_allclose(
        learners.predict(problem, 0.3, w, v), double_sum(x, 0.3, w, v), atol=1e-9
    )


@given(seed=st.integers(0, 999), alpha=st.floats(0.2, 5))
def test_a_pass_is_one_conditional_after_the_other(seed, alpha):
    """Rendle (2012), section 4: every parameter's normal, from the design matrix written out."""
    problem, x, w, v, rng = machine(seed)
    target = rng.normal(size=len(x))
    w_prior = np.stack([rng.normal(size=3), rng.uniform(0.5, 2, 3)])
    v_prior = np.stack([rng.normal(size=(3, 3)), rng.uniform(0.5, 2, (3, 3))])
    noise = iter(drawn := [rng.normal(size=n) for n in (4, 2, 5) * 4])
    e = target - double_sum(x, 0.0, w, v)
    mine_w, mine_v, mine_e = w.copy(), v.copy(), e.copy()
    learners.pass_over(
        problem, mine_e, mine_w, mine_v, alpha, w_prior, v_prior, lambda _: next(noise)
    )
    flat = np.concatenate(drawn).reshape(4, 11)
    for factor in range(-1, 3):
        parameters = w if factor < 0 else v[factor]
        mean, precision = (w_prior if factor < 0 else v_prior[:, factor])[:, problem.group]
        for i in range(11):
            h = x[:, i] if factor < 0 else x[:, i] * (x @ parameters - parameters[i] * x[:, i])
            total = alpha * h @ h + precision[i]
            middle = (alpha * (e + parameters[i] * h) @ h + precision[i] * mean[i]) / total
            new = middle + flat[factor + 1, i] / total**0.5
            e = e - (new - parameters[i]) * h
            parameters[i] = new
    np.testing.assert_allclose(mine_w, w, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(mine_v, v, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(mine_e, target - double_sum(x, 0.0, w, v), atol=1e-6)


@given(seed=st.integers(0, 99))
def test_least_squares_never_raise_the_objective(seed):
    problem, x, _, _, rng = machine(seed)
    target = rng.normal(size=len(x))
    last = np.inf
    chain = learners.alternate(problem, target, 3, 0.3, (0.5, 2.0), 0, rng)
    for _, one in zip(range(8), chain, strict=False):
        e = target - double_sum(x, one.intercept, one.w, one.v)
        now = e @ e + 0.5 * one.w @ one.w + 2.0 * (one.v**2).sum()
        assert now <= last * (1 + 1e-9)
        last = now


@pytest.mark.parametrize("classes", [0, 2])
def test_an_epoch_of_sgd_is_the_gradient_event_by_event(classes):
    problem, x, _, _, rng = machine(3)
    target = rng.integers(0, 2, len(x)).astype(float) if classes else rng.normal(size=len(x))
    seed = np.random.default_rng(8)
    got = next(learners.descend(problem, target, 3, 0.3, 0.05, (0.1, 0.2), classes, seed))
    seed = np.random.default_rng(8)
    v = seed.normal(0, 0.3, (11, 3)).astype(np.float32).astype(float)
    w0, w = 0.0 if classes else target.mean(), np.zeros(11)
    y = 2 * target - 1 if classes else target
    for n in seed.permutation(len(x)):
        q = v.T @ x[n]
        score = double_sum(x[n : n + 1], w0, w, v.T)[0]
        slope = -y[n] / (1 + np.exp(y[n] * score)) if classes else score - y[n]
        seen = x[n] != 0
        w0 -= 0.05 * slope
        w = w - seen * 0.05 * (slope * x[n] + 0.1 * w)
        gradient = x[n][:, None] * q - v * (x[n] ** 2)[:, None]
        v = v - seen[:, None] * 0.05 * (slope * gradient + 0.2 * v)
    np.testing.assert_allclose(got.intercept, w0, rtol=1e-4)
    np.testing.assert_allclose(got.w, w, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(got.v, v.T, rtol=1e-3, atol=1e-5)


def test_priors_settle_where_the_parameters_are():
    problem, *_, rng = machine(0, sizes=((4, 4000), (4, 4000)))
    values = np.concatenate([rng.normal(2, 0.5, 4000), rng.normal(-1, 2, 4000)])
    prior = np.stack([np.zeros(2), np.ones(2)])
    for _ in range(5):
        prior = learners.draw_priors(values, prior, problem, rng)
    np.testing.assert_allclose(prior[0], [2, -1], atol=0.12)
    np.testing.assert_allclose(prior[1], [4, 0.25], rtol=0.1)


def test_gibbs_finds_the_noise_it_was_given():
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, one, 4000).astype(np.int32) for one in (30, 20)]
    blocks = [
        learners.Block(csr_array(np.eye(one, dtype=np.float32)), row)
        for one, row in zip((30, 20), rows, strict=True)
    ]
    problem = learners.Problem.of(blocks, np.repeat(np.arange(2, dtype=np.int32), (30, 20)), 2)
    w, v = rng.normal(size=50), rng.normal(size=(2, 50))
    truth = learners.predict(problem, 0.5, w, v)
    y = truth + rng.normal(0, 0.5, len(truth))
    chain = learners.gibbs(problem, y, 2, 0.1, 0, rng)
    kept = [one for step, one in zip(range(60), chain, strict=False) if step >= 30]
    np.testing.assert_allclose(np.mean([one.alpha for one in kept]), 4.0, rtol=0.1)
    mean = np.mean([learners.predict(problem, one.intercept, one.w, one.v) for one in kept], axis=0)
    assert np.corrcoef(mean, truth)[0, 1] > 0.99


def test_a_column_that_tells_nothing_does_not_hold_the_chain_up():
    """The weights of ids must not start where a column of two levels can take their place."""
    rng = np.random.default_rng(2)
    n_users, n_items, n = 400, 200, 20_000
    user, item = (rng.integers(0, one, n).astype(np.int32) for one in (n_users, n_items))
    x_user = np.hstack([np.eye(n_users), np.eye(2)[rng.integers(0, 2, n_users)]])
    blocks = [
        learners.Block(csr_array(x_user.astype(np.float32)), user),
        learners.Block(csr_array(np.eye(n_items, dtype=np.float32)), item),
    ]
    group = np.repeat(np.arange(3, dtype=np.int32), (n_users, 2, n_items))
    problem = learners.Problem.of(blocks, group, 3)
    truth = rng.normal(0, 0.5, n_users)[user] + rng.normal(0, 0.5, n_items)[item]
    chain = learners.gibbs(problem, truth + rng.normal(0, 0.8, n), 4, 0.1, 0, rng)
    third = next(one for step, one in enumerate(chain) if step == 2)
    assert third.w[group == 2].std() > 0.4


# ---- probit ------------------------------------------------------------------------------------


@given(seed=st.integers(0, 999), shift=st.floats(-30, 30))
def test_class_probabilities_are_differences_of_the_normal(seed, shift):
    rng = np.random.default_rng(seed)
    cuts, mean = np.sort(rng.normal(size=4)), rng.normal(size=20)
    target = rng.integers(0, 5, 20).astype(float)
    low, high = probit.bounds(target, cuts)
    chances = probit.probabilities(cuts, mean)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    plain = norm.cdf(high - mean) - norm.cdf(low - mean)
    np.testing.assert_allclose(chances[np.arange(20), target.astype(int)], plain, atol=1e-12)
    np.testing.assert_allclose(
        np.exp(probit.log_probability(low, high, mean)), plain, rtol=1e-6, atol=1e-300
    )
    assert np.isfinite(probit.log_probability(low, high, mean + shift)).all()


def test_latent_draws_have_the_truncated_mean_and_stay_inside():
    rng = np.random.default_rng(0)
    cuts = np.array([-0.5, 0.2, 1.0])
    target = np.repeat(np.arange(4.0), 20_000)
    mean = np.repeat([0.3, 2.0, -1.5, 0.0], 20_000)
    low, high = probit.bounds(target, cuts)
    drawn = probit.draw_latent(target, cuts, mean, rng)
    assert np.all((low <= drawn) & (drawn <= high))
    expected = probit.expected_latent(target, cuts, mean).reshape(4, -1)[:, 0]
    np.testing.assert_allclose(drawn.reshape(4, -1).mean(axis=1), expected, atol=0.02)
    far = probit.draw_latent(np.array([0.0, 3.0]), cuts, np.array([40.0, -40.0]), rng)
    assert np.isfinite(far).all()


def test_cut_points_are_found_again():
    rng = np.random.default_rng(1)
    truth, mean = np.array([-1.0, 0.1, 0.8]), rng.normal(size=20_000)
    target = np.searchsorted(truth, mean + rng.normal(size=len(mean))).astype(float)
    cuts, walk = probit.first_cuts(target, 4), np.full(3, probit.FIRST_WALK)
    kept = []
    for step in range(300):
        cuts, walk = probit.draw_cuts(cuts, walk, target, mean, rng)
        assert np.all(np.diff(cuts) > 0)
        if step >= 100:
            kept.append(cuts)
    np.testing.assert_allclose(np.mean(kept, axis=0), truth, atol=0.04)


# ---- the fitted model --------------------------------------------------------------------------


def context_log():
    """Even items are liked when the sun shines, odd ones when it rains."""
    rng = np.random.default_rng(0)
    n = 1500
    user, item, rain = rng.integers(0, 20, n), rng.integers(0, 12, n), rng.random(n) < 0.5
    likes = (item % 2 == 0) ^ rain
    value = np.where(likes, 4.0, 2.0) + rng.normal(0, 0.2, n)
    weather = np.where(rain, "rain", "sun")
    log = {"u": user, "i": item, "v": value, "weather": weather, "t": 86_400 * (user % 3)}
    return tw.Dataset.from_frames(
        log, user="u", item="i", value="v", time="t", context={"weather": "category"}
    )


def test_a_list_is_the_machine_written_out():
    """The product of the two vectors is Eq. 1 on all features of user, context and item."""
    data = context_log()
    model = FM(factors=3, learner=ALS(epochs=5), day=True).fit(data, rng=0)
    asked = Queries(
        np.array([4], np.int32),
        model.memory.history.take(np.array([-1])),
        np.zeros(1, bool),
        np.array([86_400]),
        {"weather": data.interactions.context["weather"].take(np.array([7]))},
    )
    vectors, _ = model.encode(asked)
    context = model.layout.encode_context(asked).toarray()
    assert context.sum() == 2
    for item in range(3):
        product = float(vectors[0] @ model.item_vectors[item])
        # Items as features: ids, then history.
        x = np.concatenate([
            model.user_rows[[4]].toarray()[0],
            context[0],
            np.eye(model.layout.n_item - 20)[item],
            item_history(data, item),
        ])  # fmt: skip
        expected = double_sum(x[None], model.intercept[0], model.weights[0], model.loadings[0])[0]
        assert product == pytest.approx(model.targets.unit * expected, rel=1e-3, abs=1e-3)


def item_history(data, item):
    users = np.unique(data.interactions.user[data.interactions.item == item])
    out = np.zeros(20)
    out[users] = len(users) ** -0.5
    return out


def test_context_turns_the_list_round():
    model = FM(factors=4, learner=BRIEF).fit(context_log(), rng=0)
    best = {
        weather: model.recommend(users=[0], k=4, exclude_seen=False, context={"weather": [weather]})
        for weather in ("sun", "rain")
    }
    assert all(one % 2 == 0 for one in best["sun"]["item"])
    assert all(one % 2 == 1 for one in best["rain"]["item"])
    with pytest.raises(ConfigError, match=r"no context column 'wether'; .*weather"):
        model.recommend(users=[0], context={"wether": ["sun"]})


def test_a_number_of_the_context_beyond_those_of_training_is_read_as_the_nearest(tmp_path):
    rng = np.random.default_rng(0)
    item, price = rng.integers(0, 8, 400), rng.uniform(1, 20, 400)
    liked = 3 + np.where(price > 10, 1, -1) * np.where(item % 2, 1, -1)
    log = {"u": rng.integers(0, 20, 400), "i": item, "price": price, "r": liked}
    data = tw.Dataset.from_frames(log, user="u", item="i", value="r", context={"price": "number"})
    FM(learner=BRIEF).fit(data, rng=0).save(tmp_path / "model")
    model = tw.load(tmp_path / "model")

    def answer(at):
        return model.recommend(users=[1], k=8, exclude_seen=False, context={"price": [at]})

    assert answer(2e6).equals(answer(float(price.max())))
    assert answer(-5).equals(answer(float(price.min())))
    assert not answer(15).equals(answer(float(price.max())))
    assert answer(2e6)["item"][0] % 2 == 1


def test_pairs_are_predicted_in_their_context():
    data = context_log()
    model = FM(factors=3, learner=BRIEF, day=True).fit(data, rng=0)
    pairs = {"user": [0, 0], "item": [2, 2], "weather": ["sun", "rain"], "time": ["1970-01-01"] * 2}
    sun, rain = model.predict(pairs)["score"]
    assert sun - rain > 1
    split = tw.split.random(data, test=0.2, rng=0)
    asked = model.estimator.fit(split.train, rng=0)
    assert tw.evaluate(asked, split, ["rmse"])["rmse"] < 0.5


def test_folding_in_is_the_ridge_solution():
    data = planted_log()
    model = FM(
        factors=3, learner=ALS(epochs=20, reg_w=0.5, reg_v=2.0), user_history=False, features=()
    )
    fitted = model.fit(data, rng=0)
    history = fitted.memory.history.take(np.array([3]))
    items = fitted.by_sample(fitted.item_factors)[history.item, 0].astype(float)
    z = np.hstack([items[:, :3], np.ones((len(items), 1))])
    goal = fitted.targets.encode(history.value) - fitted.intercept[0] - items[:, 3]
    own = np.linalg.solve(z.T @ z + np.diag([2.0, 2, 2, 0.5]), z.T @ goal)
    vector = fitted.fold_in(history)[0] / fitted.targets.unit
    np.testing.assert_allclose(
        vector, [*own[:3], 1, fitted.intercept[0] + own[3]], rtol=1e-3, atol=1e-4
    )


def of_own_taste(rng):
    """People 0 to 89 take items 0 to 59 whose number has their own remainder by 3."""
    user = np.repeat(np.arange(90), 8)
    return pl.DataFrame({"u": user, "i": rng.integers(0, 20, len(user)) * 3 + user % 3})


def people_log():
    """People of three tastes take what is of their taste; their ages tell nothing."""
    rng = np.random.default_rng(0)
    events = of_own_taste(rng)
    users = pl.DataFrame({
        "u": np.arange(90),
        "taste": [f"taste {one % 3}" for one in range(90)],
        "age": rng.uniform(20, 60, 90),
    })  # fmt: skip
    return tw.Dataset.from_frames(
        events, user="u", item="i", users=users,
        user_features={"taste": "category", "age": "number"},
    )  # fmt: skip


@pytest.mark.parametrize("learner", [BRIEF, ALS(reg_v=1.0), SGD(reg_v=0.01)])
def test_people_known_by_features_alone_are_answered_by_them(learner, tmp_path):
    FM(learner=learner).fit(people_log(), rng=0).save(tmp_path / "model")
    model = tw.load(tmp_path / "model")
    told = {"taste": ["taste 0", "taste 1", "taste 2"]}
    lists = model.recommend(features=told, k=8)
    assert set(lists["source"]) == {"content"}
    assert (lists["item"] % 3 == lists["user"]).mean() > 0.9
    old, young = (model.recommend(features={"age": [one]}, k=9) for one in (60.0, 6e9))
    assert young["score"].max() < 2 * old["score"].max()
    with pytest.warns(DataWarning, match="'taste 7'"):
        unknown = model.recommend(features={"taste": ["taste 7"]}, k=8)
    assert set(unknown["source"]) == {"fallback:popularity"}
    older = replace(model, by_column=None)
    assert not older.reads_features


def test_what_a_column_says_is_the_ridge_regression_of_peoples_vectors_on_it():
    model = FM(factors=3, learner=ALS(epochs=4)).fit(people_log(), rng=0)
    every = np.arange(90)
    first = len(model.users)
    x = np.hstack([model.user_rows[:, first : first + 4].toarray(), np.ones((90, 1))])
    y = model.lookup(every.astype(np.int32)).astype(float)
    expected = np.linalg.solve(x.T @ x + people.RIDGE * np.diag([1, 1, 1, 1, 0]), x.T @ y)
    np.testing.assert_allclose(model.by_column, expected, rtol=1e-4, atol=1e-5)


def things_log():
    """People take what is of their taste; what things weigh tells nothing, and nobody has taken the last three."""
    rng = np.random.default_rng(0)
    events = of_own_taste(rng)
    things = pl.DataFrame({
        "i": np.arange(63),
        "of": [f"taste {one % 3}" for one in range(60)] + ["taste 0", "taste 1", "taste 9"],
        "weight": rng.uniform(1, 9, 63),
    })  # fmt: skip
    return tw.Dataset.from_frames(
        events, user="u", item="i", items=things,
        item_features={"of": "category", "weight": "number"},
    )  # fmt: skip


@pytest.mark.parametrize("learner", [BRIEF, ALS(reg_v=1.0), SGD(reg_v=0.01)])
def test_new_items_are_placed_by_their_features(learner, tmp_path):
    FM(learner=learner).fit(things_log(), rng=0).save(tmp_path / "model")
    model = tw.load(tmp_path / "model")
    new = {"item": [100, 101, 102], "of": ["taste 0", "taste 1", "taste 2"], "weight": [5.0] * 3}
    grown = model.with_items(new)
    lists = grown.recommend(users=np.arange(90), allow=[100, 101, 102], k=1)
    assert (lists["item"] - 100 == lists["user"] % 3).mean() > 0.9
    assert set(grown.similar_items(100, k=5)["item"].cast(int) % 3) == {0}
    odd = {"item": [100], "of": ["taste 9"], "weight": [None]}
    with pytest.warns(DataWarning) as said:
        model.with_items(odd)
    assert any("'taste 9'" in str(one.message) for one in said)
    assert not replace(model, by_item_column=None).reads_content


def test_what_a_column_of_items_says_leaves_out_items_that_nobody_took():
    model = FM(factors=3, learner=ALS(epochs=4)).fit(things_log(), rng=0)
    items = model.items.take(np.arange(60))
    learned, column = model.layout.things[0].levels, items.features["of"]
    assert len(learned) == 3 < len(column.levels)
    x = np.hstack([
        np.eye(3)[learned.rows(column.levels.ids)[column.codes]],
        (items.features["weight"].values[:, None] - model.layout.things[1].centre)
        / model.layout.things[1].scale,
        np.ones((60, 1)),
    ])  # fmt: skip
    y = model.item_factors[:60].astype(float)
    expected = np.linalg.solve(x.T @ x + people.RIDGE * np.diag([1] * 4 + [0]), x.T @ y)
    np.testing.assert_allclose(model.by_item_column, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.encode_items(items), x @ expected, rtol=1e-3, atol=1e-4)


def test_features_count_beside_a_history_that_is_told():
    model = FM(factors=4, learner=BRIEF).fit(people_log(), rng=0)
    asked = [[int(one)] for one in (0, 0)]
    lists = model.recommend(
        histories=asked, features={"taste": ["taste 0", "taste 1"]}, k=8, exclude_seen=False
    )
    assert set(lists["source"]) == {"fold-in"}
    of_one = (lists["item"] % 3 == 1).to_numpy().reshape(2, 8).mean(axis=1)
    assert of_one[1] > of_one[0]
    known = np.array([1], np.int32)
    history = model.memory.history.take(np.array([0]))
    assert not np.allclose(model.resume(known, history), model.fold_in(history))


@pytest.mark.parametrize(
    ("task", "learner"),
    [
        ("classification", BRIEF),
        ("classification", ALS()),
        ("classification", SGD(learning_rate=0.05)),
        ("ordered", BRIEF),
    ],
)
def test_classes_are_predicted_as_their_expected_value(task, learner):
    events = planted_log()
    split = tw.split.random(events, test=0.2, rng=0)
    train, test = split.train, split.test
    if task == "classification":
        liked = (train.interactions.value > 3).astype(np.float32)
        train = replace(train, interactions=train.interactions.with_values(liked))
    model = FM(factors=3, task=task, learner=learner).fit(train, rng=0)
    found = model.predict(
        {
            "user": test.users.ids.ids.gather(test.interactions.user),
            "item": test.items.ids.ids.gather(test.interactions.item),
        }
    )["score"].to_numpy()
    truth = test.interactions.value
    low, high = train.value_range
    assert found.min() >= low
    assert found.max() <= high
    liked = truth > 3
    assert found[liked].mean() - found[~liked].mean() > 0.45 * (high - low)


@pytest.mark.parametrize(
    "learner", [MCMC(burn_in=10, samples=10), ALS(reg_v=1.0), SGD(learning_rate=0.05, reg_v=0.01)]
)
def test_a_log_without_values_is_ranked(learner):
    user, item = np.divmod(np.arange(30 * 12), 12)
    kept = ((user + item) % 2 == 0) & (np.random.default_rng(0).random(len(user)) < 0.7)
    log = {"u": user[kept], "i": item[kept]}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    plain = FM(factors=3, learner=learner, user_history=False, item_history=False)
    found = plain.fit(data, rng=0).recommend(histories=[[2, 4, 6]], k=9)
    even = found["item"].to_numpy() % 2 == 0
    score = found["score"].to_numpy()
    assert score[even].mean() - score[~even].mean() > 0.5 * score.std()


def test_the_number_of_threads_changes_nothing():
    before = numba.get_num_threads()
    one = FM(factors=3, learner=BRIEF).fit(planted_log(), rng=1)
    try:
        numba.set_num_threads(1)
        two = FM(factors=3, learner=BRIEF).fit(planted_log(), rng=1)
    finally:
        numba.set_num_threads(before)
    assert one.loadings.tobytes() == two.loadings.tobytes()


def test_what_does_not_fit_is_refused_in_a_sentence():
    data = planted_log()
    with pytest.raises(ConfigError, match="task='ordered' needs the MCMC learner; got SGD"):
        FM(task="ordered", learner=SGD()).fit(data)
    with pytest.raises(DataError, match="needs two values; got 4"):
        FM(task="classification").fit(data)
    with pytest.raises(ConfigError, match=r"no feature column 'tast'; .*taste"):
        FM(features=("tast",)).fit(data)
    with pytest.raises(ConfigError, match="feature 'title' is a text column"):
        FM(features=("title",)).fit(data)
    timeless = tw.Dataset.from_frames(
        {"u": [1], "i": [1], "v": [1.0]}, user="u", item="i", value="v"
    )
    with pytest.raises(ConfigError, match="needs a log with times"):
        FM(day=True).fit(timeless)
    with pytest.raises(NotConvergedError, match="lower `learning_rate`"):
        FM(learner=SGD(learning_rate=50.0)).fit(data, rng=0)


@pytest.mark.data
def test_features_beat_ids_on_real_ratings(real):
    split = tw.split.k_fold(real("ml-100k"), folds=5, rng=0)[0]
    brief = MCMC(burn_in=20, samples=20, thin=1)
    plain = FM(features=(), user_history=False, item_history=False, learner=brief)
    rmse = {
        name: tw.evaluate(model.fit(split.train, rng=0), split, ["rmse"])["rmse"]
        for name, model in {"plain": plain, "all": FM(learner=brief)}.items()
    }
    assert rmse["all"] < 0.89 < rmse["plain"] < 0.91
