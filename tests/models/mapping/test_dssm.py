"""DSSM: vectors, loss and slopes against the equations, and the model against its promises."""

import collections
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

import twofold as tw
from twofold.data.columns import Text
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, DataWarning, NotConvergedError
from twofold.features.text import BagOfWords
from twofold.models.mapping import dssm
from twofold.models.mapping._dssm_text import bags_of
from twofold.testing import planted_log

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.models.mapping import _dssm_start as start  # noqa: E402 - needs torch
from twofold.models.mapping import _dssm_towers as towers  # noqa: E402
from twofold.nn.pooling import sum_bags  # noqa: E402
from twofold.nn.ragged import Ragged  # noqa: E402

SMALL = {"encoder": {"kind": "dense", "hidden": (12, 10)}, "factors": 6, "epochs": 4}
CONVOLUTION = {"encoder": {"kind": "convolution", "filters": 9}, "factors": 6, "epochs": 4}
TITLES = {
    "a": "the red cat",
    "b": "a red dog, a dog",
    "c": "blue cats sing",
    "d": "dogs sing blue songs",
    "e": "",
}
LOG = {"u": list("112223344"), "i": list("abbcdcaed")}


def small_log(titles=TITLES, log=LOG, **more):
    things = {"i": list(titles), "title": list(titles.values())}
    return tw.Dataset.from_frames(
        log, user="u", item="i", items=things, item_features={"title": "text"}, **more
    )


def grams(word):
    marked = f"#{word}#"
    return collections.Counter(marked[at : at + 3] for at in range(len(marked) - 2))


def literal_row(model, text):
    """The tf-idf counts of the letter tri-grams of a text, word by word."""
    code, place = model.code, {g: at for at, g in enumerate(model.code.grams.grams.ids)}
    held = dict(zip(code.words.words.ids, code.words.texts_with, strict=True))
    words = collections.Counter(text.lower().replace(",", "").split())
    value = {w: n for w, n in words.items() if any(g in place for g in grams(w))}
    if model.estimator.weight == "tfidf":
        n = code.words.n_texts
        value = {w: k * (np.log((1 + n) / (1 + held.get(w, 0))) + 1) for w, k in value.items()}
        length = np.sqrt(sum(one**2 for one in value.values()))
        value = {w: one / length for w, one in value.items()}
    out = np.zeros(len(place))
    for word, weight in value.items():
        parts = {g: k for g, k in grams(word).items() if g in place}
        if model.estimator.weight == "tfidf":
            parts = {g: k * rarity(model, g) for g, k in parts.items()}
            length = np.sqrt(sum(one**2 for one in parts.values()))
            parts = {g: one / length for g, one in parts.items()}
        for gram, count in parts.items():
            out[place[gram]] += weight * count
    return out


def rarity(model, gram):
    titles = [one.lower().replace(",", "").split() for one in TITLES.values()]
    held = sum(any(gram in grams(word) for word in title) for title in titles)
    return np.log((1 + len(titles)) / (1 + held)) + 1


