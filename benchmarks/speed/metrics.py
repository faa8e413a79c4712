"""Seconds for the metrics of 138,000 ranked lists of 100, beside ranx, pytrec_eval and RecTools.

``python benchmarks/speed/metrics.py [--users N] [--runs N] [--save]``
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

N_ITEMS, PLACES = 27_000, 100
ROWS = {
    "NDCG, recall, MAP": ["ndcg@10", "recall@10", "map@10"],
    "six list metrics": ["ndcg@10", "recall@10", "map@10", "precision@10", "hit@10", "mrr@10"],
}
PEERS = {"ranx": "", "pytrec_eval": "rectools", "RecTools": "rectools"}
DIFFERENT = 1e-6
WHY = {
    ("RecTools", "ndcg@10"): "divides by the ideal of k hits, not of min(k, relevant)",
    ("RecTools", "map@10"): "divides by the number of relevant items, not by min(k, relevant)",
    ("ranx", "map@10"): "divides by the number of relevant items, not by min(k, relevant)",
    ("pytrec_eval", "map@10"): "divides by the number of relevant items, not by min(k, relevant)",
}


def main() -> None:
    """Time everybody and print the table."""
    n, runs = int(option("--users", "138000")), int(option("--runs", "3"))
    arrays = ranked(n)
    os.environ.setdefault("TWOFOLD_PEERS_OURSELVES", sys.executable)
    rows: list[list[str]] = []
    for label, names in ROWS.items():
        own = beside.ask(
            "metrics", arrays, environment="ourselves", name="twofold", metrics=names, runs=runs
        )
        if isinstance(own, str):
            raise SystemExit(own)
        ours = float(np.median(own["seconds"]))
        values = ", ".join(f"{own['values'][one]:.4f}" for one in names)
        rows.append([label, "twofold", "1", "1", values])
        sys.stderr.write(f"{label}: twofold {ours:.4f} s\n")
        for peer, environment in PEERS.items():
            found = beside.ask(
                "metrics", arrays, environment=environment, name=peer, metrics=names, runs=runs
            )
            if isinstance(found, str):
                rows.append([label, peer, found, "", ""])
                continue
            theirs, ready = float(np.median(found["seconds"])), found["conversion"]
            sys.stderr.write(f"{label}: {peer} {theirs:.2f} s, conversion {ready:.1f} s\n")
            rows.append(
                [
                    label,
                    peer,
                    f"{theirs / ours:,.0f}",
                    f"{(theirs + ready) / ours:,.0f}",
                    differences(peer, own["values"], found["values"]),
                ]
            )
    beside.table(
        f"Metrics of {n:,} ranked lists",
        [
            f"Lists of {PLACES} of {N_ITEMS:,} items, {len(arrays['relevant']) / n:.1f} relevant items a user (seed 0). Everybody runs in",
            f"a process of its own and first on a hundred users, which is not counted; evaluation is the median of {runs}",
            "runs. How many times as long as ours it takes, without and with the conversion of the integer arrays that",
            "a model's lists are to what the library reads (ours needs none). Last column: our values, and which of",
            "the peer's differ from them by more than 1e-6, and why.",
        ],
        ["metrics", "library", "evaluation", "with conversion", "values"],
        rows,
    )


def differences(peer: str, ours: dict[str, float], theirs: dict[str, float]) -> str:
    """Say which values differ from ours, and why."""
    said = [
        f"{name} {theirs[name]:.5f} for {ours[name]:.5f}: {WHY.get((peer, name), 'unexplained')}"
        for name in ours
        if name in theirs and abs(theirs[name] - ours[name]) > DIFFERENT
    ]
    left = [name for name in ours if name not in theirs]
    if left:
        said.append(f"has no {', '.join(left)}")
    return "; ".join(said) or "the same"


def ranked(n: int) -> dict[str, np.ndarray]:
    """Draw lists of popular items and, from a wider range of them, what is relevant."""
    rng = np.random.default_rng(0)
    lists = np.empty((n, PLACES), np.int32)
    relevant: list[np.ndarray] = []
    for user in range(n):
        drawn = np.unique((N_ITEMS * rng.random(3 * PLACES) ** 3).astype(np.int32))
        lists[user] = rng.permutation(drawn)[:PLACES]
        wanted = (N_ITEMS * rng.random(1 + rng.poisson(13)) ** 3).astype(np.int32)
        some = rng.choice(lists[user], 3)
        relevant.append(np.unique(np.concatenate([wanted, some])).astype(np.int32))
    return {
        "lists": lists,
        "indptr": np.concatenate([[0], np.cumsum([len(one) for one in relevant])]),
        "relevant": np.concatenate(relevant),
    }


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if __name__ == "__main__":
    main()
