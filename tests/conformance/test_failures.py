"""The suite says in one sentence what is wrong with a model."""

from dataclasses import dataclass

import numpy as np
import pytest

import twofold as tw
from twofold.hyperparameters import hyperparameters
from twofold.testing import CHECKS, check_estimator, planted_log


def test_the_planted_log_is_what_it_says():
    log = planted_log().frame("interactions")
    item = log["item"].str.slice(1).cast(int).to_numpy()
    same, value = (log["user"].to_numpy() + item) % 2 == 0, log["value"].to_numpy()
    assert value[same].min() >= 4
    assert value[~same].max() <= 2
    assert same.mean() > 0.8


@hyperparameters
class Broken:
    """Popularity with a fault of choice."""

    fault: str = ""
    """Which one."""

    def fit(self, train, *, validation=None, rng=None):
        del validation
        counts = train.interactions.item_counts.astype(np.float32)[:, None]
        if self.fault == "mutates":
            train.interactions.value[0] += 1
        if self.fault == "draws freely":
            counts = counts + np.random.default_rng().random(counts.shape).astype(np.float32)
        if self.fault == "global state":
            np.random.random()  # noqa: NPY002
        if self.fault == "nothing":
            return None
        if self.fault == "doubles":
            counts = counts.astype(np.float64)
        if self.fault == "short":
            counts = counts[1:]
        made = {"estimator": self, "memory": tw.Memory.of(train), "counts": counts}
        return FittedBroken(**made)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBroken(tw.FittedModel):
    """One number an item."""

    counts: np.ndarray

    @property
    def item_vectors(self):
        return self.counts

    def fold_in(self, histories):
        n, fault = len(histories), self.estimator.fault
        if fault == "raises":
            raise ZeroDivisionError
        if fault == "not a number":
            return np.full((n, 1), np.nan, np.float32)
        if fault == "a batch matters":
            return np.full((n, 1), 1.0 + n, np.float32)
        if fault == "one row":
            return np.ones((1, 1), np.float32)
        return np.ones((n, 1), np.float32)


FAULTS = {
    "nothing": "check_fit_returns_a_model: fit returned a NoneType; it must return a subclass",
    "doubles": "item_vectors are float64, not float32",
    "short": "item_vectors have 23 rows for 24 items",
    "one row": r"fold_in of nobody has the shape \(1, 1\), not \(0, 1\)",
    "not a number": "fold_in of two empty histories is not finite",
    "a batch matters": "got another list in a batch",
    "mutates": "fit changed its training data",
    "draws freely": "fits with one seed differ",
    "global state": "a global random state was changed; draw from the rng that fit is given",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]) as caught:
        check_estimator(Broken(fault=fault))
    assert str(caught.value).startswith("check_")


def test_a_model_without_faults_passes():
    check_estimator(Broken())


def test_an_error_of_the_model_itself_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        check_estimator(Broken(fault="raises"))


def test_other_estimators_are_told_what_they_lack():
    class Plain:
        def fit(self, train):
            return train

    with pytest.raises(AssertionError, match="Plain is not declared with @twofold"):
        check_estimator(Plain())

    @hyperparameters
    class NoSeed:
        """Without randomness."""

        def fit(self, train):
            return train

    with pytest.raises(AssertionError, match="fit must take validation= and rng="):
        check_estimator(NoSeed())

    @hyperparameters
    class Local:
        """Within a function."""

        def fit(self, train, *, validation=None, rng=None):
            return Broken().fit(train, validation=validation, rng=rng)

    with pytest.raises(AssertionError, match="does not keep its estimator"):
        check_estimator(Local())


def test_every_check_is_in_the_suite_once():
    names = [check.__name__ for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("check_") for name in names)
