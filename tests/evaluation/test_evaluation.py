"""Evaluation: the same for every block, intervals that cover, corrected tests, and pages."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from typing import ClassVar

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from threadpoolctl import threadpool_limits

import twofold as tw
from twofold.errors import ConfigError, DataError, UnknownIdError
from twofold.evaluation import areas, pictures, ratings, uncertainty
from twofold.evaluation import questions as evaluation
from twofold.evaluation.compare import Result, ordered
from twofold.evaluation.report import Report
from twofold.evaluation.uncertainty import MANY, bootstrap, holm, paired_test
from twofold.kernels import resample
from twofold.testing import planted_log


@pytest.fixture(scope="module")
def split():
    return tw.split.random(planted_log(), test=0.25, per_user=True, rng=0)


@pytest.fixture(scope="module")
def fitted(split):
    return tw.models.IALS(factors=4).fit(split.train, rng=0)


NAMES = [
    "ndcg@10", "recall@5", "auc", "coverage@5", "gini@5", "diversity@5", "novelty@5",
    "popularity_bias@5",
]  # fmt: skip


def same(one, other):
    assert dict(one.values) == dict(other.values)
    np.testing.assert_equal(dict(one.intervals), dict(other.intervals))
    assert [(s.label, s.n_users, dict(s.values)) for s in one.slices] == [
        (s.label, s.n_users, dict(s.values)) for s in other.slices
    ]
    for name in one.totals:
        np.testing.assert_array_equal(one.totals[name], other.totals[name])


@pytest.mark.parametrize(
    "model", [tw.models.IALS(factors=4), tw.models.EASE(), tw.models.ItemKNN()]
)
@pytest.mark.parametrize(("users", "scores"), [(1, 100), (3, 300), (7, 2**20), (1000, 97)])
def test_the_block_size_changes_no_bit(split, model, users, scores, monkeypatch):
    fitted = model.fit(split.train, rng=0)
    whole = tw.evaluate(fitted, split, NAMES)
    monkeypatch.setattr(evaluation, "BLOCK_USERS", users)
    monkeypatch.setattr(areas, "BLOCK_BYTES", scores)
    monkeypatch.setattr("twofold.rank.BLOCK_BYTES", scores)
    same(whole, tw.evaluate(fitted, split, NAMES))


def test_neither_does_the_number_of_threads(split, fitted):
    several = tw.evaluate(fitted, split, NAMES)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        with threadpool_limits(1):
            same(several, tw.evaluate(fitted, split, NAMES))
    finally:
        numba.set_num_threads(before)


def test_nor_the_blocks_of_ratings(split, monkeypatch):
    model = tw.models.BiasedMF(factors=2, epochs=2).fit(split.train, rng=0)
    whole = tw.evaluate(model, split, ["rmse", "mae"])
    monkeypatch.setattr(ratings, "BLOCK_EVENTS", 5)
    same(whole, tw.evaluate(model, split, ["rmse", "mae"]))


def test_an_interval_does_not_depend_on_the_other_metrics(split, fitted):
    together = tw.evaluate(fitted, split, ["novelty@5", "recall@5", "auc", "ndcg@10"])
    alone = tw.evaluate(fitted, split, ["ndcg@10"])
    assert together.intervals["ndcg@10"] == alone.intervals["ndcg@10"]
    other = tw.evaluate(fitted, split, ["ndcg@10"], rng=1)
    assert other.intervals["ndcg@10"] != alone.intervals["ndcg@10"]
    assert other["ndcg@10"] == alone["ndcg@10"]


def test_slices_are_means_of_the_users_in_them(split, fitted):
    report = tw.evaluate(fitted, split, ["recall@5"])
    count = split.train.frame().group_by("user").len()
    users = report.per_user.join(count, on="user", how="left")
    middle = int(np.median(count["len"]))
    few, many = users.filter(pl.col("len") <= middle), users.filter(pl.col("len") > middle)
    found = {one.label: one for one in report.slices}
    for label, part in (
        (f"users with 1 ... {middle} events", few),
        (f"users with more than {middle} events", many),
    ):
        assert found[label].n_users == len(part)
        assert found[label].values["recall@5"] == pytest.approx(part["recall@5"].mean())


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


@pytest.mark.parametrize(("n", "rounds"), [(200, 400), (MANY, 400)])
def test_intervals_cover_the_mean_as_often_as_they_say(n, rounds):
    """95 % intervals miss 5 % of the time; 400 rounds tell 5 % from 2 % and from 9 %."""
    rng = np.random.default_rng(0)
    sample = rng.exponential(size=(rounds, n))
    inside = 0
    for one in sample:
        low, high = bootstrap(one[None], np.ones(n), rng=rng)[0]
        inside += low < 1 < high
    assert 0.91 <= inside / rounds <= 0.98


def test_ratios_are_covered_too():
    """The root mean squared error weighs a user by the number of ratings."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        weight = rng.integers(1, 30, 300).astype(np.float64)
        total = weight * rng.gamma(2, 0.5, 300)
        low, high = bootstrap(total[None], weight, rng=rng)[0]
        inside += low < 1 < high
    assert 0.90 <= inside / 300 <= 0.985


