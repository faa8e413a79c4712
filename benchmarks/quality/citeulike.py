"""Articles of citeulike-t with P in training a user: CTR and CDL beside content, LDA, IALS, popularity.

``python benchmarks/quality/citeulike.py [--p 10] [--users 0] [--only NAME,NAME] [--set NAME=VALUE,...]
[--seed 0] [--seeds 1] [--validation] [--save] [--merge]``

With more than one seed the table is of means over that many splits, from ``--seed`` on. ``--set`` changes every model that is fitted.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.sparse import csr_array

import twofold as tw
from twofold.features.design import unit_rows
from twofold.features.text import BagOfWords

sys.path.insert(0, str(Path(__file__).parents[1]))
import articles
import beside
from articles import AT, DEEPEST

P, SEED = int(beside.option("--p", "10")), int(beside.option("--seed", "0"))
USERS, SEEDS = int(beside.option("--users", "0")), int(beside.option("--seeds", "1"))
K = 50
"""Topics of LDA, of CTR and of cornac's."""
MODELS: dict[str, Any] = {
    "Popularity": tw.models.Popularity(),
    "BM25 profile": None,
    "IALS defaults": tw.models.IALS(),
    "IALS weight 0.1": tw.models.IALS(unobserved_weight=0.1),
    "IALS weight 0.01": tw.models.IALS(unobserved_weight=0.01),
    "LDA": tw.models.CTR(factors=K, topics="fixed", user_reg=0.1, item_reg=1e6),
    "CTR": tw.models.CTR(factors=K),
    "CDL 200 without its decoder": tw.models.CDL(
        factors=100, noise=0.1, weight_reg=10, reconstruction=0, epochs=16
    ),
    "CDL unit code without its decoder": tw.models.CDL(
        factors=200,
        hidden=(),
        code="unit",
        weight="bm25",
        start="components",
        user_reg=10,
        item_reg=1,
        noise=0,
        weight_reg=10,
        reconstruction=0,
        epochs=3,
    ),
    "CDL one layer": tw.models.CDL(
        factors=100, hidden=(), noise=0, weight_reg=100, reconstruction=0.1, epochs=16
    ),
}


CHOSEN = (
    "the weight of IALS and the settings of CDL were picked on a fifth of the training pairs of P = 10",
    "the settings of the unit code were picked on a tenth of the users, who are left out here, others on P = 10",
)
CONTENT = "BM25 profile"
PEERS: dict[str, dict[str, Any]] = {"cornac CTR": {}, "cornac CTR at lambda_v 1": {"item_reg": 1.0}}
"""Constants of cornac's CTR that are not those of ours."""


class Profile(NamedTuple):
    """Users by the summed words of their articles, articles by their words: kNN on content with all neighbours."""

    users: csr_array
    item_vectors: csr_array

    def lookup(self, users: np.ndarray) -> csr_array:
        """Return the words of `users`."""
        return csr_array(self.users[users])


def profile(train: tw.Dataset) -> Profile:
    """Return the cosine of BM25-weighted words."""
    words = train.items.features["words"]
    rows = csr_array(unit_rows(BagOfWords(weight="bm25").fit(words).encode(words).rows))
    has = train.interactions.matrix()
    has = csr_array((np.ones(has.nnz, np.float32), has.indices, has.indptr), shape=has.shape)
    return Profile(csr_array(has @ rows), rows)


def trained(name: str, train: tw.Dataset, seed: int) -> tuple[tw.FittedModel, float] | str:
    """Return a row's model and its seconds of training, or what went wrong."""
    if name in PEERS:
        return articles.cornac(tw.models.CTR(factors=K, **PEERS[name]), train, seed)
    began = time.perf_counter()
    if name == CONTENT:
        model = profile(train)
    else:
        model = replace(MODELS[name], **beside.settings()).fit(train, rng=seed)
    return model, time.perf_counter() - began


def asked() -> list[str]:
    """Return the rows of the table."""
    only = beside.option("--only", "")
    return [name for name in (*MODELS, *PEERS) if not only or name in only.split(",")]


