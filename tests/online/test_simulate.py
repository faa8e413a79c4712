"""The population: chances against frequencies, lists asked for in order whatever the server, truth against brute force."""

import asyncio
import itertools
import json
import math

import httpx2
import numpy as np
import polars as pl
import pytest

from twofold.errors import ConfigError, DataError
from twofold.online.outcomes import ClickThrough, Conversion, Retention, Revenue, WatchTime
from twofold.online.simulate import People, Population, browse, browsing, gathered, truth
from twofold.online.simulate.people import DAY, EPOCH
from twofold.online.simulate.population import Person, any_of, examination

SMALL = People(
    count=40, newcomers=2, items=60, new_items=2, days=4, past_items=6, shown=5, attraction=0.15
)


@pytest.fixture(scope="module")
def people():
    return Population(SMALL, rng=3)


def chance(people, person, item, day):
    """The chance of the module's head, literally, in plain Python."""
    told = people.settings
    angle = told.drift * day
    taste = [
        math.cos(angle) * a + math.sin(angle) * b
        for a, b in zip(people.turns[0][person], people.turns[1][person], strict=True)
    ]
    logit = (
        math.log(told.attraction / (1 - told.attraction))
        + told.readiness * people.readiness[person]
        + told.popularity * people.popularity[item]
        + told.taste * sum(a * b for a, b in zip(taste, people.appeal[item], strict=True))
    )
    return 1 / (1 + math.exp(-logit))


# ---- the population -----------------------------------------------------------------------------


def test_clicks_amounts_and_purchases_come_as_often_as_the_formulas_say(people):
    """Frequencies of 8,000 reactions of one person to one list, beside the formulas, by place."""
    n, day, rows = 8_000, 2.0, [4, 9, 1, 30, 12]
    stream = np.random.default_rng(0)
    listed = [people.items[row] for row in rows]
    clicks, watched, bought, spent, answers, sales = np.zeros(5), 0.0, np.zeros(5), 0.0, 0, 0
    for _ in range(n):
        found = Person(people, 7).react(listed, day, stream)
        answers += bool(found.taken)
        sales += any(one.spent for one in found.taken)
        for one in found.taken:
            clicks[one.place] += 1
            watched += one.watched
            bought[one.place] += one.spent > 0
            spent += one.spent
            assert one.spent in (0.0, people.price[rows[one.place]])
    pull = np.array([chance(people, 7, row, day) for row in rows])
    expected = pull / np.arange(1, 6)
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(clicks / n - expected) < 4 * error).all()
    sold = expected * people.settings.bought * pull
    assert (np.abs(bought / n - sold) < 4 * np.sqrt(sold / n)).all()
    assert answers / n == pytest.approx(found.answered, abs=4 * math.sqrt(0.25 / n))
    assert sales / n == pytest.approx(found.bought, abs=4 * math.sqrt(found.bought / n))
    assert watched / n == pytest.approx(found.watched, rel=0.08)
    assert spent / n == pytest.approx(found.spent, rel=0.2)
    assert found.watched == pytest.approx((expected * pull).sum() * people.settings.watched)
    assert found.spent == pytest.approx((sold * people.price[rows]).sum())


def test_the_chance_of_an_answer_is_that_of_all_ways_to_answer():
    """Every set of places that are clicked, summed up."""
    chances = np.array([0.5, 0.2, 0.05, 0.3])
    some = sum(
        math.prod(p if hit else 1 - p for p, hit in zip(chances, hits, strict=True))
        for hits in itertools.product([0, 1], repeat=4)
        if any(hits)
    )
    assert any_of(chances) == pytest.approx(some)
    assert any_of(np.array([1.0, 0.2])) == 1.0
    assert any_of(np.zeros(0)) == 0.0


def test_the_same_item_is_clicked_less_further_down():
    told = People(count=1, items=50, past_items=1, days=2, attraction=0.5, position_bias=0.7)
    people = Population(told, rng=0)
    stream = np.random.default_rng(1)
    counts = np.zeros(8)
    for _ in range(4000):
        for at in (0, 7):
            listed = [people.items[1 + one] for one in range(8)]
            listed[at] = people.items[0]
            found = Person(people, 0).react(listed, 0.0, stream)
            counts[at] += any(one.place == at for one in found.taken)
    assert counts[7] / counts[0] == pytest.approx(8**-0.7, rel=0.12)
    assert examination(3, 0.0).tolist() == [1.0, 1.0, 1.0]


