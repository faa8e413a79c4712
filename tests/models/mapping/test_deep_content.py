"""DeepContent: losses and maps against the equations, and the model against its promises."""

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.tree import DecisionTreeRegressor

import twofold as tw
from twofold.data.convert import column_from_values
from twofold.data.music import generated_music
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, DataWarning, NotConvergedError
from twofold.features.audio import LogMel
from twofold.models.mapping import deep_content
from twofold.models.mapping._content_dense import ridge
from twofold.models.mapping._content_goal import Goal, confidence, objective
from twofold.models.mapping._content_trees import Trees, fit_trees
from twofold.testing import planted_log

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.models.mapping import _content_training as training  # noqa: E402 - needs torch

DEEP = tw.models.DeepContent
IALS = tw.models.IALS(factors=4)
SOUND = {"sample_rate": 8000, "window": 256, "hop": 256, "bands": 24, "min_seconds": 1.0}
CNN = {"kind": "cnn", "channels": (8, 8), "pools": (4, 2), "hidden": (16,), "seconds": 1.0}


def rows_and_goal(rng, *, ratings=False, n=30, width=12, d=3, users=20):
    x = csr_array(rng.random((n, width)) * (rng.random((n, width)) < 0.4), dtype=np.float32)
    vectors = rng.normal(size=(n, d)).astype(np.float32)
    if not ratings:
        return x, Goal.of(vectors)
    taken = csr_array(
        (rng.random((n, users)) < 0.3) * (1 + rng.random((n, users))), dtype=np.float32
    )
    return x, Goal.of(vectors, rng.normal(size=(users, d)).astype(np.float32), taken)


@pytest.mark.parametrize("ratings", [False, True])
def test_the_loss_is_the_equation(ratings):
    rng = np.random.default_rng(0)
    _, goal = rows_and_goal(rng, ratings=ratings)
    found = rng.normal(size=goal.vectors.shape).astype(np.float32)
    value = float(training.loss_towards(goal)(torch.from_numpy(found), torch.arange(len(goal))))
    predicted = goal.centre + goal.scale * found.astype(np.float64)
    expected = objective(goal, predicted)
    assert value == pytest.approx(expected if ratings else expected / goal.scale**2, rel=1e-4)


def test_the_objective_on_ratings_is_the_literal_sum():
    """Eq. 5, pair by pair."""
    rng = np.random.default_rng(1)
    _, goal = rows_and_goal(rng, ratings=True, n=4, users=5)
    c, total = goal.weights.toarray(), 0.0
    for item in range(4):
        for user in range(5):
            score = float(goal.vectors[item] @ goal.other[user])
            total += c[item, user] * (1 - score) ** 2 if c[item, user] else score**2
    assert objective(goal, goal.vectors) == pytest.approx(total / 4, rel=1e-5)


def test_the_confidence_is_that_of_the_paper():
    log = {"u": [1, 1, 2], "i": ["a", "b", "a"], "n": [1.0, 3.0, 0.0]}
    model = IALS.fit(tw.Dataset.from_frames(log, user="u", item="i", value="n"), rng=0)
    c = confidence(model.memory, 2, alpha=2, epsilon=0.5).toarray()
    np.testing.assert_allclose(c, [[1 + 2 * np.log(3), 1 + 2 * np.log(7)], [0, 0]], rtol=1e-6)


def test_a_pair_without_a_value_above_0_is_not_taken():
    log = {"u": [1, 1, 2], "i": ["a", "b", "a"], "n": [-3.0, 3.0, 1.0]}
    memory = tw.Memory.of(tw.Dataset.from_frames(log, user="u", item="i", value="n"))
    c = confidence(memory, 2, alpha=2, epsilon=0.5).toarray()
    np.testing.assert_allclose(c, [[0, 1 + 2 * np.log(7)], [1 + 2 * np.log(3), 0]], rtol=1e-6)
    memory = tw.Memory.of(
        tw.Dataset.from_frames({**log, "n": [-1, 0, 0]}, user="u", item="i", value="n")
    )
    with pytest.raises(ConfigError, match='no pair has one: use loss="factors"'):
        confidence(memory, 2, alpha=2, epsilon=0.5)


