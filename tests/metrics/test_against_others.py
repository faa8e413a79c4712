"""List metrics against ranx, trec_eval and scikit-learn, where they are installed and mean the same."""

import numpy as np
import pytest

from twofold import metrics


def case(rng=0, n=60, m=80, k=30):
    random = np.random.default_rng(rng)
    lists = np.array([random.permutation(m)[:k] for _ in range(n)], np.int32)
    relevant = [np.sort(random.choice(m, random.integers(1, 15), replace=False)) for _ in range(n)]
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in relevant])])
    return lists, relevant, indptr, np.concatenate(relevant).astype(np.int32)


def dictionaries(lists, relevant):
    k = lists.shape[1]
    run = {
        str(u): {str(i): float(k - place) for place, i in enumerate(line)}
        for u, line in enumerate(lists)
    }
    truth = {str(u): {str(i): 1 for i in one} for u, one in enumerate(relevant)}
    return run, truth


def test_ndcg_and_ranks_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    lists, relevant, indptr, items = case()
    found = metrics.ranking(lists, indptr, items, ["ndcg@10"])["ndcg@10"]
    scores = np.zeros((len(lists), 80))
    truth = np.zeros((len(lists), 80))
    for user, line in enumerate(lists):
        scores[user, line] = np.arange(len(line), 0, -1)
        truth[user, relevant[user]] = 1
    for user in range(len(lists)):
        expected = sklearn.ndcg_score(truth[user : user + 1], scores[user : user + 1], k=10)
        assert found[user] == pytest.approx(expected, abs=1e-12)
    none = np.zeros(len(lists) + 1, int), np.zeros(0, int)
    areas = metrics.auc(scores.astype(np.float32), indptr, items, *none)
    expected = [sklearn.roc_auc_score(t, s) for t, s in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(areas, expected, atol=1e-12)
    p, y = np.random.default_rng(0).random(50).round(2), np.arange(50.0) % 2
    assert metrics.roc_auc(p, y) == pytest.approx(sklearn.roc_auc_score(y, p))
    assert metrics.log_loss(p * 0.9 + 0.05, y) == pytest.approx(sklearn.log_loss(y, p * 0.9 + 0.05))


def test_list_metrics_are_those_of_ranx():
    ranx = pytest.importorskip("ranx")
    lists, relevant, indptr, items = case()
    names = {
        "precision@10": "precision@10",
        "recall@10": "recall@10",
        "hit@10": "hit_rate@10",
        "ndcg@10": "ndcg@10",
        "mrr@10": "mrr@10",
    }
    run, truth = dictionaries(lists, relevant)
    theirs = ranx.evaluate(ranx.Qrels(truth), ranx.Run(run), list(names.values()))
    for name, values in metrics.ranking(lists, indptr, items, list(names)).items():
        assert values.mean() == pytest.approx(theirs[names[name]], abs=1e-9)


def test_list_metrics_are_those_of_trec_eval():
    library = pytest.importorskip("pytrec_eval")
    lists, relevant, indptr, items = case()
    names = {"precision@10": "P_10", "recall@10": "recall_10", "ndcg@10": "ndcg_cut_10"}
    run, truth = dictionaries(lists, relevant)
    measures = {"P.10", "recall.10", "ndcg_cut.10", "map_cut.10"}
    theirs = library.RelevanceEvaluator(truth, measures).evaluate(run)
    found = metrics.ranking(lists, indptr, items, [*names, "map@10"])
    for name, other in names.items():
        expected = [theirs[str(u)][other] for u in range(len(lists))]
        np.testing.assert_allclose(found[name], expected, atol=1e-9)
    sizes = np.array([len(one) for one in relevant])
    expected = np.array([theirs[str(u)]["map_cut_10"] for u in range(len(lists))])
    np.testing.assert_allclose(found["map@10"] * np.minimum(10, sizes) / sizes, expected, atol=1e-9)
