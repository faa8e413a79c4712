"""Off-policy estimates straight from a server's store, and from its exported log: what another version would have earned."""

import json
import sqlite3
import time

import numpy as np
import polars as pl
import pytest
from test_process import Process

from twofold.online.list_estimates import estimate_lists
from twofold.serve import experiments
from twofold.serve.experiment_logs import exposure_parts
from twofold.serve.replay import replay
from twofold.serve.schemas import Question

EXPLORE = '[explore]\nkind = "softmax"\ntemperature = 1.5\ncandidates = 60\n'
TASTES = "[experiments.tastes]\nmethod = 'team_draft'\nshare = 0.5\n[experiments.tastes.variants]\ncontrol = {}\nnew = { model = 'EASE' }\n"


@pytest.fixture
def state(served, models, tmp_path):
    """The state of a server that drew lists and got clicks, and what EASE would have listed at each of them."""
    client = served()
    client.post("/models", json={"path": str(models / "EASE")})
    client.__exit__(None, None, None)
    (tmp_path / "exp.toml").write_text(EXPLORE)
    client = served(None, experiment=str(tmp_path / "exp.toml"))
    live = served.live
    other, _ = live.open_version(live.registry.read(), 2)
    rng, lists = np.random.default_rng(0), {}
    users = [f"new{one}" for one in range(20)] + list(range(101, 141))
    for at in range(240):
        user = users[at % len(users)]
        would = other.answer(Question(user=user, k=2), live.histories)
        answer = client.post("/recommend", json={"user": user, "k": 3}, headers={"x-request-id": f"r{at}"}).json()  # fmt: skip
        lists[f"r{at}"] = [str(one) for one in would.items]
        for one in answer["items"]:
            if rng.random() < (0.6 if int(str(one["item"]).strip("i")) % 2 else 0.1):
                event = {"user": user, "item": one["item"], "kind": "click", "request_id": f"r{at}"}
                client.post("/events", json=event)
    live.store.do(lambda connection: None).result()
    client.__exit__(None, None, None)
    return tmp_path / "state", lists


def test_a_version_is_estimated_from_the_store_and_from_the_exported_log(state, run, tmp_path):
    folder, lists = state
    code, out, err = run("experiment", "estimate", "--state", folder, "--model", "EASE", "--within", "--json")  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["target"] == "version 2"
    assert (found["lists"], found["units"]) == (240, 60)
    assert [one["name"] for one in found["estimates"]] == ["ips", "snips", "dr"]
    code, out, err = run("experiment", "export", folder, "--out", tmp_path / "logs")
    assert code == 0, err
    assert "wrote 240 exposures" in out
    shown, done = (pl.read_parquet(tmp_path / "logs" / f"{one}.parquet") for one in ("exposures", "events"))  # fmt: skip
    # The questions asked again, with the histories of their moments, are what EASE said at those moments.
    target = pl.DataFrame({"request": list(lists), "items": list(lists.values())})
    target.write_parquet(tmp_path / "ease.parquet")
    files = ["--exposures", tmp_path / "logs" / "exposures.parquet", "--events", tmp_path / "logs" / "events.parquet"]  # fmt: skip
    if all(set(items[:1]) <= set(row) for items, row in zip(lists.values(), shown["candidates"].to_list(), strict=True)):  # fmt: skip
        code, out, err = run("experiment", "estimate", *files, "--target", tmp_path / "ease.parquet", "--json")  # fmt: skip
        assert code == 0, err
        same = json.loads(out)
        assert same["estimates"] == found["estimates"]
    direct = estimate_lists(shown, done, target, within=True)
    assert direct.logged.value == pytest.approx(found["logged"]["value"])
    assert direct.estimates[0].value == pytest.approx(found["estimates"][0]["value"])
    code, out, err = run("experiment", "estimate", "--state", folder, "--model", 2, "--within", "--temperature", 1.0)  # fmt: skip
    assert code == 0, err
    assert "version 2: 0." in out
    assert "effective" in out


