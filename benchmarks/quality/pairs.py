"""Ranking of pairs, 8:1:1 within each user, beside implicit, cornac and lenskit on the same grid.

``python benchmarks/quality/pairs.py [ml-100k ml-1m hetrec-lastfm-2k] [--save]``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.data.interactions import Histories
from twofold.models import BPR, EASE, IALS, ItemKNN, Popularity

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = 0
METRICS = ["recall@10", "ndcg@10"]
LOGS = ("ml-100k", "ml-1m", "hetrec-lastfm-2k")
ALS_GRID = tuple(product((1.0, 3.0, 10.0), (0.003, 0.01, 0.03)))
"""How much more an observed pair weighs than another, and the penalty."""
HU_GRID = tuple(product((1.0, 3.0, 10.0), (10.0, 30.0, 100.0)))
"""The same for peers whose penalty is not scaled by frequency."""
BPR_GRID = tuple(product((0.02, 0.05), (0.003, 0.01, 0.02), (100, 300)))
"""Step, penalty, passes."""
EPOCHS = 16


@dataclass(frozen=True, kw_only=True)
class Given:
    """An estimator whose vectors a peer learned."""

    users: Any = field(repr=False)
    items: Any = field(repr=False)

    def of(self, train: tw.Dataset) -> FittedGiven:
        """Return the vectors as a model of `train`."""
        return FittedGiven(estimator=self, memory=tw.Memory.of(train))


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedGiven(tw.FittedModel):
    """A peer's vectors, ranked and measured as ours are."""

    @property
    def item_vectors(self) -> np.ndarray:
        """Shape (n_items, d)."""
        return self.estimator.items

    def lookup(self, users: np.ndarray) -> np.ndarray:
        """Return the learned vectors."""
        return self.estimator.users[users]

    def fold_in(self, histories: Histories) -> np.ndarray:
        """Not asked for here."""
        raise NotImplementedError


def ours(make: Callable[..., Any]) -> Callable[[tw.Split, tuple[float, ...]], tuple[Any, float]]:
    """Return a function that trains one of our models with one setting of a grid."""

    def train(split: tw.Split, grid: tuple[float, ...]) -> tuple[Any, float]:
        began = time.perf_counter()
        fitted = make(*grid).fit(split.train, rng=SEED)
        return fitted, time.perf_counter() - began

    return train


def peer(name: str) -> Callable[[tw.Split, tuple[float, ...]], tuple[Any, float]]:
    """Return the same for a peer."""

    def train(split: tw.Split, grid: tuple[float, ...]) -> tuple[Any, float]:
        rows = split.train.interactions.matrix().tocoo()
        found = beside.ask(
            "pairs",
            {"user": rows.row.astype(np.int32), "item": rows.col.astype(np.int32)},
            name=name,
            grid=grid,
            n_users=split.train.n_users,
            n_items=split.train.n_items,
        )
        if isinstance(found, str):
            raise RuntimeError(f"{name}: {found}")  # noqa: TRY004
        made = Given(users=found["users"], items=found["items"])
        return made.of(split.train), found["seconds"]

    return train


def ials(weight: float, reg: float) -> IALS:
    """Our iALS with the objective of 2022: an observed pair weighs `weight` times another."""
    return IALS(factors=64, epochs=EPOCHS, unobserved_weight=1 / weight, reg=reg)


def hu(weight: float, reg: float) -> IALS:
    """Our iALS with the peers' objective (Hu 2008)."""
    return IALS(
        factors=64,
        epochs=EPOCHS,
        alpha=weight,
        unobserved_weight=1,
        zeros="unobserved",
        nu=0,
        reg=reg,
    )


def bpr(rate: float, reg: float, epochs: float) -> BPR:
    """Our BPR."""
    return BPR(
        factors=64, learning_rate=rate, epochs=int(epochs), reg_user=reg, reg_positive=reg,
        reg_negative=reg,
    )  # fmt: skip


