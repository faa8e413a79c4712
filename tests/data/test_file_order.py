"""A log without times that is sorted by its ids is no order of events, and models of sequences say so."""

import warnings

import numpy as np
import pytest

import twofold as tw
from twofold.data.file_order import drawn_within, in_drawn_order, sorted_share
from twofold.errors import DataWarning


def log(order, times=False, n_users=40, n_items=60):
    """Everybody has a third of the items, in the given order of their ids."""
    rng = np.random.default_rng(0)
    lists = [order(np.flatnonzero(rng.random(n_items) < 1 / 3), rng) for _ in range(n_users)]
    columns = {
        "u": np.repeat(np.arange(n_users), [len(one) for one in lists]),
        "i": np.concatenate(lists),
    }
    if times:
        columns["t"] = np.arange(len(columns["u"]))
    return tw.Dataset.from_frames(columns, user="u", item="i", time="t" if times else None)


ORDERS = {
    "up": lambda items, rng: items,
    "down": lambda items, rng: items[::-1],
    "shuffled": lambda items, rng: rng.permutation(items),
}


@pytest.mark.parametrize(("name", "share"), [("up", 1), ("down", 1), ("shuffled", 0.5)])
def test_the_share_of_neighbours_in_the_order_of_their_ids(name, share):
    assert sorted_share(log(ORDERS[name]).interactions) == pytest.approx(share, abs=0.05)


def test_times_or_too_few_events_tell_nothing_of_the_file():
    assert sorted_share(log(ORDERS["up"], times=True).interactions) is None
    assert sorted_share(log(ORDERS["up"], n_users=5).interactions) is None


@pytest.mark.parametrize("name", ["HRM", "Token2Vec", "Doc2Vec", "ContextEmbedding"])
def test_models_of_sequences_name_a_file_that_is_sorted(name):
    model = getattr(tw.models, name)(factors=4, epochs=1)
    with pytest.warns(
        DataWarning, match=f"{name} learns the order of events.*100%.*column of times"
    ):
        model.fit(log(ORDERS["up"]), rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(log(ORDERS["shuffled"]), rng=0)


@pytest.mark.parametrize("name", ["GRU4Rec", "SASRec", "JNTM"])
def test_networks_of_sequences_do_so_too(name):
    pytest.importorskip("torch")
    model = getattr(tw.models, name)(epochs=1)
    with pytest.warns(DataWarning, match=f"{name} learns the order of events"):
        model.fit(log(ORDERS["up"]), rng=0)


def test_models_that_read_no_order_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tw.models.IALS(factors=4, epochs=1).fit(log(ORDERS["up"]), rng=0)


def test_events_of_one_moment_come_in_a_drawn_order_and_others_stay():
    rng = np.random.default_rng(0)
    columns = {
        "u": np.repeat([0, 1], 300),
        "i": np.tile(np.arange(300), 2),
        "t": np.tile(np.repeat(np.arange(30), 10), 2),
        "device": [str(one % 7) for one in range(600)],
    }
    data = tw.Dataset.from_frames(
        columns, user="u", item="i", time="t", context={"device": "category"}
    )
    drawn = in_drawn_order(data, rng)
    was, now = data.interactions, drawn.interactions
    np.testing.assert_array_equal(now.user, was.user)
    np.testing.assert_array_equal(now.time, was.time)
    assert (now.item != was.item).mean() > 0.8
    order = np.lexsort((now.item, now.time, now.user))
    np.testing.assert_array_equal(now.item[order], was.item)
    devices = now.context["device"].codes[order]
    np.testing.assert_array_equal(devices, was.context["device"].codes)


def test_without_times_all_that_somebody_did_is_one_moment():
    data = log(ORDERS["up"])
    drawn = in_drawn_order(data, np.random.default_rng(0))
    assert sorted_share(drawn.interactions) == pytest.approx(0.5, abs=0.05)
    for user in range(data.n_users):
        mine = slice(*data.interactions.indptr[user : user + 2])
        assert sorted(drawn.interactions.item[mine]) == sorted(data.interactions.item[mine])


def test_moments_are_those_of_one_user_at_one_time():
    columns = {"u": [0, 0, 0, 1, 1, 2], "i": [1, 2, 3, 1, 2, 1], "t": [5, 5, 9, 9, 9, 9]}
    timed = tw.Dataset.from_frames(columns, user="u", item="i", time="t").interactions
    assert timed.moments.tolist() == [0, 0, 1, 2, 2, 3]
    columns.pop("t")
    untimed = tw.Dataset.from_frames(columns, user="u", item="i").interactions
    assert untimed.moments.tolist() == [0, 1, 2, 3, 4, 5]


def test_positions_are_drawn_within_their_group_and_each_order_as_often():
    group, rng = np.repeat([0, 1], 3), np.random.default_rng(0)
    drawn = np.array([drawn_within(group, rng) for _ in range(6000)])
    np.testing.assert_array_equal(np.sort(drawn[:, :3], axis=1), np.tile([0, 1, 2], (6000, 1)))
    np.testing.assert_array_equal(np.sort(drawn[:, 3:], axis=1), np.tile([3, 4, 5], (6000, 1)))
    _, times = np.unique(drawn[:, :3] @ [9, 3, 1], return_counts=True)
    assert len(times) == 6
    assert (abs(times - 1000) < 150).all()
