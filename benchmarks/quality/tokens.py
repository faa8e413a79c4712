"""Doc2Vec and Token2Vec as recommenders beside BPR, IALS and popularity: what is new in the last basket.

``python benchmarks/quality/tokens.py [online-retail tafeng] [--seed 0] [--tune] [--save]``

``--tune`` prints the validation table that the settings below were chosen from.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import twofold as tw
from twofold.models import BPR, IALS, Doc2Vec, Popularity, Token2Vec
from twofold.models.sequence.doc2vec import PVDBOW, PVDM
from twofold.models.sequence.token2vec import CBOW, SkipGram

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
LOGS = ("online-retail", "tafeng")
METRICS = ["ndcg@10", "recall@20"]
CONTENDERS: dict[str, Any] = {
    "Popularity": Popularity(),
    "BPR": BPR(),
    "IALS": IALS(epochs=8),
    "Doc2Vec, PV-DBOW": Doc2Vec(),
    "Doc2Vec, PV-DM": Doc2Vec(architecture=PVDM()),
    "Token2Vec, skip-gram": Token2Vec(),
    "Token2Vec, CBOW": Token2Vec(architecture=CBOW()),
    "Token2Vec, bare products": Token2Vec(prior=0.0),
    "Token2Vec, cosine of input vectors": Token2Vec(item_side="input"),
}
GRID: dict[str, Any] = {
    **{f"BPR reg {r:g} rate {s:g}": BPR(reg_user=r, reg_positive=r, reg_negative=r, learning_rate=s) for r in (0.003, 0.01, 0.03) for s in (0.02, 0.05)},
    **{f"IALS alpha0 {a:g} reg {r:g}": IALS(epochs=8, unobserved_weight=a, reg=r) for a in (0.03, 0.1, 0.3) for r in (0.003, 0.01, 0.03)},
    **{f"PV-DBOW rate {s:g} epochs {n}": Doc2Vec(architecture=PVDBOW(learning_rate=s), epochs=n) for s in (0.025, 0.05, 0.1) for n in (10, 20, 40)},
    **{f"PV-DM rate {s:g} epochs {n}": Doc2Vec(architecture=PVDM(learning_rate=s), epochs=n) for s in (0.1, 0.2) for n in (10, 20, 40)},
    **{f"skip-gram window {c} epochs {n}": Token2Vec(window=c, epochs=n, architecture=SkipGram()) for c in (5, 15) for n in (5, 10, 20)},
    **{f"CBOW window {c} epochs {n}": Token2Vec(window=c, epochs=n, architecture=CBOW()) for c in (5, 15) for n in (10, 20)},
}  # fmt: skip


def split_of(name: str) -> tw.Split:
    """Return the last basket of everybody as the test and the one before as validation, items bought before left out."""
    data = tw.datasets.load(name).filter(min_user_events=5, min_item_events=10)
    return tw.split.last_basket(data, validation=True, repeats="drop")


def tune(name: str) -> None:
    """Print what each setting reaches on the validation part."""
    split = split_of(name)
    rows = []
    for label, estimator in GRID.items():
        model = estimator.fit(split.train, rng=SEED)
        found = tw.evaluate(model, split, metrics=METRICS, part="validation").values
        rows.append([label, *(f"{found[one]:.4f}" for one in METRICS)])
        sys.stderr.write(f"{name} {' '.join(rows[-1])}\n")
    beside.table(
        f"Validation, {name}",
        [f"{split.train}; seed {SEED}."],
        ["model", *METRICS],
        rows,
        suffix=f"_validation_{name}",
    )


def recommend(name: str) -> None:
    """Print the table of one log."""
    split = split_of(name)
    board = tw.compare(CONTENDERS, split, metrics=METRICS, rng=SEED)
    rows = []
    for label, one in board.results.items():
        report = one.report
        cells = [
            f"{report.values[m]:.4f} ({report.intervals[m][0]:.4f} - {report.intervals[m][1]:.4f})"
            for m in METRICS
        ]
        rows.append([label, *cells, f"{one.fit_seconds:.1f}", board.verdict(label, METRICS[0])])
    n = next(iter(board.results.values())).report.n_users
    beside.table(
        f"New items of the last basket, {name}",
        [
            f"{split.train} in training, {n:,} people measured, full ranking, items bought before left out of the test and of",
            f"lists. Defaults, seed {SEED}; 95 % bootstrap intervals over people; paired t tests against the first row, Holm-corrected.",
        ],
        ["model", *METRICS, "seconds", f"against {board.best}"],
        rows,
        suffix=f"_{name}",
    )


def main() -> None:
    """Measure what is asked for."""
    for name in [one for one in sys.argv[1:] if one in LOGS] or LOGS:
        (tune if "--tune" in sys.argv else recommend)(name)


if __name__ == "__main__":
    main()
