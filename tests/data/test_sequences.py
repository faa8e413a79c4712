"""Trajectories and baskets against loops over the events."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data.columns import Category, Number, Vector
from twofold.data.sequences import Sequences, baskets, trajectories
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError


def random_log(seed, n=40, session=True):
    rng = np.random.default_rng(seed)
    log = {
        "u": rng.integers(0, 6, n),
        "i": rng.integers(0, 9, n),
        "t": rng.integers(0, 30, n),
        "s": rng.choice(["x", "y", "z", None], n),
    }
    return tw.Dataset.from_frames(
        log, user="u", item="i", time="t", context={"s": "category"} if session else None
    )


def walked(events, cut):
    """Runs of events, ended where the user changes or `cut` says so between two neighbours."""
    found = []
    for at in range(len(events)):
        if at and events.user[at] == events.user[at - 1] and not cut(at - 1, at):
            found[-1].append(at)
        else:
            found.append([at])
    return found


def as_lists(sequences):
    return [sequences.event[a:b].tolist() for a, b in pairwise(sequences.indptr)]


@given(seed=st.integers(0, 999), n=st.integers(1, 60), gap=st.sampled_from([None, 0, 1, 2.5, 100]))
@settings(deadline=None, max_examples=60)
def test_trajectories_are_cut_where_a_walk_over_the_events_cuts(seed, n, gap):
    events = random_log(seed, n).interactions
    codes, time = events.context["s"].codes, events.time
    for session in (None, "s"):
        found = trajectories(events, gap=gap, session=session)
        found.verify()
        assert as_lists(found) == walked(
            events,
            lambda a, b, session=session: (
                (gap is not None and time[b] - time[a] > gap)
                or (session is not None and codes[a] != codes[b])
            ),
        )
        assert found.user.tolist() == [events.user[one[0]] for one in as_lists(found)]
        assert all(sequence in range(len(found)) for sequence in found.of_event)
        np.testing.assert_array_equal(found.user[found.of_event], events.user)


@given(seed=st.integers(0, 999), n=st.integers(1, 60))
@settings(deadline=None, max_examples=60)
def test_baskets_are_what_one_user_took_at_one_time_or_under_one_entry(seed, n):
    events = random_log(seed, n).interactions
    expected = walked(events, lambda a, b: events.time[a] != events.time[b])
    assert as_lists(baskets(events)) == expected
    named = {}
    for at in range(len(events)):
        code = int(events.context["s"].codes[at])
        named.setdefault((int(events.user[at]), code if code >= 0 else f"alone {at}"), []).append(
            at
        )
    found = baskets(events, basket="s")
    found.verify()
    assert as_lists(found) == list(named.values())  # in the order of their first events
    assert found.user.tolist() == [user for user, _ in named]


def test_histories_are_cut_as_logs_are():
    events = random_log(4).interactions
    told = tw.Histories.of(events)
    for cut in (lambda log: trajectories(log, gap=3), baskets):
        assert as_lists(cut(told)) == as_lists(cut(events))
    empty = tw.Histories(np.array([0, 0, 2, 2]), np.array([1, 1], np.int32), np.ones(2, np.float32))
    assert trajectories(empty).user.tolist() == [1]
    assert not len(trajectories(tw.Histories.empty(3)))


def test_a_session_that_comes_back_is_cut_and_a_basket_that_comes_back_is_gathered():
    log = {"u": [1] * 3, "i": list("abc"), "t": [1, 2, 3], "s": ["x", "y", "x"]}
    events = tw.Dataset.from_frames(
        log, user="u", item="i", time="t", context={"s": "category"}
    ).interactions
    assert as_lists(trajectories(events, session="s")) == [[0], [1], [2]]
    assert as_lists(baskets(events, basket="s")) == [[0, 2], [1]]


def test_a_user_with_a_hundred_thousand_events_is_one_pass():
    n = 100_000
    log = {"u": np.zeros(n, int), "i": np.arange(n) % 7, "t": np.arange(n) * 60}
    events = tw.Dataset.from_frames(log, user="u", item="i", time="t").interactions
    assert trajectories(events, gap=59).lengths.max() == 1
    assert trajectories(events, gap=60).lengths.tolist() == [n]
    assert len(baskets(events)) == n


@pytest.mark.parametrize("kind", ["number", "text", "time", "category"])
def test_any_column_with_one_entry_a_row_tells_sessions(kind):
    log = {"u": [1] * 4, "i": list("abcd"), "s": ["10", "10", None, "20"]}
    data = tw.Dataset.from_frames(log, user="u", item="i", context={"s": kind})
    assert trajectories(data.interactions, session="s").lengths.tolist() == [2, 1, 1]


@pytest.mark.parametrize("gap", [-1, "6h", True, float("nan")])
def test_a_gap_is_a_number_of_seconds(gap):
    with pytest.raises(ConfigError, match="gap must be a number of seconds >= 0; got"):
        trajectories(random_log(0).interactions, gap=gap)


def test_logs_that_cannot_be_cut_are_refused_in_one_sentence():
    events = random_log(0).interactions
    timeless = replace(events, time=None)
    with pytest.raises(DataError, match="gap needs times and the log has none; name its time"):
        trajectories(timeless, gap=1)
    with pytest.raises(DataError, match="baskets needs times"):
        baskets(timeless)
    backwards = replace(events, time=-events.time)
    with pytest.raises(DataError, match="times run backwards at event"):
        trajectories(backwards, gap=1)
    with pytest.raises(ConfigError, match=r"no context column 'S': .*did you mean 's'"):
        trajectories(events, session="S")
    with pytest.raises(ConfigError, match="the log has no context columns"):
        baskets(replace(events, context={}), basket="s")
    spot = replace(events, context={"s": Vector(np.zeros((len(events), 2)), is_place=True)})
    with pytest.raises(ConfigError, match="'s' is of the kind place, whose rows cannot be told"):
        baskets(spot, basket="s")
    with pytest.raises(DataError, match="do not ascend, one a sequence"):
        Sequences(np.array([0, 1, 2]), np.arange(2), np.array([1, 0], np.int32)).verify()


def test_what_is_missing_in_a_number_is_missing():
    events = random_log(1, 3).interactions
    one = Number(np.array([np.nan, np.nan, 2], np.float32))
    same = replace(events, user=np.zeros(3, np.int32), context={"s": one})
    assert baskets(same, basket="s").lengths.tolist() == [1, 1, 1]
    codes = Category(np.array([-1, -1, 0], np.int32), Vocabulary.of(["x"]))
    assert trajectories(replace(same, context={"s": codes}), session="s").lengths.tolist() == [2, 1]
