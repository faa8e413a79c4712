"""Public logs as their owners publish them: a few lines of each are read without a word of advice."""

import bz2
import gzip
import json
import lzma
import sqlite3
import zipfile
from pathlib import Path

import polars as pl
import pytest

import twofold as tw
from twofold.data.readers import read_frame
from twofold.errors import DataError, DataWarning
from twofold.fingerprints import fingerprint

# name, content, first event as a dictionary (user, item, value, time as far as there are)
LOGS = {
    "MovieLens .dat": (b"1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n", (1, 1193, 5.0, 978300760)),
    "MovieLens csv": (b"userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,4.0,964981247\n", (1, 3, 4.0, 964981247)),
    "ml-100k u.data": (b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n", (186, 302, 3.0, 891717742)),
    "Amazon ratings csv": (b"A3AF8FFZAZYNE5,0000000078,5.0,1092182400\nAH2L9G3DQHHAJ,0000000116,4.0,1019865600\n", ("A3AF8FFZAZYNE5", "0000000078", 5.0, 1092182400)),
    "Goodreads csv": (b"user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,1,4,1\n", (0, 948, 5.0)),
    "Book-Crossing": ('"User-ID";"ISBN";"Book-Rating"\r\n"276725";"034545104X";"0"\r\n"276726";"0155061224é";"5"\r\n'.encode("latin-1"), (276725, "034545104X", 0.0)),
    "Gowalla": (b"0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n", (0, 420315, 1287440263)),
    "Last.fm 360K": (b"00000c28\t3bd73256-3905\tbetty blowtorch\t137\n00000c28\t\tdie \"\xc3\x84rzte\t1099\n00000c28\t8bfac288-ccc5\tmelissa etheridge\t897\n", ("00000c28", "3bd73256-3905", 137.0)),
    "Last.fm 1K": (b"user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35\tDeep Dish\t\tFuck \"Me Im Famous\nuser_000001\t2009-05-04T13:54:10Z\ta7f7df4a-77d8\tOff\taa-1\tComposition\n", ("user_000001", "a7f7df4a-77d8", 1241445250)),
    "RetailRocket": (b"timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n1433224214164,992329,view,248676,\n", (257597, 355908, 1433221332)),
    "Yoochoose clicks": (b"1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n", (1, 214536502, 1396867869)),
    "Yoochoose buys": (b"420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n281626,2014-04-06T09:40:13.032Z,214535653,1883,1\n", (281626, 214535653, 1396777213)),
    "Taobao": (b"1,2268318,2520377,pv,1511544070\n1,2333346,2520771,pv,1511561733\n", (1, 2268318, 1511544070)),
    "H&M": (b"t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-20,000058a1,0663713001,0.05,2\n2018-09-21,000058a1,0541518023,0.03,2\n", ("000058a1", "0663713001", 1537401600)),
    "Online Retail": (b'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n536365,85123A,"WHITE, HEART",6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n536370,22728,"A ""B""",24,12/13/2010 8:45,3.75,12583.0,France\n', (12583, "22728", 24.0, 1292229900)),
    "Netflix": (b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n", (822109, 1, 5.0, 1115942400)),
    "Steam": (b'151603712,"The Elder Scrolls V, Skyrim",play,273.0,0\n151603712,Fallout 4,play,87.0,0\n', (151603712, "The Elder Scrolls V, Skyrim", 273.0)),
    "Jester 2": (b"1\t\t5\t\t0.219\n1\t\t7\t\t-9.281\n", (1, 5, pytest.approx(0.219))),
    "Foursquare TSMC": (b"470\t49bbd6c0f964\t4bf58dd8\tArts & Crafts Store\t40.719810\t-74.002581\t-240\tTue Apr 03 18:00:09 +0000 2012\n979\t4a43c0aef964\t4bf58dd8\tBridge\t40.606800\t-74.044170\t-240\tTue Apr 03 18:00:25 +0000 2012\n", (470, "49bbd6c0f964", 1333476009)),
    "ending in a delimiter": (b"user,item,rating\n1,a,5,\n2,b,4,\n", (1, "a", 5.0)),
    "numbered rows": (b",user,item,rating\n0,7,a,5\n1,8,b,4\n", (7, "a", 5.0)),
    "numbered rows, short header": (b"user item rating\n1 7 a 5\n2 8 b 4\n", (7, "a", 5.0)),
    "byte order mark": (b"\xef\xbb\xbfuser,item\n1,2\n", (1, 2)),
    "UTF-16": ("user\titem\n1\té\n".encode("utf-16"), (1, "é")),
    "UTF-16 without mark": ("user\titem\n1\tabc\n".encode("utf-16-le"), (1, "abc")),
    "old Mac line ends": (b"user,item\r1,2\r3,4\r", (1, 2)),
    "comments": (b"# made by hand\n#\n# more\n5 6 1\n7 8 2\n", (5, 6, 1.0)),
    "a header in a comment": (b"# item\tuser\n5\t6\n7\t8\n", (6, 5)),
    "percent comments": (b"%% matrix\nuser,item\n5,6\n", (5, 6)),
    "line breaks in quotes": (b'user,item,note\n1,2,"two\nlines, ""q"""\n3,4,"a\n\nb"\n', (1, 2)),
    "line breaks in the header": (b'user,item,"my\nnote"\n1,2,x\n3,4,y\n', (1, 2)),
    "spaces around": (b"user, item, rating\n1, 2, 5\n3, 4, 1\n", (1, 2, 5.0)),
    "aligned by spaces": (b"  1   20  3.5\n 10    7  4.0\n", (1, 20, 3.5)),
    "thousands": (b'user,item,plays\n1,2,"1,234"\n3,4,17\n', (1, 2, 1234.0)),
    "decimal commas": (b"user;item;rating\n1;2;3,5\n3;4;1.234,5\n", (1, 2, 3.5)),
    "stray quotes": (b'user,item,size\n1,2,5" pipe\n3,4,6" pipe and "7"\n', (1, 2)),
    "an unclosed row at the end": (b"user,item\n1,2\n3,4", (1, 2)),
    "anonymous sessions": (b"session_id,user_id,item_id\n1,NA,7\n1,NA,8\n2,5,7\n", (1, 7)),
    "longer names": (b"anonymous_user_id,the_item_code,review_score\n1,2,5\n", (1, 2, 5.0)),
    "milliseconds": (b"user,item,ts\n1,2,1588687728923\n", (1, 2, 1588687728)),
    "atomic": (b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n", (1, 2, 3.0, 881250949)),
    "JSON list": (b'[{"user": 1, "item": "a", "rating": 5}, {"user": 2, "item": "b"}]', (1, "a", 5.0)),
    "JSON columns": (b'{"user": [1, 2], "item": ["a", "b"]}', (1, "a")),
    "JSON list in an object": (b'{"events": [{"user": 1, "item": "a"}]}', (1, "a")),
    "JSON, pretty": (json.dumps([{"user": 1, "item": "a"}], indent=2).encode(), (1, "a")),
    "nested JSON": (b'{"user": {"id": 7, "name": "x"}, "item": 3}\n{"user": {"id": 8}, "item": 4}\n', (7, 3)),
    "JSON of other types further down": (b'{"user": 7, "item": 3}\n{"user": "u", "item": 4, "more": [1]}\n', ("7", 3)),
    "JSON with large numbers": (b'{"user": 9007199254740993, "item": 18446744073709551610}\n', (9007199254740993, "18446744073709551610")),
    "Python literals": (b"{u'username': u'a', u'hours': 22.5, u'product_id': u'5'}\n{u'username': u'b', u'hours': 1.5, u'product_id': u'6'}\n", ("a", "5", 22.5)),
    "Yelp": (b'{"review_id":"r","user_id":"u","business_id":"b","stars":4.0,"useful":0,"text":"a\\n\\"b\\"","date":"2018-07-07 22:09:11"}\n', ("u", "b", 4.0, 1531001351)),
    "Amazon 2014": (b'{"reviewerID": "A2", "asin": "0528881469", "helpful": [0, 0], "overall": 5.0, "unixReviewTime": 1370131200, "reviewTime": "06 2, 2013"}\n', ("A2", "0528881469", 5.0, 1370131200)),
    "Goodreads JSON": (b'{"user_id": "8842", "book_id": "24", "rating": 5, "date_added": "Fri Aug 25 13:55:02 -0700 2017"}\n', ("8842", "24", 5.0, 1503694502)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.filterwarnings("ignore::twofold.errors.DataWarning")
def test_a_public_log_is_read_without_advice(tmp_path, name):
    content, expected = LOGS[name]
    path = tmp_path / "log"
    path.write_bytes(content)
    data = tw.Dataset.read(path)
    assert data.frame().row(0) == expected


@pytest.mark.parametrize(
    "name",
    ["MovieLens csv", "Book-Crossing", "UTF-16", "Last.fm 360K", "Yelp"],
)
@pytest.mark.filterwarnings("ignore::twofold.errors.DataWarning")
def test_what_a_file_is_packed_in_does_not_matter(tmp_path, name):
    content = LOGS[name][0]
    plain = tmp_path / "plain"
    plain.write_bytes(content)
    expected = tw.Dataset.read(plain).frame()
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        path = tmp_path / pack.__module__
        path.write_bytes(pack(content))
        assert tw.Dataset.read(path).frame().equals(expected)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as file:
        file.writestr("__MACOSX/._log", b"x")
        file.writestr(".DS_Store", b"x")
        file.writestr("in/log.csv", content)
    assert tw.Dataset.read(tmp_path / "one.zip").frame().equals(expected)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.writestr("log.csv", content)
        file.writestr("in/README", b"hello")
    assert tw.Dataset.read(tmp_path / "two.zip/log.csv").frame().equals(expected)
    with pytest.raises(DataError, match=r"holds 2 files .*name one of them as .*two.zip/log.csv"):
        tw.Dataset.read(tmp_path / "two.zip")
    with pytest.raises(DataError, match=r"did you mean 'log\.csv'"):
        tw.Dataset.read(tmp_path / "two.zip/logs.csv")


# What is said about files that are not read: content, name, sentence.
REFUSED = [
    (b"SQLite format 3\0" + b"\0" * 99, "log.db", "sqlite:///"),
    (b"\x28\xb5\x2f\xfd...", "log.csv.zst", "zstd"),
    (b"\x80\x04K\x01.", "log.pkl", "pickle"),
    (b"\x93NUMPY....", "log.npy", "NumPy"),
    (b"user,item\n1,2\n", "log.csv.gz", "rename it without .gz"),
    (b"user,item\n1,2\n", "log.parquet", "not a whole parquet file"),
    (b"PAR1....", "log", "not a whole parquet file"),
    (b"item\n1\n2\n", "log.csv", "which column of .* holds the user"),
    (b"\n\n  \n", "log.csv", "empty"),
    (b"user,item,rating", "log.csv", "no rows"),
    (b"[]", "log.json", "no records"),
    (b"[1, 2]", "log.json", "mappings"),
    (b"nothing", "log.json", "neither JSON lines nor"),
    (b'{"user": 1, "item": 2}\n{"user": 1, "it', "log.jsonl", "line 2"),
    (b"{'user': 1, 'item': 2}\n{'user': open('x')}\n", "log.jsonl", "line 2"),
    (b"user,item\n1,2\n1,2,3,4\n", "log.csv", "4 cells in line 3"),
    (
        b'user,item,time\nu1,"cafe 2, east",10\nu2,"cafe 3, east",11,7\n'
        + 20 * b'u3,"cafe 4, east",12\n',
        "log.csv",
        "4 cells in line 3",
    ),
    (
        b"user,item,time\n1,5,11,7\n1,6,12,7\n2,5,13,7\n",
        "log.csv",
        "3 names in its header and 4 cells in its rows",
    ),
    (b"user,item,note,x\n1,2,a,b\n1,Milk, 1.5 %,a,b\n", "log.csv", "5 cells in line 3"),
    (b"to be or not\nto be\nthe rest is silence here\nto be or\n", "words.txt", "from_sequences"),
    (b'user,item\n1,"' + b"x" * 200_000, "log.csv", "quote that is never closed"),
    (b"\xff\xfea", "log.csv", "damaged"),
    (b"ab\0\1\2\0\0\3\4" * 50, "log.csv", "not text"),
    (b",".join(b"%d" % n for n in range(101)) + b"\n", "jester.csv", "rows of user, item, value"),
    (b"user,item,date\n1,2,05/09/2018\n", "log.csv", "days from months"),
    (b"user,item,rating\n1,2,inf\n", "log.csv", "finite"),
    (b"user,item,rating\n1,2,\n", "log.csv", "no row to read"),
]


@pytest.mark.parametrize(("content", "name", "sentence"), REFUSED)
def test_what_is_not_read_is_said_in_one_sentence(tmp_path, content, name, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        tw.Dataset.read(path)
    assert "\n" not in str(caught.value)


def test_archives_that_are_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "x")
    with pytest.raises(DataError, match="Excel workbook; save it as CSV"):
        tw.Dataset.read(tmp_path / "book.xlsx")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(DataError, match="holds 0 files"):
        tw.Dataset.read(tmp_path / "empty.zip")
    tar = bytearray(600)
    tar[257:262] = b"ustar"
    (tmp_path / "log.tar.gz").write_bytes(gzip.compress(bytes(tar)))
    with pytest.raises(DataError, match="tar archive"):
        tw.Dataset.read(tmp_path / "log.tar.gz")
    locked = tmp_path / "locked.zip"
    with zipfile.ZipFile(locked, "w") as file:
        file.writestr("log.csv", "user,item\n1,2\n")
    raw = bytearray(locked.read_bytes())
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(raw)
    with pytest.raises(DataError, match="password"):
        tw.Dataset.read(locked)
    whole = gzip.compress(b"user,item\n" + bytes(str(list(range(9999))), "ascii"))
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off"):
        tw.Dataset.read(tmp_path / "cut.csv.gz")
    with pytest.raises(DataError, match="no folder"):
        tw.Dataset.read(tmp_path / "nowhere/log.csv")


def test_an_arrow_file_is_read(tmp_path):
    pl.DataFrame({"user": [1], "item": ["a"], "text": ["x"]}).write_ipc(tmp_path / "log.feather")
    assert tw.Dataset.read(tmp_path / "log.feather").frame().row(0) == (1, "a")


def test_only_columns_that_are_needed_are_read(tmp_path):
    frame = pl.DataFrame({"user": [1], "item": [2], "what": [{"a": 1}], "mood": ["x"]})
    frame.write_parquet(tmp_path / "log.parquet")
    data = tw.Dataset.read(tmp_path / "log.parquet", context=["mood"])
    assert list(data.interactions.context) == ["mood"]
    with pytest.raises(DataError, match=r"no column 'mod'; .*did you mean 'mood'"):
        tw.Dataset.read(tmp_path / "log.parquet", context=["mod"])


# An id is kept as it is written: text -> the ids that come out.
IDS = [
    ("007 7", ["007", "7"]),
    ("1.0 2.0", [1, 2]),
    ("1.0 2.5", ["1.0", "2.5"]),
    ("1.0 02.0", ["02.0", "1.0"]),
    ("9007199254740993 1", [1, 9007199254740993]),
    ("9223372036854775807 1", [1, 9223372036854775807]),
    ("9223372036854775808 1", ["1", "9223372036854775808"]),
    ("-5 3", [-5, 3]),
    ("-0 3", ["-0", "3"]),
    ("+5 3", ["+5", "3"]),
    ("1e3 3", ["1e3", "3"]),
    ("1_000 3", ["1_000", "3"]),
    ("inf 3", ["3", "inf"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ids"), IDS)
def test_ids_are_kept_as_they_are_written(tmp_path, text, ids):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{one},1\n" for one in text.split()))
    assert tw.Dataset.read(path).users.ids.ids.to_list() == ids


@pytest.mark.parametrize("nothing", ["", "NA", "N/A", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "NaT", "None", "\\N"])  # fmt: skip
def test_what_means_nothing_is_no_id(tmp_path, nothing):
    path = tmp_path / "log.csv"
    path.write_text(f"user,item\n{nothing},1\n2,3\n")
    with pytest.warns(DataWarning, match="1 of 2 rows"):
        data = tw.Dataset.read(path)
    assert data.users.ids.ids.to_list() == [2]


def test_what_accompanies_a_log_is_found_by_its_id(tmp_path):
    (tmp_path / "log.csv").write_text("userId,movieId\n1,10\n2,20\n")
    (tmp_path / "films.csv").write_text(
        ',movie_id,title,price,zip\n0,20,"B, b",1.50,01234\n1,10,A,2.00,00001\n'
    )
    data = tw.Dataset.read(
        tmp_path / "log.csv",
        items=tmp_path / "films.csv",
        users={"userId": [1, 2], "age": [30, 40]},
    )
    kinds = {name: type(one).__name__ for name, one in data.items.features.items()}
    assert kinds["price"] == "Number"
    assert data.frame("items").select("item", "title", "zip").rows() == [
        (10, "A", "00001"),
        (20, "B, b", "01234"),
    ]
    assert data.frame("users").rows() == [(1, 30.0), (2, 40.0)]


def songs_of(there, *, users=False):
    """Return the paths of the songs of a table, and the fingerprint of the data."""
    more = {"users": there / "people.csv", "user_features": {"file": "sound"}} if users else {}
    data = tw.Dataset.read(
        there / "plays.csv", items=there / "songs.csv", item_features={"file": "sound"}, **more
    )
    side = data.users if users else data.items
    return side.features["file"].series().to_list()[:5], fingerprint(data)


def test_sounds_are_told_from_the_folder_of_their_table(tmp_path, monkeypatch):
    """A stranger's file of the same name was read where a command ran, and paths were kept as they were typed."""
    there, here = tmp_path / "there", tmp_path / "here"
    for folder, name in ((there, "a.wav"), (here, "a.wav"), (here, "b.wav"), (here, "c.wav")):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    rows = ["1,a.wav", "2,b.wav", f"3,{here}/c.wav", "4,", "5,file:///x.wav"]
    (there / "songs.csv").write_text("\n".join(["song,file", *rows]))
    (there / "people.csv").write_text("\n".join(["user,file", *rows]))
    (there / "plays.csv").write_text("user,song\n1,1\n1,2\n2,3\n2,4\n3,5\n4,1\n5,1\n")
    wanted = [f"{there}/a.wav", f"{there}/b.wav", f"{here}/c.wav", None, "file:///x.wav"]
    found = set()
    for stand, named in ((here, there), (there, Path()), (here, Path("../there")), (tmp_path, Path("there"))):  # fmt: skip
        monkeypatch.chdir(stand)
        for users in (False, True):
            paths, print_of_data = songs_of(named, users=users)
            assert paths == wanted
            found.add((users, print_of_data))
    assert len(found) == 2


def test_sounds_that_lie_where_the_command_runs_are_said(tmp_path, monkeypatch):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    (here / "b.wav").touch()
    (there / "songs.csv").write_text("song,file\n1,a.wav\n2,b.wav\n")
    (there / "plays.csv").write_text("user,song\n1,1\n1,2\n")
    monkeypatch.chdir(here)
    with pytest.warns(DataWarning, match=r"column 'file' of .*songs.csv lies in .*there, .* 'b.wav' lies in .*here, where"):  # fmt: skip
        paths, _ = songs_of(there)
    assert paths == [f"{here}/a.wav", f"{here}/b.wav"]
    (here / "b.wav").unlink()
    assert songs_of(there)[0] == [f"{there}/a.wav", f"{there}/b.wav"], "nothing is there: as told"


def test_files_without_headers_accompany_each_other(tmp_path):
    (tmp_path / "u.data").write_text("1\t10\t3\t881250949\n2\t20\t4\t881250950\n")
    (tmp_path / "u.item").write_bytes("10|Caf\xe9 (1995)|x\n20|B (1996)|y\n".encode("latin-1"))
    data = tw.Dataset.read(
        tmp_path / "u.data", items=tmp_path / "u.item", item_features={"column_2": "text"}
    )
    assert data.frame("items").rows() == [(10, "Café (1995)"), (20, "B (1996)")]


def test_ids_of_a_log_and_its_companion_become_strings_where_either_has_strings(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\n1,10\n2,20\n")
    (tmp_path / "items.csv").write_text("item,name\n10,a\nx9,b\n")
    data = tw.Dataset.read(tmp_path / "log.csv", items=tmp_path / "items.csv")
    assert data.items.ids.ids.to_list() == ["10", "20", "x9"]
    assert any("strings" in one for one in data.notes)
    (tmp_path / "log.csv").write_text("user,item\n1,10\n2,x9\n")
    (tmp_path / "items.csv").write_text("item,name\n10,a\n")
    assert tw.Dataset.read(tmp_path / "log.csv", items=tmp_path / "items.csv").n_items == 2


def test_a_guess_that_looks_wrong_is_said(tmp_path):
    (tmp_path / "log.csv").write_text("".join(f"{n},u{n % 5},i{n % 7}\n" for n in range(60)))
    with pytest.warns(
        DataWarning, match="'column_1' was taken for the user and is different in every row"
    ):
        tw.Dataset.read(tmp_path / "log.csv")
    tw.Dataset.read(tmp_path / "log.csv", user="column_2", item="column_3")


def test_what_was_guessed_and_assumed_is_in_the_notes(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user;item;plays;date\n1;2;1;31/12/2020\n3;4;2,5;01/12/2020\n"
    )
    notes = " ".join(tw.Dataset.read(tmp_path / "log.csv").notes)
    assert "user = user, item = item, value = plays, time = date" in notes
    assert "commas in place of points, as in 2,5" in notes
    assert "day first" in notes


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "sqlite"])
def test_a_column_of_times_that_is_not_read_is_named(tmp_path, kind):
    log = pl.DataFrame({"person": ["a", "b"], "item": ["x", "y"], "wann": ["2020-12-31T10:00:00", "2021-01-01T10:00:00"]})  # fmt: skip
    path, query = tmp_path / f"log.{kind}", None
    match kind:
        case "csv":
            log.write_csv(path)
        case "parquet":
            log.write_parquet(path)
        case "jsonl":
            log.write_ndjson(path)
        case _:
            with sqlite3.connect(path) as database:
                database.execute("create table log (person, item, wann)")
                database.executemany("insert into log values (?, ?, ?)", log.rows())
            path, query = f"sqlite:///{path}", "select * from log"
    data = tw.Dataset.read(path, query=query)
    assert data.interactions.time is None
    assert "its column wann looks like them" in " ".join(data.notes)
    for said in ("wann", ""):
        assert "wann" not in " ".join(tw.Dataset.read(path, query=query, time=said).notes)


def test_a_frame_keeps_the_text_of_what_is_no_integer(tmp_path):
    (tmp_path / "f.csv").write_text("id,version,code,empty\n1,1.10,007,\n2,1.1,7,\n")
    frame = read_frame(tmp_path / "f.csv")
    assert frame.rows() == [(1, "1.10", "007", None), (2, "1.1", "7", None)]


def test_a_name_that_occurs_twice_is_numbered(tmp_path):
    (tmp_path / "f.csv").write_text("user,item,item\n1,2,3\n")
    assert read_frame(tmp_path / "f.csv").columns == ["user", "item", "item_2"]


def test_nested_records_of_items_are_read_like_those_of_the_log(tmp_path):
    log, items = tmp_path / "log.jsonl", tmp_path / "items.jsonl"
    log.write_text("\n".join(f'{{"user": {{"id": {u}}}, "artist": {{"id": "a{i}"}}}}' for u in range(3) for i in range(2)))  # fmt: skip
    items.write_text("\n".join(f'{{"artist": {{"id": "a{i}", "name": "n {i}"}}, "tags": ["x"]}}' for i in range(2)))  # fmt: skip
    data = tw.Dataset.read(log, user="user.id", item="artist.id", items=items)
    assert data.items.ids.ids.to_list() == ["a0", "a1"]
    assert list(data.items.features) == ["artist.name", "tags"]


def test_a_circumstance_is_no_user(tmp_path):
    """With device named as context, it became the user's column as well."""
    path = tmp_path / "views.csv"
    path.write_text(
        "who_watched,video,watch_seconds,ts,device\n7,a,31,1700000000,tv\n8,b,4,1700000100,phone\n"
    )
    with pytest.raises(DataError, match=r"cannot tell which column .* holds the user"):
        tw.Dataset.read(path, context={"device": "category"})
    path.write_text(path.read_text().replace("who_watched", "viewer"))
    data = tw.Dataset.read(path, context={"device": "category"})
    assert data.users.ids.ids.to_list() == [7, 8]
    assert data.interactions.value.tolist() == [31, 4]
