"""Friendships: every measure against loops, protocols by hand, and an accuracy floor on New York."""

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.applications import links
from twofold.applications.links import _logistic, holdout, measures, resamples, vectors
from twofold.applications.links.graph import Graph, strangers
from twofold.errors import ConfigError, DataError, DataWarning, UnknownIdError


def random_graph(seed, n=10, density=0.3):
    rng = np.random.default_rng(seed)
    left, right = np.triu_indices(n, 1)
    some = rng.random(len(left)) < density
    return Graph.of(n, np.column_stack([left[some], right[some]]).astype(np.int32))


def every_pair(n):
    return np.array([(a, b) for a in range(n) for b in range(n) if a != b], np.int32)


def circles(n=60, seed=0, **more):
    """People in three circles: friends, places and hours are shared inside, with some noise."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n), 8)
    place = rng.integers(0, 12, len(user)) + 12 * np.where(rng.random(len(user)) < 0.9, user % 3, 1)
    left, right = np.triu_indices(n, 1)
    chance = np.where(left % 3 == right % 3, 0.35, 0.02)
    some = rng.random(len(left)) < chance
    return tw.Dataset.from_frames(
        {"user": [f"u{one:02}" for one in user], "place": place, "time": rng.integers(0, 7 * 86400, len(user))},
        user="user", item="place", time="time",
        items={"place": range(36), "kind": [str(one // 12) for one in range(36)]},
        item_features={"kind": "category"},
        links={"a": [f"u{one:02}" for one in left[some]], "b": [f"u{one:02}" for one in right[some]]},
        **more,
    )  # fmt: skip


# ---- measures against loops -------------------------------------------------------------------------


def friends_of(graph):
    return [set(graph.neighbours[a:b].tolist()) for a, b in zip(graph.indptr, graph.indptr[1:], strict=False)]  # fmt: skip


@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_measures_of_the_graph_are_their_definitions(seed):
    graph = random_graph(seed)
    near, pairs = friends_of(graph), every_pair(10)
    found = {name: one(graph, pairs) for name, one in measures.GRAPH.items()}
    walk = np.array(
        [[1 / len(near[a]) if b in near[a] else 0 for b in range(10)] for a in range(10)]
    )
    reach = sum(
        measures.DECAY**t * np.linalg.matrix_power(walk, t) for t in range(1, measures.STEPS + 1)
    )
    for at, (a, b) in enumerate(pairs.tolist()):
        both, either = near[a] & near[b], near[a] | near[b]
        wanted = {
            "common_neighbours": len(both),
            "adamic_adar": sum(1 / math.log(len(near[c])) for c in both),
            "jaccard": len(both) / len(either) if either else 0,
            "degree_product": len(near[a]) * len(near[b]),
            "degree_sum": len(near[a]) + len(near[b]),
            "paths_of_three": sum(1 for c in near[a] for d in near[c] if b in near[d]),
            "rooted_pagerank": math.sqrt(reach[a, b] * reach[b, a]),
        }
        for name, value in wanted.items():
            assert found[name][at] == pytest.approx(value, abs=1e-12), (name, a, b)


@pytest.mark.parametrize("seed", range(5))
def test_measures_of_places_are_their_definitions(seed):
    data = circles(12, seed)
    frame, n = data.frame(), data.n_users
    at = {u: set() for u in data.users.ids.ids}
    hours = {u: np.zeros(168) for u in at}
    kinds = {u: np.zeros(3) for u in at}
    met = {u: set() for u in at}
    for u, i, t in frame.select("user", "item", "time").iter_rows():
        at[u].add(i)
        hours[u][t // 3600 % 168] += 1
        kinds[u][i // 12] += 1
        met[u].add((i, t // 3600))
    visitors = {i: sum(i in one for one in at.values()) for i in data.items.ids.ids}
    ids, graph = data.users.ids.ids.to_list(), Graph.of_dataset(data)
    places, pairs = measures.Places.of(data), every_pair(n)
    rare = {i: 1 / math.log(1 + max(count, 1)) for i, count in visitors.items()}
    profile = {u: np.array([rare[i] if i in at[u] else 0 for i in rare]) for u in ids}
    near = friends_of(graph)

    def cosine(x, y):
        return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))

    found = measures.pair_features(graph, places, pairs)
    assert set(found) == set(links.FEATURES)
    for row, (a, b) in enumerate(pairs.tolist()):
        u, v = ids[a], ids[b]
        assert places.shared(pairs)[row] == len(at[u] & at[v])
        assert places.shared_by_rarity(pairs)[row] == pytest.approx(
            sum(rare[i] for i in at[u] & at[v])
        )
        like = sum(cosine(profile[u], profile[ids[f]]) for f in near[b])
        like += sum(cosine(profile[v], profile[ids[f]]) for f in near[a])
        assert found["like_friends"][row] == pytest.approx(math.log1p(like))
        assert found["hours"][row] == pytest.approx(cosine(hours[u], hours[v]))
        assert found["kinds"][row] == pytest.approx(cosine(np.log1p(kinds[u]), np.log1p(kinds[v])))
        assert found["meetings"][row] == pytest.approx(math.log1p(len(met[u] & met[v])))
        assert found["fewer_items"][row] == pytest.approx(math.log1p(min(len(at[u]), len(at[v]))))


def test_a_pair_is_the_same_both_ways():
    data = circles()
    fitted = links.Friendship().fit(data, rng=0)
    pairs = every_pair(data.n_users)[:300]
    np.testing.assert_allclose(
        fitted.score(pairs), fitted.score(pairs[:, ::-1]), rtol=1e-9, atol=1e-9
    )


# ---- the graph and its policies ----------------------------------------------------------------------


def test_odd_friendships_are_left_out_and_said():
    data = tw.Dataset.from_frames(
        {"u": ["a", "b", "c"], "i": [1, 2, 3]}, user="u", item="i",
        links={"x": ["a", "a", "b", "c", "a", "zed"], "y": ["b", "b", "a", "c", "zed", "a"]},
    )  # fmt: skip
    assert data.frame("links").rows() == [("a", "b"), ("b", "a")]
    said = " ".join(data.notes)
    for text in (
        "2 links name somebody",
        "1 link joins somebody with themselves",
        "1 link was given before",
    ):
        assert text in said
    graph = Graph.of_dataset(data)
    assert len(graph) == 1
    assert graph.pairs.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("text", "said", "n"),
    [
        ("source,target\n", ["there are no links: the social graph is empty"], 0),
        ("user,friend\n", ["there are no links: the social graph is empty"], 0),
        ("from\tto\na\tb\nb\tzed\n", ["1 link names somebody who is not among the users; left out"], 1),
        ("a,b\nb,zed\n", ["1 link names somebody who is not among the users; left out"], 1),
    ],
)  # fmt: skip
def test_the_header_of_a_file_of_links_is_no_link(tmp_path, text, said, n):
    (tmp_path / "log.csv").write_text("user,item\na,x\nb,y\nc,x\n")
    (tmp_path / "links.csv").write_text(text)
    data = tw.Dataset.read(tmp_path / "log.csv", links=tmp_path / "links.csv")
    assert [one for one in data.notes if "link" in one] == said
    assert len(data.links) == n


def test_one_direction_is_a_friendship():
    def of(x, y):
        log = {"u": ["a", "b", "c"], "i": [1, 2, 3]}
        return Graph.of_dataset(
            tw.Dataset.from_frames(log, user="u", item="i", links={"x": x, "y": y})
        )

    one, both = of(["a", "b"], ["b", "c"]), of(["a", "b", "b", "c"], ["b", "a", "c", "b"])
    np.testing.assert_array_equal(one.neighbours, both.neighbours)
    assert one.degrees.tolist() == [1, 2, 1]


def test_a_graph_without_friendships_is_refused():
    log = {"u": ["a", "b"], "i": [1, 2]}
    bare = tw.Dataset.from_frames(log, user="u", item="i")
    with pytest.warns(
        DataWarning, match=r"empty; they have such as 'A' and 'B', and the users .* 'a'"
    ):
        none = tw.Dataset.from_frames(log, user="u", item="i", links={"x": ["A"], "y": ["B"]})
    assert "the social graph is empty" in none.notes[-1]
    for data in (bare, none):
        for use in (links.split, links.Friendship().fit, links.SharedPlaces().fit, links.walk_log):
            with pytest.raises(DataError, match="no friendships among its 2 users"):
                use(data)


@given(seed=st.integers(0, 999), count=st.integers(1, 20))
def test_strangers_are_different_and_no_friends(seed, count):
    graph = random_graph(seed)
    made = strangers(10, count, (graph,), np.random.default_rng(seed))
    assert len({tuple(one) for one in made.tolist()}) == count
    assert (made[:, 0] < made[:, 1]).all()
    assert not graph.has(made).any()


def test_every_pair_of_strangers_is_as_likely():
    graph = Graph.of(5, np.array([[0, 1]], np.int32))
    counts = np.zeros((5, 5))
    rng = np.random.default_rng(0)
    for _ in range(900):
        for a, b in strangers(5, 2, (graph,), rng):
            counts[a, b] += 1
    drawn = counts[np.triu_indices(5, 1)]
    assert drawn[0] == 0
    # 1,800 draws over nine pairs: 200 each, four standard deviations.
    assert (np.abs(drawn[1:] - 200) < 4 * math.sqrt(200)).all()


def test_too_many_strangers_are_refused():
    with pytest.raises(ConfigError, match="there are 9"):
        strangers(5, 10, (Graph.of(5, np.array([[0, 1]], np.int32)),), np.random.default_rng(0))


# ---- splits -------------------------------------------------------------------------------------------


def test_what_is_held_out_is_not_known():
    data = circles()
    split = links.split(data, test=0.25, negatives=3, rng=0)
    whole = Graph.of_dataset(data)
    assert len(split.links) == round(0.25 * len(whole))
    assert split.negatives == 3
    assert not split.known.has(split.links).any()
    assert whole.has(split.links).all()
    assert not whole.has(split.pairs[~split.is_link]).any()
    assert len(split.known) + len(split.links) == len(whole)
    assert len(Graph.of_dataset(split.train)) == len(split.known)
    again = links.split(data, test=0.25, negatives=3, rng=0)
    np.testing.assert_array_equal(split.pairs, again.pairs)


def test_later_friendships_are_those_that_are_new():
    log = {"u": ["a", "b", "c", "d"], "i": [1, 1, 1, 1]}
    data = tw.Dataset.from_frames(log, user="u", item="i", links={"x": ["a"], "y": ["b"]})
    later = {"x": ["b", "c", "zed"], "y": ["a", "b", "a"]}
    split = links.split(data, later=later, rng=0)
    ids = data.users.ids.ids
    assert [[ids[a], ids[b]] for a, b in split.links.tolist()] == [["b", "c"]]
    assert len(split.known) == 1
    assert "1 link names somebody" in split.notes[0]
    with pytest.raises(DataError, match="no friendship of known users that is new"):
        links.split(data, later={"x": ["b"], "y": ["a"]})


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"test": 0}, "share between 0 and 1"),
        ({"test": 1.5}, "share between 0 and 1"),
        ({"test": True}, "share between 0 and 1"),
        ({"negatives": 0}, "negatives must be"),
        ({"negatives": 1.5}, "negatives must be"),
        ({"negatives": 100}, "pairs of strangers were asked for"),
    ],
)
def test_a_wrong_split_is_refused(said, match):
    with pytest.raises(ConfigError, match=match):
        links.split(circles(), **{"rng": 0, **said})


def test_one_friendship_cannot_be_held_out():
    log = {"u": ["a", "b", "c"], "i": [1, 2, 1]}
    data = tw.Dataset.from_frames(log, user="u", item="i", links={"x": ["a"], "y": ["b"]})
    with pytest.raises(DataError, match="one friendship is too few"):
        links.split(data, rng=0)
    with pytest.raises(DataError, match=r"too few to learn from.* give more of them"):
        links.Friendship().fit(data, rng=0)


def test_lessons_hide_what_they_ask():
    graph = Graph.of_dataset(circles())
    asked = np.zeros((0, 2), np.int32)
    for rest, pairs, is_link in holdout.lessons(graph, np.random.default_rng(0)):
        assert not rest.has(pairs).any()
        assert graph.has(pairs[is_link]).all()
        assert not graph.has(pairs[~is_link]).any()
        assert (rest.degrees[pairs] > 0).all()
        asked = np.concatenate([asked, pairs[is_link]])
    assert len(np.unique(asked, axis=0)) == len(asked) > 0.9 * len(graph)


# ---- predictors -----------------------------------------------------------------------------------------


def test_recommended_friends_are_the_best_that_are_free():
    data = circles(20)
    fitted = links.Neighbourhood(by="jaccard").fit(data)
    graph, ids = Graph.of_dataset(data), data.users.ids.ids.to_list()
    for user in ids[:5]:
        row = ids.index(user)
        free = [b for b in range(20) if b != row and b not in friends_of(graph)[row]]
        scores = fitted.score(np.array([[row, b] for b in free], np.int32))
        wanted = [ids[free[at]] for at in np.argsort(-scores, kind="stable")[:4]]
        got = fitted.recommend_friends([user], k=4)
        assert got["friend"].to_list() == wanted
        assert got["rank"].to_list() == [1, 2, 3, 4]
    assert len(fitted.recommend_friends([ids[0]], k=100)) == 19 - graph.degrees[0]
    assert fitted.recommend_friends([]).columns == ["user", "rank", "friend", "score"]


def test_a_wrong_question_is_one_sentence():
    fitted = links.SharedPlaces(by_rarity=True).fit(circles())
    with pytest.raises(UnknownIdError, match="did you mean 'u01'"):
        fitted.recommend_friends(["U01"])
    with pytest.raises(UnknownIdError, match="'nobody'"):
        fitted.predict({"a": ["u01"], "b": ["nobody"]})
    with pytest.raises(DataError, match="row 1 pairs 'u02' with themselves"):
        fitted.predict({"a": ["u01", "u02"], "b": ["u03", "u02"]})
    with pytest.raises(DataError, match="two columns"):
        fitted.predict({"a": ["u01"]})
    with pytest.raises(ConfigError, match="list of ids"):
        fitted.recommend_friends("u01")
    with pytest.raises(ConfigError, match="k must be"):
        fitted.recommend_friends(["u01"], k=0)
    with pytest.raises(ConfigError, match="did you mean 'jaccard'"):
        links.Neighbourhood(by="jacard")


def test_circles_are_found_by_places_alone_and_by_everything():
    split = links.split(circles(90, 1), test=0.2, rng=0)
    model = tw.models.IALS(factors=6).fit(split.train, rng=0)
    board = links.compare(
        {**links.BASELINES, "everything": links.Friendship(), "vectors": model},
        split,
        metrics=["auc"],
    )
    # Whoever knows the circles, and nothing else, has .82.
    assert board["everything", "auc"] > 0.8
    assert board["vectors", "auc"] > 0.75
    assert board["degrees, sum", "auc"] < 0.65


def test_the_same_seed_gives_the_same_scores():
    data, pairs = circles(), every_pair(60)[:200]
    one, other = (links.Friendship().fit(data, rng=3).score(pairs) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_effects_add_up_to_the_score():
    data = circles()
    fitted = links.Friendship().fit(data, rng=0)
    told = fitted.explain("u00", "u03")
    row = np.array([[0, 3]], np.int32)
    assert set(told["feature"]) == set(links.FEATURES)
    assert told["effect"].sum() + fitted.regression.intercept == pytest.approx(fitted.score(row)[0])


def test_logistic_regression_is_at_its_optimum():
    """The gradient of the penalised likelihood, written out, vanishes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = rng.random(300) < 1 / (1 + np.exp(-(x[:, 0] + np.abs(x[:, 1]))))
    found = _logistic.fit(x, y, knots=2, reg=2.0)
    columns = np.column_stack(
        [x, *[np.maximum(0, x[:, f] - k) for f in range(3) for k in found.knots[f]]]
    )
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    p = 1 / (1 + np.exp(-(z @ found.weight + found.intercept)))
    np.testing.assert_allclose(found.score(x), np.log(p / (1 - p)), rtol=1e-9, atol=1e-9)
    assert np.abs(z.T @ (p - y) + 2.0 * found.weight).max() < 0.05
    assert abs((p - y).sum()) < 0.05


