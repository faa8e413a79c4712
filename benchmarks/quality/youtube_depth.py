"""Features by depth as in Fig. 6 of Covington et al. (2016): candidates of a watch log whose truth is known.

``python benchmarks/quality/youtube_depth.py [--events 200000] [--seed 0] [--set NAME=VALUE,...] [--validation] [--rows NAME;...] [--curves] [--save] [--merge]``

What somebody watches next depends on a taste that the watches show, on what they search for, on how new a video is, and on where, when and on
what they watch: every triple of country, part of the day and device has topics of its own, which no sum of three parts is.
With ``--curves``: the training loss of every pass and the units that are never above 0, by depth.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.data.queries import Queries
from twofold.models import Popularity, YouTubeCandidates

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

EVENTS, SEED = int(beside.option("--events", "200000")), int(beside.option("--seed", "0"))
USERS, ITEMS, TOPICS, WORDS = EVENTS // 50, 1000, 40, 12
COUNTRIES, PARTS, DEVICES = 10, 6, 4
TASTE, PLACE, SAID, FRESH = 1.2, 2.0, 0.4, 0.15
"""Spread of tastes and of the topics of a triple; how often one searches first; how fast a video ages, as a share of the time."""
HELD = 0.05
"""Share of the events, the last ones, that test, and of those before them that validate."""
METRIC = "map@100"
DEPTHS = range(5)
SEARCHES: dict[str, Any] = {"searches": "said", "search_tokens": 1}
FEATURES: dict[str, dict[str, Any]] = {
    "watches only": {"features": (), "example_age": False},
    "+ searches": {"features": (), "example_age": False, **SEARCHES},
    "+ example age": {"features": (), **SEARCHES},
    "all features": SEARCHES,
    "all features, layer norm": {**SEARCHES, "layer_norm": True},
}
TRAINED: dict[str, Any] = {"epochs": 25, "patience": 8}
"""Every network learns until validation falls."""


def simulated(rng: np.random.Generator) -> tw.Dataset:
    """Return a log of EVENTS watches in the order of their times."""
    user = rng.integers(0, USERS, EVENTS)
    part, device = rng.integers(0, PARTS, EVENTS), rng.integers(0, DEVICES, EVENTS)
    country = rng.integers(0, COUNTRIES, USERS)
    taste = TASTE * rng.normal(size=(USERS, TOPICS))
    place = PLACE * rng.normal(size=(COUNTRIES, PARTS, DEVICES, TOPICS))
    logit = taste[user] + place[country[user], part, device]
    topic = (logit + rng.gumbel(size=logit.shape)).argmax(1)
    word = topic * WORDS + rng.integers(0, WORDS, EVENTS)
    quality, uploaded = 0.5 * rng.normal(size=ITEMS), rng.uniform(-1, 1, ITEMS)
    item = np.empty(EVENTS, np.int64)
    for moment in range(
        200
    ):  # the videos of a topic, each as likely as its quality and its age make it
        now = np.arange(moment * EVENTS // 200, (moment + 1) * EVENTS // 200)
        age = moment / 200 - uploaded
        score = np.where(age >= 0, quality - age / FRESH, -np.inf)
        score = np.where(np.arange(ITEMS) % TOPICS == topic[now, None], score, -np.inf)
        item[now] = (score + rng.gumbel(size=score.shape)).argmax(1)
    return tw.Dataset.from_frames(
        {
            "u": user, "i": item, "t": np.arange(EVENTS),
            "part": [f"part {one}" for one in part], "device": [f"device {one}" for one in device],
            "said": said_by(user, np.where(rng.random(EVENTS) < SAID, word, -1)),
        },
        user="u", item="i", time="t", context={"part": "category", "device": "category", "said": "text"},
        users={"u": range(USERS), "country": [f"country {one}" for one in country]}, user_features={"country": "category"},
    )  # fmt: skip


def said_by(user: np.ndarray, word: np.ndarray) -> list[str]:
    """Return the text of every event: in training what is searched for after it, later on the last search before it.

    word (n,) is what was searched for before the event, -1 for nothing. The model learns from what was said up to the event before,
    and is told the last search when it is asked.
    """
    last, after = np.full(USERS, -1), np.full(len(word), -1)
    before, latest = np.full(USERS, -1), np.full(len(word), -1)
    for at, (who, one) in enumerate(zip(user, word)):
        if before[who] >= 0:
            after[before[who]] = one
        last[who] = one if one >= 0 else last[who]
        before[who], latest[at] = at, last[who]
    asked = np.arange(len(word)) >= round(len(word) * (1 - 2 * HELD))
    return [f"word{one}" if one >= 0 else "" for one in np.where(asked, latest, after)]


class Losses(logging.Handler):
    """Keeps the training loss that the loop logs after each pass."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take the loss out of the record; other records are passed over."""
        if "loss" in str(record.msg) and isinstance(record.args, tuple):
            self.found.append(float(str(record.args[3])))