def test_nobody_takes_an_item_twice(people):
    person, stream = Person(people, 0), np.random.default_rng(0)
    taken = []
    for _ in range(400):
        found = person.react(people.items[:5], 0.0, stream)
        taken += [one.place for one in found.taken]
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 5
    assert found.answered == 0.0


def test_a_good_mood_brings_people_back_and_newcomers_come_when_they_arrive():
    told = People(count=3000, newcomers=30, items=40, past_items=2, days=3, visits=0.3, loyalty=2.0)
    people = Population(told, rng=0)
    came = []
    for mood in (0.0, 1.0):
        lives = [Person(people, row) for row in range(3000)]
        for one in lives:
            one.mood = mood
        came.append(np.mean([one.visit(1) is not None for one in lives]))
    odds = math.log(0.3 / 0.7)
    for share, mood in zip(came, (-0.5, 0.5), strict=True):
        assert share == pytest.approx(1 / (1 + math.exp(-odds - 2 * mood)), abs=0.035)
    for row in np.flatnonzero(people.person_arrives == 1).tolist():
        newcomer = Person(people, row)
        assert newcomer.visit(0) is None
        when, _ = newcomer.visit(1)
        assert EPOCH + DAY <= when < EPOCH + 2 * DAY
    assert (people.person_arrives == 1).sum() > 10


def test_the_mood_follows_the_lists(people):
    person, stream = Person(people, 1), np.random.default_rng(0)
    mood = 0.5
    for _ in range(30):
        found = person.react(people.items[5:10], 0.0, stream)
        mood += SMALL.memory * (bool(found.taken) - mood)
        assert person.mood == pytest.approx(mood)


def test_tastes_turn_and_keep_their_spread(people):
    assert people.taste(4, 0) == pytest.approx(people.turns[0][4])
    quarter = math.pi / 2 / people.settings.drift
    assert people.taste(4, quarter) == pytest.approx(people.turns[1][4])
    many = Population(People(count=4000, items=40, past_items=2, days=1), rng=0)
    for day in (0.0, 20.0, 60.0):
        spread = np.std([many.taste(row, day) for row in range(4000)])
        assert spread == pytest.approx(1.0, abs=0.03)


def test_the_past_log_is_of_the_past_and_prefers_what_attracts():
    told = People(count=400, newcomers=5, items=60, new_items=4, days=4, past_items=8)
    people = Population(told, rng=1)
    log = people.log()
    frame = log.frame("interactions")
    assert frame["time"].max() < told.start
    assert frame["time"].min() >= told.start - told.past_days * DAY
    assert log.n_users == 400
    assert log.n_items == 60, "new items are not known yet"
    assert frame.group_by("user", "item").len()["len"].max() == 1
    assert len(frame) / 400 == pytest.approx(1 + 8 * math.exp(told.readiness**2 / 2), rel=0.08)
    counts = dict(frame.group_by("item").len().iter_rows())
    taken = [counts.get(one, 0) for one in people.items[:60]]
    assert np.corrcoef(taken, people.popularity[:60])[0, 1] > 0.6
    mean = {
        hit: np.mean([chance(people, int(u[1:]), int(i[1:]), 0) for u, i in pairs])
        for hit, pairs in (
            (True, frame.select("user", "item").iter_rows()),
            (False, itertools.product(people.people[:400], people.items[:60])),
        )
    }
    assert mean[True] > 1.5 * mean[False]


