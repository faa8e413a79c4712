"""HRM's poolings at the lengths of vectors of Wang et al. (2015), with one vector an item and with two.

``python benchmarks/quality/poolings.py [tafeng online-retail] [--factors 50,100,150] [--vectors one,two] [--seeds 1] [--set reg=0.001,...] [--part validation | --whole] [--users 0] [--save] [--merge]``

The paper orders FPMC < AvgAvg < MaxAvg, AvgMax < MaxMax, the best at every length, with what is bought and what is predicted
sharing the vectors. The last basket of each user is the test, the one before it validation, as in ``baskets.py``; ``--whole`` trains on all before the test.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import twofold as tw
from twofold.models import HRM

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEEDS, USERS = int(beside.option("--seeds", "1")), int(beside.option("--users", "0"))
WHOLE, PART = "--whole" in sys.argv, beside.option("--part", "test")
FACTORS = [int(one) for one in beside.option("--factors", "50,100,150").split(",")]
VECTORS = beside.option("--vectors", "one,two").split(",")
LOGS = ("tafeng", "online-retail")
METRIC, EPOCHS = "f1@5", 20
POOLINGS = {
    "AvgAvg": HRM(items="average", hybrid="average"),
    "MaxAvg": HRM(items="max", hybrid="average"),
    "AvgMax": HRM(items="average", hybrid="max"),
    "MaxMax": HRM(items="max", hybrid="max"),
}
PAIRS = (("AvgAvg", "FPMC"), ("MaxMax", "AvgAvg"), ("MaxMax", "FPMC"))


def measure(estimator: HRM, split: tw.Split) -> np.ndarray:
    """Return the mean over seeds of each person's F1@5, shape (people,)."""
    found = []
    for seed in range(SEEDS):
        model = estimator.fit(split.train, rng=seed)
        report = tw.evaluate(model, split, [METRIC], part=PART, ask="each basket", up_to_date=True)
        found.append(report.per_user[METRIC].to_numpy())
    return np.mean(found, axis=0)


def main(name: str) -> None:
    """Print a table of one log: a row for each length and number of vectors, a column for each model and difference."""
    data = tw.datasets.load(name)
    if USERS:
        kept = np.random.default_rng(0).permutation(data.n_users)[:USERS]
        data = data.part(np.flatnonzero(np.isin(data.interactions.user, kept)).astype(np.int64))
    split = tw.split.last_basket(data, validation=not WHOLE)
    more = {"epochs": EPOCHS, **beside.settings()}
    rows: list[list[str]] = []
    for factors in FACTORS:
        chain = measure(replace(HRM.fpmc(), epochs=EPOCHS, factors=factors), split)
        for vectors in VECTORS:
            found = {"FPMC": chain} | {
                label: measure(replace(one, factors=factors, tied=vectors == "one", **more), split)
                for label, one in POOLINGS.items()
            }
            differences = [beside.paired(found[left] - found[right]) for left, right in PAIRS]
            means = [f"{one.mean():.4f}" for one in found.values()]
            rows.append([f"{factors}, {vectors} an item", *means, *differences])
            sys.stderr.write(f"{' '.join(rows[-1])}\n")
    named = [f"{SEEDS}_seeds"] * (SEEDS > 1)
    named += ["validation"] * (PART == "validation") + ["whole"] * WHOLE
    beside.table(
        f"HRM's poolings, {name}",
        [
            f"{split.train}; {PART} part, last baskets, full ranking, what was bought before is not hidden; {METRIC}; {EPOCHS} epochs, seeds 0 to {SEEDS - 1}; {beside.settings() or 'the rest are defaults'}.",
            "Differences are paired over people, of the means over seeds. FPMC has vectors of its own in all rows.",
        ],
        ["length d, vectors", "FPMC", *POOLINGS, *(f"{left} − {right}" for left, right in PAIRS)],
        rows,
        suffix="_".join(["", name, *named]),
    )  # fmt: skip


if __name__ == "__main__":
    if unknown := set(VECTORS) - {"one", "two"}:
        sys.exit(f"--vectors got {unknown.pop()!r}; allowed: one, two")
    for log in [one for one in sys.argv[1:] if one in LOGS] or LOGS[:1]:
        main(log)
