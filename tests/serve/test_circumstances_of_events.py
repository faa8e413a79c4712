"""Events keep the circumstances they happened in, and the next training reads them."""

import json

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.testing.levels import told_log

SENT = [
    {"user": "a", "item": "i1", "time": 3, "context": {"device": "phone", "hour": 21}},
    {"user": "a", "item": "i2", "time": 1, "context": {"device": "tv", "hour": 9.5, "with": ["b", "c"]}},
    {"user": "b", "item": "i3", "time": 2, "session": "s1", "context": {"with": "a", "new": True}},
    {"user": "b", "item": "i4", "time": 4},
]  # fmt: skip


def test_circumstances_go_out_as_columns(served, run, tmp_path):
    client = served()
    assert client.post("/events", json=SENT).json()["accepted"] == 4
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.parquet")
    assert code == 0, err
    log = pl.read_parquet(tmp_path / "log.parquet")
    assert log.columns == [
        "user",
        "item",
        "value",
        "time",
        "kind",
        "session",
        "device",
        "hour",
        "with",
        "new",
    ]
    assert log["item"].to_list() == ["i2", "i3", "i1", "i4"]
    assert log["session"].to_list() == [None, "s1", None, None]
    assert log["device"].to_list() == ["tv", None, "phone", None]
    assert log["hour"].to_list() == [9.5, None, 21.0, None]
    assert log["with"].to_list() == [["b", "c"], ["a"], None, None]
    assert log["new"].to_list() == [None, "true", None, None]
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.csv")
    assert code == 0, err
    assert pl.read_csv(tmp_path / "log.csv")["with"].to_list() == ["b|c", "a", None, None]


def test_a_model_of_circumstances_is_trained_on_what_was_sent(served, run, tmp_path):
    """What is taken depends on the device alone, which the events say."""
    client = served()
    rng = np.random.default_rng(0)
    some = [(user, at, ("phone", "tv")[at % 2]) for user in range(100) for at in range(6)]
    sent = [
        {"user": f"u{user}", "item": f"{on}{rng.integers(10)}", "time": at, "context": {"device": on}}
        for user, at, on in some
    ]  # fmt: skip
    assert client.post("/events", json=sent).json()["accepted"] == 600
    log, folder = tmp_path / "log.parquet", tmp_path / "fm"
    code, _, err = run("events", tmp_path / "state", "--out", log)
    assert (code, err) == (0, "")
    code, _, err = run("fit", "FM", "--data", log, "--value", "-", "--context", "device=category", "--test", 0, "--out", folder, "--set", "user_history=false", "--set", "item_history=false")  # fmt: skip
    assert code == 0, err
    model = tw.load(folder / "model")
    people = [f"u{user}" for user in range(100)]
    for device in ("phone", "tv"):
        asked = model.recommend(users=people, k=3, context={"device": [device] * 100})
        assert asked["item"].str.starts_with(device).mean() > 0.9


def test_what_training_did_not_keep_is_said(served, run, tmp_path):
    learner = {"method": "als", "epochs": 3}
    tw.models.FM(factors=2, learner=learner).fit(told_log(), rng=0).save(tmp_path / "fm")
    served(tmp_path / "fm").post(
        "/events", json={"user": 101, "item": "i1", "context": {"mood": "glad"}}
    )
    out = tmp_path / "log.parquet"
    code, _, err = run("events", tmp_path / "state", "--out", out, "--with-training")
    assert code == 0
    assert "does not remember the circumstances of its training: mood of those" in err
    assert pl.read_parquet(out)["mood"].null_count() == len(pl.read_parquet(out)) - 1


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"kind": "play"}, "context.kind has the name of a field of the event"),
        ({"hour": {"a": 1}}, "context.hour holds an object"),
        ({"hour": [[1]]}, "context.hour holds a list in a list"),
        ({"hour": 1e200}, "context.hour is 1e+200"),
        ({"": 1}, "context has a column without a name"),
        ("phone", "context"),
    ],
)
def test_circumstances_that_cannot_be_kept_are_refused(served, context, said):
    answer = served().post("/events", json={"user": "a", "item": "i1", "context": context})
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


def test_a_store_of_an_earlier_release_takes_circumstances(served):
    served()
    with served.live.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events DROP COLUMN context")
    again = served()
    sent = {"id": "e1", "user": "a", "item": "i1", "context": {"hour": 3}}
    assert again.post("/events", json=sent).json()["accepted"] == 1
    (row,) = served.live.store.events_after(0)
    assert json.loads(row["context"]) == {"hour": 3}


def test_lists_that_a_csv_cannot_keep_apart_are_refused(served, run, tmp_path):
    client = served()
    client.post("/events", json={"user": "a", "item": "i1", "context": {"with": ["b|c", "d"]}})
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.csv")
    assert (code, "write .parquet or .jsonl" in err) == (2, True)
    assert not (tmp_path / "log.csv").exists()


def test_a_name_with_an_equals_sign_is_trained_on(served, run, tmp_path):
    client = served()
    sent = [{"user": f"u{at}", "item": f"i{at % 3}", "context": {"a=b": "xy"[at % 2]}} for at in range(12)]  # fmt: skip
    client.post("/events", json=sent)
    log = tmp_path / "log.parquet"
    assert run("events", tmp_path / "state", "--out", log)[0] == 0
    code, out, err = run("describe", "--data", log, "--context", "a=b=category")
    assert code == 0, err
    assert "a=b (category)" in out


def test_a_circumstance_that_may_be_mistyped_is_noted(served, tmp_path):
    """It was kept as a column of its own without a word."""
    learner = {"method": "als", "epochs": 3}
    tw.models.FM(factors=2, learner=learner).fit(told_log(), rng=0).save(tmp_path / "fm")
    client = served(tmp_path / "fm")
    sent = {"user": 101, "item": "i1", "context": {"modo": "glad", "zzzzzz": 1, "hour": 3}}
    kept = client.post("/events", json=[sent, {**sent, "user": 102}]).json()
    assert kept["accepted"] == 2
    assert kept["notes"] == [
        "the live model does not read the circumstance 'modo', which is kept for the next training; did you mean 'mood'?",
        "the live model does not read the circumstance 'zzzzzz', which is kept for the next training; it reads hour, mood",
    ]
    fine = {"user": 101, "item": "i1", "context": {"mood": "glad"}}
    assert "notes" not in client.post("/events", json=fine).json()
    plain = served(state="plain").post("/events", json={"user": 101, "item": "i1", "context": {"modo": 1}})  # fmt: skip
    assert "notes" not in plain.json(), "a model that reads none says nothing of any"