def one_split() -> None:
    """Print the table of one split, its intervals and differences over users."""
    train, test = articles.task(P, SEED, users=USERS, validation="--validation" in sys.argv)
    rows = []
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in asked():
        made = trained(name, train, SEED)
        if isinstance(made, str):
            rows.append([name, made, "", "", "", ""])
            continue
        model, took = made
        recalls, precision = articles.measure(model, train.interactions.matrix(), test)
        half = 1.96 * recalls.std() / len(recalls) ** 0.5
        found[name] = recalls, precision
        row = [
            name, f"{recalls.mean():.4f} ± {half:.4f}", f"{precision.mean():.4f}",
            *(beside.paired(mine - other) for mine, other in zip(found[name], found.get(CONTENT, found[name]))),
            f"{took:.0f}",
        ]  # fmt: skip
        sys.stderr.write(" ".join(row) + "\n")
        rows.append(row)
    beside.table(
        f"Articles of citeulike-t, P = {P}",
        [
            f"P = {P} articles of every user in training, the rest test (seed {SEED}); all {train.n_items:,} articles "
            f"are candidates, those in training masked. Recall over all test articles of a user; {CHOSEN[P == 1]} "
            "(--validation). Differences are paired over users; seconds are of a busy machine.",
            "cornac's CTR has the constants of ours and as many rounds; it knows articles of training only.",
        ],
        [
            "model",
            f"recall@{AT}",
            f"map@{DEEPEST}",
            "recall beside BM25",
            "map beside BM25",
            "seconds",
        ],
        rows,
        suffix=f"_p{P}",
    )
    if "CTR" in found and found.keys() & PEERS:
        against(found)


def against(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Print what CTR is above cornac's, user by user; `found` has the recall and precision (n,) of every row."""
    rows: list[list[str]] = []
    for peer in PEERS:
        for name, mine, other in zip(
            (f"recall@{AT}", f"map@{DEEPEST}"), found["CTR"], found.get(peer, ()), strict=False
        ):
            less = mine - other
            rows.append([
                peer, name, f"{mine.mean():.4f}", f"{other.mean():.4f}",
                f"{less.mean():+.4f} ± {1.96 * less.std() / len(less) ** 0.5:.4f} (p = {stats.ttest_rel(mine, other).pvalue:.2g})",
                f"{(less > 0).sum():,}", f"{(less < 0).sum():,}",
            ])  # fmt: skip
    beside.table(
        f"CTR beside cornac's, citeulike-t, P = {P}",
        [
            f"Differences paired over the {len(found['CTR'][0]):,} users of the table of all rows, measured in one run (seed {SEED}), "
            "with half of their 95 % intervals; better and worse: users.",
        ],
        ["peer", "measure", "CTR", "cornac's", "difference", "better", "worse"],
        rows,
        suffix=f"_p{P}_cornac",
    )


def many_splits() -> None:
    """Print the table of means over the splits of several seeds."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked()}
    for seed in range(SEED, SEED + SEEDS):
        train, test = articles.task(P, seed, users=USERS, validation="--validation" in sys.argv)
        for name, values in found.items():
            made = trained(name, train, seed)
            if isinstance(made, str):
                sys.exit(f"{name} {made}")
            recalls, precision = articles.measure(made[0], train.interactions.matrix(), test)
            values.append((recalls.mean(), precision.mean()))
            sys.stderr.write(f"seed {seed} {name} {values[-1]}\n")
    rows = []
    for name, values in found.items():
        rows.append([name, *map(over_splits, np.array(values).T)])
    beside.table(
        f"Articles of citeulike-t, P = {P}, over {SEEDS} splits",
        [
            f"P = {P} articles of every user in training, the rest test (seeds {SEED} to {SEED + SEEDS - 1}, for the split and the model); "
            f"all articles are candidates, those in training masked. Recall over all test articles of a user; {CHOSEN[P == 1]} (--validation).",
            "Means over the splits, with 95 % intervals (t), and the value of every split.",
        ],
        ["model", f"recall@{AT}", f"map@{DEEPEST}"],
        rows,
        suffix=f"_p{P}_seeds",
    )


def over_splits(values: np.ndarray) -> str:
    """Return the mean of the values (n,) of n splits with its interval, and the values."""
    return f"{beside.mean_of(values)} ({' '.join(f'{one:.4f}' for one in values)})"


if __name__ == "__main__":
    many_splits() if SEEDS > 1 else one_split()
