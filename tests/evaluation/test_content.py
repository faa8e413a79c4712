"""Items that training never saw, measured by their content; small enough to work out on paper."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.errors import ConfigError, DataError, LeakError
from twofold.hyperparameters import hyperparameters
from twofold.testing import planted_log

PRICES = {"item": ["a", "b", "n", "o", "p"], "x": [0.4, 0.3, 0.9, 0.1, 0.35]}
TRAIN = {"u": [1, 2], "i": ["a", "b"]}
TEST = {"u": [1, 1, 2], "i": ["n", "p", "o"]}


@hyperparameters
class Dearest:
    """The dearest item first, for everybody who has used anything."""

    def fit(self, train, *, validation=None, rng=None):
        """Remember."""
        return FittedDearest(estimator=self, memory=tw.Memory.of(train))


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDearest(tw.FittedModel):
    """Item vectors are the prices."""

    reads_content: ClassVar[bool] = True

    @property
    def item_vectors(self):
        return self.encode_items(self.items)

    def fold_in(self, histories):
        return np.ones((len(histories), 1), np.float32)

    def encode_items(self, items):
        return items.features["x"].values[:, None]


def dataset(log):
    return tw.Dataset.from_frames(
        pl.DataFrame(log), user="u", item="i", items=pl.DataFrame(PRICES).rename({"item": "i"}),
        item_features={"x": "number"},
    ).part(np.arange(len(log["u"]), dtype=np.int64))  # fmt: skip


@pytest.fixture(scope="module")
def split():
    return tw.split.from_parts(dataset(TRAIN), dataset(TEST))


@pytest.fixture(scope="module")
def model(split):
    return Dearest().fit(split.train)


METRICS = ["recall@2", "mrr@4", "auc", "coverage@2"]


def test_new_items_are_ranked_among_all(split, model):
    # 1: n p b o, targets n p; 2: n a p o, target o
    report = tw.evaluate(model, split, METRICS, unknown_items="content")
    expected = {"recall@2": 1 / 2, "mrr@4": (1 + 1 / 4) / 2, "auc": 1 / 2, "coverage@2": 3 / 5}
    assert {name: report[name] for name in METRICS} == pytest.approx(expected)
    assert (report.n_targets, report.n_unknown_targets) == (3, 0)
    assert [one.label for one in report.slices][-1] == "items never seen"


def test_new_items_are_ranked_alone(split, model):
    # 1: n p o, targets n p; 2: n p o, target o
    report = tw.evaluate(model, split, METRICS, unknown_items="content", candidates="new")
    expected = {"recall@2": 1 / 2, "mrr@4": (1 + 1 / 3) / 2, "auc": 1 / 2, "coverage@2": 2 / 3}
    assert {name: report[name] for name in METRICS} == pytest.approx(expected)
    assert report.settings["candidates"] == "new"


def test_known_targets_are_none_among_the_new(model):
    test = dataset({"u": [1, 1, 2], "i": ["b", "p", "o"]})
    split = tw.split.from_parts(dataset(TRAIN), test)
    # p and o alone: 1: p o, target p; 2: p o, target o
    report = tw.evaluate(model, split, ["mrr@4"], unknown_items="content", candidates="new")
    assert report["mrr@4"] == pytest.approx((1 + 1 / 2) / 2)
    assert report.n_targets == 2


def test_without_it_they_are_missed_as_before(split, model):
    report = tw.evaluate(model, split, ["recall@2"])
    assert (report["recall@2"], report.n_unknown_targets) == (0, 3)
    assert "candidates" not in report.settings


def test_popularity_stays_as_the_baseline(split, model):
    # new items score 0; with o last 1/2, otherwise (1/2 + 1) / 2
    board = tw.compare(
        {"dearest": model}, split, ["recall@2"], unknown_items="content", candidates="new"
    )
    values = {name: one.report["recall@2"] for name, one in board.results.items()}
    assert values["dearest"] == 1 / 2
    assert values["popularity"] in (1 / 2, 3 / 4)


def test_ties_of_new_items_are_drawn(split):
    popular = tw.models.Popularity().fit(split.train)
    found = [
        tw.evaluate(
            popular, split, ["recall@2"], unknown_items="content", candidates="new", rng=seed
        )["recall@2"]
        for seed in range(30)
    ]
    assert set(found) == {1 / 2, 3 / 4}
    assert np.mean(found) == pytest.approx((1 / 2 + 3 / 4 + 3 / 4) / 3, abs=0.08)


def test_a_model_without_content_is_named(split):
    with pytest.raises(DataError, match=r"^ItemKNN does not read content .* 3 items"):
        tw.compare({"knn": tw.models.ItemKNN()}, split, ["recall@2"], unknown_items="content")


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"unknown_items": "contents"}, "allowed: count, drop, content; did you mean 'content'"),
        ({"unknown_items": "content", "candidates": "old"}, "candidates got 'old'"),
        ({"candidates": "new"}, "write unknown_items='content' too"),
    ],
)
def test_bad_policies_are_told(split, model, keywords, told):
    with pytest.raises(ConfigError) as caught:
        tw.evaluate(model, split, ["recall@2"], **keywords)
    assert told in str(caught.value)


def test_a_part_without_new_items_is_told(model):
    split = tw.split.from_parts(dataset(TRAIN), dataset({"u": [1], "i": ["b"]}))
    with pytest.raises(ConfigError, match="no items that training never saw"):
        tw.evaluate(model, split, ["recall@2"], unknown_items="content", candidates="new")


def test_the_leak_check_still_runs(split):
    guilty = Dearest().fit(dataset({key: TRAIN[key] + TEST[key] for key in TRAIN}))
    with pytest.raises(LeakError, match="trained on"):
        tw.evaluate(guilty, split, ["recall@2"], unknown_items="content")


@pytest.mark.parametrize(
    "model",
    [
        tw.models.CTR(factors=4),
        tw.models.CDL(factors=4, content="title", hidden=(16,)),
        tw.models.DeepContent(factorization={"model": "IALS", "factors": 4}),
        tw.models.MultiViewDSSM(content="title", hidden=(16,), factors=8, epochs=60, batch_size=64),
    ],
    ids=lambda one: type(one).__name__,
)
def test_models_of_content_find_items_that_nobody_has_touched(model):
    split = tw.split.cold_items(tw.testing.planted_log(), test=0.3, rng=1)
    fitted = model.fit(split.train, rng=0)
    board = tw.compare({"it": fitted}, split, ["ndcg@3"], unknown_items="content", candidates="new")
    values = {name: one.report["ndcg@3"] for name, one in board.results.items()}
    assert values["it"] > values["popularity"] + 0.05


def test_a_model_that_cannot_be_measured_on_new_items_does_not_stop_the_others():
    """A comparison of an hour was lost with the one model that reads no content."""
    split = tw.split.cold_items(planted_log(), rng=0)
    models = {"IALS": tw.models.IALS(factors=2), "content": tw.models.ItemKNN(content=("tags",))}
    heard = []
    board = tw.compare(
        models,
        split,
        ["ndcg@5"],
        unknown_items="content",
        on_failure=lambda name, error: heard.append((name, str(error))),
    )
    assert set(board.results) == {"content", "popularity"}
    assert "IALS does not read content" in board.failed["IALS"]
    assert heard == list(board.failed.items())
    assert "without IALS, which could not be fitted or measured" in str(board)
