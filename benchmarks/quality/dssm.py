"""Articles and products that nobody has touched, found by their words: the ladder of DSSM.

``python benchmarks/quality/dssm.py [--data citeulike-t] [--users 0] [--only NAME,NAME] [--seed 0] [--validation] [--save] [--merge]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

import twofold as tw
from twofold.features.design import unit_rows
from twofold.features.text import BagOfWords

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DATA, USERS = beside.option("--data", "citeulike-t"), int(beside.option("--users", "0"))
SEED = int(beside.option("--seed", "0"))
CONTENT = {"citeulike-t": "words", "online-retail": "Description"}[DATA]
WIDE, PASSES = {"citeulike-t": (1200, 3), "online-retail": (600, 2)}[DATA]
ORDER = {
    "citeulike-t": [
        "The words of an article are a bag, which the convolution reads in the order of the alphabet: its windows see no phrases."
    ],
    "online-retail": [],
}[DATA]
"""What a reader of the convolution's row should know."""
HELD, AT, DEEPEST = 0.15, 10, 100
LINEAR = {"kind": "dense", "hidden": (), "activation": "identity", "start": "components"}
SHARED: dict[str, Any] = {
    "content": CONTENT,
    "towers": "shared",
    "weight": "bm25",
    "drawn": "batch",
    "dealt": "people",
    "negatives": 500,
    "factors": 600,
    "epochs": 4,
    "batch_size": 512,
    "optimiser": {"method": "adam", "learning_rate": 3e-4},
}
LADDER: dict[str, dict[str, Any]] = {
    "DSSM linear on words": {"inputs": "words", "encoder": LINEAR},
    "DSSM linear on tri-grams": {"encoder": LINEAR},
    "DSSM deep on tri-grams": {
        "encoder": {"kind": "dense", "hidden": (WIDE,), "start": "components"},
        "factors": WIDE,
        "gamma": 20,
        "epochs": PASSES,
    },
    "DSSM convolution on tri-grams": {
        "encoder": {"kind": "convolution"},
        "factors": 128,
        "epochs": 2,
    },
    "DSSM the paper's settings": {
        "encoder": {"kind": "dense", "start": "drawn"},
        "towers": "separate",
        "weight": "count",
        "drawn": "each",
        "dealt": "pairs",
        "negatives": 4,
        "factors": 128,
        "batch_size": 1024,
        "optimiser": {"method": "adam", "learning_rate": 1e-3},
    },
}
DRAWN: dict[str, Any] = {"encoder": {"kind": "dense", "start": "drawn"}, "towers": "separate"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "DSSM defaults": {"content": CONTENT},
    "DSSM defaults two towers": {"content": CONTENT, "towers": "separate"},
    "DSSM defaults drawn": {"content": CONTENT, **DRAWN},
}
"""The defaults, and what they were chosen beside."""


def part_of(data: tw.Dataset) -> tw.Dataset:
    """Return the log of at most `USERS` users, drawn from the seed; 0 = all."""
    if not USERS or data.n_users <= USERS:
        return data
    kept = np.zeros(data.n_users, np.bool_)
    kept[np.random.default_rng(SEED).choice(data.n_users, USERS, replace=False)] = True
    return data.part(np.flatnonzero(kept[data.interactions.user]))


def profile(weight: Any, train: tw.Dataset, test: tw.Dataset, users: np.ndarray) -> np.ndarray:
    """Score by the cosines with the items of the history, summed: kNN on content with all neighbours."""
    code = BagOfWords(weight=weight).fit(train.items.features[CONTENT])
    known, new = (unit_rows(code.encode(one.items.features[CONTENT]).rows) for one in (train, test))
    has = csr_array(train.interactions.matrix()[users])
    has.data[:] = 1
    return np.asarray((has @ known @ new.T).todense())


def measure(scores: np.ndarray, wanted: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return ndcg@10 and recall@100 of every user among the held-out items; shapes (n,)."""
    gains = 1 / np.log2(np.arange(2, AT + 2))
    ndcg, recall = np.zeros(len(scores)), np.zeros(len(scores))
    for row, line in enumerate(scores):
        mine = wanted.indices[wanted.indptr[row] : wanted.indptr[row + 1]]
        hit = np.isin(np.argsort(-line, kind="stable")[:DEEPEST], mine)
        ndcg[row] = (hit[:AT] * gains).sum() / gains[: len(mine)].sum()
        recall[row] = hit.sum() / len(mine)
    return ndcg, recall


def main() -> None:
    """Measure and print the table."""
    data = part_of(tw.datasets.load(DATA))
    split = tw.split.cold_items(data, test=HELD, validation=HELD, rng=SEED + 1)
    train = split.train
    test = split.test if "--validation" not in sys.argv else split.validation
    assert test is not None
    rows_of = train.users.ids.rows(test.users.ids.ids)
    asked = np.flatnonzero(rows_of >= 0)
    users = rows_of[asked]
    wanted = csr_array(test.interactions.matrix()[asked])
    only = beside.option("--only", "")
    found: dict[str, tuple[np.ndarray, np.ndarray, float]] = {}
    for name, weight in (("TF-IDF profile", "tfidf"), ("BM25 content kNN", "bm25")):
        found[name] = (*measure(profile(weight, train, test, users), wanted), 0.0)
    ladder = {name: SHARED | more for name, more in LADDER.items()}
    for name, settings in (ladder | DEFAULTS).items():
        if only and name not in only.split(","):
            continue
        began = time.process_time()
        model = tw.models.DSSM(**settings).fit(train, rng=SEED)
        took = time.process_time() - began
        longer = model.with_items(test.items)
        new = longer.items.ids.rows(test.items.ids.ids)
        scores = np.asarray(model.lookup(users)) @ np.asarray(longer.item_vectors)[new].T
        found[name] = (*measure(scores, wanted), took)
        sys.stderr.write(f"{name}: {found[name][0].mean():.4f} in {took:.0f} s\n")
    rows = []
    for name, (ndcg, recall, took) in found.items():
        half = 1.96 * ndcg.std() / len(ndcg) ** 0.5
        rows.append([
            name, f"{ndcg.mean():.4f} ± {half:.4f}", f"{recall.mean():.4f}",
            beside.paired(ndcg - found["TF-IDF profile"][0]), beside.paired(ndcg - found["BM25 content kNN"][0]),
            f"{took:.0f}",
        ])  # fmt: skip
    beside.table(
        f"Items of {DATA} that nobody has touched, found by their words",
        [
            f"{train.n_users:,} users (seed {SEED}); {HELD:.0%} of the items are held out whole, and {len(asked):,}",
            f"users who took one of them are asked by the words of their history; the {test.n_items:,} held-out items",
            "alone are ranked. Recall is over all held-out items of a user; differences of ndcg are paired over",
            "users. Settings were chosen on another 15 % of the items; seconds are of the processor, whatever else it did.",
        ],
        [
            "model",
            f"ndcg@{AT}",
            f"recall@{DEEPEST}",
            "beside TF-IDF",
            "beside BM25",
            "seconds of CPU",
        ],
        rows,
        suffix=f"_{DATA}",
        below=ORDER,
    )


if __name__ == "__main__":
    main()
