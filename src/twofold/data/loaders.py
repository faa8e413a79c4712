"""How the files of each set of the catalogue become a `Dataset`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from twofold.data.columns import Text
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.lastfm import lastfm
from twofold.data.lbsn2vec import lbsn2vec, lbsn2vec_later
from twofold.data.movielens import ml_1m, ml_100k, ml_csv
from twofold.data.readers import read_frame, read_text
from twofold.data.vocabulary import Vocabulary


def movietweetings(at: Path) -> Dataset:
    """Read MovieTweetings, as it is published or as CSV."""
    if (at / "ratings.dat").exists():
        log = read_frame(at / "ratings.dat")
        films = read_frame(at / "movies.dat")
        names = ["user", "imdb", "rating", "timestamp"]
        log = log.rename(dict(zip(log.columns, names, strict=True)))
        films = films.rename(dict(zip(films.columns, ["imdb", "title", "genres"], strict=True)))
    else:
        log, films = read_frame(at / "ratings.csv.gz"), read_frame(at / "movies.csv.gz")
    return Dataset.from_frames(
        log,
        user="user",
        item="imdb",
        value="rating",
        time="timestamp",
        items=films,
        item_features={"title": "text", "genres": "tags"},
    )


def citeulike(at: Path) -> Dataset:
    """Read citeulike-t: libraries and the words of articles."""
    lists = [line.split()[1:] for line in (at / "users.dat").read_text().splitlines()]
    users = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    words = (at / "vocabulary.dat").read_text(encoding="utf-8").splitlines()
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


def frappe(at: Path) -> Dataset:
    """Read Frappe out of its zip: apps used in context."""
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


def tafeng(at: Path) -> Dataset:
    """Read the baskets of Ta-Feng; basket n of a user stands on day n."""
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


def online_retail(at: Path) -> Dataset:
    """Read Online Retail: what known customers bought and did not return."""
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


def marc(at: Path) -> Dataset:
    """Read trajectories of New York with context and places."""
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


def stan(at: Path) -> Dataset:
    """Read check-ins of New York with coordinates; times are minutes from an unknown day."""
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


def beauty(at: Path) -> Dataset:
    """Read sequences of Amazon Beauty; event n of a user stands at second n."""
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


def diginetica(at: Path) -> Dataset:
    """Read views of anonymous sessions; the session is the user."""
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


def bing_news(at: Path) -> Dataset:
    """Read clicks on news; the title is the item."""
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


def open_bandit(at: Path) -> Dataset:
    """Read logged recommendations of a clothes shop; a user is a combination of the four user features."""
    parts = [
        read_frame(one, ids=["item_id"]).with_columns(
            policy=pl.lit(policy), campaign=pl.lit(campaign)
        )
        for policy in ("random", "bts")
        for campaign in ("all", "men", "women")
        if (one := at / policy / campaign / f"{campaign}.csv").exists()
    ]
    if not parts:
        raise FileNotFoundError(at / "random" / "all" / "all.csv")
    kept = ["timestamp", "item_id", "position", "click", "propensity_score", "policy", "campaign"]
    features = [f"user_feature_{n}" for n in range(4)]
    log = pl.concat([one.select(*kept, *features) for one in parts], how="vertical_relaxed")
    log = log.with_columns(
        # Items are numbered anew in every campaign.
        item=pl.col("campaign") + "-" + pl.col("item_id").cast(pl.String),
        user=pl.concat_str([pl.col(one).cast(pl.String) for one in features], separator="-"),
    )
    people = log.select("user", *features).unique("user", keep="first", maintain_order=True)
    return Dataset.from_frames(
        log,
        user="user",
        item="item",
        value="click",
        time="timestamp",
        context={
            "position": "category",
            "propensity_score": "number",
            "policy": "category",
            "campaign": "category",
        },
        users=people,
        user_features=dict.fromkeys(features, "category"),
    )


def audio_clips(at: Path) -> Dataset:
    """Read recordings with what is said of them: items with sound, and nobody who listened."""
    found = sorted(at.glob("*.ogg"))
    if not found:
        raise FileNotFoundError(at / "*.ogg")
    said = [one.with_suffix(".txt") for one in found]
    clips = Entities(
        Vocabulary(pl.Series([one.stem for one in found])),
        {
            "sound": Text(pl.Series([str(one) for one in found]), is_path=True),
            "text": Text(pl.Series([one.read_text() if one.exists() else None for one in said])),
        },
    )
    nobody = np.zeros(0, np.int32)
    events = Interactions(
        nobody, nobody, np.zeros(0, np.float32), None, 0, len(clips), has_value=False
    )
    return Dataset(events, Entities(Vocabulary(pl.Series(dtype=pl.String))), clips)


LOADERS: dict[str, Callable[[Path], Dataset]] = {
    "amazon-beauty": beauty,
    "audio-clips": audio_clips,
    "bing-news": bing_news,
    "citeulike-t": citeulike,
    "diginetica-sample": diginetica,
    "frappe": frappe,
    "hetrec-lastfm-2k": lastfm,
    "lbsn2vec-nyc": lbsn2vec,
    "marc-foursquare-nyc": marc,
    "ml-100k": ml_100k,
    "ml-1m": ml_1m,
    "ml-20m": ml_csv,
    "ml-25m": ml_csv,
    "ml-latest-small": ml_csv,
    "movietweetings-100k": movietweetings,
    "online-retail": online_retail,
    "open-bandit": open_bandit,
    "stan-nyc": stan,
    "tafeng": tafeng,
}
"""How the files of each set become a `Dataset`."""

LATER_LINKS: dict[str, Callable[[Path], pl.DataFrame]] = {"lbsn2vec-nyc": lbsn2vec_later}
"""Sets that know their friendships on a second, later day."""
