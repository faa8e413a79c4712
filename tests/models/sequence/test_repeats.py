"""Repeats: what own visits say, counted by hand; the logit against finite differences; lists of both parts together."""

import numpy as np
import pytest

import twofold as tw
from twofold.data.queries import Queries
from twofold.errors import ConfigError, DataError
from twofold.models import IALS, Popularity, Repeats
from twofold.models.sequence import _repeat_questions
from twofold.models.sequence._repeat_questions import later, questions
from twofold.models.sequence._repeat_visits import HOUR, VISITS, visits
from twofold.models.sequence._repeat_weights import Taken, choices, climb, learned_weights

DAY = 24 * HOUR


def histories(*people, times=None):
    """Return histories of lists of item rows."""
    ends = np.cumsum([0, *map(len, people)])
    item = np.array([one for person in people for one in person], np.int32)
    time = None if times is None else np.array([t for person in times for t in person])
    return tw.Histories(ends, item, np.ones(len(item), np.float32), time)


def test_moments_that_are_told_count_as_times_do():
    timed = histories([1, 2, 3, 1], [2, 2], times=[[5, 5, 9, 9], [1, 4]])
    told = tw.Histories(timed.indptr, timed.item, timed.value, moment=np.array([0, 0, 1, 1, 0, 1]))
    one, other = visits(timed, 5, None), visits(told, 5, None)
    assert (one.owner.tolist(), one.item.tolist()) == (other.owner.tolist(), other.item.tolist())
    np.testing.assert_array_equal(one.values, other.values)
    alone = visits(tw.Histories(timed.indptr, timed.item, timed.value), 5, None)
    assert (one.values != alone.values).any()


def by_hand(person, times, item, asked):
    """Return what one history says of one item, event by event."""
    moments = []
    for one, at in zip(person, times, strict=True):
        if not moments or moments[-1][0] != at:
            moments.append((at, []))
        moments[-1][1].append(one)
    when = [number for number, (_, had) in enumerate(moments) if item in had]
    ago = len(moments) - when[-1]
    last = set(moments[-1][1])
    after = sum(
        moments[number][1].count(item)
        for number in range(1, len(moments))
        if last & set(moments[number - 1][1])
    )
    near = 0
    for one, at in zip(person, times, strict=True):
        apart = abs(at % DAY - asked % DAY)
        near += one == item and min(apart, DAY - apart) <= 2 * HOUR
    fresh = (1 + len(set(person))) / (1 + len(person))
    return [1, np.log(person.count(item)), -np.log(ago), ago == 1, np.log1p(after), np.log1p(near), -np.log(fresh)]  # fmt: skip


def test_visits_are_counted_as_by_hand():
    rng = np.random.default_rng(0)
    people = [rng.integers(0, 6, n).tolist() for n in (1, 9, 0, 30, 4)]
    times = [np.sort(rng.integers(0, 3 + len(one), len(one)) * 7 * HOUR).tolist() for one in people]
    asked = rng.integers(0, 50 * DAY, len(people))
    found = visits(histories(*people, times=times), 6, asked)
    expected = [
        (row, item, by_hand(person, times[row], item, int(asked[row])))
        for row, person in enumerate(people)
        for item in sorted(set(person))
    ]
    assert list(zip(found.owner.tolist(), found.item.tolist(), strict=True)) == [
        one[:2] for one in expected
    ]
    np.testing.assert_allclose(found.values, [one[2] for one in expected], rtol=1e-6, atol=1e-6)
    untimed = visits(histories(*people), 6, asked)
    assert not untimed.values[:, VISITS.index("hour")].any()


def problem(n=40, items=30, seed=0):
    rng = np.random.default_rng(seed)
    told = histories(*[rng.integers(0, items, rng.integers(0, 8)).tolist() for _ in range(n)])
    s = rng.normal(size=(n, items)).astype(np.float32)
    popular = rng.permutation(items).astype(np.float32) / items
    many = rng.integers(1, 4, n)
    item = np.concatenate([np.sort(rng.choice(items, one, replace=False)) for one in many])
    taken = Taken(np.concatenate([[0], np.cumsum(many)]), item.astype(np.int32))
    return s, popular, taken, visits(told, items, None)


def chosen(s, popular, taken, found, many):
    """The choices as the model finds them, from score blocks."""
    return choices(lambda a, b: s[a:b].copy(), popular, taken, found, many)


