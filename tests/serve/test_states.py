"""A recurrent model takes one step an event, and stands where the whole history would have led it."""

import warnings

import numpy as np
import pytest
from tests_of_serving import items_of

import twofold as tw
from twofold.errors import DataWarning
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question
from twofold.serve.served import Served
from twofold.testing import planted_log

pytest.importorskip("torch")
USER = "u1"


@pytest.fixture(scope="module", params=[None, 3600.0])
def recurrent(request, tmp_path_factory):
    """A saved model without a gap, and one with."""
    log = planted_log()
    if request.param is not None and log.interactions.time is None:
        pytest.skip("the log has no times")
    with warnings.catch_warnings():
        # With a gap most sessions of this log hold one event.
        warnings.simplefilter("ignore", DataWarning)
        model = tw.models.GRU4Rec(factors=6, epochs=1, gap=request.param).fit(log, rng=0)
    return model, model.save(tmp_path_factory.mktemp("recurrent") / "model")


class Counted:
    """Counts the steps that the kernel takes."""

    def __init__(self, monkeypatch, model):
        self.steps = 0
        run = type(model)._run

        def counted(own, items, indptr, rows):
            self.steps += len(items)
            run(own, items, indptr, rows)

        monkeypatch.setattr(type(model), "_run", counted)


def row(number, user, item, when):
    return {"seq": number, "user_id": user, "item_id": item, "kind": "click", "value": None, "time": when, "ids": 0}  # fmt: skip


def folded(served, user, live):
    """Return the vector of the whole history, as without states."""
    asked = served.asked(Question(user=user), live)
    return served.model.told(asked.queries.user, asked.queries.history)


@pytest.mark.parametrize("user", ["known", "new"])
def test_each_event_is_one_step_and_the_vector_is_that_of_the_history(recurrent, user, monkeypatch):
    model, _ = recurrent
    served, live = Served.of(1, model), LiveHistories(1000)
    who = model.users.ids[0] if user == "known" else "somebody new"
    start = (served.trained_until or 0) + 10
    rng = np.random.default_rng(0)
    ids = [*model.items.ids.ids.to_list(), "never heard of"]
    when = start
    for number in range(1, 40):
        when += int(rng.choice([1, 60, 3600, 3601, 90_000]))
        live.add([row(number, str(who), str(ids[rng.integers(0, len(ids))]), when)])
        asked = served.asked(Question(user=who), live)
        if not len(asked.queries.history.item):
            continue
        with monkeypatch.context() as patch:
            counted = Counted(patch, model)
            assert served.asked(Question(user=who), live).vector is not None
            assert counted.steps == 0, "nothing new happened"
        assert asked.vector.tobytes() == folded(served, who, live).tobytes()
    with monkeypatch.context() as patch:
        counted = Counted(patch, model)
        live.add([row(100, str(who), str(ids[0]), when + 5)])
        served.asked(Question(user=who), live)
        assert counted.steps == 1, "one event costs one step"


def test_a_late_event_a_cut_and_an_event_of_training_are_read_as_a_whole_history(recurrent):
    model, _ = recurrent
    served, live = Served.of(1, model), LiveHistories(8)
    start, ids = (served.trained_until or 0) + 10, model.items.ids.ids.to_list()
    for number, late in enumerate([5, 9, 3, 20, 1], 1):
        live.add([row(number, "x", str(ids[number]), start + late)])
        asked = served.asked(Question(user="x"), live)
        assert asked.vector.tobytes() == folded(served, "x", live).tobytes()
    live.forget_before(start + 4)
    asked = served.asked(Question(user="x"), live)
    assert asked.vector.tobytes() == folded(served, "x", live).tobytes()
    for number in range(6, 30):
        live.add([row(number, "x", str(ids[number % len(ids)]), start + 20 + number)])
    assert served.asked(Question(user="x"), live).vector is None, "its beginning is forgotten"
    if served.trained_until is not None:
        live.add([row(99, "y", str(ids[0]), served.trained_until)])
        assert served.asked(Question(user="y"), live).vector is None


def test_over_http_an_event_is_in_the_next_list(recurrent, served):
    model, folder = recurrent
    client = served(folder)
    known = model.users.ids[0]
    before = client.post("/recommend", json={"user": known, "k": 5, "exclude_seen": False}).json()
    told = []
    for at, item in enumerate(model.items.ids.ids.to_list()[:4]):
        told.append(item)
        client.post("/events", json={"id": f"e{at}", "user": "fresh", "item": item})
        client.post("/events", json={"id": f"k{at}", "user": known, "item": item})
        answer = client.post("/recommend", json={"user": "fresh", "k": 5})
        expected = model.recommend(histories=[told], k=5)
        assert items_of(answer) == expected["item"].to_list()
    after = client.post("/recommend", json={"user": known, "k": 5, "exclude_seen": False}).json()
    assert after["items"] != before["items"]
    assert len(served.live.served.states) == 2