def test_the_same_seed_is_the_same_population_and_another_is_another():
    one, same, other = (
        Population(SMALL, rng=seed).log().frame("interactions") for seed in (5, 5, 6)
    )
    assert one.equals(same)
    assert not one.equals(other)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 0}, "People.count got 0"),
        ({"attraction": 1.0}, "People.attraction got 1.0"),
        ({"taste": float("nan")}, "People.taste got nan"),
        ({"tases": 3}, "did you mean 'tastes'"),
        ({"shown": 700}, "People.shown got 700: input should be less than or equal to 200"),
        ({"shown": 70, "items": 60}, "People.shown got 70, and there are 60 items"),
        ({"past_items": 400}, "people would know nearly all"),
        ({"start": 0.0}, "would begin before 1970"),
        ({"visits": "often"}, "People.visits got 'often'"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(given, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")) as error:
        People(**given)
    assert "\n" not in str(error.value)


# ---- browsing -----------------------------------------------------------------------------------


class Server:
    """What a server does, in a few lines: lists that depend on what was clicked, a log of everything."""

    def __init__(self, people, *, variant="live", choose=None, content=True, fails=None):
        self.people, self.variant, self.content = people, variant, content
        self.choose = choose or self.unseen
        self.history, self.log, self.events, self.offered = {}, [], {}, []
        self.fails = fails or (lambda number: None)
        self.number = 0

    def unseen(self, user, k):
        first = sum(map(ord, user)) % 20
        seen = self.history.get(user, [])
        return [one for one in self.people.items[first:60] if one not in seen][:k]

    def answer(self, question, name):
        items = self.choose(question["user"], question["k"])
        self.log.append((name, question["user"], question["time"], tuple(items)))
        listed = [{"item": one, "score": 1.0, "source": "model"} for one in items]
        return {"items": listed, "variant": self.variant, "request_id": name}

    def __call__(self, request):
        self.number += 1
        body = json.loads(request.content)
        failure = self.fails(self.number)
        if isinstance(failure, httpx2.Response):
            return failure
        name = request.headers.get("x-request-id", "")
        if request.method == "PUT":
            self.offered.append(request.url.path)
            if not self.content:
                told = {"code": "bad_request", "message": "the model reads no content", "hint": "x"}
                return httpx2.Response(422, json={"error": told})
            told = {"known": False}
        elif request.url.path == "/events":
            for one in body:
                if one["id"] not in self.events and one["kind"] == "click":
                    self.history.setdefault(one["user"], []).append(one["item"])
                self.events[one["id"]] = one
            told = {"accepted": len(body)}
        elif request.url.path == "/recommend":
            told = self.answer(body, name)
        else:
            each = enumerate(body["questions"])
            told = {"answers": [self.answer(one, f"{name}.{at}") for at, one in each]}
        if failure is not None:
            raise failure
        return httpx2.Response(200, json=told)


def run(people, server, **settings):
    async def work():
        transport = httpx2.MockTransport(server)
        async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
            return [day async for day in browse(people, client, **settings)]

    return asyncio.run(work())


def test_what_people_do_depends_on_their_lists_alone(people):
    """One list a request or many, in turn or at once: the same lists and events; another draw has other luck."""
    runs = []
    for settings in ({}, {"at_once": 1}, {"together": 7, "at_once": 3}, {"draw": 1}):
        server = Server(people)
        days = run(people, server, **settings)
        shown, done = gathered(days)
        assert sorted(server.events) == sorted(done["event"])
        assert len(server.log) == len(shown)
        assert {name for name, *_ in server.log} == set(shown["request"])
        runs.append((shown.drop("request"), done.drop("request")))
    for shown, done in runs[1:3]:
        assert shown.equals(runs[0][0])
        assert done.equals(runs[0][1])
    assert len(runs[0][1]) > 50
    assert not runs[3][1].equals(runs[0][1])


def test_days_have_their_times_their_newcomers_and_their_items(people):
    server = Server(people)
    days = run(people, server)
    assert [one.number for one in days] == [0, 1, 2, 3]
    for one in days:
        begin = SMALL.start + one.number * DAY
        for frame in (one.exposures, one.events):
            assert frame["time"].min() >= begin
            assert frame["time"].max() < begin + DAY
        clicks = one.events.filter(pl.col("kind") == "click")
        both = clicks.join(one.exposures, on=["unit", "request"], suffix="_list")
        assert len(both) == len(clicks)
        assert (both["time"] > both["time_list"]).all()
        assert all(item in items for item, items in both.select("item", "items").iter_rows())
    assert days[0].new_items == ()
    assert len(days[1].new_items) == SMALL.new_items
    arrived = {people.people[row] for row in np.flatnonzero(people.person_arrives == 1)}
    assert arrived <= set(days[1].exposures["unit"])
    assert not arrived & set(days[0].exposures["unit"])
    assert len(run(people, Server(people), days=2)) == 2


def test_a_list_is_asked_for_when_the_clicks_of_the_one_before_are_kept(people):
    """The server leaves out what was clicked, so no list may hold it."""
    server = Server(people)
    run(people, server, together=3)
    clicked = {}
    done = sorted(server.events.values(), key=lambda one: one["time"])
    for one in done:
        if one["kind"] == "click":
            clicked.setdefault(one["user"], []).append((one["time"], one["item"]))
    several = 0
    for _, user, time, items in server.log:
        before = {item for when, item in clicked.get(user, []) if when < time}
        several += bool(before)
        assert not before & set(items)
    assert several > 10


def test_what_is_not_answered_is_sent_again_and_counts_once(people, monkeypatch):
    """Every fifth answer is lost after the server has done its work, every seventh says "later"."""
    monkeypatch.setattr(browsing, "PAUSE", 0.0)
    later = {"error": {"code": "busy", "message": "rows wait", "hint": "again"}}

    def fails(number):
        if number % 7 == 0:
            return httpx2.Response(503, json=later)
        return httpx2.ReadError("gone") if number % 5 == 0 else None

    calm, troubled = gathered(run(people, Server(people))), Server(people, fails=fails)
    shown, done = gathered(run(people, troubled, at_once=1))
    assert done.equals(calm[1])
    assert shown.equals(calm[0])
    assert sorted(troubled.events) == sorted(done["event"])


def test_a_server_that_refuses_or_is_away_is_told_in_a_sentence(people, monkeypatch):
    monkeypatch.setattr(browsing, "PAUSE", 0.0)
    told = {"error": {"code": "no_key", "message": "a key is needed", "hint": "send one"}}
    server = Server(people, fails=lambda _: httpx2.Response(401, json=told))
    with pytest.raises(DataError, match=r"refuses POST /recommend: a key is needed; send one"):
        run(people, server)
    server = Server(people, fails=lambda _: httpx2.ConnectError("refused"))
    with pytest.raises(DataError, match=r"does not answer .* refused; see that the server runs"):
        run(people, server)
    server = Server(people, choose=lambda user, k: ["i00001", "i0o003"])
    with pytest.raises(DataError, match=r"item 'i0o003', which this population does not know"):
        run(people, server)


def test_many_events_are_posted_in_parts(people, monkeypatch):
    """A server takes so many events at a time; the parts hold all of them."""
    monkeypatch.setattr(browsing, "POSTED", 4)
    sizes = []

    class Counting(Server):
        def __call__(self, request):
            if request.url.path == "/events":
                sizes.append(len(json.loads(request.content)))
            return super().__call__(request)

    server = Counting(people)
    _, done = gathered(run(people, server, together=40))
    assert max(sizes) == 4
    assert sum(sizes) == len(done) == len(server.events)


def test_items_that_a_server_cannot_place_are_told_and_the_days_go_on(people):
    days = run(people, Server(people, content=False))
    assert len(days) == 4
    assert days[2].new_items == ()
    assert len(days[2].refused) == SMALL.new_items
    assert "the model reads no content" in days[2].refused[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"days": 0}, "days got 0; this population has 1 to 4"),
        ({"days": 9}, "days got 9"),
        ({"together": 0}, "together got 0; give 1 to 1,000"),
        ({"at_once": 5000}, "at_once got 5000"),
        ({"draw": -1}, "draw got -1"),
    ],
)
def test_bad_arguments_of_browsing(people, given, said):
    with pytest.raises(ConfigError, match=said):
        run(people, Server(people), **given)


