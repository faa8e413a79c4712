"""Reasons of people who are known by words, features or circumstances: what was planted is what is named."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

import twofold as tw
from twofold import explain
from twofold.cli import main
from twofold.errors import ConfigError, DataWarning, UnknownIdError
from twofold.serve.app import create_app
from twofold.serve.live import Live
from twofold.serve.settings import Settings
from twofold.testing import planted_log
from twofold.testing.levels import told_log

COLUMNS = ["item", "contribution", "score", "kind", "reason"]


@pytest.fixture(scope="module")
def shop():
    """A log of people of two countries with tastes of their own; the other column of theirs says nothing."""
    random = np.random.default_rng(0)
    people = [f"u{one}" for one in range(60)]
    country = ["de" if one % 2 else "fr" for one in range(60)]
    events = [
        (user, f"{'tool' if (where == 'de') == (random.random() < 0.95) else 'plant'}{one}")
        for user, where in zip(people, country, strict=True)
        for one in random.permutation(8)[:5]
    ]
    items = [f"{kind}{one}" for kind in ("tool", "plant") for one in range(8)]
    titles = [f"{'hammer' if 'tool' in one else 'rose'} number{one[-1]}" for one in items]
    return tw.Dataset.from_frames(
        pl.DataFrame(events, schema=["user", "item"], orient="row"), user="user", item="item",
        users={"user": people, "country": country, "shoe": random.integers(36, 46, 60).astype(str).tolist()},
        items={"item": items, "title": titles},
        user_features={"country": "category", "shoe": "category"}, item_features={"title": "text"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def words(shop):
    pytest.importorskip("torch", reason="the extra deep is not installed")
    return tw.models.DSSM(inputs="words", factors=8, epochs=20).fit(shop, rng=0)


@pytest.fixture(scope="module")
def machine():
    return tw.models.FM(factors=4).fit(told_log(), rng=0)


def test_the_word_that_was_planted_is_the_reason(words):
    said = "Please, a HAMMER now! A hammer: number3"
    why = words.explain(item="tool3", text=said)
    assert why.columns == COLUMNS
    assert why.row(0, named=True)["reason"] in ("hammer", "number3")
    assert sorted(why["reason"]) == ["a", "hammer", "now", "number3", "please"]
    assert set(why["kind"]) == {"text"}
    assert set(why["item"]) == {"tool3"}
    gain = dict(why.select("reason", "contribution").rows())
    assert gain["hammer"] > 0.05
    assert gain["please"] == 0
    listed = words.recommend(text=[said], k=16)
    score = listed.filter(pl.col("item") == "tool3")["score"][0]
    assert why["score"][0] == pytest.approx(score, rel=1e-5)
    left = words.explain(item="tool3", text="please a now a number3")["score"][0]
    assert why["score"][0] - left == pytest.approx(gain["hammer"], abs=1e-5)
    other = words.explain(item="plant5", text="number3 hammer")
    assert other.filter(pl.col("reason") == "hammer")["contribution"][0] < 0, "who needs a rose?"


def test_words_that_are_not_known_leave_popularity(words):
    for said in ("zzz", "", "!"):
        why = words.explain(item="tool3", text=said)
        assert why["kind"].to_list() == ["popularity"]
        assert why["item"].to_list() == why["reason"].to_list() == ["tool3"]


def test_a_pipeline_whose_ranker_reads_no_words_explains_the_fused_order(shop, words):
    ranker = tw.models.EASE().fit(shop)
    both = tw.Pipeline.join([words, ranker], ranker, depth=4)
    listed = both.recommend(text=["hammer"], k=4)
    assert set(listed["source"]) == {"content"}
    why = both.explain(item=listed["item"][0], text="hammer")
    assert (why["kind"][0], why["reason"][0]) == ("text", "hammer")
    assert why["score"][0] == pytest.approx(listed["score"][0], rel=1e-5)
    history = ["tool1", "tool2"]
    beside = both.explain(item="tool3", history=history, text="hammer")
    alone = ranker.explain(item="tool3", history=history)
    assert beside.filter(pl.col("kind") == "history").equals(alone)


def test_the_feature_that_was_planted_is_the_reason(shop):
    pytest.importorskip("torch", reason="the extra deep is not installed")
    model = tw.models.DeepContent(side="users", factorization=tw.models.IALS(factors=4)).fit(shop, rng=0)  # fmt: skip
    for where, item in (("de", "tool1"), ("fr", "plant1")):
        why = model.explain(item=item, features={"country": where, "shoe": "40"})
        assert why["reason"][0] == f"country={where}"
        assert why["contribution"][0] > 2 * abs(why["contribution"][1])
        assert why["kind"].to_list() == ["features"] * 2
        less = model.explain(item=item, features={"shoe": "40"})["score"][0]
        assert why["contribution"][0] == pytest.approx(why["score"][0] - less, abs=1e-5)


def test_a_history_and_a_circumstance_are_reasons_beside_each_other(machine):
    why = machine.explain(user=100, item="i3", context={"mood": "glad", "hour": 9})
    kinds = why.group_by("kind").len().sort("kind").rows()
    length = int(machine.memory.history.take(np.array([0], np.int32)).lengths[0])
    assert kinds == [("context", 2), ("features", 1), ("history", length)]
    plain = machine.explain(user=100, item="i3")
    assert set(plain["kind"]) == {"history", "features"}
    plain = plain.filter(pl.col("kind") == "history")
    assert plain["reason"].to_list() == plain["item"].to_list()
    mood = why.row(by_predicate=pl.col("reason") == "mood=glad", named=True)
    assert mood["item"] == "i3"
    sad = machine.explain(user=100, item="i3", context={"mood": "sad"})
    gain = sad.filter(pl.col("reason") == "mood=sad")["contribution"][0]
    assert mood["contribution"] > 0 > gain, "who is glad rates 4 and 5"
    for reason, rest in (("mood=glad", {"hour": 9}), ("hour=9", {"mood": "glad"})):
        gain = why.filter(pl.col("reason") == reason)["contribution"][0]
        less = machine.explain(user=100, item="i3", context=rest)["score"][0]
        assert gain == pytest.approx(why["score"][0] - less, abs=1e-5)


@pytest.mark.parametrize("name", ["YouTubeCandidates", "YouTubeRanker"])
def test_features_of_training_are_reasons_beside_a_history_where_they_count(shop, name):
    pytest.importorskip("torch", reason="the extra deep is not installed")
    model = getattr(tw.models, name)(epochs=20).fit(shop, rng=0)
    person, item = shop.users.ids.ids[0], "tool1"
    why = model.explain(person, item)
    listed = model.recommend(users=[person], k=99, exclude_seen=False)
    score = listed.filter(pl.col("item") == item)["score"][0]
    assert why["score"][0] == pytest.approx(score, rel=1e-4)
    assert {"history", "features"} <= set(why["kind"])


def test_the_time_is_a_circumstance_where_it_is_told_and_read():
    model = tw.models.ContextEmbedding(factors=4, epochs=2).fit(told_log(), rng=0)
    why = model.explain(user=100, item="i3", context={"time": "2026-05-01T09:00"})
    assert "time=2026-05-01T09:00:00" in why["reason"].to_list()
    assert "context" not in set(model.explain(user=100, item="i3")["kind"])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"text": ["hammer"]}, r"text must be the words of one person, a string; got \['hammer'\]"),
        ({"features": [1]}, r"features must map names to values of one person, .* got \[1\]"),
        ({"context": "hour=9"}, "context must map names to values of one person"),
        ({"text": "hammer"}, "this model does not read words"),
        ({"features": {"tast": "even"}}, "no user feature 'tast'; allowed: taste"),
        ({"context": {"moud": "glad"}}, "no context column 'moud'.*mood"),
        ({}, "explain needs item= and one of user=, history=, text=, features= and context="),
    ],
)
def test_what_cannot_be_read_is_refused(machine, said, message):
    with pytest.raises(ConfigError, match=message):
        machine.explain(item="i3", **said)


def test_somebody_unknown_is_explained_by_what_is_said(machine):
    with pytest.raises(UnknownIdError):
        machine.explain("nobody", "i3")
    named = machine.explain("nobody", "i3", features={"taste": "odd"})
    assert named.equals(machine.explain(item="i3", features={"taste": "odd"}))
    with pytest.warns(DataWarning, match="'tasty'"):
        unmet = machine.explain(item="i3", features={"taste": "tasty"})
    assert unmet["kind"].to_list() == ["popularity"]
    with pytest.warns(DataWarning, match="does not read"):
        tw.models.EASE().fit(planted_log()).explain(100, "i3", features={"taste": "odd"})


def test_of_a_very_long_text_the_first_words_are_explained(words, monkeypatch):
    monkeypatch.setattr(explain, "LONGEST", 2)
    why = words.explain(item="tool3", text="a hammer rose rose")
    assert sorted(why["reason"]) == ["a", "hammer"]
    assert why["score"][0] == words.explain(item="tool3", text="a hammer")["score"][0]


@pytest.fixture
def asked(tmp_path):
    """Return a function that serves a model and asks it for reasons."""

    def ask(model, **body):
        folder = tmp_path / type(model.estimator).__name__
        if not folder.exists():
            model.save(folder)
        live = Live.open(Settings(state=str(tmp_path / f"{folder.name}-state"), model=str(folder)))
        with TestClient(create_app(live)) as client:
            return client.post("/explain", json=body)

    return ask


def test_the_server_gives_the_same_reasons(asked, words, machine):
    whole = [
        (words, {"words": "a hammer"}, {"text": "a hammer"}, "tool3"),
        (words, {"user": "nobody", "words": "a hammer"}, {"text": "a hammer"}, "tool3"),
        (machine, {"features": {"taste": "odd"}, "context": {"hour": 9}}, None, "i3"),
        (machine, {"user": 101, "context": {"mood": "sad"}}, None, "i3"),
        (machine, {"history": ["i1", "i5"], "features": {"taste": "odd"}}, None, "i3"),
    ]
    for model, body, arguments, item in whole:
        expected = model.explain(item=item, **(arguments or body)).to_dicts()
        found = asked(model, item=item, **body).json()
        assert [(one["kind"], one["reason"], one["item"]) for one in found["reasons"]] == [
            (one["kind"], one["reason"], one["item"]) for one in expected
        ]
        for one, other in zip(found["reasons"], expected, strict=True):
            assert one["contribution"] == pytest.approx(other["contribution"], abs=1e-6)
            assert one["score"] == pytest.approx(other["score"], abs=1e-6)
        assert "notes" not in found
    noted = asked(machine, item="i3", features={"taste": "evn"}).json()
    assert "did you mean 'even'?" in noted["notes"][0]
    assert [one["kind"] for one in noted["reasons"]] == ["popularity"]
    for body, said in (
        ({"words": "hammer"}, "does not read words"),
        ({"features": {"tast": "odd"}}, "no user feature 'tast'"),
        ({"context": {"hour": 9}}, "names nobody"),
        ({"text": "hammer"}, "there is no field 'text'"),
        ({"words": ["hammer"]}, "words got"),
    ):
        refused = asked(machine, item="i3", **body)
        assert refused.status_code == 422
        assert said in refused.json()["error"]["message"]


def test_the_command_line_gives_the_same_reasons(tmp_path, capsys, words, machine):
    folders = [str(one.save(tmp_path / name)) for one, name in ((words, "w"), (machine, "m"))]

    def run(*arguments):
        code = main(["explain", *arguments, "--k", "99", "--json"])
        said = capsys.readouterr()
        return code, said.out, said.err

    for folder, item, typed, model, said in (
        (folders[0], "tool3", ["--text", "a hammer"], words, {"text": "a hammer"}),
        (folders[1], "i3", ["--feature", "taste=odd"], machine, {"features": {"taste": "odd"}}),
        (folders[1], "i3", ["--user", "101", "--context", "hour=9"], machine, {"user": 101, "context": {"hour": 9}}),
    ):  # fmt: skip
        code, out, err = run(folder, item, *typed)
        assert (code, err) == (0, "")
        expected = model.explain(item=item, **said)
        found = json.loads(out)
        assert [one["reason"] for one in found] == expected["reason"].to_list()
        assert [one["kind"] for one in found] == expected["kind"].to_list()
    code, out, err = run(folders[1], "i3", "--feature", "taste=evn")
    assert "did you mean 'even'?" in json.loads(out)[0]["notes"][0]
    assert err.count("'evn'") == 1
    code, _, err = run(folders[1], "i3", "--text", "hammer")
    assert code == 2
    assert "does not read words" in err
    assert "give one of --user and --history, or --text, --feature or --context" in run(folders[1], "i3")[2]  # fmt: skip


@pytest.mark.parametrize("name", ["FM", "YouTubeCandidates", "YouTubeRanker"])
def test_reasons_of_all_columns_are_those_of_each_left_out_alone(name):
    pytest.importorskip("torch")
    model = getattr(tw.models, name)().fit(told_log(), rng=0)
    asked = explain.question(model, 100, None, None, None, {"mood": "glad", "hour": 9})
    person, target = explain.whole(model, asked), 3
    found = explain.of_columns(model, person, target)
    assert [one.kind for one in found] == ["features", "context", "context"]
    for one in found:
        name = one.name.split("=")[0]
        left = {kept: column for kept, column in getattr(person, one.kind).items() if kept != name}
        alone = replace(person, **{one.kind: left})
        score = float(explain.scores_of(model, alone, target)[0])
        assert one.score == pytest.approx(score, rel=1e-5)