@pytest.mark.parametrize("side", ["items", "users"])
def test_content_is_mapped_to_the_vectors_of_those_with_a_history(side):
    log = planted_log().frame("interactions")
    log = log.filter((pl.col("item") != "i3") & (pl.col("user") != 104))
    both = {"items": planted_log().frame("items"), "users": planted_log().frame("users")}
    kinds = {"item_features": {"title": "text"}, "user_features": {"taste": "category"}}
    data = tw.Dataset.from_frames(log, user="user", item="item", **both, **kinds)
    base = IALS.fit(data, rng=0)
    rows, goal = deep_content.goal_of(DEEP(side=side), base)
    ids, alone = (data.items.ids, "i3") if side == "items" else (data.users.ids, 104)
    assert set(range(len(ids))) - set(rows) == {ids.rows([alone])[0]}
    own = base.item_vectors if side == "items" else base.user_factors
    np.testing.assert_array_equal(goal.vectors, own[rows])


def test_the_linear_map_solves_the_normal_equations():
    x, goal = rows_and_goal(np.random.default_rng(2))
    found = ridge(x, goal, 0.7)
    a = np.column_stack([x.toarray(), np.ones(len(goal))]).astype(np.float64)
    penalty = 0.7 * np.eye(a.shape[1])
    penalty[-1, -1] = 0
    solved = np.linalg.solve(a.T @ a + penalty, a.T @ goal.scaled)
    np.testing.assert_allclose(found.weights[0], solved[:-1], atol=1e-4)
    np.testing.assert_allclose(found.biases[0], solved[-1], atol=1e-4)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_what_answers_is_what_was_trained(hidden, monkeypatch):
    rng = np.random.default_rng(3)
    x, goal = rows_and_goal(rng)
    model = DEEP(epochs=3, batch_size=8)
    kept = {}
    train = training.train_towards

    def keep(net, *rest):
        train(net, *rest)
        kept["net"] = net

    monkeypatch.setattr(training, "train_towards", keep)
    found = training.fit_dense(x, goal, hidden, 0.0, model, rng)
    inputs = training.Ragged.of(x.indptr, x.indices, x.data)
    with torch.no_grad():
        expected = goal.centre + goal.scale * kept["net"](inputs).numpy()
    np.testing.assert_allclose(found.predict(x), expected, atol=1e-5)


@pytest.mark.parametrize("ratings", [False, True])
def test_training_lowers_the_loss(ratings):
    rng = np.random.default_rng(4)
    x, goal = rows_and_goal(rng, ratings=ratings, n=60)
    one, many = (
        training.fit_dense(x, goal, (32,), 0.0, DEEP(epochs=epochs, patience=None, batch_size=16), np.random.default_rng(0))
        for epochs in (1, 60)
    )  # fmt: skip
    assert objective(goal, many.predict(x)) < 0.8 * objective(goal, one.predict(x))


def test_rows_that_are_held_out_say_when_to_stop(monkeypatch):
    """Noise cannot be learned: with patience training ends early."""
    x, goal = rows_and_goal(np.random.default_rng(5), n=200)
    epochs = {}
    train = training.train_towards
    for patience in (2, None):
        model = DEEP(epochs=80, patience=patience)
        keep = lambda *given, at=patience: epochs.update({at: train(*given)})  # noqa: E731
        monkeypatch.setattr(training, "train_towards", keep)
        training.fit_dense(x, goal, (64,), 0.0, model, np.random.default_rng(0))
    assert len(epochs[2].losses) < 80
    assert epochs[2].best_epoch == 1 + int(np.argmax(epochs[2].scores))
    assert len(epochs[None].losses) == 80
    assert not epochs[None].scores


