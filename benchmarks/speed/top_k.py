"""Lists of the best 100 items for every user of a log like MovieLens 20M, beside implicit and faiss.

``python benchmarks/speed/top_k.py [--runs N] [--save]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import twofold as tw
from twofold.data.queries import Queries
from twofold.data.synthetic import movielens_like
from twofold.rank import rank

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

USERS, ITEMS, EVENTS, D, K = 138_000, 27_000, 20_000_000, 128, 100
JOBS = (
    ("seen items left out", True, ("implicit recommend", "faiss flat, asking for more")),
    ("all items", False, ("faiss flat",)),
)


def vectors(data: tw.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what is ranked: random vectors with a popularity column, and trained ones."""
    rng = np.random.default_rng(0)
    users = rng.standard_normal((data.n_users, D), np.float32)
    items = rng.standard_normal((data.n_items, D), np.float32)
    users[:, -1], items[:, -1] = 1, np.log1p(data.interactions.item_counts)
    trained = tw.models.IALS(factors=D, epochs=3).fit(data, rng=0)
    return {"random": (users, items), "iALS": (trained.user_factors, trained.item_factors)}


def main() -> None:
    """Time and print the table."""
    runs = int(beside.option("--runs", "3"))
    data = movielens_like(USERS, ITEMS, EVENTS, rng=0)
    log = data.interactions
    everybody = Queries.known(np.arange(data.n_users, dtype=np.int32))
    rows: list[list[str]] = []
    for kind, (users, items) in vectors(data).items():
        model = beside.given(users, items, data)
        given = {"users": users, "items": items, "indptr": log.indptr, "seen": log.item}
        for job, exclude, peers in JOBS:
            rank(model, everybody.take(np.arange(1000)), K, exclude_seen=exclude)
            own: list[float] = []
            other: dict[str, list[float]] = {name: [] for name in peers}
            agree: dict[str, float] = {}
            for run in range(runs):
                began = time.perf_counter()
                found = rank(model, everybody, K, exclude_seen=exclude)
                own.append(time.perf_counter() - began)
                for name in peers:
                    made = beside.ask("top_k", given, name=name, k=K)
                    if isinstance(made, str):
                        raise SystemExit(f"{name}: {made}")
                    other[name].append(made["seconds"])
                    if not run:
                        agree[name] = overlap(found.items, made["items"])
            for name in peers:
                sys.stderr.write(f"{kind} {job}: {own} {name} {other[name]}\n")
                rows.append(
                    [
                        job, kind, name, f"{agree[name]:.5f}",
                        f"{np.median(other[name]) / np.median(own):.1f}",
                        f"{min(other[name]) / max(own):.1f} to {max(other[name]) / min(own):.1f}",
                    ]
                )  # fmt: skip
    beside.table(
        "The best 100 of all items",
        [
            f"{USERS:,} users and {ITEMS:,} items of {D} dimensions, {EVENTS:,} seen pairs (a generated log, seed 0); two cores;",
            f"medians of {runs} runs that alternate. `agreement` is the share of a peer's list that is in ours; both are",
            "exact up to rounding. `random` vectors have a column of popularity beside 127 of noise, so that no item can be",
            "ruled out; `iALS` were trained on the log. faiss leaves nothing out by itself: it is asked for 100 items and as many as the",
            "user has seen, in groups of like lengths, and what was seen is taken out in NumPy.",
        ],
        ["lists", "vectors", "peer", "agreement", "peer / twofold", "range"],
        rows,
    )


def overlap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the share of each list that is in the other, over the first 5,000 users."""
    pairs = zip(ours[:5000], theirs[:5000], strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in pairs]))


if __name__ == "__main__":
    main()