def test_operators_are_those_of_the_table():
    a, b = np.array([[1.0, -2.0]]), np.array([[3.0, 4.0]])
    found = {name: one(a, b)[0].tolist() for name, one in links.OPERATORS.items()}
    assert found == {"hadamard": [3, -8], "average": [2, 1], "l1": [2, 6], "l2": [4, 36]}


def test_vectors_of_people_the_model_never_saw_are_folded_in():
    data = circles()
    known = data.part(np.flatnonzero(data.interactions.user < 40).astype(np.int64))
    model = tw.models.IALS(factors=4).fit(known, rng=0)
    found = vectors.people(model, data)
    np.testing.assert_allclose(found[:40], model.lookup(np.arange(40, dtype=np.int32)))
    own = [data.items.ids[int(i)] for i in data.interactions.item[data.interactions.user == 50]]
    scores = model.recommend(histories=[own], k=3, exclude_seen=False)
    rows = model.items.ids.rows(scores["item"])
    np.testing.assert_allclose(model.item_vectors[rows] @ found[50], scores["score"], rtol=1e-4)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"model": tw.models.IALS()}, "fit it first"),
        ({"operator": "product"}, "operator got 'product'"),
        ({"of": "place"}, "of got 'place'"),
        ({"reg": 0}, "reg must be"),
    ],
)
def test_wrong_settings_of_vectors_are_refused(said, match):
    model = tw.models.IALS(factors=2, epochs=1).fit(circles(), rng=0)
    with pytest.raises(ConfigError, match=match):
        links.PairsOfVectors(**{"model": model, **said})


