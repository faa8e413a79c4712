"""MultiViewDSSM: objective and training against the paper, reductions, and the model against its promises."""

import dataclasses
import itertools

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

import twofold as tw
from twofold.errors import ConfigError, DataError, DataWarning, NotConvergedError
from twofold.models.mapping._views_people import mean_of, people_rows
from twofold.models.mapping._views_reduction import LSH, STEP, STRIDE, KMeans, TopK, learn_reduction
from twofold.testing import planted_log

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.models.mapping import _views_towers as towers  # noqa: E402 - needs torch

VIEWS = tw.models.MultiViewDSSM
TASTES = {"hidden": (32,), "factors": 16, "epochs": 40, "negatives": 10, "batch_size": 64}
SMALL = {"hidden": (12,), "factors": 6, "epochs": 3, "negatives": 4}


def two_shops(n_users=60, rng=0, newcomers=20):
    """Even people like even films and even books; the last `newcomers` have never bought a book."""
    random = np.random.default_rng(rng)
    user, item = [], []
    for one in range(n_users):
        for at in range(40):
            shop, number = divmod(at, 20)
            if shop == 1 and one >= n_users - newcomers:
                continue
            if random.random() < (0.5 if (one + number) % 2 == 0 else 0.03):
                user.append(one)
                item.append(("f", "b")[shop] + str(number))
    names = [f"{shop}{number}" for shop in "fb" for number in range(20)]
    kinds = ["funny", "sad"]
    things = {
        "item": names,
        "shop": ["film" if one[0] == "f" else "book" for one in names],
        "title": [f"{kinds[int(one[1:]) % 2]} {one}" for one in names],
    }
    return tw.Dataset.from_frames(
        {"user": user, "item": item},
        user="user",
        item="item",
        items=things,
        item_features={"shop": "category", "title": "text"},
    )


def shops_of_speakers():
    """Both shops, whose people say what they like."""
    log = two_shops(newcomers=0)
    people = {
        "user": range(60),
        "says": ["funny stories" if one % 2 == 0 else "so sad" for one in range(60)],
    }
    return tw.Dataset.from_frames(
        log.frame("interactions"), user="user", item="item", items=log.frame("items"),
        item_features={"shop": "category", "title": "text"}, users=people, user_features={"says": "text"},
    )  # fmt: skip


