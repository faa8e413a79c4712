"""How the files of the MovieLens sets become a `Dataset`."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from twofold.data.dataset import Dataset
from twofold.data.readers import read_frame

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The 19 genre columns of u.item."""
YEAR = r"\((\d{4})\)\s*$"
"""The year at the end of a MovieLens title."""


def ml_100k(at: Path) -> Dataset:
    """Read MovieLens 100K, in GroupLens' own files or as atomic files."""
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


def ml_1m(at: Path) -> Dataset:
    """Read MovieLens 1M, or its pairs without ratings where there is only ``ratings.parquet``."""
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


def ml_csv(at: Path) -> Dataset:
    """Read MovieLens latest-small, 20M or 25M."""
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
