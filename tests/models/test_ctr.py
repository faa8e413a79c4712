"""CTR against the paper's equations, scikit-learn's topics, and its own objective."""

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

import twofold as tw
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.kernels import topics
from twofold.models.baselines._pairs import binary
from twofold.models.mapping import _topics, ctr
from twofold.models.mapping._content import learn_words
from twofold.testing import planted_log


def documents(n=30, size=20, seed=0):
    rng = np.random.default_rng(seed)
    return csr_array(rng.poisson(0.5, (n, size)).astype(np.float32))


def test_topics_of_a_document_are_those_of_scikit_learn():
    bag, rng = documents(), np.random.default_rng(1)
    theirs = LatentDirichletAllocation(3, doc_topic_prior=0.1, topic_word_prior=0.01, max_iter=1)
    theirs.set_params(random_state=0).fit(bag)
    weights = rng.gamma(2.0, 1.0, (20, 3))
    theirs.components_ = weights.T.copy()
    theirs.exp_dirichlet_component_ = np.exp(psi(weights) - psi(weights.sum(axis=0))).T
    mine = _topics.proportions(_topics.infer(bag, weights, 0.1))
    np.testing.assert_allclose(mine, theirs.transform(bag), atol=2e-3)


def test_digamma_is_that_of_scipy():
    x = np.array([1e-3, 0.1, 0.5, 1.0, 3.3, 8.0, 1e4])
    np.testing.assert_allclose([topics.digamma(one) for one in x], psi(x), rtol=1e-8, atol=1e-9)


def test_topics_find_two_vocabularies():
    rng = np.random.default_rng(0)
    counts = np.zeros((40, 10), np.float32)
    for row in range(40):
        words = rng.integers(0, 5, 30) + 5 * (row % 2)
        np.add.at(counts[row], words, 1)
    _, gamma = _topics.fit_topics(csr_array(counts), 2, 30, 0.1, 0.01, rng)
    best = gamma.argmax(axis=1)
    assert len(set(best[::2])) == len(set(best[1::2])) == 1
    assert best[0] != best[1]


def test_the_projection_is_the_nearest_point_of_the_simplex():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.normal(size=4)
        found = x.copy()
        topics.project(found, np.empty(4))
        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()
        others = rng.dirichlet(np.ones(4), 300)
        assert ((x - found) ** 2).sum() <= ((x - others) ** 2).sum(axis=1).min() + 1e-12


def test_a_step_of_theta_lowers_its_part_of_the_objective():
    bag, rng = documents(), np.random.default_rng(2)
    beta = np.ascontiguousarray(rng.dirichlet(np.ones(20), 3).T)
    theta, v = rng.dirichlet(np.ones(3), 30), rng.normal(size=(30, 3))

    def loss():
        mix = theta @ beta.T
        return 2.0 * ((v - theta) ** 2).sum(axis=1) - (bag.toarray() * np.log(mix)).sum(axis=1)

    before = first = loss()
    for _ in range(200):
        topics.improve_proportions(
            bag.indptr.astype(np.int64), bag.indices, bag.data, beta, v, 4.0, 40, theta
        )
        after = loss()
        assert (after <= before + 1e-9).all()
        before = after
    np.testing.assert_allclose(theta.sum(axis=1), 1)
    others = rng.dirichlet(np.ones(3), 4000)
    at = 2.0 * ((v[0] - others) ** 2).sum(axis=1)
    at -= (bag.toarray()[0] * np.log(others @ beta.T)).sum(axis=1)
    assert before[0] <= at.min() + 0.05
    assert before.sum() < first.sum() - 1