def test_an_exported_log_keeps_experiments_apart(served, models, tmp_path, run):
    """Two experiments whose variants have the same names: each is reported as from the store."""
    two = "".join(
        f"[experiments.{name}]\nlayer = '{name}'\n[experiments.{name}.variants]\ncontrol = {{}}\nnew = {{}}\n"
        for name in ("ranker", "page")
    )
    (tmp_path / "exp.toml").write_text(two)
    client = served(experiment=str(tmp_path / "exp.toml"))
    for user in range(101, 141):
        listed = client.post("/recommend", json={"user": user, "k": 3}).json()
        if user % 3:
            event = {"user": user, "item": listed["items"][0]["item"], "kind": "click", "request_id": listed["request_id"]}  # fmt: skip
            client.post("/events", json=event)
    served.live.store.do(lambda connection: None).result()
    client.__exit__(None, None, None)
    folder = tmp_path / "state"
    assert run("experiment", "export", folder, "--out", tmp_path / "logs")[0] == 0
    files = [f"--{one}={tmp_path / 'logs' / one}.parquet" for one in ("exposures", "events")]
    told = {}
    for name in ("ranker", "page"):
        for source in (["--state", folder], files):
            code, out, err = run("experiment", "report", tmp_path / "exp.toml", "--name", name, *source, "--json")  # fmt: skip
            assert code == 0, err
            told.setdefault(name, []).append(json.loads(out)["units"])
        assert told[name][0] == told[name][1]
    assert told["ranker"] != told["page"]
    code, _, err = run("experiment", "estimate", *files, "--target", files[0][12:], "--name", "pag")
    assert (code, "did you mean 'page'" in err) == (2, True), err


def test_a_replay_tells_questions_of_another_time_what_came_before_them(served, models, tmp_path):
    """Events and questions of a simulation are all sent now, and say when they were."""
    (tmp_path / "exp.toml").write_text(EXPLORE)
    client = served(experiment=str(tmp_path / "exp.toml"))
    live = served.live
    for user in ("n1", "n2"):
        when = live.served.trained_until + 1000
        client.post("/events", json={"user": user, "item": "i1", "time": when})
        client.post("/recommend", json={"user": user, "k": 3, "time": when + 100})
        client.post("/events", json={"user": user, "item": "i2", "time": when + 200})
    live.store.do(lambda connection: None).result()
    shown = pl.concat(list(exposure_parts(live.store, 0)))
    found = replay(live, 1, shown, k=24, within=False).target
    assert len(found) == 2
    for items in found["items"].to_list():
        assert "i1" not in items
        assert "i2" in items


def test_the_logging_version_itself_is_estimated_at_what_it_earned(state, run):
    """The same policy again: all weights are 1, and every estimate is the clicks themselves."""
    folder, _ = state
    code, out, err = run("experiment", "estimate", "--state", folder, "--model", 1, "--within", "--temperature", 1.5, "--places", 3, "--json")  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    for one in found["estimates"][:2]:
        assert one["value"] == pytest.approx(found["logged"]["value"], rel=1e-6), one
        assert one["effective"] == pytest.approx(240, rel=1e-6)
    assert found["difference"]["low"] == pytest.approx(0, abs=0.1)


def test_what_cannot_be_estimated_is_one_sentence(state, run, served, tmp_path, models):
    folder, _ = state
    files = ["--exposures", tmp_path / "e.parquet", "--events", tmp_path / "e.parquet"]
    for arguments, said in (
        (["--state", folder], "name the version to estimate with --model"),
        (["--state", folder, "--model", "EASEL"], "did you mean 'EASE'"),
        (["--state", folder, "--model", 9], "a variant names the model '9'"),
        (["--state", folder, "--model", 2, "--name", "first"], "no exposures of an experiment 'first'"),
        (["--state", folder, "--model", 2, *files], "not both"),
        (["--state", tmp_path / "none", "--model", 2], "is no state folder"),
        (["--model", 2], "say where the logs are"),
        (files, "e.parquet"),
        (["--state", folder, "--model", 2, "--epsilon", 0.1, "--temperature", 1], "not both"),
        (["--state", folder, "--model", 2, "--temperature", 0], "temperature got 0"),
    ):  # fmt: skip
        code, out, err = run("experiment", "estimate", *arguments)
        assert (code, out) == (2, ""), arguments
        assert said in err, err
        assert "Traceback" not in err
    client = served("good", state="plain", exposures=True)
    client.post("/recommend", json={"user": 101, "k": 3})
    client.__exit__(None, None, None)
    code, _, err = run("experiment", "estimate", "--state", tmp_path / "plain", "--model", 1)
    assert code == 2
    assert "no list of the store was drawn with known chances" in err


