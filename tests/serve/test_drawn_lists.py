"""Lists that are interleaved from two versions or drawn with known chances: what is answered, logged and reported."""

import json

import numpy as np
import pytest
from tests_of_serving import items_of

from twofold.errors import ConfigError
from twofold.online.interleave import Interleaved, credit_balanced, credit_team_draft
from twofold.online.list_policies import Epsilon, Softmax
from twofold.serve import experiments
from twofold.serve.schemas import Question
from twofold.serve.tables import EXPOSURES

VARIANTS = """
[experiments.first.variants]
control = {}
new = { model = "EASE" }
"""


@pytest.fixture
def declared(served, models, tmp_path, monkeypatch):
    """Return a function that serves version 1 (iALS, live) and 2 (EASE) under a file of experiments."""
    monkeypatch.setattr(experiments, "AGE", 0.0)

    def start(text, **settings):
        if not (tmp_path / "state").exists():
            client = served()
            client.post("/models", json={"path": str(models / "EASE")})
            client.__exit__(None, None, None)
        (tmp_path / "exp.toml").write_text(text)
        return served(None, experiment=str(tmp_path / "exp.toml"), **settings)

    return start


def rows_of(served):
    served.live.store.do(lambda connection: None).result()  # what was put before is written now
    return served.live.store.rows(EXPOSURES)


def asked(client, user, request="r", **more):
    answer = client.post("/recommend", json={"user": user, "k": 5, **more}, headers={"x-request-id": request})  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.json()


def interleaved(method):
    return f'[experiments.first]\nmethod = "{method}"\ntest = "sequential"\n{VARIANTS}'


@pytest.mark.parametrize("method", ["team_draft", "balanced"])
def test_lists_of_two_versions_are_interleaved_logged_and_credited(declared, served, method):
    client = declared(interleaved(method))
    live = served.live
    single = {}
    for user in range(101, 141):
        question = Question(user=user, k=5)
        lists = [live.version(number).answer(question, live.histories) for number in (1, 2)]
        single[str(user)] = [[str(item) for item in one.items] for one in lists]
    wins = 0
    for user in range(101, 141):
        answer = asked(client, user, f"r{user}")
        assert (answer["variant"], answer["experiments"]) == (method, {"first": method})
        a, b = single[str(user)]
        shown = [str(one["item"]) for one in answer["items"]]
        assert len(set(shown)) == 5
        assert set(shown) <= {*a, *b}
        for one in answer["items"]:
            assert str(one["item"]) in single[str(user)][one["version"] - 1]
        # Somebody who clicks what only the second version lists, if there is such.
        hit = next((one for one in shown if one not in a), None)
        if hit is not None:
            wins += 1
            event = {"id": f"e{user}", "user": user, "item": hit, "kind": "click", "request_id": answer["request_id"]}  # fmt: skip
            assert client.post("/events", json=event).status_code == 200
    assert wins > 5, "the models agree too much for this test to mean anything"
    rows = rows_of(served)
    assert {row["variant"] for row in rows} == {method}
    for row in rows:
        detail = json.loads(row["detail"])
        assert [detail["ranking_a"], detail["ranking_b"]] == single[row["unit"]]
        assert len(detail["teams"]) == 5
    found = client.get("/experiments/first").json()
    assert found["preference"]["for_b"] == wins, found
    assert found["preference"]["for_a"] == 0
    assert found["preference"]["units"] == 40
    assert "(b) against control (a)" in found["headline"]
    # Each row on its own, by the functions of the statistics.
    for row in rows:
        detail = json.loads(row["detail"])
        mixed = Interleaved([str(one) for one in json.loads(row["items"])], detail["teams"])
        hit = next((one for one in mixed.items if one not in detail["ranking_a"]), None)
        if hit is None:
            continue
        if method == "team_draft":
            assert credit_team_draft(mixed, {hit}) == (0, 1)
        else:
            assert credit_balanced(mixed, {hit}, detail["ranking_a"], detail["ranking_b"]).b == 1