def by_question(s, popular, taken, found, many):
    """What competes in each question, item by item: what is said of it, and the weight of what was taken."""
    own = {
        (int(owner), int(item)): f.astype(float)
        for owner, item, f in zip(*found, strict=True)
    }  # fmt: skip
    rows = []
    for q in range(len(s)):
        near = {item for owner, item in own if owner == q}
        near |= set(np.argsort(-s[q])[:many].tolist()) | set(np.argsort(-popular)[:many].tolist())
        true = taken.item[taken.indptr[q] : taken.indptr[q + 1]].tolist()
        rows.append([
            (
                np.array([s[q, item], popular[item], *own.get((q, item), np.zeros(len(VISITS)))]),
                (item in true) / len(true),
            )
            for item in sorted(near)
        ])  # fmt: skip
    return rows


def literally(rows, at, ridge):
    """The log-likelihood as it is written, question by question."""
    total = -0.5 * ridge * at @ at
    for one in rows:
        z = np.array([x @ at for x, _ in one])
        total += sum(y * (z[k] - np.log(np.exp(z).sum())) for k, (_, y) in enumerate(one))
    return total


def test_what_competes_is_what_was_had_and_the_best_and_the_most_popular(monkeypatch):
    monkeypatch.setattr("twofold.models.sequence._repeat_weights.BLOCK", 7)
    given = problem()
    found, rows = chosen(*given, 3), by_question(*given, 3)
    assert np.diff(found.indptr).tolist() == [len(one) for one in rows]
    np.testing.assert_allclose(found.taken, [y for one in rows for _, y in one])
    x = np.array([x for one in rows for x, _ in one])
    means = [np.mean([x[0] for x, _ in one]) for one in rows]
    x[:, 0] -= np.repeat(means, np.diff(found.indptr))
    np.testing.assert_allclose(found.features, x, rtol=1e-5, atol=1e-6)
    assert 0 < found.taken.sum() < len(rows)  # some of what was taken is far from every list


def test_with_all_items_near_everything_competes():
    given = problem()
    found = chosen(*given, 1000)
    assert (np.diff(found.indptr) == 30).all()
    assert found.taken.sum() == pytest.approx(40)


def test_the_likelihood_and_its_gradient_are_those_that_are_written(monkeypatch):
    monkeypatch.setattr("twofold.models.sequence._repeat_weights.BLOCK", 7)
    given = problem()
    found, rows = chosen(*given, 4), by_question(*given, 4)
    at = np.random.default_rng(1).normal(size=2 + len(VISITS)) * 0.5
    ones = np.ones(len(at))

    def value(where):
        return literally(rows, where, 0.7)

    total, slope, bend = climb(found, at, ones, 0.7)
    assert total == pytest.approx(value(at), rel=1e-5)
    step = 1e-4
    each = step * np.eye(len(at))
    differences = [(value(at + one) - value(at - one)) / (2 * step) for one in each]
    np.testing.assert_allclose(slope, differences, rtol=1e-4, atol=1e-4)
    curve = [climb(found, at - one, ones, 0.7)[1] - slope for one in each]
    np.testing.assert_allclose(bend, np.array(curve) / step, rtol=1e-3, atol=1e-3)


