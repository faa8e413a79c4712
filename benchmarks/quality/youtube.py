"""YouTube's two stages: candidates beside IALS, EASE and popularity by time, and expected watch time against truth.

``python benchmarks/quality/youtube.py [movietweetings-100k ml-100k online-retail] [--only candidates|ranker|spend|"watch time"|stages] [--impressions 100000] [--seed 0] [--seeds 1]
[--set NAME=VALUE,...] [--validation] [--save]`` with ``--set`` (of the ranker) and ``--validation`` for spend,
``--set`` (of the networks), ``--validation``, ``--seeds`` (from ``--seed`` on), ``--rows NAME;...``, ``--merge`` and ``--name _ladder``
(behind the name of the table) for candidates
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold import Pipeline
from twofold.data.columns import Number
from twofold.data.queries import Queries
from twofold.impressions import shown_lists
from twofold.models import (
    EASE,
    IALS,
    PersonalFrequency,
    Popularity,
    YouTubeCandidates,
    YouTubeRanker,
)
from twofold.rank import rank

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside
from watch_log import gained, mispredicted, seconds_of, simulated

SEED, SEEDS = int(beside.option("--seed", "0")), int(beside.option("--seeds", "1"))
LOGS = ("movietweetings-100k", "ml-100k", "online-retail")
METRICS = ["map@100", "ndcg@10", "recall@20"]
NEXT = ["map@100", "recall@20"]
"""Of every later event, asked for alone with all that its user did before it: the next item."""
NEWEST = 0.2
"""Share of the training events, the last ones, in which the newest items came up."""
IMPRESSIONS = 2_000_000
PEOPLE = 1000
"""Who is asked in the table of two stages, with 20 new impressions each."""
STAGES = int(beside.option("--impressions", "100000"))
PENALTY = 5e-4
"""Of the weighted rankers of the simulated log; odds of a click are a hundredth as large, and so is their loss."""
LADDER: dict[str, tuple[int, ...]] = {
    "none": (),
    "16": (16,),
    "64": (64,),
    "64-32": (64, 32),
    "128-64-32": (128, 64, 32),
}
"""Widths of the ranker's layers, from the input on."""
NAMED, AT = 30, 10
"""Candidates of the first stage, and the length of the list."""
SHOP, DEEP = 100, 20
"""The same in a shop: candidates of each model, and the length of the list."""
CANDIDATES, UNWEIGHTED = "both candidates, fused", "ranker from lists, unweighted"
TRAINED: dict[str, Any] = {"epochs": 15, "patience": 15}
"""How long the networks learn is chosen among all these passes: deep ones need other numbers than shallow ones, and a pass is luck."""
DEPTHS = tuple(f"depth {depth}" for depth in range(5))
CONTENDERS: dict[str, Any] = {
    "Popularity": Popularity(),
    "EASE": EASE(),
    "IALS": IALS(factors=32, epochs=8),
    **{one: YouTubeCandidates(depth=at, **TRAINED) for at, one in enumerate(DEPTHS)},
    "depth 1, no age": YouTubeCandidates(example_age=False, **TRAINED),
    "depth 1, random labels": YouTubeCandidates(labels="random", **TRAINED),
    "depth 1, no columns": YouTubeCandidates(features=(), **TRAINED),
    "depth 4, layer norm": YouTubeCandidates(depth=4, layer_norm=True, **TRAINED),
}


def split_of(name: str, validation: float = 0.1) -> tw.Split:
    """Return a log cut by time, its rare people and items left out."""
    data = tw.datasets.load(name).filter(min_user_events=5, min_item_events=10)
    return tw.split.temporal(data, test=0.1, validation=validation)


def of_newest(split: tw.Split) -> tw.Split:
    """Return the split whose test part has the items alone that came up in the last `NEWEST` of training."""
    events, test = split.train.interactions, split.test.interactions
    assert events.time is not None
    first = np.full(events.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, events.item, events.time)
    new = split.train.items.ids.ids.gather(
        np.flatnonzero(first >= np.quantile(events.time, 1 - NEWEST))
    )
    rows = split.test.items.ids.rows(new)
    asked = np.flatnonzero(np.isin(test.item, rows[rows >= 0]))
    return replace(split, test=split.test.part(asked.astype(np.int64)))


def together(log: tw.Dataset) -> float:
    """Return the share of events that stand behind another one of the same user and moment."""
    moment = log.interactions.moments
    return 1 - (moment[-1] + 1) / len(moment)