def test_a_version_that_may_have_learned_from_the_clicks_is_refused(state, run, served, models, tmp_path):  # fmt: skip
    folder, _ = state
    with sqlite3.connect(folder / "events.db") as store:
        store.execute("UPDATE exposures SET time = 1")
    store.close()
    code, _, err = run("experiment", "estimate", "--state", folder, "--model", 2)
    assert code == 2
    assert "may have learned from their clicks" in err


def test_a_store_of_an_earlier_version_gets_the_column_that_it_lacks(served, tmp_path):
    client = served("good", exposures=True)
    client.__exit__(None, None, None)
    with sqlite3.connect(tmp_path / "state" / "events.db") as store:
        store.execute("ALTER TABLE exposures DROP COLUMN detail")
        store.execute("INSERT INTO exposures (request_id, unit, variant, version, source, items, time) VALUES ('old', 'u', 'live', 1, 'model', '[1]', 5)")  # fmt: skip
    store.close()
    (tmp_path / "exp.toml").write_text(EXPLORE)
    client = served(None, experiment=str(tmp_path / "exp.toml"))
    assert "propensity" in client.post("/recommend", json={"user": 101, "k": 3}).json()
    served.live.store.do(lambda connection: None).result()
    from twofold.serve.tables import EXPOSURES

    rows = served.live.store.rows(EXPOSURES)
    assert [row["detail"] is None for row in rows] == [True, False]


def test_a_real_server_interleaves_explores_reports_and_is_estimated(models, tmp_path, run, monkeypatch):  # fmt: skip
    """A process of its own, killed in the end: its log is all that is left, and enough."""
    monkeypatch.setattr(experiments, "AGE", 0.0)
    state = tmp_path / "state"
    (tmp_path / "exp.toml").write_text(EXPLORE + TASTES)
    first = Process(state, models / "good")
    assert first.ask("POST", "/models", {"path": str(models / "EASE")})[0] == 201
    first.end()
    server = Process(state, models / "good", "--experiment", str(tmp_path / "exp.toml"))
    try:
        mixed = drawn = 0
        for at in range(120):
            # Under a name of its own, or chance might never show what EASE lists.
            name = {"x-request-id": f"real{at}"}
            status, answer = server.ask("POST", "/recommend", {"user": f"u{at}", "history": ["i1", "i3"], "k": 4}, **name)  # fmt: skip
            assert status == 200, answer
            is_mixed = answer["variant"] == "team_draft"
            mixed, drawn = mixed + is_mixed, drawn + (not is_mixed)
            assert ("propensity" in answer) == (not is_mixed)
            click = {"user": f"u{at}", "item": answer["items"][at % 4]["item"], "kind": "click", "request_id": answer["request_id"]}  # fmt: skip
            assert server.ask("POST", "/events", click)[0] == 200
        until = time.monotonic() + 20
        found = {}
        while (found.get("preference") or {}).get("units") != mixed:
            assert time.monotonic() < until, found
            status, found = server.ask("GET", "/experiments/tastes")
            assert status == 200
            time.sleep(0.5)
    finally:
        server.process.kill()
        server.process.wait()
    code, out, err = run("experiment", "report", tmp_path / "exp.toml", "--state", state, "--json")
    assert code == 0, err
    assert json.loads(out)["preference"] == found["preference"]
    code, out, err = run("experiment", "estimate", "--state", state, "--model", "EASE", "--within", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["lists"] == drawn
