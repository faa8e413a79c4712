"""Models that read words and columns, with their defaults, on planted logs that nobody tuned for.

``python benchmarks/quality/planted_content.py [words newcomers] [--sizes small,middle,sparse] [--only "CTR;CDL"] [--seed 0] [--save] [--merge]``

words: half of an item's words are of its topic, the others are common to all; people have three topics and take their items by
popularity, none twice. Tested by the last event of everybody, and by a tenth of the items that is held out whole.
newcomers: what somebody likes is decided by sex, age, trade and town, each of which some do not tell, and by what no column says.
Tested by a tenth of the people that is held out whole.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import twofold as tw
from twofold import models
from twofold.evaluation.uncertainty import bootstrap
from twofold.models.mapping.deep_content import Linear

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside
from planted import LIKED, METRIC, SEED, Size, logged, popularity

SIZES = {
    "small": Size(200, 100, 12, 8),
    "middle": Size(2_000, 2_000, 25, 60),
    "sparse": Size(4_000, 10_000, 10, 200),
}
LENGTHS = {"small": 20, "middle": 5, "sparse": 60}
"""Words of an item, about."""
OF_TOPIC, COMMON = 40, 400
"""How many words a topic has, and how many are common to all."""
SYLLABLES = [one + other for one in "bdfgklmnprstv" for other in "aeiou"]
COLUMNS = {"sex": 2, "trade": 12, "town": 300}
"""Levels of the categories; towns are as unlike in size as items are in popularity."""
UNSAID, OF_COLUMN, OWN = 0.1, 1.0, 1.0
"""Share of every column that is not told, and how much a column and what no column says move the taste for a topic (standard deviations)."""
ANY = 0.1
"""Share of the events that take any item, by popularity."""
LATEST = 100 * 86_400
"""Seconds within which people begin."""
DRAWS = 100
"""People over whom the truth takes the mean of what is not told."""
TRUTH = "what decided it"
WORDS: dict[str, Any] = {
    "Popularity": models.Popularity(),
    "content kNN (BM25)": models.ItemKNN(content=("words",), similarity="bm25"),
    "IALS": models.IALS(),
    "CTR": models.CTR(),
    "CDL": models.CDL(),
    "DSSM": models.DSSM(),
    "DeepContent": models.DeepContent(),
    "DeepContent, linear": models.DeepContent(network=Linear()),
    "FM": models.FM(),
}
PEOPLE: dict[str, Any] = {
    "Popularity": models.Popularity(),
    "FM": models.FM(),
    "DeepContent": models.DeepContent(side="users"),
    "DeepContent, linear": models.DeepContent(side="users", network=Linear()),
    "YouTubeCandidates": models.YouTubeCandidates(),
}
LAST, NEW, AMONG_ALL, NEWCOMERS = "words", "words_new", "words_among_all", "newcomers"
TITLES = {
    LAST: "words",
    NEW: "items held out whole",
    AMONG_ALL: "items held out whole among all",
    NEWCOMERS: "people held out whole",
}
TOLD = {
    LAST: "The last event of everybody tests, asked with all before it over the whole catalogue; test items that training lacks count as missed",
    NEW: "A tenth of the items is held out whole; who took some is asked by the rest, and the held-out items alone are ranked",
    AMONG_ALL: "A tenth of the items is held out whole; who took some is asked by the rest, and they should be found among all items",
    NEWCOMERS: "A tenth of the people is held out whole, asked by their columns alone, over the whole catalogue",
}
QUESTIONS: dict[str, dict[str, Any]] = {
    LAST: {"ask": "each event"},
    NEW: {"unknown_items": "content", "candidates": "new"},
    AMONG_ALL: {"unknown_items": "content"},
    NEWCOMERS: {},
}


class Planted(NamedTuple):
    """A log, and with what chance each person takes each item."""

    data: tw.Dataset
    chances: np.ndarray  # (people, items)


def catalogue(size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the topic of each item, and the share of each item that a topic has, (topics, items)."""
    topic = rng.permutation(np.arange(size.items) % size.topics)
    share = np.where(topic == np.arange(size.topics)[:, None], popularity(size.items), 0)
    return topic, share / share.sum(axis=1, keepdims=True)