def candidates(name: str) -> None:
    """Print the table of one log."""
    validate = "--validation" in sys.argv
    cut = split_of(name)
    split = replace(cut, test=cut.validation, validation=None) if validate else split_of(name, 0.0)
    newest = of_newest(split)
    wanted = [one for one in beside.option("--rows", "").split(";") if one] or list(CONTENDERS)
    rows, hidden, reports = [], 0, dict[str, tuple[tw.Report, tw.Report]]()
    for label in wanted:
        estimator, passes, seeds = CONTENDERS[label], "", [SEED]
        began = time.perf_counter()
        if isinstance(estimator, YouTubeCandidates):
            estimator = replace(estimator, **beside.settings())
            seeds = list(range(SEED, SEED + SEEDS))
            stopped = [
                estimator.fit(cut.train, validation=cut.validation, rng=one).best_epoch
                for one in seeds
            ]
            estimator = replace(estimator, epochs=statistics.median_low(stopped))
            passes = str(estimator.epochs)
        found, of_seeds = [], []
        for seed in seeds:
            model = estimator.fit(split.train, rng=seed)
            each = [tw.evaluate(model, one, metrics=METRICS) for one in (split, newest)]
            told = tw.evaluate(model, split, metrics=NEXT, ask="each event")
            hidden = told.n_hidden_targets
            of_seeds.append((told, each[0]))
            found.append(
                [
                    *(told[one] for one in NEXT),
                    *(report[one] for report in each for one in METRICS),
                ]
            )
        next_item, people = zip(*of_seeds, strict=True)
        reports[label] = averaged(next_item), averaged(people)
        took = (time.perf_counter() - began) / len(found)
        rows.append([label, *map(beside.mean_of, np.array(found).T), passes, f"{took:.0f}"])
        sys.stderr.write(f"{name} {' '.join(rows[-1])}\n")
    part = "Measured: the tenth before. " if validate else ""
    suffix = f"_{name}" + beside.option("--name", "") + ("_validation" if validate else "")
    beside.table(
        f"Candidates by time, {name}",
        [
            f"Last tenth of the events test, all before it training: {split.train}; {beside.settings() or 'defaults'}, seeds {SEED} to {SEED + SEEDS - 1} for what draws, with 95 % intervals (t).",
            f"{part}Networks: of at most {(TRAINED | beside.settings())['epochs']} passes over the first eight tenths the one that ranks the ninth best, the median of the seeds, is how long they learn; shown in `passes`.",
            f"Next: each of the {len(split.test):,} events asked for alone, with all that its user did before it ({hidden:,} of items that they had before, which no list names); {together(split.train):.0%} of the events of training have one of the same user and moment before them.",
            f"Newest: the {len(newest.test):,} events of items that came up in the last {NEWEST:.0%} of the training events alone. Seconds to choose, fit and ask twice.",
        ],
        [
            "model", *(f"next: {one}" for one in NEXT), *METRICS, *(f"newest: {one}" for one in METRICS), "passes", "seconds",
        ],
        rows,
        suffix=suffix,
    )  # fmt: skip
    ladder_of(name, reports, suffix)


def averaged(reports: Sequence[tw.Report]) -> tw.Report:
    """Return a report in which what each user adds is the mean over those of several seeds."""
    totals = {
        one: np.mean([report.totals[one] for report in reports], axis=0)
        for one in reports[0].totals
    }
    return replace(reports[0], totals=totals)


def ladder_of(name: str, reports: dict[str, tuple[tw.Report, tw.Report]], suffix: str) -> None:
    """Print how far each depth is from one layer less and from none, over the same people; nothing where fewer than two were measured."""
    depths = [one for one in reports if one in DEPTHS]
    if len(depths) < 2:
        return
    against = {
        one: tuple(
            other for at, other in enumerate(depths[1:], 1) if one in (depths[at - 1], depths[0])
        )
        for one in depths[:-1]
    }
    next_item, people = (
        beside.differences(
            {label: pair[at] for label, pair in reports.items()}, against, ["map@100"], SEED
        )
        for at in range(2)
    )
    beside.table(
        f"Depths of candidates beside each other, {name}",
        [
            f"map@100 of the table of candidates by time ({name}), each person's mean over seeds {SEED} to {SEED + SEEDS - 1}.",
            beside.DIFFERENCES,
        ],
        ["depths", "next item", "people"],
        [[*first, second[1]] for first, second in zip(next_item, people, strict=True)],
        suffix=f"_paired{suffix}",
    )


