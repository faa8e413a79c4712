"""The page without a browser: what it shows, what it keeps to itself, and that nothing of the data becomes HTML."""

import contextlib
import html
import json
import re
import time
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient
from tests_of_page import (
    HOSTILE,
    SCRIPT,
    Hears,
    HearsFitted,
    Tags,
    clean,
    hostile_log,
    safe,
)
from tests_of_serving import items_of

import twofold as tw
from twofold.errors import MissingDependencyError
from twofold.online import interleaving_report
from twofold.online.experiments import from_dict
from twofold.online.track import days
from twofold.serve import experiments
from twofold.serve.app import create_app
from twofold.serve.experiments import plain
from twofold.serve.keys import Keys
from twofold.serve.live import Live
from twofold.serve.page import board, shell
from twofold.serve.page.items import FOUND, Search, cards
from twofold.serve.page.maps import HEIGHT, WIDTH, scaled
from twofold.serve.page.trials import exposed
from twofold.serve.served import Served
from twofold.serve.settings import Settings
from twofold.serve.store import Store
from twofold.serve.tables import EXPOSURES

FRAGMENTS = ("try", "similar", "map", "leaderboard", "versions", "experiments")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "m"
    tw.models.IALS(factors=4, epochs=2).fit(hostile_log(), rng=0).save(folder)
    return folder


def heading(text):
    return html.unescape(re.search(r"<h2[^>]*>(.*?)</h2>", text, re.S)[1])


@pytest.mark.parametrize("path", [one.path for one in shell.VIEWS.values()])
def test_every_page_has_landmarks_and_a_name(ask, path):
    text = safe(ask.get(path))
    found = Tags(text)
    for tag in ("header", "nav", "main", "footer", "h1", "noscript"):
        assert found.tags.count(tag) == 1, tag
    assert ("html", "lang", "en") in found.attributes
    assert text.count('aria-current="page"') == 1
    assert '<a class="skip" href="#main">' in text
    assert 'aria-live="polite"' in text


def test_what_a_page_refers_to_is_there_and_may_be_kept(ask):
    for name, kind in {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}.items():  # fmt: skip
        assert f'"{shell.address(name)}"' in ask.get("/").text
        found = ask.get(shell.address(name))
        assert found.headers["content-type"].startswith(kind)
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"(https?:)?//(?!www\.w3\.org)\w+\.\w+", found.text), (
            "an outside address"
        )
    for path in ("/page/static/..%2f..%2fapp.py", "/page/static/nothing.js", "/page/nothing"):
        assert ask.get(path).status_code == 404


def test_static_files_are_packaged():
    kinds = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = kinds["tool"]["setuptools"]["package-data"]["twofold"]
    for one in Path(shell.__file__).parent.rglob("*"):
        if one.is_file() and one.suffix not in {".py", ".pyc"}:
            assert f"**/*{one.suffix}" in patterns, one.name


def test_somebody_is_somebody_else(served):
    client = served()
    ask = "/page/data/somebody"
    shown = client.get(ask).json()["user"]
    for _ in range(100):
        picked = client.get(ask, params={"not": shown}).json()["user"]
        assert picked != shown
        shown = picked


def test_without_the_read_key_nothing_of_the_data_is_seen(served):
    keys = {role: f"{role}-key-0123456789" for role in ("read", "write", "admin")}
    client = served(keys=Keys.of({role: [key] for role, key in keys.items()}))
    for one in shell.VIEWS.values():
        text = safe(client.get(one.path))
        assert "IALS" not in text
        assert "planted" not in text
    posts = {"recommend": {"user": 101}, "why": {"question": {"user": 101}, "item": "i1"}, "alike": {"item": "i1"}}  # fmt: skip
    gets = (*FRAGMENTS, "items?q=i", "somebody")
    bearer = {"authorization": f"Bearer {keys['read']}"}
    for path in gets:
        refused = client.get(f"/page/data/{path}")
        assert refused.status_code == 401
        assert set(refused.json()) == {"error"}
        assert client.get(f"/page/data/{path}", headers=bearer).status_code in {200, 202}
    for path, body in posts.items():
        assert client.post(f"/page/data/{path}", json=body).status_code == 401
        assert client.post(f"/page/data/{path}", json=body, headers=bearer).status_code == 200
    for path in ("/page/data", "/page/../models", "/page//data/try", "//page/data/try", "/page/data/../../models"):  # fmt: skip
        assert client.get(path).status_code in {401, 404}, path
    assert client.post("/models/1/promote", json={}, headers=bearer).status_code == 403


