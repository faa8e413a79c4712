"""Lists from a graph: their scores are exact, most of their items too, and what is hidden is never among them."""

import numpy as np
import pytest

from twofold.errors import IncompatibleFileError
from twofold.index import hnsw
from twofold.index.choice import Questions, graph_wanted, recall, timed, weigh
from twofold.index.coded import Coded
from twofold.index.layered import NONE, Layered, ragged

pytest.importorskip("usearch")
M, D = 3000, 24


@pytest.fixture(scope="module", params=["flat", "skewed"])
def made(request):
    """Items, their exact index, their graph, and queries with what each hides."""
    rng = np.random.default_rng(0)
    items = rng.standard_normal((M, D)).astype(np.float32)
    if request.param == "skewed":
        items *= np.exp(-rng.exponential(1, M)).astype(np.float32)[:, None]
    exact = Coded.of(items, NONE)
    hidden = [rng.choice(M, size, replace=False).astype(np.int32) for size in range(0, 120, 2)]
    vectors = rng.standard_normal((len(hidden), D)).astype(np.float32)
    return exact, hnsw.build(items, exact), Questions(vectors, *ragged(hidden))


def answers(index, questions, k):
    found = [index.search(*questions.one(at), k) for at in range(len(questions))]
    return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])


@pytest.mark.parametrize("k", [1, 10, 100])
def test_most_of_the_exact_lists_is_found(made, k):
    exact, graph, questions = made
    wanted, _ = answers(exact, questions, k)
    few = recall(answers(graph.expanded(32), questions, k)[0], wanted)
    many = recall(answers(graph.expanded(400), questions, k)[0], wanted)
    assert few > 0.85
    assert many > 0.99
    assert many >= few


def test_scores_are_the_exact_ones_in_falling_order_and_nothing_hidden_is_listed(made):
    exact, graph, questions = made
    items, best = answers(graph, questions, 10)
    for at in range(len(questions)):
        vector, bounds, own = questions.one(at)
        assert not set(items[at].tolist()) & set(own.tolist())
        assert len(set(items[at].tolist())) == 10
        everything = exact.search(vector, bounds, own, M)
        score_of = dict(zip(everything[0][0].tolist(), everything[1][0].tolist(), strict=True))
        assert [score_of[one] for one in items[at].tolist()] == best[at].tolist()
        order = sorted(zip((-best[at]).tolist(), items[at].tolist(), strict=True))
        assert order == list(zip((-best[at]).tolist(), items[at].tolist(), strict=True))


def test_a_large_mask_a_zero_vector_and_a_long_list_are_answered_exactly(made):
    exact, graph, _ = made
    rng = np.random.default_rng(1)
    vector = rng.standard_normal((1, D)).astype(np.float32)
    for hidden, k, query in (
        (rng.choice(M, M - 7, replace=False).astype(np.int32), 10, vector),
        (rng.choice(M, 600, replace=False).astype(np.int32), 10, vector),
        (NONE, 1000, vector),
        (NONE, 5, np.zeros_like(vector)),
    ):
        bounds = np.array([0, len(hidden)], np.int64)
        for found, wanted in zip(
            graph.search(query, bounds, hidden, k), exact.search(query, bounds, hidden, k), strict=True
        ):  # fmt: skip
            assert found.tobytes() == wanted.tobytes()


def test_the_same_items_give_the_same_graph_and_a_file_gives_the_same_lists(made, tmp_path):
    exact, graph, questions = made
    again = hnsw.build(exact.item_vectors, exact)
    hnsw.write(graph, tmp_path / "one.usearch")
    hnsw.write(again, tmp_path / "two.usearch")
    assert (tmp_path / "one.usearch").read_bytes() == (tmp_path / "two.usearch").read_bytes()
    mapped = hnsw.read(tmp_path / "one.usearch", exact.item_vectors, exact)
    for one, other in zip(answers(graph, questions, 10), answers(mapped, questions, 10), strict=True):  # fmt: skip
        assert one.tobytes() == other.tobytes()
    with pytest.raises(IncompatibleFileError, match="delete it, and it is made anew"):
        hnsw.read(tmp_path / "one.usearch", exact.item_vectors[:-1], exact)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.usearch", "two.usearch"]