def test_the_normal_limit_is_the_bootstraps(monkeypatch):
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 5, 5000).astype(np.float64)
    total = weight * rng.random(5000)
    drawn = bootstrap(total[None], weight, rng=rng)
    monkeypatch.setattr(uncertainty, "MANY", 2)
    limit = bootstrap(total[None], weight, rng=rng)
    np.testing.assert_allclose(limit, drawn, atol=0.1 * (drawn[0, 1] - drawn[0, 0]))


def test_resamples_are_drawn_with_replacement_and_summed():
    """The kernel against NumPy: the draws spelt out, then counted."""
    n, shares = 50, np.random.default_rng(0).random((50, 3))
    sums = np.empty((20, 3))
    resample.resampled_sums(7, shares, sums)
    drawn = np.array([[resample.drawn(7, r, place, n) for place in range(n)] for r in range(20)])
    assert drawn.min() >= 0
    assert drawn.max() < n
    np.testing.assert_allclose(sums, shares[drawn].sum(axis=1))
    many = np.array([resample.drawn(3, 0, place, 10) for place in range(20_000)])
    assert np.abs(np.bincount(many, minlength=10) - 2000).max() < 5 * np.sqrt(2000)


def test_too_few_users_have_no_interval():
    assert np.isnan(bootstrap(np.ones((2, 1)), np.ones(1), rng=np.random.default_rng(0))).all()
    assert np.isnan(
        bootstrap(np.ones((1, 3)), np.array([0, 1, 0.0]), rng=np.random.default_rng(0))
    ).all()


def test_a_paired_test_that_cannot_be_made():
    assert paired_test(np.ones(1), np.zeros(1)) == 1.0
    assert paired_test(np.ones(4), np.zeros(4)) == 0.0


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


@pytest.fixture(scope="module")
def board(split):
    models = {
        "popular": tw.models.Popularity(),
        "ials": tw.models.IALS(factors=4),
        '<b onclick="x">&twin': tw.models.IALS(factors=4),
    }
    return tw.compare(models, split, ["ndcg@5", "coverage@5", "hit@1"], rng=0)


def test_a_comparison_names_the_best_and_says_where_nothing_is_shown(board):
    """Two models that are the same cannot differ; popularity is far behind on two tastes."""
    verdicts = {name: board.verdict(name, "ndcg@5") for name in board.results}
    assert sorted(verdicts.values())[0] == "best"
    twins = [verdicts["ials"], verdicts['<b onclick="x">&twin']]
    assert sorted(twins) == ["best", "no difference shown"]
    assert verdicts["popular"].startswith("p=")
    said = str(board)
    assert "no difference shown" in said
    assert "against ials (ndcg@5)" in said
    assert board.verdict("popular", "coverage@5") == ""


