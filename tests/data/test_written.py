"""Cells that hold several values: lists written as text, objects, lists of objects, and what separates tags."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.alone import column_of, leaves, reader, spread
from twofold.data.columns import kind_of
from twofold.data.convert import column_from_values, guess_kind
from twofold.data.written import as_list
from twofold.errors import DataError

LOG = "user,item\nu,a\nu,b\nv,c\n"


def read_items(folder, body, kinds=None):
    """Return what the items of a file are read as: kinds by name, and cells by name."""
    (folder / "log.csv").write_text(LOG)
    data = tw.Dataset.read(folder / "log.csv", items=body, item_features=kinds)
    columns = data.items.features
    return {name: kind_of(one) for name, one in columns.items()}, {
        name: one.series().to_list() for name, one in columns.items()
    }


def records(folder, cells, name="x"):
    """Write items with one cell each as JSON lines."""
    path = folder / "items.jsonl"
    rows = [{"item": item, name: cell} for item, cell in zip("abc", cells, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),
        ('["it\'s", "so"]', ["it's", "so"]),
        ("[1 2 3]", [1, 2, 3]),
        ("[0.5 1. -2e-3]", [0.5, 1.0, -0.002]),
        ("[]", []),
        (" [1, null] ", [1, None]),
        ("[{'id': 1, 'name': 'x'}]", [{"id": 1, "name": "x"}]),
        ("[live]", None),
        ("a [b]", None),
        ("[__import__('os').getcwd()]", None),
        ("[" * 20_000 + "]" * 20_000, None),
        (r"['\d']", [r"\d"]),
        ("(1, 2)", None),
    ],
)
def test_a_list_is_read_as_programs_write_it(cell, expected):
    assert as_list(cell) == expected


@pytest.mark.parametrize(
    "cells",
    [
        ['["x", "y"]', '["x"]', "[]"],
        ["['x', 'y']", "['x']", "[]"],
        ["['x' 'y']", "['x']", "[]"],
        [["x", "y"], "x", []],
        [["x", "y"], ["x"], []],
        ["['x', 'y']", "x", ""],
        [[{"id": 7, "name": "x"}, {"id": 8, "name": "y"}], [{"id": 7, "name": "x"}], []],
        ["[{'id': 7, 'name': 'x'}, {'id': 8, 'name': 'y'}]", "[{'id': 7, 'name': 'x'}]", "[]"],
        [[{"tag": "x"}, {"tag": "y"}], [{"tag": "x"}], None],
    ],
    ids=str,
)
@pytest.mark.parametrize("kinds", [None, {"x": "tags"}])
def test_tags_are_one_however_they_are_written(tmp_path, cells, kinds):
    kind, found = read_items(tmp_path, records(tmp_path, cells), kinds)
    assert kind == {"x": "tags"}
    assert [sorted(one) for one in found["x"]] == [["x", "y"], ["x"], []]


@pytest.mark.parametrize(
    "cells",
    [
        [{"x": 2, "y": 1}, {"x": 1}, None],
        [[{"word": "x", "count": 2}, {"word": "y", "count": 1}], [{"word": "x", "count": 1}], []],
        [[{"count": 2, "word": "x"}, {"count": 1, "word": "y"}], [{"count": 1, "word": "x"}], []],
        ['[{"word": "x", "n": 2}, {"word": "y", "n": 1}]', '[{"word": "x", "n": 1}]', "[]"],
        [[["x", 2], ["y", 1]], [["x", 1]], []],
        ['[["x", 2], ["y", 1]]', "[('x', 1)]", None],
        [["x", "y", "x"], ["x"], []],
    ],
    ids=str,
)
def test_a_bag_is_one_however_it_is_written(tmp_path, cells):
    kind, found = read_items(tmp_path, records(tmp_path, cells), {"x": "bag"})
    counts = [{one["level"]: one["count"] for one in row} for row in found["x"]]
    assert (kind, counts) == ({"x": "bag"}, [{"x": 2.0, "y": 1.0}, {"x": 1.0}, {}])


def test_objects_are_places_bags_or_columns(tmp_path):
    cells = [
        {"at": {"lat": 52.5, "lng": 13.4}, "words": {"tea": 2}, "size": {"cm": 1.5, "kg": 2.25}},
        {"at": {"lng": -0.1, "lat": 51.5}, "words": {"cake": 1}, "size": {"cm": 3.0, "kg": 1.0}},
        {"at": None, "words": None, "size": None},
    ]
    kind, found = read_items(tmp_path, records(tmp_path, cells, "all"))
    assert kind == {
        "all.at": "place", "all.words": "bag", "all.size.cm": "number", "all.size.kg": "number",
    }  # fmt: skip
    assert found["all.at"][:2] == [[52.5, 13.4], [51.5, -0.1]]
    assert [len(one) for one in found["all.words"]] == [1, 1, 0]
    named, _ = read_items(tmp_path, records(tmp_path, cells, "all"), {"all.size.kg": None})
    assert named == {"all.size.kg": "number"}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([[0.1, 0.2], [0.3, 0.4], None], "vector"),
        (["[0.1, 0.2]", "[0.3 0.4]", None], "vector"),
        ([[0.5], [0.25, 0.75], []], "text"),
        ([[[1, 2]], [[3, 4]], []], "text"),
        (["[live]", "[remix]", "song"], "text"),
    ],
    ids=str,
)
def test_lists_that_are_no_tags_are_told_apart(tmp_path, cells, kind):
    assert read_items(tmp_path, records(tmp_path, cells))[0] == {"x": kind}


def test_objects_without_a_tag_are_refused(tmp_path):
    cells = [[{"a": "p", "b": "q"}], [{"a": "p", "b": "r"}], []]
    assert read_items(tmp_path, records(tmp_path, cells))[0] == {"x": "text"}
    with pytest.raises(DataError, match=r"the fields 'a', 'b' in row 0, none of which is the tag"):
        read_items(tmp_path, records(tmp_path, cells), {"x": "tags"})
    odd = pl.Series("at", [{"x": 1.0, "y": 2.0}])
    with pytest.raises(DataError, match=r"objects of a latitude and a longitude; got the fields"):
        column_from_values("at", odd, "place")


def test_what_separates_tags_stands_in_no_tag_of_training():
    trained = column_from_values("x", pl.Series("x", ["rock, pop|jazz", "soul"]), "tags")
    told = column_of("x", [reader("x", trained)("rock, pop")], trained)
    asked = column_from_values("x", pl.Series("x", ["rock, pop"]), "tags", trained)
    assert told.series().to_list() == asked.series().to_list() == [["rock, pop"]]
    assert reader("x", trained)("soul|jazz") == ["soul", "jazz"]


@pytest.mark.parametrize(
    "value",
    ["['a', 'b']", '["a", "b"]', ["a", "b"], [{"name": "a"}, {"name": "b"}], "a|b"],
    ids=str,
)
def test_tags_that_are_told_alone_are_read_as_in_a_table(value):
    trained = column_from_values("x", pl.Series("x", [["a", "c"], ["b"]]), "tags")
    made = column_of("x", [reader("x", trained)(value)], trained)
    assert sorted(made.series().to_list()[0]) == ["a", "b"]


@pytest.mark.parametrize(
    "value", [{"a": 2, "b": 1}, '{"a": 2, "b": 1}', [["a", 2], ["b", 1]], "[['a', 2], ['b', 1]]", ["a", "b", "a"], "a|b|a"], ids=str
)  # fmt: skip
def test_bags_that_are_told_alone_are_read_as_in_a_table(value):
    trained = column_from_values("x", pl.Series("x", [{"a": 1, "b": 3}]), "bag")
    made = column_of("x", [reader("x", trained)(value)], trained)
    assert {one["level"]: one["count"] for one in made.series().to_list()[0]} == {"a": 2, "b": 1}


@pytest.mark.parametrize("kind", ["category", "number", "time", "vector", "tags", "text"])
def test_an_object_is_refused_where_a_feature_is_none(kind):
    cells = {"number": [1.0], "time": ["2024-01-01"], "vector": [[1.0, 2.0]], "tags": [["a"]]}
    trained = column_from_values("x", pl.Series("x", cells.get(kind, ["a"])), kind)
    with pytest.raises(DataError, match=r"'x' holds .*; got an object: "):
        reader("x", trained)({"a": 1})


def test_a_place_that_is_told_alone_may_be_an_object():
    trained = column_from_values("x", pl.Series("x", ["1,2"]), "place")
    assert reader("x", trained)({"lon": 13.4, "lat": 52.5}) == [52.5, 13.4]


def test_records_are_spread_as_tables_of_them_are():
    told = {"a": {"b": {"c": 1}, "d": [2]}, "words": {"tea": 1}}
    assert spread(told, {"words"}) == {"a.b.c": 1, "a.d": [2], "words": {"tea": 1}}
    assert list(leaves(told, 2)) == [
        "a", "b", {"c": 1}, "d", [2], "words", "tea", 1,
    ]  # fmt: skip


def test_new_items_bring_records_like_those_of_training(tmp_path):
    cells = [
        {"tags": ["x"], "size": {"cm": 1.5}},
        {"tags": ["y"], "size": {"cm": 3.5}},
        {"tags": ["x"], "size": {"cm": 2.5}},
    ]
    (tmp_path / "log.csv").write_text(LOG)
    data = tw.Dataset.read(tmp_path / "log.csv", items=records(tmp_path, cells, "all"))
    model = tw.models.ItemKNN(content=["all.tags"]).fit(data, rng=0)
    new = pl.DataFrame({"item": ["z"], "all": [{"tags": ["x"], "size": {"cm": 1.0}}]})
    grown = model.with_items(new)
    told = model.with_items({"item": ["z"], "all.tags": ["['x']"], "all.size.cm": [1.0]})
    for one in (grown, told):
        column = one.items.features["all.tags"]
        assert column.series().to_list()[-1] == ["x"]
        assert np.isclose(one.items.features["all.size.cm"].values[-1], 1.0)


@pytest.mark.parametrize("value", [1, 2.5, "x"])
def test_guesses_of_plain_columns_stay(value):
    assert guess_kind(pl.Series([value] * 3)) in ("number", "category")
