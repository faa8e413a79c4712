"""Seconds of a training pass, beside cornac, implicit, irspack and myFM on the same log.

``python benchmarks/speed/training.py [--events N] [--runs N] [--save]``: a generated log of the shape of
MovieLens (1,000,000 events, or 20,000,000 with ``--events 20000000``).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.data.synthetic import movielens_like
from twofold.models.factorization.fm import FM, MCMC

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SHAPES = {1_000_000: (6_040, 3_706), 20_000_000: (138_000, 27_000)}
PLAIN: dict[str, Any] = {"features": (), "user_history": False, "item_history": False}


def chain(epochs: int) -> MCMC:
    """Return a chain of so many sweeps, the last of which is kept."""
    return MCMC(burn_in=epochs - 1, samples=1, thin=1)


# What is trained: passes, dimensions, ours, and the peers that do the same.
JOBS: dict[str, tuple[int, tuple[int, ...], Any, tuple[str, ...]]] = {
    "explicit MF, SGD": (
        10,
        (64,),
        lambda d, n: tw.models.BiasedMF(factors=d, epochs=n, reg=0.02),
        ("cornac MF",),
    ),
    "BPR": (
        10,
        (64,),
        lambda d, n: tw.models.BPR(factors=d, epochs=n),
        ("cornac BPR", "implicit BPR"),
    ),
    "implicit ALS": (
        8,
        (64, 128),
        lambda d, n: tw.models.IALS(factors=d, epochs=n),
        ("implicit ALS", "irspack IALS"),
    ),
    "FM, MCMC on ids": (
        10,
        (8, 32),
        lambda d, n: FM(factors=d, learner=chain(n), **PLAIN),
        ("myFM",),
    ),
}


def main() -> None:
    """Time and print the table."""
    events = int(option("--events", "1000000"))
    runs = int(option("--runs", "3"))
    n_users, n_items = SHAPES[events]
    data = movielens_like(n_users, n_items, events, rng=0)
    log = data.interactions
    arrays = {"user": log.user, "item": log.item, "value": log.value}
    rows: list[list[str]] = []
    for job, (epochs, dimensions, make, peers) in JOBS.items():
        for d in dimensions:
            seconds: dict[str, list[float]] = {"twofold": []}
            missing: dict[str, str] = {}
            make(d, 1).fit(data, rng=0)
            for _ in range(runs):
                began = time.perf_counter()
                make(d, epochs).fit(data, rng=0)
                seconds["twofold"].append(time.perf_counter() - began)
                for name in peers:
                    found = beside.ask(
                        "speed", arrays, name=name, factors=d, epochs=epochs, n_users=data.n_users,
                        n_items=data.n_items,
                    )  # fmt: skip
                    if isinstance(found, str):
                        missing[name] = found
                    else:
                        seconds.setdefault(name, []).append(found["seconds"])
            own = float(np.median(seconds["twofold"]))
            for name in peers:
                if name in missing:
                    rows.append([job, str(d), name, missing[name], ""])
                    continue
                other = float(np.median(seconds[name]))
                spread = f"{min(seconds[name]) / max(seconds['twofold']):.1f} to {max(seconds[name]) / min(seconds['twofold']):.1f}"
                rows.append([job, str(d), name, f"{other / own:.1f}", spread])
                sys.stderr.write(
                    f"{job} d={d}: {own / epochs:.3f} s a pass, {name} {other / epochs:.3f}\n"
                )
    beside.table(
        f"Training speed, {events:,} events",
        [
            f"A generated log of {data.n_users:,} users, {data.n_items:,} items and {len(data):,} ratings (seed 0).",
            "How many times as long the peer takes for the same number of passes, set-up of the fit included",
            f"(not the building of its data set); medians of {runs} runs that alternate, after one pass that is",
            "not counted; the last column is what the slowest and fastest runs would give. Accuracy is not",
            "compared here; it is in the quality tables.",
        ],
        ["training", "d", "peer", "peer / twofold", "range"],
        rows,
    )


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if __name__ == "__main__":
    main()