def literal_dense(tower, x):
    """Eq. 3 of the paper in float64."""
    w = {name: array.astype(np.float64) for name, array in tower.items()}
    y = np.tanh(x @ w["table.weight"] + w["bias"])
    for at in range(sum(name.startswith("rest") for name in w) // 2):
        y = np.tanh(y @ w[f"rest.layers.{at}.weight"] + w[f"rest.layers.{at}.bias"])
    return y / np.linalg.norm(y)


def literal_maxima(tower, place, text):
    """max over t of tanh(W_c l_t + b_c), l_t the stacked tri-grams of three words."""
    words = text.lower().replace(",", "").split()
    counts = np.zeros((len(words), len(place)))
    for at, word in enumerate(words):
        for gram, count in grams(word).items():
            counts[at, place[gram]] += count
    weight = tower["words.grams.weight"].astype(np.float64).reshape(len(place), 3, -1)
    none = np.zeros(len(place))
    h = []
    for t in range(len(words)):
        l_t = [counts[s] if 0 <= s < len(words) else none for s in (t - 1, t, t + 1)]
        h.append(np.tanh(sum(l_t[s] @ weight[:, s] for s in range(3)) + tower["words.bias"]))
    return np.max(h, axis=0)


def literal_convolution(tower, v):
    y = np.tanh(v @ tower["words.dense.weight"].astype(np.float64) + tower["words.dense.bias"])
    return y / np.linalg.norm(y)


@pytest.mark.parametrize("weight", ["tfidf", "count"])
def test_the_vectors_are_equation_3_of_word_hashing(weight):
    model = tw.models.DSSM(**SMALL, weight=weight).fit(small_log(), rng=0)
    for row, (item, title) in enumerate(TITLES.items()):
        assert model.items.ids[row] == item
        if title:
            wanted = literal_dense(model.item_tower, literal_row(model, title))
            np.testing.assert_allclose(model.item_factors[row], wanted, atol=2e-5)
    mean = (literal_row(model, TITLES["b"]) + literal_row(model, TITLES["c"])) / 2
    folded = model.fold_in(tw.Histories(np.array([0, 2]), np.array([1, 2]), np.ones(2, np.float32)))
    np.testing.assert_allclose(folded[0], literal_dense(model.query_tower, mean), atol=2e-5)


def test_the_convolution_is_that_of_shen():
    model = tw.models.DSSM(**CONVOLUTION).fit(small_log(), rng=0)
    place = {g: at for at, g in enumerate(model.code.grams.grams.ids)}
    for row, title in enumerate(TITLES.values()):
        if title:
            v = literal_maxima(model.item_tower, place, title)
            np.testing.assert_allclose(
                model.item_factors[row], literal_convolution(model.item_tower, v), atol=2e-5
            )
    both = [literal_maxima(model.query_tower, place, TITLES[one]) for one in "ab"]
    wanted = literal_convolution(model.query_tower, np.maximum(*both))
    np.testing.assert_allclose(model.user_factors[0], wanted, atol=2e-5)


def loss_of(estimator, data, rng=0):
    """The loss in training, and what it is of."""
    taken = csr_array(data.interactions.matrix())
    taken.data[:] = 1
    column = data.items.features["title"]
    code = dssm.read_code(estimator, [column], "'title'")
    texts = code.read(column)
    clicks = towers.clicks_of(taken, bags_of(taken, texts.known), texts, np.random.default_rng(rng))
    sizes = (code.width, 12, 10, estimator.factors)
    window = None
    if isinstance(estimator.encoder, dssm.Convolution):
        sizes, window = (code.width, 9, estimator.factors), 3
    made = towers.draw_towers(sizes, "tanh", window, shared=False, rng=np.random.default_rng(rng))
    return (
        towers.PairLoss.of(
            made,
            clicks,
            gamma=estimator.gamma,
            negatives=4,
            shared=estimator.drawn == "batch",
            history=50,
        ),
        clicks,
        code,
    )


@pytest.mark.parametrize("settings", [SMALL, CONVOLUTION], ids=["dense", "convolution"])
def test_the_loss_is_equations_4_to_6(settings):
    estimator = tw.models.DSSM(**settings, gamma=7.0)
    loss, _, code = loss_of(estimator, small_log())
    place = {g: at for at, g in enumerate(code.grams.grams.ids)}
    query, document = (towers.arrays_of(one) for one in (loss.towers.query, loss.towers.document))
    model = tw.models.DSSM(**settings).fit(small_log(), rng=0)  # for its counts of words

    def y(tower, titles):
        if "words.bias" in tower:
            v = np.max([literal_maxima(tower, place, TITLES[one]) for one in titles], axis=0)
            return literal_convolution(tower, v)
        return literal_dense(
            tower, np.mean([literal_row(model, TITLES[one]) for one in titles], axis=0)
        )

    # Two pairs: user 2 (b, c, d) with c, user 1 (a, b) with b. Item b is a hit for user 2.
    bags = Ragged.of(np.array([0, 2, 3]), np.array([1, 3, 0]))
    others = torch.tensor([[0, 1], [2, 3]])
    hits = torch.tensor([[False, True], [False, False]])
    found = float(loss.value(bags, torch.tensor([2, 1]), others, hits).detach())
    wanted = 0.0
    for asked, clicked, rest in (("bd", "c", "a"), ("a", "b", "cd")):
        cosine = np.array([y(query, asked) @ y(document, one) for one in clicked + rest])
        odds = np.exp(7.0 * cosine)
        wanted -= np.log(odds[0] / odds.sum()) / 2
    assert found == pytest.approx(wanted, abs=2e-5)


def test_negatives_of_a_batch_are_those_of_each_pair_if_they_are_the_same():
    bags, item = Ragged.of(np.array([0, 2, 3]), np.array([1, 3, 0])), torch.tensor([2, 1])
    hits = torch.tensor([[False, True, False], [False, False, True]])
    others = torch.tensor([0, 1, 3])
    found = []
    for drawn, given in (("each", others.repeat(2, 1)), ("batch", others)):
        loss, _, _ = loss_of(tw.models.DSSM(**SMALL, drawn=drawn), small_log())
        found.append(float(loss.value(bags, item, given, hits).detach()))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    model = tw.models.DSSM(**SMALL, drawn="batch", negatives=20).fit(small_log(), rng=0)
    assert np.isfinite(model.item_factors).all()


@pytest.mark.parametrize("settings", [SMALL, CONVOLUTION], ids=["dense", "convolution"])
def test_the_slopes_are_the_derivatives_of_the_loss(settings):
    loss, _, _ = loss_of(tw.models.DSSM(**settings), small_log())
    loss.towers.double()
    bags = Ragged.of(np.array([0, 2, 3]), np.array([1, 3, 0]))
    others, item = torch.tensor([[0, 1], [2, 3]]), torch.tensor([2, 1])
    hits = torch.zeros(2, 2, dtype=torch.bool)
    loss.value(bags, item, others, hits).backward()
    rng = np.random.default_rng(0)
    for name, parameter in loss.towers.named_parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for at in rng.choice(len(flat), min(8, len(flat)), replace=False):
            old, step = float(flat[at]), 1e-5
            values = []
            for moved in (old + step, old - step):
                flat[at] = moved
                values.append(float(loss.value(bags, item, others, hits).detach()))
            flat[at] = old
            assert float(slope[at]) == pytest.approx(
                (values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-8
            ), name


def test_first_weights_are_uniform_within_the_bound_of_the_paper():
    made = towers.draw_towers(
        (500, 300, 300, 128), "tanh", None, shared=False, rng=np.random.default_rng(0)
    )
    for name, array in towers.arrays_of(made).items():
        if name.endswith("weight"):
            bound = np.sqrt(6 / sum(array.shape))
            assert 0.99 * bound < np.abs(array).max() <= bound * (1 + 1e-6), name
            assert array.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
        else:
            assert not array.any()


@pytest.mark.parametrize("inputs", ["words", "ngrams"])
@pytest.mark.parametrize("hidden", [(), (20, 30)])
def test_towers_that_begin_at_the_words_begin_at_their_cosines(inputs, hidden):
    dense = {"kind": "dense", "hidden": hidden, "activation": "identity", "start": "components"}
    still = {"method": "sgd", "learning_rate": 1e-12}
    dssm_ = tw.models.DSSM(
        encoder=dense, factors=20, inputs=inputs, weight="bm25", optimiser=still, epochs=1
    )
    data = small_log()
    model = dssm_.fit(data, rng=0)
    rows = BagOfWords(weight="bm25").fit(data.items.features["title"])
    x = rows.encode(data.items.features["title"]).rows.toarray()
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    for found in (model.item_factors, model.encode_items(data.items)):
        np.testing.assert_allclose(found @ found.T, x @ x.T, atol=0.03)


@pytest.mark.parametrize("inputs", ["words", "ngrams"])
def test_people_with_texts_begin_at_the_cosines_too(inputs):
    words = ["storm", "coast", "harbour", "bread", "oven", "flour", "wheel", "engine", "brake"]
    rng = np.random.default_rng(0)
    asked, found = (
        [" ".join(rng.choice(words, 3, replace=False)) for _ in range(30)] for _ in range(2)
    )
    dense = {"kind": "dense", "hidden": (), "activation": "identity", "start": "components"}
    still = {"method": "sgd", "learning_rate": 1e-12}
    dssm_ = tw.models.DSSM(encoder=dense, factors=9, inputs=inputs, optimiser=still, epochs=1)
    model = dssm_.fit(dssm.pairs_dataset(asked, found), rng=0)
    code = BagOfWords(weight="tfidf").fit([*asked, *found])
    rows = (code.encode(list(one.ids.ids)).rows for one in (model.users, model.items))
    x, y = (one.toarray() / np.linalg.norm(one.toarray(), axis=1, keepdims=True) for one in rows)
    np.testing.assert_allclose(model.user_factors @ model.item_factors.T, x @ y.T, atol=0.03)


def test_towers_that_begin_at_the_words_leave_the_texts_as_they_are():
    """Words of the same n-grams were put together in the texts themselves, and weights of one word became those of another."""
    words = [f"{one}{two}" for one in ("storm", "bread", "wheel") for two in ("", "s", "y", "ier")]
    rng = np.random.default_rng(0)
    titles, said = (
        [" ".join(rng.choice(words, 4, replace=False)) for _ in range(30)] for _ in range(2)
    )
    log = {"u": list(range(30)) * 2, "i": list(rng.permutation(30)) + list(rng.permutation(30))}
    people = {"users": {"u": list(range(30)), "said": said}, "user_features": {"said": "text"}}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", items={"i": list(range(30)), "title": titles}, item_features={"title": "text"}, **people
    )  # fmt: skip
    for settings in ({}, {"vocabulary": 10}, {"ngram": 1}, {"weight": "count"}):
        model = tw.models.DSSM(**SMALL, **settings).fit(data, rng=0)
        again = model.encode_features(replace(Queries.known(np.full(30, -1, np.int32)), features=data.users.features))  # fmt: skip
        np.testing.assert_allclose(again, model.user_factors, atol=1e-5)
        np.testing.assert_allclose(model.encode_items(data.items), model.item_factors, atol=1e-5)


def test_sums_through_parts_are_the_least_squares_of_the_words():
    rng = np.random.default_rng(0)
    parts, weight = rng.random((9, 5)).astype(np.float32), rng.random(9).astype(np.float32)
    wanted = rng.normal(size=(9, 3)).astype(np.float32)
    normal = parts.T @ (weight[:, None] * parts) + start.RIDGE * np.eye(5)
    exact = np.linalg.solve(normal, parts.T @ (weight[:, None] * wanted))
    found = start.through_parts(csr_array(parts), weight, wanted)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_sums_of_rows_and_their_slopes_are_products():
    rng = np.random.default_rng(0)
    ids, ends = np.array([0, 2, 2, 1, 3, 0]), np.array([0, 5, 5, 6])
    for weights in (None, rng.random(6).astype(np.float32)):
        x = csr_array((np.ones(6) if weights is None else weights, ids, ends), shape=(3, 4))
        table = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
        made = sum_bags(table, Ragged.of(ends, ids, weights))
        made.square().sum().backward()
        np.testing.assert_allclose(made.detach(), x @ table.detach().numpy(), rtol=1e-5)
        slope = 2 * x.T @ (x @ table.detach().numpy())
        np.testing.assert_allclose(table.grad, slope, rtol=1e-5)


def test_the_text_that_is_to_be_found_is_never_in_the_query():
    data = planted_log()
    loss, clicks, _ = loss_of(tw.models.DSSM(**SMALL, content="title"), data)
    draw = torch.Generator().manual_seed(0)
    everything = torch.arange(len(clicks.user))
    taken = data.interactions.matrix()
    for longest in (50, 3, 2):
        short = towers.PairLoss(**{**vars(loss), "history": longest})
        user, item = short.user[everything], short.item[everything]
        bags = towers.histories_without(short.bags, user, item, short.history, draw)
        assert int(bags.lengths.min()) >= 1
        assert int(bags.lengths.max()) <= longest
        for row, (user, item) in enumerate(zip(clicks.user, clicks.item, strict=True)):
            texts = bags.ids[int(bags.offsets[row]) : int(bags.offsets[row + 1])].tolist()
            own = set(taken.indices[taken.indptr[user] : taken.indptr[user + 1]])
            assert item not in texts
            assert set(texts) <= own
            assert len(set(texts)) == len(texts)
            assert longest < 50 or len(texts) == len(own) - 1


def test_every_stretch_of_a_long_history_is_read_as_often():
    bags = Ragged.of(np.array([0, 3, 13]), np.array([90, 91, 92, *range(10)]))
    user, draw = torch.ones(3500, dtype=torch.int64), torch.Generator().manual_seed(0)
    found = towers.histories_without(bags, user, torch.full_like(user, 99), 4, draw)
    stretches = found.ids.view(-1, 4)
    assert ((stretches - stretches[:, :1]) == torch.arange(4)).all()
    starts = np.bincount(stretches[:, 0].numpy())
    assert len(starts) == 7
    assert np.abs(starts - 500).max() < 100


def test_what_a_user_has_is_no_negative():
    data = planted_log()
    loss, clicks, _ = loss_of(tw.models.DSSM(**SMALL, content="title"), data)
    has = data.interactions.matrix().toarray() > 0
    items = torch.arange(data.n_items).repeat(data.n_users, 1)
    who = torch.arange(data.n_users)
    found = towers.is_taken(loss.taken, loss.n_items, who, items).numpy()
    np.testing.assert_array_equal(found, has)
    again, some = (
        torch.tensor([3, 0, 3]),
        torch.tensor([5, 1, 5, 0]),
    )  # a user and an item may come twice
    alike = towers.are_had(loss.owners, data.n_users, again, some).numpy()
    np.testing.assert_array_equal(alike, has[np.ix_(again, some)])
    assert len(clicks.taken) == has.sum()


@pytest.mark.parametrize("drawn", ["each", "batch"])
def test_negatives_have_words_and_those_that_a_user_has_are_marked(drawn, monkeypatch):
    data = small_log()
    loss, clicks, _ = loss_of(tw.models.DSSM(**SMALL, drawn=drawn), data)
    has, rows = data.interactions.matrix().toarray()[clicks.user] > 0, np.arange(len(clicks.user))
    met = set()

    def watched(self, bags, item, others, hits):
        met.update(others.flatten().tolist())
        wanted = has[:, others] if drawn == "batch" else has[rows[:, None], others]
        np.testing.assert_array_equal(hits, wanted)

    monkeypatch.setattr(towers.PairLoss, "value", watched)
    for seed in range(20):
        loss.of_batch(torch.from_numpy(rows), torch.Generator().manual_seed(seed))
    assert met == {at for at, title in enumerate(TITLES.values()) if title}


@pytest.mark.parametrize("dealt", ["pairs", "people"])
def test_new_items_and_free_words_follow_the_words(dealt):
    model = tw.models.DSSM(
        encoder={"kind": "dense", "hidden": (16,)},
        factors=8,
        content="title",
        epochs=30,
        dealt=dealt,
    ).fit(planted_log(), rng=0)
    new = {"item": ["n1", "n2"], "title": ["even evenly", "oddly odd"], "tags": [[], []]}
    longer = model.with_items(new)
    for user, wanted in ((100, "n1"), (101, "n2")):
        lists = longer.recommend(users=[user], allow=["n1", "n2"], k=2)
        assert lists["item"].to_list()[0] == wanted
        assert set(lists["source"]) == {"content"}
    said = longer.recommend(text=["even", "what is odd"], k=8)
    for row, wanted in ((0, 0), (1, 1)):
        mine = said.filter(said["user"] == row)["item"].to_list()
        assert [int(one[1:]) % 2 for one in mine if one[0] == "i"] == [wanted] * (
            len(mine) - ("n1" in mine) - ("n2" in mine)
        )
    assert set(said.filter(~said["item"].is_in(["n1", "n2"]))["source"]) == {"content"}


KINDS = {"pets": ("kitten puppy parrot", "cat dog bird"), "ways": ("highway alley", "road street")}


def clicked_pairs(n=300, rng=0):
    """Queries and documents that share no word: only clicks say what goes with what."""
    random = np.random.default_rng(rng)
    queries, documents = [], []
    for at in range(n):
        asked, shown = KINDS[("pets", "ways")[at % 2]]
        queries.append(" ".join(random.choice(asked.split(), 2)) + f" q{random.integers(20)}")
        documents.append(" ".join(random.choice(shown.split(), 2)) + f" d{random.integers(20)}")
    return queries, documents


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_documents_are_found_by_queries_that_share_no_word_with_them(kind):
    data = dssm.pairs_dataset(*clicked_pairs())
    encoder = {"kind": kind} | ({"hidden": (16,)} if kind == "dense" else {"filters": 16})
    model = tw.models.DSSM(encoder=encoder, factors=8, epochs=30, batch_size=64).fit(data, rng=0)
    assert model.asked == "text"
    lists = model.recommend(text=["a kitten", "the alley"], k=10)
    for row, (_, shown) in enumerate(KINDS.values()):
        for document in lists.filter(lists["user"] == row)["item"]:
            assert set(document.split()[:2]) <= set(shown.split())
    by_feature = model.recommend(features={"text": ["a kitten"]}, k=10)
    assert by_feature["item"].to_list() == lists.filter(lists["user"] == 0)["item"].to_list()


def test_users_without_a_text_are_asked_by_their_history():
    data = small_log(
        users={"u": list("1234"), "says": ["blue songs", None, "", "🙂"]},
        user_features={"says": "text"},
    )
    model = tw.models.DSSM(**SMALL).fit(data, rng=0)
    said = model.encode_features(queries_of(["blue songs"]))
    np.testing.assert_allclose(model.user_factors[0], said[0], atol=1e-6)
    folded = model.fold_in(model.memory.history.take(np.array([1, 2], np.int32)))
    np.testing.assert_allclose(model.user_factors[1:3], folded, atol=1e-6)


def test_words_lead_in_place_of_a_history():
    data = small_log(
        users={"u": list("1234"), "says": ["blue songs", None, "", "🙂"]},
        user_features={"says": "text"},
    )
    model = tw.models.DSSM(**SMALL).fit(data, rng=0)
    ask = {"k": 5, "exclude_seen": False}
    wanted = model.recommend(text=["blue songs"], **ask)["score"].to_list()
    for asked in ({"users": ["2"]}, {"histories": [["a"]]}):
        for said in ({"text": ["blue songs"]}, {"features": {"says": ["blue songs"]}}):
            lists = model.recommend(**asked, **said, **ask)
            assert lists["score"].to_list() == wanted
            assert set(lists["source"]) == {"content"}
        for nothing in ("", "???"):
            assert model.recommend(**asked, text=[nothing], **ask).equals(
                model.recommend(**asked, **ask)
            )


def queries_of(texts):
    n = len(texts)
    return Queries(
        np.full(n, -1, np.int32),
        tw.Histories.empty(n),
        np.zeros(n, np.bool_),
        text=Text(pl.Series(texts, dtype=pl.String)),
    )


STRANGE = {
    "empty": "",
    "blank": "  \t ",
    "missing": None,
    "marks": "#!? ...",
    "emoji": "🙂🙂 👩‍🚀",
    "greek": "Ἡ γάτα",
    "arabic": "قطة سوداء",
    "chinese": "黑色的猫和狗",
    "long": "cat " * 200_000 + "x" * 100_000,
}


@pytest.mark.parametrize("settings", [SMALL, CONVOLUTION], ids=["dense", "convolution"])
def test_strange_titles_are_placed_or_stand_at_zero(settings):
    log = {"u": [at % 4 for at in range(20)], "i": [list(STRANGE)[at % 9] for at in range(20)]}
    model = tw.models.DSSM(**settings).fit(small_log(STRANGE, log), rng=0)
    length = np.linalg.norm(model.item_factors, axis=1)
    silent = np.isin(model.items.ids.ids.to_numpy(), ["empty", "blank", "missing", "marks"])
    np.testing.assert_array_equal(length[silent], 0)
    np.testing.assert_allclose(length[~silent], 1, atol=1e-5)
    lists = model.recommend(text=["猫", "قطة", "🙂", *STRANGE.values()][:6], k=9)
    assert np.isfinite(lists["score"].to_numpy()).all()
    for one in ("", "?!", "qqqqqq"):
        assert set(model.recommend(text=[one], k=2)["source"]) == {"fallback:popularity"}
    only_silent = model.recommend(histories=[["empty", "marks"]], k=2)
    assert set(only_silent["source"]) == {"fallback:popularity"}
    new = {"item": ["n1", "n2"], "title": ["", "a cat"]}
    with pytest.warns(DataWarning, match="nothing is known of item 'n1'"):
        longer = model.with_items(new)
    assert longer.similar_items("n2", k=1)["item"].to_list() == ["long"]


def test_what_cannot_be_learned_is_said_in_a_sentence():
    cases = [
        (
            small_log(dict.fromkeys("abcde", "")),
            {},
            DataError,
            "no text of 'title' holds a word",
        ),
        (
            small_log(log={"u": [1, 2], "i": ["a", "b"]}),
            {},
            DataError,
            "each needs an item with known words",
        ),
        (small_log(), {"query": "says"}, ConfigError, "no user feature"),
        (small_log(), {"content": "titel"}, ConfigError, "title"),
        (
            small_log(),
            {
                "optimiser": {"method": "sgd", "learning_rate": 1e38},
                "encoder": {"kind": "dense", "activation": "identity"},
            },
            NotConvergedError,
            "learning_rate",
        ),
    ]
    for data, more, error, said in cases:
        with pytest.raises(error, match=said) as refused:
            tw.models.DSSM(**{**SMALL, **more}).fit(data, rng=0)
        assert "\n" not in str(refused.value)


def test_pairs_need_two_texts():
    with pytest.raises(DataError, match="2 queries and 1 documents"):
        dssm.pairs_dataset(["a", "b"], ["c"])
    with pytest.raises(DataError, match="the document of pair 1 is empty"):
        dssm.pairs_dataset(["a", "b"], ["c", " "])


def test_the_number_of_threads_changes_nothing():
    before = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            model = tw.models.DSSM(factors=32, epochs=2, content="title").fit(
                planted_log(400, 300), rng=3
            )
            found.append(model.item_factors.tobytes() + model.query_tower["bias"].tobytes())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_declaring_and_serving_need_no_torch(tmp_path):
    model = tw.models.DSSM(**SMALL).fit(small_log(), rng=0)
    path = model.save(tmp_path / "model")
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import twofold as tw\n"
        "tw.models.DSSM()\n"
        f"model = tw.load({str(path)!r})\n"
        "print(model.recommend(text=['red cats'], k=3)['item'].to_list())\n"
        "print(model.recommend(histories=[['a']], k=3)['item'].to_list())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    here = [
        model.recommend(text=["red cats"], k=3)["item"].to_list(),
        model.recommend(histories=[["a"]], k=3)["item"].to_list(),
    ]
    assert ran.stdout == "".join(f"{one}\n" for one in here)


