"""The index is chosen beside the requests, kept, taken again; items that come and go are searched by it too."""

import json
import time

import pytest
from tests_of_serving import items_of

import twofold as tw

pytest.importorskip("usearch")


def chosen(client, patience=60):
    """Return what /models says of the index, once it was chosen."""
    until = time.monotonic() + patience
    while (found := client.get("/models").json()["index"])["why"] == "it was not measured yet":
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def test_a_small_catalogue_is_searched_exactly(served, tmp_path):
    found = chosen(served())
    assert found["kind"] == "exact"
    assert "are fast enough" in found["why"]
    assert found["exact_ms"] > 0
    assert not (tmp_path / "state" / "index").exists()
    assert chosen(served("EASE", state="other"))["kind"] == "general"
    assert chosen(served(state="third", index="exact"))["why"] == "it is set to exact"


def test_a_graph_is_made_kept_and_opened_again(served, models, tmp_path):
    client, model = served(index="hnsw"), tw.load(models / "good")
    found = chosen(client)
    assert found["kind"] == "hnsw"
    assert found["recall"] > 0.95
    assert found["graph_bytes"] > 0
    assert found["build_seconds"] >= 0
    folder = tmp_path / "state" / "index"
    (graph,) = folder.glob("*.usearch")
    first = graph.stat().st_mtime_ns
    asked = [{"user": one, "k": 3} for one in model.users.ids.ids.to_list()[:20]]
    asked.append({"history": ["i1", "i5"], "k": 3})
    lists = [items_of(client.post("/recommend", json=one)) for one in asked]
    exact = [model.recommend(users=[one["user"]], k=3)["item"].to_list() for one in asked[:-1]]
    same = sum(len({*a} & {*b}) for a, b in zip(lists, exact, strict=False))
    assert same >= 0.95 * sum(map(len, exact))
    answer = client.post("/recommend", json=asked[0]).json()
    scores = dict(model.recommend(users=[asked[0]["user"]], k=30).select("item", "score").rows())
    assert [scores[one["item"]] for one in answer["items"]] == pytest.approx(
        [one["score"] for one in answer["items"]]
    )
    client.__exit__(None, None, None)
    again = served(None, index="hnsw")
    assert chosen(again) == found
    assert [items_of(again.post("/recommend", json=one)) for one in asked] == lists
    assert graph.stat().st_mtime_ns == first
    again.__exit__(None, None, None)
    graph.write_bytes(graph.read_bytes()[:-9])  # damage is told before usearch reads it
    repaired = served(None, index="hnsw")
    assert chosen(repaired)["kind"] == "hnsw"
    assert graph.stat().st_mtime_ns != first
    assert [items_of(repaired.post("/recommend", json=one)) for one in asked] == lists
    facts = json.loads(graph.with_suffix(".json").read_text())
    assert facts["measured"]["kind"] == "hnsw"


def test_an_item_that_is_withdrawn_leaves_the_graph_and_comes_back(served):
    client = served(index="hnsw")
    chosen(client)
    body = {"history": ["i1", "i5"], "k": 4}
    before = items_of(client.post("/recommend", json=body))
    assert client.delete(f"/items/{before[0]}").status_code == 200
    without = items_of(client.post("/recommend", json=body))
    assert before[0] not in without
    assert without[:3] == before[1:]
    assert client.get("/models").json()["index"]["kind"] == "hnsw"
    assert client.put(f"/items/{before[0]}", json={}).status_code == 200
    assert items_of(client.post("/recommend", json=body)) == before


def test_a_promoted_version_gets_an_index_of_its_own(served, models):
    client = served(index="hnsw")
    first = chosen(client)
    client.post("/models", json={"path": str(models / "better")})
    assert client.post("/models/2/promote", json={"force": True}).status_code == 200
    second = chosen(client)
    assert second["kind"] == "hnsw"
    assert second["dimensions"] != first["dimensions"]
    assert client.post("/models/rollback").status_code == 200
    assert chosen(client) == first


def test_where_the_graph_cannot_be_kept_the_exact_index_goes_on(served, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "index").write_text("in the way")
    client = served(index="hnsw")
    found = chosen(client)
    assert found["kind"] == "exact"
    assert "cannot be kept" in found["why"]
    assert items_of(client.post("/recommend", json={"history": ["i1"], "k": 2}))
