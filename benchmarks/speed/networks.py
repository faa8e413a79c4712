"""Seconds of a pass of the networks of two towers beside LibRecommender's and torch-rechub's, and how well each ranks.

``python benchmarks/speed/networks.py [--data ml-1m] [--epochs 5] [--only candidates|words] [--users 1500] [--save]``

Candidates: everybody's last item is to be found among all others by the ids before it. Words: items held out whole are to be found by
their words. Vectors of the peers are ranked and measured as ours are. A pass of ours is the difference of two fits.
"""

from __future__ import annotations

import dataclasses
import sys
import time
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


def candidates() -> None:
    """Compare retrieval by ids."""
    split = tw.split.leave_last(tw.datasets.load(DATA))
    train = split.train
    estimator = YouTubeCandidates(
        factors=FACTORS, features=(), example_age=False, watches=WATCHES, batch_size=BATCH,
        examples_per_user=1_000_000, epochs=EPOCHS,
    )  # fmt: skip
    own = seconds_of_a_pass(estimator, train)

    def measured(model: tw.FittedModel) -> str:
        return f"{tw.evaluate(model, split, metrics=['ndcg@10'])['ndcg@10']:.4f}"

    rows = [["YouTubeCandidates", f"{own:.2f}", measured(estimator.fit(train, rng=0)), ""]]
    sys.stderr.write(f"{rows[0]}\n")
    events = train.interactions
    ids = {"user": events.user, "item": events.item}
    shared: dict[str, Any] = {"factors": FACTORS, "batch_size": BATCH, "epochs": EPOCHS}
    for model in ("YouTubeRetrieval", "TwoTower"):
        found = beside.ask(
            "towers", ids, environment="libreco", model=model, negatives=min(BATCH, train.n_items - 1),
            n_users=train.n_users, n_items=train.n_items, learning_rate=5e-3, **shared,
        )  # fmt: skip
        rows.append(
            row_of(
                f"LibRecommender {model}",
                found,
                lambda one: measured(beside.given(one["users"], one["items"], train)),
                own,
            )
        )
        sys.stderr.write(f"{rows[-1]}\n")
    rng = np.random.default_rng(0)
    mine = np.split(events.item, np.flatnonzero(np.diff(events.user)) + 1)
    before = [row[:at] for row in mine for at in range(1, len(row))]
    label = np.concatenate([row[1:] for row in mine])
    found = beside.ask(
        "word_towers",
        {
            "history": padded(before, WATCHES), "item": label, "users": padded(mine, WATCHES),
            "items": np.arange(train.n_items)[:, None] + 1,
            "negatives": rng.integers(1, train.n_items + 1, (len(label), 20)).astype(np.int32),
        },
        environment="libreco", model="YoutubeDNN", n_tokens=train.n_items, embedding=FACTORS, hidden=FACTORS,
        learning_rate=1e-3, **shared,
    )  # fmt: skip
    rows.append(
        row_of(
            "torch-rechub YoutubeDNN (20 negatives)",
            found,
            lambda one: measured(beside.given(one["users"], one["items"], train)),
            own,
        )
    )
    beside.table(
        "Retrieval by ids, a pass beside the peers",
        [
            f"{DATA}, {train}; everybody's last item among all others that they have not; d = {FACTORS}, {WATCHES} watches, batches of {BATCH:,}, {EPOCHS} passes,",
            "every event an example; ratio: their seconds over ours.",
        ],
        ["model", "s a pass", "ndcg@10", "ratio"],
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
