"""Every metric against its written definition, spelt out in plain Python, and against SciPy's world."""

from itertools import combinations, pairwise
from math import log2

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from twofold import metrics
from twofold.errors import ConfigError, DataError


@st.composite
def lists_and_relevant(draw):
    """Lists of distinct items, some cut short, and what is relevant to each user."""
    seed, n, m, k = (
        draw(st.integers(low, high)) for low, high in ((0, 999), (1, 6), (2, 15), (1, 12))
    )
    rng = np.random.default_rng(seed)
    k = min(k, m)
    lists = np.array([rng.permutation(m)[:k] for _ in range(n)], np.int32)
    for row in range(n):
        lists[row, int(rng.integers(0, k + 1)) :] = -1
    relevant = [np.flatnonzero(rng.random(m + 3) < 0.3) for _ in range(n)]
    return lists, relevant


def ragged(rows):
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in rows])])
    return indptr, np.concatenate([*rows, np.zeros(0, int)]).astype(np.int32)


def by_definition(name, k, items, relevant):
    """The table of docs/metrics.md, one user at a time."""
    if not len(relevant):
        return np.nan
    hits = [item in set(relevant.tolist()) for item in items[:k] if item >= 0]
    places = [place for place, hit in enumerate(hits, 1) if hit]
    match name:
        case "precision":
            return len(places) / k
        case "recall":
            return len(places) / len(relevant)
        case "recall_capped":
            return len(places) / min(k, len(relevant))
        case "hit":
            return float(bool(places))
        case "map":
            return sum(sum(hits[:p]) / p for p in places) / min(k, len(relevant))
        case "ndcg":
            ideal = sum(1 / log2(p + 1) for p in range(1, min(k, len(relevant)) + 1))
            return sum(1 / log2(p + 1) for p in places) / ideal
        case "mrr":
            return 1 / places[0] if places else 0.0


@given(case=lists_and_relevant(), k=st.integers(1, 20))
def test_list_metrics_are_their_definitions(case, k):
    lists, relevant = case
    names = ["precision", "recall", "recall_capped", "hit", "map", "ndcg", "mrr"]
    found = metrics.ranking(lists, *ragged(relevant), [f"{name}@{k}" for name in names])
    for name in names:
        expected = [by_definition(name, k, *one) for one in zip(lists, relevant, strict=True)]
        np.testing.assert_allclose(found[f"{name}@{k}"], expected, atol=1e-12)


def test_a_list_worked_out_by_hand():
    """Hits at places 1 and 3 of five; three relevant items."""
    found = metrics.ranking(
        np.array([[7, 1, 4, 2, 9]], np.int32),
        np.array([0, 3]),
        np.array([4, 7, 8], np.int32),
        ["precision@5", "recall@5", "map@5", "ndcg@5", "mrr@5", "recall_capped@2", "hit@1"],
    )
    assert {name: round(float(value[0]), 6) for name, value in found.items()} == {
        "precision@5": 0.4,
        "recall@5": 0.666667,
        "map@5": round((1 + 2 / 3) / 3, 6),
        "ndcg@5": round(1.5 / (1 + 1 / log2(3) + 0.5), 6),
        "mrr@5": 1.0,
        "recall_capped@2": 0.5,
        "hit@1": 1.0,
    }


def test_precision_falls_as_the_list_passes_what_is_relevant():
    lists = np.arange(100, dtype=np.int32)[None]
    found = metrics.ranking(
        lists, np.array([0, 2]), np.array([0, 1], np.int32), ["precision@2", "precision@100"]
    )
    assert (float(found["precision@2"][0]), float(found["precision@100"][0])) == (1.0, 0.02)


@given(seed=st.integers(0, 999), ties=st.booleans())
def test_auc_counts_pairs(seed, ties):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(3, 9)).astype(np.float32)
    scores = np.round(scores) if ties else scores
    relevant = [np.flatnonzero(rng.random(11) < 0.3) for _ in range(3)]
    hidden = [np.setdiff1d(np.flatnonzero(rng.random(9) < 0.2), one) for one in relevant]
    found = metrics.auc(scores, *ragged(relevant), *ragged(hidden))
    for user in range(3):
        others = [i for i in range(9) if i not in relevant[user] and i not in hidden[user]]
        good = [scores[user, i] if i < 9 else -np.inf for i in relevant[user]]
        order = [
            float(a > scores[user, j]) + 0.5 * (a == scores[user, j]) for a in good for j in others
        ]
        expected = np.mean(order) if order else np.nan
        np.testing.assert_allclose(found[user], expected)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_gini_is_the_mean_difference(counts):
    listed = np.array(counts)
    total = listed.sum()
    expected = np.abs(listed[:, None] - listed).sum() / (2 * len(listed) * total) if total else 0.0
    assert metrics.gini(listed) == pytest.approx(expected, abs=1e-12)
    assert metrics.coverage(listed) == np.mean(listed > 0)


