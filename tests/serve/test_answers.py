"""What the server answers is what the model answers, and the event that came a moment ago is in it."""

import numpy as np
import polars as pl
import pytest
from tests_of_serving import items_of

import twofold as tw
from twofold.errors import ConfigError
from twofold.serve import asking
from twofold.serve.tables import EVENTS
from twofold.testing import planted_log


@pytest.mark.parametrize("name", ["good", "EASE", "Popularity"])
def test_lists_are_those_of_the_model(served, models, name):
    client, model = served(name), tw.load(models / name)
    for user in model.users.ids.ids.to_list()[:20]:
        expected = model.recommend(users=[user], k=7)
        answer = client.post("/recommend", json={"user": user, "k": 7}).json()
        assert [one["item"] for one in answer["items"]] == expected["item"].to_list()
        assert np.float32([one["score"] for one in answer["items"]]).tolist() == expected["score"].to_list()  # fmt: skip
        assert answer["source"] == expected["source"][0]
        assert (answer["model"], answer["version"], answer["variant"]) == (type(model.estimator).__name__, 1, "live")  # fmt: skip


def test_options_are_those_of_the_library(ask, models):
    model = tw.load(models / "good")
    user = model.users.ids[0]
    cases = [
        ({"exclude_seen": False}, {"exclude_seen": False}),
        ({"deny": ["i1", "i2", "nowhere"]}, {"deny": ["i1", "i2"]}),
        ({"allow": ["i1", "i9", "i4"]}, {"allow": ["i1", "i9", "i4"]}),
        ({"allow": ["i1", "i9", "i4"], "deny": ["i9"]}, {"allow": ["i1", "i4"]}),
        ({"k": 1000}, {"k": 1000}),
    ]
    for body, arguments in cases:
        expected = model.recommend(users=[user], **{"k": 6, **arguments})["item"].to_list()
        assert items_of(ask.post("/recommend", json={"user": user, "k": 6, **body})) == expected
    history = ["i1", "i5", "i9", "unknown"]
    expected = model.recommend(histories=[history], k=5)
    answer = ask.post("/recommend", json={"history": history, "k": 5})
    assert items_of(answer) == expected["item"].to_list()
    assert answer.json()["source"] == "fold-in"
    for told in ([["i1", "i5"], "i9", ["unknown"]], [["i1", "i5", "i9"]]):
        expected = model.recommend(histories=[told], k=5)["item"].to_list()
        assert items_of(ask.post("/recommend", json={"history": told, "k": 5})) == expected
    why = {"history": [["i1", "i5"], ["i9"]], "item": "i3"}
    expected = model.explain(item="i3", history=why["history"])["item"].to_list()
    reasons = ask.post("/explain", json=why).json()["reasons"]
    assert [one["item"] for one in reasons] == expected
    stranger = ask.post("/recommend", json={"user": "nobody", "k": 3, "deny": ["i8"]}).json()
    assert stranger["source"] == "fallback:popularity"
    assert "i8" not in [one["item"] for one in stranger["items"]]


def test_variety_is_that_of_maximal_marginal_relevance(ask, models):
    from twofold.data.queries import Queries
    from twofold.rank import rank
    from twofold.variety import diversify

    model = tw.load(models / "good")
    ranked = rank(model, Queries.known(np.array([0], np.int32)), 24)
    rows, _ = diversify(ranked.items, ranked.scores, model.similarity_vectors, 5, 0.7)
    expected = [model.items.ids[row] for row in rows[0]]
    body = {"user": model.users.ids[0], "k": 5, "diversity": 0.7}
    assert items_of(ask.post("/recommend", json=body)) == expected
    alike = model.recommend(users=[body["user"]], k=5, diversity=0.7)
    found = ask.post("/recommend", json={**body, "history": None}).json()["items"]
    assert [one["item"] for one in found] == alike["item"].to_list()
    assert np.float32([one["score"] for one in found]).tolist() == alike["score"].to_list()
    for wrong in (1.5, -0.1, "much"):
        refused = ask.post("/recommend", json={**body, "diversity": wrong}).json()["error"]
        with pytest.raises(ConfigError) as error:
            model.recommend(users=[body["user"]], diversity=wrong)
        assert str(error.value) == f"{refused['message']}; {refused['hint']}"


