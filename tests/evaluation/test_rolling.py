"""Questions asked along the events, against a loop that asks them one by one in the caller's ids."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data.interactions import Histories
from twofold.errors import ConfigError, DataError
from twofold.evaluation import questions
from twofold.models._base import FittedModel, Memory
from twofold.rank import Encoded

HOURS = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Echo(FittedModel):
    """Scores that depend on everything a question says: who, the history in order and its times, when, the context."""

    noise: Any  # (n_users + 1, n_items); the last row is for strangers
    by_hour: Any  # (HOURS + 1, n_items)

    @property
    def item_vectors(self):
        return np.eye(len(self.items), dtype=np.float32)

    @property
    def context_kinds(self):
        return {"hour": "category", "time": "time"}

    def fold_in(self, histories):
        out = np.zeros((len(histories), len(self.items)), np.float32)
        for row in range(len(histories)):
            one = histories.take(np.array([row]))
            for at, item in enumerate(one.item):
                age = len(one.item) - 1 - at
                moment = 0 if one.time is None else one.time[at] % 3
                out[row, item] += 0.5**age * (1 + 0.1 * moment)
        return out

    def resume(self, users, histories):
        return self.fold_in(histories) + self.noise[users]

    def lookup(self, users):
        return self.fold_in(self.memory.history.take(users)) + self.noise[users]

    def encode(self, queries):
        vectors, source = super().encode(queries)
        if "hour" in queries.context:
            vectors = vectors + self.by_hour[queries.context["hour"].codes]
        if queries.time is not None:
            vectors = vectors + 0.01 * (queries.time[:, None] % 7 == np.arange(len(self.items)) % 7)
        return Encoded(vectors.astype(np.float32), source)


def score(model, user, history, hour, time):
    """What `Echo` makes of one question, in the caller's ids; history is (item, time) pairs."""
    ids = model.items.ids.ids.to_list()
    known = [(one, when) for one, when in history if one in ids]
    users = model.users.ids.ids.to_list()
    if not known:
        out = model.memory.popularity.astype(float).copy()
        return dict(zip(ids, out, strict=True))
    out = model.noise[users.index(user) if user in users else -1].astype(float).copy()
    for at, (one, when) in enumerate(known):
        out[ids.index(one)] += 0.5 ** (len(known) - 1 - at) * (1 + 0.1 * ((when or 0) % 3))
    if hour is not None:
        out = out + model.by_hour[hour]
    if time is not None:
        out = out + 0.01 * (time % 7 == np.arange(len(ids)) % 7)
    return dict(zip(ids, out, strict=True))


def echo(train, seed=0):
    rng = np.random.default_rng(seed)
    return Echo(
        estimator=tw.models.Popularity(),
        memory=Memory.of(train),
        noise=rng.normal(0, 0.3, (train.n_users + 1, train.n_items)).astype(np.float32),
        by_hour=rng.normal(0, 0.3, (HOURS + 1, train.n_items)).astype(np.float32),
    )


def random_log(seed, n=90, items=8, timed=True):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 7, n),
            "item": rng.integers(0, items, n),
            "time": rng.integers(0, 50, n),
            "hour": rng.integers(0, HOURS, n),
        }
    ).unique(["user", "item", "time"], maintain_order=True)
    return tw.Dataset.from_frames(
        frame.with_columns(pl.col("hour").cast(pl.String)),
        user="user", item="item", time="time" if timed else None, context={"hour": "category"},
    )  # fmt: skip


def asked_one_by_one(model, split, k, *, ask, tells, new, hide, drop):
    """Values of every user, by loops over frames: user -> list of (recall, reciprocal rank)."""
    known = set(model.items.ids.ids.to_list())
    columns = ("user", "item", "time", "hour")

    def rows(part):
        frame = part.frame()
        if "time" not in frame.columns:
            frame = frame.with_columns(time=pl.lit(None, pl.Int64))
        return frame.select(columns).rows()

    earlier = [
        one for one in (split.train, split.test_history, split.validation) if one is not None
    ]
    found = {}
    for user in split.test.users.ids.ids.to_list():
        past = [row for part in earlier for row in rows(part) if row[0] == user]
        own = [row for row in rows(split.test) if row[0] == user]
        line = [(row, False) for row in past] + [(row, True) for row in own]
        line = sorted(line, key=lambda one: one[0][2] or 0)  # stable: earlier parts first
        groups: list[list[int]] = []
        for at, (row, held) in enumerate(line):
            if not held:
                continue
            last = next((a for a in reversed(range(at)) if line[a][1]), None)
            same = last is not None and (
                ask == "each user" or (ask == "each basket" and line[last][0][2] == row[2])
            )
            if same:
                groups[-1].append(at)
            else:
                groups.append([at])
        for group in groups:
            first = line[group[0]][0]
            before = [row for row, _ in line[: group[0]]]
            targets = set()
            for at in group:
                item = line[at][0][1]
                had = {row[1] for row, _ in line[:at]} if new == "before" else set()
                if new == "training":
                    had = {row[1] for row in past}
                if item not in had and not (drop and item not in known):
                    targets.add(item)
            if not targets:
                continue
            trained = [row for row in rows(split.train) if row[0] == user]
            told = before if tells else trained
            context = ask != "each user"
            scores = score(
                model, user, [(row[1], row[2]) for row in told],
                model_hour(split, first[3]) if context else None, first[2] if context else None,
            )  # fmt: skip
            seen = {row[1] for row in (past if new == "training" else before)} if hide else set()
            ids = model.items.ids.ids.to_list()
            ranked = sorted((one for one in ids if one not in seen), key=lambda one: (-np.float32(scores[one]), ids.index(one)))  # fmt: skip
            hits = [at + 1 for at, one in enumerate(ranked[:k]) if one in targets]
            found.setdefault(user, []).append(
                (len(hits) / len(targets), 1 / hits[0] if hits else 0.0)
            )
    return found


