"""Experiments from the file through the server to the report: each thing that can be declared does what it says."""

import json
import time
from types import SimpleNamespace

import pytest

from twofold.evaluation.uncertainty import holm
from twofold.serve import experiments
from twofold.serve.tables import EXPOSURES

HOUR, DAY = 3600.0, 86400.0
T0 = 1_700_000_000.0
VARIANTS = "[experiments.{name}.variants]\ncontrol = {{}}\nnew = {{}}\n"


@pytest.fixture
def at(served, tmp_path, monkeypatch):
    """A server under a file of experiments, with a clock that the test sets."""
    made = SimpleNamespace(clock=T0)
    monkeypatch.setattr(experiments, "AGE", 0.0)
    clock = SimpleNamespace(time=lambda: made.clock, monotonic=time.monotonic)
    monkeypatch.setattr(experiments, "time", clock)

    def start(text):
        (tmp_path / "exp.toml").write_text(text)
        made.client = served("good", experiment=str(tmp_path / "exp.toml"))
        served.live.now = lambda: made.clock
        made.live = served.live

    def ask(users, name="r", when=None, **more):
        """Ask for some users; their answers by user."""
        made.clock = T0 if when is None else when
        body = {"questions": [{"user": one, "k": 3, **more} for one in users]}
        answer = made.client.post("/recommend/batch", json=body, headers={"x-request-id": name})
        assert answer.status_code == 200, answer.text
        return dict(zip(users, answer.json()["answers"], strict=True))

    def tell(events):
        made.clock = max(made.clock, *(one["time"] for one in events))
        answer = made.client.post("/events", json=events)
        assert answer.json()["accepted"] == len(events), answer.text

    def report(name="first"):
        made.live.store.do(lambda connection: None).result()
        return made.client.get(f"/experiments/{name}").json()

    made.start, made.ask, made.tell, made.report = start, ask, tell, report
    return made


def people(n):
    return [f"p{one}" for one in range(n)]


def variants(answers, name="first"):
    return {user: one.get("experiments", {}).get(name) for user, one in answers.items()}


def test_layers_do_not_interfere_and_their_parts_do_not_overlap(at):
    at.start(
        "[experiments.first]\nlayer = 'list'\nshare = 0.5\n" + VARIANTS.format(name="first")
        + "[experiments.second]\nlayer = 'list'\nshare = 0.5\n" + VARIANTS.format(name="second")
        + "[experiments.page]\nlayer = 'page'\n" + VARIANTS.format(name="page")
    )  # fmt: skip
    answers = at.ask(people(800))
    one, other, page = (variants(answers, name) for name in ("first", "second", "page"))
    assert all((one[who] is None) != (other[who] is None) for who in answers)
    met = {(one[who] or other[who], one[who] is None, page[who]) for who in answers}
    assert len(met) == 8, "every variant of one layer meets every variant of the other"
    for name, seen in (("first", one), ("second", other), ("page", page)):
        units = at.report(name)["units"]
        assert units == {kind: list(seen.values()).count(kind) for kind in ("control", "new")}
        assert not at.report(name)["ratio"]["alarm"]


def test_a_ramp_lets_people_in_and_nobody_out(at):
    at.start(
        f"[experiments.first]\nstart = {T0}\nstop = {T0 + 10 * DAY}\n"
        f"ramp = [{{ at = {T0}, share = 0.2 }}, {{ at = {T0 + DAY}, share = 1.0 }}]\n"
        + VARIANTS.format(name="first")
    )
    who = people(300)
    before = variants(at.ask(who, "a", when=T0 - 1))
    early = variants(at.ask(who, "b", when=T0 + 1))
    late = variants(at.ask(who, "c", when=T0 + DAY))
    after = variants(at.ask(who, "d", when=T0 + 10 * DAY))
    assert set(before.values()) == set(after.values()) == {None}
    took_part = [one for one in who if early[one] is not None]
    assert 30 < len(took_part) < 90
    assert all(late[one] is not None for one in who)
    assert {one: late[one] for one in took_part} == {one: early[one] for one in took_part}
    assert sum(at.report()["units"].values()) == 300


def test_weights_are_the_shares_and_the_ratio_check_knows_them(at):
    at.start(
        "[experiments.first]\n[experiments.first.variants]\n"
        "control = { weight = 1 }\nnew = { weight = 3 }\n"
    )
    seen = list(variants(at.ask(people(1000))).values())
    assert 0.70 < seen.count("new") / 1000 < 0.80
    ratio = at.report()["ratio"]
    assert ratio["expected"] == [250.0, 750.0]
    assert not ratio["alarm"]