def test_a_batch_is_its_questions_one_by_one(ask):
    questions = [
        {"user": 101, "k": 3},
        {"history": ["i2"], "k": 4},
        {"user": "new", "deny": ["i1"]},
    ]
    found = ask.post("/recommend/batch", json={"questions": questions}).json()["answers"]
    for one, question in zip(found, questions, strict=True):
        assert one["items"] == ask.post("/recommend", json=question).json()["items"]
    assert len({one["request_id"] for one in found}) == 3


def test_an_event_is_in_the_next_answer(ask, models):
    model = tw.load(models / "good")
    first = items_of(ask.post("/recommend", json={"user": "stranger", "k": 5}))
    sent = ask.post("/events", json={"user": "stranger", "item": first[0]})
    assert sent.json()["accepted"] == 1
    expected = model.recommend(histories=[[first[0]]], k=5)
    assert items_of(ask.post("/recommend", json={"user": "stranger", "k": 5})) == expected["item"].to_list()  # fmt: skip
    known = model.users.ids[0]
    seen = (
        model.memory.log().frame("interactions").filter(pl.col("user") == known)["item"].to_list()
    )
    new = next(one for one in model.items.ids.ids.to_list() if one not in seen)
    ask.post("/events", json={"user": known, "item": new})
    expected = model.recommend(histories=[[*seen, new]], k=5)["item"].to_list()
    answer = ask.post("/recommend", json={"user": known, "k": 5})
    assert items_of(answer) == expected
    assert answer.json()["source"] == "fold-in"


def test_events_that_are_no_history_change_no_list(ask, served):
    before = items_of(ask.post("/recommend", json={"user": 101}))
    shown = {"user": 101, "item": before[0], "kind": "impression"}
    assert ask.post("/events", json=shown).json()["accepted"] == 1
    assert items_of(ask.post("/recommend", json={"user": 101})) == before
    other = served(kinds=("purchase",), state="other")
    other.post("/events", json={"user": 101, "item": before[0], "kind": "click"})
    assert items_of(other.post("/recommend", json={"user": 101})) == before
    other.post("/events", json={"user": 101, "item": before[0], "kind": "purchase"})
    assert before[0] not in items_of(other.post("/recommend", json={"user": 101}))


def test_events_of_another_order_make_the_same_history(served):
    """GRU-like models read the order: events stand by their own time, whenever they come."""
    sent = [
        {"user": "x", "item": f"i{at}", "time": 1000 + 10 * at, "id": f"e{at}"} for at in range(8)
    ]
    orders = [sent, sent[::-1], sent[4:] + sent[:4] + sent[2:6]]
    found = []
    for at, order in enumerate(orders):
        client = served(state=f"state{at}")
        for event in order:
            assert client.post("/events", json=event).status_code == 200
        lately = served.live.histories.of("x")
        found.append([served.live.histories.items[code] for code in lately.item])
    assert found[0] == [f"i{at}" for at in range(8)]
    assert found[1] == found[2] == found[0]


def test_histories_warm_up_from_the_store(served):
    client = served()
    client.post("/events", json=[{"user": "x", "item": one} for one in ("i1", "i5", "i9")])
    before = client.post("/recommend", json={"user": "x", "k": 5}).json()["items"]
    client.__exit__(None, None, None)
    again = served(None)
    assert again.post("/recommend", json={"user": "x", "k": 5}).json()["items"] == before


def test_a_second_server_on_the_same_state_follows(served):
    import time

    one, two = served(), served(None)
    one.post("/events", json={"user": "x", "item": "i1"})
    until = time.monotonic() + 5
    while two.post("/recommend", json={"user": "x"}).json()["source"] != "fold-in":
        assert time.monotonic() < until, "the event of the other process never came"
        time.sleep(0.02)
    assert served.live.histories.count == 1


