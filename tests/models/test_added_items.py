"""Items that are known by their content alone: in lists at once, and said to be so."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.entities import Entities
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.hyperparameters import hyperparameters


@hyperparameters
class Toy:
    """Items are where their content says; people are the mean of what they took."""

    def fit(self, train, *, validation=None, rng=None):
        values = train.items.features["place"].values.astype(np.float32)
        return FittedToy(estimator=self, memory=tw.Memory.of(train), vectors=values)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedToy(tw.FittedModel):
    reads_content = True
    reads_text = True
    vectors: np.ndarray

    @property
    def item_vectors(self):
        return self.vectors

    def fold_in(self, histories):
        return histories.matrix(len(self.vectors)) @ self.vectors

    def encode_features(self, queries):
        return np.array([[len(one), 0] for one in queries.text.values], np.float32)

    def encode_items(self, items: Entities):
        return items.features["place"].values.astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return Toy().fit(
        tw.Dataset.from_frames(
            {"user": [1, 1, 2], "item": ["a", "b", "c"]},
            user="user",
            item="item",
            items={"item": ["a", "b", "c"], "place": [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]},
            item_features={"place": "vector"},
        )
    )


NEW = {"item": ["x", "a", "y"], "place": [[9.0, 0.0], [1.0, 0.0], [0.0, 5.0]]}


def test_a_new_item_is_recommended_at_once_and_says_why(model):
    grown = model.with_items(NEW)
    lists = grown.recommend(users=[1], k=3)
    assert lists["item"].to_list() == ["x", "c", "y"]
    assert lists["source"].to_list() == ["content", "model", "content"]
    assert lists["score"][0] == pytest.approx(27)
    assert model.recommend(users=[1], k=9)["item"].to_list() == ["c"], (
        "the model itself was changed"
    )


def test_what_is_known_keeps_its_vector(model):
    grown = model.with_items(NEW)
    np.testing.assert_array_equal(grown.item_vectors[:3], model.item_vectors)
    assert grown.with_items(NEW) is grown
    more = grown.with_items({"item": ["z"], "place": [[4.0, 4.0]]})
    assert more.items.ids.ids.to_list() == ["a", "b", "c", "x", "y", "z"]
    assert more.n_trained == 3


def test_other_features_of_an_item_that_is_known_are_told(model):
    """They were passed over without a word."""
    with pytest.warns(DataWarning) as told:
        model.with_items({"item": ["x", "a", "b"], "place": [[9.0, 0.0], [7.0, 7.0], [8.0, 8.0]]})
    (said,) = told
    assert str(said.message).startswith("the model learned 2 of the items, such as 'a', in training and keeps that")  # fmt: skip
    assert said.filename == __file__
    grown = model.with_items(NEW)
    with pytest.warns(DataWarning, match="the model got item 'y' before and keeps that"):
        again = grown.with_items({"item": ["y", "c"], "place": [[4.0, 4.0], None]})
    np.testing.assert_array_equal(again.item_vectors, grown.item_vectors)


def test_a_column_that_training_did_not_have_is_told(model):
    """A column with a typo beside the right one was passed over without a word."""
    wrong = {"item": ["x"], "place": [[9.0, 0.0]], "plaice": [1], "colour": ["red"]}
    with pytest.warns(DataWarning) as told:
        model.with_items(wrong)
    assert [str(one.message) for one in told] == [
        "the model does not read the item features 'plaice', 'colour' and passes over what is said there; "
        "did you mean 'place' in place of 'plaice'?"
    ]


def test_nothing_is_like_an_item_of_which_nothing_is_known(model):
    """The first items of the catalogue were listed, with a likeness of 0."""
    grown = model.with_items({"item": ["o", "x"], "place": [[0.0, 0.0], [0.0, 2.0]]})
    with pytest.warns(DataWarning, match="nothing is known of 'o' that others could be like"):
        assert grown.similar_items("o").is_empty()
    found = grown.similar_items("x")
    assert (found["item"][0], found["score"][0]) == ("c", 1)
    assert dict(found["item", "score"].iter_rows())["o"] == 0, "the others may have such a vector"


def test_histories_explanations_likeness_and_predictions_hold(model):
    grown = model.with_items(NEW)
    assert grown.recommend(histories=[["x", "c"]], k=1)["item"].to_list() == ["y"]
    assert grown.explain(user=1, item="x")["item"].to_list() == ["b", "a"]
    assert grown.similar_items("x", k=1)["item"].to_list() == ["a"]
    pairs = {"user": [1, 1, 1, "nobody"], "item": ["x", "a", "nothing", "x"]}
    told = grown.predict({name: list(map(str, ids)) for name, ids in pairs.items()})
    assert told["score"][0] == pytest.approx(27)
    assert told["source"].to_list() == ["content", "model", "fallback:prior", "fallback:prior"]


def test_it_is_saved_and_loaded(model, tmp_path):
    grown = model.with_items(NEW)
    loaded = tw.load(grown.save(tmp_path / "grown"), extra=[Toy, FittedToy])
    assert loaded.recommend(users=[1, 2], k=4).equals(grown.recommend(users=[1, 2], k=4))


def test_words_are_a_question_where_the_model_reads_them(model):
    lists = model.recommend(text=["four"], k=1)
    assert (lists["item"][0], lists["source"][0], lists["score"][0]) == ("b", "content", 8)
    with pytest.raises(ConfigError, match="must be a list"):
        model.recommend(text="four")
    data = tw.Dataset.from_frames({"user": [1, 2], "item": [1, 2]}, user="user", item="item")
    with pytest.raises(ConfigError, match="does not read words"):
        tw.models.Popularity().fit(data).recommend(text=["four"])


def test_what_cannot_be_placed_is_refused(model):
    with pytest.raises(DataError, match=r"lack the feature 'place'.*'plaice'"):
        model.with_items({"item": ["x"], "plaice": [[1.0, 2.0]]})
    with pytest.raises(DataError, match="an id of its own"):
        model.with_items({"item": ["x", "x"], "place": [[1.0, 2.0], [1.0, 2.0]]})
    data = tw.Dataset.from_frames({"user": [1, 2], "item": [1, 2]}, user="user", item="item")
    with pytest.raises(DataError, match="Popularity knows items by what people did"):
        tw.models.Popularity().fit(data).with_items(pl.DataFrame({"item": [3]}))


def test_added_items_are_filtered_by_their_own_features():
    log = {"user": [1, 1, 2], "item": ["a", "b", "c"]}
    items = {"item": ["a", "b", "c"], "place": [[1.0, 0.0]] * 3, "shelf": ["left", "right", "left"]}
    kinds = {"place": "vector", "shelf": "category"}
    data = tw.Dataset.from_frames(log, user="user", item="item", items=items, item_features=kinds)
    new = {"item": ["x", "y", "z"], "place": [[9.0, 0.0]] * 3, "shelf": ["left", "top", None]}
    with pytest.warns(DataWarning, match="'shelf' got 'top', which the model never learned"):
        grown = Toy().fit(data).with_items(new)
    for shelf, wanted in (("left", ["x", "c"]), ("top", ["y"]), ("right", [])):
        found = grown.recommend(users=[1], k=9, where={"shelf": shelf})
        assert found["item"].to_list() == wanted


TOPICS = {
    "space": "rocket orbit launch moon crew probe lander comet",
    "food": "garlic soup oven bread herb butter stew salad",
    "sport": "match league goal referee coach striker derby cup",
    "law": "court judge appeal verdict jury trial witness bail",
}


@pytest.fixture(scope="module")
def headlines():
    """People who like one of four topics, 120 headlines of it, and 24 new ones."""
    rng = np.random.default_rng(0)
    names, words = list(TOPICS), [one.split() for one in TOPICS.values()]
    topic = np.arange(144) % 4
    common = ["the", "a", "of", "new", "more", "after", "over", "about", "says", "first"]
    told = [[*rng.choice(words[one], 3, replace=False), *rng.choice(common, 2)] for one in topic]
    user, item = np.divmod(np.arange(80 * 120), 120)
    kept = rng.random(len(user)) < np.where(topic[item] == user % 4, 0.3, 0.02)
    things = pl.DataFrame({
        "item": [f"{names[one]}{at}" for at, one in enumerate(topic)], "title": [" ".join(one) for one in told], "words": [[str(word) for word in one] for one in told], "id": np.arange(144),
    })  # fmt: skip
    old, new = (things.filter(one).drop("id") for one in (pl.col("id") < 120, pl.col("id") >= 120))
    log = {"user": user[kept], "item": old["item"].gather(item[kept]).to_list()}
    data = tw.Dataset.from_frames(
        log, user="user", item="item", items=old, item_features={"title": "text", "words": "tags"}
    )
    return data, new


PLACED = {
    "CTR": tw.models.CTR(factors=12, content="title"),
    "CDL": tw.models.CDL(factors=8, content="title"),
    "linear": tw.models.DeepContent(
        network={"kind": "linear"}, content=["title"], factorization=tw.models.IALS(factors=8)
    ),
    "mlp": tw.models.DeepContent(content=["title"], factorization=tw.models.IALS(factors=8)),
    "FM": tw.models.FM(factors=8, features=["words"], negatives=2),
    "kNN": tw.models.ItemKNN(content=["title"]),
}


@pytest.mark.parametrize("name", PLACED)
def test_what_is_like_a_new_item_is_of_its_kind_and_not_new_alone(headlines, name, tmp_path):
    """Vectors by content are shorter than those that events have moved: new items were like each other alone."""
    data, new = headlines
    model = PLACED[name].fit(data, rng=0)
    grown = model.with_items(new)
    grown.save(tmp_path / "grown")
    again = tw.load(tmp_path / "grown")
    same, fresh, there = 0, 0, set(new["item"])
    for one in new["item"]:
        alike = grown.similar_items(one, k=10)
        assert again.similar_items(one, k=10).equals(alike)
        same += sum(other.rstrip("0123456789") == one.rstrip("0123456789") for other in alike["item"])  # fmt: skip
        fresh += sum(other in there for other in alike["item"])
    assert same >= 0.75 * 240
    assert fresh <= 0.3 * 240, "a sixth of the catalogue is new"
    old = data.items.ids.ids[0]
    before = model.similar_items(old, k=5)
    assert grown.similar_items(old, k=len(data.items.ids))["item"].to_list()[:1] == before["item"].to_list()[:1]  # fmt: skip


def test_vectors_and_places_of_which_none_is_known_are_taken():
    items = {"i": list("abc"), "v": [[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]], "p": ["1,2", "3,4", "5,6"], "n": [1, 5, 9]}  # fmt: skip
    data = tw.Dataset.from_frames(
        {"u": [1, 1, 2, 2], "i": list("abbc")}, user="u", item="i", items=items,
        item_features={"v": "vector", "p": "place", "n": "number"},
    )  # fmt: skip
    ials = tw.models.IALS(factors=2)
    model = tw.models.DeepContent(factorization=ials, network={"kind": "linear"}).fit(data, rng=0)
    known = {"item": ["d", "e"], "v": [[1.0, 2.0], None], "p": ["1,2", None], "n": [5, 9]}
    beside = model.with_items(known).item_vectors[-1]
    for blank in ([None], pl.Series([None], dtype=pl.List(pl.Float64))):
        alone = model.with_items({"item": ["e"], "v": blank, "p": [None], "n": [9]})
        np.testing.assert_array_equal(alone.item_vectors[-1], beside)