@pytest.mark.data
def test_cold_products_are_found_by_their_titles_above_tf_idf(real):
    """Recall@20 of held-out products among themselves, beside the TF-IDF profile of the history."""
    data, column = real("online-retail"), "Description"
    kept = np.random.default_rng(0).random(data.n_users) < 0.05
    data = data.part(np.flatnonzero(kept[data.interactions.user]))
    split = tw.split.cold_items(data, test=0.2, rng=0)
    train, test = split.train, split.test
    model = tw.models.DSSM(
        content=column,
        towers="shared",
        weight="bm25",
        drawn="batch",
        negatives=200,
        factors=300,
        epochs=4,
        batch_size=512,
        optimiser={"method": "adam", "learning_rate": 3e-4},
        encoder={"kind": "dense", "hidden": (), "activation": "identity"},
    ).fit(train, rng=0)
    rows = train.users.ids.rows(test.users.ids.ids)
    asked = np.flatnonzero(rows >= 0)
    wanted = csr_array(test.interactions.matrix()[asked])
    code = BagOfWords(weight="tfidf", unit_length=True).fit(train.items.features[column])
    known, new = (code.encode(one.items.features[column]).rows for one in (train, test))
    has = csr_array(train.interactions.matrix()[rows[asked]])
    has.data[:] = 1
    profile = (has @ known @ new.T).toarray()
    scores = model.lookup(rows[asked]) @ model.encode_items(test.items).T

    def recall(found):
        top = np.argsort(-found, axis=1, kind="stable")[:, :20]
        hit = np.take_along_axis(wanted.toarray() > 0, top, axis=1).sum(axis=1)
        return float((hit / np.diff(wanted.indptr)).mean())

    assert recall(scores) > recall(profile) + 0.01


