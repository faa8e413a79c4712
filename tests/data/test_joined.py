"""Rows that come later keep their values, and leave those of the first rows alone."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.data.convert import column_from_values
from twofold.data.entities import Entities
from twofold.data.joined import joined, joined_columns
from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError

VALUES = {
    "category": st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
    "tags": st.lists(st.sampled_from(["x", "y", "z"]), max_size=3, unique=True),
    "number": st.one_of(st.none(), st.integers(-5, 5).map(float)),
    "text": st.one_of(st.none(), st.text(max_size=4)),
    "time": st.one_of(st.none(), st.integers(1, 10**9)),
    "place": st.tuples(st.floats(-80, 80), st.floats(-170, 170)).map(list),
}
TYPES = {
    "category": pl.String,
    "tags": pl.List(pl.String),
    "number": pl.Float64,
    "text": pl.String,
    "time": pl.Int64,
    "place": pl.List(pl.Float64),
}


def read(kind, rows):
    return column_from_values("f", pl.Series("f", rows, dtype=TYPES[kind]), kind)


def said(column):
    return [sorted(one) if isinstance(one, list) else one for one in column.series().to_list()]


@pytest.mark.parametrize("kind", sorted(VALUES))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_both_parts_say_what_they_said(kind, data):
    rows = [data.draw(st.lists(VALUES[kind], min_size=1, max_size=5)) for _ in range(2)]
    above, below = (read(kind, one) for one in rows)
    both = joined_columns("f", above, below, len(below))
    if hasattr(both, "verify"):
        both.verify()
    assert said(both) == said(above) + said(below)


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_feature_that_is_not_given_is_missing(kind):
    filled = {
        "category": "a",
        "tags": ["x"],
        "number": 1.0,
        "text": "w",
        "time": 5,
        "place": [1.0, 2.0],
    }
    column = read(kind, [filled[kind]])
    longer = joined_columns("f", column, None, 1)
    assert len(longer) == 2
    nothing = said(longer)[1]
    assert nothing is None or nothing == [] or np.isnan(nothing).all()


def test_integer_levels_meet_strings():
    both = joined_columns("f", read("category", ["1", "2"]), read("category", ["2", "new"]), 2)
    assert said(both) == ["1", "2", "2", "new"]


def test_another_kind_or_length_is_refused_by_name():
    with pytest.raises(DataError, match="'f' is of the kind number and the new rows have category"):
        joined_columns("f", read("number", [1.0]), read("category", ["a"]), 1)
    vectors = [column_from_values("f", pl.Series([one]), "vector") for one in ([1.0], [1.0, 2.0])]
    with pytest.raises(DataError, match="length 1 and the new rows have 2"):
        joined_columns("f", *vectors, 1)


def test_entities_keep_the_order_of_their_ids():
    people = Entities(Vocabulary(pl.Series([3, 1])), {"f": read("number", [3.0, 1.0])})
    more = Entities(Vocabulary(pl.Series([2])), {"g": read("number", [9.0])})
    both = joined(people, more)
    both.verify()
    assert both.ids.ids.to_list() == [3, 1, 2]
    assert said(both.features["f"]) == [3.0, 1.0, None]
