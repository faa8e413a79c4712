"""Columns that nearly look like another kind are told; what is meant as it is read is not."""

import warnings

import polars as pl
import pytest

import twofold as tw
from twofold.data.columns import kind_of
from twofold.data.odd_kinds import sentences
from twofold.errors import DataError, DataWarning

N = 800
MINUTES = [str(30 + one % 50) for one in range(N)]
PRICES = [f"{one % 50}.5" for one in range(N)]
DAYS = [f"2024-01-{1 + one % 28:02d}" for one in range(N)]
PROSE = [f"On day {one}, somebody walked {one} miles to the sea, and back" for one in range(N)]
TAGS = ["science fiction;drama", "based on a true story;drama", "film noir"]


def having(values, at, *cells):
    return [*values[:at], *cells, *values[at + len(cells) :]]


def warned(read):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = read()
    assert all(one.category is DataWarning and one.filename == __file__ for one in caught)
    return data, [str(one.message) for one in caught]


def of_items(values, features=None, **more):
    log = {"u": [one % 9 for one in range(len(values))], "i": range(len(values))}
    items = {"i": range(len(values)), "c": values}
    return warned(
        lambda: tw.Dataset.from_frames(
            log, user="u", item="i", items=items, item_features=features, **more
        )
    )


STRAY = {
    "an unknown number": (having(MINUTES, 17, "unknown"), "category", "799 of 800 values are numbers, 'unknown' in row 17 is not"),
    "a dash": (having(PRICES, 4, "-"), "category", "799 of 800 values are numbers, '-' in row 4 is not"),
    "several": (having(PRICES, 4, "?", "?", "?"), "category", "797 of 800 values are numbers, '?' in row 4 and 2 more are not"),
    "beside missing ones": (having(PRICES, 3, None, "", "x"), "category", "797 of 798 values are numbers, 'x' in row 5 is not"),
    "an empty string alone": (having(PRICES, 3, ""), "category", "799 of 799 values are numbers, '' in row 3 is not"),
    "a day": (having(DAYS, 7, "soon", "2024-02-30"), "category", "798 of 800 values are days, 'soon' in row 7 and 1 more are not"),
    "a bar": (having(PRICES, 2, "3|4"), "tags", "799 of 800 values are numbers, '3|4' in row 2 is not"),
    "numbers that all differ": (having([f"{one}.5" for one in range(N)], 1, "x"), "text", "799 of 800 values are numbers, 'x' in row 1 is not"),
}  # fmt: skip


@pytest.mark.parametrize("features", [None, ["c"]], ids=["all are read", "named"])
@pytest.mark.parametrize("case", STRAY)
def test_a_stray_cell_in_numbers_or_days_is_told(case, features):
    values, kind, said = STRAY[case]
    data, told = of_items(values, features)
    assert kind_of(data.items.features["c"]) == kind
    assert data.notes[0].startswith("'c' of the items is read as ")
    assert data.notes[0].endswith(f"{kind}: {said}")
    meant = "time" if "days" in said else "number"
    assert len(told) == 1
    assert told[0].startswith(
        f"{data.notes[0]}; declare a category if these are codes, else correct or empty "
    )
    assert told[0].endswith(
        f"declare a {meant}: item_features={{'c': '{meant}'}} (on the command line --item-feature c={meant})"
    )


QUIET = {
    "names that mix": [f"{one}a" if one % 14 == 0 else str(one) for one in range(N)],
    "integers as strings": MINUTES,
    "integers as strings, some empty": having(MINUTES, 3, ""),
    "codes with leading zeros": having([f"{one:05d}" for one in range(N)], 3, "x"),
    "few cells": ["1.5"] * 8 + ["x"],
    "words": ["a", "b"] * 400,
    "tags": ["science fiction|drama", "noir"] * 400,
    "sentences": PROSE,
}


@pytest.mark.parametrize("case", QUIET)
def test_what_may_be_meant_is_not_told(case):
    data, told = of_items(QUIET[case])
    assert told == []
    assert data.notes == ()


def test_a_declared_kind_is_not_told():
    for kind in ("category", "text", "tags"):
        assert of_items(having(MINUTES, 17, "unknown"), {"c": kind})[1] == []


def test_emptying_and_declaring_as_the_warning_says_gives_numbers():
    data, told = of_items(having(MINUTES, 17, ""), {"c": "number"})
    assert told == []
    assert data.items.features["c"].series().null_count() == 1