def chances_of(tastes: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return with what chance people of such tastes (people, topics) take each item, (people, items)."""
    likes = tastes / tastes.sum(axis=1, keepdims=True)
    return (1 - ANY) * likes @ share + ANY * popularity(share.shape[1])


def taken(chances: np.ndarray, size: Size, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the items of each person, none twice."""
    return [
        rng.choice(size.items, size=max(4, n), replace=False, p=one / one.sum())
        for one, n in zip(chances, rng.poisson(size.events, size.people), strict=True)
    ]


def words(name: str, rng: np.random.Generator) -> Planted:
    """Return a log of items with words."""
    size = SIZES[name]
    tastes = np.zeros((size.people, size.topics))
    np.put_along_axis(tastes, rng.integers(0, size.topics, (size.people, LIKED)), 1, axis=1)
    topic, share = catalogue(size, rng)
    chances = chances_of(tastes, share)
    spoken = np.array(
        ["".join(rng.choice(SYLLABLES, rng.integers(2, 5))) for _ in range(size.topics * OF_TOPIC + COMMON)]
    )  # fmt: skip
    bags: list[dict[str, int]] = []
    for one in topic:
        n = max(2, rng.poisson(LENGTHS[name]))
        own = COMMON + one * OF_TOPIC + rng.choice(OF_TOPIC, n, p=popularity(OF_TOPIC))
        said = np.where(rng.random(n) < 0.5, own, rng.choice(COMMON, n, p=popularity(COMMON)))
        found, counts = np.unique(spoken[said], return_counts=True)
        bags.append(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    items = {"item": np.arange(size.items), "words": pl.Series(bags, dtype=pl.Object)}
    kinds = {"words": "bag"}
    return Planted(
        logged(taken(chances, size, rng), items=pl.DataFrame(items), item_features=kinds), chances
    )


def newcomers(name: str, rng: np.random.Generator) -> Planted:
    """Return a log of people with columns; the chances are those that the told columns give, the mean over what is not told."""
    size = SIZES[name]
    levels = {
        one: rng.choice(n, size.people, p=popularity(n) if one == "town" else None)
        for one, n in COLUMNS.items()
    }
    age = rng.normal(0, 1, size.people)
    moved = {
        one: rng.normal(0, OF_COLUMN, (n, size.topics))[levels[one]] for one, n in COLUMNS.items()
    }
    moved["age"] = age[:, None] * rng.normal(0, OF_COLUMN, size.topics)
    own = rng.normal(0, OWN, (size.people, size.topics))
    _, share = catalogue(size, rng)
    drawn = taken(chances_of(np.exp(sum(moved.values()) + own), share), size, rng)
    told = {one: rng.random(size.people) >= UNSAID for one in moved}
    expected = np.zeros_like(own)
    for _ in range(DRAWS):
        other = rng.permutation(size.people)
        taste = own[other].copy()
        for one, effect in moved.items():
            taste += np.where(told[one][:, None], effect, effect[other])
        taste = np.exp(taste)
        expected += taste / taste.sum(axis=1, keepdims=True) / DRAWS
    values: dict[str, Any] = {**levels, "age": np.round(40 + 12 * age)}
    columns = {one: pl.Series(values[one]).set(pl.Series(~told[one]), None) for one in values}
    people = pl.DataFrame({"user": np.arange(size.people), **columns})
    kinds = dict.fromkeys(COLUMNS, "category") | {"age": "number"}
    began = rng.integers(0, LATEST, size.people)
    data = logged(drawn, began, users=people, user_features=kinds)
    return Planted(data, chances_of(expected, share))


def of_truth(planted: Planted, split: tw.Split, table: str) -> np.ndarray:
    """Return what the chances themselves reach for each person of the test, shape (n,)."""
    who, what = (one.ids.ids.to_numpy() for one in (split.test.users, split.test.items))
    known = split.train.items.ids.ids.to_numpy()
    scores = planted.chances[who].copy()
    listed = {NEW: what, AMONG_ALL: np.union1d(known, what)}.get(table, known)
    scores[:, np.setdiff1d(np.arange(scores.shape[1]), listed)] = -1
    for part in (split.train, split.validation):
        if part is not None:
            place = part.users.ids.rows(split.test.users.ids.ids)
            has = part.interactions.matrix()[place[place >= 0]].tocoo()
            scores[np.flatnonzero(place >= 0)[has.row], part.items.ids.ids.to_numpy()[has.col]] = -1
    wanted = split.test.interactions.matrix()
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :10].astype(np.int32)
    relevant = what[wanted.indices].astype(np.int32)
    return tw.metrics.ranking(lists, wanted.indptr.astype(np.int64), relevant, [METRIC])[METRIC]


def cell(values: np.ndarray, weight: np.ndarray, took: float | None = None) -> str:
    """Return a mean with half of its interval, and the seconds of `fit`."""
    low, high = bootstrap(values[None], weight, rng=np.random.default_rng(SEED))[0]
    said = f"{values.sum() / weight.sum():.3f} ±{(high - low) / 2:.3f}"
    return said if took is None else f"{said} ({took:.0f} s)"


def split_of(data: tw.Dataset, table: str) -> tw.Split:
    """Return the parts that a table measures on."""
    if table == LAST:
        return tw.split.leave_last(data, validation=True)
    whole = tw.split.cold_users if table == NEWCOMERS else tw.split.cold_items
    return whole(data, test=0.1, rng=SEED)


def measured(estimator: Any, split: tw.Split, tables: Sequence[str]) -> list[str]:
    """Return the cells of a model in `tables`, which share one split."""
    began = time.perf_counter()
    held = split.validation if hasattr(estimator, "patience") else None
    model = estimator.fit(split.train, validation=held, rng=SEED)
    took = time.perf_counter() - began
    cells: list[str] = []
    for table in tables:
        places = model.reads_content or isinstance(estimator, models.Popularity)
        if "unknown_items" in QUESTIONS[table] and not places:
            cells.append("")
            continue
        report = tw.evaluate(model, split, metrics=[METRIC], **QUESTIONS[table])
        cells.append(cell(report.totals[METRIC], report.weights[METRIC], took))
    return cells


def tabulate(shape: str, sizes: Sequence[str], only: Sequence[str]) -> None:
    """Measure the models of a shape, and print its tables."""
    draw, contenders, groups = SHAPES[shape]
    rows: dict[str, dict[str, list[str]]] = {table: {} for group in groups for table in group}
    about: dict[str, list[str]] = {table: [] for table in rows}
    for size in sizes:
        planted = draw(size, np.random.default_rng(SEED))
        for tables in groups:
            split = split_of(planted.data, tables[0])
            train = split.train
            for table in tables:
                about[table].append(
                    f"{size}: {len(train):,} events of {train.n_users:,} people and {train.n_items:,} items"
                )
                best = of_truth(planted, split, table)
                rows[table].setdefault(TRUTH, []).append(cell(best, np.ones(len(best))))
            for label, estimator in contenders.items():
                if only and label not in only:
                    continue
                for table, found in zip(tables, measured(estimator, split, tables), strict=True):
                    rows[table].setdefault(label, []).append(found)
                    sys.stderr.write(f"{table} {size} {label} {found}\n")
    for table, found in rows.items():
        beside.table(
            f"Defaults on planted logs, {TITLES[table]}",
            [
                f"Training, {'; '.join(about[table])}; seed {SEED}. {TOLD[table]}; {METRIC}, without what the person had.",
                "± is half of the 95 % bootstrap interval over people; in brackets the seconds of `fit`.",
            ],
            ["model, all defaults", *sizes],
            [[label, *cells] for label, cells in found.items() if any(cells)],
            suffix=f"_{table}",
        )


SHAPES: dict[str, tuple[Any, dict[str, Any], tuple[tuple[str, ...], ...]]] = {
    "words": (words, WORDS, ((LAST,), (NEW, AMONG_ALL))),
    "newcomers": (newcomers, PEOPLE, ((NEWCOMERS,),)),
}


def main() -> None:
    """Measure what is asked for."""
    sizes = beside.option("--sizes", ",".join(SIZES)).split(",")
    only = [one.strip() for one in beside.option("--only", "").split(";") if one.strip()]
    named = [*SIZES, *WORDS, *PEOPLE]
    if unknown := [one for one in sizes + only if one not in named]:
        sys.exit(f"{unknown[0]!r} is no size or model; allowed: {', '.join(dict.fromkeys(named))}")
    for shape in [one for one in SHAPES if one in sys.argv] or SHAPES:
        tabulate(shape, sizes, only)


if __name__ == "__main__":
    main()