@pytest.mark.parametrize(
    "question",
    [{"user": 101, "k": 5}, {"user": "nobody"}, {"history": ["i1", "i5"], "k": 7, "diversity": 0.4},
     {"user": 101, "exclude_seen": False}],
)  # fmt: skip
def test_the_list_is_the_one_that_the_server_answers(ask, question):
    expected = ask.post("/recommend", json=question).json()
    text = safe(ask.post("/page/data/recommend", json=question))
    assert re.findall(r'data-why="([^"]+)"', text) == [one["item"] for one in expected["items"]]
    assert f"<b>{expected['source']}</b>" in text
    assert f"{expected['model']}, version {expected['version']}" in text
    assert f"variant {expected['variant']}" in text
    assert json.loads(html.unescape(re.search(r'data-asked="([^"]*)"', text)[1]))["k"] == question.get("k", 10)  # fmt: skip


def test_a_trial_is_no_exposure_and_no_event(served):
    client = served(exposures=True)
    for question in ({"user": 101}, {"history": ["i1"]}):
        safe(client.post("/page/data/recommend", json=question))
        safe(client.post("/page/data/why", json={"question": question, "item": "i3"}))
    served.live.store.do(lambda connection: None).result()
    assert served.live.store.rows(EXPOSURES) == []
    client.post("/recommend", json={"user": 101})
    served.live.store.do(lambda connection: None).result()
    assert len(served.live.store.rows(EXPOSURES)) == 1


def raises(text, expected):
    """Check that a fragment names the items that raise the score most, with the library's numbers."""
    part = text.split("Nearest of the history")[0]
    most = expected.head(5)
    most = most.filter((most["contribution"] > 0) & (most["kind"] == "history"))
    assert len(most), "nothing to compare"
    assert [f"+{one:.3f}" for one in most["contribution"]] == re.findall(r">(\+[\d.]+)<", part)
    for item in most["item"]:
        assert f">{item}<" in part


def test_reasons_are_those_of_the_library(ask, models):
    model = tw.load(models / "good")
    history = ["i1", "i5", "i9"]
    text = safe(ask.post("/page/data/why", json={"question": {"history": history}, "item": "i3"}))
    raises(text, model.explain(item="i3", history=history))
    likeness = {one: score for one, score in model.similar_items("i3", len(model.items)).select("item", "score").iter_rows() if one in history and score > 0}  # fmt: skip
    near = text.split("Nearest of the history")[1] if likeness else ""
    for item, score in likeness.items():
        assert f">{item}<" in near
        assert f"{score:.2f}" in near
    known = safe(ask.post("/page/data/why", json={"question": {"user": 101}, "item": "i3"}))
    raises(known, model.explain(101, "i3"))
    nobody = safe(ask.post("/page/data/why", json={"question": {"user": "new"}, "item": "i3"}))
    assert "Nothing stands behind it" in nobody
    assert ask.post("/page/data/why", json={"question": {"user": 101}, "item": "none"}).status_code == 404  # fmt: skip


def test_a_long_history_is_explained_by_its_latest_part(ask, monkeypatch, models):
    from twofold.serve.page import ask as asking

    monkeypatch.setattr(asking, "EXPLAINED", 2)
    body = {"question": {"history": ["i1", "i5", "i9"]}, "item": "i3"}
    text = safe(ask.post("/page/data/why", json=body))
    assert "of the latest 2 events" in text
    assert ">i1<" not in text.split("Nearest of the history")[0]


