"""A question may say when it is asked: simulations and replays live days in minutes."""

import time

import pytest

import twofold as tw
from twofold.serve.tables import EXPOSURES
from twofold.testing import planted_log


def exposures(served):
    served.live.store.do(lambda _: None).result()  # what was to be written before is written
    return served.live.store.rows(EXPOSURES)


def test_the_exposure_has_the_time_that_the_question_tells(served):
    ask = served(exposures=True)
    began = time.time()
    assert ask.post("/recommend", json={"user": "u0", "time": 1_700_000_000.5}).status_code == 200
    assert ask.post("/recommend", json={"user": "u0"}).status_code == 200
    questions = [{"user": "u1", "time": 1_600_000_000}, {"user": "u2"}]
    assert ask.post("/recommend/batch", json={"questions": questions}).status_code == 200
    times = [one["time"] for one in exposures(served)]
    assert (times[0], times[2]) == (1_700_000_000.5, 1_600_000_000)
    assert min(times[1], times[3]) >= began


def test_a_question_of_the_future_is_refused_and_logs_nothing(served):
    ask = served(exposures=True)
    answer = ask.post("/recommend", json={"user": "u0", "time": time.time() * 1000})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "bad_time"
    assert "this looks like milliseconds" in answer.json()["error"]["hint"]
    questions = [{"user": "u1"}, {"user": "u2", "time": time.time() + 200_000}]
    answer = ask.post("/recommend/batch", json={"questions": questions})
    assert answer.status_code == 422
    assert "of a question lies in the future" in answer.json()["error"]["message"]
    for bad in ("-1", '"now"', "1e400", "true"):
        body = f'{{"user": "u0", "time": {bad}}}'
        told = ask.post("/recommend", content=body, headers={"content-type": "application/json"})
        assert told.status_code == 422, bad
    assert exposures(served) == []


def test_an_explanation_has_the_clock_of_the_list(served, tmp_path):
    """It was asked as of the end of training, and the list as of now: the same question had other scores."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    tw.models.YouTubeRanker(hidden=(4,), epochs=2).fit(planted_log(), rng=0).save(tmp_path / "m")
    client = served(tmp_path / "m")
    mine = tw.load(tmp_path / "m").memory.log().frame().filter(user=101)["item"][0]
    scores = set()
    for when in (1_600_300_000, 1_700_000_000):
        asked = {"user": 101, "time": when}
        own = {
            "exclude_seen": False,
            "allow": [mine],
        }  # what is later than the question is not read
        (listed,) = client.post("/recommend", json={**asked, **own}).json()["items"]
        told = client.post("/explain", json={**asked, "item": listed["item"]}).json()
        assert "notes" not in told
        assert told["reasons"][0]["score"] == pytest.approx(listed["score"], rel=1e-5)
        assert any(one["reason"].startswith("time=") for one in told["reasons"])
        scores.add(told["reasons"][0]["score"])
    assert len(scores) == 2
    (note,) = client.post("/explain", json={"history": ["i1"], "item": "i3"}).json()["notes"]
    assert note.startswith("the model reads the time of the question, and none was told: it is asked as of now, 20")  # fmt: skip
    assert "notes" not in client.post("/recommend", json={"history": ["i1"]}).json()
    ahead = client.post("/explain", json={"history": ["i1"], "item": "i3", "time": time.time() * 1000})  # fmt: skip
    assert ahead.json()["error"]["code"] == "bad_time"
