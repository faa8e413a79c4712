"""What models make of a log without times whose file is sorted by its item ids: the artists of Last.fm.

``python benchmarks/quality/file_order.py [--seed 0] [--save]``
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import twofold as tw
from twofold import models
from twofold.errors import DataWarning

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
METRICS = ["ndcg@10", "recall@20"]
CONTENDERS: dict[str, Any] = {
    "Popularity": models.Popularity(),
    "IALS": models.IALS(),
    "YouTubeCandidates": models.YouTubeCandidates(),
    'YouTubeCandidates, labels="future"': models.YouTubeCandidates(labels="future"),
    "HRM": models.HRM(),
    "Token2Vec": models.Token2Vec(),
    "GRU4Rec": models.GRU4Rec(),
    "SASRec": models.SASRec(),
}


def main() -> None:
    """Fit every model with its defaults and print what it finds, and whether it warned."""
    data = tw.datasets.load("hetrec-lastfm-2k").filter(min_user_events=5, min_item_events=5)
    split = tw.split.random(data, test=0.1, rng=SEED)
    rows = []
    for label, estimator in CONTENDERS.items():
        began = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", DataWarning)
            model = estimator.fit(split.train, rng=SEED)
        took = time.perf_counter() - began
        values = tw.evaluate(model, split, metrics=METRICS).values
        warned = any("looks sorted" in str(one.message) for one in told)
        found = [f"{values[one]:.4f}" for one in METRICS]
        rows.append([label, *found, "yes" if warned else "", f"{took:.0f}"])
        sys.stderr.write(" ".join(rows[-1]) + "\n")
    beside.table(
        "A log without times, sorted by its ids",
        [
            f"hetrec-lastfm-2k, a random tenth of the pairs tests, {split.train} train; defaults, seed {SEED}; all artists are ranked,",
            "those of training left out. Warned: whether `fit` says that the file looks sorted. Seconds of `fit` on a busy machine.",
        ],
        ["model", *METRICS, "warned", "seconds"],
        rows,
    )


if __name__ == "__main__":
    main()
