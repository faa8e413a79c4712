"""Seconds of a pass of the networks of two towers beside LibRecommender's and torch-rechub's, and how well each ranks.

``python benchmarks/speed/networks.py [--data ml-1m] [--epochs 5] [--only candidates|words] [--users 1500] [--save]``

Candidates: everybody's LAST items are to be found among all others by the ids before them; every model has the step size of RATES
that finds the LAST items before these best. Words: items held out whole are to be found by their words. Vectors of the peers are
ranked and measured as ours are. A pass of ours is the difference of two fits.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.features.text import BagOfWords
from twofold.models import DSSM, YouTubeCandidates

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DATA = beside.option("--data", "ml-1m")
EPOCHS = int(beside.option("--epochs", "5"))
ONLY = beside.option("--only", "")
USERS = int(beside.option("--users", "1500"))
REPEATS, FACTORS, BATCH, WATCHES, WORDS = 3, 64, 2048, 50, 40
RATES, LAST = (0.0025, 0.005, 0.01, 0.02), 5


def padded(rows: list[np.ndarray], longest: int) -> np.ndarray:
    """Return the last `longest` of every row, 1 added, zeros behind; shape (n, longest)."""
    made = np.zeros((len(rows), longest), np.int32)
    for at, row in enumerate(rows):
        own = row[-longest:] + 1
        made[at, : len(own)] = own
    return made


def seconds_of_a_pass(estimator: Any, train: tw.Dataset) -> float:
    """Return the median difference of a fit of two passes and one of one."""
    found = []
    for _ in range(REPEATS + 1):  # the first one compiles
        took = []
        for epochs in (1, 2):
            began = time.perf_counter()
            dataclasses.replace(estimator, epochs=epochs).fit(train, rng=0)
            took.append(time.perf_counter() - began)
        found.append(took[1] - took[0])
    return float(np.median(found[1:]))


def row_of(name: str, found: dict[str, Any] | str, measure: Any, own: float) -> list[str]:
    """Return a peer's line: its seconds, its ranking, and seconds over ours."""
    if isinstance(found, str):
        return [name, found, "", ""]
    return [name, f"{found['per_epoch']:.2f}", measure(found), f"{found['per_epoch'] / own:.1f}"]


def ranked(model: tw.FittedModel, split: tw.Split) -> float:
    """Return ndcg@10 of a split's test part."""
    return float(tw.evaluate(model, split, metrics=["ndcg@10"])["ndcg@10"])


Fit = Callable[[tw.Dataset, float], "tuple[tw.FittedModel, float] | str"]
"""(log, step size): the model after EPOCHS passes and the seconds of one, or why there is none."""


def peer_candidates(name: str, train: tw.Dataset, rate: float) -> dict[str, Any] | str:
    """Return what one of LibRecommender's models learned from the ids of a log."""
    events = train.interactions
    return beside.ask(
        "towers", {"user": events.user, "item": events.item}, environment="libreco", model=name,
        negatives=min(BATCH, train.n_items - 1), n_users=train.n_users, n_items=train.n_items,
        learning_rate=rate, factors=FACTORS, batch_size=BATCH, epochs=EPOCHS,
    )  # fmt: skip


def peer_network(train: tw.Dataset, rate: float) -> dict[str, Any] | str:
    """Return what torch-rechub's YoutubeDNN learned from the ids of a log."""
    events = train.interactions
    rng = np.random.default_rng(0)
    mine = np.split(events.item, events.indptr[1:-1])
    before = [row[:at] for row in mine for at in range(1, len(row))]
    label = np.concatenate([row[1:] for row in mine])
    return beside.ask(
        "word_towers",
        {
            "history": padded(before, WATCHES), "item": label, "users": padded(mine, WATCHES),
            "items": np.arange(train.n_items)[:, None] + 1,
            "negatives": rng.integers(1, train.n_items + 1, (len(label), 20)).astype(np.int32),
        },
        environment="libreco", model="YoutubeDNN", n_tokens=train.n_items, embedding=FACTORS, hidden=FACTORS,
        learning_rate=rate, factors=FACTORS, batch_size=BATCH, epochs=EPOCHS,
    )  # fmt: skip