def test_every_list_is_logged_once_with_what_was_in_it(at):
    at.start("[experiments.first]\nshare = 0.5\n" + VARIANTS.format(name="first"))
    answers = at.ask(people(100))
    at.report()
    rows = {row["request_id"]: row for row in at.live.store.rows(EXPOSURES)}
    taken = {one["request_id"]: (who, one) for who, one in answers.items() if "experiments" in one}
    assert set(rows) == set(taken), "and nobody else's"
    for request, (who, one) in taken.items():
        row = rows[request]
        assert (row["unit"], row["variant"], row["time"]) == (who, one["variant"], T0)
        assert [str(each["item"]) for each in one["items"]] == [str(each) for each in json.loads(row["items"])]  # fmt: skip


def test_clicks_count_inside_their_window_and_for_their_list(at):
    at.start("[experiments.first]\nbefore_days = 0\n" + VARIANTS.format(name="first"))
    who = people(60)
    answers = at.ask(who)
    events = []
    for number, one in enumerate(who):
        listed = answers[one]["items"][0]["item"]
        late, other, stranger, early = (number % 6 == at_ for at_ in (1, 2, 3, 4))
        events.append({
            "user": one, "kind": "click", "item": "i999" if stranger else listed,
            "request_id": "another" if other else answers[one]["request_id"],
            "time": T0 + (HOUR + 1 if late else -1 if early else HOUR - 1),
        })  # fmt: skip
    at.tell(events)
    good = {one for number, one in enumerate(who) if number % 6 in (0, 5)}
    seen = variants(answers)
    (found,) = at.report()["comparisons"]
    for variant, value in (("control", "control"), ("new", "treatment")):
        mine = [one for one in who if seen[one] == variant]
        assert found["lift"][value] == pytest.approx(len(good & set(mine)) / len(mine))


METRICS = """
metrics.bought = { kind = "conversion", event = "purchase", window_hours = 24 }
metrics.money = { kind = "revenue", event = "purchase", window_hours = 24, most = 50 }
metrics.seconds = { kind = "watch_time", event = "watch", window_hours = 2, most = 1000 }
metrics.back = { kind = "retention", after_hours = 24, window_hours = 48 }
"""


def test_conversion_revenue_watch_time_and_retention_are_what_people_did(at):
    at.start("[experiments.first]\nbefore_days = 0\n" + METRICS + VARIANTS.format(name="first"))
    who = people(120)
    answers = at.ask(who)
    seen, events = variants(answers), []
    expected = {metric: {} for metric in ("bought", "money", "seconds", "back")}

    def add(one, kind, hours, value=None):
        event = {"user": one, "item": "i1", "kind": kind, "time": T0 + hours * HOUR}
        events.append(event if value is None else event | {"value": value})

    for number, one in enumerate(who):
        if number % 3 == 0:  # two purchases inside, one after; the sum is cut at 50
            add(one, "purchase", 1, 20.0 + number % 7)
            add(one, "purchase", 23, 15.0)
            add(one, "purchase", 25, 1000.0)
            expected["bought"][one] = 1
            expected["money"][one] = min(50, 35.0 + number % 7)
            expected["back"][one] = 1  # the third one
        if number % 4 == 0:  # of these only what is within two hours
            add(one, "watch", 1, 300.0 * (1 + number % 5))
            add(one, "watch", 3, 500.0)
            expected["seconds"][one] = min(1000, 300.0 * (1 + number % 5))
        if number % 5 == 0:  # back on the third day, by any event
            add(one, "view", 60)
            expected["back"][one] = 1
        if number % 7 == 0:  # too late
            add(one, "view", 73)
    at.tell(sorted(events, key=lambda one: one["user"]))  # in no order of time
    at.ask(["somebody"], "late", when=T0 + 80 * HOUR)  # all windows have passed
    comparisons = {one["metric"]: one for one in at.report()["comparisons"]}
    for metric, values in expected.items():
        for variant, name in (("control", "control"), ("new", "treatment")):
            mine = [one for one in who if seen[one] == variant]
            mean = sum(values.get(one, 0) for one in mine) / len(mine)
            assert comparisons[metric]["lift"][name] == pytest.approx(mean), (metric, variant)
    p = [one["p_value"] for one in comparisons.values()]
    assert [one["p_corrected"] for one in comparisons.values()] == pytest.approx(holm(p))


def test_what_people_did_before_narrows_the_interval(at):
    """CUPED reads the same kind of event in the days before the first exposure, from the server's own store."""
    text = "[experiments.first]\nbefore_days = {days}\nmetrics.money = {{ kind = 'revenue', window_hours = 24 }}\n"  # fmt: skip
    at.start(text.format(days=14) + VARIANTS.format(name="first"))
    who = people(200)
    spends = {one: 5.0 * (number % 13) for number, one in enumerate(who)}
    before = [{"user": one, "item": "i1", "kind": "purchase", "value": spends[one], "time": T0 - DAY} for one in who]  # fmt: skip
    before += [{"user": one, "item": "i1", "kind": "purchase", "value": 1e6, "time": T0 - 20 * DAY} for one in who[:5]]  # fmt: skip
    at.tell(before)
    at.ask(who)
    after = [{"user": one, "item": "i1", "kind": "purchase", "value": spends[one] + number * 7 % 5, "time": T0 + HOUR} for number, one in enumerate(who)]  # fmt: skip
    at.tell(after)
    at.ask(["somebody"], "late", when=T0 + 2 * DAY)
    (found,) = at.report()["comparisons"]
    assert found["lift"]["kept_variance"] < 0.05
    at.client.__exit__(None, None, None)
    at.start(text.format(days=0) + VARIANTS.format(name="first"))
    (plain,) = at.report()["comparisons"]
    assert plain["lift"]["kept_variance"] == 1
    assert found["lift"]["standard_error"] < 0.3 * plain["lift"]["standard_error"]


