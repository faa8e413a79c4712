"""PersonalFrequency against a count of each person's events."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.errors import DataError

DAY = 86_400


def random_log(seed, n=80):
    rng = np.random.default_rng(seed)
    log = {"u": rng.integers(0, 6, n), "i": rng.integers(0, 9, n)}
    log["t"] = rng.integers(0, 40, n) * DAY + np.arange(n)
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


@given(
    seed=st.integers(0, 999),
    half_life=st.sampled_from([0.0, 2.0, 30.0]),
    popularity=st.sampled_from([0.0, 0.01, 3.0]),
)
@settings(deadline=None, max_examples=40)
def test_scores_are_counts_with_decay_and_popularity_beside_them(seed, half_life, popularity):
    data = random_log(seed)
    model = tw.models.PersonalFrequency(half_life=half_life, popularity=popularity).fit(data)
    frame = data.frame()
    count = Counter(frame["item"])
    for who in frame["user"].unique():
        mine = frame.filter(frame["user"] == who)
        last = mine["time"].max()
        expected = {i: popularity * n / max(count.values()) for i, n in count.items()}
        for _, item, time in mine.rows():
            expected[item] += 0.5 ** ((last - time) / DAY / half_life) if half_life else 1.0
        lists = model.recommend(users=[who], k=9, exclude_seen=False)
        assert dict(lists.select("item", "score").rows()) == pytest.approx(expected, rel=1e-5)


def test_between_equals_the_popular_one_comes_first_and_never_before_more_of_ones_own():
    log = {"u": [1, 1, 1, 2, 3, 4, 5], "i": ["a", "b", "b", "c", "c", "a", "c"]}
    model = tw.models.PersonalFrequency().fit(tw.Dataset.from_frames(log, user="u", item="i"))
    lists = model.recommend(users=[1], k=3, exclude_seen=False)
    assert lists["item"].to_list() == ["b", "a", "c"]
    told = model.recommend(histories=[["a", "c"]], k=3, exclude_seen=False)
    assert told["item"].to_list() == ["c", "a", "b"]


def test_a_history_without_times_counts_all_alike_and_a_log_without_them_is_refused():
    model = tw.models.PersonalFrequency(half_life=1).fit(random_log(0))
    told = model.recommend(histories=[[3, 3, 4]], k=2, exclude_seen=False)
    assert told["score"].to_list() == pytest.approx([2, 1], abs=0.011)
    log = {"u": [1], "i": [1]}
    with pytest.raises(DataError, match="half_life=1 needs times and the log has none"):
        tw.models.PersonalFrequency(half_life=1).fit(
            tw.Dataset.from_frames(log, user="u", item="i")
        )


@pytest.mark.data
def test_people_go_where_they_went_in_new_york(real):
    """Measured before anything was written, with another rounding of the tenth: .169 .369 .454, kept .180 .406 .486."""
    split = tw.split.last_fraction(real("lbsn2vec-nyc"), test=0.1, repeats="keep")
    model = tw.models.PersonalFrequency().fit(split.train)
    names = ["recall@1", "recall@5", "recall@10"]
    frozen = tw.evaluate(model, split, names, ask="each event", up_to_date=False)
    kept = tw.evaluate(model, split, names, ask="each event")
    assert [frozen[one] for one in names] == pytest.approx([0.169, 0.369, 0.454], abs=0.03)
    assert [kept[one] for one in names] == pytest.approx([0.180, 0.406, 0.486], abs=0.01)
    popular = tw.evaluate(tw.models.Popularity().fit(split.train), split, names, ask="each event")
    assert frozen["recall@10"] > 3 * popular["recall@10"]
