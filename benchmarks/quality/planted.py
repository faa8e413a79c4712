"""Models with their defaults on planted logs that nobody tuned for: two shapes, from few events to many items with few events each.

``python benchmarks/quality/planted.py [chain topics] [--sizes small,middle,sparse] [--only "GRU4Rec;HRM"] [--seed 0] [--save] [--merge]``

chain: an item is followed by its own successor with probability .6, by a second one with .2, a third with .1, and by any item
otherwise; what somebody likes tells nothing, the last event nearly all.
topics: people have three topics, stay in one with probability .9 from event to event and take its items by popularity; the order
within a topic tells nothing.
The last event of everybody tests, the one before validates where a model stops by it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import twofold as tw
from twofold import models

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
METRIC = "ndcg@10"
FOLLOWERS = (0.6, 0.2, 0.1)
LIKED, STAY = 3, 0.9
FIRST, PACE = 1_600_000_000, 600
SHAPES = ("chain", "topics")


class Size(NamedTuple):
    """How large a log is."""

    people: int
    items: int
    events: int  # of a person, about
    topics: int


SIZES = {
    "small": Size(200, 100, 12, 8),
    "middle": Size(2_000, 2_000, 25, 60),
    "sparse": Size(4_000, 20_000, 10, 400),
}
CONTENDERS: dict[str, Any] = {
    "Popularity": models.Popularity(),
    "ItemKNN": models.ItemKNN(),
    "EASE": models.EASE(),
    "IALS": models.IALS(),
    "BPR": models.BPR(),
    "Token2Vec": models.Token2Vec(),
    "Token2Vec, last event": models.Token2Vec(last=1),
    "Doc2Vec": models.Doc2Vec(),
    "ContextEmbedding": models.ContextEmbedding(),
    "HRM": models.HRM(),
    "HRM, two vectors an item": models.HRM(tied=False),
    "FPMC": models.HRM.fpmc(),
    "GRU4Rec": models.GRU4Rec(),
    "SASRec": models.SASRec(),
    "JNTM": models.JNTM(),
    "YouTubeCandidates": models.YouTubeCandidates(),
}


def popularity(n: int) -> np.ndarray:
    """Return what share each of `n` items has, shape (n,)."""
    weight = (np.arange(n) + 10.0) ** -0.8
    return weight / weight.sum()


def chain(size: Size, rng: np.random.Generator) -> Iterator[list[int]]:
    """Give the items of each person in order, each followed by a successor of its own."""
    share = popularity(size.items)
    followers = rng.choice(size.items, size=(size.items, len(FOLLOWERS)), p=share)
    edges = np.cumsum(FOLLOWERS)
    for _ in range(size.people):
        items = [int(rng.choice(size.items, p=share))]
        for _ in range(max(3, rng.poisson(size.events) - 1)):
            which = int(np.searchsorted(edges, rng.random()))
            free = which == len(FOLLOWERS)
            items.append(
                int(rng.choice(size.items, p=share) if free else followers[items[-1], which])
            )
        yield items


def topics(size: Size, rng: np.random.Generator) -> Iterator[list[int]]:
    """Give the items of each person in order, those of a few topics."""
    share, topic_of = popularity(size.items), rng.integers(0, size.topics, size.items)
    members = [np.flatnonzero(topic_of == one) for one in range(size.topics)]
    members = [one for one in members if len(one)]
    for _ in range(size.people):
        liked = rng.choice(len(members), size=LIKED)
        topic, items = rng.choice(liked), []
        for _ in range(max(4, rng.poisson(size.events))):
            topic = topic if rng.random() < STAY else rng.choice(liked)
            inside = share[members[topic]]
            items.append(int(rng.choice(members[topic], p=inside / inside.sum())))
        yield items


def log_of(shape: str, size: Size) -> tw.Dataset:
    """Return a planted log."""
    return logged(list((chain if shape == "chain" else topics)(size, np.random.default_rng(SEED))))


def logged(drawn: Sequence[Any], began: Any = 0, **tables: Any) -> tw.Dataset:
    """Return the log of the items of each person in order, who `began` so many seconds late; `tables` are handed on."""
    user = np.repeat(np.arange(len(drawn)), [len(one) for one in drawn])
    moment = np.concatenate([np.arange(len(one)) for one in drawn]) * PACE + FIRST
    moment += np.broadcast_to(began, len(drawn))[user]
    columns = {"user": user, "item": np.concatenate(drawn), "time": moment}
    return tw.Dataset.from_frames(columns, user="user", item="item", time="time", **tables)


def measure(split: tw.Split, estimator: Any) -> str:
    """Return how well a model foresees the last events, with the half of its interval and its seconds."""
    began = time.perf_counter()
    held = split.validation if hasattr(estimator, "patience") else None
    model = estimator.fit(split.train, validation=held, rng=SEED)
    took = time.perf_counter() - began
    report = tw.evaluate(model, split, metrics=[METRIC], ask="each event")
    low, high = report.intervals[METRIC]
    return f"{report[METRIC]:.3f} ±{(high - low) / 2:.3f} ({took:.0f} s)"


def main() -> None:
    """Measure what is asked for, a table for each shape."""
    sizes = beside.option("--sizes", ",".join(SIZES)).split(",")
    only = [one.strip() for one in beside.option("--only", "").split(";") if one.strip()]
    if unknown := [one for one in sizes if one not in SIZES] + [
        one for one in only if one not in CONTENDERS
    ]:
        sys.exit(f"{unknown[0]!r} is no size or model; allowed: {', '.join([*SIZES, *CONTENDERS])}")
    for shape in [one for one in SHAPES if one in sys.argv] or SHAPES:
        splits = {
            one: tw.split.leave_last(log_of(shape, SIZES[one]), validation=True) for one in sizes
        }
        rows = []
        for label, estimator in CONTENDERS.items():
            if only and label not in only:
                continue
            rows.append([label, *(measure(split, estimator) for split in splits.values())])
            sys.stderr.write(f"{shape} {' '.join(rows[-1])}\n")
        about = "; ".join(
            f"{one}: {len(split.train):,} events of {split.train.n_users:,} people and {split.train.n_items:,} items"
            for one, split in splits.items()
        )
        beside.table(
            f"Defaults on planted logs, {shape}",
            [
                f"Training, {about}; seed {SEED}. The last event of everybody tests, asked with all before it, {METRIC} over the whole catalogue without what",
                "the person had; test items that training lacks count as missed. ± is half of the 95 % bootstrap interval over people; in brackets the seconds of `fit`.",
            ],
            ["model, all defaults", *sizes],
            rows,
            suffix=f"_{shape}",
        )


if __name__ == "__main__":
    main()
