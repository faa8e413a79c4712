"""Pipelines against merges and orders worked out by hand, and as a model among models."""

import contextlib
import json

import numpy as np
import pytest
from scipy.sparse import csr_array

import twofold as tw
from twofold.candidates import best_of, fuse, score_candidates
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, DataWarning, IncompatibleFileError
from twofold.hyperparameters import names, values
from twofold.rank import rank
from twofold.testing import planted_log
from twofold.variety import diversify

IALS, EASE, BPR = tw.models.IALS(factors=4), tw.models.EASE(), tw.models.BPR(factors=4, epochs=10)


@pytest.fixture(scope="module")
def log():
    return tw.testing.planted_log()


@pytest.fixture(scope="module")
def fused(log):
    return tw.Pipeline(candidates=[IALS, EASE], depth=6).fit(log, rng=0)


@pytest.fixture(scope="module")
def ranked(log):
    return tw.Pipeline(candidates=[IALS, EASE], ranker=BPR, depth=6).fit(log, rng=0)


def test_fusion_is_the_sum_of_reciprocal_ranks():
    items, scores = fuse(
        [np.array([[5, 2], [7, -1]], np.int32), np.array([[2], [-1]], np.int32)], 60
    )
    np.testing.assert_array_equal(items, [[2, 5], [7, -1]])
    np.testing.assert_allclose(scores, [[1 / 62 + 1 / 61, 1 / 61], [1 / 61, -np.inf]], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 2.0])
def test_lists_are_fused_with_the_smoothing_that_is_asked_for(log, smoothing):
    parts = [IALS.fit(log, rng=0), EASE.fit(log)]
    queries = Queries.known(np.arange(log.n_users, dtype=np.int32))
    found = rank(tw.Pipeline.join(parts, depth=5, smoothing=smoothing), queries, 3)
    for user in range(log.n_users):
        worth = dict.fromkeys(range(log.n_items), 0.0)
        for one in parts:
            for place, item in enumerate(rank(one, queries, 5).items[user], start=1):
                worth[int(item)] += 1 / (smoothing + place)
        best = [worth[one] for one in sorted(worth, key=worth.get, reverse=True)[:3]]
        np.testing.assert_allclose(found.scores[user], best, rtol=1e-6)
        np.testing.assert_allclose([worth[one] for one in found.items[user]], best, rtol=1e-6)


def test_the_best_are_padded_and_ties_go_to_the_lower_item():
    items, best = best_of(
        np.array([[2, 5, -1], [1, 3, 4]], np.int32),
        np.array([[1, 1, -np.inf], [0, 2, 1]], np.float32),
        4,
    )
    np.testing.assert_array_equal(items, [[2, 5, -1, -1], [3, 4, 1, -1]])
    np.testing.assert_array_equal(best[1], [2, 1, 0, -np.inf])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("diversity", [0.3, 0.6, 1.0])
def test_every_next_item_is_worth_most_beside_all_before_it(seed, diversity):
    """By brute force: the penalty of an item is its largest cosine to any that was chosen."""
    rng = np.random.default_rng(seed)
    vectors, scores = rng.normal(size=(8, 3)), np.sort(rng.random(8))[::-1]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = (scores - scores[-1]) / (scores[0] - scores[-1])
    chosen = [0]
    while len(chosen) < 6:
        worth = {
            one: (1 - diversity) * relevance[one] - diversity * max(unit[chosen] @ unit[one])
            for one in set(range(8)) - set(chosen)
        }
        chosen.append(max(worth, key=worth.get))
    given = np.arange(8, dtype=np.int32)[None], scores[None].astype(np.float32)
    found, _ = diversify(*given, vectors.astype(np.float32), 6, diversity)
    assert found[0].tolist() == chosen


