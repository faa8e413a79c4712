"""RMSE on MovieLens 100K in five random folds, beside Surprise and myFM on the same folds.

``python benchmarks/quality/ratings_ml100k.py [--folds N] [--save]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.models.factorization._fm_data import Layout
from twofold.models.factorization.fm import FM, MCMC

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

RANK, SWEEPS, KEPT = 10, 200, 100
SEED = 0
CHAIN = MCMC(burn_in=SWEEPS - KEPT, samples=KEPT, thin=1)
OURS: dict[str, Any] = {
    "twofold MeanRating": tw.models.MeanRating(),
    "twofold BiasedMF": tw.models.BiasedMF(),
    "twofold PMF": tw.models.PMF(),
    "twofold BPMF": tw.models.BPMF(),
    "twofold FM, ids": FM(
        factors=RANK, learner=CHAIN, features=(), user_history=False, item_history=False
    ),
    "twofold FM, all features and history": FM(factors=RANK, learner=CHAIN),
    "twofold FM, the same, ordered probit": FM(factors=RANK, learner=CHAIN, task="ordered"),
    "twofold FM, the same and the day": FM(factors=RANK, learner=CHAIN, day=True),
}
PEERS = {
    "Surprise BaselineOnly (biases)": ("BaselineOnly", None),
    "Surprise SVD": ("SVD", None),
    "Surprise SVD++": ("SVDpp", None),
    "myFM, all features and history": ("myfm", "twofold FM, all features and history"),
    "myFM, the same, ordered probit": ("myfm ordered", "twofold FM, the same, ordered probit"),
}


def main() -> None:
    """Measure and print the table."""
    folds = int(sys.argv[sys.argv.index("--folds") + 1]) if "--folds" in sys.argv else 5
    splits = tw.split.k_fold(tw.datasets.load("ml-100k"), folds=5, rng=SEED)[:folds]
    errors: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for fold, split in enumerate(splits):
        test = split.test.interactions
        pairs = {
            "user": split.test.users.ids.ids.gather(test.user),
            "item": split.test.items.ids.ids.gather(test.item),
            "time": test.time,
        }
        for name, model in OURS.items():
            began = time.perf_counter()
            fitted = model.fit(split.train, rng=SEED)
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            note(errors, name, fitted.predict(pairs)["score"].to_numpy(), test.value, fold)
        for name, (peer, _) in PEERS.items():
            began = time.perf_counter()
            found = beside.ask(
                "ratings", arrays(split), name=peer, rank=RANK, iterations=SWEEPS, kept=KEPT
            )
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            if isinstance(found, str):
                sys.stderr.write(f"{name}: {found}\n")
                continue
            note(errors, name, found["predicted"], test.value, fold)
    rows = [
        [name, f"{np.mean(one):.4f}", f"{np.std(one):.4f}", f"{np.median(seconds[name]):.1f}"]
        for name, one in errors.items()
    ]
    beside.table(
        "Ratings of MovieLens 100K",
        [
            f"{len(splits)} of 5 random folds (seed {SEED}); RMSE over all test ratings, items and users",
            "that training did not see included; all run with their defaults (those of PMF were chosen on a",
            "tenth of the first fold's training part). FM and myFM:",
            f"rank {RANK}, {SWEEPS} sweeps, the later {KEPT} averaged, the same features, one prior a",
            "group. Histories hold training pairs only. Seconds are the median of training (a peer's",
            "include its start) and say nothing about speed: see the speed benchmarks.",
        ],
        ["model", "RMSE", "std over folds", "s"],
        rows,
    )


def note(
    errors: dict[str, list[float]], name: str, predicted: np.ndarray, truth: np.ndarray, fold: int
) -> None:
    """Keep and show the RMSE of one fold."""
    rmse = float(np.sqrt(np.mean((predicted.astype(np.float64) - truth) ** 2)))
    errors.setdefault(name, []).append(rmse)
    sys.stderr.write(f"fold {fold + 1} {name}: {rmse:.4f}\n")


def arrays(split: tw.Split) -> dict[str, np.ndarray]:
    """Return the fold as the peers read it: rows of training, and our features."""
    train, test = split.train, split.test
    model = FM(factors=RANK)
    layout, users, items, _ = Layout.of(model, train)
    events = train.interactions
    user = train.users.ids.rows(test.users.ids.ids)[test.interactions.user]
    item = train.items.ids.rows(test.items.ids.ids)[test.interactions.item]
    # Rows that training lacks stand for one more row without features.
    made: dict[str, np.ndarray] = {
        "user": events.user,
        "item": events.item,
        "value": events.value,
        "test_user": np.where(user < 0, users.shape[0], user),
        "test_item": np.where(item < 0, items.shape[0], item),
        "group_shapes": np.bincount(layout.group),
    }
    for name, rows in (("users", users), ("items", items)):
        made[f"{name}_data"], made[f"{name}_indices"] = rows.data, rows.indices
        made[f"{name}_indptr"] = np.append(rows.indptr, rows.indptr[-1])
        made[f"{name}_shape"] = np.array([rows.shape[0] + 1, rows.shape[1]])
    return made


if __name__ == "__main__":
    main()
