"""Every model passes the suite that twofold ships for users' own models."""

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import DataWarning
from twofold.testing import CHECKS, planted_log

# Settings that fit the planted log in well under a second; everything else is the default.
SMALL = {
    "BPMF": {"factors": 3},
    "BPR": {"factors": 6},
    "BiasedMF": {"factors": 4},
    "CDL": {"factors": 4, "hidden": (8,), "epochs": 6, "content": "title"},
    "CTR": {"factors": 4, "epochs": 10, "content": "title"},
    "ContextEmbedding": {"factors": 8, "epochs": 30, "batch_size": 32},
    "DSSM": {
        "encoder": {"kind": "dense", "hidden": (16,)},
        "factors": 8,
        "epochs": 30,
        "content": "title",
    },
    "DeepContent": {
        "factorization": {"model": "IALS", "factors": 6},
        "network": {"kind": "mlp", "hidden": (16,)},
        "epochs": 60,
    },
    "Doc2Vec": {"factors": 8, "epochs": 100},
    "EASE": {},
    "FM": {"factors": 4, "learner": {"method": "mcmc", "burn_in": 20, "samples": 20}},
    "GRU4Rec": {"factors": 8, "epochs": 20},
    "HRM": {"factors": 8},
    "IALS": {"factors": 6},
    "ItemKNN": {},
    "JNTM": {"factors": 8, "epochs": 20},
    "MeanRating": {},
    "MultiViewDSSM": {"hidden": (16,), "factors": 8, "epochs": 40, "content": "title"},
    "PMF": {"factors": 4},
    "PersonalFrequency": {},
    "Popularity": {},
    "Repeats": {"model": {"model": "IALS", "factors": 6}},
    "SASRec": {
        "factors": 8,
        "length": 20,
        "epochs": 40,
        "dropout": 0.1,
        "learning_rate": 0.005,
        "batch_size": 32,
    },
    "Token2Vec": {"factors": 8, "epochs": 20},
    "YouTubeCandidates": {"factors": 8, "epochs": 20, "learning_rate": 0.01},
    "YouTubeRanker": {"epochs": 8, "learning_rate": 0.01},
}


def test_no_model_is_left_out():
    assert sorted(SMALL) == sorted(tw.models.__all__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_conformance(name, check):
    check(getattr(tw.models, name)(**SMALL[name]))


@pytest.mark.parametrize("name", sorted(name for name, one in SMALL.items() if "factors" in one))
def test_vectors_may_be_as_long_as_the_catalogue(name):
    log = planted_log()
    model = getattr(tw.models, name)(**SMALL[name] | {"factors": log.n_items}).fit(log, rng=0)
    lists = model.recommend(users=[100, "x"], k=3)
    assert lists["source"].to_list() == ["model"] * 3 + ["fallback:popularity"] * 3
    assert lists[3:]["item"].to_list() == model.recommend(users=["x"], k=3)["item"].to_list()


@pytest.mark.parametrize("name", ["BPMF", "BiasedMF", "FM", "PMF"])
def test_an_item_named_without_a_rating_was_taken_and_not_disliked(name):
    """NaN stands for the highest rating: who names even items is offered even ones."""
    model = getattr(tw.models, name)(**SMALL[name]).fit(planted_log(), rng=0)
    rows = model.items.ids.rows([f"i{one}" for one in (0, 2, 4, 6, 8)])
    unsaid = np.full(5, np.nan, np.float32)
    queries = Queries.of_histories(tw.Histories(np.array([0, 5]), rows, unsaid))
    rated = Queries.of_histories(tw.Histories(np.array([0, 5]), rows, np.full(5, 5, np.float32)))
    scores, best = (
        np.asarray(model.encode(one).vectors @ model.item_vectors.T)[0] for one in (queries, rated)
    )
    np.testing.assert_array_equal(scores, best)
    even = np.array([int(one[1:]) % 2 == 0 for one in model.items.ids.ids])
    assert scores[even].mean() > scores[~even].mean() + 0.3 * scores.std()


def test_an_item_named_to_a_model_of_counts_is_one_event():
    model = tw.models.IALS(factors=4, alpha=1.0).fit(planted_log(), rng=0)
    assert model.unsaid_value == 1


READS_COLUMNS = {
    name: SMALL[name] for name in ("DeepContent", "FM", "YouTubeCandidates", "YouTubeRanker")
} | {"DeepContent of people": {**SMALL["DeepContent"], "side": "users"}}


@pytest.mark.parametrize("name", READS_COLUMNS)
def test_a_level_that_nobody_with_an_event_has_was_never_seen(name):
    """A held-out part leaves its levels in the lists of columns, and a network had random vectors for them."""
    log = planted_log()
    tables = {one: log.frame(one) for one in ("interactions", "items", "users")}
    new = {
        "items": {"item": "x", "title": "thing", "tags": ["unheard"]},
        "users": {"user": 999, "taste": "unheard"},
    }
    for one, row in new.items():
        read = pl.DataFrame([{**dict.fromkeys(tables[one].columns), **row}], schema=tables[one].schema)  # fmt: skip
        tables[one] = pl.concat([tables[one], read])
    data = tw.Dataset.from_frames(
        tables["interactions"], user="user", item="item", time="time", value="value",
        items=tables["items"], users=tables["users"],
        item_features={"title": "text", "tags": "tags"}, user_features={"taste": "category"},
    )  # fmt: skip
    model = getattr(tw.models, name.split()[0])(**READS_COLUMNS[name]).fit(data, rng=0)
    if model.reads_content:
        told = {"item": ["n1", "n2"], "title": [None, None], "tags": [["unheard"], ["never"]]}
        with pytest.warns(DataWarning):
            grown = model.with_items(told)
        one, other = np.asarray(grown.item_vectors)[-2:]
        np.testing.assert_array_equal(one, other)
    if model.reads_features:
        with pytest.warns(DataWarning):
            lists = model.recommend(features={"taste": ["unheard", "never"]}, k=5)
        one, other = (part.drop("user") for part in lists.partition_by("user"))
        assert one.equals(other)