def test_rows_that_are_held_out_are_never_learned_from_and_their_least_loss_is_kept():
    x, goal = rows_and_goal(np.random.default_rng(6), n=200)
    net = torch.nn.Linear(12, 3)
    seen = {True: set(), False: set()}

    def encode(rows, random):
        seen[net.training].update(rows.tolist())
        return net(torch.from_numpy(x.toarray())[rows])

    model = DEEP(epochs=3, holdout=0.2)
    history = training.train_towards(net, encode, goal, model, np.random.default_rng(0))
    held = torch.tensor(sorted(seen[False]))
    assert len(held) == 40
    assert seen[True] == set(range(200)) - seen[False]
    loss = float(training.loss_towards(goal)(encode(held, None), held).detach())
    assert max(history.scores) == pytest.approx(-loss, rel=1e-5)


def test_trees_learn_a_step_and_answer_as_the_library_does():
    rng = np.random.default_rng(7)
    x = rng.integers(0, 2, (300, 6)).astype(np.float32)
    vectors = np.column_stack([3 * x[:, 0] + x[:, 4], -x[:, 2]]).astype(np.float32)
    goal = Goal.of(vectors)
    trees = Trees(trees=200, shrinkage=0.1, least=1)
    found = fit_trees(trees, csr_array(x), [1] * 6, goal, rng)
    np.testing.assert_allclose(found.predict(csr_array(x)), vectors, atol=0.15)
    assert found.output.tolist() == [0] * 200 + [1] * 200
    found.verify()


def test_a_tree_sees_a_share_of_the_attributes_and_the_known_ones_more_often():
    rng = np.random.default_rng(8)
    x = rng.random((400, 3)).astype(np.float32)
    x[rng.random(400) < 0.95, 2] = 0  # known of few
    goal = Goal.of(rng.normal(size=(400, 1)).astype(np.float32))
    trees = Trees(trees=150, attributes=1 / 3, leaves=2, least=1)
    used = fit_trees(trees, csr_array(x), [1, 1, 1], goal, rng)
    roots = used.feature[used.roots]
    assert np.bincount(roots, minlength=3)[2] < 30
    assert np.bincount(roots, minlength=3)[:2].min() > 45


def test_trees_on_sparse_rows_are_those_on_dense_ones(monkeypatch):
    rng = np.random.default_rng(3)
    levels = np.eye(40, dtype=np.float32)[rng.integers(0, 40, 500)]
    x = np.hstack([levels, rng.normal(size=(500, 3)), rng.random((500, 30)) * (rng.random((500, 30)) < 0.1)])  # fmt: skip
    x, widths = x.astype(np.float32), [40, 1, 1, 1, 30]
    goal = Goal.of(np.column_stack([x[:, 3] + x[:, 41], x[:, 50] > 0]).astype(np.float32))
    settings = Trees(trees=30)
    sparse = fit_trees(settings, csr_array(x), widths, goal, np.random.default_rng(0))
    fit, predict = DecisionTreeRegressor.fit, DecisionTreeRegressor.predict
    monkeypatch.setattr(DecisionTreeRegressor, "fit", lambda one, a, y: fit(one, a.toarray(), y))
    monkeypatch.setattr(DecisionTreeRegressor, "predict", lambda one, a: predict(one, a.toarray()))
    dense = fit_trees(settings, csr_array(x), widths, goal, np.random.default_rng(0))
    for name in ("roots", "feature", "threshold", "left", "right"):
        np.testing.assert_array_equal(getattr(sparse, name), getattr(dense, name), name)
    np.testing.assert_allclose(sparse.value, dense.value, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(sparse.predict(csr_array(x)), dense.predict(csr_array(x)), atol=1e-6)


def test_a_wide_feature_costs_trees_what_it_holds():
    """Dense, these rows would take 16 GB."""
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.zipf(1.2, 20_000), 200_000) - 1
    rows = csr_array((np.ones(20_000, np.float32), codes, np.arange(20_001)), shape=(20_000, 200_000))  # fmt: skip
    goal = Goal.of((codes == 0).astype(np.float32)[:, None])
    found = fit_trees(Trees(trees=2), rows, [200_000], goal, rng)
    assert found.feature[found.roots].tolist() == [0, 0]


