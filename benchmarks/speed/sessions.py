"""Seconds of a pass of GRU4Rec and SASRec beside RecBole's, and what one more event costs at serving.

``python benchmarks/speed/sessions.py [--users 6000] [--items 3700] [--length 80] [--repeats 3] [--peers] [--save]``

The log is drawn: everybody walks among items by popularity. RecBole expands every prefix of a history into a row of its own, ours are
trained on whole histories; a pass is every event foreseen once from those before it, either way. Seconds of ours are the difference
of two fits that differ in one pass, the least of the repeats; RecBole's are those of its own pass.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import twofold as tw
from twofold.models import GRU4Rec, SASRec

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

N_USERS = int(beside.option("--users", "6000"))
N_ITEMS = int(beside.option("--items", "3700"))
LENGTH = int(beside.option("--length", "80"))
REPEATS = int(beside.option("--repeats", "3"))
FACTORS = 64


def log() -> tw.Dataset:
    """Return a log of about `LENGTH` events a user, items by a power law."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(rng.geometric(1 / LENGTH, N_USERS), 2)
    user = np.repeat(np.arange(N_USERS), lengths)
    weight = 1 / np.arange(1, N_ITEMS + 1) ** 0.8
    item = rng.choice(N_ITEMS, len(user), p=weight / weight.sum())
    times = {"u": user, "i": item, "t": np.arange(len(user))}
    return tw.Dataset.from_frames(times, user="u", item="i", time="t")


def seconds_of_a_pass(estimator: type, data: tw.Dataset) -> float:
    """Return the least difference of a fit of two passes and one of one."""
    estimator(factors=FACTORS, epochs=1).fit(data, rng=0)  # compiles
    found = []
    for _ in range(REPEATS):
        took = []
        for epochs in (1, 2):
            began = time.perf_counter()
            estimator(factors=FACTORS, epochs=epochs).fit(data, rng=0)
            took.append(time.perf_counter() - began)
        found.append(took[1] - took[0])
    return min(found)


def serving(data: tw.Dataset) -> list[list[str]]:
    """Return the microseconds from one more event to a new vector, and to a new list of ten."""
    rows = []
    item = np.array([1], np.int32)
    for estimator in (GRU4Rec(factors=FACTORS, epochs=1), SASRec(factors=FACTORS, epochs=1)):
        model = estimator.fit(data, rng=0)
        longest = int(np.argmax(model.memory.history.lengths))
        own = model.memory.history.take(np.array([longest], np.int32))
        took = []
        for _ in range(200):
            began = time.perf_counter()
            if isinstance(estimator, GRU4Rec):
                state = model.advance(model.remembered(np.array([longest], np.int32)), item)
                vector = model.encode_state(state)
            else:
                newer = tw.Histories(np.array([0, 1]), item, np.ones(1, np.float32))
                vector = model.fold_in(own.joined(newer))
            found = time.perf_counter() - began
            scores = model.item_vectors @ vector[0]
            np.argpartition(-scores, 10)
            took.append((found, time.perf_counter() - began))
        vector_us, list_us = (1e6 * np.median([one[at] for one in took]) for at in (0, 1))
        rows.append([type(estimator).__name__, f"{vector_us:.0f}", f"{list_us:.0f}"])
    return rows


def main() -> None:
    """Measure and print both tables."""
    data = log()
    events = data.interactions
    rows = []
    for estimator in (GRU4Rec, SASRec):
        own = seconds_of_a_pass(estimator, data)
        row = [estimator.__name__, f"{own:.2f}"]
        if "--peers" in sys.argv:
            found = beside.ask(
                "recbole_sequences", {"user": events.user, "item": events.item},
                environment="recbole", model=estimator.__name__, factors=FACTORS, epochs=1, n_items=data.n_items,
            )  # fmt: skip
            if isinstance(found, str):
                row += [found, ""]
            else:
                row += [f"{found['per_epoch']:.1f}", f"{found['per_epoch'] / own:.1f}"]
        else:
            row += ["not asked (--peers)", ""]
        rows.append(row)
        sys.stderr.write(" ".join(row) + "\n")
    beside.table(
        "A pass over histories",
        [
            f"{len(data):,} events of {data.n_users:,} users, {data.n_items:,} items; d = {FACTORS}, defaults; RecBole: softmax over all items, length 50."
        ],
        ["model", "s a pass", "RecBole, s a pass", "ratio"],
        rows,
    )
    beside.table(
        "One more event",
        [
            "Microseconds to a new vector, and to the best ten, of the longest history; medians of 200."
        ],
        ["model", "vector", "list"],
        serving(data),
        suffix="_serving",
    )


if __name__ == "__main__":
    main()
