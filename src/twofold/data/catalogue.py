"""Where the known data sets come from: their files, licences and checksums, and how files are obtained.

A file is looked for in the folder that TWOFOLD_DATA names, then in the cache, and is then fetched,
verified and put into the cache by renaming.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from twofold.errors import DataError
from twofold.progress import track

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
MOVIELENS_TERMS = "research use; no redistribution without permission (GroupLens)"
NO_TERMS = "no licence stated; not to be redistributed"
CHUNK = 1 << 20
TIMEOUT = 30
"""Seconds without an answer after which a fetch is given up."""


@dataclass(frozen=True)
class Archive:
    """A zip file on the web, or a wheel of the package index, that holds the files of a set."""

    address: str
    """A URL, or ``name==version`` of a wheel, which is taken apart and never installed."""
    inside: str
    """The folder in it that holds the files."""
    md5: str = ""
    """Published checksum of the whole archive, where there is one."""


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue."""

    name: str
    title: str
    licence: str
    source: str
    """Where it comes from."""
    size: str
    files: tuple[str, ...]
    """What a folder of it holds, in its owners' formats; alternatives are tried by the loader."""
    archives: tuple[Archive, ...] = ()
    """Where it can be fetched, in this order; none = bring it yourself."""

    @property
    def sha256(self) -> Mapping[str, str]:
        """Checksums of the files that the catalogue was written with, by name; empty where unknown."""
        return _checksums().get(self.name, {})


@cache
def _checksums() -> dict[str, dict[str, str]]:
    """Return set -> file -> SHA-256."""
    return json.loads(resources.files("twofold.data").joinpath("checksums.json").read_text())


ML_100K_FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")


def movielens(name: str, title: str, size: str, files: tuple[str, ...], md5: str = "") -> Entry:
    """Return the entry of a MovieLens set in GroupLens' own format."""
    archive = Archive(f"{GROUPLENS}/{name}.zip", name, md5)
    return Entry(
        name,
        title,
        MOVIELENS_TERMS,
        "https://grouplens.org/datasets/movielens/",
        size,
        files,
        (archive,),
    )


def local(name: str, title: str, licence: str, source: str, size: str, *files: str) -> Entry:
    """Return the entry of a set that has to lie in TWOFOLD_DATA."""
    return Entry(name, title, licence, source, size, files)


ENTRIES: dict[str, Entry] = {
    one.name: one
    for one in (
        Entry(
            "ml-100k",
            "MovieLens 100K",
            MOVIELENS_TERMS,
            "https://grouplens.org/datasets/movielens/",
            "100,000 ratings, 943 users, 1,682 films",
            ML_100K_FILES,
            (
                Archive("recbole==1.0.1", "recbole/dataset_example/ml-100k"),
                Archive(f"{GROUPLENS}/ml-100k.zip", "ml-100k", "0e33842e24a9c977be4e0107933c0723"),
            ),
        ),
        movielens("ml-1m", "MovieLens 1M", "1,000,209 ratings, 6,040 users", ("ratings.dat", "movies.dat", "users.dat"), "c4d9eecfca2ab87c1945afe126590906"),
        movielens("ml-latest-small", "MovieLens latest, small", "about 100,000 ratings", ("ratings.csv", "movies.csv")),
        movielens("ml-20m", "MovieLens 20M", "20,000,263 ratings, 138,493 users", ("ratings.csv", "movies.csv"), "cd245b17a1ae2cc31bb14903e1204af3"),
        movielens("ml-25m", "MovieLens 25M", "25,000,095 ratings, 162,541 users", ("ratings.csv", "movies.csv"), "6b51fb2759a8657d3bfcbfc42b592ada"),
        local("movietweetings-100k", "MovieTweetings, first 100,000", "MIT", "https://github.com/sidooms/MovieTweetings", "100,000 ratings, 16,554 users", "ratings.csv.gz", "movies.csv.gz"),
        local("hetrec-lastfm-2k", "Last.fm of HetRec 2011: plays, friends, tags", "non-commercial research (HetRec 2011)", "https://grouplens.org/datasets/hetrec-2011/", "92,834 user-artist pairs, 1,892 users", "user_artists.dat", "user_friends.dat", "artists.dat"),
        local("citeulike-t", "citeulike-t: libraries of articles with words", NO_TERMS, "https://github.com/js05212/citeulike-t", "134,860 pairs, 7,947 users, 25,975 articles", "users.dat", "mult.dat", "vocabulary.dat"),
        local("frappe", "Frappe: apps used in context", "no redistribution, no commercial use", "https://github.com/irecsys/CARSKit", "96,203 rows, 957 users, 4,082 apps", "Mobile_Frappe.zip"),
        local("tafeng", "Ta-Feng: baskets of a grocery", NO_TERMS, "https://github.com/yule-BUAA/DNNTSP", "396,783 lines, 9,841 users, 4,935 items", "TaFeng.json"),
        local("online-retail", "Online Retail: invoices of a gift shop", "CC0 (onlineretail on CRAN; Daqing Chen, UCI)", "https://github.com/allanvc/onlineretail", "541,909 lines, 4,372 customers", "lines.csv.gz", "invoices.csv.gz", "items.csv.gz"),
        local("lbsn2vec-nyc", "Foursquare New York: check-ins and friends", NO_TERMS, "https://github.com/eXascaleInfolab/LBSN2Vec", "105,961 check-ins, 3,785 users, 3,628 venues", "dataset_connected_NYC.mat"),
        local("marc-foursquare-nyc", "Foursquare New York: trajectories with context", NO_TERMS, "https://github.com/bigdata-ufsc/petry-2020-marc", "66,962 check-ins, 193 users", "specific_train.csv", "specific_test.csv"),
        local("stan-nyc", "Foursquare New York: check-ins with coordinates", NO_TERMS, "https://github.com/yingtaoluo/Spatial-Temporal-Attention-Network-for-POI-Recommendation", "147,938 check-ins, 1,083 users", "NYC.npy", "NYC_POI.npy"),
        local("amazon-beauty", "Amazon Beauty: sequences with attributes", NO_TERMS, "https://github.com/RUCAIBox/CIKM2020-S3Rec", "198,502 events, 22,363 users", "Beauty.txt", "Beauty_item2attributes.json"),
        local("diginetica-sample", "Diginetica: sessions of item views, a sample", "CIKM Cup 2016 terms", "https://github.com/CRIPAC-DIG/SR-GNN", "12,391 views, 2,986 sessions", "sample_train-item-views.csv", "product-categories.csv"),
        local("open-bandit", "Open Bandit: logged recommendations of a clothes shop, a sample", "Apache-2.0 (the repository that holds it)", "https://github.com/st-tech/zr-obp", "60,000 impressions, 2 policies, 160 items in 3 campaigns", "random/all/all.csv", "bts/all/all.csv"),
        local("audio-clips", "Recordings of librosa's examples: sound without listeners", "CC BY, CC BY-NC or public domain, stated beside each", "https://github.com/librosa/data", "6 recordings", "*.ogg", "*.txt"),
        local("bing-news", "Bing News clicks, a sample", "MIT", "https://github.com/hwwang55/DKN", "10,863 rows, about 470 users", "raw_train.txt", "raw_test.txt"),
    )
}  # fmt: skip
"""Every set that can be loaded by name."""


