"""A video page in two stages: a network names candidates, another one orders them by expected watch time."""

import sys

import numpy as np
import polars as pl

import twofold as tw


def evenings(n_viewers: int = 150, n_videos: int = 120) -> tw.Dataset:
    """Return who watched what for how many seconds; viewers like one of three kinds of video, long ones less."""
    rng = np.random.default_rng(0)
    kinds, minutes = np.arange(n_videos) % 3, rng.integers(1, 30, n_videos)
    rows = []
    for viewer in range(n_viewers):
        liked = np.where(kinds == viewer % 3, 6.0, 1.0) / np.sqrt(minutes)
        videos = rng.choice(n_videos, 25, replace=False, p=liked / liked.sum())
        for at, video in enumerate(videos):
            share = 0.8 if kinds[video] == viewer % 3 else 0.15
            seconds = 60.0 * minutes[video] * share * rng.uniform(0.5, 1.2)
            rows.append((viewer, f"v{video}", seconds, 1_700_000_000 + 86_400 * at + viewer))
    log = pl.DataFrame(rows, schema=["viewer", "video", "seconds", "time"], orient="row")
    videos = {
        "video": [f"v{at}" for at in range(n_videos)],
        "kind": [["music", "sport", "cooking"][kind] for kind in kinds],
        "minutes": minutes.astype(np.float64),
    }
    viewers = {
        "viewer": range(n_viewers),
        "country": [["de", "fr"][at % 2] for at in range(n_viewers)],
    }
    return tw.Dataset.from_frames(
        log,
        user="viewer",
        item="video",
        value="seconds",
        time="time",
        items=videos,
        item_features={"kind": "category", "minutes": "number"},
        users=viewers,
        user_features={"country": "category"},
    )


def watched(model: tw.FittedModel, split: tw.Split) -> float:
    """Return the seconds that a viewer later watched of the ten videos listed, on average over viewers."""
    later = split.test.frame("interactions")
    lists = model.recommend(users=later["user"].unique().sort().to_list(), k=10)
    found = lists.join(later, on=["user", "item"])
    return found["value"].sum() / later["user"].n_unique()


def main() -> None:
    split = tw.split.temporal(evenings(), test=0.2)
    candidates = tw.models.YouTubeCandidates(factors=16, epochs=10)
    ranker = tw.models.YouTubeRanker(hidden=(32,), epochs=5)
    page = tw.Pipeline(candidates=[candidates, tw.models.EASE()], ranker=ranker, depth=40)
    board = tw.compare(
        {"candidates": candidates, "the page": page}, split, ["ndcg@10", "recall@10"]
    )
    sys.stdout.write(f"{board}\n\n")
    # Metrics count what was watched, the page is made for how long: short videos are missed by it.
    model = page.fit(split.train, rng=0)
    for name, one in {
        "popularity": tw.models.Popularity().fit(split.train),
        "candidates": candidates.fit(split.train, rng=0),
        "the page": model,
    }.items():
        sys.stdout.write(f"{name}: {watched(one, split):.0f} seconds a viewer\n")
    viewer = model.users.ids[0]
    sys.stdout.write(
        f"\ntonight for viewer {viewer}; score: seconds to expect of a listed video\n{model.recommend(users=[viewer], k=3)}\n"
    )
    cooking = model.recommend(users=[viewer], where={"kind": "cooking"}, k=3)
    sys.stdout.write(f"cooking alone\n{cooking}\n")
    stranger = model.recommend(histories=[["v0", "v3"]], k=3)
    sys.stdout.write(f"for a stranger who watched v0 and v3\n{stranger}\n")


if __name__ == "__main__":
    main()