def model_hour(split, hour):
    return split.test.interactions.context["hour"].levels.ids.to_list().index(hour)


WAYS = {
    "temporal": lambda data: tw.split.temporal(data, test=0.3, validation=0.1, repeats="keep"),
    "leave_last": lambda data: tw.split.leave_last(data, n=3, validation=True, repeats="keep"),
    "last_basket": lambda data: tw.split.last_basket(data, validation=True),
    "dropped": lambda data: tw.split.last_fraction(data, test=0.4, validation=0.1),
    "user_disjoint": lambda data: tw.split.user_disjoint(data, test=0.3, rng=0),
}


@given(
    seed=st.integers(0, 10**6),
    way=st.sampled_from(sorted(WAYS)),
    ask=st.sampled_from(["each user", "each event", "each basket"]),
    up_to_date=st.sampled_from([None, True, False]),
    new=st.sampled_from([None, "before", "training"]),
    exclude_seen=st.sampled_from([None, True, False]),
    drop=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_every_value_is_that_of_questions_asked_one_by_one(
    seed, way, ask, up_to_date, new, exclude_seen, drop
):
    data = random_log(seed, items=14)
    split = WAYS[way](data)
    model = echo(split.train, seed)
    tells = ask != "each user" if up_to_date is None else up_to_date
    if ask == "each user" and not tells and new is None:
        return  # one question a user is what the other tests are about
    if split.test_history is not None and not tells:
        return
    hide = exclude_seen if exclude_seen is not None else new is not None or not split.repeats
    expected = asked_one_by_one(
        model, split, 3, ask=ask, tells=tells, new=new, hide=hide, drop=drop
    )
    options = {
        "ask": ask, "up_to_date": up_to_date, "new": new, "exclude_seen": exclude_seen,
        "unknown_items": "drop" if drop else "count",
    }  # fmt: skip
    if not expected:
        with pytest.raises(ConfigError, match="no question of the test part is left to ask"):
            tw.evaluate(model, split, ["recall@3"], **options)
        return
    report = tw.evaluate(model, split, ["recall@3", "mrr@3"], **options)
    values = [one for some in expected.values() for one in some]
    assert report["recall@3"] == pytest.approx(np.mean([one for one, _ in values]))
    assert report["mrr@3"] == pytest.approx(np.mean([one for _, one in values]))
    assert report.n_users == len(expected)
    assert report.settings["questions"] == len(values)
    per_user = dict(report.per_user.select("user", "mrr@3").drop_nulls().rows())
    assert per_user == pytest.approx(
        {who: np.mean([one for _, one in some]) for who, some in expected.items()}
    )
    np.testing.assert_array_equal(
        report.weights["mrr@3"],
        [len(expected.get(who, ())) for who in split.test.users.ids.ids.to_list()],
    )


@pytest.mark.parametrize(("users", "events"), [(1, 1), (3, 20), (4096, 2**21)])
def test_values_do_not_depend_on_the_blocks(monkeypatch, users, events):
    split = tw.split.last_fraction(random_log(3, n=400), test=0.5, repeats="keep")
    model = tw.models.ItemKNN().fit(split.train)
    names = ["ndcg@10", "hit@1", "novelty@5", "auc"]
    whole = tw.evaluate(model, split, names, ask="each event")
    monkeypatch.setattr(questions, "BLOCK_USERS", users)
    monkeypatch.setattr(questions, "BLOCK_EVENTS", events)
    cut = tw.evaluate(model, split, names, ask="each event")
    assert cut.values == whole.values
    assert cut.intervals == whole.intervals


def test_a_block_tells_no_more_events_than_it_may(monkeypatch):
    monkeypatch.setattr(questions, "BLOCK_EVENTS", 50)
    lengths = np.array([10, 20, 30, 60, 5, 5, 50])
    stop = np.cumsum(lengths)
    some = questions.Prefixes(stop - lengths, stop, np.zeros(stop[-1], np.int32), np.ones(stop[-1], np.float32), None)  # fmt: skip
    asked = questions.Questions(
        queries=None, targets=questions.Targets(np.arange(8), np.zeros(7, np.int32)), hidden=None,
        users=None, n_unknown=0, owner=np.zeros(7, int), told=some,
    )  # fmt: skip
    assert [(one.start, one.stop) for one in asked.blocks()] == [(0, 2), (2, 3), (3, 4), (4, 6), (6, 7)]  # fmt: skip
    told = some.take(np.array([1, 0]))
    assert told.lengths.tolist() == [20, 10]


def test_a_log_without_times_is_asked_in_its_order():
    split = tw.split.leave_last(random_log(5, timed=False), n=3, repeats="keep")
    model = echo(split.train)
    report = tw.evaluate(model, split, ["recall@3"], ask="each event")
    found = asked_one_by_one(
        model, split, 3, ask="each event", tells=True, new=None, hide=False, drop=False
    )
    assert report["recall@3"] == pytest.approx(
        np.mean([one for some in found.values() for one, _ in some])
    )
    with pytest.raises(DataError, match="baskets needs times"):
        tw.evaluate(model, split, ask="each basket")


def test_one_more_event_changes_the_next_answer_and_not_the_ones_before():
    """Next item by the last item: a walk round a ring is foreseen only by who is told where it stands."""
    n = 200
    walk = {"u": [1] * n, "i": [one % 10 for one in range(n)], "t": list(range(n))}
    data = tw.Dataset.from_frames(walk, user="u", item="i", time="t")
    split = tw.split.last_fraction(data, test=0.5, repeats="keep")

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Step(Echo):
        context_kinds: ClassVar = {}

        def encode(self, queries):
            return FittedModel.encode(self, queries)

        def resume(self, users, histories):
            out = np.zeros((len(histories), len(self.items)), np.float32)
            out[np.arange(len(out)), (histories.item[histories.indptr[1:] - 1] + 1) % 10] = 1
            return out

        def lookup(self, users):
            return self.resume(users, self.memory.history.take(users))

    made = echo(split.train)
    model = Step(estimator=made.estimator, memory=made.memory, noise=0, by_hour=0)
    assert tw.evaluate(model, split, ["hit@1"], ask="each event")["hit@1"] == 1.0
    frozen = tw.evaluate(model, split, ["hit@1"], ask="each event", up_to_date=False)
    assert frozen["hit@1"] == pytest.approx(0.1)
    assert frozen.settings["up_to_date"] is False


def test_intervals_resample_users_and_not_events():
    """A user's events are alike, so that twenty events of one tell little more than one of them."""
    rng = np.random.default_rng(0)
    log = {"u": np.repeat(np.arange(60), 40), "t": np.tile(np.arange(40), 60)}
    log["i"] = np.where(np.repeat(rng.random(60) < 0.5, 40), 0, rng.integers(1, 40, 2400))
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    split = tw.split.last_fraction(data, test=0.5, repeats="keep")
    model = tw.models.Popularity().fit(split.train)
    report = tw.evaluate(model, split, ["hit@1"], ask="each event", exclude_seen=False)
    low, high = report.intervals["hit@1"]
    assert high - low > 0.2  # by events it would be 4 * sqrt(.25 / 1200) = .06
    assert "1,200 questions (each event)" in str(report)


def test_models_are_compared_along_the_events():
    split = tw.split.last_fraction(random_log(8, n=300), test=0.3, repeats="keep")
    board = tw.compare({"knn": tw.models.ItemKNN()}, split, ["mrr@5"], ask="each event")
    assert set(board.results) == {"knn", "popularity"}
    assert all(one.report.settings["ask"] == "each event" for one in board.results.values())
    assert board.p_values["mrr@5"]


def test_ways_of_asking_that_do_not_exist_are_refused():
    split = tw.split.last_fraction(random_log(8, n=300), test=0.3, repeats="keep")
    model = tw.models.Popularity().fit(split.train)
    for options, message in (
        ({"ask": "each events"}, "ask got 'each events'; .*did you mean 'each event'"),
        ({"new": "befor"}, "new got 'befor'; .*did you mean 'before'.*, or None"),
        ({"up_to_date": "yes"}, "up_to_date must be True, False or None; got 'yes'"),
    ):
        with pytest.raises(ConfigError, match=message):
            tw.evaluate(model, split, **options)
    with pytest.raises(ConfigError, match="rmse is measured on all held-out ratings at once"):
        tw.evaluate(model, split, ["rmse"], ask="each event")


def test_histories_are_told_with_values_times_and_context():
    split = tw.split.last_fraction(random_log(8, n=60), test=0.3, repeats="keep")
    model = echo(split.train)
    made = replace(model, noise=np.zeros_like(model.noise))
    from twofold.evaluation.rolling import Asking, ask_along

    asked = ask_along(
        made, split, "test", Asking("each event"), unknown_items="count", relevant_from=None
    )
    block = asked.asked(slice(0, 4))
    assert isinstance(block.history, Histories)
    assert (block.history.value == 1).all()
    events = split.test.interactions
    np.testing.assert_array_equal(block.time, events.time[:4])
    np.testing.assert_array_equal(block.context["hour"].codes, events.context["hour"].codes[:4])
    for row in range(4):
        one = block.history.take(np.array([row]))
        assert (np.diff(one.time) >= 0).all()
        assert one.time.max() <= block.time[row]