def test_the_same_request_of_the_same_person_gets_the_same_list(declared):
    texts = (
        interleaved("team_draft"),
        interleaved("balanced"),
        '[explore]\nkind = "softmax"\ntemperature = 1.0\ncandidates = 20\n',
        '[explore]\nkind = "epsilon"\nepsilon = 0.9\ncandidates = 20\n',
    )
    for text in texts:
        client = declared(text)
        lists = {}
        for at in range(12):
            first, again = (asked(client, 101, f"r{at}") for _ in range(2))
            assert first == again
            batch = client.post("/recommend/batch", json={"questions": [{"user": 101, "k": 5}] * 2}, headers={"x-request-id": f"r{at}"})  # fmt: skip
            assert batch.json()["answers"][0]["request_id"] == f"r{at}.0"
            lists[tuple(one["item"] for one in first["items"])] = at
        assert len(lists) > 1, f"every request gets the same list: {text}"
        before = dict(lists)
        client.__exit__(None, None, None)
        client = declared("salt = 'another'\n" + text)
        other = [tuple(one["item"] for one in asked(client, 101, f"r{at}")["items"]) for at in before.values()]  # fmt: skip
        assert other != list(before)
        client.__exit__(None, None, None)


@pytest.mark.parametrize("kind", ["epsilon", "softmax"])
def test_explored_lists_carry_the_chances_that_they_were_drawn_with(declared, served, kind):
    """The frequency of each first item over many requests is its chance; the log keeps what the answer says."""
    setting = {"epsilon": "epsilon = 0.5", "softmax": "temperature = 0.7"}[kind]
    client = declared(f'[explore]\nkind = "{kind}"\n{setting}\ncandidates = 8\n')
    policy = {"epsilon": Epsilon(epsilon=0.5, candidates=8), "softmax": Softmax(temperature=0.7, candidates=8)}[kind]  # fmt: skip
    n, first, chance = 600, {}, {}
    for at in range(n):
        answer = asked(client, 101, f"r{at}", k=3)
        top = answer["items"][0]
        first[top["item"]] = first.get(top["item"], 0) + 1
        chance[top["item"]] = top["propensity"]
        assert answer["propensity"] == pytest.approx(np.prod([one["propensity"] for one in answer["items"]]))  # fmt: skip
    assert sum(chance.values()) <= 1 + 1e-9
    for item, p in chance.items():
        assert abs(first[item] / n - p) < 4 * np.sqrt(p * (1 - p) / n), (item, first[item] / n, p)
    row = rows_of(served)[0]
    detail = json.loads(row["detail"])
    assert json.loads(detail["question"]) == {"user": 101, "k": 3}
    assert len(detail["candidates"]) == 8
    found = served.live.served.answer(Question(user=101, k=8), served.live.histories)
    assert found.items == detail["candidates"]
    above, propensities = [], []
    for item in json.loads(row["items"]):
        at = detail["candidates"].index(item)
        propensities.append(policy.chances(found.scores, above)[at])
        above.append(at)
    assert json.loads(row["propensities"]) == pytest.approx(propensities)
    assert (row["experiment"], row["variant"]) == (None, "live")


def test_a_variant_explores_and_its_control_does_not(declared, served):
    client = declared(
        "[experiments.first.variants]\ncontrol = {}\n"
        'drawn = { explore = { kind = "epsilon", epsilon = 0.5, candidates = 10 } }\n'
    )
    seen = {"control": 0, "drawn": 0}
    for user in range(101, 131):
        answer = asked(client, user)
        seen[answer["variant"]] += 1
        assert ("propensity" in answer) == (answer["variant"] == "drawn")
    assert min(seen.values()) > 5
    for row in rows_of(served):
        assert (row["propensities"] is None) == (row["variant"] == "control")
    found = client.get("/experiments/first").json()
    assert found["units"] == {"control": seen["control"], "drawn": seen["drawn"]}
    # Lists that are to be diverse are left as they are.
    assert "propensity" not in asked(client, 101, diversity=0.5)


