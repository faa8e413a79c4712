"""The next basket: HRM's ladder of Wang et al. (2015) beside popularity and personal frequency.

``python benchmarks/quality/baskets.py [tafeng online-retail] [--users 0] [--epochs 20] [--factors 50] [--seed 0] [--save]``

The last basket of each user is the test, the one before it validation (nothing is trained on either); the test is
asked with the validation basket as the last one. ``--users n`` keeps n users, for a quick look. HRM + frequency
adds the scores of personal frequency to those of an HRM, in a share that is chosen on the validation part.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix, hstack
from sklearn.decomposition import NMF

import twofold as tw
from twofold.data.queries import Queries
from twofold.models import BPR, HRM, IALS, PersonalFrequency, Popularity
from twofold.rank import Encoded

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
USERS = int(beside.option("--users", "0"))
LOGS = ("tafeng", "online-retail")
METRICS = ["f1@5", "hit@5", "ndcg@5"]
SHARES = (0.1, 0.3, 1.0, 3.0)
COMMON: dict[str, Any] = {
    "epochs": int(beside.option("--epochs", "20")),
    "factors": int(beside.option("--factors", "50")),
}
FPMC: dict[str, Any] = {
    "items": "average", "hybrid": "concatenate", "tied": False, "objective": "bpr", "exponent": 0, "dropout": 0,
}  # fmt: skip
LADDER: dict[str, Any] = {
    "TOP": Popularity(),
    "personal frequency": PersonalFrequency(),
    "personal frequency, half-life 5 baskets": PersonalFrequency(half_life=5),
    "MC (HRM, basket alone)": HRM(**COMMON, items="average", hybrid="basket"),
    "MF (HRM, user alone)": HRM(**COMMON, hybrid="user"),
    "MF (IALS)": IALS(factors=COMMON["factors"]),
    "MF (BPR)": BPR(factors=COMMON["factors"]),
    "FPMC (HRM side by side, BPR)": HRM(**COMMON, **FPMC),
    "HRM AvgAvg": HRM(**COMMON, items="average", hybrid="average"),
    "HRM MaxAvg": HRM(**COMMON, items="max", hybrid="average"),
    "HRM AvgMax": HRM(**COMMON, items="average", hybrid="max"),
    "HRM MaxMax": HRM(**COMMON, items="max", hybrid="max"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixed(tw.FittedModel):
    """The scores of one model and, times a share, of another."""

    one: tw.FittedModel
    other: tw.FittedModel
    share: float

    @property
    def item_vectors(self) -> csr_array:
        """Both, side by side."""
        parts = [csr_array(self.one.item_vectors), csr_array(self.other.item_vectors)]
        return csr_array(hstack(parts, format="csr"))

    def fold_in(self, histories: tw.Histories) -> Any:
        """Map strangers."""
        return self._joined(self.one.fold_in(histories), self.other.fold_in(histories))

    def encode(self, queries: Queries) -> Encoded:
        """Map queries by both models."""
        one, source = self.one.encode(queries)
        return Encoded(self._joined(one, self.other.encode(queries).vectors), source)

    def _joined(self, one: Any, other: Any) -> csr_array:
        return csr_array(hstack([csr_array(one), csr_array(other) * self.share], format="csr"))


def main(name: str) -> None:
    """Print the ladder of one log."""
    data = tw.datasets.load(name)
    if USERS:
        events = data.interactions
        kept = np.random.default_rng(SEED).permutation(data.n_users)[:USERS]
        data = data.part(np.flatnonzero(np.isin(events.user, kept)).astype(np.int64))
    split = tw.split.last_basket(data, validation=True)
    rows: list[list[str]] = []
    fitted: dict[str, tw.FittedModel] = {}
    reports: dict[str, tw.Report] = {}

    def put(label: str, model: tw.FittedModel, seconds: float, *, told: bool = True) -> None:
        report = tw.evaluate(model, split, METRICS, ask="each basket", up_to_date=told)
        reports[label] = report
        cells = []
        for one in METRICS:
            low, high = report.intervals[one]
            cells.append(f"{report[one]:.4f} ±{(high - low) / 2:.4f}")
        rows.append([label, *cells, f"{seconds:.0f}"])
        sys.stderr.write(f"{' '.join(rows[-1])}\n")

    for label, estimator in LADDER.items():
        began = time.perf_counter()
        fitted[label] = estimator.fit(split.train, rng=SEED)
        put(label, fitted[label], time.perf_counter() - began)
    began = time.perf_counter()
    factorized = nmf(split.train)
    put("NMF (scikit-learn), as trained", factorized, time.perf_counter() - began, told=False)
    hybrids = [one for one in LADDER if one.startswith("HRM")]
    found = {
        (label, share): tw.evaluate(
            mixed(fitted, label, share), split, METRICS[:1], part="validation", ask="each basket"
        )[METRICS[0]]
        for label in hybrids
        for share in SHARES
    }
    label, share = max(found, key=lambda one: found[one])
    put(f"{label} + {share:g} x frequency", mixed(fitted, label, share), 0.0)
    beside.table(
        f"The next basket, {name}",
        [
            f"{split.train}; {len(split.test):,} events of {split.test.n_users:,} last baskets; full ranking, what was bought "
            f"before is not hidden; ±: half the 95 % bootstrap interval over users; d = {COMMON['factors']}, "
            f"{COMMON['epochs']} epochs, seed {SEED}; the rest are defaults."
        ],
        ["model", *METRICS, "seconds"],
        rows,
        suffix=f"_{name}",
    )


def nmf(train: tw.Dataset) -> tw.FittedModel:
    """Return scikit-learn's nonnegative factors of who has what."""
    learner = NMF(COMMON["factors"], init="nndsvda", random_state=SEED, max_iter=200)
    counts = train.interactions.matrix()
    counts.data[:] = 1
    users = learner.fit_transform(csr_matrix(counts)).astype(np.float32)
    return beside.given(users, learner.components_.T.astype(np.float32), train)


def mixed(fitted: dict[str, tw.FittedModel], label: str, share: float) -> Mixed:
    """Return an HRM with personal frequency added to its scores."""
    one, other = fitted[label], fitted["personal frequency"]
    return Mixed(estimator=one.estimator, memory=one.memory, one=one, other=other, share=share)


if __name__ == "__main__":
    for log in [one for one in sys.argv[1:] if one in LOGS] or LOGS[:1]:
        main(log)
