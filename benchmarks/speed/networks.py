"""Seconds of a pass of the networks of two towers beside LibRecommender's and torch-rechub's, and how well each ranks.

``python benchmarks/speed/networks.py [--data ml-100k] [--epochs 5] [--only candidates|words] [--users 1500] [--save]``

Candidates: everybody's LAST items are to be found among all others by the ids before them; every model has the step size of RATES
that finds the LAST items before these best, and is then trained once with each of REPEATS seeds, in turns. Words: items held out
whole are to be found by their words. Vectors of the peers are ranked and measured as ours are. A pass of ours is found from two fits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.features.text import BagOfWords
from twofold.models import DSSM, YouTubeCandidates

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DATA = beside.option("--data", "ml-100k")
EPOCHS = int(beside.option("--epochs", "5"))
ONLY = beside.option("--only", "")
USERS = int(beside.option("--users", "1500"))
REPEATS, FACTORS, BATCH, WATCHES, WORDS = 3, 64, 2048, 50, 40
RATES, LAST = (0.0025, 0.005, 0.01, 0.02), 5
DRAWN = 500
OURS = {"YouTubeCandidates": BATCH, f"YouTubeCandidates, {DRAWN} negatives": DRAWN}
"""Negatives of a batch; where there are no more items than that, the softmax is over all of them."""


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
            replace(estimator, epochs=epochs).fit(train, rng=0)
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


Fit = Callable[[tw.Dataset, float, int], "tuple[tw.FittedModel, float] | str"]
"""(log, step size, seed): the model after EPOCHS passes and the seconds of one, or why there is none."""


def own_candidates(
    negatives: int, train: tw.Dataset, rate: float, seed: int
) -> tuple[tw.FittedModel, float]:
    """Fit ours for one pass and for all of them; a pass is the difference's share."""
    estimator = YouTubeCandidates(
        factors=FACTORS, features=(), example_age=False, watches=WATCHES, batch_size=BATCH, examples_per_user=1_000_000,
        learning_rate=rate, negatives=negatives,
    )  # fmt: skip
    began = time.perf_counter()
    replace(estimator, epochs=1).fit(train, rng=seed)
    between = time.perf_counter()
    model = replace(estimator, epochs=EPOCHS).fit(train, rng=seed)
    return model, (time.perf_counter() - 2 * between + began) / (EPOCHS - 1)


def peer_candidates(
    name: str, train: tw.Dataset, rate: float, seed: int
) -> tuple[tw.FittedModel, float] | str:
    """Fit one of LibRecommender's models to the ids of a log."""
    events = train.interactions
    found = beside.ask(
        "towers", {"user": events.user, "item": events.item}, environment="libreco", model=name,
        negatives=min(BATCH, train.n_items - 1), n_users=train.n_users, n_items=train.n_items,
        learning_rate=rate, factors=FACTORS, batch_size=BATCH, epochs=EPOCHS, seed=seed,
    )  # fmt: skip
    return given(found, train)


def peer_network(train: tw.Dataset, rate: float, seed: int) -> tuple[tw.FittedModel, float] | str:
    """Fit torch-rechub's YoutubeDNN to the ids of a log."""
    events = train.interactions
    rng = np.random.default_rng(seed)
    mine = np.split(events.item, events.indptr[1:-1])
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
        learning_rate=rate, factors=FACTORS, batch_size=BATCH, epochs=EPOCHS, seed=seed,
    )  # fmt: skip
    return given(found, train)


def given(found: dict[str, Any] | str, train: tw.Dataset) -> tuple[tw.FittedModel, float] | str:
    """Return a peer's vectors as a model, and its seconds a pass."""
    if isinstance(found, str):
        return found
    return beside.given(found["users"], found["items"], train), found["per_epoch"]


def best_rate(fit: Fit, split: tw.Split) -> float | str:
    """Return the step size whose model ranks the test part of `split` best."""
    found: list[float] = []
    for rate in RATES:
        made = fit(split.train, rate, 0)
        if isinstance(made, str):
            return made
        found.append(ranked(made[0], split))
    return RATES[int(np.argmax(found))]


def candidates() -> None:
    """Compare retrieval by ids: the step size of each model first, then rounds in which each of them is fitted once."""
    split = tw.split.leave_last(tw.datasets.load(DATA), n=LAST)
    before = tw.split.leave_last(split.train, n=LAST)
    models = {
        **{label: partial(own_candidates, negatives) for label, negatives in OURS.items()},
        "LibRecommender YouTubeRetrieval": partial(peer_candidates, "YouTubeRetrieval"),
        "LibRecommender TwoTower": partial(peer_candidates, "TwoTower"),
        "torch-rechub YoutubeDNN (20 negatives)": peer_network,
    }
    rates = {label: best_rate(fit, before) for label, fit in models.items()}
    sys.stderr.write(f"{rates}\n")
    found: dict[str, list[tuple[float, float]]] = {label: [] for label in models}
    missing = {label: rate for label, rate in rates.items() if isinstance(rate, str)}
    for seed in range(REPEATS):
        for label, fit in models.items():
            if not isinstance(rate := rates[label], str):
                made = fit(split.train, rate, seed)
                assert not isinstance(made, str)
                found[label].append((ranked(made[0], split), made[1]))
                sys.stderr.write(f"{label} {found[label][-1]}\n")
    rows: list[list[str]] = []
    for label in models:
        if label in missing:
            rows.append([label, "", missing[label], *[""] * (1 + len(OURS))])
            continue
        seconds = np.array([took for _, took in found[label]])
        ratios = ["" if label in OURS else f"{np.median(seconds / [took for _, took in found[own]]):.1f}" for own in OURS]  # fmt: skip
        ndcg = beside.mean_of(np.array([one for one, _ in found[label]]))
        rows.append([label, f"{rates[label]:g}", f"{np.median(seconds):.2f}", ndcg, *ratios])
    beside.table(
        "Retrieval by ids beside the peers",
        [
            f"{DATA}, {split.train}; everybody's last {LAST} items among all others that they have not; d = {FACTORS}, {WATCHES} watches, batches of {BATCH:,}, {EPOCHS} passes,",
            f"every event an example; the step size of {', '.join(f'{one:g}' for one in RATES)} that ranks the {LAST} items before these best, for each model its own. Ours: the softmax",
            f"over all items, and over {DRAWN} that are drawn for each batch. {REPEATS} rounds with seeds of their own, in each of which every model is trained once: mean",
            "ndcg@10 with 95 % interval (t), median seconds, and the median over the rounds of their seconds a pass over ours.",
        ],
        ["model", "step", "s a pass", "ndcg@10", *(f"over {label}" for label in OURS)],
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
        content="words", inputs="words", encoder={"kind": "dense", "hidden": (300,), "start": "drawn"}, factors=128, towers="shared", weight="bm25",  # pyright: ignore[reportArgumentType]
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