def test_a_category_too_rare_for_any_leaf_is_told():
    log = {"u": [u for u in range(30) for _ in range(3)], "i": [(7 * n) % 25 for n in range(90)]}
    users = {"u": list(range(30)), "sex": ["m", "f"] * 15, "town": [f"t{u}" for u in range(30)]}
    data = tw.Dataset.from_frames(log, user="u", item="i", users=users, user_features={"sex": "category", "town": "category"})  # fmt: skip
    deep = tw.models.DeepContent(side="users", network={"kind": "trees", "trees": 2}, factorization=tw.models.IALS(factors=2))  # fmt: skip
    with pytest.warns(DataWarning, match=r"no level of 'town' .* leaf needs \(10\)") as said:
        deep.fit(data, rng=0)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace(deep, network={"kind": "trees", "trees": 2, "least": 1}).fit(data, rng=0)


def test_trees_that_lead_nowhere_are_refused():
    goal = Goal.of(np.ones((20, 1), np.float32))
    found = fit_trees(
        Trees(trees=2),
        csr_array(np.eye(20, dtype=np.float32)),
        [20],
        goal,
        np.random.default_rng(0),
    )
    broken = {**vars(found), "left": np.zeros_like(found.left)}
    with pytest.raises(DataError, match="lead nowhere"):
        type(found)(**broken).verify()


@pytest.mark.parametrize("name", ["IALS", "BPR", "BiasedMF", "PMF"])
def test_the_factors_of_any_factorization_are_learned(name):
    log = planted_log()
    factorization = {"model": name, "factors": 4}
    model = DEEP(factorization=factorization, network={"kind": "linear"}).fit(log, rng=0)
    assert type(model.base.estimator).__name__ == name
    new = {"item": ["n1", "n2"], "title": ["an even thing", "odd"], "tags": [["even"], ["odd"]]}
    longer = model.with_items(new)
    lists = longer.recommend(users=[100, 101], allow=["n1", "n2"], k=2)
    assert set(lists["source"]) == {"content"}
    score = {(user, item): one for user, item, one in lists.select("user", "item", "score").rows()}
    ahead = [score[user, "n1"] - score[user, "n2"] for user in (100, 101)]
    assert ahead[0] > ahead[1] + 0.2 * np.std(list(score.values()))
    likest = longer.similar_items("n1", k=5)["item"].to_list()
    assert sum(int(one[1:]) % 2 == 0 for one in likest if one[0] == "i") >= 3


def test_items_without_an_event_are_placed_and_the_others_stay():
    log = planted_log()
    shy = tw.Dataset.from_frames(
        log.frame("interactions").filter(pl.col("item") != "i3"),
        user="user",
        item="item",
        items=log.frame("items"),
        item_features={"title": "text", "tags": "tags"},
    )
    model = DEEP(factorization=IALS, network={"kind": "linear"}).fit(shy, rng=0)
    row = model.items.ids.rows(["i3"])[0]
    placed = model.encode_items(model.items.take(np.array([row])))[0]
    np.testing.assert_array_equal(model.item_vectors[row], placed)
    others = np.arange(len(model.items)) != row
    np.testing.assert_array_equal(model.item_vectors[others], model.base.item_vectors[others])


def test_people_known_by_attributes_alone_are_answered_by_them():
    log = planted_log()
    for network in (
        {"kind": "trees", "trees": 30},
        {"kind": "linear"},
        {"kind": "mlp", "hidden": (16,)},
    ):
        deep = DEEP(factorization=IALS, side="users", network=network, epochs=300, batch_size=8)
        model = deep.fit(log, rng=0)
        with pytest.warns(DataWarning, match="'taste' got 'strange'"):
            found = model.recommend(features={"taste": ["even", "odd", "strange"]}, k=4)
        for row, parity in enumerate((0, 1)):
            mine = found.filter(pl.col("user") == row)
            assert set(mine["source"]) == {"content"}
            assert sum(int(one[1:]) % 2 == parity for one in mine["item"]) >= 3
        assert set(found.filter(pl.col("user") == 2)["source"]) == {"fallback:popularity"}
        known = model.recommend(users=[100], k=3)
        assert known.equals(model.base.recommend(users=[100], k=3))


