"""Whatever comes in: a clear refusal of one shape, nothing lost, the server alive."""

import json
from shutil import copyfile

import orjson
import pytest
from tests_of_serving import items_of

import twofold as tw
from twofold.data.music import generated_music
from twofold.errors import ConfigError
from twofold.serve.keys import Keys
from twofold.serve.settings import Settings
from twofold.serve.tables import EVENTS

JSON = {"content-type": "application/json"}


def refused(response, status, code, *words):
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == code, error
    for word in words:
        assert word in f"{error['message']} {error['hint']}", error
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"{nope", 400, "bad_json", ["not JSON"]),
        (b"\xff\xfe", 400, "bad_json", []),
        (b"[1, 2]", 422, "bad_request", []),
        (b'"text"', 422, "bad_request", []),
        (b"", 422, "bad_request", ["names nobody"]),
        (b"{}", 422, "bad_request", ["names nobody"]),
        (b'{"usr": 1}', 422, "unknown_field", ["'usr'", "did you mean 'user'?"]),
        (b'{"text": "red"}', 422, "unknown_field", ["'text'", "did you mean 'words'?"]),
        (b'{"users": ["a"]}', 422, "unknown_field", ["did you mean 'user'?"]),
        (b'{"user": "a", "excludeSeen": true}', 422, "unknown_field", ["exclude_seen"]),
        (b'{"user": "a", "k": -1}', 422, "bad_request", ["k", "-1"]),
        (b'{"user": "a", "k": 0}', 422, "bad_request", ["k"]),
        (b'{"user": "a", "k": 1e400}', 422, "bad_request", ["k"]),
        (b'{"user": "a", "k": 99999999999999999999999}', 422, "bad_request", ["k"]),
        (b'{"user": "a", "k": 2.5}', 422, "bad_request", ["k"]),
        (b'{"user": "a", "k": "3"}', 422, "bad_request", ["k"]),
        (b'{"user": "a", "k": true}', 422, "bad_request", ["k"]),
        (b'{"user": true}', 422, "bad_request", ["user"]),
        (b'{"user": 1.5}', 422, "bad_request", ["user", "valid integer or a valid string"]),
        (b'{"user": ""}', 422, "bad_request", ["user", "integer or string should have at least"]),
        (b'{"user": {"$ne": 1}}', 422, "bad_request", ["user"]),
        (b'{"user": 170141183460469231731687303715884105727}', 422, "bad_request", ["user"]),
        (b'{"user": "a\\u0000b"}', 422, "bad_request", ["user"]),
        (b'{"user": "\\ud800"}', 400, "bad_json", []),
        (b'{"history": "i1"}', 422, "bad_request", ["history"]),
        (b'{"history": [null]}', 422, "bad_request", ["history"]),
        (b'{"history": [["a", ["b"]]]}', 422, "bad_request", ["history.0.1 got list of 1", "valid integer or a valid string: A list of item ids or of lists"]),
        (b'{"history": [["a", "b"], {"c": 1}]}', 422, "bad_request", ["history.1 got dict of 1", "integer or a valid string or a valid array: A list of item ids or of lists"]),
        (b'{"history": {"a": 1}}', 422, "bad_request", ["history got dict of 1", "valid array: A list of item ids or of lists"]),
        (orjson.dumps({"history": [["a"] * 1000] * 11}), 422, "bad_request", ["history", "11,000", "10,000"]),
        (b'{"user": "a", "diversity": NaN}', 422, "bad_request", ["diversity"]),
        (b'{"user": "a", "diversity": 2}', 422, "bad_request", ["diversity"]),
        (b'{"user": "a", "context": {"x": Infinity}}', 422, "bad_request", ["context.x", "finite"]),
        (b'{"user": "a", "where": {"genre": "x"}}', 422, "bad_request", ["genre"]),
        (b'{"user": "a", "words": 5}', 422, "bad_request", ["words"]),
        (b"[" * 100_000, 400, "bad_json", []),
    ],
)  # fmt: skip
def test_questions(ask, body, status, code, words):
    refused(ask.post("/recommend", content=body, headers=JSON), status, code, *words)
    assert items_of(ask.post("/recommend", json={"user": 101}))


