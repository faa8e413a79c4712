"""Popularity: counts, by hand."""

import numpy as np
import pytest

import twofold as tw
from twofold.errors import DataError

DAY = 86_400


def log(**more):
    return {"u": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "c"]} | more


def test_items_are_counted():
    model = tw.models.Popularity().fit(tw.Dataset.from_frames(log(), user="u", item="i"))
    assert model.counts.tolist() == [2, 1, 2]
    assert model.counts.dtype == np.float32
    lists = model.recommend(users=[3], k=3)
    assert lists["item"].to_list() == ["a", "b"]
    assert model.recommend(users=["new"], k=1)["item"].to_list() == ["a"], (
        "ties go to the lower row"
    )


def test_an_event_counts_half_after_a_half_life():
    times = [0, 2 * DAY, 4 * DAY, 4 * DAY, 3 * DAY]
    data = tw.Dataset.from_frames(log(t=times), user="u", item="i", time="t")
    model = tw.models.Popularity(half_life=2.0).fit(data)
    expected = [0.25 + 1, 0.5, 1 + 0.5**0.5]
    np.testing.assert_allclose(model.counts, expected, rtol=1e-6)


def test_decay_needs_times():
    data = tw.Dataset.from_frames(log(), user="u", item="i")
    with pytest.raises(DataError, match="half_life=2 needs times and the log has none"):
        tw.models.Popularity(half_life=2.0).fit(data)