def pairs_of(rng, n_users=6, n_items=8, width=10):
    """Random pairs of two views, with the towers that read them."""
    model = VIEWS(**SMALL)
    bags = csr_array(rng.random((n_users, n_items)) < 0.6, dtype=np.float32)
    user = np.repeat(np.arange(n_users), np.diff(bags.indptr)).astype(np.int64)
    texts = towers.TextRows(
        np.arange(n_items + 1, dtype=np.int64),
        np.arange(n_items, dtype=np.int32),
        np.ones(n_items, np.float32),
        csr_array(rng.random((n_items, width)), dtype=np.float32),
    )
    pairs = towers.ViewPairs(
        texts=texts,
        view=np.repeat([0, 1], n_items // 2).astype(np.int32),
        user=user,
        item=bags.indices.astype(np.int64),
        bags=bags,
        parts=csr_array(rng.random((n_items, 5)), dtype=np.float32),
        own=csr_array(rng.random((n_users, 5)), dtype=np.float32),
    )
    made = towers.ViewTowers(
        (5, 12, 6), (width, 12, 6), 2, "tanh", torch.Generator().manual_seed(0)
    )
    return model, made, pairs


def through(tower, x):
    """tanh layers in float64."""
    y = np.tanh(x @ tower.table.weight.detach().double().numpy() + tower.bias.detach().numpy())
    for layer in tower.rest.layers:
        y = np.tanh(y @ layer.weight.detach().double().numpy() + layer.bias.detach().numpy())
    return y / np.linalg.norm(y, axis=1, keepdims=True)


def test_the_loss_is_that_of_the_paper():
    """Eq. 6 for one pair after another: the active view alone, the person without the item."""
    rng = np.random.default_rng(0)
    model, made, pairs = pairs_of(rng)
    loss = towers.ViewLoss(model, made, pairs, rng)
    rows = np.flatnonzero(pairs.view[pairs.item] == 1)[:4]
    user, item = pairs.user[rows], pairs.item[rows]
    others = np.array([4, 6, 7])
    tower = made.views[1]
    draw = torch.Generator().manual_seed(1)
    at, wanted = torch.from_numpy(user), torch.from_numpy(item)
    people = loss.people.through(made.user, at, wanted, draw)
    hits = towers.are_had(loss.owners, loss.n_users, at, torch.from_numpy(others))
    value = float(loss.value(people, tower, wanted, torch.from_numpy(others), hits).detach())
    total, bags = 0.0, pairs.bags.toarray()
    documents = through(tower, pairs.texts.parts.toarray())
    for one, clicked in zip(user, item, strict=True):
        rest = [k for k in np.flatnonzero(bags[one]) if k != clicked]
        mean = pairs.parts.toarray()[rest].mean(axis=0) if rest else 0
        y = through(made.user, (mean + pairs.own.toarray()[one])[None])[0]
        against = [clicked, *(k for k in others if not bags[one, k])]
        scores = np.exp(model.gamma * documents[against] @ y)
        total -= np.log(scores[0] / scores.sum())
    assert value == pytest.approx(total / len(rows), rel=1e-4)


def test_what_people_have_is_found_among_drawn_items():
    """A user and an item may come twice; one item is nobody's, and one user has nothing."""
    rng = np.random.default_rng(2)
    has = rng.random((9, 7)) < 0.4
    has[:, 3], has[5] = False, False
    held = csr_array(csr_array(has, dtype=np.float32).T)
    user, items = np.array([5, 0, 8, 0, 2]), np.array([6, 3, 6, 0, 1, 5])
    found = towers.are_had(
        towers.Ragged.of(held.indptr, held.indices),
        9,
        torch.from_numpy(user),
        torch.from_numpy(items),
    )
    np.testing.assert_array_equal(found.numpy(), has[user][:, items])


def test_people_known_by_their_own_words_alone_are_read_without_histories():
    rng = np.random.default_rng(3)
    model, made, pairs = pairs_of(rng)
    nothing = csr_array(pairs.parts.shape, dtype=np.float32)
    loss = towers.ViewLoss(model, made, dataclasses.replace(pairs, parts=nothing), rng)
    user, item = torch.from_numpy(pairs.user[:5]), torch.from_numpy(pairs.item[:5])
    y = loss.people.through(made.user, user, item, torch.Generator())
    y = torch.nn.functional.normalize(y, dim=1).detach().numpy()
    expected = through(made.user, pairs.own.toarray()[pairs.user[:5]])
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)


def test_a_step_moves_the_active_view_and_the_people_alone():
    rng = np.random.default_rng(1)
    model, made, pairs = pairs_of(rng)
    loss = towers.ViewLoss(model, made, pairs, rng)
    rows = torch.from_numpy(np.flatnonzero(pairs.view[pairs.item] == 0))
    loss.of_batch(rows, torch.Generator().manual_seed(0)).backward()
    assert all(one.grad is not None for one in made.views[0].parameters())
    assert all(one.grad is not None for one in made.user.parameters())
    assert all(one.grad is None for one in made.views[1].parameters())


@pytest.mark.parametrize("active", [0, 1])
def test_negatives_are_of_the_active_view_alone_and_those_that_a_person_has_are_marked(
    active, monkeypatch
):
    rng = np.random.default_rng(4)
    model, made, pairs = pairs_of(rng)
    loss, drawn = towers.ViewLoss(model, made, pairs, rng), set()
    rows = np.flatnonzero(pairs.view[pairs.item] == active)
    has = pairs.bags.toarray()[pairs.user[rows]] > 0

    def watched(people, tower, item, others, hits):
        drawn.update(others.tolist())
        np.testing.assert_array_equal(hits, has[:, others])

    monkeypatch.setattr(loss, "value", watched)
    for seed in range(20):
        loss.of_batch(torch.from_numpy(rows), torch.Generator().manual_seed(seed))
    assert drawn == set(np.flatnonzero(pairs.view == active))


def test_every_stretch_of_a_long_history_makes_a_person():
    rng = np.random.default_rng(7)
    _, made, pairs = pairs_of(rng, n_users=1, n_items=40)
    people, history = towers.PeopleRows(pairs, 2, rng), pairs.bags.nnz
    many = torch.zeros(500, dtype=torch.int64)
    draw = torch.Generator().manual_seed(0)
    y = people.through(made.user, many, torch.full_like(many, -1), draw).detach().numpy()
    assert len(np.unique(y.round(5), axis=0)) == history - 1


