"""Lists made after the fact, against events counted by hand, and the ranker that learns from them."""

import numpy as np
import pytest

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import DataError
from twofold.impressions import LearnsFromLists, gained, shown_lists
from twofold.models._shown import named_scores
from twofold.rank import rank


def shop(seed=0, n_users=80, n_items=24, n_events=12, values=True, times=True):
    """People who keep to one of two halves of a shop, and spend on dear things as often as on cheap ones."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), n_events)
    item = 2 * rng.integers(0, n_items // 2, len(user)) + user % 2
    columns = {"u": user, "i": item, "t": rng.integers(0, 1000, len(user))}
    columns["paid"] = 1.0 + 9 * (item % 3 == 0)
    return tw.Dataset.from_frames(
        columns,
        user="u",
        item="i",
        value="paid" if values else None,
        time="t" if times else None,
    )


ESTIMATORS = (tw.models.Popularity(), tw.models.IALS(factors=4, epochs=3))


def test_lists_are_those_of_models_that_saw_the_part_before_and_gains_are_counted_after():
    data = shop()
    events = data.interactions
    shown = shown_lists(ESTIMATORS, data, 0.25, 6, 0)
    cut = int(shown.time[0])
    assert 0.2 < (events.time >= cut).mean() < 0.3
    early = tw.Dataset(events.take(np.flatnonzero(events.time < cut)), data.users, data.items)
    models = [one.fit(early, rng=0) for one in ESTIMATORS]
    users = events.user[shown.event]
    lists = [rank(one, Queries.known(users), 6, exclude_seen=False) for one in models]
    assert len(users) > 40
    assert len(set(users.tolist())) == len(users)
    for row, user in enumerate(users):
        mine = np.flatnonzero(events.user == user)
        assert shown.event[row] == mine[events.time[mine] >= cut][0]
        union = {int(item) for one in lists for item in one.items[row]}
        assert {int(item) for item in shown.items[row] if item >= 0} == union
        for place, item in enumerate(shown.items[row]):
            if item < 0:
                assert shown.value[row, place] == 0
                continue
            after = mine[(events.time[mine] >= cut) & (events.item[mine] == item)]
            assert shown.value[row, place] == pytest.approx(events.value[after].sum())
            for at, one in enumerate(lists):
                there = np.flatnonzero(one.items[row] == item)
                got = shown.named[row, place, at]
                wanted = one.scores[row, there[0]] if len(there) else np.nan
                assert got == pytest.approx(wanted, rel=1e-6, nan_ok=True)
    assert (shown.value > 0).any()


def test_an_item_that_the_part_before_lacks_is_not_named():
    rng = np.random.default_rng(0)
    log = {"u": rng.integers(0, 20, 400), "i": rng.integers(0, 8, 400), "t": np.arange(400)}
    log["i"][300:] = rng.integers(0, 10, 100)  # 8 and 9 appear late
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    shown = shown_lists(ESTIMATORS, data, 0.25, 10, 0)
    new = data.items.ids.rows([8, 9])
    assert not np.isin(shown.items, new).any()


def test_gains_are_summed_over_repeats():
    data = shop()
    events = data.interactions
    users = np.array([3, 5, 70], np.int32)
    items = np.tile(np.arange(-1, 24, dtype=np.int32), (3, 1))
    wanted = np.zeros((3, 25))
    for row, user in enumerate(users):
        for item in range(24):
            at = (events.user == user) & (events.item == item)
            wanted[row, item + 1] = events.value[at].sum()
    np.testing.assert_allclose(gained(events, users, items), wanted)


def test_nobody_named_anything():
    union = np.full((2, 1), -1, np.int32)
    lists = [(np.full((2, 3), -1, np.int32), np.full((2, 3), -np.inf, np.float32))]
    assert np.isnan(named_scores(union, lists, 5)).all()


@pytest.mark.parametrize(
    ("data", "share", "depth", "said"),
    [
        (shop(times=False), 0.2, 5, "need times"),
        (shop(), 0.9999, 5, "nothing is left before"),
    ],
)
def test_logs_without_a_part_before_are_refused(data, share, depth, said):
    with pytest.raises(DataError, match=said):
        shown_lists(ESTIMATORS, data, share, depth, 0)


def test_lists_of_which_nothing_was_taken_are_refused():
    log = {"u": [1, 1, 1, 2, 2, 2], "i": ["a", "b", "c", "a", "b", "d"], "t": [1, 2, 9, 1, 2, 9]}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    with pytest.raises(DataError, match="nobody took what the candidate models name"):
        shown_lists([tw.models.Popularity()], data, 0.2, 5, 0)


# ---- the ranker and the pipeline ------------------------------------------------------------------

RANKER = tw.models.YouTubeRanker(hidden=(8,), epochs=6, batch_size=64, learning_rate=0.01)


@pytest.fixture(scope="module")
def two():
    pytest.importorskip("torch")
    estimator = tw.Pipeline(candidates=list(ESTIMATORS), ranker=RANKER, depth=12, lists=0.3)
    return estimator.fit(shop(), rng=0)


def test_the_scores_of_the_candidate_models_reach_the_ranker(two):
    users = np.arange(30, dtype=np.int32)
    asked = Queries.known(users)
    found = rank(two, asked, 24, exclude_seen=False)
    lists = [rank(one, asked, 12, exclude_seen=False) for one in two.candidates]
    named = named_scores(found.items, [(one.items, one.scores) for one in lists], 24)
    assert two.ranker.n_named == 2
    wanted = two.ranker.score(asked, found.items, named)
    np.testing.assert_allclose(found.scores, wanted, rtol=1e-5)
    assert not np.allclose(found.scores, two.ranker.score(asked, found.items))


def test_the_second_stage_learns_what_is_dear(two):
    """Both halves of the shop are taken alike; only the lists say that a third of the items is worth ten times as much."""
    data = shop()
    users = np.arange(data.n_users, dtype=np.int32)
    paid = np.zeros(data.n_items)
    paid[data.interactions.item] = data.interactions.value

    def worth(model):
        found = rank(model, Queries.known(users), 4, exclude_seen=False).items
        own = data.items.ids.ids.to_numpy()[found] % 2 == users[:, None] % 2
        return (paid[found] * own).mean()

    alone = tw.Pipeline.join(two.candidates, depth=12)
    assert worth(two) > 1.3 * worth(alone)


def test_the_same_seed_gives_the_same_pipeline(two):
    again = two.estimator.fit(shop(), rng=0)
    for name, array in two.ranker.weights.items():
        np.testing.assert_array_equal(array, again.ranker.weights[name])


def test_a_saved_pipeline_reads_the_scores_too(two, tmp_path):
    two.save(tmp_path / "two")
    ask = {"users": [0, 5, 40], "k": 8, "exclude_seen": False}
    assert tw.load(tmp_path / "two").recommend(**ask).equals(two.recommend(**ask))


@pytest.mark.parametrize("data", [shop(times=False), shop(values=True)])
def test_a_log_that_says_what_was_passed_by_or_has_no_times_is_learned_from_itself(data):
    pytest.importorskip("torch")
    if data.interactions.time is not None:
        value = data.interactions.value.copy()
        value[::3] = 0
        data = tw.Dataset(data.interactions.with_values(value), data.users, data.items)
    made = tw.Pipeline(candidates=[tw.models.Popularity()], ranker=RANKER).fit(data, rng=0)
    assert made.ranker.n_named == 0
    assert made.recommend(users=[1], k=3).height == 3


def test_no_lists_is_the_log_alone():
    pytest.importorskip("torch")
    estimator = tw.Pipeline(candidates=[tw.models.Popularity()], ranker=RANKER, lists=0)
    alone = estimator.fit(shop(), rng=0).ranker
    assert alone.n_named == 0


def test_scores_of_other_candidate_models_are_refused(two):
    items = np.zeros((1, 3), np.int32)
    asked = Queries.known(np.zeros(1, np.int32))
    with pytest.raises(DataError, match=r"shape \(1, 3, 2\); got \(1, 3, 1\)"):
        two.ranker.score(asked, items, np.zeros((1, 3, 1), np.float32))


def test_the_model_that_learns_from_lists_says_so():
    assert isinstance(tw.models.YouTubeRanker(), LearnsFromLists)
    assert tw.models.YouTubeRanker.learns_from_lists
    others = [name for name in tw.models.__all__ if name != "YouTubeRanker"]
    assert not [name for name in others if isinstance(getattr(tw.models, name)(), LearnsFromLists)]
