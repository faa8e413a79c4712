"""The compiled reader against the plain one: the same columns, or it gives up."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data import fast_log
from twofold.data.fast_log import read_fast
from twofold.data.files import source_of
from twofold.data.sniff import sniff
from twofold.data.text import layout_of, read_layout
from twofold.kernels.gather import fetch, gather, is_ascending

FOUND = {"user": "user", "item": "item", "value": "rating", "time": "time"}
HEADER = ("user", "item", "rating", "time", "note")


def text_of(rows, delimiter=",", end="\n"):
    lines = [delimiter.join(HEADER), *(delimiter.join(map(str, row)) for row in rows)]
    return (end.join(lines) + end).encode()


def plainly(content, found=FOUND):
    layout = sniff(content)
    wanted = [name for name in found.values() if name]
    frame = read_layout(content, layout, "text", wanted, [found["user"], found["item"]])
    if found["value"]:
        value = frame[found["value"]].cast(pl.Float64).cast(pl.Float32)
        frame = frame.with_columns(value.alias(found["value"]))
    return frame


def quickly(content, found=FOUND, **sizes):
    return read_fast(content, sniff(content), found, small=0, **sizes)


def equal(one, other):
    assert one is not None
    for name in other.columns:
        assert one[name].to_list() == other[name].to_list(), name


DECIMALS = st.one_of(
    st.integers(-999, 999).map(str),
    st.tuples(st.integers(-999, 999), st.integers(0, 10**9)).map(lambda two: f"{two[0]}.{two[1]}"),
)


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(10**17), 10**17), st.integers(0, 99), DECIMALS,
            st.integers(0, 2 * 10**9), st.sampled_from(["", "x y", "é", "7"]),
        ),
        min_size=1,
        max_size=40,
    ),
    delimiter=st.sampled_from([",", "\t", ";", "|", "::"]),
    end=st.sampled_from(["\n", "\r\n"]),
    piece=st.sampled_from([200, 333, 1 << 20]),
)  # fmt: skip
def test_plain_numbers_are_read_alike(rows, delimiter, end, piece):
    content = text_of(rows, delimiter, end)
    equal(quickly(content, piece=piece), plainly(content))
    equal(quickly(content[: -len(end)], piece=piece), plainly(content))


GOOD = "".join(f"{n % 9},{n % 5},{n % 7}.5,{n},x\n" for n in range(3000))


@pytest.mark.parametrize(
    "row",
    ["007,1,2,3,x", "+7,1,2,3,x", "-0,1,2,3,x", "7.0,1,2,3,x", ",1,2,3,x", "NA,1,2,3,x", "7,a,2,3,x", "7, 1,2,3,x",
     "7,1,,3,x", "7,1,1e3,3,x", "7,1,nan,3,x", "7,1,2,3.5,x", "7,1,2,2020-01-01,x", '7,1,2,3,"x"', "7,1,2,3", "7,1,2,3,x,y",
     "12345678901234567890,1,2,3,x", "7,1,1.12345678901234567,3,x", "", "7,1,.,3,x"],
)  # fmt: skip
def test_whatever_is_not_plain_is_left_to_the_plain_reader(row):
    content = (",".join(HEADER) + "\n" + GOOD + row + "\n" + GOOD).encode()
    assert quickly(content) is None


def test_logs_that_are_not_for_it():
    content = text_of([(1, 2, 3, 4, "x")])
    assert read_fast(content, sniff(content), FOUND) is None  # small
    assert quickly(b"# c\n" + content) is None
    assert quickly(content, FOUND | {"time": "note"}) is None
    assert quickly(content, FOUND | {"value": "user"}) is None
    long = text_of([(1, 2, 3, 4, "x" * 500)] * 3)
    assert quickly(long, piece=100) is None


def test_columns_that_are_not_asked_for_may_hold_anything_but_quotes():
    content = text_of([(1, 2, "a", "b", "c")] * 3)
    found = {"user": "user", "item": "item", "value": None, "time": None}
    assert quickly(content, found).rows() == [(1, 2)] * 3
    assert quickly(text_of([(1, 2, "a", 'b"', "c")] * 3), found) is None


def test_large_ids_stay_whole():
    content = text_of([(2**31, -(2**31) - 1, 1, 1, "")] * 2)
    assert quickly(content).select("user", "item").rows() == [(2**31, -(2**31) - 1)] * 2


def test_a_dataset_is_the_same_either_way(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    path.write_text(",".join(HEADER) + "\n" + GOOD)
    expected = tw.Dataset.read(path)
    monkeypatch.setattr("twofold.data.readers.read_fast", lambda *given: read_fast(*given, small=0))
    made = tw.Dataset.read(path)
    assert made.frame().equals(expected.frame())
    assert made.frame().schema == expected.frame().schema
    layout, content = layout_of(source_of(path))
    assert content == path
    assert read_fast(content, layout, FOUND, small=0)["user"].dtype == pl.Int32
    assert made.users.ids.ids.dtype == pl.Int64
    items = {"item": list(range(6)), "name": list("abcdef")}
    assert tw.Dataset.read(path, items=items, users={"user": [1], "x": [2.5]}).n_items == 6
    assert tw.Dataset.read(path, items=items).frame().equals(expected.frame())


def test_no_row_at_all_is_nothing_to_read():
    assert fast_log.narrow(np.zeros(0, np.int64)).dtype == np.int32


@given(st.lists(st.integers(-5, 5), max_size=30), st.integers(0, 99))
def test_gathering_is_indexing(values, seed):
    for kind in (np.int32, np.int64, np.float32):
        raw = np.array(values, kind)
        order = np.random.default_rng(seed).permutation(len(raw)).astype(np.int64)
        out = np.empty_like(raw)
        fetch(raw, order, out)
        np.testing.assert_array_equal(out, raw[order])
        np.testing.assert_array_equal(gather(raw, order), raw[order])
        assert is_ascending(order) == (order == np.arange(len(order))).all()


def test_long_arrays_are_gathered_in_parallel(monkeypatch):
    monkeypatch.setattr("twofold.kernels.gather.LONG", 2)
    np.testing.assert_array_equal(
        gather(np.arange(4, dtype=np.float32), np.array([3, 1, 0, 2])), [3, 1, 0, 2]
    )
