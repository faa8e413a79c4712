"""ItemKNN against loops over pairs of items, and its reading of content."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import twofold as tw
from twofold.data.columns import Text
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models.baselines.item_knn import BM25_B, BM25_K1, ItemKNN, bm25, nearest, terms


def naive(model, profiles):
    """Similarities by the definitions of the module, pair by pair; profiles (m, t)."""
    m = len(profiles)
    out = np.zeros((m, m))
    for i in range(m):
        for j in range(m):
            p, q = profiles[i].astype(float), profiles[j].astype(float)
            if model.similarity == "jaccard":
                p, q = p > 0, q > 0
                top, scale = (p & q).sum(), (p | q).sum()
            else:
                top, scale = p @ q, np.sqrt(p @ p) * np.sqrt(q @ q)
            scale += model.shrinkage
            out[i, j] = top / scale if i != j and scale > 0 else 0
        spared = np.argsort(-out[i], kind="stable")[model.neighbours :]
        out[i, spared] = 0
    return out


@given(
    seed=st.integers(0, 999),
    similarity=st.sampled_from(["cosine", "jaccard"]),
    k=st.integers(1, 12),
    shrinkage=st.sampled_from([0.0, 0.7, 10.0]),
    m=st.integers(1, 10),
)
@settings(deadline=None, max_examples=60)
def test_neighbours_are_those_of_the_definition(seed, similarity, k, shrinkage, m):
    profiles = np.random.default_rng(seed).integers(0, 4, (m, 7)).astype(np.float32)
    model = ItemKNN(similarity=similarity, neighbours=k, shrinkage=shrinkage)
    found = nearest(model, csr_array(profiles.T)).toarray()
    # Sums in another order may break a tie for the last place otherwise.
    expected = naive(model, profiles)
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(expected, axis=1), atol=1e-6)
    np.testing.assert_allclose(
        found[found > 0],
        naive(model.__class__(similarity=similarity, neighbours=m, shrinkage=shrinkage), profiles)[
            found > 0
        ],
        atol=1e-6,
    )


def test_bm25_is_robertsons():
    counts = np.array([[2, 0, 1], [0, 0, 3], [1, 1, 1]], np.float32)  # terms x items
    found = bm25(csr_array(counts)).toarray()
    length = counts.sum(axis=0)
    for term in range(3):
        for item in range(3):
            df = (counts[term] > 0).sum()
            rarity = np.log(1 + (3 - df + 0.5) / (df + 0.5))
            tf = counts[term, item]
            norm = BM25_K1 * (1 - BM25_B + BM25_B * length[item] / length.mean())
            expected = rarity * tf * (BM25_K1 + 1) / (tf + norm)
            assert found[term, item] == pytest.approx(expected, rel=1e-6)


def test_the_result_does_not_depend_on_the_blocks(monkeypatch):
    profiles = csr_array(np.random.default_rng(0).integers(0, 3, (9, 14)).astype(np.float32))
    model = ItemKNN(neighbours=4)
    whole = nearest(model, profiles).toarray()
    monkeypatch.setattr("twofold.models.baselines._pairs.BLOCK_BYTES", 3 * 4 * 14)
    np.testing.assert_array_equal(nearest(model, profiles).toarray(), whole)


def films(content=("title", "genres")):
    """Three films with an audience, and one that nobody has seen."""
    log = {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "b"]}
    things = {
        "i": ["a", "b", "c", "new"],
        "title": ["The Blue Sea", "Red sea", None, "blue SEA rising"],
        "genres": [["sea"], ["sea", "drama"], ["drama"], ["sea"]],
        "studio": ["x", "y", "y", "x"],
        "year": [1990.0, 1991.0, 1992.0, 1993.0],
    }
    kinds = {"title": "text", "genres": "tags", "studio": "category", "year": "number"}
    data = tw.Dataset.from_frames(log, user="u", item="i", items=things, item_features=kinds)
    return data, ItemKNN(content=content, similarity="bm25", shrinkage=0.0)


def test_an_item_that_nobody_has_met_is_recommended_by_content():
    data, estimator = films()
    model = estimator.fit(data)
    assert model.recommend(histories=[["a"]], k=1)["item"].to_list() == ["new"]
    assert model.similar_items("new", k=1)["item"].to_list() == ["a"]
    assert model.recommend(users=[3], k=3)["score"].to_numpy()[0] > 0
    by_people = ItemKNN().fit(data).recommend(histories=[["a"]], k=3)
    assert by_people["item"].to_list()[-1] == "new"


@pytest.mark.parametrize("kind", ["title", "genres", "studio"])
def test_each_kind_of_content_is_compared(kind):
    data, estimator = films((kind,))
    similarities = estimator.fit(data).similarities.toarray()
    rows = {one: row for row, one in enumerate(data.items.ids.ids)}
    assert similarities[rows["a"], rows["new"]] > 0
    assert np.allclose(similarities, similarities.T, atol=1e-6)


def test_words_of_any_script_and_emoji_are_counted():
    said = ["Sea sea, RED", None, "", "red-sea 2", "⚽ 寿司", "#!"]
    found, words = terms("title", Text(pl.Series(said)))
    assert found.toarray().sum(axis=1).tolist() == [3, 0, 0, 3, 2, 0]
    assert sorted(found.toarray()[0].tolist()) == [0, 0, 0, 1, 2]
    assert {"sea", "red", "2", "⚽", "寿司"} == set(words.ids)


def test_content_that_cannot_be_compared_is_refused():
    data, _ = films()
    with pytest.raises(ConfigError, match=r"'titel'.*did you mean 'title'"):
        ItemKNN(content=("titel",)).fit(data)
    with pytest.raises(ConfigError, match="'year', which is a number; allowed kinds"):
        ItemKNN(content=("year",)).fit(data)
    bare = tw.Dataset.from_frames({"u": [1], "i": ["a"]}, user="u", item="i")
    with pytest.raises(DataError, match="needs features of the items and the data have none"):
        ItemKNN(content=("title",)).fit(bare)
    mute = tw.Dataset.from_frames(
        {"u": [1, 1], "i": ["a", "b"]}, user="u", item="i",
        items={"i": ["a", "b"], "title": ["!!", None]}, item_features={"title": "text"},
    )  # fmt: skip
    with pytest.raises(DataError, match="holds neither a level nor a word of any item"):
        ItemKNN(content=("title",)).fit(mute)


def test_a_score_is_the_sum_of_similarities_to_the_history():
    data, _ = films()
    model = ItemKNN(shrinkage=0.0).fit(data)
    lists = model.recommend(histories=[["a", "c"]], k=4, exclude_seen=False)
    scores = dict(zip(lists["item"], lists["score"], strict=True))
    assert scores["b"] == pytest.approx(1 / 2)  # one user of two each with a, none with c
    assert scores["a"] == pytest.approx(1 / 2**0.5)  # with c
    assert scores["new"] == 0


@pytest.mark.parametrize("similarity", ["cosine", "jaccard", "bm25"])
def test_a_new_item_is_compared_as_if_it_had_been_there(similarity):
    """With the weights of training: a copy of a known item has that item's own similarities."""
    log = tw.testing.planted_log()
    knn = ItemKNN(content=("title", "tags"), similarity=similarity, neighbours=30, shrinkage=2.0)
    model = knn.fit(log)
    copy = (
        log.frame("items").filter(pl.col("item") == "i4").with_columns(pl.lit("copy").alias("item"))
    )
    grown = model.with_items(copy)
    row, new = (grown.items.ids.rows([one])[0] for one in ("i4", "copy"))
    known, found = (grown.item_vectors[[at]].toarray()[0] for at in (row, new))
    others = np.arange(len(known)) != row
    np.testing.assert_allclose(found[others], known[others], rtol=1e-5)
    assert found[row] > found[others].max() * 0.999
    assert grown.similar_items("copy", k=1)["item"].to_list() == ["i4"]
    assert grown.recommend(users=[100], allow=["copy"], k=1)["source"].to_list() == ["content"]