CONTENDERS: dict[str, tuple[Any, tuple[tuple[float, ...], ...]]] = {
    "twofold Popularity": (ours(Popularity), ((),)),
    "twofold ItemKNN": (ours(lambda k: ItemKNN(neighbours=int(k))), ((20,), (100,), (400,))),
    "twofold EASE": (ours(lambda reg: EASE(reg=reg)), ((100.0,), (300.0,), (1000.0,))),
    "twofold IALS": (ours(ials), ALS_GRID),
    "twofold IALS, Hu's objective": (ours(hu), HU_GRID),
    "implicit ALS": (peer("implicit ALS"), tuple((1 + w, r, EPOCHS) for w, r in HU_GRID)),
    "lenskit ImplicitMF": (peer("lenskit ImplicitMF"), tuple((*one, EPOCHS) for one in HU_GRID)),
    "twofold BPR": (ours(bpr), BPR_GRID),
    "implicit BPR": (peer("implicit BPR"), BPR_GRID),
    "cornac BPR": (peer("cornac BPR"), BPR_GRID),
}


def measure(name: str, log: str, split: tw.Split) -> list[str]:
    """Return the row of one contender: its best setting on validation, measured on test."""
    train, grid = CONTENDERS[name]
    best: tuple[float, Any, tuple[float, ...], float] | None = None
    for setting in grid:
        try:
            fitted, seconds = train(split, setting)
        except RuntimeError as error:
            return [log, name, str(error), "", "", ""]
        ndcg = tw.evaluate(fitted, split, ["ndcg@10"], part="validation")["ndcg@10"]
        sys.stderr.write(f"{log} {name} {setting}: {ndcg:.4f} on validation, {seconds:.1f} s\n")
        if best is None or ndcg > best[0]:
            best = ndcg, fitted, setting, seconds
    assert best is not None
    report = tw.evaluate(best[1], split, METRICS)
    shown = [
        f"{report[m]:.4f} [{report.intervals[m][0]:.4f}, {report.intervals[m][1]:.4f}]"
        for m in METRICS
    ]
    return [log, name, *shown, " ".join(f"{one:g}" for one in best[2]), f"{best[3]:.1f}"]


def ranges(grid: tuple[tuple[float, ...], ...], place: int) -> str:
    """Return the values of one setting of a grid."""
    return ", ".join(f"{one:g}" for one in sorted({setting[place] for setting in grid}))


def without_values(data: tw.Dataset) -> tw.Dataset:
    """Return the log with every value 1, so that all contenders read the same pairs."""
    events = data.interactions
    ones = replace(events, value=np.ones(len(events), np.float32), has_value=False)
    return replace(data, interactions=ones)


def main() -> None:
    """Measure and print the table."""
    logs = [one for one in sys.argv[1:] if not one.startswith("--")] or list(LOGS)
    rows: list[list[str]] = []
    for log in logs:
        data = without_values(tw.datasets.load(log))
        split = tw.split.random(data, test=0.1, validation=0.1, per_user=True, rng=SEED)
        rows += [measure(name, log, split) for name in CONTENDERS]
    beside.table(
        "Ranking of pairs",
        [
            f"8:1:1 within each user at random (seed {SEED}); values are not read; full ranking without the",
            "training pairs, recall@10 over the number of a user's test items; 95 % bootstrap intervals over",
            "users. Each contender's setting is the best of its grid by ndcg@10 on the validation part; it is",
            "trained on the training part alone. 64 factors; seconds are those of the chosen training and no",
            f"measure of speed. Grids: weight of an observed pair and penalty {ALS_GRID}; for Hu's objective",
            f"{HU_GRID}; step, penalty and passes of BPR {BPR_GRID}; ALS takes {EPOCHS} sweeps.",
        ],
        ["log", "model", *METRICS, "setting", "s"],
        rows,
    )


if __name__ == "__main__":
    main()