def by_hand(model, weights, pairs, rows, others, active):
    """Eq. 6 in float64: the mean loss of `rows` against `others`, from the weights of the people's and the active tower."""

    def tower(prefix, x):
        y = np.tanh(x @ weights[f"{prefix}.table.weight"] + weights[f"{prefix}.bias"])
        y = np.tanh(y @ weights[f"{prefix}.rest.layers.0.weight"] + weights[f"{prefix}.rest.layers.0.bias"])  # fmt: skip
        return y / np.linalg.norm(y, axis=1, keepdims=True)

    bags, parts, own = (one.toarray().astype(float) for one in (pairs.bags, pairs.parts, pairs.own))
    items = tower(f"views.{active}", pairs.texts.parts.toarray().astype(float))
    total = 0.0
    for one, wanted in zip(pairs.user[rows], pairs.item[rows], strict=True):
        rest = [k for k in np.flatnonzero(bags[one]) if k != wanted]
        mean = parts[rest].mean(axis=0) if rest else np.zeros(parts.shape[1])
        y = tower("user", (mean + own[one])[None])[0]
        against = [wanted, *(k for k in others if not bags[one, k])]
        scores = np.exp(model.gamma * items[against] @ y)
        total -= np.log(scores[0] / scores.sum())
    return total / len(rows)


@pytest.mark.parametrize("active", [0, 1])
def test_only_the_people_and_the_active_view_have_gradients_and_they_are_those_of_the_loss(active):
    """Algorithm 1: differences of Eq. 6 in float64 beside what flows back, weight by weight; of the other view nothing."""
    rng = np.random.default_rng(5)
    model, made, pairs = pairs_of(rng)
    loss = towers.ViewLoss(model, made, pairs, rng)
    rows = np.flatnonzero(pairs.view[pairs.item] == active)[:5]
    others = np.flatnonzero(pairs.view == active)[[0, 2, 3]]
    user, item, drawn = (
        torch.from_numpy(one) for one in (pairs.user[rows], pairs.item[rows], others)
    )
    people = loss.people.through(made.user, user, item, torch.Generator().manual_seed(1))
    hits = towers.are_had(loss.owners, loss.n_users, user, drawn)
    loss.value(people, made.views[active], item, drawn, hits).backward()
    weights = {
        name: one.detach().numpy().astype(np.float64) for name, one in made.named_parameters()
    }
    step = 1e-5
    for name, parameter in made.named_parameters():
        if name.startswith(f"views.{1 - active}."):
            assert parameter.grad is None, name
            continue
        found = np.zeros(weights[name].size)
        for at in range(found.size):
            for sign in (1, -1):
                moved = weights[name].copy()
                moved.flat[at] += sign * step
                value = by_hand(model, {**weights, name: moved}, pairs, rows, others, active)
                found[at] += sign * value / (2 * step)
        own = parameter.grad.to_dense().numpy().ravel()
        assert np.abs(own).max() > 1e-3, f"{name} is not moved"
        np.testing.assert_allclose(own, found, rtol=2e-3, atol=2e-5, err_msg=name)


def test_in_training_a_view_rests_while_another_is_active(monkeypatch):
    """Also its steps of Adam: what a view gathered before moves nothing while the next one trains."""
    rng = np.random.default_rng(6)
    _, _, pairs = pairs_of(rng)
    model = VIEWS(hidden=(12,), factors=6, epochs=4, negatives=3, batch_size=5)
    seen = []
    real = towers.ViewLoss.of_batch

    def of_batch(self, rows, draw):
        views = {int(one) for one in self.view_of[self.item[rows]]}
        assert len(views) == 1, "a batch is of one view"
        parts = [self.towers.user, *self.towers.views]
        held = [b"".join(p.detach().numpy().tobytes() for p in one.parameters()) for one in parts]
        seen.append((views.pop(), held))
        return real(self, rows, draw)

    monkeypatch.setattr(towers.ViewLoss, "of_batch", of_batch)
    towers.train_views(model, pairs, 2, (5, 10), rng)
    assert {active for active, _ in seen} == {0, 1}
    for (active, before), (_, after) in itertools.pairwise(seen):
        moved = [one != other for one, other in zip(before, after, strict=True)]
        assert moved == [True, active == 0, active == 1]