def test_p_values_are_paired_and_corrected(board, split):
    names = list(board.results)
    totals = {name: board.results[name].report.totals["hit@1"] for name in names}
    pairs = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    raw = {pair: np.nan_to_num(ttest_rel(totals[pair[0]], totals[pair[1]]).pvalue, nan=1.0) for pair in pairs}  # fmt: skip
    corrected, highest = {}, 0.0
    for place, pair in enumerate(sorted(pairs, key=raw.get)):
        highest = corrected[pair] = max(highest, min(1.0, (len(pairs) - place) * raw[pair]))
    expected = [corrected[board.best, name] for name in names[1:]]
    np.testing.assert_allclose([board.p_values["hit@1"][name] for name in names[1:]], expected, rtol=1e-9)  # fmt: skip


def test_the_best_of_many_equal_models_is_seldom_told_from_them():
    """The best is found on the same users: corrected over the pairs with it alone one board in six would name a winner."""
    rng, wrong = np.random.default_rng(0), 0
    users, weight = pl.Series(range(200)), np.ones(200)
    for _ in range(200):
        results = {}
        for name in map(str, range(8)):
            totals = rng.random(200)
            report = Report(
                model=name, split="", part="test", values={"hit@1": totals.mean()}, intervals={}, confidence=0.95,
                users=users, totals={"hit@1": totals}, weights={"hit@1": weight}, n_users=200, n_without_target=0,
                n_targets=200, n_unknown_targets=0, sources={}, slices=(), settings={}, seconds=0.0,
            )  # fmt: skip
            results[name] = Result(report, 0.0, {})
        wrong += min(ordered(results).p_values["hit@1"].values()) < 0.05
    assert wrong <= 200 * 0.05 + 2.6 * np.sqrt(200 * 0.05 * 0.95)


def test_less_is_better_where_it_is(split):
    models = {"mf": tw.models.BiasedMF(factors=2), "worse": tw.models.BiasedMF(factors=1, epochs=1)}
    board = tw.compare(
        {**models, "top": tw.models.Popularity()}, split, ["popularity_bias@5"], rng=0
    )
    values = [one.report["popularity_bias@5"] for one in board.results.values()]
    assert values == sorted(values)


def test_popularity_is_always_there(split):
    board = tw.compare({"ials": tw.models.IALS(factors=2)}, split, ["hit@1"], rng=0)
    assert set(board.results) == {"ials", "popularity"}
    again = tw.compare(
        {"ials": tw.models.IALS(factors=2)}, split, ["hit@1"], rng=0, done=board.results
    )
    assert again.results["ials"] is board.results["ials"]
    with pytest.raises(ConfigError, match="at least one model"):
        tw.compare({}, split)
    twins = {"a": tw.models.EASE(), "b": tw.models.Popularity(), "c": tw.models.EASE()}
    assert tw.compare(twins, split, ["ndcg@5", "coverage@5"]).alike == [["a", "c"]]


def test_models_that_are_clearly_below_the_baseline_are_named(split):
    board = tw.compare({"ials": tw.models.IALS(factors=4)}, split, ["ndcg@5", "hit@1"], rng=0)
    assert board.below == ("popularity", [])
    base = board.results["popularity"]
    low, high = base.report.intervals["ndcg@5"]

    def between(least, most):
        own = {**base.report.intervals, "ndcg@5": (least, most)}
        return replace(base, report=replace(base.report, model="PMF", intervals=own))

    rows = {
        **board.results,
        "near": between(low / 2, low + 1e-6),
        "far": between(low / 4, low / 2),
    }
    assert replace(board, results=rows).below == ("popularity", ["far"])
    assert replace(board, results={"near": rows["near"]}).below == ("", [])
    errors = {"popularity": base, "worse": between(high + 1e-6, high + 1)}
    assert replace(board, results=errors).below == (
        "popularity",
        ["worse"],
    )  # an error: less is better


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_strict_and_complete(board, split, fitted):
    found = strict(board.to_json())
    assert found["best"] == board.best
    assert set(found["models"]) == set(board.results)
    coverage = found["models"]["popular"]["report"]["metrics"]["coverage@5"]
    assert coverage["low"] is None
    report = tw.evaluate(fitted, split, ["ndcg@10", "coverage@10"])
    one = strict(report.to_json())
    assert one["metrics"]["ndcg@10"]["value"] == report["ndcg@10"]
    assert one["users"] == report.n_users
    assert [s["slice"] for s in one["slices"]] == [s.label for s in report.slices]