@pytest.mark.parametrize(
    ("event", "status", "code", "words"),
    [
        ({"user": "a"}, 422, "bad_request", ["item is missing"]),
        ({"user": "a", "item": "b", "val": 1}, 422, "unknown_field", ["did you mean 'value'?"]),
        ({"user": "a", "item": "b", "time": 1.7e12}, 422, "bad_time", ["milliseconds"]),
        ({"user": "a", "item": "b", "time": 1e300}, 422, "bad_time", ["future"]),
        ({"user": "a", "item": "b", "time": -5}, 422, "bad_request", ["time"]),
        ({"user": "a", "item": "b", "value": 1e300}, 422, "bad_request", ["value"]),
        ({"user": "a", "item": "b", "value": "5"}, 422, "bad_request", ["value"]),
        ({"user": "a", "item": "b", "kind": "a b"}, 422, "bad_request", ["kind"]),
        ({"user": "a", "item": "b", "id": ""}, 422, "bad_request", ["id"]),
        ([{"user": "a", "item": "b", "id": "1"}, {"user": "a"}], 422, "bad_request", ["1.item is missing"]),
        ([{"user": "a", "item": "b"}] * 10_001, 413, "too_many_events", ["10,000"]),
    ],
)  # fmt: skip
def test_events(served, event, status, code, words):
    client = served(max_body=10_000_000)
    refused(client.post("/events", json=event), status, code, *words)
    assert served.live.store.rows(EVENTS) == [], "a request is kept whole or not at all"
    for value in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        body = b'{"user": "a", "item": "b", "value": ' + value + b"}"
        refused(client.post("/events", content=body, headers=JSON), 422, "bad_request", "value")


def test_sizes(served):
    client = served()
    ten = b'{"user": "' + b"a" * 10_000_000 + b'"}'
    refused(client.post("/recommend", content=ten, headers=JSON), 413, "too_large", "--max-body")

    def parts():
        yield b'{"history": ['
        for _ in range(1000):
            yield b'"i1",' * 1000
        yield b'"i1"]}'

    refused(client.post("/recommend", content=parts(), headers=JSON), 413, "too_large")
    wide = served(max_body=50_000_000, state="wide")
    million = {"history": ["i1"] * 1_000_000}
    refused(wide.post("/recommend", json=million), 422, "bad_request", "history", "10000")
    long = {"history": ["i1"] * 10_000, "k": 5}
    assert len(items_of(wide.post("/recommend", json=long))) == 5


@pytest.mark.parametrize(
    "name",
    ["'; DROP TABLE events; --", "<script>alert(1)</script>", "\" OR 1=1", "..%2f..%2fetc", "ünï ☃ 漢字", "a/b?c#d", "\\", "%s%n", "\u202e"],
)  # fmt: skip
def test_ids_are_ids_whatever_they_hold(ask, served, name):
    sent = ask.post("/events", json={"user": name, "item": name, "id": name[:100]})
    assert sent.json()["accepted"] == 1
    ask.post("/events", json={"user": name, "item": "i1"})
    assert ask.post("/recommend", json={"user": name, "k": 3}).json()["source"] == "fold-in"
    (row, _) = served.live.store.rows(EVENTS)
    assert (row["user_id"], row["item_id"]) == (name, name)
    assert ask.get(f"/items/{name.encode().hex()}/similar").status_code == 404


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_change_nothing(ask, site):
    """A rollback needs no body, so the kind of the body cannot keep other sites out."""
    before = ask.get("/models").json()
    refused(ask.post("/models/rollback", headers={"sec-fetch-site": site}), 403, "other_site")
    assert ask.get("/models", headers={"sec-fetch-site": site}).json()["live"] == before["live"]
    own = ask.post("/recommend", json={"user": "a"}, headers={"sec-fetch-site": "same-origin"})
    assert own.status_code == 200