# ---- the truth ----------------------------------------------------------------------------------


def alike(**other):
    """People who are all alike, so that the truth is known by hand."""
    return People(
        **{
            "count": 60, "newcomers": 0, "items": 400, "new_items": 0, "days": 3, "past_items": 2, "taste": 0,
            "popularity": 0, "readiness": 0, "attraction": 0.2, "visits": 0.9, "loyalty": 0, **other,
        }
    )  # fmt: skip


def fresh(people, length):
    """Lists of items that nobody was shown before."""
    asked = {}

    def choose(user, k):
        del k
        first = asked[user] = asked.get(user, -length) + length
        return [people.items[at % 400] for at in range(first, first + length)]

    return choose


def test_a_planted_truth_is_found_exactly():
    """All alike, lists of one item against lists of four: click-through is known by hand, without luck."""
    people = Population(alike(), rng=0)
    runs = {
        length: [run(people, Server(people, choose=fresh(people, length)), draw=draw) for draw in (0, 1)]
        for length in (1, 4)
    }  # fmt: skip
    found = truth(runs[1], runs[4], ClickThrough(), until=people.settings.end)
    four = 1 - math.prod(1 - 0.2 / place for place in (1, 2, 3, 4))
    assert found.control == pytest.approx(0.2)
    assert found.treatment == pytest.approx(four)
    assert found.relative == pytest.approx(four / 0.2 - 1)
    assert found.difference_error == pytest.approx(0, abs=1e-12)
    assert (found.people, found.draws) == (60, 2)


