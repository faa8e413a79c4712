"""Data sets by name: ``tw.datasets.names()``, ``describe(name)``, ``load(name)``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from twofold.data import catalogue
from twofold.data.dataset import Dataset
from twofold.data.readers import read_frame, read_text
from twofold.data.synthetic import small_log
from twofold.errors import ConfigError, DataError, did_you_mean

__all__ = ["describe", "load", "load_or_generate", "names"]

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The 19 genre columns of u.item."""
YEAR = r"\((\d{4})\)\s*$"
"""The year at the end of a MovieLens title."""


def names() -> list[str]:
    """Return the names of the catalogue, sorted."""
    return sorted(catalogue.ENTRIES)


def describe(name: str) -> catalogue.Entry:
    """Return what is known of a set: title, licence, source, size, files.

    Raises
    ------
    ConfigError
        If there is no such set.
    """
    if name not in catalogue.ENTRIES:
        raise ConfigError(f"no data set is called {name!r}; {did_you_mean(name, names())}")
    return catalogue.ENTRIES[name]


def load(name: str) -> Dataset:
    """Load a set: from TWOFOLD_DATA, else the cache, else fetched, verified and cached.

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        If it cannot be found or fetched, or its files are not as they should be.

    Example
    -------
    >>> len(load("ml-100k"))  # doctest: +SKIP
    100000
    """
    folder = catalogue.folder(describe(name))
    try:
        return LOADERS[name](folder)
    except OSError as error:
        raise DataError(f"{name} in {folder} is not complete: {error}") from error


def load_or_generate(name: str) -> Dataset:
    """Load a set, or where it cannot be reached generate a log; ``notes`` of the dataset say so."""
    try:
        return load(name)
    except DataError as error:
        made = small_log()
        said = f"GENERATED DATA with planted tastes, because {error}"
        return replace(made, notes=(said, *made.notes))


def _ml_100k(at: Path) -> Dataset:
    if (at / "u.data").exists():
        log = read_frame(at / "u.data").rename(
            {"column_1": "user", "column_2": "item", "column_3": "rating", "column_4": "time"}
        )
        films = _delimited(at / "u.item", "|", ["item", "title", "date", "video", "link", *GENRES])
        genres = [
            pl.when(pl.col(one).cast(pl.Int64) == 1).then(pl.lit(one)).otherwise(None)
            for one in GENRES
        ]
        films = films.select(
            "item",
            "title",
            pl.concat_list(genres).list.drop_nulls().alias("genres"),
            year=pl.col("title").str.extract(YEAR).cast(pl.Float64),
        )
        people = _delimited(at / "u.user", "|", ["user", "age", "gender", "occupation", "zip"])
    else:
        log = read_frame(at / "ml-100k.inter").rename(
            {"user_id": "user", "item_id": "item", "timestamp": "time"}
        )
        films = read_frame(at / "ml-100k.item").select(
            item="item_id",
            title=pl.col("movie_title").list.join(" "),
            genres="class",
            year=pl.col("release_year").cast(pl.Float64, strict=False),
        )
        people = read_frame(at / "ml-100k.user").rename({"user_id": "user", "zip_code": "zip"})
    return Dataset.from_frames(
        log,
        user="user",
        item="item",
        value="rating",
        time="time",
        items=films,
        item_features={"title": "text", "genres": "tags", "year": "number"},
        users=people,
        user_features={
            "age": "number",
            "gender": "category",
            "occupation": "category",
            "zip": "text",
        },
    )


def _delimited(path: Path, separator: str, columns: list[str]) -> pl.DataFrame:
    """Read a latin-1 file without a header; the first column is an integer id."""
    text = path.read_bytes().decode("latin-1").replace("\r\n", "\n")
    lines = [line.split(separator) for line in text.split("\n") if line]
    width = len(columns)
    rows = [[*line[: width - 1], separator.join(line[width - 1 :])] for line in lines]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.with_columns(pl.col(columns[0]).cast(pl.Int64))


def _ml_1m(at: Path) -> Dataset:
    films = _delimited(at / "movies.dat", "::", ["item", "title", "genres"]).with_columns(
        year=pl.col("title").str.extract(YEAR).cast(pl.Float64)
    )
    people = _delimited(at / "users.dat", "::", ["user", "gender", "age", "occupation", "zip"])
    rated = (at / "ratings.dat").exists()
    log = read_frame(at / "ratings.dat") if rated else read_frame(at / "ratings.parquet")
    return Dataset.from_frames(
        log.rename(dict(zip(log.columns, ["user", "item", "rating", "time"], strict=False))),
        user="user",
        item="item",
        value="rating" if rated else None,
        time="time" if rated else None,
        items=films,
        item_features={"title": "text", "genres": "tags", "year": "number"},
        users=people,
        user_features={
            "age": "number",
            "gender": "category",
            "occupation": "category",
            "zip": "text",
        },
    )


