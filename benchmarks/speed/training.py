"""Training to the same accuracy, and per pass, beside the peers on the same log.

``python benchmarks/speed/training.py [--events N] [--only WORD] [--runs N] [--save]``: a generated log of
the shape of MovieLens (1,000,000 events, or 20,000,000 with ``--events 20000000``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import twofold as tw
from twofold.data.synthetic import movielens_like
from twofold.models.factorization.fm import FM, MCMC, SGD

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

MILLION = 1_000_000
SHAPES = {MILLION: (6_040, 3_706), 20 * MILLION: (138_000, 27_000)}
SPLIT = {"test": 0.1, "rng": 0}
LADDER = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Multiples of a peer's passes that are tried, until ours is as accurate."""
AS_GOOD = 1e-3
"""Accuracies that differ by less than this share are called equal."""
FEATURES = {"age": 7, "occupation": 21, "gender": 2, "genre": 18}
"""Categories that FM reads beside the ids, with their numbers of levels."""


@dataclass(frozen=True)
class Job:
    """What is trained: passes, dimensions, our estimator, and the peers that do the same."""

    name: str
    metric: str
    passes: int
    dimensions: tuple[int, ...]
    make: Callable[[int, int], Any]
    peers: tuple[str, ...]
    features: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (MILLION, 20 * MILLION)
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


def chain(passes: int) -> MCMC:
    """Return a chain that keeps the later half of its sweeps, as myFM does."""
    burn_in = passes // 2
    return MCMC(burn_in=burn_in, samples=passes - burn_in, thin=1)


def fm(
    learner: Any, names: tuple[str, ...] = (), init_scale: float = 0.1
) -> Callable[[int, int], FM]:
    """Return a factory of factorization machines with a learner of so many passes."""
    return lambda d, n: FM(
        factors=d, learner=learner(n), features=names, user_history=False, item_history=False,
        init_scale=init_scale,
    )  # fmt: skip


JOBS = (
    Job(
        "explicit MF, SGD",
        "rmse",
        20,
        (64,),
        lambda d, n: tw.models.BiasedMF(
            factors=d, epochs=n, learning_rate=0.01, reg=0.02, init_scale=0.01
        ),
        ("cornac MF",),
        settings={"rate": 0.01, "reg": 0.02},
    ),
    Job(
        "explicit MF, SGD",
        "rmse",
        20,
        (64,),
        lambda d, n: tw.models.BiasedMF(factors=d, epochs=n, learning_rate=0.01, reg=0.02),
        ("Surprise SVD",),
        sizes=(MILLION,),
        settings={"rate": 0.01, "reg": 0.02},
    ),
    Job(
        "BPR",
        "ndcg@10",
        20,
        (64,),
        lambda d, n: tw.models.BPR(
            factors=d,
            epochs=n,
            learning_rate=0.05,
            reg_user=0.01,
            reg_positive=0.01,
            reg_negative=0.01,
        ),
        ("cornac BPR", "implicit BPR"),
        sizes=(MILLION,),  # cornac alone needs an hour for 20 million events
        settings={"rate": 0.05, "reg": 0.01},
    ),
    Job(
        "implicit ALS (Hu 2008)",
        "ndcg@10",
        8,
        (64, 128),
        lambda d, n: tw.models.IALS(
            factors=d, epochs=n, alpha=1, unobserved_weight=1, zeros="unobserved", nu=0, reg=30
        ),
        ("implicit ALS",),
        settings={"weight": 2, "reg": 30},
    ),
    Job(
        "implicit ALS (Rendle 2022)",
        "ndcg@10",
        8,
        (64, 128),
        lambda d, n: tw.models.IALS(factors=d, epochs=n, reg=0.01, unobserved_weight=0.3),
        ("irspack IALS",),
        sizes=(MILLION,),
        settings={"weight": 0.3, "reg": 0.01},
    ),
    Job(
        "implicit ALS (Rendle 2022)",
        "ndcg@10",
        8,
        (64, 128),
        lambda d, n: tw.models.IALS(factors=d, epochs=n, reg=0.003, unobserved_weight=0.3),
        ("irspack IALS",),
        sizes=(20 * MILLION,),
        settings={"weight": 0.3, "reg": 0.003},
    ),
    Job(
        "FM, SGD",
        "rmse",
        10,
        (8, 64),
        fm(lambda n: SGD(epochs=n, reg_w=0.005, reg_v=0.02), tuple(FEATURES), init_scale=0.03),
        ("xLearn FM",),
        features=tuple(FEATURES),
        sizes=(MILLION,),
        settings={"rate": 0.2, "reg": 2e-5},
    ),
    Job(
        "FM, MCMC",
        "rmse",
        20,
        (8, 32),
        fm(chain, tuple(FEATURES)),
        ("myFM",),
        features=tuple(FEATURES),
        sizes=(MILLION,),
    ),
    Job("FM, MCMC on ids", "rmse", 20, (8, 32), fm(chain), ("myFM",), sizes=(MILLION,)),
)