def test_sessions_are_assigned_and_counted_where_they_are_declared(at):
    at.start("[experiments.first]\nunit = 'session'\nbefore_days = 0\n" + VARIANTS.format(name="first"))  # fmt: skip
    assert "experiments" not in at.ask(["p1"])["p1"], "without a session there is no assignment"
    answers = {one: at.ask(["p1"], f"r{one}", session=f"s{one}")["p1"] for one in range(40)}
    seen = variants(answers)
    assert set(seen.values()) == {"control", "new"}
    at.tell([
        {"user": "p1", "session": f"s{one}", "item": answers[one]["items"][0]["item"], "kind": "click",
         "request_id": answers[one]["request_id"], "time": T0 + 1} for one in range(40) if seen[one] == "new"
    ])  # fmt: skip
    (found,) = at.report()["comparisons"]
    assert (found["lift"]["control"], found["lift"]["treatment"]) == (0, 1)
    assert sum(found["lift"]["units"]) == 40


def test_a_report_reads_only_what_is_new_and_is_kept_for_seconds(at, monkeypatch):
    from twofold.serve import experiment_logs

    at.start("[experiments.first]\nbefore_days = 0\n" + VARIANTS.format(name="first"))
    read = []
    parts = experiment_logs._parts

    def counted(*arguments):
        for rows in parts(*arguments):
            read.append(len(rows))
            yield rows

    monkeypatch.setattr(experiment_logs, "_parts", counted)
    monkeypatch.setattr(experiment_logs, "PART", 64)
    at.ask(people(200))
    assert sum(at.report()["units"].values()) == 200
    assert read == [64, 64, 64, 8]
    read.clear()
    answers = at.ask(people(210)[200:], "more")
    one = answers["p200"]
    at.tell([{"user": "p200", "item": one["items"][0]["item"], "kind": "click", "request_id": one["request_id"], "time": T0 + 1}])  # fmt: skip
    found = at.report()
    assert sum(found["units"].values()) == 210
    assert read == [10, 1]
    (told,) = found["comparisons"]
    rate = told["lift"]["control" if one["variant"] == "control" else "treatment"]
    assert rate > 0
    monkeypatch.setattr(experiments, "AGE", 60.0)
    first = at.report()
    at.ask(people(230)[210:], "again")
    assert at.report() == first
    monkeypatch.setattr(experiments, "AGE", 0.0)


def test_what_is_deleted_after_its_days_is_in_no_report(at):
    at.start("[experiments.first]\nbefore_days = 0\n" + VARIANTS.format(name="first"))
    at.ask(people(50))
    at.ask(people(80)[50:], "late", when=T0 + 5 * DAY)
    assert sum(at.report()["units"].values()) == 80
    at.live.store.delete_before(T0 + DAY).result()
    assert sum(at.report()["units"].values()) == 30


def test_a_metric_that_counts_no_kind_of_the_server_is_told(served, tmp_path, caplog):
    """A server of cooked recipes reported 0 clicks against 0, and no difference."""
    (tmp_path / "exp.toml").write_text("[experiments.first]\n" + VARIANTS.format(name="first"))
    client = served("good", experiment=str(tmp_path / "exp.toml"), kinds=("cook",))
    (said,) = [one.getMessage() for one in caplog.records if "counts events of the kind" in one.getMessage()]  # fmt: skip
    assert said.endswith("--kind cook: set metrics.click_through.event if one of those is meant")
    listed = client.post("/recommend", json={"user": 101}).json()
    event = {"user": 101, "item": listed["items"][0]["item"], "kind": "cook", "request_id": listed["request_id"]}  # fmt: skip
    assert client.post("/events", json=event).json()["accepted"] == 1
    served.live.store.do(lambda connection: None).result()
    notes = client.get("/experiments/first").json()["notes"]
    assert "click_through: no event of the kind 'click' was counted; the log has cook: set metrics.click_through.event to what is meant" in notes  # fmt: skip
    caplog.clear()
    served("good", state="other", experiment=str(tmp_path / "exp.toml"), kinds=("click",))
    assert not [one for one in caplog.records if "counts events" in one.getMessage()]