def test_a_model_recommends_friends_with_data():
    data = circles()
    model = tw.models.IALS(factors=4).fit(data, rng=0)
    assert len(links.recommend_friends(model, ["u00"], 3, data=data)) == 3
    with pytest.raises(ConfigError, match="give data="):
        links.recommend_friends(model, ["u00"])


def test_walks_lead_along_friendships():
    data = circles()
    graph, log = Graph.of_dataset(data), links.walk_log(data, walks=2, length=7, rng=0)
    steps = data.users.ids.rows(log.frame()["item"]).reshape(-1, 7)
    assert len(steps) == 2 * int((graph.degrees > 0).sum())
    assert graph.has(np.column_stack([steps[:, :-1].ravel(), steps[:, 1:].ravel()])).all()
    for wrong in ({"walks": 0}, {"length": 1}):
        with pytest.raises(ConfigError, match="must be an integer"):
            links.walk_log(data, **wrong)


def test_walks_with_any_embedding_find_circles():
    split = links.split(circles(90, 2), test=0.2, rng=0)
    walks = links.DeepWalk(embed=tw.models.IALS(factors=8, epochs=5), walks=5, length=10)
    assert links.compare({"walks": walks}, split, metrics=["auc"])["walks", "auc"] > 0.75


# ---- metrics and reports ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 999))
def test_auc_and_f1_are_those_of_loops(seed):
    rng = np.random.default_rng(seed)
    scores, label = rng.integers(0, 5, 30).astype(float), rng.random(30) < 0.4
    label[:2] = [True, False]
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf) != 0)
    weight = np.vstack([np.ones(30), rng.integers(0, 3, 30)])[:, order]
    auc = resamples.weighted_auc(weight, label[order], starts)
    assert auc[0] == pytest.approx(tw.metrics.roc_auc(scores, label.astype(float)))
    s, y, w = scores[order], label[order], weight[1]
    top = sum(
        w[i] * w[j] * ((s[i] > s[j]) + 0.5 * (s[i] == s[j]))
        for i in range(30) for j in range(30) if y[i] and not y[j]
    )  # fmt: skip
    whole = w[y].sum() * w[~y].sum()
    assert np.isnan(auc[1]) if not whole else auc[1] == pytest.approx(top / whole)
    # F1 at the edge: the mean over random orders of the ties.
    n = int(label.sum())
    mean = np.mean(
        [label[np.lexsort((rng.random(30), -scores))[:n]].sum() / n for _ in range(3000)]
    )
    assert resamples.weighted_f1(weight[:1], y, starts)[0] == pytest.approx(mean, abs=0.03)