def test_people_held_out_whole_are_asked_by_their_features():
    split = tw.split.cold_users(planted_log(60, 24), test=0.3, rng=0)
    deep = DEEP(factorization=IALS, side="users", network={"kind": "linear"}).fit(
        split.train, rng=0
    )
    told = tw.evaluate(deep, split, metrics=["ndcg@5"]).values["ndcg@5"]
    untold = tw.evaluate(deep.base, split, metrics=["ndcg@5"]).values["ndcg@5"]
    assert told > untold + 0.1


def test_a_model_that_is_fitted_already_is_taken():
    log = planted_log()
    base = tw.models.BPR(factors=5).fit(log, rng=3)
    model = DEEP(network={"kind": "linear"}).fit(log, rng=0, factorization=base)
    assert model.base is base
    with pytest.raises(DataError, match="another training set"):
        DEEP().fit(planted_log(20, 10), rng=0, factorization=base)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Songs as files, and who listened."""
    pytest.importorskip("librosa", reason="the extra audio is not installed")
    folder = tmp_path_factory.mktemp("songs")
    return generated_music(folder, n_users=80, n_songs=60, plays=15, seconds=2.0, rng=0)


def test_a_song_that_nobody_played_is_heard(songs, tmp_path):
    split = tw.split.cold_items(songs, test=0.2, rng=0)
    deep = DEEP(
        factorization={"model": "IALS", "factors": 4},
        network=CNN,
        sound=SOUND,
        epochs=60,
        batch_size=8,
        patience=None,
    )
    model = deep.fit(split.train, rng=0)
    new = split.test.items
    longer = model.with_items(new)
    lists = longer.recommend(
        users=split.train.users.ids.ids.to_list()[:3], allow=new.ids.ids.to_list(), k=5
    )
    assert set(lists["source"]) == {"content"}
    alone = model.encode_items(new.take(np.array([4])))
    np.testing.assert_array_equal(alone[0], model.encode_items(new)[4])
    again = tw.load(longer.save(tmp_path / "model"))
    assert again.recommend(
        users=split.train.users.ids.ids.to_list()[:3], allow=new.ids.ids.to_list(), k=5
    ).equals(lists)
    scores = tw.evaluate(model, split, metrics=["auc"], unknown_items="content", candidates="new")
    assert scores.values["auc"] > 0.6


def test_windows_that_do_not_fit_are_said(songs):
    few = {**SOUND, "hop": 2000}
    with pytest.raises(ConfigError, match="lower them or the hop"):
        DEEP(factorization=IALS, network=CNN, sound=few).fit(songs, rng=0)
    longer = {**CNN, "seconds": 2.5}
    with pytest.raises(
        DataError, match=r"lasts about 2.0 s, at least 2.5 s are needed, .*CNN.seconds"
    ):
        DEEP(factorization=IALS, network=longer, sound=SOUND).fit(songs, rng=0)
    cut = {**SOUND, "min_seconds": 0.5, "max_seconds": 2}
    with pytest.raises(ConfigError, match=r"CNN.seconds got 2.5, and of a sound only 2 s .*sound.max_seconds"):  # fmt: skip
        DEEP(factorization=IALS, network=longer, sound=cut).fit(songs, rng=0)
    fits = DEEP(factorization=IALS, network={**CNN, "seconds": 2}, sound=cut, epochs=1)
    assert fits.fit(songs, rng=0).network.settings.min_seconds == 0.5


def test_an_empty_path_of_a_new_item_is_a_missing_sound(songs):
    """It was the folder where the program runs: there is no file '.'."""
    model = DEEP(factorization=IALS, network={"kind": "linear"}, sound=SOUND).fit(songs, rng=0)
    with pytest.warns(DataWarning, match="nothing is known of 2 new items"):
        grown = model.with_items({"item": ["new", "none"], "sound": ["", " "]})
    assert grown.items.features["sound"].values.to_list()[-2:] == [None, None]
    frame = {"user": [1, 1], "item": ["a", "b"]}
    items = {"item": ["a", "b"], "sound": ["", "x.wav"]}
    log = tw.Dataset.from_frames(
        frame, user="user", item="item", items=items, item_features={"sound": "sound"}
    )
    assert log.items.features["sound"].values.null_count() == 1


def test_the_sounds_of_a_dense_model_are_averaged_one_by_one(songs, monkeypatch):
    """The spectrograms of all of them were held at once."""
    monkeypatch.setattr(LogMel, "spectrogram", None)
    model = DEEP(factorization=IALS, network={"kind": "linear"}, sound=SOUND).fit(songs, rng=0)
    rows = model.code.read(songs.items.features)[0].toarray()
    one = LogMel(**SOUND).average(songs.items.features["sound"].values[3])
    code = model.code.codes[0]
    np.testing.assert_allclose(rows[3], (one - code.centre) / code.scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [CNN, {"kind": "linear"}])
def test_a_sound_that_cannot_be_read_is_refused_or_left_out(songs, network, tmp_path):
    events, things = songs.frame("interactions"), songs.frame("items")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    things = things.with_columns(
        pl.when(pl.col("item") == "song0001").then(pl.lit(str(broken)))
        .when(pl.col("item") == "song0002").then(None).otherwise(pl.col("sound")).alias("sound")
    )  # fmt: skip
    log = tw.Dataset.from_frames(
        events, user="user", item="item", items=things, item_features={"sound": "sound"}
    )
    deep = DEEP(factorization=IALS, network=network, sound=SOUND, epochs=1)
    with pytest.raises(DataError, match=r"broken\.wav"):
        deep.fit(log, rng=0)
    skips = DEEP(factorization=IALS, network=network, sound=SOUND, epochs=1, on_error="skip")
    with pytest.warns(DataWarning, match=r"1 of \d+ sounds left out; the first: .*broken\.wav"):
        model = skips.fit(log, rng=0)
    with pytest.warns(DataWarning) as told:
        grown = model.with_items({"item": ["new", "none"], "sound": [str(broken), None]})
    assert "1 of 2 sounds left out" in str(told[0].message)
    assert "nothing is known of 2 new items, such as 'new'" in str(told[-1].message)
    centre = model.network.centre
    np.testing.assert_allclose(grown.item_vectors[-2:], np.tile(centre, (2, 1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"content": ("titel",)}, "did you mean 'title'"),
        ({"network": {"kind": "cnn"}}, "finds nothing to read"),
        ({"network": {"kind": "trees"}, "loss": "ratings"}, "trees learn factors"),
        ({"factorization": {"model": "BPR"}, "loss": "ratings"}, "use IALS"),
        ({"factorization": {"model": "EASE"}}, "has no factors"),
    ],
)
def test_what_does_not_go_together_is_said(settings, said):
    with pytest.raises((ConfigError, DataError), match=said):
        DEEP(**settings).fit(planted_log(), rng=0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"factorization": {"model": "IAS"}}, "did you mean 'IALS'"),
        ({"factorization": {"model": "IALS", "factor": 3}}, "did you mean 'factors'"),
        ({"factorization": 3}, "neither an estimator"),
        ({"network": {"kind": "mpl"}}, "did you mean 'mlp'"),
        ({"network": {"kind": "cnn", "pools": (2,)}}, "as many of both"),
    ],
)
def test_a_wrong_declaration_is_said_at_once(settings, said):
    with pytest.raises(ConfigError, match=said):
        DEEP(**settings)


def test_features_of_another_kind_and_none_at_all_are_said():
    model = DEEP(factorization=IALS, network={"kind": "linear"}).fit(planted_log(), rng=0)
    with pytest.raises(DataError, match="none of the features"):
        model.predicted({})
    with pytest.raises(DataError, match="was a text in training"):
        model.predicted({"title": planted_log().items.features["tags"]})


@pytest.mark.parametrize("kind", ["linear", "mlp", "trees"])
def test_one_person_and_one_item_are_enough(kind):
    log = {"u": [1], "i": ["a"]}
    things = {"i": ["a", "b"], "t": ["red", "blue"]}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", items=things, item_features={"t": "text"}
    )
    model = DEEP(factorization=IALS, network={"kind": kind}).fit(data, rng=0)
    assert np.isfinite(model.item_vectors).all()


@pytest.mark.parametrize("values", [[1.0, 1.0], [np.nan, np.nan]])
def test_features_that_tell_nothing_are_said(values):
    things = {"i": ["a", "b"], "x": values}
    data = tw.Dataset.from_frames(
        {"u": [1, 2], "i": ["a", "b"]}, user="u", item="i", items=things, item_features={"x": "number"}
    )  # fmt: skip
    with pytest.raises(DataError, match="missing, or the same for all"):
        DEEP(factorization=IALS).fit(data, rng=0)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_number_beyond_those_of_training_is_read_as_the_nearest(kind, tmp_path):
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(40), 10)
    item = 2 * rng.integers(0, 15, len(user)) + user % 2
    things = pl.DataFrame({"i": np.arange(30), "price": np.arange(30) % 2 * 10 + rng.random(30)})
    data = tw.Dataset.from_frames(
        pl.DataFrame({"u": user, "i": item}), user="u", item="i", items=things,
        item_features={"price": "number"},
    )  # fmt: skip
    deep = DEEP(factorization=IALS, network={"kind": kind})
    deep.fit(data, rng=0).save(tmp_path / "model")
    model = tw.load(tmp_path / "model")
    dearest = float(things["price"].max())
    price = pl.Series([dearest, 1e9, -1e9, float(things["price"].min())])
    found = model.predicted({"price": column_from_values("price", price, "number")})[0]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    assert np.abs(found).max() < 3 * np.abs(model.item_factors).max()


def test_divergence_is_told():
    steep = {"method": "sgd", "learning_rate": 1e20}
    with pytest.raises(NotConvergedError, match="DeepContent diverged"):
        DEEP(factorization=IALS, optimiser=steep).fit(planted_log(), rng=0)


def test_queries_of_nobody_are_answered():
    model = DEEP(factorization=IALS, side="users").fit(planted_log(), rng=0)
    assert len(model.encode(Queries.known(np.zeros(0, np.int32))).source) == 0


@pytest.mark.data
@pytest.mark.parametrize("loss", ["factors", "ratings"])
def test_artists_that_nobody_heard_are_found_by_their_tags(real, loss):
    data = real("hetrec-lastfm-2k")
    split = tw.split.cold_items(data, test=0.1, rng=1)
    deep = DEEP(content=("tags",), loss=loss, network={"kind": "mlp", "hidden": (64,)}, epochs=15)
    model = deep.fit(split.train, rng=0)
    found = tw.evaluate(model, split, metrics=["auc"], unknown_items="content", candidates="new")
    assert found.values["auc"] > 0.7


@pytest.mark.parametrize("network", ["linear", "mlp", "trees"])
def test_items_that_one_person_took_all_have_one_vector(network):
    """Their vectors differ by rounding alone, which was blown up until numbers ran out."""
    log = {"u": [1, 1, 1], "i": ["a", "b", "c"]}
    items = {"i": ["a", "b", "c"], "title": ["red one", "blue two", "green three"]}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", items=items, item_features={"title": "text"}
    )
    model = tw.models.DeepContent(network={"kind": network}).fit(data, rng=0)
    assert np.isfinite(model.item_vectors).all()


def test_a_factorization_by_its_name_alone_is_told_how_it_is_written():
    with pytest.raises(ConfigError, match=r'write IALS\(factors=32\), or \{"model": "IALS", "factors": 32\}$'):  # fmt: skip
        DEEP(factorization="IALS")


def test_users_without_features_are_told_so():
    """The items have some, which is not what is asked for."""
    with pytest.raises(DataError, match=r"the users have no features; declare .* with user_features= .*--user-feature"):  # fmt: skip
        DEEP(side="users").fit(without_users(planted_log()), rng=0)


def without_users(data):
    """Return the log without features of people."""
    return replace(data, users=replace(data.users, features={}))