@pytest.mark.parametrize("sparse", [False, True])
def test_marginal_relevance_is_the_one_on_paper(sparse):
    # items 0 and 1 are alike, 2 is like nothing; relevance 1, .9, 0 after scaling
    vectors = np.array([[1, 0], [2, 0], [0, 1]], np.float32)
    items, scores = np.array([[0, 1, 2]], np.int32), np.array([[10, 9, 0]], np.float32)
    order = {}
    for diversity in (0.0, 0.4, 0.5, 1.0):
        given = csr_array(vectors) if sparse else vectors
        order[diversity] = diversify(items, scores, given, 3, diversity)[0][0].tolist()
    # second place: 1 is worth (1 - d) * .9 - d, 2 is worth 0; they cross at d = .9 / 1.9
    assert order == {0.0: [0, 1, 2], 0.4: [0, 1, 2], 0.5: [0, 2, 1], 1.0: [0, 2, 1]}


def test_variety_keeps_scores_and_pads():
    items, scores = np.array([[4, -1]], np.int32), np.array([[1, -np.inf]], np.float32)
    found, best = diversify(items, scores, np.zeros((5, 2), np.float32), 3, 0.5)
    np.testing.assert_array_equal(found, [[4, -1, -1]])
    np.testing.assert_array_equal(best, [[1, -np.inf, -np.inf]])


def test_a_list_is_the_union_in_the_order_of_the_ranker(log, ranked):
    users = np.arange(log.n_users, dtype=np.int32)
    queries = Queries.known(users)
    found = rank(ranked, queries, 12)
    lists = [rank(one, queries, 6).items for one in ranked.candidates]
    scores = ranked.ranker.encode(queries).vectors @ ranked.ranker.item_vectors.T
    for user in users:
        union = sorted({int(i) for one in lists for i in one[user]} - {-1})
        expected = sorted(union, key=lambda i: -scores[user, i])
        got = found.items[user][found.items[user] >= 0]
        assert got.tolist() == expected


def test_a_ranker_that_scores_candidates_is_asked_for_them_alone(log):
    asked = []

    class Watched(type(BPR.fit(log, rng=0))):
        def score(self, queries, items):
            asked.append(items)
            return np.where(items < 0, -np.inf, -items).astype(np.float32)

    base = BPR.fit(log, rng=0)
    ranker = Watched(**{name: getattr(base, name) for name in names(base)})
    model = tw.Pipeline.join([IALS.fit(log, rng=0)], ranker, depth=4)
    found = rank(model, Queries.known(np.arange(3, dtype=np.int32)), 4)
    assert asked[0].shape == (3, 4)
    assert (np.diff(found.items, axis=1) > 0).all()


def test_candidates_score_as_the_whole_catalogue_does(log, ranked):
    queries = Queries.known(np.arange(5, dtype=np.int32))
    items = np.array([[0, 3, -1]] * 5, np.int32)
    for model in (BPR.fit(log, rng=0), EASE.fit(log)):
        vectors = model.encode(queries).vectors
        whole = vectors @ model.item_vectors.T
        whole = whole if isinstance(whole, np.ndarray) else whole.toarray()
        scores, _ = score_candidates(model, queries, items)
        np.testing.assert_allclose(scores[:, :2], whole[:, [0, 3]], rtol=1e-4, atol=1e-5)
        assert (scores[:, 2] == -np.inf).all()


def test_somebody_unknown_to_all_gets_the_popular_items(fused, ranked):
    for model in (fused, ranked):
        lists = model.recommend(users=["nobody"], k=5)
        assert set(lists["source"]) == {"fallback:popularity"}
        assert lists.height == 5
    popular = np.argsort(-ranked.memory.popularity, kind="stable")[:5]
    assert lists["item"].to_list() == [ranked.items.ids[int(row)] for row in popular]


def test_predictions_are_the_scores_of_the_lists(fused, ranked, log):
    for model in (fused, ranked):
        lists = model.recommend(users=log.users.ids.ids.head(4).to_list(), k=3, exclude_seen=False)
        again = model.predict(lists.select("user", "item"))
        np.testing.assert_allclose(again["score"], lists["score"], rtol=1e-5)