def test_lists_are_ranked_over_everybody():
    split = links.split(circles(40), test=0.3, rng=0)
    fitted = links.Neighbourhood().fit(split.train)
    board = links.compare({"aa": fitted}, split, metrics=["precision@5", "recall@5"])
    held = {a: set() for a in range(40)}
    for a, b in split.links.tolist():
        held[a].add(b)
        held[b].add(a)
    people = [a for a in held if held[a]]
    hits = {a: len(set(fitted.best(a, 5)[0].tolist()) & held[a]) for a in people}
    assert board["aa", "precision@5"] == pytest.approx(np.mean([hits[a] / 5 for a in people]))
    assert board["aa", "recall@5"] == pytest.approx(
        np.mean([hits[a] / len(held[a]) for a in people])
    )
    low, high = board.frame.filter(metric="precision@5").select("low", "high").row(0)
    assert low < board["aa", "precision@5"] < high


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Scores with a known AUC of .5, on friendships that are drawn anew: about 95 of 100 intervals hold it."""
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph = random_graph(seed, n=60, density=0.1)
        apart = strangers(60, len(graph), (graph,), rng)
        pairs = np.concatenate([graph.pairs, apart])
        split = links.LinkSplit(None, graph, pairs, np.arange(len(pairs)) < len(graph))
        values = resamples.Resamples(split, rng).of_pairs("auc", rng.normal(size=len(pairs)))
        low, high = np.quantile(values[1:], [0.025, 0.975])
        held += low < 0.5 < high
    assert held >= 34


def test_a_table_says_who_is_behind():
    split = links.split(circles(90, 1), test=0.2, rng=0)
    board = links.compare(
        {"everything": links.Friendship(), "degrees": links.Neighbourhood(by="degree_sum")}, split
    )
    assert board.names[0] == "everything"
    assert board.metrics == ["auc", "f1", "precision@10"]
    assert (
        board.table().filter(predictor="degrees")["against everything"][0].startswith("behind by")
    )
    assert "95 % intervals" in str(board)
    assert '"definitions"' in board.to_json()
    same = links.compare({"a": links.Friendship(), "b": links.Friendship()}, split, metrics=["auc"])
    assert same.table()["against a"].to_list() == ["", "no difference shown"]


def test_a_wrong_comparison_is_refused():
    data = circles()
    split = links.split(data, rng=0)
    with pytest.raises(DataError, match="of the held-out friendships"):
        links.compare({"peeks": links.Neighbourhood().fit(data)}, split)
    peeking = tw.models.JNTM(factors=4, epochs=1, network_passes=1)
    with pytest.raises(DataError, match=f"knows {len(split.links)} of the held-out friendships"):
        links.compare({"vectors": peeking.fit(data, rng=0)}, split, metrics=["auc"])
    within = (
        tw.models.Repeats(model=peeking),
        tw.Pipeline(candidates=[tw.models.Popularity(), peeking]),
    )
    for one in within:
        with pytest.raises(DataError, match=f"knows {len(split.links)} of the held-out friendship"):
            links.compare({"vectors": one.fit(data, rng=0)}, split, metrics=["auc"])
    honest = peeking.fit(split.train, rng=0)
    blind = tw.models.JNTM(factors=4, epochs=1, objective="trajectories").fit(data, rng=0)
    board = links.compare({"honest": honest, "blind": blind}, split, metrics=["auc"])
    assert set(board.names) == {"honest", "blind"}
    other = tw.Dataset.from_frames({"u": [1, 2, 3], "i": [1, 1, 1]}, user="u", item="i", links={"x": [1], "y": [2]})  # fmt: skip
    with pytest.raises(DataError, match="other users"):
        links.compare({"foreign": links.Neighbourhood().fit(other)}, split)
    with pytest.raises(ConfigError, match="no metric 'aux'"):
        links.compare(links.BASELINES, split, metrics=["aux"])
    with pytest.raises(ConfigError, match="precision@k"):
        links.compare(links.BASELINES, split, metrics=["precision"])
    for nothing in (
        {"predictors": {}},
        {"metrics": []},
        {"most_people": 0},
        {"predictors": {"x": 3}},
    ):
        with pytest.raises(ConfigError):
            links.compare(**{"predictors": links.BASELINES, "split": split, **nothing})


# ---- real data ---------------------------------------------------------------------------------------------


def test_new_friends_in_new_york_are_told_from_strangers(real):
    data = real("lbsn2vec-nyc")
    split = links.split(data, later=tw.datasets.later_links("lbsn2vec-nyc"), rng=0)
    board = links.compare(
        {"everything": links.Friendship(), "degrees": links.Neighbourhood(by="degree_sum")},
        split,
        metrics=["auc"],
    )
    assert board["everything", "auc"] > 0.86
    assert board["everything", "auc"] > board["degrees", "auc"] + 0.05


def test_only_some_sets_know_a_later_day():
    with pytest.raises(ConfigError, match="those that have: lbsn2vec-nyc"):
        tw.datasets.later_links("ml-100k")


def test_predict_keeps_the_frame():
    fitted = links.Neighbourhood(by="common_neighbours").fit(circles())
    made = fitted.predict(
        pl.DataFrame({"a": ["u00", "u01"], "b": ["u03", "u04"], "said": ["x", "y"]})
    )
    assert made.columns == ["a", "b", "said", "score"]


def few_friends():
    """Ten people, one pair and one chain of three: hiding any friendship leaves somebody alone."""
    log = {"u": [f"p{one}" for one in range(10)], "i": [one % 3 for one in range(10)]}
    friends = {"one": ["p0", "p2", "p3"], "other": ["p1", "p3", "p4"]}
    return tw.Dataset.from_frames(log, user="u", item="i", links=friends)


def test_what_cannot_learn_from_few_friendships_leaves_the_others_in_the_table():
    split = links.split(few_friends(), test=0.3, rng=0)
    both = {"aa": links.Neighbourhood(), "all": links.Friendship()}
    report = links.compare(both, split, metrics=["auc"])
    assert report.names == ["aa"]
    assert "too few to learn from" in report.failed["all"]
    assert "without all, which could not be fitted: 2 known friendships are" in str(report)
    assert json.loads(report.to_json())["failed"] == report.failed
    with pytest.raises(DataError, match="all: 2 known friendships are too few"):
        links.compare({"all": links.Friendship()}, split)


def test_where_everybody_is_a_friend_of_everybody_that_is_said():
    people = [f"p{one}" for one in range(5)]
    friends = {"one": np.repeat(people, 5), "other": np.tile(people, 5)}
    data = tw.Dataset.from_frames(
        {"u": people, "i": [0] * 5}, user="u", item="i", links=pl.DataFrame(friends)
    )
    with pytest.raises(DataError, match="all 5 people are friends of each other"):
        links.Friendship().fit(data, rng=0)
