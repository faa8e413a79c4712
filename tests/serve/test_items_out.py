"""The items of a server go out with their features, and come back in the next training as they were."""

import json

import polars as pl
import pytest

import twofold as tw
from twofold.data.columns import kind_of
from twofold.data.entities import differing

N = 12
TABLE = {
    "item": [f"i{at}" for at in range(N)],
    "lang": ["ja", "en", None] * 4,
    "shelf": [7, 8] * 6,
    "tags": [["a|b", "c"], [], ['d,"e"']] * 4,
    "words": [{"tea": 2, "cake": 1}, {"tea": 1}, {}] * 4,
    "minutes": [0.1 + at for at in range(N - 1)] + [None],
    "title": [f'No. {at}, "the\nfirst" part' for at in range(N - 1)] + [None],
    "day": ["2024-12-31", "1969-07-20", None] * 4,
    "seen": [1_700_000_000 + at for at in range(N)],
    "vector": [[at / 3, 0.5] for at in range(N - 1)] + [None],
    "place": [[52.0 + at / 7, 13.25] for at in range(N - 1)] + [None],
}
KINDS = {
    "lang": "category", "shelf": "category", "tags": "tags", "words": "bag", "minutes": "number", "title": "text",
    "day": "time", "seen": "time", "vector": "vector", "place": "place",
}  # fmt: skip
FRESH = {
    "lang": "ja", "shelf": 9, "tags": ["c", "new"], "words": {"rum": 3}, "minutes": 1.5, "title": "Fresh, and new",
    "day": "2025-01-01", "seen": 1_700_000_100, "vector": [1.0, 2.0], "place": [50.0, 8.0], "author": "ann",
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A saved model of items with features of all kinds."""
    log = {"user": [f"u{at % 6}" for at in range(60)], "item": [f"i{at % N}" for at in range(60)], "time": [*range(60)]}  # fmt: skip
    data = tw.Dataset.from_frames(log, user="user", item="item", time="time", items=TABLE, item_features=KINDS)  # fmt: skip
    return tw.models.ItemKNN(content=("tags",)).fit(data).save(tmp_path_factory.mktemp("shop") / "m")  # fmt: skip


def same(one, other):
    """Say whether entities have the same ids, kinds and values."""
    again = other.take(other.ids.rows(one.ids.ids))
    kinds = [{name: kind_of(column) for name, column in each.features.items()} for each in (one, again)]  # fmt: skip
    return kinds[0] == kinds[1] and not differing(one, again).any() and not differing(again, one).any()  # fmt: skip


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv", "json"])
def test_items_come_back_as_they_were(served, shop, run, tmp_path, suffix):
    """The features of items that were PUT were in the store, and nowhere after the next training."""
    client = served(shop)
    for item, features in (("n4", FRESH), ("n5", {**dict.fromkeys(KINDS), "lang": "new"})):
        assert client.put(f"/items/{item}", json={"features": features}).status_code == 200
    event = {"user": "u1", "item": "n4", "time": 100}
    assert client.post("/events", json=event).json()["accepted"] == 1
    log, table = tmp_path / "log.parquet", tmp_path / f"items.{suffix}"
    code, out, err = run("events", tmp_path / "state", "--with-training", "--out", log, "--items-out", table, "--json")  # fmt: skip
    assert code == 0, err
    said = json.loads(out)["items"]
    assert said == {"rows": N + 2, "out": str(table), "item_features": {**KINDS, "author": "category"}}  # fmt: skip
    kinds = {name: said["item_features"][name] for name in KINDS}
    data = tw.Dataset.read(log, items=table, item_features=kinds)
    before = served.live.served.model.items
    assert len(data.items) == len(before) == N + 2
    assert same(before, data.items)
    model = tw.models.ItemKNN(content=("tags",)).fit(data)
    assert model.items.ids.rows(["n4"])[0] >= 0
    assert same(before.take(before.ids.rows(model.items.ids.ids)), model.items)


def test_the_next_model_has_what_was_put(served, shop, run, tmp_path):
    """After a promotion `where` did not find the item, and nothing was like it."""
    client = served(shop)
    client.put("/items/n4", json={"features": FRESH})
    client.post("/events", json={"user": "u1", "item": "n4", "time": 100})
    client.put("/items/i1", json={"features": {**dict.fromkeys(KINDS), "lang": "xh"}})
    log, table = tmp_path / "log.parquet", tmp_path / "items.jsonl"
    code, out, err = run("events", tmp_path / "state", "--with-training", "--out", log, "--items-out", table)  # fmt: skip
    assert code == 0, err
    options = out.partition("read them with ")[2].split()
    assert options[:2] == ["--items", str(table)]
    code, _, err = run("fit", "ItemKNN", "--set", "content=['tags']", "--test", "0", "--data", log, "--out", tmp_path / "next", *options)  # fmt: skip
    assert code == 0, err
    code, _, err = run("promote", tmp_path / "state", tmp_path / "next", "--force")
    assert code == 0, err
    client.__exit__(None, None, None)
    client = served(None)
    for lang, item in (("ja", "n4"), ("xh", "i1")):
        asked = {"user": "u2", "k": 20, "exclude_seen": False, "where": {"lang": lang}}
        assert item in [one["item"] for one in client.post("/recommend", json=asked).json()["items"]]  # fmt: skip
    assert served.live.base.items.features["minutes"].values[served.live.base.items.ids.row("i1")] == pytest.approx(1.1)  # fmt: skip


def test_without_training_the_items_are_those_that_were_told(served, shop, run, tmp_path):
    client = served(shop)
    table = tmp_path / "items.jsonl"
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.csv", "--items-out", table)  # fmt: skip
    assert code == 0
    assert "no item has features" in err
    assert not table.exists()
    client.put("/items/n4", json={"features": FRESH})
    code, _, err = run("events", tmp_path / "state", "--out", tmp_path / "log.csv", "--items-out", table)  # fmt: skip
    assert code == 0, err
    assert pl.read_ndjson(table)["item"].to_list() == ["n4"]


def test_usual_columns_need_no_kinds_to_be_read_again(served, tmp_path, run):
    names = ["item", "lang", "tags", "minutes", "day", "place", "words"]
    table = {name: TABLE[name] for name in names} | {"title": [f"title {at}" for at in range(N)]}
    log = {"user": [f"u{at % 6}" for at in range(60)], "item": [f"i{at % N}" for at in range(60)]}
    kinds = {name: KINDS[name] for name in table if name not in {"item", "place"}}
    del table["place"]
    data = tw.Dataset.from_frames(log, user="user", item="item", items=table, item_features=kinds)
    tw.models.ItemKNN(content=("tags",)).fit(data).save(tmp_path / "m")
    served(tmp_path / "m")
    for suffix in ("jsonl", "parquet"):
        table = tmp_path / f"items.{suffix}"
        code, _, err = run("events", tmp_path / "state", "--with-training", "--out", tmp_path / "log.csv", "--items-out", table)  # fmt: skip
        assert code == 0, err
        assert same(data.items, tw.Dataset.read(tmp_path / "log.csv", items=table).items)


def test_a_format_that_loses_something_is_refused(served, shop, run, tmp_path):
    client = served(shop)
    client.put("/items/n4", json={"features": {**FRESH, "title": "  spaces around  "}})
    table = tmp_path / "items.csv"
    table.write_text("of the last time")
    where = ("events", tmp_path / "state", "--out", tmp_path / "log.csv")
    code, _, err = run(*where, "--items-out", table)
    assert code != 0
    assert "does not keep the item feature 'title' as it is; write .parquet or .jsonl" in err
    assert table.read_text() == "of the last time"
    assert not list(tmp_path.glob(".items*"))
    assert run(*where, "--items-out", tmp_path / "log.csv")[0] == 2
    assert "--items-out must end in" in run(*where, "--items-out", tmp_path / "items")[2]
