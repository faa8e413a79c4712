"""Values that are told one at a time mean what a column of them means, whatever else is told."""

import numpy as np
import polars as pl
import pytest

from twofold.data.alone import column_of, reader
from twofold.data.columns import NO_TIME, Bag, Category, Number, Text, Time, Vector
from twofold.data.convert import column_from_values
from twofold.data.entities import Entities, differing
from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError

LIKE = {
    "text": Text(pl.Series(["x"])),
    "sound": Text(pl.Series(["x.wav"]), is_path=True),
    "category": Category(np.zeros(1, np.int32), Vocabulary.of(["ja"])),
    "year": Category(np.zeros(1, np.int32), Vocabulary.of([1999])),
    "tags": Bag(np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), Vocabulary.of(["a"]), is_tags=True),
    "bag": Bag(np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), Vocabulary.of(["a"])),
    "number": Number(np.zeros(1, np.float32)),
    "time": Time(np.zeros(1, np.int64)),
    "vector": Vector(np.zeros((1, 2), np.float32)),
    "place": Vector(np.zeros((1, 2)), is_place=True),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["a b", "", None]),
        ("sound", ["a.wav", None]),
        ("category", ["ja", " ja", "", None]),
        ("tags", ["a|b;c", "a;b", "a, b", "a|", "", ["a", "b", "a"], [], [1, 2.0], 7, True, None]),
        ("bag", ["a|b|a", '{"a": 2, "b": 0.5}', ["a", "a", "b"], [1], None]),
        ("number", [3, 2.5, True, "12", "-1.50", "1,234", "1.234.567", "0,5", "1e3", " 4 ", "", "NA", None]),
        ("time", ["2024-02-29", "2024-02-29T10:11:12", "2024-02-29 10:11:12Z", "2024-02-29T10:11", "31.12.2024"]),
        ("time", [1_700_000_000, 1_700_000_000_000, 20241231, 1.5e9, "1700000000", "", None]),
        ("vector", [[1, 2.5], [None, 1], "1,2", None]),
        ("place", [[52.5, 13.4], "52.5,13.4", None]),
    ],
)  # fmt: skip
def test_a_value_means_what_a_column_of_it_alone_does(kind, values):
    like = LIKE[kind]
    read = reader("x", like)
    plain = [read(one) for one in values]
    together = column_of("x", plain, like)
    for row, value in enumerate(values):
        alone = column_of("x", [plain[row]], like).series().to_list()
        assert str(together.take(np.array([row])).series().to_list()) == str(alone), value
        if value is not None:
            given = pl.Series("x", [value], strict=False)
            expected = column_from_values("x", given, kind).series().to_list()
            if kind in ("tags", "bag"):  # levels are texts here, which find integers too
                alone, expected = ([[(one["level"], one["count"]) if kind == "bag" else one for one in row] for row in some] for some in (alone, expected))  # fmt: skip
                expected = [[(str(one[0]), one[1]) if kind == "bag" else str(one) for one in expected[0]]]  # fmt: skip
            assert str(alone) == str(expected), value


def test_integers_stay_integers_where_the_levels_of_training_are():
    read = reader("year", LIKE["year"])
    assert column_of("year", [read(2001), read("1999"), None], LIKE["year"]).levels.is_integer
    assert not column_of("year", [read(2001), read("x")], LIKE["year"]).levels.is_integer


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("text", ["a", "b"], "'x' holds a text; got a list: give one text"),
        ("text", 5, "got the number 5"),
        ("text", True, "got the boolean true"),
        ("category", ["ja"], "'x' holds one level an item; got a list"),
        ("category", 5, "'x' holds texts; got the number 5"),
        ("category", False, "got the boolean false"),
        ("year", True, "got the boolean true"),
        ("year", [1999], "got a list"),
        ("number", "thirty", "must hold numbers; got 'thirty': give a number, or nothing"),
        ("number", [3], "holds a number; got a list"),
        ("number", 1e300, "got 1e\\+300: correct"),
        ("tags", [1.5], "got the number 1.5"),
        ("time", "soon", "got 'soon': write it so"),
        ("time", "2024-02-30", "dates that exist; got '2024-02-30'$"),
        ("time", [1], "holds a time; got a list"),
        ("time", True, "got the boolean true"),
        ("vector", [1, 2, 3], "holds a list of 2 numbers; got 3"),
        ("vector", 5, "got the number 5"),
        ("vector", ["a", "b"], "lists of numbers"),
        ("place", [95, 0], r"got \[95.0, 0.0\]$"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_sentence_without_a_row(kind, value, said):
    with pytest.raises(DataError, match=said) as refused:
        reader("x", LIKE[kind])(value)
    assert "row 0" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_numbers_and_truths_are_levels_where_training_had_such():
    for levels, value, level in ((["1", "x"], 5, "5"), (["1.5"], 2.5, "2.5"), (["true", "false"], True, "true")):  # fmt: skip
        like = Category(np.arange(len(levels), dtype=np.int32), Vocabulary(pl.Series(levels)))
        assert reader("x", like)(value) == level
    unmet = Category(np.zeros(1, np.int32), Vocabulary(pl.Series(["ja", "5"])))
    with pytest.raises(DataError, match="got the number 5"):
        reader("x", unmet)(5)


def test_rows_that_say_something_else_are_found_in_every_kind():
    said = {
        "text": (["a b", None, "c"], ["a b", "x", "d"]),
        "category": (["p", None, "q"], ["p", "p", "p"]),
        "tags": ([["b", "a"], [], ["z"]], [["a", "b"], ["a"], ["a"]]),
        "number": ([1, None, 2], [1, 5, None]),
        "time": (["2024-01-01", None, "2024-01-02"], ["2024-01-01"] * 3),
        "vector": ([[1, 2], None, [1, 2]], [[1, 2], [3, 4], [1, 3]]),
    }
    for kind, both in said.items():
        mine, known = (
            Entities(Vocabulary.of([0, 1, 2]), {"x": column_from_values("x", pl.Series("x", one), kind)})
            for one in both
        )  # fmt: skip
        assert differing(mine, known).tolist() == [False, False, True], kind
        assert not differing(mine, Entities(known.ids)).any()


def test_a_missing_time_is_missing():
    assert reader("x", LIKE["time"])(None) == NO_TIME


@pytest.mark.parametrize("cells", [[], [None], [{}, None], [{}]])
def test_a_bag_of_which_nothing_is_told_is_empty(cells):
    read = column_of("parts", cells, LIKE["bag"])
    assert (len(read), len(read.codes)) == (len(cells), 0)
