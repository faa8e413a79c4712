"""Frames of every library, and what is irregular in them: a stated policy or one sentence."""

import datetime as dt
import decimal
import uuid

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twofold as tw
from twofold.data.columns import kind_of
from twofold.data.convert import numbers
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.features.words import words_of

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


def read(frame, **settings):
    return tw.Dataset.from_frames(frame, **({"user": "u", "item": "i"} | settings))


# The same two events in everything that is accepted.
SAME = {
    "polars": lambda: pl.DataFrame({"u": [2, 1], "i": ["a", "b"]}),
    "lazy": lambda: pl.LazyFrame({"u": [2, 1], "i": ["a", "b"]}),
    "polars enum": lambda: pl.DataFrame({"u": pl.Series([2, 1], dtype=pl.UInt8), "i": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"]))}),
    "pandas": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"]}),
    "pandas objects": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"]}, dtype=object),
    "pandas nullable": lambda: pd.DataFrame({"u": pd.array([2, 1], dtype="Int64"), "i": pd.array(["a", "b"], dtype="string")}),
    "pandas categories": lambda: pd.DataFrame({"u": pd.Categorical([2, 1]), "i": pd.Categorical(["a", "b"])}),
    "pandas arrow": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"]}).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, an index": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"]}).set_index("u"),
    "pandas, two levels": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"], "x": 0}).set_index(["u", "i"]),
    "pandas, a level twice": lambda: pd.DataFrame({"u": [2, 1], "i": ["a", "b"]}).set_index("u", drop=False),
    "pandas decimals": lambda: pd.DataFrame({"u": [decimal.Decimal(2), decimal.Decimal(1)], "i": ["a", "b"]}),
    "pandas floats": lambda: pd.DataFrame({"u": [2.0, 1.0], "i": ["a", "b"]}),
    "pandas, numbered names": lambda: pd.DataFrame([[2, "a"], [1, "b"]]).rename(columns={0: "u", 1: "i"}),
    "pyarrow": lambda: pa.table({"u": pa.array([2, 1]).dictionary_encode(), "i": ["a", "b"]}),
    "arrow stream": lambda: pa.table({"u": [2, 1], "i": ["a", "b"]}).to_reader(),
    "lists": lambda: {"u": [2, 1], "i": ("a", "b")},
    "arrays": lambda: {"u": np.array([2, 1], np.int16), "i": np.array(["a", "b"])},
    "array of objects": lambda: {"u": np.array([2, 1], object), "i": np.array(["a", "b"], object)},
    "series": lambda: {"u": pd.Series([2, 1], index=[7, 8]), "i": pl.Series(["a", "b"])},
    "arrow arrays": lambda: {"u": pa.array([2, 1]), "i": pa.chunked_array([["a"], ["b"]])},
    "iterators": lambda: {"u": iter([2, 1]), "i": (one for one in "ab")},
    "records": lambda: [{"u": 2, "i": "a"}, {"u": 1, "i": "b", "more": 1}],
    "structured array": lambda: np.array([(2, "a"), (1, "b")], [("u", "i4"), ("i", "U1")]),
    "integers and whole floats": lambda: {"u": [2, 1.0], "i": ["a", "b"]},
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_every_frame_gives_the_same_events(name):
    frame = read(SAME[name]()).frame()
    assert frame.rows() == [(1, "b"), (2, "a")]
    assert frame.dtypes == [pl.Int64, pl.String]


MISSING = {
    "none": {"u": [1, None], "i": [1, 2]},
    "nan among strings": {"u": ["a", float("nan")], "i": [1, 2]},
    "masked": {"u": np.ma.array([1, 2], mask=[False, True]), "i": [1, 2]},
    "pandas NA": {"u": pd.array([1, None], dtype="Int64"), "i": [1, 2]},
    "pandas NA object": {"u": pd.Series([1, pd.NA], dtype=object), "i": [1, 2]},
    "float nan": {"u": np.array([1, np.nan]), "i": [1, 2]},
    "category": {"u": pd.Series(pd.Categorical(["a", None])), "i": [1, 2]},
    "value": {"u": [1, 2], "i": [1, 2], "v": [1.5, float("nan")]},
    "time": {"u": [1, 2], "i": [1, 2], "t": [dt.date(2024, 1, 1), None]},
    "all of them": {"u": [1, None, 3, 4], "i": [1, 2, None, 4], "v": [1, 2, 3, None], "t": [5, 6, 7, 8]},
    "a missing time": {"u": [1, 2, 3], "i": [1, 2, 3], "v": [1, None, 3], "t": [5, 6, None]},
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_rows_without_an_id_a_value_or_a_time_are_counted_and_left_out(name):
    frame = MISSING[name]
    settings = {"value": "v" if "v" in frame else None, "time": "t" if "t" in frame else None}
    with pytest.warns(DataWarning, match="were left out; fill them in"):
        data = read(frame, **settings)
    assert len(data) == 1
    assert "left out" in data.notes[0]


def test_it_is_told_what_the_rows_that_are_left_out_are_without():
    log = {"u": [1, 2, None, 4], "i": [1, 2, 3, 4], "v": [1, None, 3, 4], "t": [5, 6, 7, 8]}
    with pytest.warns(DataWarning, match="2 of 4 rows without a user or a value were left out"):
        read(log, value="v", time="t")


IDS = [
    (np.array([2**64 - 1, 5], np.uint64), ["18446744073709551615", "5"]),
    (np.array([7, 5], np.uint64), [5, 7]),
    ([2**63, 1], ["1", "9223372036854775808"]),
    ([-7, 5], [-7, 5]),
    ([True, False], ["false", "true"]),
    ([uuid.UUID(int=1), uuid.UUID(int=2)], [str(uuid.UUID(int=1)), str(uuid.UUID(int=2))]),
    (["007", "7"], ["007", "7"]),
    ([" 7", "7"], [" 7", "7"]),
    (pl.Series([2**100, -2], dtype=pl.Int128), ["-2", str(2**100)]),
    (pl.Series([5, -2], dtype=pl.Int128), [-2, 5]),
]


@pytest.mark.parametrize(("ids", "out"), IDS)
def test_ids_are_the_callers(ids, out):
    assert read({"u": ids, "i": [1, 2]}).users.ids.ids.to_list() == out


# Frame, settings, error, sentence.
REFUSED = [
    ({"u": [1, "a"], "i": [1, 2]}, {}, DataError, "mix 'a' and 1 in column 'u'"),
    (pd.DataFrame({"u": [1, "a"], "i": [1, 2]}), {}, DataError, "mix 'a' and 1"),
    ({"u": [1.5, 2], "i": [1, 2]}, {}, DataError, "got the number 1.5"),
    ({"u": [np.inf, 2], "i": [1, 2]}, {}, DataError, "got the number inf"),
    ({"u": [2.0**60, 2], "i": [1, 2]}, {}, DataError, "lost digits"),
    ({"u": np.array([2**25], np.float32), "i": [1]}, {}, DataError, "lost digits"),
    ({"u": [[1], [2]], "i": [1, 2]}, {}, DataError, "integers or strings"),
    ({"u": [b"a", b"b"], "i": [1, 2]}, {}, DataError, "integers or strings"),
    ({"u": [1, 2], "i": [1]}, {}, DataError, "different lengths: u 2, i 1"),
    ({"u": 1, "i": [1]}, {}, DataError, "list or an array; got int"),
    ({"u": "ab", "i": [1]}, {}, DataError, "list or an array; got str"),
    ({"u": [], "i": []}, {}, DataError, "empty"),
    ({"u": [None], "i": [1]}, {}, DataError, "no row to read"),
    ({"user": [1], "i": [1]}, {}, DataError, "no column 'u'"),
    ({"u": [1], "i": [1]}, {"item": "u"}, ConfigError, "both column 'u'"),
    ({"u": [1], "i": [1]}, {"duplicates": "first"}, ConfigError, "allowed: keep"),
    ({"u": [1], "i": [1], "v": ["x"]}, {"value": "v"}, DataError, "got 'x': give a number"),
    ({"u": [1], "i": [1], "v": [np.inf]}, {"value": "v"}, DataError, "finite"),
    ({"u": [1], "i": [1], "v": [1e300]}, {"value": "v"}, DataError, "finite"),
    ({"u": [1], "i": [1], "v": [dt.date(2024, 1, 1)]}, {"value": "v"}, DataError, "must hold numbers"),
    ({"u": [1], "i": [1], "v": ["old"]}, {"value": "v"}, DataError, "got 'old': give a number"),
    ({"u": [1, 2, 3], "i": [1, 1, 1], "v": ["1", "old", "new"]}, {"value": "v"}, DataError, "got 'old' in row 1 and in 1 more: correct it"),
    (pd.DataFrame([[1, 2, 3]], columns=["u", "i", "i"]), {}, DataError, "two columns called 'i'"),
    (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("u", "x"), ("i", "y")])), {}, DataError, "allowed: u.x, i.y"),
    (np.zeros((2, 2)), {}, DataError, "got ndarray"),
    ("log.csv", {}, DataError, "Dataset.read"),
    ([1, 2], {}, DataError, "mappings of name to value; got int"),
    (None, {}, DataError, "got NoneType"),
    ({"u": [1], "i": [1], "value": [2]}, {"value": "value", "context": ["value"]}, ConfigError, "context column cannot be called 'value'"),
    ({"u": [1], "i": [1]}, {"context": "mood"}, ConfigError, "list of names"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "item": [2]}, "item_features": ["item"]}, ConfigError, "cannot be called 'item'"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [2]}, "item_features": {"x": "colour"}}, ConfigError, "got the kind 'colour'"),
    ({"u": [1], "i": [1]}, {"items": {"i": ["a"]}}, DataError, "interactions have integer ids"),
    ({"u": [1], "i": [1]}, {"links": {"a": [1]}}, DataError, "two columns"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [[1]]}, "item_features": {"x": "category"}}, DataError, "must hold one value a row"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": ["{"]}, "item_features": {"x": "bag"}}, DataError, "begins as JSON"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [[{"a": 1, "b": 2, "c": 3}]]}, "item_features": {"x": "bag"}}, DataError, "level and a count"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [3]}, "item_features": {"x": "vector"}}, DataError, "list of numbers"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1, 2], "x": [[1, 2], [1]]}, "item_features": {"x": "vector"}}, DataError, "lengths"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": ['{"a": "three"}']}, "item_features": {"x": "bag"}}, DataError, "a finite number for every level; got {'a': 'three'} in row 0"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [{"a": float("inf")}]}, "item_features": {"x": "bag"}}, DataError, "a finite number for every level; got {'a': inf} in row 0"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1, 2], "x": ["50,8", "here"]}, "item_features": {"x": "place"}}, DataError, "got 'here' in row 1"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [["a", "b"]]}, "item_features": {"x": "vector"}}, DataError, "lists of numbers"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": pl.Series([1], dtype=pl.Duration)}, "item_features": {"x": "text"}}, DataError, "'x' holds durations"),
    ({"u": [1], "i": [1]}, {"items": {"i": [1], "x": [[95.0, 4.0]]}, "item_features": {"x": "place"}}, DataError, r"got \[95.0, 4.0\]"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "settings", "error", "sentence"), REFUSED)
