"""Lists do not depend on how many people ask at once."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import twofold as tw
from twofold import explain, rank
from twofold.data.queries import Queries
from twofold.data.synthetic import movielens_like
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.testing import planted_log
from twofold.variety import diversify

N = rank.ENOUGH + 40


@pytest.fixture(scope="module")
def model():
    """Return a small model of more users than are asked for at once."""
    data = movielens_like(N, 400, 12_000, rng=3)
    return tw.models.IALS(factors=12, epochs=3).fit(data, rng=0)


@pytest.mark.parametrize("deny", [None, range(0, 400, 3)])
def test_many_at_once_get_what_each_gets_alone(model, deny):
    """From `ENOUGH` queries on, the lists are made from packed items, some of the people being unknown."""
    users = [*model.users.ids.ids.to_list()[: N - 3], -1, -2, -3]
    banned = None if deny is None else model.items.ids.ids.gather(list(deny)).to_list()
    histories = [[] for _ in users]
    together = model.recommend(users=users, k=17, deny=banned)
    for start in range(0, N, 37):
        part = users[start : start + 37]
        alone = model.recommend(users=part, k=17, deny=banned)
        rows = together.filter(together["user"].is_in(alone["user"].unique().implode()))
        assert_frame_equal(rows, alone, check_exact=True)
    assert together.filter(together["source"] == "fallback:popularity").height == 3 * 17
    popular = model.recommend(histories=histories, k=5)
    assert popular["source"].unique().to_list() == ["fallback:popularity"]
    assert popular["item"].to_list()[:5] == popular["item"].to_list()[-5:]


def test_lists_longer_than_are_packed_for_are_sorted_all_the_same(model, monkeypatch):
    users = model.users.ids.ids.to_list()
    packed = model.recommend(users=users, k=30)
    monkeypatch.setattr(rank, "LONGEST", 10)
    assert_frame_equal(model.recommend(users=users, k=30), packed, check_exact=True)


def test_scores_fall_and_ties_rise_by_item_row(model):
    queries = Queries.known(np.arange(N, dtype=np.int32))
    found = rank.rank(model, queries, 25)
    falls = found.scores[:, :-1] > found.scores[:, 1:]
    ties = found.scores[:, :-1] == found.scores[:, 1:]
    assert (falls | (ties & (found.items[:, :-1] < found.items[:, 1:]))).all()


def test_a_bare_value_is_no_column():
    model = tw.models.DSSM(content="title", factors=4, epochs=1).fit(planted_log(), rng=0)
    for what in ("context", "features"):
        for one in ("odd", 5):
            with pytest.raises(
                ConfigError, match=f"'taste' must be a list with one entry a person; got {one!r}"
            ):
                model.recommend(users=[100], **{what: {"taste": one}})
    with pytest.raises(DataError, match="texts must be strings or None; got 5 in row 0"):
        model.recommend(text=[5])


def test_a_long_history_is_explained_a_part_at_a_time(monkeypatch):
    model = tw.models.EASE().fit(planted_log())
    whole = model.explain(user=100, item="i3")
    length = int(model.memory.history.take(np.array([0], np.int32)).lengths[0])
    read = []

    def spied(self, queries):
        read.append(len(queries.history.item))
        return encode(self, queries)

    encode = type(model).encode
    monkeypatch.setattr(type(model), "encode", spied)
    monkeypatch.setattr(explain, "BLOCK", 2 * length)
    assert model.explain(user=100, item="i3").equals(whole)
    assert len(read) > 2
    assert max(read) <= 2 * length, "a history of n events is never held n times"


@pytest.mark.parametrize("odd", [None, 5, "i3"])
def test_a_history_that_is_no_list_is_refused(odd):
    model = tw.models.Popularity().fit(planted_log())
    with pytest.raises(
        ConfigError, match=f"must be a list of item ids, .* of nothing; got .*{odd}"
    ):
        model.recommend(histories=[odd])


def test_an_explanation_by_popularity_names_the_item_as_the_catalogue_does():
    log = {"u": [1, 1, 2], "i": [5, 6, 6]}
    model = tw.models.Popularity().fit(tw.Dataset.from_frames(log, user="u", item="i"))
    why = model.explain(user=1, item="5")
    assert (why["item"].to_list(), why["kind"].to_list()) == ([5], ["popularity"])


def test_a_history_may_say_values():
    log = planted_log()
    model = tw.models.BiasedMF(factors=2).fit(log, rng=0)
    rows = log.frame().filter(pl.col("user") == 101)
    mine = dict(rows.select("item", "value").rows())
    told = model.recommend(histories=[mine], k=5)
    retold = model.fold_in(model.memory.history.take(model.users.ids.rows([101])))
    scores = retold @ model.item_vectors.T
    best = np.argsort(-np.where(np.isin(model.items.ids.ids.to_numpy(), list(mine)), -np.inf, scores[0]))  # fmt: skip
    assert told["item"].to_list() == model.items.ids.ids.gather(best[:5]).to_list()
    unsaid = model.recommend(histories=[dict.fromkeys(mine)], k=5)
    assert unsaid.equals(model.recommend(histories=[list(mine)], k=5))
    assert told["score"].to_list() != unsaid["score"].to_list()
    assert len(model.explain(history=mine, item="i3")) > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, "5", True])
def test_a_value_of_a_history_that_is_no_number_is_refused(value):
    model = tw.models.EASE().fit(planted_log(), rng=0)
    with pytest.raises(ConfigError, match="the value of each item, a finite number such as a rating; item 'i1'"):  # fmt: skip
        model.recommend(histories=[{"i1": value}])


@pytest.mark.parametrize(
    ("histories", "said"),
    [
        ({"i1": 5}, r"write histories=\[\{...\}\]"),
        ([{("i1", "i2"): 5}], "got the key .'i1', 'i2'.: name each item alone"),
        ([[{"i1": 5}]], "a history with values is one mapping"),
        ([{"i1": 5}.items()], "must be a list of item ids"),
        ([pl.DataFrame({"item": ["i1"], "value": [5]})], "must be a list of item ids"),
        ([{"i1": 6}], "a history has the value 6; those of training lie within 1 to 5"),
    ],
)
def test_a_shape_that_would_be_misread_is_refused(histories, said):
    model = tw.models.BiasedMF(factors=2, epochs=1).fit(planted_log(), rng=0)
    with pytest.raises(ConfigError, match=said):
        model.recommend(histories=histories)


def test_values_are_refused_where_training_had_none():
    log = {"u": [1, 1, 2], "i": ["a", "b", "b"]}
    model = tw.models.EASE().fit(tw.Dataset.from_frames(log, user="u", item="i"))
    with pytest.raises(ConfigError, match="the log of training had none; write a list of ids"):
        model.recommend(histories=[{"a": 2}])
    assert len(model.recommend(histories=[{"a": None}], k=1)) == 1


def test_one_low_rating_lowers_what_is_predicted():
    """An explanation held a rating against a score of 0 instead of the one of somebody unknown."""
    model = tw.models.MeanRating(user_damping=0).fit(planted_log())
    why = model.explain(history={"i1": 1}, item="i3")
    unknown = model.predict({"user": ["nobody"], "item": ["i3"]})["score"][0]
    assert why["contribution"][0] == pytest.approx(why["score"][0] - unknown, abs=1e-5)
    assert why["contribution"][0] < 0
    popular = tw.models.Popularity().fit(planted_log())
    assert popular.explain(history=["i1"], item="i3")["kind"].to_list() == ["popularity"]


def test_of_a_very_long_history_the_latest_part_is_explained(monkeypatch):
    model = tw.models.EASE().fit(planted_log())
    history = ["i0", "i2", "i4", "i6", "i0", "i8"]
    recent = model.explain(history=history[-3:], item="i3")
    monkeypatch.setattr(explain, "LONGEST", 3)
    assert model.explain(history=history, item="i3").equals(recent)


def test_people_of_whom_only_features_are_known_are_answered_by_them():
    """Those that training had, where nothing else is said; and a value that says nothing is no feature."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    log = planted_log()
    even, odd = log.users.ids.ids.to_list()[:2]
    events = log.frame("interactions")
    data = tw.Dataset.from_frames(
        events.filter(~events["user"].is_in([even, odd])), user="user", item="item",
        users=log.frame("users"), user_features={"taste": "category"},
    )  # fmt: skip
    model = tw.models.YouTubeRanker(epochs=2).fit(data, rng=0)
    named = model.recommend(users=[even, 102, "nobody", odd], k=3)
    sources = named.group_by("user", maintain_order=True).agg(pl.col("source").first())
    assert sources["source"].to_list() == ["content", "model", "fallback:popularity", "content"]
    said = model.recommend(features={"taste": ["even", "odd"]}, k=3)
    mine = named.filter(pl.col("user").is_in([str(even), str(odd)]))
    assert_frame_equal(mine.drop("user"), said.drop("user"))
    assert set(model.recommend(features={"taste": [None]}, k=3)["source"]) == {
        "fallback:popularity"
    }
    with pytest.warns(DataWarning, match="'tasty'"):
        unmet = model.recommend(features={"taste": ["tasty"]}, k=3)
    assert set(unmet["source"]) == {"fallback:popularity"}
    why = model.explain(user=odd, item=said["item"][3])
    assert why["kind"].to_list() == ["features"]
    assert why["score"][0] == pytest.approx(said["score"][3], rel=1e-5)