def best_rate(fit: Fit, split: tw.Split) -> float | str:
    """Return the step size whose model ranks the test part of `split` best."""
    found: list[float] = []
    for rate in RATES:
        made = fit(split.train, rate)
        if isinstance(made, str):
            return made
        found.append(ranked(made[0], split))
    return RATES[int(np.argmax(found))]


def candidates() -> None:
    """Compare retrieval by ids."""
    split = tw.split.leave_last(tw.datasets.load(DATA), n=LAST)
    before = tw.split.leave_last(split.train, n=LAST)
    estimator = YouTubeCandidates(
        factors=FACTORS, features=(), example_age=False, watches=WATCHES, batch_size=BATCH,
        examples_per_user=1_000_000, epochs=EPOCHS,
    )  # fmt: skip

    def ours(train: tw.Dataset, rate: float, epochs: int = EPOCHS) -> tuple[tw.FittedModel, float]:
        made = dataclasses.replace(estimator, learning_rate=rate, epochs=epochs)
        return made.fit(train, rng=0), 0.0

    def asked(ask: Callable[[tw.Dataset, float], dict[str, Any] | str]) -> Fit:
        def fit(train: tw.Dataset, rate: float) -> tuple[tw.FittedModel, float] | str:
            found = ask(train, rate)
            if isinstance(found, str):
                return found
            return beside.given(found["users"], found["items"], train), found["per_epoch"]

        return fit

    own = seconds_of_a_pass(estimator, split.train)
    rate = best_rate(ours, before)
    assert not isinstance(rate, str)
    curve = [ranked(ours(split.train, rate, at)[0], split) for at in range(1, EPOCHS + 1)]
    rows = [["YouTubeCandidates", f"{rate:g}", f"{own:.2f}", f"{curve[-1]:.4f}", "", "", ""]]
    sys.stderr.write(f"{rows[0]} {curve}\n")
    for name, fit in {
        "LibRecommender YouTubeRetrieval": asked(partial(peer_candidates, "YouTubeRetrieval")),
        "LibRecommender TwoTower": asked(partial(peer_candidates, "TwoTower")),
        "torch-rechub YoutubeDNN (20 negatives)": asked(peer_network),
    }.items():
        rate = best_rate(fit, before)
        made = rate if isinstance(rate, str) else fit(split.train, rate)
        if isinstance(made, str):
            rows.append([name, "", made, "", "", "", ""])
            continue
        found, took = ranked(made[0], split), made[1]
        as_good = next((at for at, one in enumerate(curve, 1) if one >= found), None)
        until = ["-", "-"] if as_good is None else [f"{as_good}", f"{took * EPOCHS / (own * as_good):.1f}"]  # fmt: skip
        rows.append([name, f"{rate:g}", f"{took:.2f}", f"{found:.4f}", f"{took / own:.1f}", *until])
        sys.stderr.write(f"{rows[-1]}\n")
    beside.table(
        "Retrieval by ids beside the peers",
        [
            f"{DATA}, {split.train}; everybody's last {LAST} items among all others that they have not; d = {FACTORS}, {WATCHES} watches, batches of {BATCH:,}, {EPOCHS} passes,",
            f"every event an example; the step size of {', '.join(f'{one:g}' for one in RATES)} that ranks the {LAST} items before these best, for each model its own.",
            f"Ratio: their seconds a pass over ours. As good: passes of ours after which it ranks as well as theirs after {EPOCHS}, and their seconds until then over ours.",
        ],
        ["model", "step", "s a pass", "ndcg@10", "ratio", "as good after", "ratio until then"],
        rows,
        suffix="_candidates",
    )