def test_the_objective_is_the_one_of_the_paper():
    """Term by term, item by item: one of them is outside the matrix and has no words in it."""
    rng = np.random.default_rng(3)
    has, counts, inside = rng.random((4, 5)) < 0.5, documents(5, 6).toarray(), np.ones(5)
    has[:, 2] = inside[2] = 0
    u, v = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    beta, theta = rng.dirichlet(np.ones(6), 3).T, rng.dirichlet(np.ones(3), 5)
    model = tw.models.CTR(factors=3, unseen_weight=0.1, eta=0.3)
    wanted = 0.5 * model.user_reg * (u**2).sum() - 0.3 * np.log(beta).sum()
    for j in range(5):
        wanted += 0.5 * model.item_reg * ((v[j] - theta[j]) ** 2).sum()
        if inside[j]:
            c = np.where(has[:, j], 1.0, 0.1)
            wanted += 0.5 * (c * (has[:, j] - u @ v[j]) ** 2).sum()
            wanted -= counts[j] @ np.log(beta @ theta[j])
    pairs, read = csr_array(has.astype(np.float32)), csr_array(counts[inside > 0])
    found = ctr.objective(model, pairs, read, beta, u, v, theta, inside)
    assert found == pytest.approx(wanted, rel=1e-9)


def test_training_ends_where_a_round_lowers_the_objective_by_too_small_a_share(
    monkeypatch,
):
    found, measure = [], ctr.objective
    keep = lambda *given: found.append(measure(*given)) or found[-1]  # noqa: E731
    monkeypatch.setattr(ctr, "objective", keep)
    tw.models.CTR(factors=4, start="even", content="title", tolerance=0.01).fit(
        planted_log(), rng=0
    )
    shares = -np.diff(found) / np.abs(found[:-1])
    assert len(shares) > 1
    assert shares[:-1].min() >= 0.01 > shares[-1]


@pytest.mark.parametrize("start", ["lda", "even"])
@pytest.mark.parametrize("kind", ["joint", "fixed"])
def test_training_never_raises_the_objective(kind, start):
    data = planted_log()
    model = tw.models.CTR(factors=3, topics=kind, start=start)
    pairs = binary(tw.Memory.of(data).history, data.n_items)
    bag, _ = learn_words("title", data.items, 100)
    rng = np.random.default_rng(0)
    weights, gamma = _topics.fit_topics(bag, 3, 20, 0.1, 0.01, rng)
    theta = _topics.proportions(gamma)
    found = []
    for epochs in range(1, 8):
        some = tw.models.CTR(factors=3, topics=kind, start=start, epochs=epochs, tolerance=0)
        u, v, moved, words = ctr.alternate(some, pairs, bag, weights, theta)
        inside = np.ones(len(moved), np.float32)
        found.append(ctr.objective(model, pairs, bag, ctr.mixtures(words), u, v, moved, inside))
        assert np.array_equal(moved, theta) == np.array_equal(words, weights) == (kind == "fixed")
    assert (np.diff(found) <= 1e-4).all()
    assert found[-1] < found[0]


def test_an_even_start_forgets_the_proportions_of_lda():
    bag, rng = documents(), np.random.default_rng(6)
    beta = np.ascontiguousarray(rng.dirichlet(np.ones(20), 3).T)
    has = csr_array(np.ones((5, 30), np.float32))
    ends = {"lda": [], "even": []}
    for start, found in ends.items():
        model = tw.models.CTR(factors=3, start=start, epochs=2, tolerance=0)
        for _ in range(2):
            theta = rng.dirichlet(np.ones(3), 30)
            found.append(ctr.alternate(model, has, bag, beta, theta)[2])
    np.testing.assert_array_equal(*ends["even"])
    assert np.abs(ends["lda"][0] - ends["lda"][1]).max() > 0.1


def test_articles_that_nobody_has_do_not_end_training():
    """Four in five have no reader: topics no longer explain their words, which is nobody's loss."""
    bag, rng = documents(100), np.random.default_rng(8)
    has = rng.random((12, 100)) < 0.3
    has[:, 20:] = False
    words, gamma = _topics.fit_topics(bag, 5, 20, 0.1, 0.01, rng)
    theta, model = _topics.proportions(gamma), tw.models.CTR(factors=5)
    u, *_ = ctr.alternate(model, csr_array(has.astype(np.float32)), bag, words, theta)
    inside = csr_array(has[:, :20].astype(np.float32))
    alone, *_ = ctr.alternate(model, inside, csr_array(bag[:20]), words, theta[:20])
    np.testing.assert_allclose(u, alone, atol=1e-5)