def test_what_cannot_be_read_is_one_sentence(frame, settings, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        read(frame, **settings)
    assert "\n" not in str(caught.value)


def test_extremes_are_read():
    assert len(read({"u": [1, 1], "i": [1, 2]})) == 2
    assert len(read({"u": [1, 2], "i": [1, 1]})) == 2
    same = read({"u": [1, 1], "i": [1, 1], "v": [2, 2]}, value="v")
    assert (len(same), same.value_range) == (2, (2.0, 2.0))
    everything = read({"u": [1] * 9 + [2], "i": [*range(9), 0]})
    assert np.diff(everything.interactions.indptr).tolist() == [9, 1]


def test_duplicates_follow_the_policy():
    frame = {"u": [1, 1, 1, 2], "i": [1, 1, 1, 1], "t": [30, 10, 20, 1], "v": [1, 2, 5, 4]}
    out = {
        policy: read(frame, time="t", value="v", duplicates=policy).interactions.value.tolist()
        for policy in ("keep", "last", "sum", "mean")
    }
    assert out == {
        "keep": [2, 5, 1, 4],
        "last": [1, 4],
        "sum": [8, 4],
        "mean": [pytest.approx(8 / 3), 4],
    }
    copies = read(
        {"u": [1, 1, 1], "i": [1, 1, 1], "t": [3, 3, 3], "v": [1, 1, 2]}, time="t", value="v"
    )
    assert len(copies) == 2
    assert "1 exact copy of an event" in copies.notes[0]
    assert read({"u": [1, 2], "i": [1, 1]}, duplicates="sum").notes == ()


@pytest.mark.parametrize(
    ("text", "out"),
    [
        (["1,234", "5"], [1234, 5]),
        (["1,234.5", "-2,000"], [1234.5, -2000]),
        (["1,5", "2"], [1.5, 2]),
        (["1.234,5", "2"], [1234.5, 2]),
        (["1.234.567", "2"], [1234567, 2]),
        (["1 234", "1'000", "2"], [1234, 1000, 2]),
        (["true", "False", None], [1, 0, np.nan]),
        (["", "NA", "none", "3"], [np.nan, np.nan, np.nan, 3]),
        ([decimal.Decimal("4.5")], [4.5]),
        ([True, None], [1, np.nan]),
        ([None], [np.nan]),
    ],
)
def test_numbers_as_people_write_them(text, out):
    np.testing.assert_array_equal(numbers(pl.Series(text), "v"), np.array(out, np.float32))


KINDS = {
    "vector": pl.Series(np.arange(6.0).reshape(3, 2)),
    "tags": pl.Series([["x", "y"], None, []]),
    "bag": pl.Series([{"a": 1}, {"b": 3}, None]),
    "number": pl.Series(["1.50", None, "2.25"]),
    "category": pl.Series(["a", "a", "b"]),
    "text": pl.Series(["one", "two", "three"]),
    "time": pl.Series([dt.date(2024, 1, 1), None, None]),
}


def test_kinds_are_guessed():
    data = read({"u": [1], "i": [1]}, items={"i": [1, 2, 3], **KINDS})
    assert {name: kind_of(one) for name, one in data.items.features.items()} == {
        name: name for name in KINDS
    }


def test_every_kind_goes_round_through_frames_and_folders(tmp_path):
    log = {
        "u": ["a", "b", "a"],
        "i": [1, 2, 2],
        "v": [1.5, 2, 3],
        "t": [5, 6, 7],
        "mood": ["x", None, "y"],
        "warm": [1.0, None, 2],
    }
    users = {
        "u": ["a", "b"],
        "bio": ["héllo", None],
        "born": [dt.date(1990, 1, 1), None],
        "home": ["52.1, 4.2", None],
    }
    items = {
        "i": [1, 2, 3],
        "genres": ["x|y", None, "y"],
        "words": ['{"a": 2, "b": 1}', None, "{}"],
        "vec": [[1.0, None], None, [3.0, 4.0]],
        "clip": ["a.ogg", None, "c.ogg"],
        "code": [7, None, 8],
        "price": [1.5, None, 2.5],
    }  # fmt: skip
    kinds = {
        "context": {"mood": "category", "warm": "number"},
        "user_features": {"bio": "text", "born": "time", "home": "place"},
        "item_features": {"genres": "tags", "words": "bag", "vec": "vector", "clip": "sound", "code": "category", "price": "number"},
    }  # fmt: skip
    data = read(
        log, value="v", time="t", users=users, items=items, links={"x": ["a"], "y": ["b"]}, **kinds
    )
    again = tw.Dataset.from_frames(
        data.frame(),
        user="user",
        item="item",
        value="value",
        time="time",
        users=data.frame("users"),
        items=data.frame("items"),
        links=data.frame("links"),
        **kinds,
    )
    loaded = tw.Dataset.load(data.save(tmp_path / "saved"))
    assert isinstance(loaded.interactions.user.base, np.memmap)
    for part in ("interactions", "users", "items", "links"):
        frame = data.frame(part)
        for other in (again, loaded):
            assert other.frame(part).equals(frame), part
            assert other.frame(part).schema == frame.schema, part
    assert loaded.notes == data.notes
    assert loaded.items.features["words"].matrix().toarray().tolist() == [[2, 1], [0, 0], [0, 0]]
    with pytest.raises(ConfigError, match="allowed: interactions, users, items, links"):
        data.frame("user")


def test_a_column_that_is_called_like_the_ids_is_left_out_and_said():
    data = read({"u": [1], "i": [1]}, items={"i": [1], "item": ["x"], "n": [1.5]})
    assert list(data.items.features) == ["n"]
    assert "'item'" in data.notes[0]


def test_a_saved_log_of_strings_and_large_integers(tmp_path):
    data = read({"u": ["", "ü", "a\nb"], "i": [2**63 - 1, -(2**63), 0]})
    assert tw.Dataset.load(data.save(tmp_path / "d")).frame().equals(data.frame())


@pytest.mark.filterwarnings("ignore:time column 't' has")
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.integers(-(10**9), 10**9)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_events_come_back_in_user_time_order(rows):
    u, i, t = map(list, zip(*rows, strict=True))
    frame = read({"u": u, "i": i, "t": t}, time="t").frame()
    expected = sorted(set(rows), key=lambda one: (one[0], one[2]))
    assert sorted(frame.rows()) == sorted(expected)
    assert [(one[0], one[2]) for one in frame.rows()] == [(one[0], one[2]) for one in expected]


def test_a_missing_count_is_no_word_and_an_empty_place_is_missing():
    items = {"i": [1, 2], "bag": [{"a": float("nan"), "b": 2}, None], "home": ["", "1.5,2"]}
    data = tw.Dataset.from_frames(
        {"u": [1, 1], "i": [1, 2]},
        user="u",
        item="i",
        items=items,
        item_features={"bag": "bag", "home": "place"},
    )
    frame = data.frame("items")
    assert frame["bag"].to_list() == [[{"level": "b", "count": 2.0}], []]
    assert np.isnan(data.items.features["home"].values[0]).all()


def test_days_in_text_are_times_and_what_looks_like_them_is_not():
    items = {
        "i": range(4),
        "listed": ["2024-02-29", None, "2019-01-01", "2020-12-31"],
        "code": ["2024-02-30", "2024-01-01", "2019-01-01", "2020-12-31"],
    }
    data = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i", items=items)
    kinds = {name: kind_of(one) for name, one in data.items.features.items()}
    assert kinds == {"listed": "time", "code": "text"}


def test_features_of_strangers_are_told():
    items = {"sku": [7, 8], "title": ["x", "y"]}
    with pytest.warns(
        DataWarning,
        match="none of the 2 items with features, such as 7, is in the log, which has such as 1",
    ):
        tw.Dataset.from_frames({"u": [1], "sku": [1]}, user="u", item="sku", items=items)


@pytest.mark.parametrize("empty_first", [False, True])
def test_lists_in_the_cells_of_pandas_are_tags(empty_first):
    """As `pandas.read_parquet` gives them: arrays of objects; and sets, as people write them."""
    cells = [np.array(["a", "b"], dtype=object), np.array([], dtype=object), None]
    if empty_first:
        cells = cells[1:] + cells[:1]
    wanted = [[] if one is None else list(one) for one in cells]
    items = pd.DataFrame({"i": [0, 1, 2], "tags": pd.Series(cells, dtype=object)})
    items["more"] = [None if one is None else set(one) for one in cells]
    data = read({"u": [1, 1, 1], "i": [0, 1, 2]}, items=items, item_features={"tags": "tags", "more": "tags"})  # fmt: skip
    assert data.frame("items")["tags"].to_list() == wanted
    assert data.frame("items")["more"].to_list() == wanted


def test_whole_decimals_are_ids_and_long_ones_stay_exact():
    made = pl.Series([10**20, 5], dtype=pl.Decimal(38, 2))
    assert read({"u": [1, 1], "i": made}).items.ids.ids.to_list() == [str(10**20), "5"]
    with pytest.raises(DataError, match=r"must hold integers or strings; got the number 1\.50"):
        read({"u": [1], "i": pl.Series([decimal.Decimal("1.50")])})


def test_durations_are_no_ids():
    with pytest.raises(DataError, match="'i' must hold integers or strings; got values of type Dur"):  # fmt: skip
        read({"u": [1], "i": pl.Series([dt.timedelta(hours=1)])})


def test_cells_of_several_kinds_are_read_or_named():
    log, cells = {"u": [1, 1], "i": [0, 1]}, [["a", "a"], {"b": 2}]
    items = {"i": [0, 1], "bag": pl.Series(cells, dtype=pl.Object)}
    bag = read(log, items=items, item_features={"bag": "bag"}).frame("items")["bag"]
    assert bag.to_list() == [[{"level": "a", "count": 2.0}], [{"level": "b", "count": 2.0}]]
    text = read(log, items=items, item_features={"bag": "text"}).frame("items")["bag"]
    assert text.to_list() == ["['a', 'a']", "{'b': 2}"]
    for odd in (7, [["a"]]):
        items["bag"] = pl.Series([{"b": 2}, odd], dtype=pl.Object)
        with pytest.raises(DataError, match=r"'bag' must hold a list or a mapping .* in row 1"):
            read(log, items=items, item_features={"bag": "tags"})


def test_lists_that_are_text_keep_their_words_in_every_script():
    log = {"u": [1, 1, 1], "i": [0, 1, 2]}
    words = [["寿司", "味噌 汁", None], ['tea\n"hot"'], None]
    items = {"i": [0, 1, 2], "words": words, "facts": [{"де": "чай"}] * 3}
    kinds = {"words": "text", "facts": "text"}
    data = read(log, items=items, item_features=kinds)
    assert data.frame("items")["words"].to_list() == ["寿司 味噌 汁", 'tea\n"hot"', None]
    assert data.frame("items")["facts"].to_list() == ['{"де": "чай"}'] * 3
    assert words_of(data.items.features["words"]).distinct.ids.sort().to_list() == [
        "hot", "tea", "味噌", "寿司", "汁",
    ]  # fmt: skip
    again = read(log, items=data.frame("items").rename({"item": "i"}), item_features=kinds)
    assert again.frame("items").equals(data.frame("items"))
