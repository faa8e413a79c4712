"""Typed columns as rows of features, against what the columns say."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.data.convert import column_from_values
from twofold.data.interactions import Histories
from twofold.errors import ConfigError
from twofold.features.design import ColumnCode, check_wanted, implicit, readable, unit_rows


def column(values, kind, name="c"):
    return column_from_values(name, pl.Series(name, values, strict=False), kind)


def encoded(values, kind, new=None):
    """Encode `new` (default: the training values) by what `values` taught."""
    code = ColumnCode.of("c", column(values, kind))
    return code.encode(column(values if new is None else new, kind)).toarray()


def test_a_category_is_one_indicator_and_missing_is_none():
    np.testing.assert_array_equal(encoded(["a", "b", None], "category"), [[1, 0], [0, 1], [0, 0]])


def test_levels_are_matched_by_name_in_new_rows():
    found = encoded(["a", "b"], "category", ["c", "b", "b", None])
    np.testing.assert_array_equal(found, [[0, 0], [0, 1], [0, 1], [0, 0]])
    found = encoded([["a"], ["b", "a"]], "tags", [["b", "z"], ["z"]])
    np.testing.assert_allclose(found, [[0, 1], [0, 0]])


def test_tags_have_unit_length():
    half = 0.5**0.5
    np.testing.assert_allclose(
        encoded([["a"], ["a", "b"], []], "tags"), [[1, 0], [half, half], [0, 0]]
    )


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=20))
def test_numbers_are_centred_and_scaled(values):
    found = encoded(values, "number")[:, 0].astype(float)
    if np.std(values) > 1e-3 * (1 + np.abs(values).max()):
        np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-3)
    assert np.isfinite(found).all()


def test_a_missing_number_is_the_average_one():
    found = encoded([1.0, None, 3.0], "number")[:, 0]
    np.testing.assert_allclose(found, [-1, 0, 1])


def test_histories_are_unit_rows_of_distinct_items():
    history = Histories(
        np.array([0, 3, 3]), np.array([2, 0, 2], np.int32), np.full(3, 5, np.float32)
    )
    half = 0.5**0.5
    np.testing.assert_allclose(implicit(history, 3).toarray(), [[half, 0, half], [0, 0, 0]])


def test_unit_rows_leave_empty_rows_alone():
    rows = implicit(Histories.empty(2), 3)
    assert not unit_rows(rows).toarray().any()


def test_kinds_without_an_encoding_are_refused_by_name():
    columns = {"t": column(["x y"], "text"), "n": column([1.0], "number")}
    assert list(readable(columns, None)) == ["n"]
    with pytest.raises(ConfigError, match="feature 't' is a text column"):
        readable(columns, ("t",))
    with pytest.raises(ConfigError, match="no feature column 'm'"):
        check_wanted(("m",), columns)


def test_another_kind_than_in_training_is_refused():
    code = ColumnCode.of("c", column(["a"], "category"))
    with pytest.raises(ConfigError, match="was a category in training and is a number now"):
        code.encode(column([1.0], "number"))


@pytest.mark.parametrize("kind", ["number", "vector", "time"])
def test_numbers_beyond_those_of_training_are_read_as_the_nearest(kind):
    def told(*values):
        return column([[one] for one in values] if kind == "vector" else values, kind)

    training = told(1_680_000_000, 1_720_000_000, 1_700_000_000)
    code = ColumnCode.of("c", training)
    beyond = told(1_600_000_000, 1_710_000_000, 1_900_000_000)
    least, middle, most = code.encode(beyond).toarray().ravel()
    assert [least, most] == np.sort(code.encode(training).toarray().ravel())[[0, 2]].tolist()
    assert middle == pytest.approx(most / 2)


def test_a_time_keeps_its_seconds():
    first = 1_700_000_001
    found = encoded([first, first + 1, first + 2], "time", [first + 1, first + 2])
    np.testing.assert_allclose(found.ravel(), [0, 1.5**0.5], atol=1e-6)
    assert not encoded([first] * 3, "time").any()


def test_a_category_and_a_column_without_a_number_have_no_ends():
    assert encoded(["a"], "category") == [[1]]
    assert not encoded([None], "number", [7.0]).any()
