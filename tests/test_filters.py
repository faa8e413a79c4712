"""Which items a filter by feature lets through."""

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.errors import ConfigError
from twofold.filters import allowed_items

ITEMS = {
    "i": ["a", "b", "c", "d"],
    "shop": ["x", "y", None, "x"],
    "tags": [["red", "new"], ["red"], [], ["blue"]],
    "price": [1.0, 2.0, 3.0, None],
    "born": ["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"],
}


@pytest.fixture(scope="module")
def items():
    return tw.Dataset.from_frames(
        {"u": [1, 1, 1, 1], "i": ITEMS["i"]}, user="u", item="i", items=pl.DataFrame(ITEMS),
        item_features={"shop": "category", "tags": "tags", "price": "number", "born": "time"},
    ).items  # fmt: skip


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"shop": "x"}, "ad"),
        ({"shop": ["x", "y"]}, "abd"),
        ({"shop": "nowhere"}, ""),
        ({"tags": "red"}, "ab"),
        ({"tags": ("new", "blue")}, "ad"),
        ({"price": (2, None)}, "bc"),
        ({"price": (None, 2.0)}, "ab"),
        ({"price": (None, None)}, "abc"),
        ({"born": ("2021-01-01", "2022-06-01")}, "bc"),
        ({"shop": "x", "tags": "red"}, "a"),
    ],
)
def test_items_that_hold(items, where, kept):
    mask = allowed_items(items, where=where)
    assert {items.ids[int(row)] for row in np.flatnonzero(mask)} == set(kept)


def test_filters_add_up(items):
    mask = allowed_items(items, ["a", "b", "zzz"], ["b"], {"tags": "red"})
    assert [items.ids[int(row)] for row in np.flatnonzero(mask)] == ["a"]
    assert allowed_items(items) is None


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"prise": (1, 2)}, "did you mean 'price'"),
        ({"price": 2}, "a pair (least, most)"),
        ({"price": ("cheap", None)}, "write a number"),
        ({"price": (float("nan"), None)}, "write a number"),
        ({"price": (3, 1)}, "least is above its most"),
        ("comedy", "got 'comedy'"),
    ],
)
def test_bad_filters_are_told(items, where, told):
    with pytest.raises(ConfigError) as caught:
        allowed_items(items, where=where)
    assert told in str(caught.value)


def test_a_single_id_is_no_list_of_them(items):
    for one in ("a", 5):
        with pytest.raises(ConfigError, match="must be lists of item ids"):
            allowed_items(items, one)


def test_truth_values_are_asked_for_as_they_are_written():
    log = {"u": [1, 1, 2], "i": ["a", "b", "c"]}
    items = {"i": ["a", "b", "c"], "vegan": [True, False, True]}
    data = tw.Dataset.from_frames(log, user="u", item="i", items=items)
    model = tw.models.Popularity().fit(data)
    listed = model.recommend(users=[9], k=3, where={"vegan": True})["item"].to_list()
    assert sorted(listed) == ["a", "c"]
    assert model.recommend(users=[9], k=3, where={"vegan": [False]})["item"].to_list() == ["b"]