def _ml_csv(at: Path) -> Dataset:
    films = read_frame(at / "movies.csv", ids=["movieId"])
    films = films.with_columns(year=pl.col("title").str.extract(YEAR).cast(pl.Float64))
    return Dataset.read(
        at / "ratings.csv",
        user="userId",
        item="movieId",
        value="rating",
        time="timestamp",
        items=films,
        item_features={"title": "text", "genres": "tags", "year": "number"},
    )


def _movietweetings(at: Path) -> Dataset:
    return Dataset.read(
        at / "ratings.csv.gz",
        user="user",
        item="imdb",
        value="rating",
        time="timestamp",
        items=at / "movies.csv.gz",
        item_features={"title": "text", "genres": "tags"},
    )


def _lastfm(at: Path) -> Dataset:
    log = read_frame(at / "user_artists.dat")
    artists = read_text((at / "artists.dat").read_bytes(), "artists.dat", ["id"])
    return Dataset.from_frames(
        log.rename(dict(zip(log.columns, ["user", "artist", "plays"], strict=True))),
        user="user",
        item="artist",
        value="plays",
        items=artists.rename({"id": "artist"}),
        item_features={"name": "text"},
        links=read_frame(at / "user_friends.dat"),
    )


def _citeulike(at: Path) -> Dataset:
    lists = [line.split()[1:] for line in (at / "users.dat").read_text().splitlines()]
    users = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    words = (at / "vocabulary.dat").read_text(encoding="utf-8").split()
    bags: list[dict[str, float]] = []
    for line in (at / "mult.dat").read_text().splitlines():
        pairs = [one.split(":") for one in line.split()[1:]]
        bags.append({words[int(word)]: float(count) for word, count in pairs})
    flat = [int(one) for row in lists for one in row]
    return Dataset.from_frames(
        {"user": users, "article": flat},
        user="user",
        item="article",
        items={"article": range(len(bags)), "words": pl.Series(bags, dtype=pl.Object)},
        item_features={"words": "bag"},
    )