def test_an_article_that_nobody_has_is_where_its_topics_are_and_moves_nobody():
    bag, rng = documents(), np.random.default_rng(4)
    beta = np.ascontiguousarray(rng.dirichlet(np.ones(20), 3).T)
    theta = rng.dirichlet(np.ones(3), 30)
    has = rng.random((12, 30)) < 0.2
    has[:, [4, 29]] = False
    model = tw.models.CTR(factors=3, epochs=5, tolerance=0)
    u, v, moved, words = ctr.alternate(model, csr_array(has.astype(np.float32)), bag, beta, theta)
    placed = _topics.proportions(_topics.infer(csr_array(bag[[4, 29]]), words, model.alpha))
    np.testing.assert_allclose(moved[[4, 29]], placed, atol=1e-12)
    np.testing.assert_array_equal(v[[4, 29]], moved[[4, 29]].astype(np.float32))
    there = has.any(axis=0)
    pairs = csr_array(has[:, there].astype(np.float32))
    alone, *_ = ctr.alternate(model, pairs, csr_array(bag[there]), beta, theta[there])
    np.testing.assert_allclose(u, alone, atol=1e-5)


def test_the_words_of_topics_are_those_that_explain_the_documents():
    """phi_dwk = theta_dk beta_wk over its sum, by a dense array; a step of beta raises the likelihood."""
    bag, rng = documents(), np.random.default_rng(5)
    beta = np.ascontiguousarray(rng.dirichlet(np.ones(20), 3).T)
    theta = rng.dirichlet(np.ones(3), 30)
    phi = theta[:, None, :] * beta
    phi /= phi.sum(axis=2, keepdims=True)  # (D, S, K)
    expected = (bag.toarray()[:, :, None] * phi).sum(axis=0)
    found = ctr.words_of_topics(bag, beta, theta)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    counts = bag.toarray()
    before = (counts * np.log(theta @ beta.T)).sum()
    assert (counts * np.log(theta @ ctr.mixtures(found + 1e-12).T)).sum() > before


def test_a_known_user_is_their_history_folded_in():
    model = tw.models.CTR(factors=4).fit(planted_log(), rng=0)
    folded = model.fold_in(model.memory.history)
    np.testing.assert_allclose(folded, model.user_factors, atol=1e-4)


def test_a_history_with_an_item_that_nobody_had_is_folded_in_by_the_equation():
    """Eq. 7: such an item weighs a where it is in the history, and nothing elsewhere; the others weigh b."""
    log = planted_log().frame("interactions").filter(~pl.col("item").is_in(["i2", "i5"]))
    data = tw.Dataset.from_frames(
        log, user="user", item="item", items=planted_log().frame("items"), item_features={"title": "text"},
    )  # fmt: skip
    model = tw.models.CTR(factors=4, unseen_weight=0.5, user_reg=0.2).fit(data, rng=0)
    mine, inside = data.items.ids.rows(["i1", "i2", "i4"]), model.memory.popularity > 0
    assert inside.sum() == 22
    y, r = model.item_factors.astype(np.float64), np.zeros(24)
    r[mine] = 1
    c = np.where(r > 0, 1.0, 0.5 * inside)
    wanted = np.linalg.solve((y.T * c) @ y + 0.2 * np.eye(4), y.T @ (c * r))
    history = tw.Histories(np.array([0, 3]), mine, np.ones(3, np.float32))
    np.testing.assert_allclose(model.fold_in(history)[0], wanted, rtol=1e-4)


def test_words_that_cannot_be_read_are_refused():
    data = planted_log()
    with pytest.raises(ConfigError, match="did you mean 'title'"):
        tw.models.CTR(content="titel").fit(data)
    bare = tw.Dataset.from_frames({"u": [1, 2], "i": [1, 2]}, user="u", item="i")
    with pytest.raises(DataError, match="the items have none; declare one"):
        tw.models.CTR().fit(bare)
    silent = tw.Dataset.from_frames(
        {"u": [1, 2], "i": [1, 2]}, user="u", item="i",
        items={"i": [1, 2], "title": ["", None]}, item_features={"title": "text"},
    )  # fmt: skip
    with pytest.raises(DataError, match="no item has a word"):
        tw.models.CTR().fit(silent)