def test_filters_hold_in_drawn_and_interleaved_lists(declared):
    for text in ('[explore]\nkind = "epsilon"\nepsilon = 1\n', interleaved("balanced")):
        client = declared(text)
        free = [one["item"] for one in asked(client, 101)["items"]]
        for at in range(5):
            assert not {free[0]} & {one["item"] for one in asked(client, 101, f"s{at}", deny=free[:1])["items"]}  # fmt: skip
            listed = {one["item"] for one in asked(client, 101, f"t{at}", allow=free, exclude_seen=False)["items"]}  # fmt: skip
            assert listed == set(free)
        client.__exit__(None, None, None)


def test_a_withdrawn_item_is_listed_by_no_version(declared, served):
    client = declared("[experiments.first]" + VARIANTS)
    names = {}
    for user in range(101, 131):
        answer = asked(client, user)
        names.setdefault(answer["variant"], (user, answer["items"][0]["item"]))
    for user, item in names.values():
        assert client.delete(f"/items/{item}").status_code == 200
        assert item not in items_of(client.post("/recommend", json={"user": user, "k": 5}))


def test_a_promotion_leaves_a_variant_its_version_and_is_noted(declared, served):
    client = declared("[experiments.first]" + VARIANTS.replace("{}", "{ model = '1' }"))
    before = {user: asked(client, user)["version"] for user in range(101, 121)}
    assert set(before.values()) == {1, 2}
    assert client.post("/models/2/promote", json={"force": True}).status_code == 200
    assert {user: asked(client, user, "again")["version"] for user in before} == before
    client.__exit__(None, None, None)
    client = declared("[experiments.first]" + VARIANTS)
    for user in before:
        asked(client, user, "third")
    assert client.post("/models/rollback").status_code == 200
    for user in before:
        asked(client, user, "fourth")
    found = client.get("/experiments/first").json()
    assert "control was answered by the versions 1, 2: a promotion changed what is tested" in found["notes"]  # fmt: skip


def test_a_version_is_not_promoted_beside_itself(declared):
    """The server could not be started again with this file."""
    client = declared(interleaved("team_draft"))
    refused = client.post("/models/2/promote", json={})
    assert refused.status_code == 409
    assert "the experiment first interleaves version 2 with itself" in refused.text
    assert client.post("/models/2/promote", json={"force": True}).json()["objections"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[explore]\nkind = "softmx"\n', r"\[explore\] kind got 'softmx'.*did you mean 'softmax'"),
        ('[explore]\nkind = "softmax"\ntemperature = 0\n', r"\[explore\] temperature got 0"),
        ('[explore]\nkind = "epsilon"\nepsilom = 0.1\n', "did you mean 'epsilon'"),
        ('explore = "softmax"\n', "must be a table such as"),
        ('[explor]\nkind = "epsilon"\n', "did you mean 'explore'"),
        ("salt = 'x'\n", "the file needs an experiment"),
        (interleaved("team_drft"), "did you mean 'team_draft'"),
        (interleaved("balanced").replace('"EASE"', '"1"'), "interleaves version 1 with itself"),
        (interleaved("balanced") + "third = {}\n", "interleaves exactly two variants"),
        (
            interleaved("balanced").replace('"EASE"', '"EASE", explore = { kind = "epsilon" }'),
            "leave explore out of the variant 'new'",
        ),
        (interleaved("balanced").replace('"EASE"', '"EASE", weight = 2'), "leave their weights out"),
        (
            interleaved("balanced").replace("test =", 'metrics.r = { kind = "revenue" }\ntest ='),
            "the first metric must be a click_through",
        ),
        (
            '[experiments.a]\nlayer = "x"\n[experiments.a.variants]\ncontrol = {}\nnew = { model = "EASE" }\n'
            '[experiments.b]\nlayer = "y"\n[experiments.b.variants]\ncontrol = {}\nnew = { explore = { kind = "epsilon" } }\n',
            "put them into one layer",
        ),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_one_sentence(declared, text, said):
    with pytest.raises(ConfigError, match=said) as refused:
        declared(text)
    assert "\n" not in str(refused.value)
