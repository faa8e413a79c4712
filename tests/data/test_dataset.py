"""A dataset and its parts: what is described, filtered, looked up; views of interactions and histories."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twofold as tw
from twofold.data.columns import (
    NO_TIME,
    Bag,
    Category,
    Number,
    Text,
    Time,
    Vector,
    kind_of,
    present,
)
from twofold.data.interactions import Histories
from twofold.data.queries import Queries, telling
from twofold.data.vocabulary import UNKNOWN, Vocabulary, as_ids
from twofold.errors import DataError, UnknownIdError

EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 5)), min_size=1, max_size=40
)


def log_of(rows, **settings):
    u, i, v = map(list, zip(*rows, strict=True))
    return tw.Dataset.from_frames(
        {"u": u, "i": i, "v": v}, user="u", item="i", value="v", **settings
    )


def test_description_counts():
    data = tw.Dataset.from_frames(
        {"u": [1, 1, 2], "i": [1, 1, 2], "v": [1, 2, 5], "t": [0, 86_400, 172_800], "mood": ["x", "y", "x"]},
        user="u", item="i", value="v", time="t", context=["mood"],
        items={"i": [1, 2], "genres": ["a|b", "a"]}, links={"a": [1], "b": [2]},
    )  # fmt: skip
    facts = dict(data.describe().rows())
    assert facts == {
        "events": "3",
        "users": "2",
        "items": "2",
        "distinct pairs": "2",
        "density": "50.0000%",
        "events a user": "1 to 2, median 2; one: 1",
        "events an item": "1 to 2, median 2; one: 1",
        "of a pair before": "33.3% of the events",
        "values": "1 to 5",
        "time": "1970-01-01 00:00:00 to 1970-01-03 00:00:00",
        "of one moment": "0.0% of the events have another of the same user and second",
        "context": "mood (category)",
        "item features": "genres (tags)",
        "links": "1",
    }
    assert str(data) == "3 events of 2 users and 2 items"
    assert data.value_range == (1, 5)
    empty = data.part(np.zeros(0, np.int64))
    assert (len(empty), empty.value_range, len(empty.links)) == (0, (1, 1), 0)
    assert dict(empty.describe().rows())["density"] == "0.0000%"


def test_a_description_is_shown_whole_on_paper_and_in_a_notebook():
    """It is what people look at first; polars shows ten rows of its 14 and cuts the cells."""
    features = {f"a feature with a long name {one}": [1.5, 2.5] for one in range(9)}
    data = tw.Dataset.from_frames(
        {"u": [1, 1, 2], "i": [1, 1, 2], "v": [1, 2, 5], "t": [0, 86_400, 172_800], "mood": ["x", "y", "x"]},
        user="u", item="i", value="v", time="t", context=["mood"],
        items={"i": [1, 2], **features}, users={"u": [1, 2], "age": [1, 2]},
    )  # fmt: skip
    facts = data.describe()
    assert isinstance(facts, pl.DataFrame)
    assert facts.equals(pl.DataFrame(facts.to_dict()))
    assert len(facts) == 14
    for shown in (str(facts), repr(facts), facts._repr_html_()):
        assert "…" not in shown
        for fact in facts["what"]:
            assert fact in shown
        assert "a feature with a long name 8 (number)" in " ".join(shown.replace("┆", "").split())
    assert "…" in str(pl.DataFrame({"a": range(30)}))  # others are shown as before


@given(EVENTS, st.integers(1, 3), st.integers(1, 3))
def test_a_core_is_the_largest_part_with_enough_events(rows, of_user, of_item):
    kept = list(rows)
    while True:
        left = [
            row
            for row in kept
            if sum(one[0] == row[0] for one in kept) >= of_user
            and sum(one[1] == row[1] for one in kept) >= of_item
        ]
        if left == kept:
            break
        kept = left
    data = log_of(rows).filter(min_user_events=of_user, min_item_events=of_item)
    assert sorted(data.frame().rows()) == sorted(kept)
    assert data.users.ids.ids.to_list() == sorted({one[0] for one in kept})


@given(EVENTS, st.integers(1, 5))
def test_events_of_enough_value(rows, least):
    data = log_of(rows).where_value(at_least=least)
    assert sorted(data.frame().rows()) == sorted(one for one in rows if one[2] >= least)


@given(EVENTS)
def test_views_of_interactions(rows):
    data = log_of(rows)
    events = data.interactions
    dense = np.zeros((data.n_users, data.n_items), np.float32)
    np.add.at(dense, (events.user, events.item), events.value)
    np.testing.assert_array_equal(events.matrix().toarray(), dense)
    histories = Histories.of(events)
    np.testing.assert_array_equal(histories.matrix(data.n_items).toarray(), dense)
    assert histories.lengths.sum() == len(events)
    assert (np.diff(events.item[events.by_item]) >= 0).all()
    assert events.item_counts.tolist() == np.bincount(events.item, minlength=data.n_items).tolist()
    twice = histories.joined(histories)
    np.testing.assert_array_equal(twice.matrix(data.n_items).toarray(), 2 * dense)
    rows_asked = np.array([0, -1, len(histories) - 1], np.int32)
    taken = histories.take(rows_asked).matrix(data.n_items).toarray()
    np.testing.assert_array_equal(taken, [dense[0], np.zeros(data.n_items), dense[-1]])


def test_queries_take_rows():
    known = Queries.known(np.array([3, 4], np.int32), time=np.array([7, 8]))
    assert known.take(np.array([1])).user.tolist() == [4]
    assert known.take(np.array([1])).time.tolist() == [8]
    nobody = Queries.of_histories(Histories.empty(2))
    assert (len(nobody), nobody.user.tolist(), nobody.has_history.tolist()) == (
        2,
        [UNKNOWN] * 2,
        [True] * 2,
    )
    assert len(Histories.empty(0).take(np.array([-1]))) == 1


def test_ids_are_found_whether_they_are_written_as_numbers_or_words():
    numbers, words = Vocabulary.of([3, 1, 2**40]), Vocabulary.of(["1", "b"])
    assert numbers.rows([1, "3", 3.0, None, "x", 1.5, True]).tolist() == [
        0,
        1,
        1,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
    ]
    assert words.rows([1, "b", None]).tolist() == [0, 1, UNKNOWN]
    assert (numbers[1], words[1], len(words), numbers.is_integer, words.is_integer) == (
        3,
        "b",
        2,
        True,
        False,
    )
    many = [*range(2000), None]
    near = Vocabulary.of(range(1000))
    assert near.rows(many).tolist() == [*range(1000), *[UNKNOWN] * 1001]
    assert near.rows(pl.Series(["5", "x"])).tolist() == [5, UNKNOWN]
    assert near.rows(pl.Series([7, -1, 10**12])).tolist() == [7, UNKNOWN, UNKNOWN]
    assert words.rows(pl.Series([1, 2])).tolist() == [0, UNKNOWN]
    assert Vocabulary.of([0, 10**12]).rows(pl.Series([10**12, 5])).tolist() == [1, UNKNOWN]
    assert Vocabulary(pl.Series(dtype=pl.Int64)).rows(pl.Series([1])).tolist() == [UNKNOWN]
    assert near.rows([]).tolist() == []
    assert words.take(np.array([1])).ids.to_list() == ["b"]
    assert Vocabulary.of([5, 4, 5], "x").ids.to_list() == [4, 5]
    with pytest.raises(UnknownIdError, match="did you mean 'b'") as caught:
        Vocabulary.of(["b", "c"]).row("bb")
    assert caught.value.id == "bb"
    assert near.row("7") == 7
    with pytest.raises(DataError, match="mixes 'a' and 1"):
        Vocabulary.of([1, "a"])


@pytest.mark.parametrize("many", [1, 1000])
def test_an_integer_id_is_found_as_tables_write_it_and_not_by_what_only_python_reads(many):
    numbers = Vocabulary.of([7, 10, -3])
    said = ["7.0", "7.", " 7 ", "+10", "-3.00", "1_0", "7.5", "\u0667", "7e0", "9" * 30, ""]
    found = [1, 1, 1, 2, 0] + [UNKNOWN] * 6
    assert numbers.rows(said * many).tolist() == found * many


def test_ids_of_other_types():
    assert as_ids(pl.Series([None, None]), "x").dtype == pl.Int64
    assert as_ids(pl.Series([True]), "x").to_list() == ["true"]
    assert as_ids(pl.Series([1], dtype=pl.Int32), "x").dtype == pl.Int32


def test_columns_with_missing_rows():
    data = tw.Dataset.from_frames(
        {"u": [1, 1], "i": [1, 9]}, user="u", item="i",
        items={
            "i": [1], "c": ["x"], "g": [["a"]], "n": [1.5], "t": ["word"], "v": [[1.0, 2.0]],
            "p": ["1.5,2.5"], "d": ["2020-01-01"], "s": ["a.ogg"],
        },
        item_features={
            "c": "category", "g": "tags", "n": "number", "t": "text", "v": "vector", "p": "place", "d": "time",
            "s": "sound",
        },
    )  # fmt: skip
    missing = data.frame("items").row(1, named=True)
    nan = pytest.approx([float("nan")] * 2, nan_ok=True)
    assert missing == {
        "item": 9,
        "c": None,
        "g": [],
        "n": None,
        "t": None,
        "v": nan,
        "p": nan,
        "d": None,
        "s": None,
    }
    assert [len(one) for one in data.items.features.values()] == [2] * 8
    kinds = [kind_of(one) for one in data.items.features.values()]
    assert kinds == ["category", "tags", "number", "text", "vector", "place", "time", "sound"]


@pytest.mark.parametrize(
    ("ids", "notes"),
    [
        (["Caf\u00e9", "Cafe\u0301", "Tee"], ["1 of the items looks like another"]),
        (["q\u0307\u0323", "q\u0323\u0307", "q"], ["1 of the items looks like another"]),
        (["Cafe\u0301", "Tee", "Caf\u00e8"], []),
        (["\ud55c", "\u1112\u1161\u11ab", "\u212b", "\u00c5"], ["2 of the items look like others"]),
        ([1, 2, 3], []),
    ],
)
def test_ids_that_differ_in_unicode_form_alone_are_told(ids, notes):
    data = tw.Dataset.from_frames({"user": [1] * len(ids), "item": ids}, user="user", item="item")
    assert len(data.items) == len(ids)
    said = [one for one in data.notes if "NFC and NFD" in one]
    assert [one[: len(start)] for one, start in zip(said, notes, strict=True)] == notes


def test_what_is_said_is_what_a_model_learned():
    columns = {
        "city": Category(np.array([1, 0, -1], np.int32), Vocabulary.of(["Wien", "Oz"])),
        "likes": Bag(np.array([0, 0, 1, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32), Vocabulary.of(["a", "b"])),
        "says": Text(pl.Series(["", None, " "])),
        "age": Number(np.array([np.nan, np.nan, 3], np.float32)),
    }  # fmt: skip
    cities, letters = Vocabulary.of(["Linz", "Wien"]), Vocabulary.of(["b"])
    assert telling(columns, {"city": cities}, 3).tolist() == [True, False, False]
    assert telling(columns, {"city": None}, 3).tolist() == [True, True, False]
    assert telling(columns, {"likes": letters}, 3).tolist() == [False, False, True]
    assert telling(columns, {"says": None}, 3).tolist() == [False, False, False]
    assert telling(columns, {"age": None, "city": cities}, 3).tolist() == [True, False, True]
    assert telling(columns, {}, 3).tolist() == [False] * 3
    assert present(Time(np.array([0, NO_TIME]))).tolist() == [True, False]
    assert present(Vector(np.array([[0, np.nan], [0, 1]], np.float32))).tolist() == [False, True]


def test_ids_without_a_row_in_their_table_are_noted():
    """A log with new items was read with the old table of items, and nobody was told that they have no features."""
    log = {"user": ["a", "b", "b"], "item": ["x", "y", "z"]}
    items, users = {"item": ["x"], "year": [1990.0]}, {"user": ["a"], "age": [30.0]}
    made = tw.Dataset.from_frames(log, user="user", item="item", items=items, users=users)
    assert made.notes == (
        "1 user of the log, such as 'b', has no row in the users: its features are missing",
        "2 items of the log, such as 'y', have no row in the items: their features are missing",
    )
    whole = {"item": ["x", "y", "z"], "year": [1.0, 2.0, 3.0]}
    assert not tw.Dataset.from_frames(log, user="user", item="item", items=whole).notes


@pytest.mark.parametrize(
    "known",
    [["b", "é", "", "7"], [3, 5, 9], [3, 10**12, -(10**15)], [f"i{one}" for one in range(3000)]],
)
def test_a_few_ids_are_found_as_many_are(known):
    ids = Vocabulary(pl.Series(known))
    asked = [
        pl.Series([known[-1], None, known[0]]),
        pl.Series([known[1], known[1]], dtype=ids.ids.dtype),
        pl.Series(["7", "zz", None]),
        pl.Series([5, 7, None, 3]),
        pl.Series([5], dtype=pl.Int32),
        pl.Series([5.0, 5.5, None]),
        pl.Series([None, None]),
        pl.Series([], dtype=pl.String),
        pl.Series(["b", "zz"], dtype=pl.Categorical),
    ]
    few = [ids.rows(one) for one in asked]
    many = [Vocabulary(ids.ids).rows(one.extend_constant(None, 2000))[: len(one)] for one in asked]
    ids.rows([known[0]])  # from here on the dictionary is there
    for one, a, b in zip(asked, few, many, strict=True):
        assert a.tolist() == b.tolist() == ids.rows(one).tolist(), one
        assert a.dtype == ids.rows(one).dtype == np.int32


def test_a_few_ids_are_not_joined_and_a_large_vocabulary_gets_no_dictionary_for_them(monkeypatch):
    small = Vocabulary.of(["a", "b"])
    large = Vocabulary.of([f"i{one}" for one in range(3000)])
    assert large.rows(pl.Series(["i7"])).tolist() == [large.row("i7")]
    again = Vocabulary(large.ids)
    again.rows(pl.Series(["i7"]))
    assert "_row_of" not in vars(again)
    monkeypatch.setattr(pl.DataFrame, "join", None)
    assert small.rows(pl.Series(["b", None, "c"])).tolist() == [1, -1, -1]
    assert large.rows(pl.Series(["i7", None])).tolist() == [large.row("i7"), -1]
