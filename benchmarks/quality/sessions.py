"""The next item: GRU4Rec and SASRec beside popularity, ItemKNN, IALS and RecBole, and cells by length of the history.

``python benchmarks/quality/sessions.py [--only beauty|cells|losses|diginetica] [--seed 0] [--epochs N] [--models GRU4Rec,SASRec]
[--people N] [--part validation] [--whole] [--peers] [--peer-models GRU4Rec,SASRec] [--peer-epochs N] [--peer-seconds N] [--peer-length 50]
[--save] [--merge]``

beauty: amazon-beauty, the last item of everybody tests, the one before validates (early stopping), the rest trains; both are
read by all models when they are asked. The first columns rank it among 99 items drawn uniformly from those that the person never
took: for comparison with published tables only. The last rank it in the whole catalogue without what was taken. With ``--whole`` the
networks are trained twice: once to see after how many passes the validation item is foreseen best, then on everything before the last item for as many.
cells: diginetica-sample, sessions by time; every event after the first of a test session is foreseen from those before it.
diginetica: GRU4Rec and SASRec there, and with ``--peers`` RecBole's. RecBole's passes are chosen on the same held-out events as ours,
with the same patience, and it stops after ``--peer-seconds``; a table with ``--peer-models`` has their names. ``--people N`` keeps the first N people of amazon-beauty, in a table of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import twofold as tw
from twofold.data.queries import Queries
from twofold.evaluation.uncertainty import bootstrap
from twofold.models import IALS, GRU4Rec, ItemKNN, Popularity, SASRec
from twofold.models.sequence import gru4rec, sasrec
from twofold.models.sequence._next_item import held_out

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
ONLY = beside.option("--only", "")
NAMES = tuple(one for one in beside.option("--models", "").split(",") if one)
EPOCHS = int(beside.option("--epochs", "0"))
PEER_EPOCHS = int(beside.option("--peer-epochs", "300"))
PEER_SECONDS = float(beside.option("--peer-seconds", "700"))
PEER_MODELS = [one for one in beside.option("--peer-models", "GRU4Rec,SASRec").split(",") if one]
PEER_LENGTH = int(beside.option("--peer-length", "50"))
PEER_BATCH = 256
"""Rows of a step of RecBole, whose default of 2,048 leaves these logs a handful of steps a pass."""
PEERS = f" RecBole: softmax over all items, the last {PEER_LENGTH} items, 64 factors, {PEER_BATCH} rows a step, its rate of .001, at most {PEER_SECONDS:.0f} s."
PATIENCE = 10
"""Passes without a better one after which training stops, where RecBole is beside it."""
PEOPLE = int(beside.option("--people", "0"))
PART = beside.option("--part", "test")
WHOLE = "--whole" in sys.argv
NEGATIVES = 99
K = 10

BEAUTY: dict[str, Any] = {
    "Popularity": Popularity(),
    "ItemKNN": ItemKNN(),
    "IALS": IALS(factors=64, unobserved_weight=0.1),
    "GRU4Rec": GRU4Rec(epochs=20),
    "SASRec": SASRec(),
    "SASRec, binary": SASRec(epochs=120, loss=sasrec.Binary()),
}
CELLS: dict[str, Any] = {
    "Popularity": Popularity(),
    "ItemKNN": ItemKNN(),
    **{
        f"GRU4Rec, {type(cell).__name__}": GRU4Rec(cell=cell, epochs=20)
        for cell in (parts() for parts in (gru4rec.RNN, gru4rec.LSTM, gru4rec.GRU))
    },
}
DIGINETICA: dict[str, Any] = {
    "Popularity": Popularity(),
    "ItemKNN": ItemKNN(),
    "GRU4Rec": GRU4Rec(epochs=100, patience=PATIENCE),
    "GRU4Rec of 16 sessions a step": GRU4Rec(
        epochs=100, patience=PATIENCE, batch_size=16, samples=None
    ),
    "SASRec": SASRec(epochs=100, patience=PATIENCE),
}
LOSSES = (
    gru4rec.CrossEntropy(), gru4rec.BPRLoss(), gru4rec.TOP1(), gru4rec.BPRMax(), gru4rec.TOP1Max(),
)  # fmt: skip


def chosen(contenders: dict[str, Any]) -> dict[str, Any]:
    """Return the contenders that are asked for, with the epochs that are asked for."""
    kept = {name: one for name, one in contenders.items() if not NAMES or name in NAMES}
    if not EPOCHS:
        return kept
    return {
        name: type(one)(**{**vars(one), "epochs": EPOCHS}) if hasattr(one, "patience") else one
        for name, one in kept.items()
    }


def scores_of(model: tw.FittedModel, histories: tw.Histories) -> np.ndarray:
    """Return the scores of all items after each history, (n, n_items)."""
    vectors = model.encode(Queries.of_histories(histories)).vectors
    found = vectors @ model.item_vectors.T
    return found if isinstance(found, np.ndarray) else found.toarray()


def answers(model: tw.FittedModel, histories: tw.Histories, part: np.ndarray) -> np.ndarray:
    """Return the scores of all items after the histories at the places `part` (n,), (n, n_items)."""
    return scores_of(model, histories.take(part))


def places(scores: np.ndarray, target: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Return how many score above each target (n,), half of the equal ones; `among` (n, m) are columns that count."""
    own = scores[np.arange(len(scores)), target][:, None]
    rivals = scores if among is None else np.take_along_axis(scores, among, axis=1)
    equal = (rivals == own).sum(axis=1) - (1 if among is None else 0)
    return (rivals > own).sum(axis=1) + equal / 2


