"""JNTM: states moved on by events, sub-trajectories by time, friends who go to the same places, bad links."""

import numba
import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError, UnknownIdError
from twofold.models.sequence import _jntm_friends as social
from twofold.models.sequence import _jntm_training as training
from twofold.models.sequence.jntm import JNTM
from twofold.testing import planted_log

HOUR = 3600
# The circles have a dozen events a person, which the default penalty on people would hold near nothing, and few
# places, of which few negatives are enough.
SMALL = {"factors": 8, "epochs": 15, "network_passes": 4, "reg_user": 0.03, "negatives": 0.05}


def circles(n_circles=5, people=8, places=6, events=14, rng=0):
    """Circles of friends with places of their own; return the log, the places each one never saw, and the log's friends."""
    random = np.random.default_rng(rng)
    rows, unseen, friends, later = [], {}, [], []
    for circle in range(n_circles):
        mine = [f"p{circle}_{one}" for one in range(places)]
        members = [circle * people + one for one in range(people)]
        for user in members:
            left_out = mine[user % places]
            unseen[user] = left_out
            known = [one for one in mine if one != left_out]
            for day in range(events // 2):
                at = day * 24 * HOUR
                for hour, place in enumerate(random.choice(known, 2, replace=False)):
                    rows.append((user, str(place), at + hour * HOUR))
        pairs = [(a, b) for a in members for b in members if a < b]
        held = random.random(len(pairs)) < 0.3
        friends += [one for one, out in zip(pairs, held, strict=True) if not out]
        later += [one for one, out in zip(pairs, held, strict=True) if out]
    user, item, time = zip(*rows, strict=True)
    data = tw.Dataset.from_frames(
        {"u": user, "i": item, "t": time}, user="u", item="i", time="t",
        links=pl.DataFrame(friends, schema=["a", "b"], orient="row"),
    )  # fmt: skip
    return data, unseen, later


@pytest.fixture(scope="module")
def planted():
    data, unseen, later = circles()
    return JNTM(**SMALL).fit(data, rng=0), data, unseen, later


def test_friends_go_to_the_same_places_and_are_found(planted):
    model, data, unseen, later = planted
    lists = model.recommend(users=list(unseen), k=1)
    hits = [i == unseen[u] for u, i in lists[["user", "item"]].rows()]
    assert np.mean(hits) > 0.8  # by chance 1 / 24
    found = model.recommend_friends(list(range(40)), k=3)
    pairs = {tuple(sorted(one)) for one in found[["user", "friend"]].rows()}
    assert sum(one in pairs for one in later) > 0.8 * len(later)
    old = {tuple(sorted(one)) for one in data.frame("links").rows()}
    assert not old & pairs
    scores = found["score"].to_numpy().reshape(-1, 3)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_the_network_tells_of_places_and_places_tell_of_friends():
    """Each likelihood alone knows less of the other's question than both together."""
    data, unseen, _ = circles(events=4)
    alone = tw.Dataset(data.interactions, data.users, data.items)
    made = {
        name: JNTM(**SMALL, objective=name).fit(one, rng=1)
        for name, one in (("joint", data), ("trajectories", alone), ("network", data))
    }

    def hits(model):
        lists = model.recommend(users=list(unseen), k=1)
        return np.mean([i == unseen[u] for u, i in lists[["user", "item"]].rows()])

    assert hits(made["joint"]) > hits(made["trajectories"])
    # A place is then the mean network vector of its visitors; by chance 1 of 28 is right.
    assert hits(made["network"]) > 0.15


def test_the_network_vector_climbs_the_sum_of_both_likelihoods(monkeypatch):
    """The step of F for trajectories is divided by the root of its squares in both likelihoods."""
    data, *_ = circles(events=4)
    epoch, seen = training.trajectory_epoch, {}

    def watched(trajectories, size, parts, pace, now, sums, rng):
        seen["from"], seen["edges"] = now.network.copy(), sums.network.copy()
        loss = epoch(trajectories, size, parts, pace, now, sums, rng)
        seen["to"], seen["both"] = now.network.copy(), sums.network.copy()
        return loss

    monkeypatch.setattr(training, "trajectory_epoch", watched)
    rate = 0.01
    JNTM(
        factors=4, epochs=1, network_passes=1, batch_size=40, learning_rate=rate, strangers=0.5
    ).fit(data, rng=0)
    assert (seen["edges"] > 0).all()
    places = seen["both"] - seen["edges"]  # squares of the gradient of the trajectories
    steps = rate**2 * places / seen["both"]
    np.testing.assert_allclose((seen["to"] - seen["from"]) ** 2, steps, rtol=0.02, atol=1e-9)


def test_one_event_is_one_step_and_equals_a_replay(planted):
    model, _, _, _ = planted
    own = model.memory.history
    users = np.array([0, 3, 17], np.int32)
    whole = own.take(users)
    once = model.start(whole, users)
    state = model.start(tw.Histories.empty(3), users)
    for at in range(int(whole.lengths[0])):  # all histories are equally long
        events = whole.indptr[:-1] + at
        state = model.advance(state, whole.item[events], whole.time[events])
    for name in ("cell", "head", "short", "liked", "count", "last"):
        np.testing.assert_allclose(getattr(state, name), getattr(once, name), rtol=1e-5, atol=1e-6)
    kept = model.remembered(users)
    for name in ("cell", "head", "short", "last"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(once, name))
    np.testing.assert_array_equal(model.lookup(users), model.encode_state(once))
    before = kept.cell.copy()
    model.advance(kept, np.array([1, 2, -1], np.int32))
    np.testing.assert_array_equal(kept.cell, before)


def test_an_unknown_place_changes_nothing_and_any_other_does(planted):
    model, *_ = planted
    state = model.remembered(np.array([0, 1], np.int32))
    after = model.advance(state, np.array([-1, 4], np.int32))
    x, y = model.encode_state(state), model.encode_state(after)
    np.testing.assert_array_equal(x[0], y[0])
    assert not np.allclose(x[1], y[1])


def test_the_time_of_the_question_begins_a_sub_trajectory(planted):
    model, *_ = planted
    d = model.estimator.factors
    last = int(model.remembered(np.array([0], np.int32)).last[0])
    asked = [last, last + 6 * HOUR, last + 6 * HOUR + 1, last + 900 * HOUR]
    user = np.zeros(4, np.int32)
    x = model.encode(Queries.known(user, time=np.array(asked))).vectors
    np.testing.assert_array_equal(x[0], x[1])
    np.testing.assert_array_equal(x[2], x[3])
    np.testing.assert_array_equal(x[0, : 2 * d], x[2, : 2 * d])
    assert not np.allclose(x[0, 2 * d :], x[2, 2 * d :])
    np.testing.assert_array_equal(model.lookup(user[:1])[0], x[0])
    lists = model.recommend(users=[0, 0], k=3, context={"time": asked[1:3]}, exclude_seen=False)
    scores = lists["score"].to_numpy().reshape(2, 3)
    assert not np.allclose(scores[0], scores[1])
    # As of that moment it is what an event at that moment is predicted from: h has read everything.
    state = model.remembered(np.array([0], np.int32))
    np.testing.assert_allclose(x[2, 3 * d :], np.tanh(state.cell[0]), rtol=1e-6)


def test_somebody_with_a_history_is_known_by_name_where_they_are_known(planted):
    model, *_ = planted
    d = model.estimator.factors
    histories = tw.Histories(
        np.array([0, 3, 6]), np.array([0, 1, 2, 0, 1, 2], np.int32), np.ones(6, np.float32)
    )
    x = model.encode(
        Queries(np.array([0, -1], np.int32), histories, np.array([True, True]))
    ).vectors
    np.testing.assert_array_equal(x[0, :d], model.preferences[0])
    np.testing.assert_array_equal(x[0, 2 * d :], x[1, 2 * d :])
    np.testing.assert_allclose(
        x[1, : 2 * d], model.visitors[[0, 1, 2]].mean(axis=0), rtol=1e-5, atol=1e-6
    )


def test_the_order_of_a_history_counts_and_its_length_is_free(planted):
    model, *_ = planted
    one = model.recommend(histories=[["p0_1", "p3_2"], ["p3_2", "p0_1"]], k=1, exclude_seen=False)
    assert one["score"][0] != one["score"][1]
    long = model.recommend(histories=[["p0_1", "p0_2"] * 20_000], k=3)
    assert np.isfinite(long["score"].to_numpy()).all()
    assert set(long["item"]) <= {f"p0_{one}" for one in range(6)}


def test_without_times_or_a_gap_a_history_is_one_trajectory():
    data, *_ = circles(events=4)
    log = data.interactions
    timeless = tw.Dataset(
        tw.data.interactions.Interactions(log.user, log.item, log.value, None, log.n_users, log.n_items),
        data.users, data.items, data.links,
    )  # fmt: skip
    settings = {"factors": 4, "epochs": 2, "network_passes": 1}
    first = JNTM(**settings).fit(timeless, rng=0)
    second = JNTM(**settings, gap=None).fit(data, rng=0)
    np.testing.assert_array_equal(first.outputs, second.outputs)
    assert first.context_kinds == {}
    # Nothing was read before the only sub-trajectory.
    np.testing.assert_array_equal(first.heads, np.repeat(first.shared[None, 7 * 4 + 4], 40, axis=0))


def test_the_number_of_threads_and_the_process_change_no_byte():
    data, *_ = circles(events=4)
    settings = {"factors": 6, "epochs": 2, "network_passes": 2, "batch_size": 7}
    before, found = numba.get_num_threads(), []
    try:
        for threads in (before, 1):
            numba.set_num_threads(threads)
            model = JNTM(**settings).fit(data, rng=3)
            found.append(
                [
                    getattr(model, one).tobytes()
                    for one in ("outputs", "shared", "context_vectors", "network_vectors", "cells")
                ]
            )
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


def test_validation_keeps_the_best_pass():
    data, *_ = circles()
    split = tw.split.last_trajectories(data, gap=6 * HOUR, validation=0.1)
    settings = {"factors": 6, "network_passes": 1, "learning_rate": 0.3, "patience": 2}
    kept = JNTM(epochs=30, **settings).fit(split.train, validation=split.validation, rng=0)
    scores = [
        JNTM(epochs=one, **settings).fit(split.train, rng=0).foresight(split.validation)
        for one in range(1, 13)
    ]
    stop = next(n for n in range(12) if n + 2 >= 12 or max(scores[n + 1 : n + 3]) <= scores[n])
    assert kept.foresight(split.validation) == pytest.approx(scores[stop], abs=1e-9)
    assert kept.best_epoch == stop + 1
    nobody = tw.Dataset.from_frames(
        {"u": ["zz"], "i": ["zz"], "t": [5]}, user="u", item="i", time="t"
    )
    assert kept.foresight(nobody) == 0


def test_links_to_oneself_given_again_or_to_strangers_count_for_nothing():
    log = {"u": [1, 1, 2, 2, 3, 3], "i": list("ababcd"), "t": [0, 60, 0, 60, 0, 60]}
    plain = {"a": [1, 2], "b": [2, 3]}
    odd = {"a": [1, 2, 1, 2, 2, 3, 77], "b": [2, 3, 1, 3, 1, 2, 1]}
    made = []
    for links in (plain, odd):
        data = tw.Dataset.from_frames(log, user="u", item="i", time="t", links=links)
        made.append(JNTM(factors=4, epochs=3, network_passes=2).fit(data, rng=0))
    assert "1 link names somebody" in data.notes[0]
    np.testing.assert_array_equal(made[0].network_vectors, made[1].network_vectors)
    np.testing.assert_array_equal(made[0].friend_rows, made[1].friend_rows)


def test_a_directed_link_counts_one_way():
    log = {"u": [1, 2, 3], "i": list("abc")}
    links = {"a": [1], "b": [2]}
    data = tw.Dataset.from_frames(log, user="u", item="i", links=links)
    ends, friend = social.friends_of(data.links, 3, directed=True)
    assert (ends.tolist(), friend.tolist()) == ([0, 1, 1, 1], [1])
    ends, friend = social.friends_of(data.links, 3, directed=False)
    assert (ends.tolist(), friend.tolist()) == ([0, 1, 2, 2], [1, 0])
    model = JNTM(factors=4, epochs=30, directed=True, network_passes=9).fit(data, rng=0)
    pairs = np.array([[0, 1], [1, 0]], np.int32)
    there, back = model.link_scores(pairs)
    assert there > back
    expected = [model.context_vectors[j] @ model.network_vectors[i] for i, j in pairs]
    np.testing.assert_allclose([there, back], expected, rtol=1e-5)
    model = JNTM(factors=4, epochs=3).fit(data, rng=0)
    there, back = model.link_scores(pairs)
    assert there == pytest.approx(back, rel=1e-5)


def test_without_links_places_are_learned_and_friends_are_refused():
    data = planted_log()
    model = JNTM(factors=4, epochs=3).fit(data, rng=0)
    assert len(model.recommend(users=[100], k=3)) == 3
    with pytest.raises(ConfigError, match=r"learned no network.*objective='joint'"):
        model.recommend_friends([100])
    with pytest.raises(ConfigError, match="learned no network"):
        model.link_scores(np.array([[0, 1]], np.int32))
    with pytest.raises(DataError, match="needs links between users"):
        JNTM(objective="network").fit(data, rng=0)
    with pytest.raises(ConfigError, match="no part left"):
        JNTM(preference=False, friends=False, short_term=False, long_term=False).fit(data, rng=0)


def test_bad_questions_are_refused_in_a_sentence(planted):
    model, *_ = planted
    state = model.remembered(np.array([0], np.int32))
    for items in ([1, 2], [99], [-2]):
        with pytest.raises(DataError, match=r"item"):
            model.advance(state, np.array(items, np.int32))
    with pytest.raises(DataError, match="one item, and one time"):
        model.advance(state, np.array([1], np.int32), np.array([1, 2]))
    with pytest.raises(UnknownIdError, match="9999"):
        model.recommend_friends([9999])
    with pytest.raises(ConfigError, match="single id"):
        model.recommend_friends("1")
    with pytest.raises(ConfigError, match="k must be"):
        model.recommend_friends([1], k=0)
    with pytest.raises(DataError, match="users of the pairs"):
        model.link_scores(np.array([[0, 400]], np.int32))
    assert model.recommend_friends([], k=2).is_empty()
    assert len(model.recommend_friends([0], k=500)) == 39 - len(
        model.friend_rows[model.friend_ends[0] : model.friend_ends[1]]
    )
    for bad in ({"factors": 0}, {"negatives": 0.0}, {"gap": -1}, {"objective": "both"}):
        with pytest.raises(ConfigError):
            JNTM(**bad)


def test_times_that_run_backwards_are_refused(planted):
    model, *_ = planted
    backwards = tw.Histories(
        np.array([0, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32), np.array([90, 5])
    )
    with pytest.raises(DataError, match="backwards"):
        model.start(backwards)


@pytest.mark.parametrize("part", ["preference", "friends", "short_term", "long_term"])
def test_a_part_that_is_left_out_is_not_there(part):
    data, *_ = circles(events=4)
    model = JNTM(factors=4, epochs=2, network_passes=1, **{part: False}).fit(data, rng=0)
    assert model.item_vectors.shape == (30, 12)
    assert model.lookup(np.array([0, 1], np.int32)).shape == (2, 12)
    assert len(model.recommend(users=[0], k=2)) == 2


@pytest.mark.data
def test_next_places_of_new_york_far_above_popularity(real):
    """Each later check-in is asked for with its own history and time."""
    data = real("lbsn2vec-nyc").filter(min_user_events=20, min_item_events=20)
    split = tw.split.last_fraction(data, test=0.1, repeats="keep")
    model = JNTM(factors=32, epochs=4, network_passes=1)
    found, popular = (
        tw.evaluate(one.fit(split.train, rng=0), split, ["recall@10"], ask="each event").values[
            "recall@10"
        ]
        for one in (model, tw.models.Popularity())
    )
    assert found > 0.3
    assert found > 3 * popular


def test_a_history_that_goes_on_from_training_is_read_from_there(planted):
    model, *_ = planted
    users = np.array([0, 3, 17, -1], np.int32)
    own = model.memory.history.take(users)
    longer, times = own.indptr + np.arange(5) * 2, []
    item, time = np.zeros(longer[-1], np.int32), np.zeros(longer[-1], np.int64)
    for row in range(4):
        end = slice(longer[row], longer[row + 1])
        known = slice(own.indptr[row], own.indptr[row + 1])
        last = int(own.time[known][-1]) if users[row] >= 0 else 0
        item[end] = [*own.item[known], 3, 5]
        time[end] = [*own.time[known], last + HOUR, last + 90 * HOUR]
        times.append(last)
    item[longer[1]] = (item[longer[1]] + 1) % 30  # another past than the one remembered
    told = tw.Histories(longer, item, np.ones(len(item), np.float32), time)
    once, resumed = model.start(told, users), model.resumed(told, users)
    for name in ("cell", "head", "short", "count", "last", "user"):
        np.testing.assert_allclose(
            getattr(resumed, name), getattr(once, name), rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(
        model.encode_state(resumed), model.encode_state(once), rtol=1e-5, atol=1e-6
    )
