"""A question may say when it is asked: simulations and replays live days in minutes."""

import time

from twofold.serve.tables import EXPOSURES


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