@given(seed=st.integers(0, 999))
def test_means_over_lists(seed):
    rng = np.random.default_rng(seed)
    lists = np.array([rng.permutation(8)[:4] for _ in range(3)], np.int32)
    lists[1, 2:] = -1
    lists[2] = -1
    popularity = rng.integers(0, 5, 8).astype(np.float32)
    vectors = rng.normal(size=(8, 3)).astype(np.float32)
    novelty = metrics.novelty(lists, popularity, 10)
    bias = metrics.popularity_bias(lists, popularity)
    diversity = metrics.diversity(lists, vectors)
    for row in range(3):
        kept = [item for item in lists[row] if item >= 0]
        if not kept:
            assert np.isnan([novelty[row], bias[row], diversity[row]]).all()
            continue
        assert novelty[row] == pytest.approx(
            np.mean([-log2((popularity[i] + 1) / 11) for i in kept])
        )
        assert bias[row] == pytest.approx(
            np.mean([(popularity < popularity[i]).sum() / 7 for i in kept])
        )
        cosine = [
            vectors[a] @ vectors[b] / np.linalg.norm(vectors[a]) / np.linalg.norm(vectors[b])
            for a, b in combinations(kept, 2)
        ]
        assert diversity[row] == pytest.approx(1 - np.mean(cosine), abs=1e-5)


@given(seed=st.integers(0, 999))
def test_classification(seed):
    rng = np.random.default_rng(seed)
    p, y = np.round(rng.random(20), 1), np.arange(20) % 2
    pairs = [(float(a > b) + 0.5 * (a == b)) for a in p[y == 1] for b in p[y == 0]]
    assert metrics.roc_auc(p, y) == pytest.approx(np.mean(pairs))
    q = np.clip(p, 1e-15, 1 - 1e-15)
    assert metrics.log_loss(p, y) == pytest.approx(-np.mean(np.log(np.where(y == 1, q, 1 - q))))


def test_rating_errors_by_hand():
    predicted, observed = np.array([1.0, 2.0, 5.0]), np.array([1.0, 4.0, 4.0])
    assert metrics.rmse(predicted, observed) == pytest.approx((5 / 3) ** 0.5)
    assert metrics.mae(predicted, observed) == pytest.approx(1.0)


def test_what_makes_no_sense_is_refused():
    for wrong, meant in (
        ("ndgc@20", "ndcg@20"),
        ("ndcg10", "ndcg@10"),
        ("recal", "recall@10"),
        ("rsme@5", "rmse"),
    ):
        with pytest.raises(ConfigError, match=rf"no metric '{wrong}'.*did you mean '{meant}'\?"):
            metrics.parse(wrong)
    for name in ("ndcg", "ndcg@0", "ndcg@-1", "ndcg@ten", "auc@5"):
        with pytest.raises(ConfigError):
            metrics.parse(name)
    with pytest.raises(DataError, match="one kind only"):
        metrics.roc_auc(np.ones(3), np.ones(3))
    with pytest.raises(DataError, match="labels must be 0 or 1; got 2"):
        metrics.log_loss(np.full(2, 0.5), np.array([2, 1]))
    for function in (metrics.rmse, metrics.mae, metrics.roc_auc, metrics.log_loss):
        with pytest.raises(DataError, match="as many"):
            function(np.ones(2), np.ones(3))


def test_longer_cuts_never_lower_recall():
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(50) for _ in range(20)], np.int32)
    relevant = [np.flatnonzero(rng.random(50) < 0.2) for _ in range(20)]
    found = metrics.ranking(lists, *ragged(relevant), [f"recall@{k}" for k in (1, 5, 20, 50)])
    for low, high in pairwise(found.values()):
        assert np.all(low <= high + 1e-12)


ALL = ["precision", "recall", "recall_capped", "hit", "map", "ndcg", "mrr"]


def one_list(items, relevant, k=5):
    found = metrics.ranking(
        np.array([items], np.int32),
        np.array([0, len(relevant)]),
        np.array(relevant, np.int32),
        [f"{name}@{k}" for name in ALL],
    )
    return {name: float(found[f"{name}@{k}"][0]) for name in ALL}


def test_what_is_missing_at_the_end_of_a_list_is_no_hit():
    short, padded = one_list([4, 7], [4]), one_list([4, 7, -1, -1, -1], [4])
    assert short == padded
    assert short["precision"] == 0.2
    assert one_list([], [4]) == dict.fromkeys(ALL, 0.0)
    assert one_list([-1, -1], [4]) == dict.fromkeys(ALL, 0.0)


def test_cut_offs_far_past_the_list():
    found = one_list([2, 0, 1], [0, 1, 2], k=10_000)
    assert found["recall"] == found["ndcg"] == found["map"] == found["mrr"] == 1.0
    assert found["precision"] == 3 / 10_000