class Page(HTMLParser):
    """Every tag and attribute of a page, and whether it is closed properly."""

    VOID: ClassVar = {"meta", "circle", "line", "rect", "polyline", "path", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.said = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


def test_pages_need_nothing_from_elsewhere_and_escape_names(board, split, fitted, tmp_path):
    report = tw.evaluate(fitted, split, ["ndcg@10", "coverage@10"])
    for made in (board, report):
        text = made.to_html(tmp_path / "new folder" / "report.html").read_text()
        page = Page(text)
        assert not {"script", "link", "img", "iframe", "b", "object"} & set(page.tags)
        assert not {"src", "href", "onclick", "srcset"} & {name for name, _ in page.attributes}
        for word in ("http:", "https:", "//", "url(", "@import"):
            assert word not in text
        assert "prefers-color-scheme:dark" in text
        assert "viewport" in text
        assert page.tags.count("svg") == [v for k, v in page.attributes if k == "role"].count("img")
        assert "nan" not in text
        assert "NaN" not in text
    text = board.to_html(tmp_path / "board.html").read_text()
    assert '<b onclick="x">&twin' in Page(text).said
    assert "no difference shown" in text.lower()


def test_a_page_that_cannot_be_written_says_so(board, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*report.html"):
        board.to_html(tmp_path / "file" / "report.html")


def test_pages_of_a_single_user_and_a_single_model(tmp_path):
    """No interval, no spread on any axis: still a page."""
    train = tw.Dataset.from_frames({"u": [1, 1, 2], "i": ["a", "b", "a"]}, user="u", item="i")
    test = tw.Dataset.from_frames({"u": [2], "i": ["b"]}, user="u", item="i")
    split = tw.split.from_parts(train, test)
    board = tw.compare({"only": tw.models.Popularity()}, split, ["hit@1", "coverage@1"])
    Page(board.to_html(tmp_path / "board.html").read_text())
    report = board.results["only"].report
    Page(report.to_html(tmp_path / "one.html").read_text())
    assert strict(board.to_json())["models"]["only"]["report"]["metrics"]["hit@1"]["low"] is None
    assert "hit@1" in str(report)


def test_names_of_points_do_not_cover_each_other():
    spots = {f"model {at}": (200.0, 100.0 + at) for at in range(4)}
    found = pictures.placed(spots, 400)
    boxes = []
    for name, (x, y, anchor) in found.items():
        width = pictures.CHARACTER * len(name)
        left = x if anchor == "start" else x - width
        boxes.append((left, y - 10, left + width, y + 3))
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=8))
def test_the_front_holds_what_nothing_surpasses(points):
    named = {str(at): point for at, point in enumerate(points)}
    front = pictures.unsurpassed(named)
    for name in front:
        x, y = named[name]
        assert not any(a >= x and b >= y and (a > x or b > y) for a, b in points)


def test_ticks_are_round_and_inside():
    scale = pictures.Scale.around([0.031, 0.207], 0, 100)
    assert [f"{tick:g}" for tick in scale.ticks()] == ["0.05", "0.1", "0.15", "0.2"]
    assert pictures.short("a very long name of a model", 60).endswith("…")


def test_a_report_is_saved_and_opened(split, fitted, tmp_path):
    report = tw.evaluate(fitted, split, ["ndcg@10"])
    same(report, tw.evaluation.Report.load(report.save(tmp_path / "report")))
    assert report.frame()["metric"].to_list() == ["ndcg@10"]