def test_what_training_had_already_counts_once(served, tmp_path):
    log = pl.DataFrame({"user": ["a", "a", "b", "b", "c"], "item": ["p", "q", "p", "r", "q"], "time": [10, 20, 10, 30, 40]})  # fmt: skip
    model = tw.models.ItemKNN().fit(
        tw.Dataset.from_frames(log, user="user", item="item", time="time"), rng=0
    )
    model.save(tmp_path / "m")
    client = served(tmp_path / "m")
    rows = [{"user": u, "item": i, "time": t} for u, i, t in log.iter_rows()]
    client.post("/events", json=rows)
    live = served.live
    joined = asking.joined(live.served, 0, live.histories.of("a"), live.histories)
    assert len(joined.item) == 0, "all of it stands in training: the remembered history counts"
    client.post("/events", json={"user": "a", "item": "r", "time": 50})
    joined = asking.joined(live.served, 0, live.histories.of("a"), live.histories)
    assert joined.item.tolist() == model.items.ids.rows(["p", "q", "r"]).tolist()
    assert joined.time.tolist() == [10, 20, 50]


def test_integer_ids_are_given_back_as_integers(served, tmp_path):
    data = tw.Dataset.from_frames({"user": [1, 1, 2, 2], "item": [10, 20, 10, 30]}, user="user", item="item")  # fmt: skip
    tw.models.ItemKNN().fit(data).save(tmp_path / "m")
    client = served(tmp_path / "m")
    assert items_of(client.post("/recommend", json={"user": 1, "k": 1})) == [30]
    assert items_of(client.post("/recommend", json={"user": "1", "k": 1})) == [30]
    client.post("/events", json={"user": 7, "item": "10"})
    assert client.post("/recommend", json={"user": "7", "k": 5}).json()["source"] == "fold-in"


def test_a_person_has_one_history_however_an_integer_id_is_written(served, tmp_path):
    data = tw.Dataset.from_frames({"user": [1, 1, 2, 2], "item": [10, 20, 10, 30]}, user="user", item="item")  # fmt: skip
    tw.models.ItemKNN().fit(data).save(tmp_path / "m")
    client = served(tmp_path / "m")
    client.post("/events", json=[{"user": "7.0", "item": "10.0"}, {"user": 7, "item": 30}])
    lists = [
        client.post("/recommend", json={"user": who, "k": 5}).json()["items"]
        for who in (7, "7", "7.0", " 7")
    ]
    lists += [
        one["items"]
        for one in client.post("/recommend/batch", json={"questions": [{"user": "7.0", "k": 5}]}).json()["answers"]
    ]  # fmt: skip
    assert lists == [lists[0]] * 5
    assert [one["item"] for one in lists[0]] == [20]
    explained = client.post("/explain", json={"user": "7.0", "item": 20}).json()["reasons"]
    assert [one["item"] for one in explained] == [10, 30]
    assert {one["item_id"] for one in served.live.store.rows(EVENTS)} == {"10", "30"}


def test_a_person_without_a_history_is_answered_by_the_features_that_training_had(served, tmp_path):
    log = planted_log()
    people = log.users.ids.ids.to_list()
    without = tw.Dataset.from_frames(
        log.frame("interactions").filter(pl.col("user") != people[0]),
        user="user", item="item", users=log.frame("users"), user_features={"taste": "category"},
    )  # fmt: skip
    pytest.importorskip("torch", reason="the extra deep is not installed")
    tw.models.YouTubeRanker(epochs=2).fit(without, rng=0).save(tmp_path / "m")
    client = served(tmp_path / "m")
    known = client.post("/recommend", json={"user": people[0], "k": 4}).json()
    taste = log.frame("users").filter(pl.col("user") == people[0])["taste"][0]
    said = client.post("/recommend", json={"features": {"taste": taste}, "k": 4}).json()
    assert (known["source"], ids_of(known)) == ("content", ids_of(said))
    nothing = client.post("/recommend", json={"features": {"taste": None}, "k": 4}).json()
    assert nothing["source"] == "fallback:popularity"
    explained = client.post("/explain", json={"user": people[0], "item": known["items"][0]["item"]})
    (reason,) = explained.json()["reasons"]
    assert (reason["kind"], reason["score"]) == (
        "features",
        pytest.approx(known["items"][0]["score"], rel=1e-5),
    )


def ids_of(body):
    return [one["item"] for one in body["items"]]