def cache_folder() -> Path:
    """Return the folder in which fetched sets are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "twofold" / "datasets"


def folder(entry: Entry) -> Path:
    """Return a folder that holds the set, fetching it if need be.

    Raises
    ------
    DataError
        If it is nowhere and cannot be fetched; the sentence says what was tried.
    """
    tried: list[str] = []
    named = os.environ.get("TWOFOLD_DATA")
    for base in ([Path(named)] if named else []) + [cache_folder()]:
        if (base / entry.name).is_dir():
            return base / entry.name
    for archive in entry.archives:
        try:
            return fetch(entry, archive)
        except DataError as error:
            tried.append(str(error))
    reasons = f" ({'; '.join(tried)})" if tried else ""
    raise DataError(
        f"{entry.name} is neither in TWOFOLD_DATA nor in the cache{reasons}; "
        f"get it from {entry.source} and put its files into a folder {entry.name} in TWOFOLD_DATA"
    )


def fetch(entry: Entry, archive: Archive) -> Path:
    """Fetch an archive, verify what is in it, and put the set into the cache.

    Raises
    ------
    DataError
        If it cannot be fetched, or a checksum differs.
    """
    target = cache_folder() / entry.name
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".fetch-") as name:
            work = Path(name)
            packed = download(archive.address, work)
            if archive.md5 and digest(packed, "md5") != archive.md5:
                raise DataError(
                    f"{entry.name} from {archive.address} has another checksum than is published; try again later"
                )
            made = work / entry.name
            made.mkdir()
            with zipfile.ZipFile(packed) as file:
                for member in file.namelist():
                    inside = Path(member)
                    if str(inside.parent) == archive.inside and not member.endswith("/"):
                        (made / inside.name).write_bytes(file.read(member))
            verify(entry, made)
            made.rename(target)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{entry.name} from {archive.address}: {error}") from error
    return target


def verify(entry: Entry, made: Path) -> None:
    """Check the fetched files against the catalogue's checksums.

    Raises
    ------
    DataError
        If there are no files, or one differs.
    """
    if not any(made.iterdir()):
        raise DataError(f"{entry.name}: the archive does not hold the set")
    for name in changed(entry, made):
        raise DataError(f"{entry.name}: {name} has another checksum than the catalogue says")


def changed(entry: Entry, made: Path) -> list[str]:
    """Return the files in a folder whose checksums are known and differ."""
    return [
        name
        for name, expected in entry.sha256.items()
        if (made / name).is_file() and digest(made / name, "sha256") != expected
    ]


def digest(path: Path, kind: str) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def download(address: str, work: Path) -> Path:
    """Download a URL, or a wheel by ``name==version``, into a folder; return the file.

    Raises
    ------
    DataError
        If it cannot be reached.
    """
    if "://" not in address:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        command += ["--only-binary", ":all:", "--dest", str(work), address]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(work.glob("*.whl"))
        if ran.returncode or not wheels:
            raise DataError(f"the package {address} cannot be reached")
        return wheels[0]
    path = work / "archive.zip"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, path.open("wb") as file:
            length = int(answer.headers.get("Content-Length") or 0)
            blocks = iter(lambda: answer.read(CHUNK), b"")
            for block in track(blocks, f"fetching {address}", total=length // CHUNK or None):
                file.write(block)
    except (urllib.error.URLError, TimeoutError) as error:
        raise DataError(f"{address} cannot be reached") from error
    return path
