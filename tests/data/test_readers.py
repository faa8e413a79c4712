"""What an owner's file looks like does not matter; what is wrong with it is said in one sentence."""

import csv
import gzip
import io
import re
import sqlite3
import zipfile

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data.names import INTEGER, MISSING
from twofold.data.passwords import without_passwords
from twofold.data.readers import read_text
from twofold.data.sniff import sniff
from twofold.errors import DataError, DataWarning, IncompatibleFileError

ROWS = [(1, "a", 5.0, 100), (1, "b", 3.0, 200), (2, "a", 4.0, 150)]


def written(path, delimiter=",", header="userId,movieId,rating,timestamp"):
    lines = [header.replace(",", delimiter)] if header else []
    lines += [delimiter.join(str(cell) for cell in row) for row in ROWS]
    path.write_text("\n".join(lines) + "\n")
    return path


def events(data):
    return data.frame("interactions").rows()


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "::"])
@pytest.mark.parametrize("header", ["userId,movieId,rating,timestamp", ""])
def test_delimiter_and_header_are_found(tmp_path, delimiter, header):
    data = tw.Dataset.read(written(tmp_path / "log.csv", delimiter, header))
    assert data.users.ids.ids.to_list() == [1, 2]
    assert data.items.ids.ids.to_list() == ["a", "b"]
    assert data.interactions.value.tolist() == [5, 3, 4]
    assert data.interactions.time.tolist() == [100, 200, 150]


def test_every_format_gives_the_same_log(tmp_path):
    plain = written(tmp_path / "log.csv")
    frame = pl.read_csv(plain)
    frame.write_parquet(tmp_path / "log.parquet")
    frame.write_ndjson(tmp_path / "log.jsonl")
    with gzip.open(tmp_path / "log.csv.gz", "wb") as file:
        file.write(plain.read_bytes())
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as file:
        file.write(plain, "log.csv")
    with sqlite3.connect(tmp_path / "log.db") as base:
        base.execute("create table log (userId, movieId, rating, timestamp)")
        base.executemany("insert into log values (?, ?, ?, ?)", ROWS)
    base.close()
    expected = events(tw.Dataset.read(plain))
    for name in ("log.parquet", "log.jsonl", "log.csv.gz", "log.zip"):
        assert events(tw.Dataset.read(tmp_path / name)) == expected, name
    url = f"sqlite:///{tmp_path / 'log.db'}"
    assert events(tw.Dataset.read(url, query="select * from log")) == expected
    assert events(tw.Dataset.read(plain, user="userId", item="movieId", value="")) != expected