@pytest.fixture(scope="module")
def lives():
    """A population, and many draws of it under lists of two and of six."""
    people = Population(alike(count=80, visits=0.5, taste=1.0, bought=0.9, loyalty=1.0), rng=2)
    return people, {
        length: [
            run(people, Server(people, choose=fresh(people, length)), draw=draw, together=80)
            for draw in range(16)
        ]
        for length in (2, 6)
    }


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        (ClickThrough(), "click"),
        (Conversion(window_hours=24), "purchase"),
        (Revenue(window_hours=30), "purchase"),
        (Revenue(window_hours=30, most=12), "purchase"),
        (WatchTime(window_hours=24), "watch"),
        (Retention(after_hours=24, window_hours=24), ""),
    ],
    ids=lambda one: getattr(one, "kind", one),
)
def test_the_truth_is_what_brute_force_finds(lives, metric, kind):
    """Many draws, counted event by event in plain Python, against other draws by `truth`; errors on both sides."""
    people, runs = lives
    until = people.settings.end
    found = truth(runs[2][:8], runs[6][:8], metric, until=until)
    ratios = {
        length: [brute(*gathered(days), metric, kind, until) for days in runs[length][8:]]
        for length in runs
    }
    for value, length in ((found.control, 2), (found.treatment, 6)):
        told = ratios[length]
        error = np.std(told, ddof=1) / math.sqrt(len(told))
        assert value == pytest.approx(np.mean(told), abs=4 * error + 1e-9), (length, error)
    assert 0 < found.difference_error < abs(found.treatment) + 1
    assert found.relative == pytest.approx(found.treatment / found.control - 1)


def brute(shown, done, metric, kind, until):
    """Return the metric of one run, row by row."""
    first = {}
    for row in shown.iter_rows(named=True):
        first.setdefault(row["unit"], row["time"])
    if isinstance(metric, ClickThrough):
        clicked = {one["request"] for one in done.iter_rows(named=True) if one["kind"] == kind}
        return sum(one in clicked for one in shown["request"]) / len(shown)
    after = 3600 * getattr(metric, "after_hours", 0)
    length = after + 3600 * metric.window_hours
    totals = {unit: 0.0 for unit, when in first.items() if when + length <= until}
    rows = [(one["unit"], one["time"], one["value"] or 0, one["kind"]) for one in done.iter_rows(named=True)]  # fmt: skip
    if isinstance(metric, Retention):
        rows += [(one["unit"], one["time"], 0, "") for one in shown.iter_rows(named=True)]
    for unit, when, value, what in rows:
        if unit in totals and (not kind or what == kind) and after <= when - first[unit] < length:
            counted = value if isinstance(metric, Revenue | WatchTime) else 1
            totals[unit] = (
                totals[unit] + counted if isinstance(metric, Revenue | WatchTime) else 1.0
            )
    most = getattr(metric, "most", None)
    kept = [min(one, most) if most else one for one in totals.values()]
    return sum(kept) / len(kept)


def test_the_error_of_the_truth_is_that_of_its_draws():
    """The spread of the truth over many pairs of draws, beside the error that each of them tells."""
    people = Population(alike(count=60, visits=0.5, taste=1.5, days=2), rng=4)
    runs = {
        length: [
            run(people, Server(people, choose=fresh(people, length)), draw=draw, together=60)
            for draw in range(24)
        ]
        for length in (2, 6)
    }
    metric = WatchTime(window_hours=20)
    found = [
        truth(runs[2][at : at + 2], runs[6][at : at + 2], metric, until=people.settings.end)
        for at in range(0, 24, 2)
    ]
    spread = np.std([one.difference for one in found], ddof=1)
    told = math.sqrt(np.mean([one.difference_error**2 for one in found]))
    assert spread / told == pytest.approx(1, abs=0.6)  # 12 pairs: a standard error of 0.2


def test_a_truth_needs_two_draws_and_somebody_who_counts(people):
    days = run(people, Server(people))
    with pytest.raises(ConfigError, match="the control has 1 draws; run browse with draw=0, 1"):
        truth([days], [days, days], ClickThrough(), until=SMALL.end)
    with pytest.raises(DataError, match="nobody came"):
        truth([days, days], [days, days], ClickThrough(), until=SMALL.start - 1)
    with pytest.raises(DataError, match="nobody counts yet"):
        truth([days, days], [days, days], Conversion(window_hours=500), until=SMALL.end)
