"""Events as they never should come: the server answers each with a clear refusal or keeps it, once, and lives."""

import json
import math
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from twofold.serve.app import create_app
from twofold.serve.live import Live
from twofold.serve.settings import Settings
from twofold.serve.tables import EVENTS, EXPOSURES

JSON = {"content-type": "application/json"}
NASTY = st.sampled_from(
    ["'; DROP TABLE events; --", "<img src=x onerror=alert(1)>", '"}]}', "%00", "\u202e", "\ud800", "\udfff\ud800", "a\x00b",
     "e\u0301", "é", "🧑‍🧑‍🧒", "ﷺ" * 100, "NaN", "-1", "0x1F", "１２", "i1", "101", " i1", "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}"]
)  # fmt: skip
NUMBER = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([1e308, -0.0, 5e-324, 2**63, -(2**63), 1.7e12])
)  # fmt: skip
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, NASTY, st.text(max_size=600)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NASTY | st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)  # fmt: skip
GOOD = st.fixed_dictionaries(
    {"user": st.sampled_from(["u1", "u2", 101, "<b>", "'; --"]), "item": st.sampled_from(["i1", "i2", "i3", "new"])},
    optional={
        "id": st.sampled_from([f"e{at}" for at in range(12)]),
        "kind": st.sampled_from(["click", "play", "impression"]),
        "value": st.floats(-1e30, 1e30),
        "time": st.floats(0, 2e9),
        "session": st.sampled_from(["s", "☃"]),
    },
)  # fmt: skip
FIELDS = st.sampled_from(["user", "item", "id", "kind", "value", "time", "request_id", "session", "usr", "$where", ""])  # fmt: skip
TORN = st.builds(lambda good, field, value: {**good, field: value}, GOOD, FIELDS, ANYTHING)
BODY = st.one_of(ANYTHING, TORN, st.lists(GOOD | TORN, max_size=6))
slow = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """A server and its client, the same for all examples."""
    folder = tmp_path_factory.mktemp("fuzz")
    live = Live.open(Settings(state=str(folder), model=str(models / "good"), exposures=True))
    with TestClient(create_app(live), raise_server_exceptions=False) as client:
        yield live, client


def written(body):
    """Return a body as a client would write it that knows no better: NaN and lone surrogates as they are."""
    return json.dumps(body, ensure_ascii=True).encode()


def refused_clearly(answer):
    """Hold a refusal to the one shape, a status of the client's fault, and finite length."""
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert all(isinstance(one, str) for one in error.values())
    assert error["message"]
    assert len(answer.content) < 3000, "what was sent is not sent back"


@slow
@given(body=BODY)
def test_events_are_kept_whole_or_refused_clearly(server, body):
    live, client = server
    before = len(live.store.rows(EVENTS))
    answer = client.post("/events", content=written(body), headers=JSON)
    after = len(live.store.rows(EVENTS))
    if answer.status_code == 200:
        said = answer.json()
        assert said["accepted"] == after - before
        assert said["accepted"] + said["duplicates"] == len(said["ids"]) == (len(body) if isinstance(body, list) else 1)  # fmt: skip
    else:
        refused_clearly(answer)
        assert after == before, "a request is kept whole or not at all"


@slow
@given(path=st.sampled_from(["/recommend", "/recommend/batch", "/explain", "/items/x", "/models/1/promote"]), body=BODY)  # fmt: skip
def test_other_bodies_are_refused_clearly(server, path, body):
    _, client = server
    method = "PUT" if path == "/items/x" else "POST"
    answer = client.request(method, path, content=written(body), headers=JSON)
    if answer.status_code != 200:
        refused_clearly(answer)


@slow
@given(field=FIELDS | NASTY, value=ANYTHING, rest=st.sampled_from([{"user": "u1"}, {"history": ["i1"]}]))  # fmt: skip
def test_questions_with_one_odd_field(server, field, value, rest):
    _, client = server
    answer = client.post("/recommend", content=written({**rest, field: value}), headers=JSON)
    if answer.status_code == 200:
        assert all(math.isfinite(one["score"]) for one in answer.json()["items"])
    else:
        refused_clearly(answer)


