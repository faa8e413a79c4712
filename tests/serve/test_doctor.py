"""``twofold doctor STATE``: each fault of a server is named before it starts, and one that runs is asked."""

import json
import shutil
import socket

import pytest
from tests_of_serving import listening

from twofold.serve.live import Live
from twofold.serve.settings import Settings


@pytest.fixture
def state(models, tmp_path):
    """The state of a server, of a model in a folder of its own."""
    shutil.copytree(models / "good", tmp_path / "model")
    live = Live.open(Settings(state=str(tmp_path / "state"), model=str(tmp_path / "model")))
    live.close()
    return tmp_path / "state"


@pytest.fixture
def found(run, monkeypatch):
    """Run the command without its test of the kernels; return the exit code and its lines by name."""
    monkeypatch.setattr("twofold.cli.doctor._self_test", lambda: {"what": "kernels", "state": "ok", "found": ""})  # fmt: skip
    monkeypatch.delenv("TWOFOLD_KEYS", raising=False)

    def call(*arguments):
        code, out, err = run("doctor", *arguments, "--json")
        return code, {row["what"]: row for row in json.loads(out)} if out else err

    return call


def test_a_state_that_is_well(found, state, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text('admin = ["0123456789abcdef"]')
    keys.chmod(0o600)
    code, rows = found(state, "--keys", keys)
    assert code == 0
    assert "0 events" in rows["store"]["found"]
    assert "IALS" in rows["live model"]["found"]
    assert {rows[one]["state"] for one in ("store", "live model", "keys")} == {"ok"}
    assert "GB free" in rows["room for events"]["found"]
    keys.chmod(0o644)
    assert "chmod 600" in found("--keys", keys)[1]["keys"]["found"]


def test_what_is_broken_is_named(found, state, tmp_path):
    array = next((tmp_path / "model").rglob("*.npy"))
    array.write_bytes(array.read_bytes()[:-3])
    code, rows = found(state)
    assert (code, rows["live model"]["state"], rows["store"]["state"]) == (1, "fault", "ok")
    shutil.rmtree(tmp_path / "model")
    assert "is gone" in found(state)[1]["live model"]["found"]
    (state / "events.db").write_bytes(b"no database" * 100)
    assert found(state)[1]["store"]["state"] == "fault"
    code, rows = found("--store", "postgresql://me:secret@127.0.0.1:1/x")
    assert (code, rows["store"]["state"]) == (1, "fault")
    assert "secret" not in json.dumps(rows)
    (tmp_path / "keys.toml").write_text('read = ["short"]')
    assert "at least 16" in found("--keys", tmp_path / "keys.toml")[1]["keys"]["found"]
    code, said = found(tmp_path)
    assert (code, "no state folder" in said) == (2, True)


def test_a_port(found, state, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, rows = found("--port", port)
        assert (code, rows["port"]["state"]) == (1, "fault")
    code, rows = found("--port", port)
    assert (code, rows["port"]["found"]) == (0, f"127.0.0.1:{port} is free")
    live = Live.open(Settings(state=str(state)))
    with listening(live) as port:
        code, rows = found(state, "--port", port)
        assert code == 0
        assert "a server answers, IALS version 1, store reachable" in rows["port"]["found"]
