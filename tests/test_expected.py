"""What is said where a log, a split or a model is wanted and something else is given."""

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.hyperparameters import hyperparameters
from twofold.testing import planted_log

EASE = tw.models.EASE
FRAME = pl.DataFrame({"user": [1], "item": [2]})


@pytest.fixture(scope="module")
def split():
    """A split of the planted log."""
    return tw.split.random(planted_log(), test=0.2, rng=0)


@pytest.mark.parametrize("name", sorted(tw.models.__all__))
def test_no_model_is_fitted_to_a_frame(name):
    with pytest.raises(DataError, match=f"{name}.fit needs a Dataset; got a DataFrame: make one"):
        getattr(tw.models, name)().fit(FRAME)


def test_a_log_is_asked_for_with_how_to_get_it(split):
    for given, how in (
        (split, "got a Split: give a part of it, such as split.train"),
        ("log.csv", r"got a str: read it first, with tw\.Dataset\.read"),
        (None, "got None: make one"),
        (tw.Dataset, "got the class Dataset: make one"),
    ):
        with pytest.raises(DataError, match=how):
            EASE().fit(given)
    with pytest.raises(DataError, match=r"EASE\.fit, for validation, needs a Dataset; got a Split"):
        EASE().fit(split.train, validation=split)
    with pytest.raises(DataError, match=r"Pipeline\.fit needs a Dataset"):
        tw.Pipeline(candidates=[EASE()]).fit(FRAME)


def test_what_is_measured_is_fitted_and_cut(split):
    model = EASE().fit(split.train)
    with pytest.raises(DataError, match=r"evaluate needs a Split; got a Dataset: cut the log"):
        tw.evaluate(model, split.test)
    with pytest.raises(ConfigError, match="needs a fitted model; got an EASE: fit it first"):
        tw.evaluate(EASE(), split)
    with pytest.raises(ConfigError, match="needs a fitted model; got a Split: fit an estimator"):
        tw.evaluate(split, model)
    with pytest.raises(ConfigError, match=r"compare needs models by name, as in .* got a list"):
        tw.compare([EASE()], split)
    with pytest.raises(ConfigError, match=r"got the class EASE for 'e'; write EASE\(\)"):
        tw.compare({"e": EASE}, split)
    with pytest.raises(ConfigError, match="compare got a str for 'e'; give an estimator"):
        tw.compare({"e": "EASE"}, split)
    with pytest.raises(DataError, match="compare needs a Split; got a Dataset"):
        tw.compare({"e": EASE()}, split.train)


def test_an_estimator_that_is_asked_says_that_it_is_not_fitted():
    with pytest.raises(AttributeError, match=r"EASE has no 'recommend'; .* model = EASE\(\)\.fit"):
        EASE().recommend(users=[1])
    with pytest.raises(AttributeError, match=r"^EASE has no 'regg'$"):
        EASE().regg  # noqa: B018


def test_what_fits_other_things_than_logs_is_left_alone():
    @hyperparameters
    class Scaler:
        def fit(self, values):
            return sum(values)

    assert Scaler().fit([1, 2]) == 3


def test_people_and_columns_are_said_in_any_form():
    log = planted_log()
    model = tw.models.IALS(factors=4).fit(log, rng=0)
    both = model.recommend(users=[100, 101], allow=["i1", "i2"], k=2)
    again = model.recommend(users=iter([100, 101]), allow=np.array(["i1", "i2"]), k=2)
    assert again.equals(both)
    people = tw.models.DeepContent(side="users", factorization=tw.models.IALS(factors=2), epochs=2)
    known = people.fit(log, rng=0)
    wanted = known.recommend(features={"taste": ["odd", None]}, k=2)
    assert known.recommend(features=pl.DataFrame({"taste": ["odd", None]}), k=2).equals(wanted)
    assert known.recommend(features=[{"taste": "odd"}, {"taste": None}], k=2).equals(wanted)
    assert known.remarks(features=pl.DataFrame({"taste": ["ood"]})) == known.remarks(features={"taste": ["ood"]}) != []  # fmt: skip
    with pytest.raises(DataError, match="features as a list must hold mappings"):
        known.recommend(features=["odd"], k=2)


def test_a_text_that_pandas_calls_missing_is_missing():
    small = {"kind": "dense", "hidden": (4,)}
    model = tw.models.DSSM(encoder=small, factors=4, epochs=1, content="title").fit(planted_log(), rng=0)  # fmt: skip
    lists = model.recommend(text=["odd thing", float("nan")], k=2)
    assert lists["source"].to_list() == ["content"] * 2 + ["fallback:popularity"] * 2


def test_logs_are_cut_and_gathered_from_datasets(split):
    log = planted_log()
    for cut in (tw.split.random, tw.split.temporal, tw.split.leave_last, tw.split.cold_items, tw.split.default, tw.split.user_disjoint, tw.split.last_basket):  # fmt: skip
        with pytest.raises(DataError, match=rf"tw\.split\.{cut.__name__} needs a Dataset; got a D"):
            cut(FRAME)
        with pytest.raises(DataError, match=r"got a Split: give a part of it"):
            cut(split)
    with pytest.raises(DataError, match="baskets needs a Dataset; got a DataFrame"):
        tw.baskets(FRAME)
    for gather in (tw.baskets, tw.trajectories):
        np.testing.assert_array_equal(gather(log).indptr, gather(log.interactions).indptr)
    with pytest.raises(ConfigError, match=r"names one by one, .* got \['hour'\]"):
        tw.with_moments(log, ["hour"])


def test_settings_of_the_wrong_type_are_told(split):
    log, model = planted_log(), EASE().fit(split.train)
    with pytest.raises(ConfigError, match="min_user_events must be an integer >= 1; got '5'"):
        log.filter(min_user_events="5")
    with pytest.raises(ConfigError, match="relevant_from must be a number; got '4'"):
        tw.evaluate(model, split, relevant_from="4")
    with pytest.raises(ConfigError, match=r"user must name a column; got \['user'\]"):
        tw.Dataset.from_frames(FRAME, user=["user"], item="item")
    with pytest.raises(ConfigError, match="item_features are given and no items="):
        tw.Dataset.from_frames(FRAME, user="user", item="item", item_features={"x": "number"})
    with pytest.raises(ConfigError, match=r"got a fitted EASE; .* Pipeline\.join"):
        tw.Pipeline(candidates=[model])