def test_the_weights_are_at_the_top():
    given = problem(n=300, seed=3)
    found, rows = chosen(*given, 5), by_question(*given, 5)
    best = learned_weights(found, 1e-3)
    top = literally(rows, best, 0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        other = best + 0.1 * rng.normal(size=len(best))
        assert literally(rows, other, 0) < top + 0.01


def habits(n_users=30, days=40, seed=0):
    """Everybody has three places of their own and goes to them by turns; now and then to one of twenty others."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        own = rng.choice(20, 3, replace=False)
        for day in range(days):
            item = own[day % 3] if rng.random() < 0.8 else rng.integers(20)
            rows.append((user, f"p{item}", day * DAY))
    user, item, time = zip(*rows, strict=True)
    return tw.Dataset.from_frames(
        {"u": user, "i": item, "t": time}, user="u", item="i", time="t", duplicates="keep"
    )


def test_habits_are_found_that_counts_alone_do_not_see():
    split = tw.split.last_fraction(habits(), test=0.2, repeats="keep")
    scores = {
        name: tw.evaluate(model.fit(split.train, rng=0), split, ["recall@1"], ask="each event")["recall@1"]
        for name, model in (
            ("repeats", Repeats(model=Popularity())),
            ("frequency", tw.models.PersonalFrequency()),
            ("popularity", Popularity()),
        )
    }  # fmt: skip
    assert scores["repeats"] > scores["frequency"] + 0.2
    assert scores["frequency"] > scores["popularity"] + 0.1


@pytest.mark.parametrize("base", [IALS(factors=4), tw.models.ItemKNN()])
def test_lists_are_the_tops_of_the_products(base):
    model = Repeats(model=base).fit(habits(), rng=0)
    last = int(model.memory.history.time.max())
    users = np.array([0, 1, 5, -1, 2], np.int32)
    told = histories([], [], [], [1, 1, 2], [3, 0, 3], times=[[], [], [], [0, 1, 2], [5, 6, 7]])
    queries = Queries(
        users, told, np.array([False, False, False, True, True]), np.full(5, last + 7 * HOUR)
    )
    vectors, source = model.encode(queries)
    product = (vectors @ model.item_vectors.T).toarray()
    items, best, how = model.rank_block(queries, tw.Histories.empty(5), np.zeros(0, np.int32), 20)
    np.testing.assert_allclose(np.take_along_axis(product, items, 1), best, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(how, source)


def test_the_last_moments_are_held_out_whole():
    log = {
        "u": [1] * 6 + [2] * 3,
        "i": list("abcdef") + list("abc"),
        "t": [0, 1, 2, 2, 3, 3, 0, 0, 0],
    }
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    held = later(data.interactions, 0.5)
    assert held.tolist() == [False] * 2 + [True] * 4 + [False] * 3
    model = Popularity().fit(data.part(np.flatnonzero(~held)), rng=0)
    asked, taken = questions(data, held, model, 10, np.random.default_rng(0))
    # What is taken for the first time in a held-out moment is not known to the model: e and f, d; c is known by user 2.
    assert len(asked) == 1
    assert model.items.ids.ids.gather(taken.item).to_list() == ["c"]
    assert model.items.ids.ids.gather(asked.history.item).to_list() == ["a", "b"]


def test_bad_input_gets_a_sentence():
    once = tw.Dataset.from_frames({"u": [1, 2], "i": ["a", "b"]}, user="u", item="i")
    with pytest.raises(DataError, match="nobody in this log of 2 events has"):
        Repeats(model=Popularity()).fit(once)
    with pytest.raises(ConfigError, match=r"Repeats\.model"):
        Repeats(model="JNTM")
    with pytest.raises(ConfigError, match="did you mean 'IALS'"):
        Repeats(model={"model": "IASL"})


@pytest.mark.data
def test_factors_beside_repeats_lose_neither_to_popularity_beside_them_nor_to_counting(real):
    split = tw.split.last_fraction(real("lbsn2vec-nyc"), test=0.1, repeats="keep")
    scores = [
        tw.evaluate(model.fit(split.train, rng=0), split, ["recall@1"], ask="each event")["recall@1"]
        for model in (
            Repeats(model=IALS(factors=32)),
            Repeats(model=Popularity()),
            tw.models.PersonalFrequency(),
        )
    ]  # fmt: skip
    assert scores[0] > 0.98 * scores[1]
    assert scores[1] > 1.2 * scores[2]


def test_the_histories_of_all_questions_together_are_bounded(monkeypatch):
    """A person of n events has a share of n questions, of up to n events each."""
    log = {"u": [1] * 400 + [2] * 9, "i": list("abcd" * 102 + "a"), "t": list(range(409))}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    held = later(data.interactions, 0.5)
    first = tw.models.Popularity().fit(data.part(np.flatnonzero(~held)))

    def asked():
        found, taken = questions(data, held, first, 10_000, np.random.default_rng(0))
        assert len(taken.indptr) == len(found) + 1
        return found

    assert len(asked()) == 204
    monkeypatch.setattr(_repeat_questions, "TOLD", 3_000)
    few = asked()
    assert 2_000 < len(few.history.item) <= 3_000
    monkeypatch.setattr(_repeat_questions, "TOLD", 1)
    assert len(asked()) == 1


def with_a_robot(n=3000):
    """40 people who go where many go, and one whose events are most of the log and walk in a circle."""
    rng = np.random.default_rng(0)
    person = np.concatenate([np.zeros(n, np.int64), np.repeat(np.arange(1, 41), 12)])
    place = np.concatenate([np.arange(n) % 30, (30 * rng.random(480) ** 3).astype(int)])
    log = {"u": person, "i": place, "t": np.arange(len(person))}
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


def test_a_robot_has_a_small_part_of_the_questions(monkeypatch):
    data = with_a_robot()
    model = tw.models.Popularity().fit(data)
    held = later(data.interactions, 0.3)
    asked, taken = questions(data, held, model, 150, np.random.default_rng(0))
    assert np.bincount(asked.user).max() == 3
    assert len(asked) == len(taken.indptr) - 1 > 100
    monkeypatch.setattr(_repeat_questions, "TOLD", 3000)
    monkeypatch.setattr(_repeat_questions, "LONGEST", 30)
    asked, _ = questions(data, held, model, 150, np.random.default_rng(0))
    assert np.bincount(asked.user)[0] == 0, "what is too long to tell is not asked"
    assert len(asked) > 100
