"""The next basket: HRM's ladder of Wang et al. (2015) beside popularity and personal frequency, with one vector an item and with two.

``python benchmarks/quality/baskets.py [tafeng online-retail] [--users 0] [--epochs 20] [--factors 50] [--seed 0] [--set reg=0.001,...] [--part validation | --whole] [--rows "TOP;HRM MaxMax"] [--reports FOLDER] [--save] [--merge]``

The last basket of each user is the test, the one before it validation (nothing is trained on either); the test is
asked with the validation basket as the last one. ``--whole`` trains on all before the test, as the paper does, in a table of its own. ``--users n`` keeps n users, for a quick look, and has a table of its own; ``--merge`` keeps the
rows of the table that is there that are not measured now. Rows with "repeats" have the person's own baskets beside the
model's score, by weights that are learned inside the training part. The paired table has what is measured in one run, and with
``--reports`` what earlier runs measured, whose reports stand in that folder.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.decomposition import NMF

import twofold as tw
from twofold.models import BPR, HRM, IALS, PersonalFrequency, Popularity, Repeats

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
USERS = int(beside.option("--users", "0"))
WHOLE = "--whole" in sys.argv
PART = beside.option("--part", "test")
LOGS = ("tafeng", "online-retail")
METRICS = ["f1@5", "hit@5", "ndcg@5"]
COMMON: dict[str, Any] = {
    "epochs": int(beside.option("--epochs", "20")),
    "factors": int(beside.option("--factors", "50")),
    **beside.settings(),
}
TWO: dict[str, Any] = {"tied": False}
"""An item has one vector where it was bought and one where it is predicted; the paper writes one for both."""
LADDER: dict[str, Any] = {
    "TOP": Popularity(),
    "personal frequency": PersonalFrequency(),
    "personal frequency, half-life 5 baskets": PersonalFrequency(half_life=5),
    "MC (HRM, basket alone)": HRM(**{"dropout": 0.1, **COMMON}, items="average", hybrid="basket"),
    "MF (HRM, user alone)": HRM(**COMMON, hybrid="user"),
    "MF (IALS)": IALS(factors=COMMON["factors"]),
    "MF (BPR)": BPR(factors=COMMON["factors"]),
    "FPMC (HRM side by side, BPR)": replace(HRM.fpmc(), **COMMON),
    "HRM AvgAvg": HRM(**COMMON, items="average", hybrid="average"),
    "HRM MaxAvg": HRM(**COMMON, items="max", hybrid="average"),
    "HRM AvgMax": HRM(**COMMON, items="average", hybrid="max"),
    "HRM MaxMax": HRM(**COMMON, items="max", hybrid="max"),
    "MC, two vectors an item": HRM(
        **{"dropout": 0.1, **COMMON, **TWO}, items="average", hybrid="basket"
    ),
    "HRM AvgAvg, two vectors": HRM(**COMMON, **TWO, items="average", hybrid="average"),
    "HRM MaxAvg, two vectors": HRM(**COMMON, **TWO, items="max", hybrid="average"),
    "HRM AvgMax, two vectors": HRM(**COMMON, **TWO, items="average", hybrid="max"),
    "HRM MaxMax, two vectors": HRM(**COMMON, **TWO, items="max", hybrid="max"),
    "TOP + repeats": Repeats(model=Popularity()),
    "IALS + repeats": Repeats(model=IALS(factors=COMMON["factors"])),
    "HRM AvgAvg + repeats": Repeats(model=HRM(**COMMON, items="average", hybrid="average")),
    "HRM MaxMax + repeats": Repeats(model=HRM(**COMMON, items="max", hybrid="max")),
}
POOLINGS = ("HRM MaxAvg", "HRM AvgMax", "HRM MaxMax")
AGAINST = {
    "HRM AvgAvg": POOLINGS,
    "FPMC (HRM side by side, BPR)": ("HRM AvgAvg", "HRM AvgAvg, two vectors"),
    "HRM AvgAvg, two vectors": tuple(f"{one}, two vectors" for one in POOLINGS),
    "HRM AvgMax, two vectors": ("HRM MaxMax, two vectors",),
    "HRM MaxAvg, two vectors": ("HRM MaxMax, two vectors",),
    "MF (HRM, user alone)": ("HRM AvgAvg", *POOLINGS),
    "TOP + repeats": ("HRM AvgAvg + repeats", "HRM MaxMax + repeats"),
}
"""Rows, and those whose differences from them are told in the paired table."""
NMF_ROW = "NMF (scikit-learn), as trained"


def main(name: str) -> None:
    """Print the ladder of one log."""
    data = tw.datasets.load(name)
    if USERS:
        events = data.interactions
        kept = np.random.default_rng(SEED).permutation(data.n_users)[:USERS]
        data = data.part(np.flatnonzero(np.isin(events.user, kept)).astype(np.int64))
    split = tw.split.last_basket(data, validation=not WHOLE)
    rows: list[list[str]] = []
    reports: dict[str, tw.Report] = {}

    def put(label: str, model: tw.FittedModel, seconds: float, *, told: bool = True) -> None:
        report = tw.evaluate(model, split, METRICS, part=PART, ask="each basket", up_to_date=told)
        reports[label] = report
        cells = []
        for one in METRICS:
            low, high = report.intervals[one]
            cells.append(f"{report[one]:.4f} ±{(high - low) / 2:.4f}")
        rows.append([label, *cells, f"{seconds:.0f}"])
        sys.stderr.write(f"{' '.join(rows[-1])}\n")

    wanted = beside.option("--rows", "").split(";")
    for label, estimator in LADDER.items():
        if wanted != [""] and label not in wanted:
            continue
        began = time.perf_counter()
        model = estimator.fit(split.train, rng=SEED)
        put(label, model, time.perf_counter() - began)
    if wanted == [""] or NMF_ROW in wanted:
        began = time.perf_counter()
        factorized = nmf(split.train)
        put(NMF_ROW, factorized, time.perf_counter() - began, told=False)
    suffix = f"_{name}" + (f"_{USERS}_users" if USERS else "") + ("_whole" if WHOLE else "")
    held = split.validation if PART == "validation" else split.test
    beside.table(
        f"The next basket, {name}",
        [
            f"{split.train}; {PART} part, {len(held):,} events of {held.n_users:,} baskets; full ranking, what was bought "
            f"before is not hidden; ±: half the 95 % bootstrap interval over users; d = {COMMON['factors']}, "
            f"{COMMON['epochs']} epochs, seed {SEED}; {beside.settings() or 'the rest are defaults'}."
        ],
        ["model", *METRICS, "seconds"],
        rows,
        suffix=suffix,
    )
    pairs = beside.differences(beside.kept(reports), AGAINST, METRICS, SEED)
    if pairs:
        title = f"The next basket, {name}, paired"
        note = f"{split.train}; {PART} part, as in the table of all rows. {beside.DIFFERENCES}"
        beside.table(title, [note], ["difference", *METRICS], pairs, suffix=f"{suffix}_paired")


def nmf(train: tw.Dataset) -> tw.FittedModel:
    """Return scikit-learn's nonnegative factors of who has what."""
    learner = NMF(COMMON["factors"], init="nndsvda", random_state=SEED, max_iter=200)
    counts = train.interactions.matrix()
    counts.data[:] = 1
    users = learner.fit_transform(csr_matrix(counts)).astype(np.float32)
    return beside.given(users, learner.components_.T.astype(np.float32), train)


if __name__ == "__main__":
    for log in [one for one in sys.argv[1:] if one in LOGS] or LOGS[:1]:
        main(log)