def test_similar_and_explain(ask, models):
    model = tw.load(models / "good")
    found = ask.get("/items/i1/similar", params={"k": 4})
    assert items_of(found) == model.similar_items("i1", 4)["item"].to_list()
    reasons = ask.post("/explain", json={"user": 101, "item": "i3", "k": 3}).json()["reasons"]
    expected = model.explain(101, "i3").head(3)
    assert [one["item"] for one in reasons] == expected["item"].to_list()
    ask.post("/events", json={"user": "stranger", "item": "i1"})
    (only,) = ask.post("/explain", json={"user": "stranger", "item": "i5"}).json()["reasons"]
    assert only["item"] == "i1"
    assert ask.post("/explain", json={"user": "unheard", "item": "i5"}).status_code == 422


def test_an_explanation_is_made_as_the_list_is(ask, served, tmp_path):
    """It said model, whatever the list said."""
    ask.post("/events", json={"user": "stranger", "item": "i1"})
    deep = tmp_path / "content"
    tw.models.FM(factors=2, learner={"method": "als", "epochs": 2}).fit(tw.testing.planted_log(), rng=0).save(deep)  # fmt: skip
    pipeline = tw.Pipeline(candidates=[tw.models.ItemKNN(), tw.models.IALS(factors=4)])
    pipeline.fit(tw.testing.planted_log(), rng=0).save(tmp_path / "pipe")
    several = [ask, served(deep, state="state-2"), served(tmp_path / "pipe", state="state-3")]
    questions = [{"user": 101}, {"user": "stranger"}, {"history": ["i1"]}, {"user": 101, "history": ["i2"]}, {"features": {"taste": "even"}}]  # fmt: skip
    met = set()
    for client in several:
        for question in questions:
            listed = client.post("/recommend", json=question).json()
            told = client.post("/explain", json={**question, "item": "i3"})
            if told.status_code == 200:
                assert told.json()["source"] == listed["source"], question
                met.add(listed["source"])
    assert met >= {"model", "fold-in", "content"}


def test_a_new_item_is_recommendable_at_the_next_call(served, tmp_path):
    words = ["apple pear plum", "apple plum fig", "bolt nut screw", "nut screw nail", "pear fig apple", "nail bolt nut"]  # fmt: skip
    rows = [(f"u{u}", f"i{i}") for u in range(12) for i in range(6) if (i in (0, 1, 4)) == (u % 2 == 0) and (u + i) % 3]  # fmt: skip
    log = {"user": [u for u, _ in rows], "item": [i for _, i in rows]}
    data = tw.Dataset.from_frames(log, user="user", item="item", items={"item": [f"i{i}" for i in range(6)], "words": words}, item_features={"words": "text"})  # fmt: skip
    model = tw.models.ItemKNN(content=("words",)).fit(data, rng=0)
    model.save(tmp_path / "m")
    client = served(tmp_path / "m")
    body = {"history": ["i0"], "k": 3, "allow": ["fresh"]}
    assert items_of(client.post("/recommend", json=body)) == []
    made = client.put("/items/fresh", json={"features": {"words": "plum apple"}})
    assert made.json()["known"] is False, made.text
    answer = client.post("/recommend", json=body).json()
    assert [(one["item"], one["source"]) for one in answer["items"]] == [("fresh", "content")]
    assert client.put("/items/odd", json={"features": {"wordz": "x"}}).status_code == 422
    client.__exit__(None, None, None)
    again = served(None)
    assert items_of(again.post("/recommend", json=body)) == ["fresh"]
    assert again.delete("/items/fresh").status_code == 200
    assert items_of(again.post("/recommend", json=body)) == []
    assert items_of(again.post("/recommend", json={"history": ["i1"], "k": 9}))
    assert again.put("/items/fresh", json={"features": {"words": "plum"}}).status_code == 200
    assert items_of(again.post("/recommend", json=body)) == ["fresh"]
    assert again.put("/items/i0", json={"features": {}}).json()["known"] is True


def test_a_pipeline_and_a_model_that_reads_words_are_served(served, tmp_path):
    data = tw.testing.planted_log()
    two = tw.Pipeline(candidates=[tw.models.IALS(factors=4, epochs=2), tw.models.EASE()], depth=10)
    model = two.fit(data, rng=0)
    model.save(tmp_path / "two")
    client = served(tmp_path / "two")
    expected = model.recommend(users=[101], k=5)["item"].to_list()
    assert items_of(client.post("/recommend", json={"user": 101, "k": 5})) == expected
    refused = client.post("/recommend", json={"words": "a storm"})
    assert refused.status_code == 422
    assert "does not read words" in refused.text