def test_items_join_and_leave_a_graph(made):
    exact, graph, _ = made
    best = np.ones((1, D), np.float32) * 9
    query = np.ones((1, D), np.float32)
    layered = Layered.of(graph, M, best, NONE)
    none = np.zeros(2, np.int64), NONE
    assert layered.search(query, *none, 3)[0][0, 0] == M
    first = exact.search(query, *none, 3)[0][0]
    without = Layered.of(graph, M, best, np.append(first[:1], M).astype(np.int32))
    assert without.search(query, *none, 2)[0][0].tolist() == first[1:].tolist()
    assert Layered.of(graph, M, None, NONE).search(query, *none, 3)[0][0].tolist() == first.tolist()


def test_vectors_that_half_precision_cannot_hold():
    rng = np.random.default_rng(2)
    items = (rng.standard_normal((500, 8)) * 1e9).astype(np.float32)
    exact = Coded.of(items, NONE)
    graph = hnsw.build(items, exact)
    questions = Questions(items[:20] / 1e12, *ragged([NONE] * 20))
    wanted = answers(exact, questions, 10)[0]
    assert recall(answers(graph, questions, 10)[0], wanted) > 0.95
    zeros = hnsw.build(np.zeros((3, 4), np.float32), exact)
    assert len(zeros.graph) == 3


def test_building_stops_when_it_is_told_to(made):
    exact, _, _ = made
    assert hnsw.build(exact.item_vectors, exact, lambda: True) is None


def test_the_choice_says_what_it_rests_on(made, monkeypatch):
    exact, graph, questions = made
    shape = exact.item_vectors.shape
    fast, lists = graph_wanted(exact, questions, shape, 10, None)
    assert fast.kind == "exact"
    assert "are fast enough" in fast.why
    assert (fast.items, fast.dimensions, fast.questions) == (M, D, len(questions))
    assert lists.tobytes() == answers(exact, questions, 10)[0].tobytes()
    monkeypatch.setattr("twofold.index.choice.ENOUGH", 0.0)
    slow, _ = graph_wanted(exact, questions, shape, 10, None)
    assert slow.kind == "hnsw"
    nobody = Questions(questions.vectors[:0], np.zeros(1, np.int64), NONE)
    assert graph_wanted(exact, nobody, shape, 10, None)[0].kind == "exact"
    # At this size the exact pass is the faster one, whichever machine: it has to stay unless it is set otherwise.
    slow = type(slow)(**{**slow.report(), "exact_ms": 1e-6})
    assert weigh(graph, questions, lists, slow, 0.9, force=False)[1].kind == "exact"
    slow = type(slow)(**{**slow.report(), "exact_ms": 1e6})
    chosen, measured = weigh(graph, questions, lists, slow, 0.9, force=False)
    assert measured.kind == "hnsw"
    assert measured.recall >= 0.9
    assert chosen.expansion == measured.expansion
    assert measured.recall == round(recall(timed(chosen, questions, 10).items, lists), 4)
    missed = weigh(graph.expanded(1), questions, np.roll(lists, 1, 0), slow, 0.9, force=False)[1]
    assert missed.kind == "exact"
    assert "finds too little" in missed.why
    assert weigh(graph, questions, np.roll(lists, 1, 0), slow, 0.9, force=True)[1].kind == "hnsw"


def test_products_find_more_than_the_distance_that_they_can_be_turned_into(made):
    """Decision 0015: with one more coordinate all vectors have one length, and the nearest one has the largest product."""
    from usearch.index import Index

    exact, graph, questions = made
    items = exact.item_vectors
    unit = items / np.linalg.norm(items, axis=1).max()
    rest = np.sqrt(np.maximum(0, 1 - np.square(unit).sum(axis=1)))[:, None]
    other = Index(ndim=D + 1, metric="ip", dtype="f16", connectivity=hnsw.CONNECTIVITY, expansion_add=hnsw.CARE)  # fmt: skip
    other.add(np.arange(M), np.hstack([unit, rest]).astype(np.float32), threads=1)
    asked = Questions(questions.vectors, np.zeros(len(questions) + 1, np.int64), NONE)
    wanted = answers(exact, asked, 10)[0]
    longer = np.hstack([asked.vectors, np.zeros((len(asked), 1), np.float32)])
    other.expansion_search = 26  # as many as a list of 10 asks the graph for
    found = np.array([other.search(one, 10, threads=1).keys for one in longer], np.int64)
    own = answers(graph.expanded(1), asked, 10)[0]
    assert recall(own, wanted) > recall(found, wanted) + 0.1