def test_filters_hold_for_every_part(ranked, log):
    users = log.users.ids.ids.to_list()
    lists = ranked.recommend(users=users, k=24, deny=["i0", "i2"], where={"tags": ["even"]})
    assert lists.height
    assert {int(item[1:]) % 2 for item in lists["item"]} == {0}
    assert not {"i0", "i2"} & set(lists["item"])
    seen = log.frame("interactions").select("user", "item").unique().rows()
    assert not set(lists.select("user", "item").rows()) & set(seen)


def test_a_list_is_no_longer_than_the_union(fused):
    lists = fused.recommend(histories=[["i1", "i5"]], k=1000)
    assert 6 <= lists.height <= 12
    assert lists["item"].n_unique() == lists.height


def test_variety_mixes_the_list(log):
    split = tw.split.random(log, test=0.3, rng=0)
    parts = [IALS.fit(split.train, rng=0), EASE.fit(split.train)]
    plain, mixed = (tw.Pipeline.join(parts, diversity=one) for one in (0.0, 0.8))
    at = ["diversity@5"]
    assert (
        tw.evaluate(mixed, split, at)["diversity@5"] > tw.evaluate(plain, split, at)["diversity@5"]
    )


def test_an_explanation_is_what_the_ranker_loses(log):
    model = tw.Pipeline(candidates=[IALS], ranker=EASE, depth=6).fit(log, rng=0)
    told = model.explain(history=["i1", "i5", "i9"], item="i3")
    assert told.equals(model.ranker.explain(history=["i1", "i5", "i9"], item="i3"))
    assert told["kind"][0] == "history"


def test_saved_and_loaded_it_answers_the_same(fused, ranked, log, tmp_path):
    users = log.users.ids.ids.to_list()
    for name, model in (("fused", fused), ("ranked", ranked)):
        model.save(tmp_path / name)
        again = tw.load(tmp_path / name)
        assert again.estimator == model.estimator
        assert again.recommend(users=users).equals(model.recommend(users=users))
        assert again.similar_items("i1").equals(model.similar_items("i1"))


def test_what_the_parts_share_is_saved_once(ranked, tmp_path):
    alone = ranked.candidates[0].save(tmp_path / "alone")
    whole = ranked.save(tmp_path / "whole")
    count = len(list(whole.glob("*.npy"))) - len(list(alone.glob("*.npy")))
    assert 0 < count < len(list(alone.glob("*.npy")))


def test_a_missing_part_is_told(ranked, tmp_path):
    path = ranked.save(tmp_path / "model")
    sorted(path.glob("*.npy"))[-1].unlink()
    with pytest.raises(IncompatibleFileError, match=r"\.npy"):
        tw.load(path)


def test_same_seed_same_lists(log):
    one, other = (tw.Pipeline(candidates=[IALS, BPR]).fit(log, rng=3) for _ in range(2))
    users = log.users.ids.ids.to_list()
    assert one.recommend(users=users).equals(other.recommend(users=users))


def test_settings_are_plain_values(ranked):
    assert json.loads(json.dumps(values(ranked.estimator)))["ranker"]["factors"] == 4
    assert ranked.estimator.candidates[0]["model"] == "IALS"
    assert (
        tw.Pipeline(candidates=ranked.estimator.candidates, ranker=BPR, depth=6) == ranked.estimator
    )


def test_a_part_may_hold_a_model_itself(log, tmp_path):
    inner = tw.models.Repeats(model=tw.models.IALS(factors=2), holdout=0.5)
    pipeline = tw.Pipeline(candidates=[inner, tw.models.EASE()], ranker=inner, depth=5)
    assert pipeline.candidates[0]["class"] == "Repeats"
    model = pipeline.fit(log, rng=0)
    assert type(model.candidates[0].estimator) is tw.models.Repeats
    lists = model.recommend(users=[100, 101], k=3)
    assert tw.load(model.save(tmp_path / "model")).recommend(users=[100, 101], k=3).equals(lists)
    again = tw.Pipeline(candidates=[{"class": "Repeats", "model": {"model": "IALS", "factors": 2}, "holdout": 0.5}])  # fmt: skip
    assert again.candidates[0] == {"class": "Repeats", "model": {"model": "IALS", "factors": 2}, "holdout": 0.5}  # fmt: skip