def featured(data: tw.Dataset) -> tw.Dataset:
    """Return the log with categories drawn at random, for the work that they make."""
    rng = np.random.default_rng(1)

    def frame(ids: pl.Series, id_name: str, names: tuple[str, ...]) -> pl.DataFrame:
        drawn = {one: rng.integers(0, FEATURES[one], len(ids)).astype(str) for one in names}
        return pl.DataFrame({id_name: ids, **drawn})

    return tw.Dataset.from_frames(
        data.frame("interactions"),
        user="user",
        item="item",
        value="value",
        users=frame(data.users.ids.ids, "user", ("age", "occupation", "gender")),
        items=frame(data.items.ids.ids, "item", ("genre",)),
    )


def without_values(data: tw.Dataset) -> tw.Dataset:
    """Return the log as pairs: every value 1."""
    events = data.interactions
    ones = replace(events, value=np.ones(len(events), np.float32), has_value=False)
    return replace(data, interactions=ones)


def arrays(split: tw.Split) -> dict[str, np.ndarray]:
    """Return the training log, the pairs of the test part and the features, in rows of training."""
    train, test = split.train, split.test
    log = train.interactions
    users = train.users.ids.rows(test.users.ids.ids)[test.interactions.user]
    items = train.items.ids.rows(test.items.ids.ids)[test.interactions.item]
    known = (users >= 0) & (items >= 0)
    made = {
        "user": log.user,
        "item": log.item,
        "value": log.value,
        "test_user": users[known],
        "test_item": items[known],
    }
    for side in (train.users, train.items):
        made |= {f"feature_{n}": c.codes for n, c in side.features.items() if n in FEATURES}
    return made


def accuracy(found: dict[str, Any], split: tw.Split, metric: str) -> float:
    """Return what a peer reached on the test part."""
    if metric == "rmse":
        test = split.test.interactions.value
        given = arrays(split)
        users = split.train.users.ids.rows(split.test.users.ids.ids)[split.test.interactions.user]
        items = split.train.items.ids.rows(split.test.items.ids.ids)[split.test.interactions.item]
        known = (users >= 0) & (items >= 0)
        assert len(given["test_user"]) == known.sum() == len(found["score"])
        low, high = split.train.value_range
        predicted = np.full(len(test), split.train.interactions.value.mean())
        predicted[known] = np.clip(found["score"], low, high)
        return float(np.sqrt(np.mean((predicted - test) ** 2)))
    fitted = beside.given(found["users"], found["items"], split.train)
    return float(tw.evaluate(fitted, split, [metric])[metric])


def as_good(own: float, other: float, metric: str) -> bool:
    """Say whether our accuracy is no worse than the peer's."""
    if metric == "rmse":
        return own <= other * (1 + AS_GOOD)
    return own >= other * (1 - AS_GOOD)


def ours(job: Job, d: int, passes: int, split: tw.Split) -> tuple[float, float]:
    """Train ours once; return seconds and accuracy."""
    estimator = job.make(d, passes)
    began = time.perf_counter()
    fitted = estimator.fit(split.train, rng=0)
    seconds = time.perf_counter() - began
    return seconds, float(tw.evaluate(fitted, split, [job.metric])[job.metric])