def test_users_and_circumstances_are_told_of_too():
    odd = having(MINUTES, 17, "unknown")
    log = {"u": range(N), "i": [one % 9 for one in range(N)], "wait": odd}
    log["u"] = [None, *log["u"][1:]]  # its row is left out, and the others keep their numbers
    read = {"users": {"u": range(N), "age": odd}, "context": ["wait"]}
    data, told = warned(lambda: tw.Dataset.from_frames(log, user="u", item="i", **read))
    assert [one for one in data.notes if "read as" in one] == [
        "context column 'wait' is read as a category: 799 of 800 values are numbers, 'unknown' in row 17 is not",
        "'age' of the users is read as a category: 799 of 800 values are numbers, 'unknown' in row 17 is not",
    ]
    assert "context={'wait': 'number'} (on the command line --context wait=number)" in told[0]
    assert "user_features={'age': 'number'} (on the command line --user-feature age=number)" in told[2]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_is_told_of_with_the_row_as_it_stands_there(tmp_path, ending):
    ids = [0, *range(N - 1)]  # the first item stands there twice
    frame = pl.DataFrame({"item": ids, "minutes": having(MINUTES, 17, "unknown")})
    (frame.write_csv if ending == "csv" else frame.write_parquet)(tmp_path / f"items.{ending}")
    log = pl.DataFrame({"user": [one % 9 for one in range(N)], "item": ids})
    log.write_csv(tmp_path / "log.csv")
    read = {"items": tmp_path / f"items.{ending}"}
    data, told = warned(lambda: tw.Dataset.read(tmp_path / "log.csv", **read))
    assert "'unknown' in row 17 is not" in told[0]
    assert any("'unknown' in row 17" in one for one in data.notes)


@pytest.mark.parametrize("kind", ["bag", "tags"])
@pytest.mark.parametrize(
    "prose",
    [PROSE, [f"{one}日目に海まで歩いて帰ってきた人の話" for one in range(N)]],
    ids=["words", "a script without spaces"],
)
def test_sentences_that_are_declared_a_bag_are_told(prose, kind):
    data, told = of_items(prose, {"c": kind})
    read_as = "a bag" if kind == "bag" else "tags"
    said = f"'c' of the items is read as {read_as}: it holds sentences, which are one level each, such as "
    assert data.notes[0].startswith(said)
    assert told[0].startswith(data.notes[0])
    assert told[0].endswith(
        "; declare text to have its words: item_features={'c': 'text'} (on the command line --item-feature c=text)"
    )
    assert of_items(prose, {"c": "text"})[1] == []


def test_sentences_that_a_bar_makes_tags_are_told():
    data, told = of_items(having(PROSE, 5, "here | there"))
    assert data.notes[0].startswith("'c' of the items is read as tags: it holds sentences")
    assert "item_features={'c': 'text'}" in told[0]


@pytest.mark.parametrize(
    "bag",
    [
        [TAGS[one % 3] for one in range(N)],
        [f"author {one % 400}" for one in range(N)],
        [f"one sentence that several hold {one % 200}" for one in range(N)],
        ['{"a sentence of a bag": 1}'] * N,
        [["a sentence of a list"], ["b"]] * 400,
        [None, ""] * 400,
    ],
    ids=["several words", "names", "shared", "JSON", "lists", "nothing"],
)
@pytest.mark.parametrize("kind", ["bag", "tags"])
def test_tags_of_several_words_are_no_sentences(bag, kind):
    data, told = of_items(bag, {"c": kind})
    assert (data.notes, told) == ((), [])


def test_names_of_three_words_that_are_declared_tags_are_no_sentences():
    cast = pl.Series([f"Philip Seymour A{at}|Anna Maria B{at}" for at in range(40)])
    assert sentences(cast, "tags") is not None
    assert sentences(cast, "tags", told=True) is None
    prose = pl.Series([f"once upon a time there was {at}" for at in range(40)])
    assert sentences(prose, "tags", told=True) is not None


@pytest.mark.filterwarnings("ignore::twofold.errors.DataWarning")
@pytest.mark.parametrize("cell", ["٣", "٣.٥", "２"])
def test_digits_of_other_scripts_are_no_numbers(cell):
    log = {"u": [1, 1, 2, 2], "i": list("abcd")}
    items = {"i": list("abcd"), "w": ["1.5", "2.5", cell, "3"]}
    data = tw.Dataset.from_frames(log, user="u", item="i", items=items)
    assert data.frame("items")["w"].to_list() == items["w"]
    with pytest.raises(DataError, match="'w' must hold numbers"):
        tw.Dataset.from_frames(log, user="u", item="i", items=items, item_features={"w": "number"})


PAGES = [f"<p>Soup number {one}</p><br/>with <a href='x'>beans</a>" for one in range(N)]


@pytest.mark.parametrize("kinds", [None, {"c": "text"}])
def test_texts_that_are_html_are_told(kinds):
    data, told = of_items(PAGES, kinds)
    assert (
        told == [note for note in told if "'c' of the items holds HTML, such as <p>" in note] != []
    )
    assert any("holds HTML" in note for note in data.notes)


@pytest.mark.parametrize(
    "cell", ["1 < 2 and 3 > 2", "a <- b", "<3 you", "x<y>z", "see <https://a.b>", "List<String>"]
)
def test_signs_that_are_no_tags_of_html_are_not(cell):
    _, told = of_items([f"{cell} {one}" for one in range(N)], {"c": "text"})
    assert told == []


def test_columns_beside_those_that_are_named_are_noted():
    log, items = (
        {"u": [1, 2], "i": [1, 2]},
        {"i": [1, 2], **{f"c{one}": [3, 4] for one in range(13)}},
    )
    data = tw.Dataset.from_frames(log, user="u", item="i", items=items, item_features=["c0"])
    (note,) = (one for one in data.notes if "not read" in one)
    assert note == (
        "columns of the items that were not read, for others are named: "
        "'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9', 'c10' and 2 more"
    )
    whole = tw.Dataset.from_frames(log, user="u", item="i", items=items)
    assert not any("not read" in one for one in whole.notes)
