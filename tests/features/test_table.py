"""Columns as ids and quantiles, against counting by hand."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold import persistence
from twofold.data.columns import NO_TIME, Number, Time, Vector
from twofold.data.convert import column_from_values
from twofold.data.entities import Entities
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError
from twofold.features.numbers import distribution
from twofold.features.table import Table
from twofold.loading import DATA_CLASSES, FEATURE_CLASSES


def column(values, kind):
    return column_from_values("c", pl.Series("c", values, strict=False), kind)


def encoded(values, kind, new=None, now=None, **settings):
    code = Table(**settings).fit({"c": column(values, kind)})
    return code.encode({"c": column(values if new is None else new, kind)}, now)


def rows_of(field):
    return [field.ids[a:b].tolist() for a, b in pairwise(field.offsets)]


def test_a_category_is_one_id_and_an_unseen_level_the_declared_one():
    found = encoded(["b", "a", None], "category", ["c", "a", None, "b", "d"])
    (field,) = found.fields
    assert rows_of(field) == [[2], [0], [], [1], [2]]
    assert (field.n_rows, field.unknown, field.n_unknown) == (3, 2, 2)
    assert found.n_unknown == {"c": 2}
    assert found.n_missing == {"c": 1}
    assert found.dense.shape == (5, 0)


def test_rare_levels_train_the_unknown_one():
    (field,) = encoded(["a", "a", "b"], "category", min_count=2).fields
    assert rows_of(field) == [[0], [0], [1]]
    assert field.n_rows == 2


def test_tags_are_a_mean():
    found = encoded([["a"], ["a", "b"], []], "tags", [["b", "a"], ["z", "a"], None, ["y", "z"]])
    (field,) = found.fields
    assert rows_of(field) == [[0, 1], [0, 2], [], [2, 2]]
    np.testing.assert_allclose(field.weights, 0.5)
    assert found.n_unknown["c"] == 3
    assert found.n_missing["c"] == 1


def test_a_bag_is_a_mean_weighted_by_counts():
    (field,) = encoded([{"a": 3.0, "b": 1.0}, {"b": 2.0}], "bag").fields
    np.testing.assert_allclose(field.weights, [0.75, 0.25, 1.0])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
def test_a_number_is_the_share_of_smaller_ones_with_its_powers(values):
    dense = encoded(values, "number").dense.astype(float)
    below = [sum(other < value for other in values) / len(values) for value in values]
    np.testing.assert_allclose(dense[:, 0], below, atol=1e-6)
    np.testing.assert_allclose(dense[:, 1], np.square(below), atol=1e-6)
    np.testing.assert_allclose(dense[:, 2], np.sqrt(below), atol=1e-6)
    assert not dense[:, 3].any()


@given(
    seed=st.integers(0, 999),
    quantiles=st.integers(2, 40),
    new=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9),
)
def test_quantiles_ascend_and_stay_below_one(seed, quantiles, new):
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0, 3, 200).astype(np.float32)
    code = Table(quantiles=quantiles).fit({"c": Number(values)})
    assert len(code.codes[0].knots) <= quantiles
    x = code.encode({"c": Number(np.sort(new).astype(np.float32))}).dense[:, 0]
    assert (np.diff(x) >= 0).all()
    assert (x >= 0).all()
    assert (x < 1).all()


def test_knots_follow_the_distribution():
    values = np.random.default_rng(0).lognormal(0, 2, 20_000)
    knots, shares = distribution(values, 100)
    np.testing.assert_allclose(np.interp(values, knots, shares).mean(), 0.5, atol=0.01)
    share = [(values < one).mean() for one in (0.1, 1.0, 10.0)]
    np.testing.assert_allclose(np.interp([0.1, 1.0, 10.0], knots, shares), share, atol=0.011)


def test_missing_infinite_and_far_numbers():
    code = Table().fit({"c": Number(np.array([1, 2, np.nan, np.inf], np.float32))})
    new = np.array([np.nan, -np.inf, np.inf, 1, 2, 9], np.float32)
    found = code.encode({"c": Number(new)})
    np.testing.assert_allclose(found.dense[:, 0], [0, 0, 0.5, 0, 0.5, 0.5])
    np.testing.assert_allclose(found.dense[:, 3], [1, 0, 0, 0, 0, 0])
    assert found.n_unknown == {"c": 3}
    assert found.n_missing == {"c": 1}


@pytest.mark.parametrize("values", [[5.0, 5.0], [None, None]])
def test_a_constant_or_empty_number_says_nothing(values):
    found = encoded(values, "number", [5.0, 7.0])
    assert not found.dense.any()


def test_times_are_hour_weekday_and_age():
    at = [datetime(2024, 5, 6, 13, 59, tzinfo=UTC), datetime(2024, 5, 12, 0, 0, tzinfo=UTC)]
    values = np.array([*(int(one.timestamp()) for one in at), NO_TIME])
    code = Table().fit({"t": Time(values)})
    assert code.tables == {"t.hour": 25, "t.weekday": 8}
    found = code.encode({"t": Time(values)})
    hour, weekday = found.fields
    assert rows_of(hour) == [[13], [0], []]
    assert rows_of(weekday) == [[one.weekday()] for one in at] + [[]]
    np.testing.assert_allclose(found.dense[:, 0], [0.5, 0, 0])
    np.testing.assert_allclose(found.dense[:, 3], [0, 0, 1])
    assert found.n_unknown["t.age"] == 0
    later = code.encode({"t": Time(values)}, now=int(values[0]))
    np.testing.assert_allclose(later.dense[:, 0], 0)
    assert later.n_unknown["t.age"] == 1


@given(st.integers(-(10**10), 10**10))
def test_hour_and_weekday_are_those_of_the_calendar(seconds):
    day = datetime.fromtimestamp(seconds, UTC)
    found = Table().fit({"t": Time(np.array([seconds]))}).encode({"t": Time(np.array([seconds]))})
    assert [one.ids[0] for one in found.fields] == [day.hour, day.weekday()]


def test_places_fall_into_cells():
    train = [[48.85, 2.35], [-33.9, 180.0], [90.0, 0.0]]
    new = [[48.86, 2.39], [-33.9, -180.0], [0.0, 0.0], None, [90.0, 0.05]]
    found = encoded(train, "place", new)
    (field,) = found.fields
    rows = rows_of(field)
    assert rows[2] == [3]
    assert rows[3] == []
    assert sorted(rows[0] + rows[1] + rows[4]) == [0, 1, 2]
    assert found.n_unknown["c"] == 1


def test_vectors_are_centred_and_scaled():
    values = Vector(np.array([[1, 5], [3, 5], [np.nan, 5]], np.float32))
    found = Table().fit({"v": values}).encode({"v": values})
    np.testing.assert_allclose(found.dense, [[-1, 0, 0], [1, 0, 0], [0, 0, 1]])
    with pytest.raises(DataError, match="column 'v' holds infinity in row 1"):
        Table().fit({"v": Vector(np.array([[1.0], [np.inf]], np.float32))})


def test_columns_stand_in_the_order_asked_for_and_of_entities():
    features = {
        "price": column([1.0, 2.0], "number"),
        "title": column(["x y", "z w"], "text"),
        "shop": column(["a", "b"], "category"),
    }
    who = Entities(Vocabulary.of([1, 2]), features)
    assert [one.name for one in Table().fit(who).codes] == ["price", "shop"]
    code = Table().fit(who, ["shop", "price"])
    assert [one.name for one in code.codes] == ["shop", "price"]
    assert code.width == code.encode(who).dense.shape[1] == 4
    assert len(code.encode(who)) == 2
    with pytest.raises(ConfigError, match=r"no feature column 'shops'.*did you mean 'shop'"):
        Table().fit(who, ["shops"])
    with pytest.raises(DataError, match="column 'title' is a text column; a table reads category"):
        Table().fit(who, ["title"])


def test_another_kind_or_length_than_in_training_is_refused():
    code = Table().fit({"c": column(["a"], "category"), "v": column([[1.0, 2.0]], "vector")})
    good = {"c": column(["a"], "category"), "v": column([[1.0, 2.0]], "vector")}
    with pytest.raises(DataError, match="'c' was a category in training and is a number now"):
        code.encode(good | {"c": column([1.0], "number")})
    with pytest.raises(DataError, match="vectors of 2 numbers in training and has 3 now"):
        code.encode(good | {"v": column([[1.0, 2.0, 3.0]], "vector")})
    with pytest.raises(DataError, match="column 'v' is missing, training had it as a vector"):
        code.encode({"c": good["c"]})
    with pytest.raises(DataError, match="same number of rows"):
        code.encode(good | {"c": column(["a", "b"], "category")})


def test_a_saved_code_encodes_alike(tmp_path):
    columns = {
        "shop": column(["a", "b"], "category"),
        "tags": column([["x"], ["y", "x"]], "tags"),
        "price": column([1.0, 2.0], "number"),
        "at": Time(np.array([0, 10**9])),
        "where": column([[1.0, 2.0], [3.0, 4.0]], "place"),
        "v": column([[1.0, 2.0], [3.0, 4.0]], "vector"),
    }
    code = Table(cell_degrees=1).fit(columns)
    persistence.save(code, tmp_path / "code", "code")
    again = persistence.load(tmp_path / "code", "code", DATA_CLASSES | FEATURE_CLASSES)
    assert again.settings == code.settings
    one, other = code.encode(columns), again.encode(columns)
    np.testing.assert_array_equal(one.dense, other.dense)
    assert list(code.tables) == [field.name for field in one.fields]
    assert list(code.tables.values()) == [field.n_rows for field in one.fields]
    for a, b in zip(one.fields, other.fields, strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.weights, b.weights)


def test_no_rows():
    code = Table().fit({"c": column(["a"], "category"), "n": column([1.0], "number")})
    none = np.zeros(0, np.int32)
    empty = {"c": column(["a"], "category").take(none), "n": column([1.0], "number").take(none)}
    found = code.encode(empty)
    assert found.dense.shape == (0, 4)
    assert rows_of(found.fields[0]) == []