def race(job: Job, d: int, peer: str, split: tw.Split, runs: int) -> list[str]:
    """Return the row of one peer: both as accurate, and both for as many passes."""
    given = arrays(split)
    settings = {"n_users": split.train.n_users, "n_items": split.train.n_items, **job.settings}
    job.make(d, 1).fit(split.train, rng=0)
    found = beside.ask(
        "speed", given, name=peer, factors=d, epochs=job.passes, answer=True, **settings
    )
    if isinstance(found, str):
        return [job.name, str(d), peer, found, "", "", "", ""]
    theirs = accuracy(found, split, job.metric)
    same, own = ours(job, d, job.passes, split)
    enough = next(
        (
            passes
            for passes in dict.fromkeys(max(1, round(job.passes * one)) for one in LADDER)
            if as_good(ours(job, d, passes, split)[1], theirs, job.metric)
        ),
        None,
    )
    other, equal, reached = [found["seconds"]], [same], list[float]()
    for run in range(runs):
        if enough is not None:
            reached.append(ours(job, d, enough, split)[0])
        if run:
            equal.append(ours(job, d, job.passes, split)[0])
            again = beside.ask("speed", given, name=peer, factors=d, epochs=job.passes, **settings)
            assert not isinstance(again, str), again
            other.append(again["seconds"])
    sys.stderr.write(
        f"{job.name} d={d} {peer}: {np.median(other):.2f} s to {theirs:.4f}; ours "
        f"{np.median(equal):.2f} s to {own:.4f} in {job.passes} passes; as good after {enough}"
        f" passes, {np.median(reached) if reached else float('nan'):.2f} s\n"
    )
    spread = f"{min(other) / max(equal):.1f} to {max(other) / min(equal):.1f}"
    return [
        job.name,
        str(d),
        peer,
        f"{job.metric} {theirs:.4f} / {own:.4f}",
        f"{np.median(other) / np.median(equal):.1f}",
        spread,
        "never" if enough is None else f"{np.median(other) / np.median(reached):.1f}",
        f"{job.passes} / {enough or '-'}",
    ]


def main() -> None:
    """Time and print the table."""
    events = int(beside.option("--events", str(MILLION)))
    runs = int(beside.option("--runs", "3"))
    only = beside.option("--only", "")
    data = movielens_like(*SHAPES[events], events, rng=0)
    splits: dict[tuple[bool, bool], tw.Split] = {}
    rows: list[list[str]] = []
    for job in JOBS:
        if events not in job.sizes or only.lower() not in f"{job.name} {job.peers}".lower():
            continue
        key = bool(job.features), job.metric == "rmse"
        if key not in splits:
            log = featured(data) if job.features else data
            log = log if job.metric == "rmse" else without_values(log)
            splits[key] = tw.split.random(log, **SPLIT)
        rows += [race(job, d, one, splits[key], runs) for d in job.dimensions for one in job.peers]
    popularity = {
        "popularity": tw.models.Popularity(),
        "biases alone": tw.models.BiasedMF(factors=1, epochs=20, init_scale=1e-9, reg=0.02),
    }
    floors = [
        f"{name} {tw.evaluate(one.fit(split.train, rng=0), split, [metric])[metric]:.4f} ({metric})"
        for (_, rated), split in splits.items()
        for name, one in popularity.items()
        for metric in ["rmse" if rated else "ndcg@10"]
        if rated == (name == "biases alone")
    ]
    beside.table(
        f"Training speed, {events:,} events",
        [
            f"A generated log of {data.n_users:,} users, {data.n_items:,} items and {len(data):,} ratings (seed 0), of which a",
            "random tenth is held out. Both train on two cores with the same dimensions, step and penalty; medians of",
            f"{runs} runs that alternate, after one pass that is not counted; building a peer's data set is not counted.",
            "`peer / twofold` says how many times as long the peer takes: for the same number of passes (`range`: what",
            "the slowest and fastest runs would give), and until ours is as accurate as the peer is then (to 0.1 %).",
            f"For scale: {'; '.join(dict.fromkeys(floors))}.",
        ],
        [
            "training", "d", "peer", "peer's / our accuracy", "peer / twofold, same passes", "range",
            "peer / twofold, same accuracy", "passes",
        ],
        rows,
        suffix="" if events == MILLION else f"-{events // MILLION}m",
    )  # fmt: skip


if __name__ == "__main__":
    main()