def watch_time() -> None:
    """Print predicted against true expected watch time by decile, and what the first tenth is worth."""
    rng = np.random.default_rng(SEED)
    data, _, _ = simulated(IMPRESSIONS, rng)
    fresh, p, mean = simulated(200_000, rng)
    events = fresh.interactions
    order = np.lexsort((events.time,)) if events.time is not None else np.arange(len(events))
    user = data.users.ids.rows(fresh.users.ids.ids)[events.user[order]]
    item = data.items.ids.rows(fresh.items.ids.ids)[events.item[order]]
    rows = []
    for label, more in {
        "weighted": {"reg": PENALTY}, "unweighted": {"weighted": False}, "weighted, linear": {"hidden": (), "reg": PENALTY},
    }.items():  # fmt: skip
        estimator = YouTubeRanker(
            batch_size=16_384, learning_rate=0.003, epochs=6, unsaid=0.0, **more
        )
        scores = estimator.fit(data, rng=SEED).score(Queries.known(user), item[:, None])[:, 0]
        best = np.argsort(-scores, kind="stable")
        parts = np.array_split(best[::-1], 10)
        truth = p * mean / (1 - p) if label != "unweighted" else p / (1 - p)
        ratio = [scores[one].mean() / truth[one].mean() for one in parts]
        gain = (p * mean)[best[: len(best) // 10]].mean()
        rows.append([label, *(f"{one:.3f}" for one in ratio), f"{gain:.2f}"])
        sys.stderr.write(" ".join(rows[-1]) + "\n")
    beside.table(
        "Expected watch time of a simulated log",
        [
            f"{IMPRESSIONS:,} impressions in training, 200,000 new ones scored (seed {SEED}); a column a decile of the score, the lowest "
            "first: predicted odds over true odds (1 is right); then the true seconds an impression of the best tenth.",
        ],
        ["model", *(str(one) for one in range(1, 11)), "seconds"],
        rows,
        suffix="_watch_time",
    )


def stages() -> None:
    """Print the loss of rankers of every depth, and what two stages find beside candidates alone, on a simulated log."""
    rng = np.random.default_rng(SEED)
    data, _, _ = simulated(STAGES, rng)
    fresh, _, _ = simulated(20 * PEOPLE, rng, PEOPLE)
    events = fresh.interactions
    user = data.users.ids.rows(fresh.users.ids.ids)[events.user]
    item = data.items.ids.rows(fresh.items.ids.ids)[events.item]
    asked = np.unique(user)
    clicks = data.part(np.flatnonzero(data.interactions.value > 0))
    first = YouTubeCandidates(depth=1).fit(clicks, rng=SEED)
    # Somebody without a click is known to the candidates by their columns alone.
    people = data.users.ids.ids.gather(asked.tolist()).to_list()
    lists = first.recommend(
        features={"taste": [str(one % 4) for one in people]}, k=NAMED, exclude_seen=False
    )
    named = data.items.ids.rows(lists["item"]).reshape(len(asked), NAMED).astype(np.int32)
    truth = seconds_of(np.array(people)[:, None], data.items.ids.ids.to_numpy()[None])
    ndcg = {"candidates alone": gained(truth, named[:, :AT])}
    rows = []
    for label, hidden in LADDER.items():
        ranker = YouTubeRanker(hidden=hidden, learning_rate=0.003, epochs=4, unsaid=0.0).fit(
            data, rng=SEED
        )
        scores = ranker.score(Queries.known(user), item[:, None])[:, 0]
        second = ranker.score(Queries.known(asked), named)
        best = np.take_along_axis(named, np.argsort(-second, axis=1, kind="stable"), axis=1)
        ndcg[label] = gained(truth, best[:, :AT])
        lost = mispredicted(scores, events.value, user)
        more = ndcg[label] - ndcg["candidates alone"]
        rows.append([label, f"{lost:.2%}", f"{ndcg[label].mean():.4f}", beside.paired(more)])
        sys.stderr.write(" ".join(rows[-1]) + "\n")
    alone = f"{ndcg['candidates alone'].mean():.4f}"
    beside.table(
        "Two stages on a simulated log",
        [
            f"{STAGES:,} impressions in training (seed {SEED}). Loss: share of the watch time of {len(item):,} new impressions that is",
            "mispredicted, over pairs of a watched and a passed-by impression of one person (weighted, per-user loss of the paper).",
            f"ndcg@{AT} of {len(asked):,} people, the gain of a video being its true expected seconds: YouTubeCandidates (depth 1, trained",
            f"on the clicks) alone, and its best {NAMED} ordered by the ranker; differences are paired over people.",
        ],
        ["layers of the ranker", "loss", f"ndcg@{AT}", "beside candidates alone"],
        [["no ranker: candidates alone", "", alone, ""], *rows],
        suffix="_stages",
    )  # fmt: skip


def spend() -> None:
    """Print how much of a shop's later spending candidates find, and rankers behind them, with weights and without."""
    validate = "--validation" in sys.argv
    split = tw.split.temporal(
        money(), test=0.1, validation=0.1 if validate else 0.0, repeats="keep"
    )
    train, part = split.train, split.validation if validate else split.test
    assert part is not None
    estimators = [YouTubeCandidates(), PersonalFrequency()]
    fitted = [one.fit(train, rng=SEED) for one in estimators]
    sys.stderr.write("candidates trained\n")
    shown = shown_lists(estimators, train, Pipeline().lists, SHOP, SEED)
    sys.stderr.write(f"{shown.items.shape} shown, {(shown.value > 0).mean():.3f} of them taken\n")
    gains, users = later_value(train, part)
    models: dict[str, tw.FittedModel] = {
        "popularity": Popularity().fit(train),
        "personal frequency": fitted[1],
        "YouTubeCandidates": fitted[0],
        CANDIDATES: Pipeline.join(fitted, depth=SHOP),
    }
    for label, given, weighted in (
        ("ranker from the log, weighted", None, True),
        (UNWEIGHTED, shown, False),
        ("ranker from lists, weighted", shown, True),
    ):
        wide = {"batch_size": 2048} if given is None else {}  # twenty times as many impressions
        ranker = YouTubeRanker(weighted=weighted, **{**wide, **beside.settings()})
        second = ranker.fit(train, rng=SEED, shown=given)
        models[label] = Pipeline.join(fitted, second, depth=SHOP)
        sys.stderr.write(f"{label} trained\n")
    asked = Queries.known(users)
    found = {
        label: worth(gains, rank(one, asked, DEEP, exclude_seen=False).items)
        for label, one in models.items()
    }
    rows = []
    for label, values in found.items():
        means = [f"{values[:, one].mean():.4f}" for one in range(3)]
        beside_candidates = values - found[CANDIDATES]
        rows.append([
            label, *means, beside.paired(beside_candidates[:, 0]), beside.paired(beside_candidates[:, 1]),
            beside.paired((values - found[UNWEIGHTED])[:, 1]),
        ])  # fmt: skip
        sys.stderr.write(" ".join(rows[-1]) + "\n")
    beside.table(
        "Spending in a shop",
        [
            f"online-retail by time, last tenth of the events test, all before it training; pieces times price as watch time; seed {SEED}. {len(users):,}",
            f"people of training who came back; what they bought before may be bought again. value@{DEEP}: share of their later spending on the items",
            f"in a list of {DEEP}; ndcg@{AT} with later spending as gain, and with later purchases. Two stages: the union of the best {SHOP} of each",
            f"of the candidate models, ordered by YouTubeRanker ({beside.settings() or 'defaults; from the log 2,048 a batch'}). Differences are paired over people.",
        ],
        [
            "model", f"value@{DEEP}", f"ndcg@{AT} of spending", f"ndcg@{AT} of purchases",
            "value beside both candidates", "ndcg of spending beside both candidates", "ndcg of spending beside unweighted",
        ],
        rows,
        suffix="_spend",
    )  # fmt: skip


def money() -> tw.Dataset:
    """Return online-retail, its rare people and items left out, with what was paid as the value: pieces times price."""
    data = tw.datasets.load("online-retail").filter(min_user_events=5, min_item_events=10)
    price = data.items.features["UnitPrice"]
    assert isinstance(price, Number)
    events = data.interactions
    return replace(data, interactions=events.with_values(events.value * price.values[events.item]))


def later_value(train: tw.Dataset, part: tw.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return what people of training later spent on items of training, (n, n_items), and their rows (n,)."""
    events = part.interactions
    user = train.users.ids.rows(part.users.ids.ids)[events.user]
    item = train.items.ids.rows(part.items.ids.ids)[events.item]
    kept = (user >= 0) & (item >= 0) & (events.value > 0)
    users, row = np.unique(user[kept], return_inverse=True)
    gains = np.zeros((len(users), train.n_items))
    np.add.at(gains, (row, item[kept]), events.value[kept])
    return gains, users.astype(np.int32)


def worth(gains: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Return value@20 and both ndcg@10 of `lists` (n, 20) for `gains` (n, n_items); shape (n, 3)."""
    value = np.take_along_axis(gains, lists, axis=1).sum(axis=1) / gains.sum(axis=1)
    bought = (gains > 0).astype(np.float64)
    best = lists[:, :AT]
    return np.stack([value, gained(gains, best), gained(bought, best)], axis=1)


def main() -> None:
    """Measure what is asked for."""
    only = beside.option("--only", "")
    asked = [one for one in sys.argv[1:] if one in LOGS] or list(LOGS)
    if only in ("", "candidates"):
        for name in asked:
            candidates(name)
    if only in ("", "ranker", "watch time"):
        watch_time()
    if only in ("", "ranker", "stages"):
        stages()
    if only in ("", "ranker", "spend"):
        spend()


if __name__ == "__main__":
    main()