def test_who_never_bought_a_book_is_offered_the_right_ones():
    log = two_shops()
    model = VIEWS(**TASTES).fit(log, rng=0)
    found = model.recommend(users=range(40, 60), where={"shop": "book"}, k=5)
    assert set(found["source"]) == {"model"}
    right = [
        int(item[1:]) % 2 == user % 2
        for user, item in zip(found["user"], found["item"], strict=True)
    ]
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("known_by", [("items",), ("words",), ("items", "words")])
@pytest.mark.parametrize(
    "reduction",
    [{"kind": "top-k"}, {"kind": "k-means", "clusters": 30}, {"kind": "lsh", "bits": 300}],
)
def test_every_reduction_carries_the_tastes_over(reduction, known_by):
    model = VIEWS(reduction=reduction, known_by=known_by, **TASTES).fit(two_shops(), rng=0)
    lists = model.recommend(
        histories=[["f0", "f2", "f8"], ["f1", "f5", "f7"]], where={"shop": "book"}, k=4
    )
    assert set(lists["source"]) == {"fold-in"}
    right = [
        int(item[1:]) % 2 == user for user, item in zip(lists["user"], lists["item"], strict=True)
    ]
    assert np.mean(right) > 0.7


def test_people_are_known_by_words_of_their_own():
    told = shops_of_speakers()
    model = VIEWS(**TASTES, known_by=("features",)).fit(told, rng=0)
    shop = {"shop": "book"}
    lists = model.recommend(features={"says": ["funny stories", "so sad"]}, where=shop, k=5)
    assert set(lists["source"]) == {"content"}
    right = [
        int(item[1:]) % 2 == user for user, item in zip(lists["user"], lists["item"], strict=True)
    ]
    assert np.mean(right) > 0.8
    by_text = model.recommend(text=["funny stories", "so sad"], where=shop, k=5)
    assert by_text["item"].to_list() == lists["item"].to_list()
    silent = model.recommend(histories=[["f0"]], k=3)
    assert set(silent["source"]) == {"fallback:popularity"}


def test_words_are_added_to_a_history():
    told = shops_of_speakers()
    model = VIEWS(**SMALL, known_by=("items", "features")).fit(told, rng=0)
    seen = told.frame("interactions").filter(pl.col("user") == 3)["item"].to_list()

    def scores(**asked):
        lists = model.recommend(**asked, k=40, exclude_seen=False).sort("item")
        return lists["score"].to_numpy(), lists["source"][0]

    alone, source = scores(histories=[seen])
    own, _ = scores(users=[3])
    assert source == "fold-in"
    assert np.abs(own - alone).max() > 1e-3  # training knew this person's words too
    for asked, how in (
        ({"histories": [seen], "text": ["so sad"]}, "fold-in"),
        ({"users": [5], "histories": [seen]}, "fold-in"),
        ({"users": [3], "text": ["so sad"]}, "model"),
        ({"users": [3], "features": {"says": ["so sad"]}}, "model"),
        ({"users": [3], "text": [""]}, "model"),
    ):
        found, source = scores(**asked)
        np.testing.assert_allclose(found, own, atol=1e-6)
        assert source == how
    other, _ = scores(users=[3], text=["funny stories"])
    assert np.abs(own - other).max() > 1e-3


def test_what_answers_is_what_was_trained():
    log = two_shops()
    model = VIEWS(**SMALL).fit(log, rng=0)
    x = model.reduced.of(
        mean_of(csr_array(np.ones((1, 2), np.float32)), model._parts[[0, 3]])
    ).toarray()
    hidden = np.tanh(x @ model.user_tower["table.weight"] + model.user_tower["bias"])
    y = np.tanh(
        hidden @ model.user_tower["rest.layers.0.weight"] + model.user_tower["rest.layers.0.bias"]
    )
    found = model.fold_in(
        tw.Histories(np.array([0, 2]), np.array([0, 3], np.int32), np.ones(2, np.float32))
    )
    np.testing.assert_allclose(found, y / np.linalg.norm(y), atol=1e-5)