def _frappe(at: Path) -> Dataset:
    with zipfile.ZipFile(at / "Mobile_Frappe.zip") as archive:
        log = archive.read("Mobile_Frappe/frappe/frappe.csv")
        apps = archive.read("Mobile_Frappe/frappe/meta.csv")
    # Descriptions hold every usual delimiter and stray quotes: the tab is known.
    lines = [line.split("\t") for line in apps.decode("utf-8").splitlines()]
    head = lines[0]
    whole = [one for one in lines[1:] if len(one) == len(head)]
    meta = pl.DataFrame(whole, schema=head, orient="row").with_columns(
        pl.col("item").cast(pl.Int64)
    )
    contexts = ["daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
    return Dataset.from_frames(
        read_text(log, "frappe.csv"),
        user="user",
        item="item",
        value="cnt",
        context=dict.fromkeys(contexts, "category"),
        items=meta.unique("item", keep="first", maintain_order=True),
        item_features={
            "name": "text",
            "category": "category",
            "developer": "category",
            "description": "text",
        },
    )


def _tafeng(at: Path) -> Dataset:
    parts = json.loads((at / "TaFeng.json").read_text())
    rows: list[tuple[int, int, int]] = []
    baskets: dict[str, list[list[int]]] = {}
    for part in ("train", "validate", "test"):
        for user, found in parts[part].items():
            held = baskets.setdefault(user, [])
            # The later parts may repeat what the earlier ones have.
            held.extend(found if found[: len(held)] != held else found[len(held) :])
    for user, found in baskets.items():
        rows += [(int(user), item, at_) for at_, basket in enumerate(found) for item in basket]
    frame = pl.DataFrame(rows, schema=["user", "item", "basket"], orient="row")
    # The order of the baskets is known and their dates are not: basket n stands on day n.
    return Dataset.from_frames(
        frame.with_columns(time=pl.col("basket") * 86_400), user="user", item="item", time="time"
    )


def _online_retail(at: Path) -> Dataset:
    lines = read_frame(at / "lines.csv.gz", ids=["InvoiceNo", "StockCode"])
    lines = lines.with_columns(pl.col("InvoiceNo").cast(pl.String))
    invoices = read_frame(at / "invoices.csv.gz", ids=["InvoiceNo", "CustomerID"])
    invoices = invoices.with_columns(pl.col("InvoiceNo").cast(pl.String)).drop_nulls("CustomerID")
    log = lines.join(invoices, on="InvoiceNo").filter(
        ~pl.col("InvoiceNo").str.starts_with("C") & (pl.col("Quantity") > 0)
    )
    items = read_frame(at / "items.csv.gz", ids=["StockCode"])
    return Dataset.from_frames(
        log,
        user="CustomerID",
        item="StockCode",
        value="Quantity",
        time="InvoiceDate",
        context={"Country": "category"},
        items=items.unique("StockCode", keep="first", maintain_order=True),
        item_features={"Description": "text", "UnitPrice": "number"},
    )


def _lbsn2vec(at: Path) -> Dataset:
    from scipy.io import loadmat

    found = loadmat(at / "dataset_connected_NYC.mat")
    rows = np.asarray(found["selected_checkins"], np.int64)
    step = np.diff(rows[:, 1], prepend=rows[0, 1])
    # Hours of the week wrap; rows run in time but for small steps back.
    week = np.cumsum(step < -84) - np.cumsum(step > 84)
    return Dataset.from_frames(
        {
            "user": rows[:, 0],
            "venue": rows[:, 2],
            "time": (week * 168 + rows[:, 1]) * 3600,
            "hour_of_week": rows[:, 1].astype(str),
        },
        user="user",
        item="venue",
        time="time",
        context={"hour_of_week": "category"},
        items=pl.DataFrame({"venue": rows[:, 2], "category": rows[:, 3].astype(str)}).unique(
            "venue", keep="first", maintain_order=True
        ),
        item_features={"category": "category"},
        links=pl.DataFrame(np.asarray(found["friendship_old"], np.int64), schema=["a", "b"]),
    )


def _marc(at: Path) -> Dataset:
    parts = [
        read_frame(at / f"specific_{one}.csv", ids=["poi", "label", "tid"])
        for one in ("train", "test")
    ]
    log = pl.concat(parts, how="vertical_relaxed")
    places = log.unique("poi", keep="first", maintain_order=True)
    return Dataset.from_frames(
        log.with_columns(pl.col("hour").cast(pl.String)),
        user="label",
        item="poi",
        context={"tid": "category", "day": "category", "hour": "category", "weather": "category"},
        items=places.select(
            "poi", "category", "price", "rating", place=pl.concat_arr("lat", "lon")
        ),
        item_features={
            "category": "category",
            "price": "number",
            "rating": "number",
            "place": "place",
        },
    )


def _stan(at: Path) -> Dataset:
    rows = np.load(at / "NYC.npy", allow_pickle=False)
    places = np.load(at / "NYC_POI.npy", allow_pickle=False)
    return Dataset.from_frames(
        {"user": rows[:, 0], "poi": rows[:, 1], "time": rows[:, 2].astype(np.int64) * 60},
        user="user",
        item="poi",
        time="time",
        items=pl.DataFrame(
            {"poi": places[:, 0].astype(np.int64), "place": np.ascontiguousarray(places[:, 1:])}
        ),
        item_features={"place": "place"},
    )


def _beauty(at: Path) -> Dataset:
    lists = [line.split() for line in (at / "Beauty.txt").read_text().splitlines() if line]
    rows = [(int(one[0]), int(item), n) for one in lists for n, item in enumerate(one[1:])]
    attributes = json.loads((at / "Beauty_item2attributes.json").read_text())
    return Dataset.from_frames(
        # Only the order is known: event n of a user stands at second n.
        pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"),
        user="user",
        item="item",
        time="time",
        items={
            "item": [int(one) for one in attributes],
            "attributes": [[str(a) for a in one] for one in attributes.values()],
        },
        item_features={"attributes": "tags"},
    )


def _diginetica(at: Path) -> Dataset:
    log = read_frame(at / "sample_train-item-views.csv", ids=["session_id", "item_id"])
    day = pl.col("eventdate").str.to_datetime("%Y-%m-%d", strict=False).dt.epoch("s")
    kinds = read_frame(at / "product-categories.csv", ids=["itemId"])
    return Dataset.from_frames(
        log.with_columns(time=day + pl.col("timeframe").cast(pl.Int64) // 1000),
        user="session_id",
        item="item_id",
        time="time",
        items=kinds.filter(pl.col("itemId").is_in(log["item_id"].unique().implode())).rename(
            {"itemId": "item_id", "categoryId": "category"}
        ),
        item_features={"category": "category"},
    )


def _bing_news(at: Path) -> Dataset:
    text = "".join(
        (at / one).read_text(encoding="utf-8") for one in ("raw_train.txt", "raw_test.txt")
    )
    rows = [line.split("\t")[:3] for line in text.splitlines() if line]
    log = pl.DataFrame(rows, schema=["user", "title", "click"], orient="row")
    return Dataset.from_frames(
        log,
        user="user",
        item="title",
        value="click",
        items=log.select("title", text="title").unique("title", maintain_order=True),
        item_features={"text": "text"},
    )


LOADERS: dict[str, Callable[[Path], Dataset]] = {
    "amazon-beauty": _beauty,
    "bing-news": _bing_news,
    "citeulike-t": _citeulike,
    "diginetica-sample": _diginetica,
    "frappe": _frappe,
    "hetrec-lastfm-2k": _lastfm,
    "lbsn2vec-nyc": _lbsn2vec,
    "marc-foursquare-nyc": _marc,
    "ml-100k": _ml_100k,
    "ml-1m": _ml_1m,
    "ml-20m": _ml_csv,
    "ml-25m": _ml_csv,
    "ml-latest-small": _ml_csv,
    "movietweetings-100k": _movietweetings,
    "online-retail": _online_retail,
    "stan-nyc": _stan,
    "tafeng": _tafeng,
}
"""How the files of each set become a `Dataset`."""