def test_new_items_of_a_pipeline_are_listed(served, tmp_path):
    parts = [tw.models.CTR(factors=4, content="title"), tw.models.IALS(factors=4)]
    tw.Pipeline(candidates=parts, diversity=0.2).fit(planted_log(), rng=0).save(tmp_path / "m")
    client = served(tmp_path / "m")
    for name in ("n1", "n2"):
        told = {"title": "an even thing", "tags": ["even"]}
        assert client.put(f"/items/{name}", json={"features": told}).status_code == 200
        only = client.post("/recommend", json={"user": 100, "allow": [name], "k": 3})
        assert items_of(only) == [name]
    both = client.post("/recommend", json={"user": 100, "k": 30}).json()["items"]
    assert {"n1", "n2"} <= {one["item"] for one in both}
    assert len({one["item"] for one in both}) == len(both)
    tw.models.IALS(factors=4).fit(planted_log(), rng=0).save(tmp_path / "other")
    number = client.post("/models", json={"path": str(tmp_path / "other")}).json()["version"]
    refused = client.post(f"/models/{number}/promote", json={}).json()["error"]["message"]
    assert "it does not know 2 items that were added, such as 'n1'" in refused
    client.delete("/items/n1")
    again = client.post("/recommend", json={"user": "nobody", "k": 30})
    assert "n1" not in items_of(again)
    near = items_of(client.get("/items/n2/similar"))
    assert len(near) == 10


def test_exposures_are_logged_with_what_was_shown(served):
    import json

    from twofold.serve.tables import EXPOSURES

    client = served(exposures=True)
    answer = client.post("/recommend", json={"user": 101, "k": 3}).json()
    served.live.store.do(lambda connection: None).result()  # what was put before is written now
    (row,) = served.live.store.rows(EXPOSURES)
    assert (row["request_id"], row["unit"], row["variant"], row["version"]) == (answer["request_id"], "101", "live", 1)  # fmt: skip
    assert json.loads(row["items"]) == [one["item"] for one in answer["items"]]


EXPERIMENT = """
[experiments.first]
layer = "models"
[experiments.first.variants.control]
[experiments.first.variants.new]
model = "EASE"
"""


def test_an_experiment_chooses_the_version(served, models, tmp_path):
    from twofold.serve.tables import EXPOSURES

    client = served()
    client.post("/models", json={"path": str(models / "EASE")})
    client.__exit__(None, None, None)
    (tmp_path / "exp.toml").write_text(EXPERIMENT)
    client = served(None, experiment=str(tmp_path / "exp.toml"))
    assert client.get("/experiments").json() == {"experiments": ["first"]}
    found = {}
    for at in range(100):
        answer = client.post("/recommend", json={"user": 100 + at, "k": 3}).json()
        assert (answer["variant"], answer["model"]) in {("control", "IALS"), ("new", "EASE")}
        again = client.post("/recommend", json={"user": str(100 + at), "k": 3}).json()
        assert again["variant"] == answer["variant"]
        found[str(100 + at)] = answer["variant"]
        if at % 3 == 0:
            item = answer["items"][0]["item"]
            event = {"user": 100 + at, "item": item, "kind": "click", "request_id": answer["request_id"]}  # fmt: skip
            client.post("/events", json=event)
    assert 25 < list(found.values()).count("new") < 75
    served.live.store.do(lambda connection: None).result()
    rows = served.live.store.rows(EXPOSURES)
    assert {row["unit"]: row["variant"] for row in rows} == found
    assert {row["experiment"] for row in rows} == {"first"}
    shown = client.get("/experiments/first").json()
    assert sum(shown["units"].values()) == 100, shown
    assert client.get("/experiments/second").status_code == 404
    (tmp_path / "exp.toml").write_text(EXPERIMENT.replace("EASE", "EASEL"))
    with pytest.raises(ConfigError, match="did you mean 'EASE'"):
        served(None, state="state", experiment=str(tmp_path / "exp.toml"))