def test_a_person_is_the_mean_of_the_items_and_the_words_beside_it():
    rng = np.random.default_rng(0)
    bags, parts, own = rng.random((5, 6)) < 0.5, rng.random((6, 4)), rng.random((5, 4))
    bags[2] = False
    sparse = [csr_array(one.astype(np.float32)) for one in (bags, parts, own)]
    found = people_rows(*sparse).toarray()
    for row, has in enumerate(bags):
        mean = parts[has].mean(axis=0) if has.any() else 0
        np.testing.assert_allclose(found[row], mean + own[row], rtol=1e-5)


def test_top_k_keeps_what_enough_people_have():
    people = csr_array([[1.0, 0, 2, 0], [1, 0, 0, 0], [1, 0, 1, 3]], dtype=np.float32)
    found = learn_reduction(TopK(share=0.6), people, np.random.default_rng(0))
    assert found.place.tolist() == [0, -1, 1, -1]
    assert found.of(people).toarray().tolist() == [[1, 2], [1, 0], [1, 1]]
    few = learn_reduction(TopK(share=0, most=1), people, np.random.default_rng(0))
    assert few.place.tolist() == [0, -1, -1, -1]
    with pytest.raises(DataError, match="lower the share"):
        learn_reduction(TopK(share=1), people[:2][:, 1:], np.random.default_rng(0))
    with pytest.raises(DataError, match="known by what known_by names"):
        learn_reduction(TopK(), csr_array((3, 2), dtype=np.float32), np.random.default_rng(0))


def test_nobody_is_learned_of_whom_a_reduction_leaves_nothing(monkeypatch):
    """Everybody has an item of their own, which too few have to be kept, and two of twenty."""
    rng = np.random.default_rng(0)
    taken = [[one, *rng.choice(20, 2, replace=False) + 300] for one in range(300)]
    log = {"user": np.repeat(np.arange(300), 3), "item": np.concatenate(taken)}
    log["item"][1] = 1  # somebody else's own item: of the first person one item is left
    items = {"item": np.arange(320), "title": ["word"] * 320}
    kinds = {"title": "text"}
    data = tw.Dataset.from_frames(log, user="user", item="item", items=items, item_features=kinds)
    read, train = [], towers.train_views

    def watched(model, pairs, *rest):
        read.append(pairs)
        return train(model, pairs, *rest)

    monkeypatch.setattr(towers, "train_views", watched)
    VIEWS(**SMALL, known_by=("items",), reduction=TopK(share=0.05)).fit(data, rng=0)
    (pairs,) = read
    known = (np.diff(pairs.parts.indptr) > 0).astype(float)
    left = (pairs.bags @ known)[pairs.user] - known[pairs.item]
    assert left.min() >= 1


def test_k_means_puts_together_what_the_same_people_have():
    rng = np.random.default_rng(0)
    half = rng.random((200, 1)) < 0.5
    people = csr_array(np.hstack([half, half, ~half, ~half, np.zeros((200, 1))]), dtype=np.float32)
    found = learn_reduction(KMeans(clusters=2), people, rng)
    a, b, c, d, nobody = found.place.tolist()
    assert a == b
    assert c == d
    assert a != c
    assert nobody == -1
    assert found.of(people).toarray().sum() == people.sum()


@pytest.mark.parametrize("pool", [200_000, 2 * STRIDE, 26 * STEP])
def test_signs_agree_as_often_as_the_angle_says(pool):
    rng = np.random.default_rng(0)
    x = csr_array(rng.normal(size=(2, 3000)), dtype=np.float32)
    y = csr_array(x.toarray()[:1] + 0.8 * x.toarray()[1:], dtype=np.float32)
    found = learn_reduction(LSH(bits=4000, pool=pool), x, rng)
    signs = np.sign(np.vstack([found.of(x)[:1], found.of(y)]))
    a, b = x.toarray()[0], y.toarray()[0]
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert np.mean(signs[0] != signs[1]) == pytest.approx(angle / np.pi, abs=0.03)


def test_items_of_a_view_that_training_did_not_have_are_nowhere():
    model = VIEWS(**SMALL).fit(two_shops(), rng=0)
    new = {
        "item": ["n1", "n2", "n3"],
        "shop": ["book", "garden", None],
        "title": ["sad", "sad", "sad"],
    }
    with pytest.warns(DataWarning) as told:
        vectors = model.with_items(new).item_vectors[-3:]
    said = [str(one.message) for one in told]
    assert "'shop' got 'garden'" in said[0]
    assert "nothing is known of 2 new items, such as 'n2'" in said[1]
    assert vectors[0].any()
    assert not vectors[1:].any()


