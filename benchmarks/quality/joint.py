"""JNTM: next place and next new place, jointly and apart and without each part, and what is beyond chance; later friends.

``python benchmarks/quality/joint.py [lbsn2vec-nyc] [--only places|paired|friends] [--rows "joint;trajectories;..."] [--part test] [--seed 0] [--set reg_user=0.3,...] [--reports FOLDER] [--save] [--merge]``

``--rows`` measures some rows, and ``--merge`` keeps the others of the table that is there. Rows with "repeats" have the
person's own visits beside the model's score. The paired table has what is measured in one run,
and with ``--reports`` what earlier runs measured, whose reports stand in that folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

import twofold as tw
from twofold.data import catalogue
from twofold.models import HRM, IALS, JNTM, GRU4Rec, PersonalFrequency, Popularity, Repeats
from twofold.models.sequence.jntm import FittedJNTM
from twofold.models.sequence.repeats import FittedRepeats

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
NAME = "lbsn2vec-nyc"
METRICS = ["recall@1", "recall@5", "recall@10"]
PART = beside.option("--part", "test")
AGAINST = {
    "PersonalFrequency": ("joint", "trajectories", "HRM", "FPMC"),
    "trajectories": ("joint",),
    "popularity + repeats": ("joint + repeats", "trajectories + repeats"),
}
"""Rows, and those whose differences from them are told."""
PAIRS = 20_000
"""Pairs of strangers that new friendships are told apart from, for each in the table of friends."""


def contenders() -> dict[str, Any]:
    """Return the rows of the table of places."""
    more = beside.settings()
    rows: dict[str, Any] = {
        "popularity": Popularity(),
        "IALS": IALS(),
        "PersonalFrequency": PersonalFrequency(),
        "FPMC": HRM.fpmc(),
        "HRM": HRM(),
        "GRU4Rec": GRU4Rec(),
        "popularity + repeats": Repeats(model=Popularity()),
        "joint": JNTM(**more),
        "joint + repeats": Repeats(model=JNTM(**more)),
        "trajectories": JNTM(**more, objective="trajectories"),
        "trajectories + repeats": Repeats(model=JNTM(**more, objective="trajectories")),
        "trajectories, no friends part": JNTM(**more, objective="trajectories", friends=False),
        "network": JNTM(**more, objective="network"),
    }
    for part in ("preference", "friends", "short_term", "long_term"):
        rows[f"joint without {part.replace('_', ' ')}"] = JNTM(**more, **{part: False})
    wanted = beside.option("--rows", "")
    return {name: one for name, one in rows.items() if not wanted or name in wanted.split(";")}


def split_of(data: tw.Dataset) -> tw.Split:
    """Return the last tenth of each user's events as test; validation before it where that is asked for."""
    held = 0.1 if PART == "validation" else 0.0
    return tw.split.last_fraction(data, test=0.1, validation=held, repeats="keep")


def later_friends(data: tw.Dataset) -> np.ndarray:
    """Return the rows of friendships that were not there before, each once, (f, 2)."""
    folder = catalogue.folder(catalogue.ENTRIES[NAME])
    found = loadmat(folder / "dataset_connected_NYC.mat")["friendship_new"].astype(np.int64)
    rows = np.column_stack([data.users.ids.rows(found[:, side].tolist()) for side in (0, 1)])
    rows = np.unique(np.sort(rows[(rows >= 0).all(axis=1) & (rows[:, 0] != rows[:, 1])]), axis=0)
    old = np.sort(np.column_stack([data.links.source, data.links.target]), axis=1)
    known = set(map(tuple, old.tolist()))
    return np.array([one for one in rows.tolist() if tuple(one) not in known])


