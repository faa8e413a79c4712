"""BPMF and PMF by the number of factors, on MovieLens 100K.

The paper's shape: the most probable factors over-fit from some number on, the average over the posterior
does not. ``python benchmarks/quality/bpmf_dimensions.py [--save]``
"""

from __future__ import annotations

import sys
from pathlib import Path

import twofold as tw
from twofold.models import BPMF, PMF

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DIMENSIONS = (5, 10, 20, 40, 80)
SEED = 0
PENALTIES = (1.0, 4.0, 8.0)
"""Of PMF: the weaker the prior, the sooner more factors over-fit."""


def main() -> None:
    """Measure and print the table."""
    split = tw.split.k_fold(tw.datasets.load("ml-100k"), folds=5, rng=SEED)[0]
    rows: list[list[str]] = []
    for d in DIMENSIONS:
        models = [
            *(PMF(factors=d, bounded=False, user_reg=reg, item_reg=reg) for reg in PENALTIES),
            BPMF(factors=d),
        ]
        found = [tw.evaluate(one.fit(split.train, rng=SEED), split, ["rmse"]) for one in models]
        rows.append([str(d), *(f"{one['rmse']:.4f}" for one in found)])
        sys.stderr.write(f"{rows[-1]}\n")
    beside.table(
        "BPMF and PMF by the number of factors",
        [
            f"MovieLens 100K, the first of 5 random folds (seed {SEED}), RMSE; defaults but for the number of",
            "factors D and PMF's penalties (unbounded, as BPMF is).",
        ],
        ["D", *(f"PMF, penalty {one:g}" for one in PENALTIES), "BPMF"],
        rows,
    )


if __name__ == "__main__":
    main()
