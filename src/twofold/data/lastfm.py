"""Last.fm of HetRec 2011 in its own files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.data.readers import read_frame, read_text


def lastfm(at: Path) -> Dataset:
    """Read Last.fm of HetRec 2011: plays, artists, friends, and how often people gave an artist which tag."""
    log = read_frame(at / "user_artists.dat")
    artists = read_text((at / "artists.dat").read_bytes(), "artists.dat", ["id"])
    features: dict[str, Kind] = {"name": "text"}
    given = sorted(at.glob("user_taggedartists*.dat"))  # in one file, or in two
    if given and (at / "tags.dat").exists():
        tags = read_text((at / "tags.dat").read_bytes(), "tags.dat", ["tagID", "tagValue"])
        events = pl.concat([read_frame(one).select("artistID", "tagID") for one in given])
        counts = events.join(tags, on="tagID").group_by("artistID", "tagValue").len()
        bags: dict[int, dict[str, float]] = {}
        for artist, tag, count in counts.sort("artistID", "tagValue").iter_rows():
            bags.setdefault(artist, {})[tag] = float(count)
        column = [bags.get(one, {}) for one in artists["id"].to_list()]
        artists = artists.with_columns(pl.Series("tags", column, dtype=pl.Object))
        features["tags"] = "bag"
    return Dataset.from_frames(
        log.rename(dict(zip(log.columns, ["user", "artist", "plays"], strict=True))),
        user="user",
        item="artist",
        value="plays",
        items=artists.rename({"id": "artist"}),
        item_features=features,
        links=read_frame(at / "user_friends.dat"),
    )