def test_what_a_notebook_prints_says_how_large_a_thing_is_and_not_its_arrays():
    data = planted_log()
    split = tw.split.leave_last(data)
    model = tw.models.IALS(factors=4).fit(split.train, rng=0)
    assert repr(data) == "382 events of 40 users and 24 items"
    assert repr(model).startswith("FittedIALS: IALS(factors=4, ")
    assert repr(model).endswith("), 40 users and 24 items")
    report = tw.evaluate(model, split)
    for one in (split, model, model.memory, report, tw.Pipeline.join([model])):
        assert len(repr(one)) < 1000, type(one)
        assert "array" not in repr(one), type(one)


@pytest.mark.parametrize("odd", [[["i1"]], [b"i1"], [{"a": 1}]], ids=["list", "bytes", "struct"])
@pytest.mark.parametrize("name", ["user", "item"])
def test_a_pair_needs_ids(name, odd):
    model = tw.models.Popularity().fit(planted_log())
    pairs = {"user": [100], "item": ["i1"]}
    with pytest.raises(DataError, match=f"column '{name}' must hold integers or strings; got"):
        model.predict(pairs | {name: odd})


@pytest.mark.parametrize("name", ["IALS", "EASE", "Repeats"])
def test_variety_of_a_question_is_that_of_maximal_marginal_relevance(name):
    model = getattr(tw.models, name)().fit(planted_log(), rng=0)
    plain = model.recommend(users=[100], k=24)
    rows = model.items.ids.rows(plain["item"])[None]
    mixed = model.recommend(users=[100, "nobody"], k=5, diversity=0.7)
    likeness = model.similarity_vectors
    chosen, scores = diversify(rows, plain["score"].to_numpy()[None], likeness, 5, 0.7)
    mine = mixed.filter(pl.col("user") == "100")
    assert mine["item"].to_list() == model.items.ids.ids.gather(chosen[0].tolist()).to_list()
    assert mine["score"].to_list() == scores[0].tolist()
    assert mine["item"].to_list() != plain["item"].head(5).to_list()
    assert mixed["rank"].to_list() == [1, 2, 3, 4, 5] * 2
    assert model.recommend(users=[100], k=24, diversity=0).equals(plain)
    long = model.recommend(users=[100], k=1000, diversity=1)
    assert sorted(long["item"]) == sorted(plain["item"])


@pytest.mark.parametrize("wrong", [1.5, -0.1, "much", None, float("nan")])
def test_a_weight_of_variety_outside_0_to_1_is_refused(wrong):
    model = tw.models.Popularity().fit(planted_log())
    with pytest.raises(ConfigError, match=f"diversity got {wrong!r}; input should be "):
        model.recommend(users=[100], diversity=wrong)