def test_a_new_item_of_unknown_words_is_like_nothing():
    model = ItemKNN(content=("tags",)).fit(tw.testing.planted_log())
    with pytest.warns(DataWarning) as told:
        grown = model.with_items({"item": ["n"], "title": ["?"], "tags": [["never seen"]]})
    assert ["'tags' got 'never seen'" in str(told[0].message), "known of item 'n'" in str(told[1].message)] == [True] * 2  # fmt: skip
    assert grown.item_vectors[[-1]].nnz == 0


def test_knn_on_interactions_refuses_new_items():
    with pytest.raises(DataError, match="fit a model that reads content"):
        ItemKNN().fit(tw.testing.planted_log()).with_items(
            {"item": ["n"], "title": ["x"], "tags": [[]]}
        )


def test_a_history_without_a_word_is_answered_by_popularity():
    """Zeros were listed in the order of the catalogue, as if they were known."""
    log = {"user": ["a", "a", "b", "b", "c"], "item": ["i0", "i1", "i2", "i3", "i3"]}
    items = {"item": ["i0", "i1", "i2", "i3"], "title": ["", "", "red car", "red bike"]}
    data = tw.Dataset.from_frames(
        log, user="user", item="item", items=items, item_features={"title": "text"}
    )
    model = tw.models.ItemKNN(content=("title",)).fit(data)
    found = model.recommend(users=["a", "b"], k=1, exclude_seen=False)
    assert found["source"].to_list() == ["fallback:popularity", "model"]
    assert found["item"].to_list()[0] == "i3"
    told = model.recommend(histories=[["i0"], ["i2"]], k=1)
    assert told["source"].to_list() == ["fallback:popularity", "fold-in"]
