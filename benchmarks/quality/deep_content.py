"""From content to factors: items and people that nobody has met, the rows of van den Oord et al. (2013).

``python benchmarks/quality/deep_content.py [--data citeulike-t|hetrec-lastfm-2k|ml-100k|music] [--only NAME,NAME] [--seed 0] [--validation] [--save] [--merge]``

citeulike-t and hetrec-lastfm-2k: items held out whole, found by words and tags. music: songs that nobody has played, found
by their sound. ml-100k: people held out whole, known by age, gender and occupation alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.sparse import csr_array

import twofold as tw
from twofold.data.music import generated_music

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DATA, SEED = beside.option("--data", "citeulike-t"), int(beside.option("--seed", "0"))
VALIDATE = "--validation" in sys.argv
DEEPEST = 500
IALS: dict[str, dict[str, Any]] = {
    "citeulike-t": {"factors": 50, "unobserved_weight": 0.01},
    "hetrec-lastfm-2k": {"factors": 50, "unobserved_weight": 0.1},
    "ml-100k": {"factors": 32},
    "music": {"factors": 16, "reg": 0.01},
}
CONTENT = {
    "citeulike-t": ("words",),
    "hetrec-lastfm-2k": ("tags",),
    "ml-100k": (),
    "music": ("sound",),
}
SOUND = {"sample_rate": 8000, "window": 512, "hop": 256, "bands": 64}
LINEAR, MLP = {"kind": "linear"}, {"kind": "mlp"}
HEARD: dict[str, Any] = {
    "network": {"kind": "cnn", "channels": (32, 32, 64), "hidden": (128,), "dropout": 0.3},
    "batch_size": 16,
    "epochs": 150,
    "patience": 20,
}
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "citeulike-t": {
        "linear": {"network": LINEAR},
        "MLP": {"network": MLP},
        "linear on ratings": {"network": LINEAR, "loss": "ratings"},
        "MLP on ratings": {"network": MLP, "loss": "ratings"},
    },
    "ml-100k": {
        "linear": {"network": LINEAR},
        "MLP": {"network": {"kind": "mlp", "hidden": (64,)}},
        "boosted trees": {"network": {"kind": "trees"}},
    },
    "music": {
        "linear on the averaged mel": {"network": LINEAR},
        "MLP on the averaged mel": {"network": MLP},
        "CNN": HEARD,
        "CNN on ratings": {**HEARD, "loss": "ratings"},
    },
}
ROWS["hetrec-lastfm-2k"] = ROWS["citeulike-t"]
REFERENCE = {"ml-100k": "popularity", "music": "MLP on the averaged mel"}.get(DATA, "linear")
"""What all are held against; always measured."""


class Task(NamedTuple):
    """Who is asked, and what they should find among the candidates."""

    train: tw.Dataset
    test: tw.Dataset
    wanted: csr_array  # (n asked, n candidates)
    asked: np.ndarray  # rows of training users; of held-out users for ml-100k
    rng: np.random.Generator


def measure(scores: np.ndarray, wanted: csr_array) -> np.ndarray:
    """Return average precision at 500, AUC, reciprocal rank and ndcg@10 of every row; shape (n, 4)."""
    out = np.zeros((len(scores), 4))
    gains = 1 / np.log2(np.arange(2, 12))
    for row, line in enumerate(scores):
        mine = wanted.indices[wanted.indptr[row] : wanted.indptr[row + 1]]
        ranks = stats.rankdata(-line, method="ordinal")[mine]
        order = np.sort(ranks)
        n, m = len(line), len(mine)
        inside = order[order <= DEEPEST]
        precision = (np.arange(1, len(inside) + 1) / inside).sum() / min(m, DEEPEST)
        auc = 1 - (order.sum() - m * (m + 1) / 2) / (m * max(n - m, 1))
        top = order[order <= 10].astype(int)
        out[row] = precision, auc, 1 / order[0], gains[top - 1].sum() / gains[: min(m, 10)].sum()
    return out


def cold_items(data: tw.Dataset) -> tuple[Task, tw.Dataset]:
    """Hold a fifth of the items out, half of it for validation; return also the log with the items asked for."""
    split = tw.split.cold_items(data, test=0.1, validation=0.1, rng=SEED + 1)
    test = split.validation if VALIDATE else split.test
    assert test is not None
    rows = split.train.users.ids.rows(test.users.ids.ids)
    asked = np.flatnonzero(rows >= 0)
    wanted = csr_array(test.interactions.matrix()[asked])
    both = np.isin(data.items.ids.ids.to_numpy(), test.items.ids.ids.to_numpy())
    both |= np.isin(data.items.ids.ids.to_numpy(), split.train.items.ids.ids.to_numpy())
    whole = data.part(np.flatnonzero(both[data.interactions.item]))
    return Task(split.train, test, wanted, rows[asked], np.random.default_rng(SEED)), whole


def items_table(data: tw.Dataset) -> tuple[dict[str, tuple[np.ndarray, float]], Task]:
    """Return the measures and seconds of every row, items held out whole."""
    task, whole = cold_items(data)
    ials = tw.models.IALS(**IALS[DATA])
    base = ials.fit(task.train, rng=SEED)
    users = base.lookup(task.asked)
    found: dict[str, tuple[np.ndarray, float]] = {}
    shape = task.wanted.shape
    found["random"] = measure(task.rng.random(shape), task.wanted), 0.0
    if DATA != "music":
        knn = tw.models.ItemKNN(
            content=CONTENT[DATA], similarity="bm25", neighbours=data.n_items, shrinkage=0
        ).fit(task.train)
        longer = knn.with_items(task.test.items)
        new = longer.items.ids.rows(task.test.items.ids.ids)
        scores = np.asarray((knn.lookup(task.asked) @ longer.item_vectors[new].T).todense())
        found["content kNN (BM25)"] = measure(scores, task.wanted), 0.0
    for name, settings in chosen():
        began = time.perf_counter()
        deep = tw.models.DeepContent(
            factorization=ials, content=CONTENT[DATA], **sounds(), **settings
        ).fit(task.train, rng=SEED, factorization=base)
        took = time.perf_counter() - began
        found[name] = measure(users @ deep.encode_items(task.test.items).T, task.wanted), took
        report(name, found[name])
    upper = ials.fit(whole, rng=SEED)
    rows = upper.users.ids.rows(base.users.ids.ids.gather(task.asked.tolist()))
    vectors = upper.item_vectors[upper.items.ids.rows(task.test.items.ids.ids)]
    found["upper bound: factors of the whole log"] = (
        measure(upper.lookup(rows) @ vectors.T, task.wanted), 0.0,
    )  # fmt: skip
    return found, task


def users_table(data: tw.Dataset) -> tuple[dict[str, tuple[np.ndarray, float]], Task]:
    """Return the measures and seconds of every row, people held out whole."""
    split = tw.split.cold_users(data, test=0.2, validation=0.2, rng=SEED + 1)
    test = split.validation if VALIDATE else split.test
    assert test is not None
    train = split.train
    rows = train.items.ids.rows(test.items.ids.ids)
    events = test.interactions
    kept = rows[events.item] >= 0
    wanted = csr_array(
        (np.ones(kept.sum()), (events.user[kept], rows[events.item[kept]])),
        shape=(test.n_users, train.n_items),
    )
    task = Task(train, test, wanted, np.arange(test.n_users), np.random.default_rng(SEED))
    ials = tw.models.IALS(**IALS[DATA])
    base = ials.fit(train, rng=SEED)
    popular = np.tile(base.memory.popularity, (test.n_users, 1))
    found = {
        "random": (measure(task.rng.random(wanted.shape), wanted), 0.0),
        "popularity": (measure(popular, wanted), 0.0),
    }
    for name, settings in chosen():
        began = time.perf_counter()
        deep = tw.models.DeepContent(factorization=ials, side="users", **settings).fit(
            train, rng=SEED, factorization=base
        )
        took = time.perf_counter() - began
        vectors = deep.predicted(test.users.features)[0]
        found[name] = measure(vectors @ base.item_vectors.T, wanted), took
        report(name, found[name])
    return found, task


def sounds() -> dict[str, Any]:
    """Return the settings of sounds where there are any."""
    return {"sound": SOUND} if DATA == "music" else {}


def chosen() -> list[tuple[str, dict[str, Any]]]:
    """Return the rows that are asked for, and the one that they are held against."""
    only = beside.option("--only", "")
    return [
        one for one in ROWS[DATA].items() if not only or one[0] in (REFERENCE, *only.split(","))
    ]


def report(name: str, found: tuple[np.ndarray, float]) -> None:
    """Say how a row came out while the others run."""
    means = " ".join(f"{one:.4f}" for one in found[0].mean(axis=0))
    sys.stderr.write(f"{name}: {means} in {found[1]:.0f} s\n")


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        if DATA == "music":
            data = generated_music(
                folder, n_users=1000, n_songs=2000, plays=40, seconds=6.0, rng=SEED
            )
        else:
            data = tw.datasets.load(DATA)
        found, task = users_table(data) if DATA == "ml-100k" else items_table(data)
    reference = found[REFERENCE][0]
    rows = []
    for name, (values, took) in found.items():
        half = 1.96 * values[:, 0].std() / len(values) ** 0.5
        p = (
            stats.ttest_rel(values[:, 0], reference[:, 0]).pvalue
            if values is not reference
            else np.nan
        )
        beside_it = (
            "" if np.isnan(p) else f"{(values[:, 0] - reference[:, 0]).mean():+.4f} (p = {p:.2g})"
        )
        means = [f"{one:.4f}" for one in values.mean(axis=0)]
        rows.append([name, f"{means[0]} ± {half:.4f}", *means[1:], beside_it, f"{took:.0f}"])
    who = {
        "ml-100k": "popularity", "music": "the MLP",
    }.get(DATA, "linear")  # fmt: skip
    held = "people" if DATA == "ml-100k" else "items"
    beside.table(
        f"{held.capitalize()} of {DATA} that training never saw, by what they are made of",
        [
            f"A tenth (people: a fifth) of the {held} is held out whole, as much again for choosing settings (seed {SEED});",
            f"{len(task.asked):,} users are asked, {task.wanted.shape[1]:,} items are ranked: the held-out ones alone,",
            "or for people all of training. Precision is averaged over min(500, wanted), the mean is over users;",
            "differences of it are paired over users. The factors are IALS's.",
        ],
        ["model", f"map@{DEEPEST}", "auc", "mrr", "ndcg@10", f"map beside {who}", "seconds"],
        rows,
        suffix=f"_{DATA}",
    )


if __name__ == "__main__":
    main()