def test_words_of_people_that_stand_for_histories_unasked_are_told():
    """Everybody takes even or odd things, and says something that has nothing to do with it."""
    log = planted_log()
    people = {"user": log.users.ids.ids, "bio": [f"tea sun {one % 3}" for one in range(40)]}
    data = tw.Dataset.from_frames(
        log.frame("interactions"), user="user", item="item", items=log.frame("items"), users=people,
        item_features={"title": "text"}, user_features={"bio": "text"},
    )  # fmt: skip
    dense = {"encoder": {"kind": "dense", "hidden": (16,)}, "factors": 8, "content": "title"}
    with pytest.warns(DataWarning, match="by their 'bio' and reads no history .* query=''"):
        tw.models.DSSM(**dense, epochs=1).fit(data, rng=0)
    tw.models.DSSM(**dense, epochs=1, query="bio").fit(data, rng=0)
    model = tw.models.DSSM(**dense, epochs=30, query="").fit(data, rng=0)
    assert (
        model.recommend(users=[100], k=1)["item"].to_list()
        == tw.models.DSSM(**dense, epochs=30)
        .fit(log, rng=0)
        .recommend(users=[100], k=1)["item"]
        .to_list()
    )


@pytest.mark.parametrize(("own", "as_"), [(False, "shared"), (True, "separate")])
def test_histories_are_read_by_the_tower_of_items_and_words_of_people_by_their_own(own, as_):
    says = {"u": list("1234"), "says": ["a red cat", "dogs", "blue songs", "cats sing"]}
    more = {"users": says, "user_features": {"says": "text"}} if own else {}
    log = small_log(**more)
    asked = {"encoder": {"kind": "dense", "hidden": (6,)}, "factors": 4, "content": "title"}
    chosen = dssm.DSSM(**asked).fit(log, rng=0)
    named, other = (
        dssm.DSSM(**asked, towers=one).fit(log, rng=0)
        for one in (as_, "separate" if as_ == "shared" else "shared")
    )
    assert (chosen.asked is not None) == own
    np.testing.assert_array_equal(chosen.item_factors, named.item_factors)
    np.testing.assert_array_equal(chosen.user_factors, named.user_factors)
    assert not np.array_equal(chosen.item_factors, other.item_factors)


def test_texts_that_share_no_word_begin_at_their_n_grams():
    """Where each text is one word, as without spaces, words have no directions, and towers began at nothing."""
    words = csr_array(
        np.array([[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 3], [0, 0, 0, 0]], np.float32)
    )
    assert start.sharing(words) == pytest.approx(2 / 3)
    assert start.sharing(csr_array((3, 4), dtype=np.float32)) == 1.0
    titles = {
        at: f"{a}{b}"
        for at, (a, b) in enumerate(zip(["sun", "sea"] * 6, "abcdefghijkl", strict=True))
    }
    log = {"u": [0] * 6 + [1] * 6, "i": [*range(0, 12, 2), *range(1, 12, 2)]}
    still = {"method": "sgd", "learning_rate": 1e-12}
    model = dssm.DSSM(
        factors=8, optimiser=still, epochs=1, encoder={"kind": "dense", "hidden": ()}
    ).fit(small_log(titles, log), rng=0)
    likeness = model.item_factors @ model.item_factors.T
    same = (np.arange(12)[:, None] - np.arange(12)) % 2 == 0
    apart = ~np.eye(12, dtype=bool)
    assert likeness[same & apart].mean() > likeness[~same].mean() + 0.2