def test_paths_and_methods(ask):
    refused(ask.get("/recomend"), 404, "no_such_path", "did you mean /recommend?")
    refused(ask.get("/recommend"), 405, "bad_method", "GET")
    refused(ask.get("/items/i1/similar?k=-1"), 422, "bad_request", "k got")
    refused(ask.get("/items/i1/similar?n=1"), 422, "unknown_field", "allowed: k")
    refused(ask.get("/items/i99/similar"), 404, "unknown_id", "i99")
    refused(ask.put("/items/x", json={"features": {}}), 422, "bad_request", "content")
    refused(ask.delete("/items/nowhere"), 404, "unknown_id", "known are 'i")
    refused(ask.delete("/items/" + "x" * 600), 422, "bad_request", "an item id of 600 characters")
    refused(ask.get(f"/items/{'x' * 600}/similar"), 422, "bad_request", "give 1 to 512")
    refused(ask.post("/models/77/promote", json={}), 404, "unknown_version", "77")
    refused(ask.post("/models", json={"path": "/nowhere"}), 409, "bad_model", "does not exist")
    long = ask.post("/models", json={"path": "x" * 1000})
    refused(long, 409, "bad_model", "File name too long")
    wide = {"features": {f"f{one}": 1 for one in range(1001)}}
    refused(ask.put("/items/x", json=wide), 422, "bad_request", "at most 1000")
    refused(ask.post("/recommend", json={"user": "a", **wide}), 422, "bad_request", "at most 1000")
    refused(ask.post("/recommend", content=b"{}", headers={"content-type": "text/plain"}), 415, "not_json")  # fmt: skip
    in_parts = ask.post("/recommend", content=iter([b"{}"]), headers={"content-type": "text/plain"})
    refused(in_parts, 415, "not_json")
    assert ask.get("/health").json() == {"status": "ok"}


def test_names_of_requests(ask):
    sent = {"x-request-id": "mine-1"}
    answer = ask.post("/recommend", json={"user": "a"}, headers=sent)
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine-1"
    odd = ask.post("/recommend", json={"user": "a"}, headers={"x-request-id": "a b<>"})
    assert odd.headers["x-request-id"] not in {"a b<>", ""}


def test_keys_and_roles(served):
    keys = {role: f"{role}-key-0123456789" for role in ("read", "write", "admin")}
    client = served(keys=Keys.of({role: [key] for role, key in keys.items()}))

    def code(method, path, key, **body):
        sent = {} if key is None else {"authorization": f"Bearer {key}"}
        return client.request(method, path, headers=sent, **body).status_code

    question, event = {"json": {"user": "a"}}, {"json": {"user": "a", "item": "i1"}}
    assert code("POST", "/recommend", None, **question) == 401
    assert code("POST", "/recommend", "wrong", **question) == 401
    assert code("GET", "/health", None) == 200
    for role, (read, write, admin) in {"read": (200, 403, 403), "write": (200, 200, 403), "admin": (200, 200, 409)}.items():  # fmt: skip
        assert code("POST", "/recommend", keys[role], **question) == read
        assert code("POST", "/events", keys[role], **event) == write
        assert code("POST", "/models/rollback", keys[role]) == admin
        assert code("GET", "/models", keys[role]) == read
    answer = client.post("/recommend", headers={"x-api-key": keys["read"]}, **question)
    assert answer.status_code == 200
    refused(client.post("/recommend", **question), 401, "no_key", "Bearer")


def test_keys_that_are_none(tmp_path):
    file = tmp_path / "keys.toml"
    for text, words in {
        "reed = []": "did you mean 'read'",
        'read = ["short"]': "at least 16",
        'read = "0123456789abcdef"': "list of keys",
        "": "no keys",
        "read = [": "cannot read",
    }.items():
        file.write_text(text)
        with pytest.raises(ConfigError, match=words):
            Keys.read(file)
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        Settings(state="x", host="0.0.0.0")
    assert Settings(state="x", host="0.0.0.0", keys="keys.toml")


def test_a_wrong_question_among_several_is_answered_with_what_a_question_may_hold(ask):
    response = ask.post("/recommend/batch", json={"questions": [{"user": 1}, {"usr": 1}]})
    refused(response, 422, "unknown_field", "'usr'", "did you mean 'user'?")
    response = ask.post("/recommend/batch", json={"questions": [{"user": 1, "k": 0}]})
    refused(response, 422, "bad_request", "questions.0.k got 0", "Length of the list")


def test_the_rate_of_a_client(served):
    client = served(rate=5.0)
    codes = [client.get("/models").status_code for _ in range(20)]
    assert codes[:10] == [200] * 10, "two seconds of the rate may be spent at once"
    assert 429 in codes
    last = client.get("/models")
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) >= 1
    assert client.get("/health").status_code == 200