def friends(model: Any, data: tw.Dataset) -> list[str]:
    """Return AUC of later friendships against random pairs, and recall@5, @10 of lists over people with some."""
    fresh = later_friends(data)
    rng = np.random.default_rng(SEED)
    strangers = rng.integers(0, data.n_users, (PAIRS, 2)).astype(np.int32)
    strangers = strangers[strangers[:, 0] != strangers[:, 1]]
    ids = data.users.ids.ids
    there, other = (
        model.users.ids.rows(ids.gather(one.ravel()).to_list()).reshape(-1, 2)
        for one in (fresh, strangers)
    )
    scores = np.concatenate([model.link_scores(there), model.link_scores(other)])
    ranks = np.argsort(np.argsort(scores, kind="stable")) + 1.0
    n = len(there)
    auc = (ranks[:n].sum() - n * (n + 1) / 2) / (n * len(other))
    wanted: dict[int, set[int]] = {}
    for a, b in there.tolist():
        wanted.setdefault(a, set()).add(b)
        wanted.setdefault(b, set()).add(a)
    people = sorted(wanted)
    known = model.users.ids.ids
    lists = model.recommend_friends(known.gather(people).to_list(), k=10)
    found = model.users.ids.rows(lists["friend"].to_list()).reshape(len(people), 10).tolist()
    recalls = [
        np.mean([len(wanted[who] & set(mine[:k])) / len(wanted[who]) for who, mine in zip(people, found, strict=True)])
        for k in (5, 10)
    ]  # fmt: skip
    return [f"{one:.4f}" for one in (auc, *recalls)]


def main() -> None:
    """Measure what is asked for."""
    only = beside.option("--only", "")
    data = tw.datasets.load(NAME)
    split = split_of(data)
    places: list[list[str]] = []
    social: list[list[str]] = []
    reports: dict[str, tw.Report] = {}
    for label, estimator in contenders().items():
        began = time.perf_counter()
        model = estimator.fit(split.train, rng=SEED)
        took = f"{time.perf_counter() - began:.0f}"
        if only != "friends":
            reports[label] = tw.evaluate(model, split, METRICS, part=PART, ask="each event")
        if only in ("", "places"):
            new = tw.evaluate(model, split, METRICS, part=PART, ask="each event", new="training")
            row = [f"{one.values[name]:.4f}" for one in (reports[label], new) for name in METRICS]
            places.append([label, *row, took])
            sys.stderr.write(" ".join(places[-1]) + "\n")
        inner = model.base if isinstance(model, FittedRepeats) else model
        if only in ("", "friends") and isinstance(inner, FittedJNTM) and len(inner.context_vectors):
            social.append([label, *friends(inner, data), took])
            sys.stderr.write(" ".join(social[-1]) + "\n")
    if places:
        beside.table(
            "Next places of New York",
            [
                f"{NAME}, the last tenth of each user's check-ins ({PART}), each asked for with the history and the "
                f"time that it had; {split.train}; defaults, seed {SEED}; means over events. New: places that the "
                "user did not visit in training, the others left out of the lists. + repeats: own visits beside the score.",
            ],
            ["model", *METRICS, *(f"new {one}" for one in METRICS), "seconds"],
            places,
            suffix="_places",
        )
    pairs = (
        beside.differences(beside.kept(reports), AGAINST, METRICS, SEED)
        if only in ("", "paired")
        else []
    )
    if pairs:
        beside.table(
            "Next places of New York, paired",
            [
                f"{NAME}, the last tenth of each user's check-ins ({PART}), each asked for with the history and the "
                f"time that it had; {split.train}; defaults, seed {SEED}. {beside.DIFFERENCES}",
            ],
            ["difference", *METRICS],
            pairs,
            suffix="_paired",
        )
    if social:
        beside.table(
            "Later friends in New York",
            [
                f"{NAME}, friendships that came later against {PAIRS:,} random pairs, and lists of new friends of those who "
                f"have some; trained on the first part of the check-ins and the friendships before; seed {SEED}."
            ],
            ["model", "auc", "recall@5", "recall@10", "seconds"],
            social,
            suffix="_friends",
        )


if __name__ == "__main__":
    main()
