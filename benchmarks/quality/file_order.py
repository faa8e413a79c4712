"""What models make of a log without times whose file is sorted by its item ids (the artists of Last.fm), and of its events shuffled.

``python benchmarks/quality/file_order.py [--seed 0] [--save]``
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold import models
from twofold.data.file_order import in_drawn_order
from twofold.errors import DataWarning

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
METRICS = ["ndcg@10", "recall@20"]
CONTENDERS: dict[str, Any] = {
    "Popularity": models.Popularity(),
    "IALS": models.IALS(),
    "YouTubeCandidates": models.YouTubeCandidates(),
    "YouTubeRanker": models.YouTubeRanker(),
    "HRM": models.HRM(),
    "Token2Vec": models.Token2Vec(),
    "GRU4Rec": models.GRU4Rec(),
    "SASRec": models.SASRec(),
}


def main() -> None:
    """Fit every model with its defaults on both, and print what it finds and whether it warned."""
    data = tw.datasets.load("hetrec-lastfm-2k").filter(min_user_events=5, min_item_events=5)
    split = tw.split.random(data, test=0.1, rng=SEED)
    shuffled = in_drawn_order(split.train, np.random.default_rng(SEED))
    rows = []
    for label, estimator in CONTENDERS.items():
        row = [label]
        for train in (split.train, shuffled):
            began = time.perf_counter()
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", DataWarning)
                model = estimator.fit(train, rng=SEED)
            took = time.perf_counter() - began
            values = tw.evaluate(model, split, metrics=METRICS).values
            warned = any("looks sorted" in str(one.message) for one in told)
            row += [*(f"{values[one]:.4f}" for one in METRICS), "yes" if warned else ""]
        rows.append([*row, f"{took:.0f}"])
        sys.stderr.write(" ".join(rows[-1]) + "\n")
    beside.table(
        "A log without times, sorted by its ids",
        [
            f"hetrec-lastfm-2k, a random tenth of the pairs tests, {split.train} train; defaults, seed {SEED}; all artists are ranked,",
            "those of training left out. Shuffled: the same events, those of a person in random order. Warned: whether `fit` says",
            "that the file looks sorted. Seconds of one `fit` on a busy machine.",
        ],
        [
            "model", *METRICS, "warned", *(f"shuffled: {one}" for one in METRICS), "warned", "seconds",
        ],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
