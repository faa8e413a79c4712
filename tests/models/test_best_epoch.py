"""Models that stop by validation say how long they learned, so that a larger log can be learned for as long."""

from dataclasses import replace

import numpy as np
import pytest

import twofold as tw
from twofold.models import JNTM, GRU4Rec, SASRec, YouTubeCandidates
from twofold.testing import planted_log

STOPPING = [
    GRU4Rec(factors=8, epochs=12, patience=2),
    JNTM(factors=6, epochs=12, patience=2),
    SASRec(factors=8, epochs=12, patience=2),
    YouTubeCandidates(factors=8, epochs=12, patience=2, learning_rate=0.02),
]


@pytest.mark.parametrize("estimator", STOPPING, ids=lambda one: type(one).__name__)
def test_as_many_passes_without_validation_make_the_same_model(estimator, tmp_path):
    split = tw.split.leave_last(planted_log(), validation=True)
    stopped = estimator.fit(split.train, validation=split.validation, rng=0)
    assert 1 <= stopped.best_epoch <= 12
    again = replace(estimator, epochs=stopped.best_epoch).fit(split.train, rng=0)
    assert again.best_epoch == stopped.best_epoch
    np.testing.assert_array_equal(again.item_vectors, stopped.item_vectors)
    stopped.save(tmp_path / "model")
    assert tw.load(tmp_path / "model").best_epoch == stopped.best_epoch