def silent(model: tw.FittedModel, train: tw.Dataset) -> str:
    """Return for each ReLU layer the share of its units that no user of training raises above 0."""
    block = model.inputs(Queries.known(np.arange(train.n_users, dtype=np.int32)))  # pyright: ignore[reportAttributeAccessIssue]
    weights, shares = dict(model.weights), []  # pyright: ignore[reportAttributeAccessIssue]
    for last in range(model.estimator.depth):
        kept = {
            name: one
            for name, one in weights.items()
            if not name.startswith("layers.") or int(name.split(".")[2]) <= last
        }
        u = replace(model, weights=kept).forward(block)  # pyright: ignore[reportAttributeAccessIssue]
        shares.append(f"{(u.max(axis=0) == 0).mean():.0%}")
    return " ".join(shares)


def curves(split: tw.Split, wanted: list[str]) -> None:
    """Print the training loss of every pass and the silent units, by features and depth; nothing stops early."""
    log, rows = logging.getLogger("twofold.nn.loop"), []
    log.setLevel(logging.DEBUG)
    log.propagate = False
    for label in wanted:
        for depth in DEPTHS:
            told = Losses()
            log.addHandler(told)
            estimator = YouTubeCandidates(depth=depth, **FEATURES[label], **beside.settings())
            model = estimator.fit(split.train, rng=SEED)
            log.removeHandler(told)
            losses = " ".join(f"{one:.3f}" for one in told.found)
            rows.append([f"{label}, depth {depth}", losses, silent(model, split.train)])
            sys.stderr.write(" | ".join(rows[-1]) + "\n")
    beside.table(
        "Training loss by depth on a simulated watch log",
        [
            f"{split.train}; {beside.settings() or 'defaults'}, seed {SEED}. Loss: mean -ln P over each pass, while it is trained. Silent: units of each layer,",
            "from the input on, that are above 0 for none of the users as they are served.",
        ],
        ["features and depth", "loss of each pass", "silent units"],
        rows,
        suffix="_curves",
    )


def main() -> None:
    """Fit every depth on every set of features, and print what each finds."""
    split = tw.split.temporal(
        simulated(np.random.default_rng(SEED)), test=HELD, validation=HELD, repeats="keep"
    )
    asked = (
        replace(split, test=split.validation, validation=None)
        if "--validation" in sys.argv
        else split
    )
    wanted = [one for one in beside.option("--rows", "").split(";") if one] or list(FEATURES)
    if "--curves" in sys.argv:
        curves(split, wanted)
        return

    def found(model: tw.FittedModel) -> float:
        report = tw.evaluate(model, asked, metrics=[METRIC], ask="each event", exclude_seen=False)
        return report.values[METRIC]

    popular = found(Popularity().fit(split.train))
    rows = []
    for label in wanted:
        cells, began = [], time.perf_counter()
        for depth in DEPTHS:
            estimator = YouTubeCandidates(
                depth=depth, **{**TRAINED, **FEATURES[label], **beside.settings()}
            )
            model = estimator.fit(split.train, validation=split.validation, rng=SEED)
            cells.append(f"{100 * found(model):.2f}")
            sys.stderr.write(f"{label}, depth {depth}: {cells[-1]}\n")
        rows.append([label, *cells, f"{time.perf_counter() - began:.0f}"])
    beside.table(
        "Features by depth on a simulated watch log",
        [
            f"{METRIC} in percent of the {len(asked.test):,} last events, each asked for alone; {split.train} before; {beside.settings() or 'defaults'}, at most {TRAINED['epochs']} passes, seed {SEED};",
            f"popularity has {100 * popular:.2f}. Seconds of a busy machine.",
        ],
        ["features", *(f"depth {depth}" for depth in DEPTHS), "seconds"],
        rows,
    )


if __name__ == "__main__":
    main()