def test_ids_keep_leading_zeros_and_carriage_returns_are_no_part_of_them(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item\r\n007,1\r\n7,2\r\n")
    data = tw.Dataset.read(path)
    assert data.users.ids.ids.to_list() == ["007", "7"]
    assert data.items.ids.ids.to_list() == [1, 2]


def test_an_id_that_is_a_word_far_down_makes_all_ids_words(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{n % 999},{n}\n" for n in range(5000)) + "x9,1\n")
    assert "x9" in tw.Dataset.read(path).users.ids.ids.to_list()


def test_latin_1_is_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("user,item\n1,café\n2,thé\n".encode("latin-1"))
    assert tw.Dataset.read(path).items.ids.ids.to_list() == ["café", "thé"]


def test_the_letters_of_windows_are_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("Kunde;Ware\n1;Müsli – 4 €\n2;„Tee“\n".encode("cp1252"))
    data = tw.Dataset.read(path, user="Kunde", item="Ware")
    assert data.items.ids.ids.to_list() == ["Müsli – 4 €", "„Tee“"]
    path.write_bytes(b"user;item\n1;\x81\x80\n2;b\n")
    assert tw.Dataset.read(path).items.ids.ids.to_list() == ["b", "\x81€"]


def test_a_first_row_that_holds_what_is_asked_for_is_the_header(tmp_path):
    log, things = tmp_path / "log.csv", tmp_path / "things.csv"
    log.write_text("Kunde;Ware\nanna;Tee\nbert;Kaffee\n")
    things.write_text("Bezeichnung;Art\nTee;heiß\nKaffee;heiß\n")
    with pytest.warns(DataWarning, match="read from its first column, 'Bezeichnung'; call the"):
        data = tw.Dataset.read(
            log, user="Kunde", item="Ware", items=things, item_features={"Art": "category"}
        )
    assert data.frame().select("user", "item").rows() == [("anna", "Tee"), ("bert", "Kaffee")]
    assert data.frame("items").rows() == [("Kaffee", "heiß"), ("Tee", "heiß")]


def test_a_first_row_above_numbers_with_commas_is_the_header(tmp_path):
    (tmp_path / "log.csv").write_text("Kunde;Ware;Menge\nanna;Tee;1,5\nbert;Kaffee;2\n")
    with pytest.raises(DataError, match=r"which column .* holds the user: Kunde, Ware, Menge; say"):
        tw.Dataset.read(tmp_path / "log.csv")


def test_missing_cells_are_counted_not_taken_for_ids(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,rating\n1,a,5\nNA,b,3\n2,,4\n2,a,NaN\n")
    with pytest.warns(DataWarning, match="3 of 4 rows"):
        data = tw.Dataset.read(path)
    assert len(data) == 1


def test_a_saved_dataset_is_the_same_and_a_changed_one_is_refused(tmp_path):
    data = tw.Dataset.read(written(tmp_path / "log.csv"))
    folder = data.save(tmp_path / "saved")
    assert events(tw.Dataset.load(folder)) == events(data)
    victim = next(folder.glob("*.npy"))
    raw = bytearray(victim.read_bytes())
    raw[-1] ^= 1
    victim.write_bytes(raw)
    with pytest.raises(IncompatibleFileError):
        tw.Dataset.load(folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("log.csv", b"", "empty"),
        ("log.csv", b"user,item\n", "no rows"),
        ("log.csv", b"user,item,rating\n1,a,five\n", "'five'"),
        ("log.csv", b"user,item\n1,a\n2,b,c,d\n", "log.csv"),
        ("log.csv", b"\0\1\2\3", "not text"),
        ("log.parquet", b"PAR1 cut off", "log.parquet"),
        ("log.csv.gz", b"\x1f\x8b\x08\0", "damaged"),
        ("log.zip", b"PK no", "damaged"),
        ("log.csv", b"alpha,beta\nx,1\n", "which column"),
        ("log.csv", b"user,item,time\n1,a,2020-01-01\n2,b,12/31/99 noon\n", "time"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        tw.Dataset.read(path)
    assert "\n" not in str(caught.value)


def test_names_that_are_nearly_right_are_named(tmp_path):
    path = written(tmp_path / "log.csv")
    with pytest.raises(DataError, match="did you mean 'userId'"):
        tw.Dataset.read(path, user="userid")
    with pytest.raises(DataError, match=r"did you mean 'log\.csv'"):
        tw.Dataset.read(tmp_path / "logs.csv")
    with pytest.raises(DataError, match="folder"):
        tw.Dataset.read(tmp_path)
    with pytest.raises(DataError, match="needs a query"):
        tw.Dataset.read("postgresql://me:secret@nowhere/db")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/shop", "postgresql://me:***@host/shop"),
        ("postgresql://me:se@cret@host:5432/shop", "postgresql://me:***@host:5432/shop"),
        ("postgresql://:secret@host/shop", "postgresql://:***@host/shop"),
        ("postgresql://me:se/cr?et@host/shop", "postgresql://me:***@host/shop"),
        ("postgresql://host/shop?user=me&password=secret", "postgresql://host/shop?user=me&password=***"),
        ("mssql://host/shop?PWD=secret&driver=x", "mssql://host/shop?PWD=***&driver=x"),
        ("postgresql://host:5432/shop", "postgresql://host:5432/shop"),
        ("sqlite:///folder/log.db", "sqlite:///folder/log.db"),
        ("two //a:b@c and //d:e@f", "two //a:***@c and //d:***@f"),
    ],
)  # fmt: skip
def test_passwords_of_urls_are_hidden(url, shown):
    assert without_passwords(url) == shown


def test_a_password_is_never_repeated(tmp_path):
    with pytest.raises(DataError) as caught:
        tw.Dataset.read("postgresql://me:secret@nowhere/db")
    assert "secret" not in str(caught.value)


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")),
    min_size=1,
    max_size=6,
).filter(lambda one: one not in MISSING)
ORDERS = st.permutations(["user", "item", "rating", "time", "note"])


@settings(max_examples=80)
@given(
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    order=ORDERS,
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "user": CELLS,
                "item": st.integers(-(10**18), 10**18),
                "rating": st.integers(0, 50).map(lambda n: n / 10),
                "time": st.integers(10**9, 17 * 10**8),
                "note": st.one_of(CELLS, st.just("two\nlines"), st.just('a "quoted", word;x|y\tz')),
            }
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_what_is_written_in_any_delimiter_quoting_and_order_is_read(
    tmp_path_factory, delimiter, quoting, end, order, rows
):
    # A stray quote at the beginning of a bare cell, a comment sign in front: quote them as a writer would.
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if delimiter in "\t|" else quoting
    writer = csv.DictWriter(text, order, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_bytes(text.getvalue().encode())
    expected = tw.Dataset.from_frames(
        {name: [row[name] for row in rows] for name in ("user", "item", "rating", "time", "note")},
        user="user", item="item", value="rating", time="time", context={"note": "text"},
    )  # fmt: skip
    made = tw.Dataset.read(path, context={"note": "text"})
    integers = all(re.fullmatch(INTEGER, row["user"]) for row in rows)
    users = made.frame().with_columns(pl.col("user").cast(pl.String)) if integers else made.frame()
    assert sorted(users.rows()) == sorted(expected.frame().rows())


@settings(max_examples=40)
@given(
    st.sampled_from([",", "\t", ";", "|", "::", " "]),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=30),
)
def test_what_is_written_is_read(delimiter, rows):
    text = f"user{delimiter}item\n" + "".join(f"{u}{delimiter}{i}\n" for u, i in rows)
    assert sniff(text.encode()).delimiter == delimiter
    assert read_text(text.encode(), "text").rows() == rows