def test_new_items_enter_by_content(log):
    ctr = tw.models.CTR(factors=4)
    new = {"item": ["fresh"], "title": ["odd thing"], "tags": [["odd"]]}
    model = tw.Pipeline(candidates=[IALS, ctr]).fit(log, rng=0).with_items(new)
    lists = model.recommend(histories=[["i1", "i5", "i9"]], k=40)
    assert dict(zip(lists["item"], lists["source"], strict=True))["fresh"] == "content"
    assert "i3" in model.similar_items("i1", k=30)["item"]
    blind = tw.Pipeline(candidates=[IALS, ctr], ranker=BPR).fit(log, rng=0)
    with pytest.raises(DataError, match="IALS, BPR cannot place them"):
        blind.with_items(new)


def test_new_items_are_measured(log):
    split = tw.split.cold_items(log, test=0.3, rng=1)
    pipe = tw.Pipeline(candidates=[IALS, tw.models.CTR(factors=4)])
    board = tw.compare({"two": pipe}, split, ["ndcg@3"], unknown_items="content", candidates="new")
    assert board.best == "two"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda log: tw.Pipeline().fit(log), "Pipeline has no candidates"),
        (lambda log: tw.Pipeline.join([]), "Pipeline has no candidates"),
        (lambda log: tw.Pipeline(candidates=IALS), "must be a list of estimators"),
        (lambda log: tw.Pipeline(candidates=["IALS"]), "neither an estimator nor a table"),
        (lambda log: tw.Pipeline(candidates=[{"model": "IAL"}]).fit(log), "did you mean 'IALS'"),
        (
            lambda log: tw.Pipeline(candidates=[{"model": "IALS", "factor": 3}]).fit(log),
            "'factors'",
        ),
        (lambda log: tw.Pipeline(candidates=[IALS], depth=0), "Pipeline.depth got 0"),
        (lambda log: tw.Pipeline(candidates=[IALS], diversity=1.5), "Pipeline.diversity got 1.5"),
        (
            lambda log: tw.Pipeline.join([IALS]),
            "Pipeline.join needs a fitted model; got an IALS: fit it first",
        ),
    ],
)
def test_bad_settings_are_one_sentence(log, make, told):
    with pytest.raises(ConfigError) as caught:
        make(log)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parts_of_other_training_sets_are_refused(log):
    other = tw.testing.planted_log(rng=1)
    with pytest.raises(DataError, match=r"^EASE was fitted on another training set"):
        tw.Pipeline.join([IALS.fit(log, rng=0), EASE.fit(other)])
    grown = tw.models.CTR(factors=4).fit(log, rng=0)
    grown = grown.with_items({"item": ["new"], "title": ["odd"], "tags": [["odd"]]})
    with pytest.raises(DataError, match="ranker BPR does not know the items"):
        tw.Pipeline.join([grown], BPR.fit(log, rng=0))


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"tag": "odd"}, "did you mean 'tags'"),
        ({"title": "odd thing"}, "a feature of kind text"),
    ],
)
def test_filters_that_cannot_be_are_told(fused, where, told):
    with pytest.raises(ConfigError) as caught:
        fused.recommend(histories=[["i1"]], where=where)
    assert told in str(caught.value)


@pytest.mark.parametrize("filters", [{"allow": []}, {"where": {"tags": "no such tag"}}])
def test_everything_filtered_is_an_empty_list(fused, ranked, filters):
    for model in (fused, ranked):
        unmet = pytest.warns(DataWarning, match="no item has 'no such tag' in 'tags'") if "where" in filters else contextlib.nullcontext()  # fmt: skip
        with unmet:
            assert model.recommend(histories=[["i1"], []], **filters).height == 0