@pytest.mark.parametrize("model", [tw.models.CTR(), tw.models.CDL(), tw.models.DSSM()], ids=str)
def test_a_category_of_titles_that_repeat_is_named_where_words_are_read(model):
    """A job board has the same titles again and again, so that they are guessed a category."""
    jobs = ["Nurse at night", "Старший повар", "Cook", "Bus driver"]
    items = {
        "i": range(80),
        "title": [jobs[one % 4] for one in range(80)],
        "town": [["Rome", "Oslo", "New York"][one % 3] for one in range(80)],
        "floor": [one % 5 for one in range(80)],
    }
    log = {"u": [one % 8 for one in range(80)], "i": range(80)}
    kinds = dict.fromkeys(("title", "town", "floor"), "category")
    data = tw.Dataset.from_frames(log, user="u", item="i", items=items, item_features=kinds)
    with pytest.raises(DataError) as refused:
        model.fit(data)
    assert str(refused.value) == (
        f"{type(model).__name__} reads the words of the items from one bag or text feature and the items have none; "
        "'title' was read as a category, of levels of several words: declare the one that is meant as text with "
        "item_features={'title': 'text'} (on the command line --item-feature title=text)"
    )


def test_an_item_without_known_words_is_placed_evenly():
    model = tw.models.CTR(factors=4, content="title").fit(planted_log(), rng=0)
    with pytest.warns(DataWarning, match="nothing is known of item 'n'"):
        grown = model.with_items({"item": ["n"], "title": ["\N{PILE OF POO} zzz"], "tags": [[]]})
    np.testing.assert_allclose(grown.item_vectors[-1], 0.25, atol=1e-6)


def test_emoji_and_any_script_are_words():
    titles = ["⚽️ 🏆", "足球 ｆｕｌｌ", "full", ""]
    data = tw.Dataset.from_frames(
        {"u": [1] * 4, "i": range(4)}, user="u", item="i",
        items={"i": range(4), "title": titles}, item_features={"title": "text"},
    )  # fmt: skip
    bag, words = learn_words("title", data.items, 100)
    assert sorted(words.ids.to_list()) == ["full", "⚽", "足球", "🏆"]
    assert bag.sum(axis=1).tolist() == [2, 2, 1, 0]


def test_a_negative_count_of_a_rare_word_is_refused():
    data = tw.Dataset.from_frames(
        {"u": [1, 1], "i": [0, 1]}, user="u", item="i",
        items={"i": [0, 1], "bag": [{"a": 1, "b": -2}, {"a": 1}]}, item_features={"bag": "bag"},
    )  # fmt: skip
    with pytest.raises(DataError, match="'bag' holds a count that is negative"):
        tw.models.CTR(factors=2).fit(data, rng=0)


def test_the_default_has_topics_enough_to_tell_new_items_of_many_kinds_apart():
    kinds, each = 120, 5
    rng = np.random.default_rng(0)
    titles = [
        " ".join(f"k{one % kinds}w{word}" for word in rng.integers(0, 6, 8))
        for one in range(kinds * each)
    ]
    user = np.repeat(np.arange(360), 4)
    item = user % kinds + kinds * rng.integers(0, each, len(user))
    data = tw.Dataset.from_frames(
        {"user": user, "item": item}, user="user", item="item", duplicates="last",
        items=pl.DataFrame({"item": np.arange(len(titles)), "title": titles}),
        item_features={"title": "text"},
    )  # fmt: skip
    split = tw.split.cold_items(data, test=0.2, rng=0)
    model = tw.models.CTR().fit(split.train, rng=0)
    found = tw.evaluate(model, split, ["ndcg@5"], unknown_items="content", candidates="new")
    assert found["ndcg@5"] > 0.8
