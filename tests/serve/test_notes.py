"""A question with values that training never saw is answered, and the asker is told; one that can never be is refused."""

import html

import pytest
from tests_of_serving import items_of

import twofold as tw
from twofold.serve.schemas import LONGEST_NOTE, MOST_NOTES
from twofold.testing import planted_log
from twofold.testing.levels import told_log


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that reads the hour and a mood, and one that places new items by their tags."""
    folder = tmp_path_factory.mktemp("notes")
    chain = {"method": "als", "epochs": 3}
    tw.models.FM(factors=2, learner=chain).fit(told_log(), rng=0).save(folder / "fm")
    tw.models.ItemKNN(content=("tags",)).fit(planted_log(), rng=0).save(folder / "knn")
    return folder


def test_an_unknown_value_is_noted_and_the_list_is_the_one_without_it(served, saved):
    client = served(saved / "fm")
    plain = client.post("/recommend", json={"user": 101, "k": 3})
    assert "notes" not in plain.json()
    known = client.post("/recommend", json={"user": 101, "k": 3, "context": {"mood": "glad"}})
    assert "notes" not in known.json()
    typo = client.post("/recommend", json={"user": 101, "k": 3, "context": {"mood": "gald"}})
    assert items_of(typo) == items_of(plain)
    (note,) = typo.json()["notes"]
    assert "'mood' got 'gald'" in note
    assert note.endswith("did you mean 'glad'?")
    both = {"questions": [{"user": 101}, {"user": 102, "context": {"mood": "gald"}}]}
    answers = client.post("/recommend/batch", json=both).json()["answers"]
    assert ["notes" in one for one in answers] == [False, True]


def test_items_that_are_not_known_are_named(ask):
    """A history of typos would be answered by popularity without a word."""
    plain = ask.post("/recommend", json={"user": 101, "k": 3, "history": ["i1"]}).json()
    assert "notes" not in plain
    told = {"history": ["i1", ["nope", "i2"], "n2", "n3", "n4"], "allow": ["i5", "x" * 500], "k": 3}
    found = ask.post("/recommend", json=told).json()
    history, allow = found["notes"]
    assert history == "history has items that are not known and are passed over: 'nope', 'n2', 'n3', ..."  # fmt: skip
    assert allow.startswith("allow has items that are not known")
    assert len(allow) < LONGEST_NOTE
    assert items_of(ask.post("/recommend", json=told)) == ["i5"]


def test_items_that_are_withdrawn_are_named(served, saved):
    ask = served(saved / "knn")
    asked = {"user": "nobody", "k": 3, "allow": ["i5", "i6"]}
    assert "not listed" not in str(ask.post("/recommend", json=asked).json())
    assert ask.delete("/items/i5").status_code == 200
    found = ask.post("/recommend", json=asked).json()
    assert items_of(ask.post("/recommend", json=asked)) == ["i6"]
    assert "allow has items that are withdrawn and are not listed: 'i5'; PUT /items brings them back" in found["notes"]  # fmt: skip
    alone = ask.post("/recommend", json={**asked, "allow": ["i5"]}).json()
    assert (alone["items"], "withdrawn" in str(alone["notes"])) == ([], True)


def test_a_value_that_no_item_has_is_noted(served, saved):
    ask = served(saved / "knn")
    found = ask.post("/recommend", json={"user": 101, "k": 3, "where": {"tags": "evem"}}).json()
    assert found["items"] == []
    assert found["notes"] == [
        "no item has 'evem' in 'tags'; known: even, odd, t0, t1, t2, t3, t4; did you mean 'even'?"
    ]
    nothing = {"user": 101, "k": 3, "where": {"tags": None}}
    assert ask.post("/recommend", json=nothing).json()["notes"] == [
        "where asks for None (null in JSON) in 'tags', which is no value: name one, or several in a list; "
        "known: even, odd, t0, t1, t2, t3, t4"
    ]
    many = {"user": 101, "k": 3, "where": {"tags": ["\n" * 9000, *map(str, range(9000))]}}
    (note,) = ask.post("/recommend", json=many).json()["notes"]
    assert len(note) <= LONGEST_NOTE
    assert "or 9,000 more such values" in note
    either = {"user": 101, "k": 3, "where": {"tags": ["even", "odd"]}}
    assert "notes" not in ask.post("/recommend", json=either).json()


def test_events_with_items_that_are_not_known_are_kept_and_noted(ask):
    assert "notes" not in ask.post("/events", json={"user": 101, "item": "i1"}).json()
    kept = ask.post("/events", json=[{"user": 101, "item": "i1"}, {"user": 101, "item": "i001"}]).json()  # fmt: skip
    assert kept["accepted"] == 2
    assert kept["notes"] == ["items that are not known were kept: 'i001'"]


def test_a_batch_says_which_question_is_refused(served, saved):
    client = served(saved / "fm")
    asked = [{"user": 101}, {"user": 102, "context": {"hour": 26}}]
    error = client.post("/recommend/batch", json={"questions": asked}).json()["error"]
    assert error["message"].startswith("questions.1: ")
    asked[1] = {"user": 102, "where": {"colour": "red"}}
    error = client.post("/recommend/batch", json={"questions": asked}).json()["error"]
    assert error["message"].startswith("questions.1: where names 'colour'")


def test_an_hour_that_is_none_is_refused(served, saved):
    client = served(saved / "fm")
    answer = client.post("/recommend", json={"user": 101, "context": {"hour": 26}})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "bad_request"
    assert "'hour' got '26'" in error["message"]
    assert error["hint"] == "allowed: 0 ... 23"


def test_notes_are_few_short_and_escaped(served, saved):
    client = served(saved / "fm")
    evil = "<script>alert(1)</script>\x1b[31m" * 1000
    context = {"mood": evil, "hour": 3}
    features = {"taste": evil}
    body = {"user": 101, "context": context, "features": features}
    notes = client.post("/recommend", json=body).json()["notes"]
    assert 2 == len(notes) <= MOST_NOTES
    assert all(len(one) <= LONGEST_NOTE and one.isprintable() for one in notes)
    text = client.post("/page/data/recommend", json=body).text
    assert "<script>" not in text
    for one in notes:
        assert html.escape(one, quote=False) in html.unescape(text).replace("<", "&lt;").replace(">", "&gt;")  # fmt: skip


def test_a_column_that_no_model_of_the_server_reads_is_noted(ask):
    answer = ask.post("/recommend", json={"user": 101, "context": {"mood": "glad"}})
    (note,) = answer.json()["notes"]
    assert "does not read the context column 'mood'" in note


def test_the_tags_of_a_new_item_are_noted(served, saved):
    client = served(saved / "knn")
    told = {"title": "a thing", "tags": ["even", "blub"]}
    made = client.put("/items/fresh", json={"features": told}).json()
    (note,) = made["notes"]
    assert "item feature 'tags' got 'blub'" in note
    sound = client.put("/items/sound", json={"features": {**told, "tags": ["even"]}})
    assert "notes" not in sound.json()


def test_the_description_says_what_notes_are(ask):
    schemas = ask.get("/openapi.json").json()["components"]["schemas"]
    for name in ("List", "Added"):
        (listed,) = [one for one in schemas[name]["properties"]["notes"]["anyOf"] if one.get("type") == "array"]  # fmt: skip
        assert listed["maxItems"] == MOST_NOTES
        assert listed["items"]["maxLength"] == LONGEST_NOTE
        assert schemas[name]["properties"]["notes"]["description"]
