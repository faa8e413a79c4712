"""Evaluation: the same for every block, intervals that cover, corrected tests, and pages."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

import twofold as tw
from twofold.errors import UnknownIdError
from twofold.evaluation import run as evaluation
from twofold.evaluation.uncertainty import MANY, bootstrap, holm, paired_test
from twofold.testing import planted_log


@pytest.fixture(scope="module")
def split():
    return tw.split.random(planted_log(), test=0.25, per_user=True, rng=0)


@pytest.fixture(scope="module")
def fitted(split):
    return tw.models.IALS(factors=4).fit(split.train, rng=0)


def test_the_block_size_changes_no_value(split, fitted, monkeypatch):
    names = ["ndcg@10", "recall@5", "auc", "coverage@5", "diversity@5", "novelty@5"]
    whole = tw.evaluate(fitted, split, names)
    monkeypatch.setattr(evaluation, "BLOCK_USERS", 3)
    monkeypatch.setattr(evaluation, "BLOCK_BYTES", 300)
    monkeypatch.setattr("twofold.rank.BLOCK_BYTES", 300)
    parts = tw.evaluate(fitted, split, names)
    for name in names:
        assert whole[name] == parts[name]
    for name in whole.totals:
        np.testing.assert_array_equal(whole.totals[name], parts.totals[name])


def test_values_are_means_of_what_the_lists_say(split, fitted):
    """Ask for every user's list through the public door, and count by hand."""
    report = tw.evaluate(fitted, split, ["recall@5", "hit@5"])
    test = split.test
    recalls = []
    for user in np.unique(test.interactions.user):
        mine = test.interactions.item[test.interactions.user == user]
        wanted = set(test.items.ids.ids.gather(np.unique(mine)).to_list())
        listed = fitted.recommend(users=[test.users.ids[int(user)]], k=5)["item"].to_list()
        recalls.append(len(wanted.intersection(listed)) / len(wanted))
    assert report["recall@5"] == pytest.approx(np.mean(recalls))
    assert report.n_users == len(recalls)
    low, high = report.intervals["recall@5"]
    assert low < report["recall@5"] < high


def test_a_metric_that_was_not_measured_is_named(split, fitted):
    report = tw.evaluate(fitted, split, ["ndcg@10"])
    with pytest.raises(UnknownIdError, match=r"metric 'ndcg@5' was not measured.*ndcg@10"):
        report["ndcg@5"]


@pytest.mark.parametrize("n", [200, MANY])
def test_intervals_cover_the_mean(n):
    rng = np.random.default_rng(0)
    rounds = 60 if n < MANY else 200
    inside = 0
    for _ in range(rounds):
        sample = rng.exponential(size=n)
        low, high = bootstrap(sample[None], np.ones(n), rng=rng)[0]
        inside += low < 1 < high
    assert 0.87 <= inside / rounds <= 1


@given(seed=st.integers(0, 999), n=st.integers(2, 30))
def test_the_paired_test_is_students(seed, n):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=n), rng.normal(size=n)
    assert paired_test(one, other) == pytest.approx(ttest_rel(one, other).pvalue, rel=1e-9)
    assert paired_test(one, one) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_stepping_down_rejects(p_values):
    corrected = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        order, rejected = np.argsort(p_values, kind="stable"), set()
        for place, at in enumerate(order):
            if p_values[at] * (len(p_values) - place) > level:
                break
            rejected.add(int(at))
        assert {at for at, p in enumerate(corrected) if p <= level} == rejected


def test_a_comparison_names_the_best_and_says_where_nothing_is_shown(split, tmp_path):
    board = tw.compare(
        {
            "popular": tw.models.Popularity(),
            "ials": tw.models.IALS(factors=4),
            "twin": tw.models.IALS(factors=4),
        },
        split,
        ["ndcg@5"],
        rng=0,
    )
    said = str(board)
    assert "best" in said
    assert "no difference shown" in said or "p=" in said
    page = tmp_path / "report.html"
    board.to_html(page)
    text = page.read_text()
    assert "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "src=" not in text
    found = json.loads(board.to_json())
    assert {"popular", "ials", "twin"} <= set(json.dumps(found).split('"'))