def words() -> None:
    """Compare towers on words, on items that training never saw."""
    data = tw.datasets.load("citeulike-t")
    drawn = np.random.default_rng(0).choice(data.n_users, min(USERS, data.n_users), replace=False)
    data = data.part(np.flatnonzero(np.isin(data.interactions.user, drawn)))
    split = tw.split.cold_items(data, test=0.15, rng=1)
    train, test = split.train, split.test
    estimator = DSSM(
        content="words", inputs="words", encoder={"kind": "dense", "hidden": (300,)}, factors=128, towers="shared", weight="bm25",  # pyright: ignore[reportArgumentType]
        drawn="batch", dealt="people", negatives=500, batch_size=512, epochs=EPOCHS, vocabulary=20_000,
    )  # fmt: skip
    own = seconds_of_a_pass(estimator, train)
    users = train.users.ids.rows(test.users.ids.ids)
    asked = np.flatnonzero(users >= 0)
    wanted = test.interactions.matrix()[asked]

    def measured(queries: np.ndarray, items: np.ndarray) -> str:
        gains, found = 1 / np.log2(np.arange(2, 12)), []
        for row, scores in enumerate(queries @ items.T):
            mine = wanted.indices[wanted.indptr[row] : wanted.indptr[row + 1]]
            hit = np.isin(np.argsort(-scores, kind="stable")[:10], mine)
            found.append((hit * gains).sum() / gains[: len(mine)].sum())
        return f"{np.mean(found):.4f}"

    model = estimator.fit(train, rng=0)
    longer = model.with_items(test.items)
    new = longer.items.ids.rows(test.items.ids.ids)
    ranked = measured(np.asarray(model.lookup(users[asked])), np.asarray(longer.item_vectors)[new])
    rows = [["DSSM", f"{own:.2f}", ranked, ""]]
    sys.stderr.write(f"{rows[0]}\n")
    code = BagOfWords().fit(train.items.features["words"])
    known, cold = (code.encode(one.items.features["words"]).rows for one in (train, test))
    bags = [known.indices[known.indptr[at] : known.indptr[at + 1]] for at in range(known.shape[0])]
    bags += [cold.indices[cold.indptr[at] : cold.indptr[at + 1]] for at in range(cold.shape[0])]
    events = train.interactions
    rng = np.random.default_rng(0)
    user, item = events.user, events.item
    mine = np.split(item, np.flatnonzero(np.diff(user)) + 1)
    some = [
        np.concatenate([bags[one] for one in rng.choice(row, min(len(row), 8), replace=False)])
        for row in mine
    ]
    of = np.concatenate([np.full(len(row), at) for at, row in enumerate(mine)])
    history = padded(some, 4 * WORDS)
    found = beside.ask(
        "word_towers",
        {"history": history[of], "item": item, "users": history, "items": padded(bags, WORDS)},
        environment="libreco", model="DSSM", n_tokens=known.shape[1], embedding=300, hidden=300,
        factors=128, batch_size=512, epochs=EPOCHS, learning_rate=1e-3,
    )  # fmt: skip
    present = {int(one): at for at, one in enumerate(np.unique(user))}
    at = np.array([present[int(one)] for one in users[asked]])
    rows.append(
        row_of(
            "torch-rechub DSSM",
            found,
            lambda one: measured(one["users"][at], one["items"][known.shape[0] :]),
            own,
        )
    )
    beside.table(
        "Towers on words, a pass beside the peer",
        [
            f"citeulike-t, {train}; {test.n_items:,} articles that training never saw, ranked for {len(asked):,} users by the words of their history;",
            f"hidden 300, d = 128, batches of 512, {EPOCHS} passes; the peer reads at most {WORDS} words of an article and {4 * WORDS} of a history and has the others of the batch as negatives,",
            "without a temperature; ours reads all words and draws 500 items a batch, gamma 10. Ratio: its seconds over ours.",
        ],
        ["model", "s a pass", "ndcg@10", "ratio"],
        rows,
        suffix="_words",
    )


def main() -> None:
    """Measure and print."""
    if ONLY in ("", "candidates"):
        candidates()
    if ONLY in ("", "words"):
        words()


if __name__ == "__main__":
    main()