@pytest.fixture(scope="module")
def impressions():
    """What was shown to 60 people of two tastes: what is theirs is watched, what is not is passed by."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 60, 1500), rng.integers(0, 40, 1500)
    liked = (user + item) % 2 == 0
    watched = np.where(rng.random(1500) < np.where(liked, 0.8, 0.05), 30.0, 0.0)
    frame = {"user": user, "item": item, "value": watched, "time": np.arange(1500)}
    return tw.Dataset.from_frames(frame, user="user", item="item", value="value", time="time")


def test_candidates_in_front_of_a_ranker_of_impressions_learn_what_was_taken(impressions, tmp_path):
    """They learned what was passed by as taken, so that the ranker got nothing to choose from."""
    ranker = tw.models.YouTubeRanker(epochs=3)
    model = tw.Pipeline(candidates=[IALS, EASE], ranker=ranker, depth=8).fit(impressions, rng=0)
    assert all((one.memory.history.value > 0).all() for one in model.candidates)
    assert (model.memory.history.value == 0).any()
    assert model.memory is model.ranker.memory
    people = impressions.users.ids.ids.to_list()
    named = model.candidates[0].recommend(users=people, k=8)
    assert ((named["user"] + named["item"]) % 2 == 0).mean() > 0.8
    again = tw.load(model.save(tmp_path / "two"))
    asked = {"users": people[:5], "k": 4}
    assert again.recommend(**asked).equals(model.recommend(**asked))
    blind = tw.Pipeline(candidates=[IALS, EASE]).fit(impressions, rng=0)
    assert (blind.candidates[0].memory.history.value == 0).any()


@pytest.mark.parametrize("passed_by", [True, False])
def test_every_part_is_given_the_validation_part(log, impressions, passed_by, monkeypatch):
    """Candidate models in front of a ranker of impressions get what was taken of it."""
    given, ranker = {}, tw.models.YouTubeRanker(epochs=1)
    for model in (tw.models.EASE, tw.models.YouTubeRanker):

        def fit(self, train, *, validation=None, fit=model.fit, **more):
            given.setdefault(type(self).__name__, validation)
            return fit(self, train, validation=validation, **more)

        monkeypatch.setattr(model, "fit", fit)
    split = tw.split.temporal(impressions if passed_by else log, test=0.1, validation=0.2)
    later = split.validation
    tw.Pipeline(candidates=[EASE], ranker=ranker, depth=8).fit(split.train, validation=later, rng=0)
    assert given["YouTubeRanker"] is later
    value = later.interactions.value
    assert given["EASE"].interactions.value.tolist() == value[value > 0].tolist()


def test_a_model_that_does_not_know_somebody_does_not_speak_for_them(log):
    """Popularity of the one diluted what the other knew of a newcomer by columns."""
    known = tw.models.YouTubeCandidates(factors=8, epochs=20)
    pair = tw.Pipeline(candidates=[known, IALS], depth=6).fit(log, rng=0)
    told = {"features": {"taste": ["odd"]}, "k": 5}
    assert pair.recommend(**told)["item"].to_list() == pair.candidates[0].recommend(**told)["item"].to_list()  # fmt: skip


def test_whom_the_ranker_cannot_map_has_the_order_of_the_candidates():
    """Words that only a candidate model reads are lost on a ranker of impressions."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    log = planted_log()
    words = tw.models.DSSM(content="title", factors=8, epochs=10)
    two = tw.Pipeline(candidates=[tw.models.IALS(factors=4), words], ranker=tw.models.YouTubeRanker(epochs=1), lists=0)  # fmt: skip
    model = two.fit(log, rng=0)
    alone = tw.Pipeline(candidates=[tw.models.IALS(factors=4), words]).fit(log, rng=0)
    for said in ("odd", "even"):
        found = model.recommend(text=[said], k=10)
        assert found.equals(alone.recommend(text=[said], k=10))
        first = found["item"][0]
        assert model.explain(item=first, text=said)["score"][0] == pytest.approx(found["score"][0])
    known = model.recommend(users=[100], k=5)
    assert known["score"].to_list() != alone.recommend(users=[100], k=5)["score"].to_list()