def test_a_view_of_one_item_and_a_log_without_views():
    log = two_shops()
    things = log.frame("items").with_columns(
        pl.when(pl.col("item") == "f0").then(pl.lit("single")).otherwise("shop").alias("shop")
    )
    alone = tw.Dataset.from_frames(
        log.frame("interactions"), user="user", item="item", items=things,
        item_features={"shop": "category", "title": "text"},
    )  # fmt: skip
    assert np.isfinite(VIEWS(**SMALL).fit(alone, rng=0).item_vectors).all()
    plain = VIEWS(**SMALL, content="title").fit(planted_log(), rng=0)
    assert plain.view is None
    assert len(plain.item_towers) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"view": "shp"}, "did you mean 'shop'"),
        ({"view": "title"}, "a view is a category"),
        ({"content": "titel"}, "did you mean 'title'"),
        ({"query": "says"}, "no user feature"),
        ({"query": "says", "known_by": ("items",)}, "no user feature"),
        ({"known_by": ("features",)}, "known by what known_by names"),
    ],
)
def test_what_is_not_there_is_said(settings, said):
    with pytest.raises((ConfigError, DataError), match=said):
        VIEWS(**SMALL, **settings).fit(two_shops(), rng=0)


def test_words_of_people_that_are_named_and_not_read_are_refused():
    log = two_shops()
    people = log.frame("users").select("user").with_columns(says=pl.lit("red"))
    data = tw.Dataset.from_frames(
        log.frame("interactions"), user="user", item="item", items=log.frame("items"), users=people,
        item_features={"shop": "category", "title": "text"}, user_features={"says": "text"},
    )  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"query got 'says', which known_by=\('items',\) does not"
    ):
        VIEWS(**SMALL, query="says", known_by=("items",)).fit(data, rng=0)


@pytest.mark.parametrize("model", [tw.models.DSSM, VIEWS])
def test_one_dimension_in_which_every_cosine_is_1_is_refused(model):
    with pytest.raises(ConfigError, match="factors got 1"):
        model(factors=1)


def test_divergence_is_told():
    steep = {"method": "sgd", "learning_rate": 1e38}
    with pytest.raises(NotConvergedError, match="MultiViewDSSM"):
        VIEWS(**SMALL, activation="identity", optimiser=steep).fit(two_shops(), rng=0)


def test_a_view_that_nobody_took_something_of_has_no_tower():
    """Its tower had its first, random weights, and what it asked for came in an order that the seed decided."""
    log, toys = two_shops(), ["t0", "t1"]
    new = pl.DataFrame({"item": toys, "shop": "toy", "title": ["funny thing", "sad thing"]})
    data = tw.Dataset.from_frames(
        log.frame("interactions"), user="user", item="item", items=pl.concat([log.frame("items"), new]),
        item_features={"shop": "category", "title": "text"},
    )  # fmt: skip
    model = VIEWS(**SMALL).fit(data, rng=0)
    assert model.views.ids.to_list() == ["book", "film"]
    assert len(model.item_towers) == 2
    assert not model.item_vectors[model.items.ids.rows(toys)].any()


def test_lists_that_mix_views_are_told_where_they_are_measured():
    """Across views it was held against models whose scores compare all items, and lost without a word."""
    split = tw.split.random(two_shops(), test=0.2, rng=0)
    model = VIEWS(**SMALL).fit(split.train, rng=0)
    with pytest.warns(
        DataWarning, match="compare items of one 'shop' alone, and these lists mix all"
    ):
        report = tw.evaluate(model, split, metrics=["ndcg@5"])
    assert any("'shop' alone" in one for one in report.notes)
    one_view = split.train.frame("items").drop("shop")
    alone = tw.Dataset.from_frames(
        split.train.frame("interactions"), user="user", item="item", items=one_view, item_features={"title": "text"}
    )  # fmt: skip
    tw.evaluate(VIEWS(**SMALL).fit(alone, rng=0), tw.split.from_parts(alone, split.test), metrics=["ndcg@5"])  # fmt: skip