def test_an_item_counts_once():
    """Neither an item that is listed twice nor a target that is given twice raises a value."""
    assert one_list([4, 4, 4, 1], [4, 1]) == one_list([4, 9, 8, 1], [4, 1])
    assert one_list([4, 9, 8, 1], [1, 4, 4, 1]) == one_list([4, 9, 8, 1], [1, 4])


def test_nobody_and_nothing_relevant():
    lists = np.zeros((0, 3), np.int32)
    assert (
        metrics.ranking(lists, np.zeros(1, int), np.zeros(0, int), ["ndcg@3"])["ndcg@3"].size == 0
    )
    assert metrics.ranking(lists, np.zeros(1, int), np.zeros(0, int), []) == {}
    none = metrics.ranking(np.array([[1]], np.int32), np.array([0, 0]), np.zeros(0, int), ["hit@1"])
    assert np.isnan(none["hit@1"]).all()


def test_an_item_past_the_catalogue_is_a_miss():
    assert one_list([3, 1], [1, 999_999])["recall"] == 0.5


@pytest.mark.parametrize(
    ("lists", "indptr", "items", "message"),
    [
        (np.zeros(3, np.int32), [0, 1], [1], "integers of shape"),
        (np.zeros((1, 3)), [0, 1], [1], "got float64"),
        (
            np.zeros((2, 3), np.int32),
            [0, 1],
            [1],
            "3 entries, one more than there are users; got 2",
        ),
        (np.zeros((1, 3), np.int32), [0, 2], [1], "must rise from 0 to 1"),
        (np.zeros((2, 3), np.int32), [0, 2, 1], [1], "must rise"),
        (np.zeros((1, 3), np.int32), [0, 1], [-1], "must be >= 0; got -1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(lists, indptr, items, message):
    with pytest.raises(DataError, match=message):
        metrics.ranking(lists, np.array(indptr), np.array(items), ["hit@1"])


def test_a_metric_of_lists_is_asked_for():
    with pytest.raises(ConfigError, match=r"'rmse' is not a metric of lists; allowed: precision"):
        metrics.ranking(np.zeros((1, 1), np.int32), np.array([0, 0]), np.zeros(0, int), ["rmse"])


def test_values_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(50)[:20] for _ in range(300)], np.int32)
    relevant = [np.flatnonzero(rng.random(50) < 0.2) for _ in range(300)]
    names = [f"{name}@10" for name in ALL]
    several = metrics.ranking(lists, *ragged(relevant), names)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = metrics.ranking(lists, *ragged(relevant), names)
    finally:
        numba.set_num_threads(before)
    for name in names:
        np.testing.assert_array_equal(several[name], alone[name])


@given(seed=st.integers(0, 999))
def test_auc_does_not_depend_on_rounding(seed):
    """Whatever lies within the error of float32, the products in float64 decide."""
    rng = np.random.default_rng(seed)
    users = rng.normal(size=(4, 8)).astype(np.float32)
    items = rng.normal(size=(30, 8)).astype(np.float32)
    items[10:20] = items[:10]
    exact = users.astype(np.float64) @ items.T.astype(np.float64)
    noise = rng.uniform(-1, 1, exact.shape) * 2e-7 * np.abs(exact).max()
    relevant = [np.sort(rng.choice(30, 5, replace=False)) for _ in range(4)]
    hidden = np.zeros(5, int), np.zeros(0, int)
    found = [
        metrics.auc(scores.astype(np.float32), *ragged(relevant), *hidden, factors=(users, items))
        for scores in (exact, exact + noise)
    ]
    np.testing.assert_array_equal(*found)
    pure = metrics.auc(exact.astype(np.float32), *ragged(relevant), *hidden)
    np.testing.assert_allclose(found[0], pure, atol=1e-3)
    rough = metrics.auc(
        np.zeros((4, 30), np.float32), *ragged(relevant), *hidden, factors=(users, items),
        exact=np.ones(4, bool),
    )  # fmt: skip
    assert (rough == 0.5).all()


def test_what_has_no_list_has_no_coverage():
    assert metrics.coverage(np.zeros(0, int)) == 0.0
    assert metrics.gini(np.zeros(4, int)) == 0.0


def test_diversity_reads_sparse_vectors():
    dense = np.eye(4, dtype=np.float32)
    lists = np.array([[0, 1, 2], [3, -1, -1]], np.int32)
    for vectors in (dense, csr_array(dense)):
        found = metrics.diversity(lists, vectors)
        assert found[0] == pytest.approx(1.0)
        assert np.isnan(found[1])
    same = np.ones((3, 2), np.float32)
    assert metrics.diversity(np.array([[0, 1, 2]], np.int32), same)[0] == pytest.approx(0.0)


def test_a_metric_knows_its_definition_and_direction():
    for name in metrics.DEFINITIONS:
        metric = metrics.parse(name if name in ("auc", "rmse", "mae") else f"{name}@7")
        assert metric.definition
        assert metric.name.startswith(name)
    assert not metrics.parse("rmse").higher_is_better
    assert metrics.parse("ndcg@5").higher_is_better