@slow
@given(name=NASTY | st.text(min_size=1, max_size=40), body=st.binary(max_size=60), kind=st.sampled_from(["application/json", "text/plain", "multipart/form-data", "application/json; charset=utf-16", ""]))  # fmt: skip
def test_bytes_that_are_no_json_and_kinds_that_are_none(server, name, body, kind):
    _, client = server
    sent = {"content-type": kind, "x-request-id": name.encode("utf-8", "replace")[:80].hex()}
    answer = client.post("/events", content=body, headers=sent)
    refused_clearly(answer)


@slow
@given(name=st.binary(min_size=1, max_size=20) | NASTY.map(lambda one: one.encode("utf-8", "surrogatepass")), query=st.text(max_size=10), k=NUMBER)  # fmt: skip
def test_paths_of_any_bytes(server, name, query, k):
    _, client = server
    path = f"/items/{quote(name)}"
    answers = [
        client.get(f"{path}/similar", params={"k": str(k)}),
        client.get(f"{path}/similar?{quote(query)}"),
        client.put(path, json={"features": {"a": 1}}),
        client.get(f"/experiments/{quote(name)}"),
        client.post(f"/models/{quote(name)}/promote", json={}),
    ]
    if name not in (b"i1", b"i2"):
        answers.append(client.delete(path))
    for answer in answers:
        if answer.status_code != 200:
            refused_clearly(answer)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(events=st.lists(GOOD, min_size=1, max_size=12), order=st.randoms(use_true_random=False), cuts=st.integers(1, 4))  # fmt: skip
def test_order_and_repetition_do_not_matter(models, tmp_path_factory, events, order, cuts):
    """Whatever the order, the parts and the repetitions: the same histories, in the order of time."""
    events = [{**one, "id": f"x{at}", "time": float(at // 2)} for at, one in enumerate(events)]
    found = []
    for shuffled in (False, True):
        folder = tmp_path_factory.mktemp("order")
        live = Live.open(Settings(state=str(folder), model=str(models / "good")))
        with TestClient(create_app(live)) as client:
            sent = list(events)
            if shuffled:
                sent += events[: len(events) // 2]
                order.shuffle(sent)
            for at in range(cuts):
                if part := sent[at::cuts]:
                    assert client.post("/events", json=part).status_code == 200
            kept = live.store.rows(EVENTS)
            histories = {}
            for user in {str(one["user"]) for one in events}:
                lately = live.histories.of(user)
                if lately is not None:
                    assert (lately.time[1:] >= lately.time[:-1]).all()
                    pairs = zip(lately.time.tolist(), (live.histories.items[one] for one in lately.item), strict=True)  # fmt: skip
                    histories[user] = sorted((when, str(item)) for when, item in pairs)
        assert len(kept) == len(events) == len({one["id"] for one in kept})
        found.append(histories)
    assert found[0] == found[1]


def test_deep_and_wide_bodies(server):
    live, client = server
    before = len(live.store.rows(EVENTS))
    for depth in (50, 1000, 100_000):
        for opened, closed in (("[", "]"), ('{"a":', "}")):
            for shell in (
                "{}",
                '{"user": "u", "item": {}}',
                '{"user": "u", "features": {"a": {}}}',
            ):
                deep = shell.replace("{}", opened * depth + "1" + closed * depth)
                for path in ("/events", "/recommend"):
                    refused_clearly(client.post(path, content=deep.encode(), headers=JSON))
    wide = {f"field{at}": at for at in range(20_000)}
    refused_clearly(client.post("/events", json={"user": "u", "item": "i", **wide}))
    refused_clearly(client.post("/recommend", json={"user": "u", "features": wide, "k": -1}))
    twice = b'{"user": "u", "user": "v", "item": "i1", "id": "twice"}'
    assert client.post("/events", content=twice, headers=JSON).status_code in (200, 422)
    assert len(live.store.rows(EVENTS)) <= before + 1


def test_afterwards_it_answers_and_nothing_was_lost(server):
    live, client = server
    assert client.post("/recommend", json={"user": 101}).status_code == 200
    assert client.get("/ready").json()["ready"] is True
    assert live.store.lost == 0
    assert 'status="500"' not in client.get("/metrics").text
    ids = [row["id"] for row in live.store.rows(EVENTS)]
    assert len(ids) == len(set(ids))
    live.store.do(lambda connection: None).result()  # exposures are written with the next commit
    assert live.store.rows(EXPOSURES)