def test_the_interface_describes_itself(ask):
    found = ask.get("/openapi.json").json()
    for path in ("/recommend", "/recommend/batch", "/events", "/explain", "/models", "/health", "/metrics", "/ready"):  # fmt: skip
        assert path in found["paths"]
    body = found["paths"]["/recommend"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]
    for example in body["examples"].values():
        answer = ask.post("/recommend", json=example["value"])
        assert answer.status_code == 200 or "does not read words" in answer.text
    text = json.dumps(found)
    names = {one.split('"')[0] for one in text.split("#/components/schemas/")[1:]}
    assert names <= set(found["components"]["schemas"])
    for schema in ("Question", "Event"):
        for field in found["components"]["schemas"][schema]["properties"].values():
            assert field.get("description"), (schema, field)


def test_numbers_for_prometheus(ask):
    ask.post("/recommend", json={"user": 101})
    ask.post("/events", json=[{"id": "a", "user": "u", "item": "i1"}] * 2)
    text = ask.get("/metrics").text
    assert 'twofold_answers_total{source="model",variant="live",version="1"} 1.0' in text
    assert 'twofold_events_total{outcome="accepted"} 1.0' in text
    assert 'twofold_events_total{outcome="duplicate"} 1.0' in text
    assert 'twofold_request_seconds_count{path="/recommend"} 1.0' in text


def test_a_fault_is_one_sentence_and_the_server_lives(served, monkeypatch):
    client = served()

    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(served.live.served), "of_asked", broken)
    answer = client.post("/recommend", json={"user": 101})
    refused(answer, 500, "fault", "please report")
    assert "secret" not in answer.text
    monkeypatch.undo()
    assert items_of(client.post("/recommend", json={"user": 101}))


def test_a_wrong_value_is_told_what_the_field_means(served):
    client = served("good")
    for path, body in (("/recommend", {"user": "u", "time": "today"}), ("/events", [{"user": "u", "item": "i", "time": "today"}])):  # fmt: skip
        said = client.post(path, json=body)
        assert said.status_code == 422
        assert "time got 'today'" in said.json()["error"]["message"]
        assert "econds since 1970 UTC" in said.json()["error"]["hint"]


def test_a_sound_is_read_only_where_the_catalogue_has_sounds(served, tmp_path):
    pytest.importorskip("librosa", reason="the extra audio is not installed")
    pytest.importorskip("torch", reason="the extra deep is not installed")
    (tmp_path / "music").mkdir()
    songs = generated_music(tmp_path / "music", n_users=20, n_songs=12, plays=5, seconds=2.0, rng=0)
    sound = {"sample_rate": 8000, "window": 256, "hop": 256, "bands": 24, "min_seconds": 1.0}
    deep = tw.models.DeepContent(
        factorization={"model": "IALS", "factors": 2},
        network={"kind": "cnn", "channels": (4,), "pools": (4,), "hidden": (4,), "seconds": 1.0},
        sound=sound,
        epochs=1,
    )
    deep.fit(songs, rng=0).save(tmp_path / "deep")
    name = "sound"
    path = songs.items.features[name].values[0]
    client = served(tmp_path / "deep")
    stranger = str(tmp_path / "secret.wav")
    copyfile(path, stranger)
    response = client.put("/items/new", json={"features": {name: stranger}})
    refused(
        response, 422, "bad_request", "features.sound", "in no folder of the catalogue's sounds"
    )
    around = client.put("/items/new", json={"features": {name: f"{tmp_path}/music/../secret.wav"}})
    refused(around, 422, "bad_request", "features.sound")
    (tmp_path / "music" / "round.wav").symlink_to(tmp_path / "music" / "round.wav")
    for odd, said in {
        f"{tmp_path}/music/round.wav": "no file",
        f"{tmp_path}/music/{'x' * 300}.wav": "cannot be read",
        "/" + "y/" * 100_000: "a path of 200,001 characters",
        (path,): "got list",
        True: "got bool",
    }.items():
        response = client.put("/items/new", json={"features": {name: odd}})
        assert response.status_code == 422
        assert said in response.json()["error"]["message"]
    assert client.put("/items/new", json={"features": {name: path}}).status_code == 200
    gone = str(tmp_path / "music" / "gone.wav")
    copyfile(path, gone)
    for item in ("lost", "kept"):
        told = {"features": {name: gone if item == "lost" else path}}
        assert client.put(f"/items/{item}", json=told).status_code == 200
    (tmp_path / "music" / "gone.wav").unlink()
    again = served(tmp_path / "deep")
    assert again.get("/items/lost/similar").status_code == 404
    assert again.get("/items/new/similar").status_code == 200, "the others are there still"
    assert again.get("/items/kept/similar").status_code == 200