def hits_and_gains(place: np.ndarray) -> np.ndarray:
    """Return hit@10 and ndcg@10 of one relevant item a list, (2, n)."""
    inside = place < K
    return np.stack([inside, inside / np.log2(2 + place)])


def between(totals: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return half of each 95 % interval of sum(total) / sum(weight) over resampled people, (c,); totals (c, n)."""
    weight = np.ones(totals.shape[1]) if weight is None else weight
    ends = bootstrap(totals.astype(np.float64), weight, rng=np.random.default_rng(SEED))
    return (ends[:, 1] - ends[:, 0]) / 2


def with_intervals(label: str, found: np.ndarray, best: np.ndarray, took: float) -> list[str]:
    """Return a row: means over people of `found` (4, n), and the paired difference of the last from `best` (n,)."""
    means, ends = found.mean(axis=1), between(found)
    cells = [f"{one:.4f} ± {end:.4f}" for one, end in zip(means, ends, strict=True)]
    less = found[3] - best
    away = f"{less.mean():+.4f} ± {between(less[None])[0]:.4f}" if less.any() else "-"
    return [label, *cells, away, f"{took:.0f}"]


class LastItem:
    """Leave-last-out on one log: who is asked, after what, for what, and among which items."""

    def __init__(self, data: tw.Dataset) -> None:
        if PEOPLE:
            data = data.part(np.flatnonzero(data.interactions.user < PEOPLE))
        self.split = tw.split.leave_last(data, validation=not WHOLE)
        train, held, test = self.split.train, self.split.validation, self.split.test
        if PART == "validation":
            assert held is not None
            test = held
        row = train.items.ids.rows
        user = train.users.ids.rows(test.users.ids.ids)[test.interactions.user]
        target = row(test.items.ids.ids)[test.interactions.item]
        last = np.full(train.n_users, -1, np.int32)
        if PART == "test" and held is not None:
            of_held = train.users.ids.rows(held.users.ids.ids)[held.interactions.user]
            last[of_held] = row(held.items.ids.ids)[held.interactions.item]
        known = target >= 0
        self.left_out = int((~known).sum())
        self.user, self.target = user[known], target[known]
        own = tw.Histories.of(train.interactions).take(self.user)
        n = len(self.user)
        newest = tw.Histories(np.arange(n + 1), last[self.user], np.ones(n, np.float32))
        kept = newest.item >= 0
        newest = tw.Histories(
            np.concatenate([[0], np.cumsum(kept)]), newest.item[kept], newest.value[kept]
        )
        self.histories = own.joined(newest)
        rng = np.random.default_rng(SEED)
        taken = self.histories.matrix(train.n_items)
        self.among = np.empty((n, NEGATIVES), np.int64)
        for at in range(n):
            mine = {*taken.indices[taken.indptr[at] : taken.indptr[at + 1]], self.target[at]}
            drawn: list[int] = []
            while len(drawn) < NEGATIVES:
                one = int(rng.integers(train.n_items))
                if one not in mine:
                    mine.add(one)
                    drawn.append(one)
            self.among[at] = drawn

    def measure(self, scores_at: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return hit@10 and ndcg@10 of everybody among 99 and in the whole catalogue, (4, n).

        `scores_at` returns the scores of all items for people by their place.
        """
        few, whole = [], []
        for first in range(0, len(self.user), 512):
            part = np.arange(first, min(first + 512, len(self.user)))
            histories, target = self.histories.take(part), self.target[part]
            scores = scores_at(part)
            few.append(places(scores, target, self.among[part]))
            row = np.repeat(np.arange(len(part)), histories.lengths)
            own = scores[np.arange(len(part)), target]
            scores[row, histories.item] = -np.inf
            scores[np.arange(len(part)), target] = own
            whole.append(places(scores, target))
        return np.concatenate([hits_and_gains(np.concatenate(one)) for one in (few, whole)])


def beauty() -> None:
    """Print the table of amazon-beauty."""
    data = tw.datasets.load("amazon-beauty")
    task = LastItem(data)
    train = task.split.train
    measured: dict[str, tuple[np.ndarray, float]] = {}
    failed: list[list[str]] = []
    for label, estimator in chosen(BEAUTY).items():
        began = time.perf_counter()
        held = task.split.validation if hasattr(estimator, "patience") else None
        if WHOLE and hasattr(estimator, "patience"):
            cut = tw.split.leave_last(data, validation=True)
            passes = estimator.fit(cut.train, validation=cut.validation, rng=SEED).best_epoch
            estimator = replace(estimator, epochs=passes)
            label = f"{label}, {passes} passes"
        model = estimator.fit(train, validation=held, rng=SEED)
        took = time.perf_counter() - began
        found = task.measure(partial(answers, model, task.histories))
        measured[label] = found, took
        means = " ".join(f"{one:.4f}" for one in found.mean(axis=1))
        sys.stderr.write(f"{label} {means} {took:.0f} s\n")
    if "--peers" in sys.argv:
        for name in PEER_MODELS:
            made = recbole(train, task.split.validation, task.histories, name)
            if isinstance(made, str):
                failed.append([f"RecBole {name}", made, *[""] * 5])
            else:
                measured[made.label] = task.measure(made.scores), made.seconds
    used = (
        "all before it trains, for as many passes as were best for the one before"
        if WHOLE
        else ("the one before stops training, both are read when asked")
    )
    best = max(measured, key=lambda label: float(measured[label][0][3].mean()))
    beside.table(
        "The next item on amazon-beauty",
        [
            f"{train.n_users:,} people, {train.n_items:,} items; the last item tests, {used}; {task.left_out} "
            f"test items that training lacks are left out; seed {SEED}. Among 99 uniform negatives: for comparison with published tables only.",
            f"± is half of the 95 % bootstrap interval over people; differences from {best} are paired. Measured: the {PART} part.{PEERS if '--peers' in sys.argv else ''}",
        ],
        [
            "model", "hit@10 of 100", "ndcg@10 of 100", "hit@10", "ndcg@10", f"ndcg@10 less that of {best}", "seconds",
        ],
        [with_intervals(label, found, measured[best][0][3], took) for label, (found, took) in measured.items()]
        + failed,
        suffix=("_beauty_whole" if WHOLE else "_beauty")
        + ("_peers" if "--peers" in sys.argv else "")
        + ("_" + "_".join(PEER_MODELS).lower() if "--peer-models" in sys.argv else "")
        + (f"_{PEOPLE}_people" if PEOPLE else ""),
    )  # fmt: skip


class Peer(NamedTuple):
    """What RecBole's model learned."""

    label: str
    vectors: np.ndarray  # (n, d) of the histories
    items: np.ndarray  # (n_items, d)
    seconds: float

    def scores(self, part: np.ndarray) -> np.ndarray:
        """Return the scores of all items after the histories at the places `part` (n,), (n, n_items)."""
        return self.vectors[part] @ self.items.T


def recbole(
    train: tw.Dataset, validation: tw.Dataset | None, histories: tw.Histories, name: str
) -> Peer | str:
    """Train RecBole's model on the same events and ask it after the histories; a sentence where it failed.

    The pass that foresees the held-out events best is kept, as ours does.
    """
    events, held = train.interactions, {}
    if validation is not None:
        asked, target = held_out(tw.Memory.of(train), validation)
        held = {"held_indptr": asked.indptr, "held_history": asked.item, "held_target": target}
    found = beside.ask(
        "recbole_sequences",
        {
            "user": events.user, "item": events.item, "indptr": histories.indptr, "history": histories.item, **held,
        },
        environment="recbole",
        model=name, factors=64, epochs=PEER_EPOCHS, n_items=train.n_items, answer=True, length=PEER_LENGTH,
        batch_size=PEER_BATCH, patience=PATIENCE, most_seconds=PEER_SECONDS,
    )  # fmt: skip
    if isinstance(found, str):
        return found
    label = f"RecBole {name}, pass {found['kept']} of {found['taken']}"
    return Peer(label, found["vectors"], found["items"], found["seconds"])


class Sessions:
    """Sessions by time on one log: each event after the first is foreseen from those before it."""

    def __init__(self, data: tw.Dataset) -> None:
        events = data.interactions
        assert events.time is not None
        end = np.full(data.n_users, np.iinfo(np.int64).min)
        np.maximum.at(end, events.user, events.time)
        order = np.argsort(end, kind="stable")
        n = data.n_users
        part = np.zeros(n, np.int8)
        part[order[int(0.8 * n) :]] = 1  # validation
        part[order[int(0.9 * n) :]] = 2  # test
        self.train, held, test = (
            data.part(np.flatnonzero(part[events.user] == one)) for one in range(3)
        )
        self.validation = held
        self.asked = self.questions(test if PART == "test" else held)

    def questions(self, part: tw.Dataset) -> tuple[tw.Histories, np.ndarray, np.ndarray]:
        """Return the known items before each known event but the first of a session, the event, and its session."""
        items = self.train.items.ids.rows(part.items.ids.ids)[part.interactions.item]
        histories: list[np.ndarray] = []
        target: list[int] = []
        owner: list[int] = []
        ends = part.interactions.indptr
        for session, (first, last) in enumerate(pairwise(ends)):
            known = items[first:last][items[first:last] >= 0]
            for at in range(1, len(known)):
                histories.append(known[:at])
                target.append(known[at])
                owner.append(session)
        indptr = np.concatenate([[0], np.cumsum([len(one) for one in histories])])
        item = np.concatenate(histories).astype(np.int32)
        histories_ = tw.Histories(indptr, item, np.ones(len(item), np.float32))
        return histories_, np.array(target), np.array(owner)

    def measure(
        self, scores_at: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the place of each event that is asked in the whole catalogue, repeats allowed, and the events before it.

        `scores_at` returns the scores of all items for questions by their place.
        """
        histories, target, _ = self.asked
        found = [
            places(scores_at(part), target[part])
            for part in np.array_split(np.arange(len(target)), max(1, len(target) // 512))
        ]
        return np.concatenate(found), histories.lengths


def cells() -> None:
    """Print recall@20 and mrr@20 of each cell by the events before, or of GRU4Rec and SASRec beside RecBole's."""
    task = Sessions(tw.datasets.load("diginetica-sample"))
    contenders = CELLS
    if ONLY == "losses":
        contenders = {f"GRU4Rec, {one.kind}": GRU4Rec(loss=one, epochs=20) for one in LOSSES}
    stopped = ONLY == "diginetica"
    rows = []
    for label, estimator in chosen(DIGINETICA if stopped else contenders).items():
        held = task.validation if stopped and hasattr(estimator, "patience") else None
        model = estimator.fit(task.train, validation=held, rng=SEED)
        rows.append(by_length(label, task, partial(answers, model, task.asked[0])))
    for name in PEER_MODELS if stopped and "--peers" in sys.argv else ():
        made = recbole(task.train, task.validation, task.asked[0], name)
        if isinstance(made, str):
            rows.append([f"RecBole {name}", made, *[""] * 5])
        else:
            rows.append(by_length(made.label, task, made.scores))
    held_out_tenth = "stops training" if stopped else "is left out"
    suffix = {"losses": "_losses", "diginetica": "_diginetica"}.get(ONLY, "_cells")
    beside.table(
        "The next view of a session on diginetica-sample",
        [
            f"Sessions by time, the last tenth test, the tenth before {held_out_tenth}; {task.train}; seed {SEED}. Events of items that training lacks are left "
            "out. Whole catalogue, repeats count; then recall@20 by the number of events before, and how many there are. ±: half of the 95 % bootstrap "
            f"interval over sessions. Measured: the {PART} part.{PEERS if stopped else ''}",
        ],
        ["model", "recall@20", "mrr@20", "1 before", "2-3", "4-7", "8 and more"],
        rows,
        suffix=suffix,
    )


BANDS = ((1, 1), (2, 3), (4, 7), (8, 10**9))
"""Numbers of events before the one that is asked."""


def by_length(
    label: str, task: Sessions, scores_at: Callable[[np.ndarray], np.ndarray]
) -> list[str]:
    """Return a row: recall@20 and mrr@20 with intervals, and recall@20 by the number of events before."""
    place, before = task.measure(scores_at)
    each = np.stack([place < 20, (place < 20) / (1 + place)])
    sums = np.stack([np.bincount(task.asked[2], one) for one in each])
    ends = between(sums, np.bincount(task.asked[2]).astype(np.float64))
    row = [
        label,
        *(f"{one:.4f} ± {end:.4f}" for one, end in zip(each.mean(axis=1), ends, strict=True)),
    ]
    for low, high in BANDS:
        of_band = place[(before >= low) & (before <= high)]
        row.append(f"{(of_band < 20).mean():.4f} ({len(of_band)})")
    sys.stderr.write(" ".join(row) + "\n")
    return row


def main() -> None:
    """Measure what is asked for."""
    if ONLY in ("", "beauty"):
        beauty()
    if ONLY in ("", "cells", "losses", "diginetica"):
        cells()


if __name__ == "__main__":
    main()