def test_an_event_is_in_the_next_trial_and_its_reasons(ask):
    ask.post("/events", json={"user": "stranger", "item": "i1"})
    text = safe(ask.post("/page/data/recommend", json={"user": "stranger"}))
    assert "<b>fold-in</b>" in text
    assert "1 event<" in text.replace("\n", "").replace("  ", "")


def test_similar_items_are_those_of_the_library_without_what_is_withdrawn(ask, models):
    expected = tw.load(models / "good").similar_items("i1", 6)["item"].to_list()

    def found(k):
        text = safe(ask.post("/page/data/alike", json={"item": "i1", "k": k}))
        return re.findall(r"href=\"/page/similar\?item=([^\"]+)\"", text)

    assert found(5) == expected[:5]
    ask.delete(f"/items/{expected[0]}")
    assert found(5) == expected[1:]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("recommend", {}), ("recommend", {"usr": 1}), ("recommend", {"user": "a", "k": 0}), ("recommend", {"words": "x"}),
        ("recommend", {"history": ["i"] * 10_001}), ("why", {"item": "i1"}), ("why", {"question": {"user": 1}, "item": None}),
        ("alike", {"item": ""}), ("alike", {"item": "i1", "k": 101}), ("alike", {"item": "i1", "k": "3"}), ("alike", [1]),
    ],
)  # fmt: skip
def test_wrong_questions_are_refused_in_one_shape(ask, path, body):
    answer = ask.post(f"/page/data/{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert ask.post("/page/data/recommend", content=b"{", headers={"content-type": "application/json"}).status_code == 400  # fmt: skip
    assert ask.post("/page/data/recommend", content=b"user=1", headers={"content-type": "application/x-www-form-urlencoded"}).status_code == 415  # fmt: skip


def test_a_model_that_reads_words_is_asked_with_a_sentence_and_others_say_what_to_do(ask, tmp_path):
    assert "IALS reads no words; train a model that does" in safe(ask.get("/page/data/try"))
    Hears().fit(hostile_log()).save(tmp_path / "m")
    settings = Settings(state=str(tmp_path / "s"), model=str(tmp_path / "m"))
    with TestClient(create_app(Live.open(settings, extra=(Hears, HearsFitted)))) as client:
        assert 'id="words"' in safe(client.get("/page/data/try"))
        text = safe(client.post("/page/data/recommend", json={"words": SCRIPT, "k": 3}))
        assert "<b>content</b>" in text
        assert html.escape(SCRIPT) in text
        first = re.search(r'data-why="([^"]+)"', text)[1]
        body = {"question": {"words": SCRIPT, "k": 3}, "item": html.unescape(first)}
        reasons = safe(client.post("/page/data/why", json=body))
        assert "Raised by" in reasons
        word = max(re.findall(r"\w+", SCRIPT), key=len)
        assert f"<span>{word}</span>" in reasons


# ---- items --------------------------------------------------------------------------------------


def test_a_search_is_bounded_and_puts_the_id_first(hostile):
    served = Served.of(1, tw.load(hostile))
    search = Search(served)

    def found(words):
        return [served.ids[row] for row in search.find(words)]

    assert found("i7")[0] == "i7"
    assert len(found("title")) == FOUND
    assert found("  TITLE 11 ") == ["i11"]
    assert set(found("title 1")) >= {"i1", "i10"}
    assert found("") == found("   ") == found("nothing like it") == []
    assert found(".*") == found("(") == [], "words, no patterns"
    assert found(SCRIPT)[0] == SCRIPT
    assert len(search.find("title", most=3)) == 3
    assert found("t" * 100_000) == []
    taken = [served.ids[row] for row in Search(Served.of(1, served.model, ["i7"])).find("i7")]
    assert "i7" not in taken


def test_popular_items_come_first_among_equals(hostile):
    served = Served.of(1, tw.load(hostile))
    counts = served.model.memory.popularity[Search(served).find("title")]
    assert (np.diff(counts) <= 0).all()


def test_items_are_shown_by_title_and_the_features_that_say_something(hostile):
    model = tw.load(hostile)
    row = model.items.ids.row("i3")
    (card,) = cards(model, [row])
    assert (card.item, card.title, card.named) == ("i3", "Title 3", True)
    assert {one.name: one.levels for one in card.features} == {"genres": model_tags(model, row), "year": ("1999",)}  # fmt: skip
    assert cards(model, []) == []


def model_tags(model, row):
    return tuple(model.items.features["genres"].series().to_list()[row])


def test_the_search_of_the_page_follows_what_is_withdrawn(ask):
    def found(words):
        return [one["item"] for one in ask.get("/page/data/items", params={"q": words}).json()["items"]]  # fmt: skip

    assert found("i1")[0] == "i1"
    ask.delete("/items/i1")
    assert "i1" not in found("i1")
    assert len(found("i" * 10_000)) == 0
    assert len(found("i")) <= FOUND


# ---- attacks ------------------------------------------------------------------------------------


def test_nothing_of_the_data_becomes_html(served, hostile):
    client = served(hostile)
    texts = [safe(client.get(f"/page/data/{one}")) for one in FRAGMENTS]
    assert html.escape(SCRIPT) in texts[2], "the map names it"
    for one in HOSTILE:
        texts.append(safe(client.post("/page/data/alike", json={"item": one})))
        for question in ({"user": one}, {"history": [one]}):
            texts.append(safe(client.post("/page/data/recommend", json={**question, "k": 30})))
            body = {"question": question, "item": HOSTILE[0]}
            texts.append(safe(client.post("/page/data/why", json=body)))
        found = client.get("/page/data/items", params={"q": one}).json()["items"]
        assert one in [each["item"] for each in found]
    for text in texts:
        assert "<script" not in text
        assert "<img" not in text
    assert heading(safe(client.post("/page/data/recommend", json={"user": "{{ 7 * 7 }}"}))).endswith("{{ 7 * 7 }}")  # fmt: skip
    client.post("/events", json={"user": SCRIPT, "item": SCRIPT})
    assert items_of(client.post("/recommend", json={"user": SCRIPT}))
    for path in (f"/page/{SCRIPT}", f"/page/data/{SCRIPT}", f"/page/static/{SCRIPT}"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"


# ---- the map ------------------------------------------------------------------------------------


def test_the_map_shows_each_item_once_and_is_drawn_once(served, hostile, monkeypatch):
    from twofold.serve.page import maps

    calls = []
    real = maps.drawn
    monkeypatch.setattr(maps, "drawn", lambda *given: calls.append(1) or real(*given))
    client = served(hostile)
    first = safe(client.get("/page/data/map"))
    assert safe(client.get("/page/data/map")) == first
    assert calls == [1]
    dots = [value for tag, name, value in Tags(first).attributes if tag == "circle" and name == "data-item"]  # fmt: skip
    assert sorted(dots) == sorted(served.live.served.ids)
    assert first.count("<tr>") == len(dots) + 1, "the table has the same items"
    for axis, most in (("cx", WIDTH), ("cy", HEIGHT)):
        values = [float(v) for tag, name, v in Tags(first).attributes if name == axis and tag == "circle"]  # fmt: skip
        assert 0 <= min(values) <= max(values) <= most


def test_a_map_that_takes_long_is_waited_for(served, hostile, monkeypatch):
    from twofold.serve.page import maps, routes

    real = maps.drawn
    monkeypatch.setattr(routes, "PATIENCE", 0.01)
    monkeypatch.setattr(maps, "drawn", lambda *given: time.sleep(0.3) or real(*given))
    client = served(hostile)
    assert "being drawn" in safe(client.get("/page/data/map"), 202)
    until = time.monotonic() + 60
    while client.get("/page/data/map").status_code == 202:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "<circle" in safe(client.get("/page/data/map"))


def test_a_model_without_vectors_and_a_machine_without_scikit_learn_say_so(served, monkeypatch):
    assert "Popularity has no vectors" in safe(served("Popularity").get("/page/data/map"))
    from twofold.serve.page import maps

    def missing(*_):
        raise MissingDependencyError("sklearn is not installed and is needed here; run: pip install 'twofold[learn]'")  # fmt: skip

    monkeypatch.setattr(maps, "drawn", missing)
    text = safe(served(state="other").get("/page/data/map"))
    assert "twofold[learn]" in html.unescape(text)


def test_a_stray_point_moves_no_others():
    points = np.random.default_rng(0).normal(size=(1000, 2))
    alone = scaled(points, stretch=True)
    with_stray = scaled(np.vstack([points, [[1e6, 1e6]]]), stretch=True)
    assert np.abs(with_stray[:-1] - alone).max() < 0.1 * WIDTH
    assert (with_stray[-1] <= [WIDTH, HEIGHT]).all()
    assert (with_stray[-1] >= 0).all()
    square = scaled(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]), stretch=False)
    width, height = np.ptp(square, axis=0)
    assert width == pytest.approx(2 * height), "places are true to scale"


# ---- versions -----------------------------------------------------------------------------------


def test_the_leaderboard_is_that_of_the_reports(served, models):
    client = served()
    for name in ("EASE", "Popularity"):
        client.post("/models", json={"path": str(models / name)})
    (made,), bare = board.boards(served.live.registry.read(), 1)
    reports = {one["version"]: one["report"] for one in client.get("/models").json()["versions"]}
    values = [reports[one.version]["metrics"]["ndcg@5"]["value"] for one in made.entries]
    assert values == sorted(values, reverse=True)
    assert len(values) == 3
    assert bare == []
    assert [one.live for one in made.entries].count(True) == 1
    text = safe(client.get("/page/data/leaderboard"))
    assert f"<b>{values[0]:.4f}</b>" in text
    low, high = (reports[made.entries[0].version]["metrics"]["ndcg@5"][one] for one in ("low", "high"))  # fmt: skip
    assert f"{low:.4f} to {high:.4f}" in text
    assert 'role="img"' in text
    assert "Best by ndcg@5: version" in text


def test_versions_of_other_occasions_are_not_ranked_together(served, models, tmp_path):
    client = served()
    tw.load(models / "better").save(tmp_path / "bare")
    client.post("/models", json={"path": str(tmp_path / "bare")})
    text = safe(client.get("/page/data/leaderboard"))
    assert "Without an offline report: version 2 (IALS)" in text
    found = served.live.registry.read()
    one = found.versions[1]
    other = {**one.report, "users": 7}
    changed = type(one)(9, one.model, one.path, "x", one.data, other, one.registered)
    found = type(found)({**found.versions, 9: changed}, found.lived, None, 1.0, ())
    made, _ = board.boards(found, 9)
    assert [[e.version for e in each.entries] for each in made] == [[9], [1]]


def test_less_is_better_where_it_is():
    def version(number, value):
        metrics = {"rmse": {"value": value, "low": value - 0.1, "high": value + 0.1}}
        report = {"metrics": metrics, "split": "s", "part": "test", "users": 1, "targets": 1}
        return board.Version(number, "M", "p", str(number), "d", report, 0.0)

    made = board.board([version(1, 0.9), version(2, 0.8), version(3, 1.5)], 1)
    assert [one.version for one in made.entries] == [2, 1, 3]
    assert made.entries[0].values[0].best
    assert "overlaps that of version 1." in made.verdict


def test_a_server_without_reports_or_experiments_says_what_to_do(served, models, tmp_path):
    tw.load(models / "better").save(tmp_path / "bare")
    client = served(tmp_path / "bare")
    assert "twofold fit" in safe(client.get("/page/data/leaderboard"))
    assert "--experiment FILE" in safe(client.get("/page/data/experiments"))
    text = safe(client.get("/page/data/versions"))
    assert "There is one version only" in text
    assert "no earlier live version" in text


def test_the_registry_is_shown_with_what_was_done(served, models):
    client = served()
    client.post("/models", json={"path": str(models / "EASE")})
    client.post("/models/2/promote", json={"force": True, "note": SCRIPT})
    client.put("/models/shadow", json={"version": 1})
    text = safe(client.get("/page/data/versions"))
    assert html.escape(SCRIPT) in text
    assert 'data-promote="1"' in text
    assert 'data-promote="2"' not in text
    assert 'data-back="1"' in text
    assert "was asked silently" in text


# ---- experiments --------------------------------------------------------------------------------

EXPERIMENT = """
[experiments.first]
layer = "models"
before_days = 0
[experiments.first.variants.control]
[experiments.first.variants."<i>new"]
model = "EASE"
"""


@pytest.fixture
def running(served, models, tmp_path, monkeypatch):
    """A server with an experiment, and exposures and clicks of five days in its store; reports are never kept."""
    monkeypatch.setattr(experiments, "AGE", 0)
    client = served()
    client.post("/models", json={"path": str(models / "EASE")})
    client.__exit__(None, None, None)
    (tmp_path / "exp.toml").write_text(EXPERIMENT)
    client = served(None, experiment=str(tmp_path / "exp.toml"))
    assert "nobody has taken part yet" in safe(client.get("/page/data/experiments"))
    rng, now = np.random.default_rng(0), time.time()
    exposures, events = [], []
    for at in range(1200):
        arm = served.live.assigner.assign(f"u{at}", None).arms[0]
        when = now - 5 * 86400 * rng.random()
        row = {"request_id": f"r{at}", "version": 1, "source": "model", "items": '["i1"]', "propensities": None, "time": when}  # fmt: skip
        exposures.append(arm.exposure(row))
        if rng.random() < (0.1 if arm.variant == "control" else 0.3):
            events.append({"id": f"e{at}", "user_id": f"u{at}", "item_id": "i1", "kind": "click", "value": None,
                           "time": when + 5, "received": when, "request_id": f"r{at}", "session": None, "ids": 0})  # fmt: skip
    served.live.store.add_exposures(exposures)
    served.live.store.add_events(events).result()
    client.exposures = exposures
    return client


def test_an_experiment_is_shown_as_its_report_says(running):
    text = safe(running.get("/page/data/experiments"))
    found = running.get("/experiments/first").json()
    assert html.escape(found["headline"]) in text
    assert found["comparisons"][0]["verdict"] == "better"
    assert "<b>better</b>" in text
    assert "no mismatch shown" in text
    assert text.count('role="img"') == 2
    assert 'class="band"' in text
    assert "&lt;i&gt;new" in text
    assert "<i>" not in text
    for name, n in found["units"].items():
        assert f"<td>{n:,}</td>" in text, name


def test_exposures_over_time_are_those_of_the_log(running, served):
    slice_ = served.live.assigner.experiments.slices["first"]
    seen = exposed(served.live.store, slice_)
    times = np.array([row["time"] for row in running.exposures])
    variants = np.array([row["variant"] for row in running.exposures])
    assert seen.moments[0] == times.min()
    assert seen.moments[-1] == pytest.approx(times.max())
    for name, counts in seen.counts.items():
        mine = times[variants == name]
        assert counts[-1] == len(mine)
        for moment, count in list(zip(seen.moments, counts, strict=True))[:-1]:
            assert count == (mine < moment).sum()


def test_exposures_over_time_are_the_same_in_postgresql(postgresql, tmp_path):
    """A cast of half a part rounds there and is cut in SQLite."""
    declared = from_dict({"experiments": {"e": {"variants": {"control": {}, "new": {}}}}})["e"]
    rng = np.random.default_rng(1)
    rows = [
        {"request_id": f"r{at}", "unit": f"u{at}", "experiment": "e", "variant": ("control", "new")[at % 2],
         "version": 1, "source": "model", "items": "[]", "propensities": None, "time": 1e9 + 1e5 * rng.random()}
        for at in range(500)
    ]  # fmt: skip
    found = []
    for url in (postgresql.url, f"sqlite:///{tmp_path / 'events.db'}"):
        with contextlib.closing(Store(url)) as store:
            assert exposed(store, declared).moments == []
            store.add_exposures([*rows, {**rows[0], "experiment": "other"}, {**rows[0], "variant": "gone"}])  # fmt: skip
            store.do(lambda connection: None).result()
            found.append(exposed(store, declared))
    assert found[0] == found[1]
    assert [one[-1] for one in found[0].counts.values()] == [250, 250]


def test_an_interleaving_shows_whose_items_people_chose(monkeypatch, tmp_path):
    from twofold.serve.page import trials

    variants = {"control": {}, "new": {"model": "EASE"}}
    declared = from_dict({"experiments": {"mix": {"method": "team_draft", "variants": variants}}})["mix"]  # fmt: skip
    rng = np.random.default_rng(0)
    rows, done = [], []
    for at in range(300):
        shown = {"unit": f"u{at}", "time": 1e9 + 1000 * at, "request": f"r{at}", "items": ["x", "y"], "teams": [0, 1]}  # fmt: skip
        rows.append({**shown, "variant": "team_draft"})
        if rng.random() < 0.5:
            item = "y" if rng.random() < 0.8 else "x"
            done.append({"unit": f"u{at}", "kind": "click", "time": 1e9 + 1000 * at + 5, "item": item, "request": f"r{at}"})  # fmt: skip
    made = interleaving_report.report(declared, pl.DataFrame(rows), pl.DataFrame(done))
    monkeypatch.setattr(trials, "shown", lambda store, one: plain(made.as_dict()))
    kept = [
        {"request_id": one["request"], "unit": one["unit"], "experiment": "mix", "variant": "team_draft", "version": 1,
         "source": "model", "items": "[]", "propensities": None, "time": one["time"]}
        for one in rows
    ]  # fmt: skip
    with contextlib.closing(Store(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        store.add_exposures(kept)
        store.do(lambda connection: None).result()
        one = trials.trial(store, declared, {("mix", "new"): 2}, 1)
    text = clean(shell.html("experiments.html", trials=[one]).body.decode())
    assert "new is preferred" in text
    assert html.escape(made.headline) in text
    assert f"<td>{made.preference.margin:.4g}</td>" in text
    assert "team draft 300" in text.replace("team_draft", "team draft")


def test_a_ratio_that_is_off_is_told_first(running, served):
    live = served.live
    row = {"request_id": "x", "version": 1, "source": "model", "items": "[]", "propensities": None, "time": time.time(), "experiment": "first", "variant": "control"}  # fmt: skip
    live.store.add_exposures(
        [{**row, "request_id": f"x{at}", "unit": f"x{at}"} for at in range(900)]
    )
    live.store.do(lambda connection: None).result()
    text = safe(running.get("/page/data/experiments"))
    assert "Ratio mismatch: believe no lift." in text
    assert 'class="verdict alarm"' in text


def test_a_young_experiment_is_looked_at_by_the_hour_and_the_minute():
    assert days(0.0, 3 * 3600.0) == [3600.0, 7200.0, 10800.0]
    assert days(0.0, 90.0) == [60.0, 90.0]
    assert max(len(days(0.0, one)) for one in (119 * 60.0, 47.9 * 3600, 86400.0 * 400)) <= 61


# ---- looks --------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme):
    """WCAG 2.2 AA: 4.5 for text, 3 for the edges of controls and for lines of pictures."""
    css = shell.static_files()["page.css"].body.decode()
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", blocks[scheme == "dark"]))
    for name in ("--ink", "--dim", "--accent", "--warn"):
        for behind in (
            "--back",
            "--card",
            "--soft",
            "--wash" if name != "--warn" else "--warn-wash",
        ):
            assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    assert contrast(colours["--on-accent"], colours["--accent"]) >= 4.5
    assert contrast(colours["--card"], colours["--good"]) >= 4.5
    for name in ("--edge", *(f"--c{at}" for at in range(8))):
        for behind in ("--card", "--back"):
            assert contrast(colours[name], colours[behind]) >= 3, (name, behind)
