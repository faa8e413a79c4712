"""Articles of citeulike-t in and out of the matrix, in the folds and candidate sets of Wang & Blei (2011).

``python benchmarks/quality/ctr_folds.py [--task in-matrix|out-of-matrix] [--folds 1] [--users 0] [--only "NAME;NAME"]
[--set NAME=VALUE,...] [--seed 0] [--validation] [--save]``

In the matrix the events of every article with at least five of them are dealt into five folds; a person's candidates are
a fifth of these articles: those of the fold, and others with the chance of a fifth. Out of the matrix the articles are
dealt; everybody's candidates are those of the fold. ``--set`` changes CTR.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.sparse import csr_array

import twofold as tw
from twofold.features.design import unit_rows
from twofold.features.text import BagOfWords

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

TASK = beside.option("--task", "in-matrix")
FOLDS, RUN = 5, int(beside.option("--folds", "1"))
SEED, USERS = int(beside.option("--seed", "0")), int(beside.option("--users", "0"))
DEPTHS = (20, 100, 200)
COMMON = 5
"""Events of an article in the matrix, at least; the others are always in training."""
TOPICS = 50
"""Where ``--set`` does not say."""
GIVEN: dict[str, Any] = {"factors": TOPICS} | beside.settings()
CTR = tw.models.CTR(**GIVEN)
MF = "MF (IALS, unobserved weight 0.01)"
MODELS: dict[str, Any] = {
    "random": None,
    "Popularity": tw.models.Popularity(),
    "BM25 profile": None,
    MF: tw.models.IALS(factors=CTR.factors, unobserved_weight=0.01),
    "LDA": tw.models.CTR(factors=CTR.factors, topics="fixed", user_reg=0.1, item_reg=1e6),
    "CTR": CTR,
}
INSIDE_ONLY = ("Popularity", MF)
"""What says nothing about an article that nobody has."""
REFERENCE = MF if TASK == "in-matrix" else "LDA"
"""What all are held against; always measured."""


def dealt(item: np.ndarray, n_items: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of every event (n,), -1 = always in training."""
    if TASK == "out-of-matrix":
        return (rng.permutation(n_items) % FOLDS)[item]
    order = np.lexsort((rng.random(len(item)), item))
    counts = np.bincount(item, minlength=n_items)
    first = np.cumsum(counts) - counts
    fold = np.empty(len(item), np.int64)
    fold[order] = (np.arange(len(item)) - first[item[order]]) % FOLDS
    fold[counts[item] < COMMON] = -1
    return fold


def scores_of(name: str, train: tw.Dataset, users: np.ndarray) -> tuple[Any, float]:
    """Return a function from rows of `users` to scores of all articles, and the seconds of training."""
    began = time.perf_counter()
    if name == "random":
        rng = np.random.default_rng(SEED + 3)
        return lambda rows: rng.random((len(rows), train.n_items)), 0.0
    if name == "BM25 profile":
        words = train.items.features["words"]
        known = csr_array(unit_rows(BagOfWords(weight="bm25").fit(words).encode(words).rows))
        has = train.interactions.matrix()
        has = csr_array((np.ones(has.nnz, np.float32), has.indices, has.indptr), shape=has.shape)
        mine = csr_array(has @ known)
        return lambda rows: (mine[users[rows]] @ known.T).toarray(), time.perf_counter() - began
    model = MODELS[name].fit(train, rng=SEED)
    took = time.perf_counter() - began
    v = model.item_vectors
    return lambda rows: model.lookup(users[rows].astype(np.int32)) @ v.T, took


def recalls(scores: Any, candidates: Any, wanted: csr_array, users: np.ndarray) -> np.ndarray:
    """Return the share of a user's wanted articles among the best 20, 100 and 200 candidates; shape (n, 3)."""
    out = np.zeros((len(users), len(DEPTHS)))
    for first in range(0, len(users), 200):
        rows = np.arange(first, min(first + 200, len(users)))
        block = np.array(scores(rows))
        for row, line in zip(rows, block, strict=True):
            mine = wanted.indices[wanted.indptr[users[row]] : wanted.indptr[users[row] + 1]]
            line[~candidates(users[row], mine)] = -np.inf
            top = np.argpartition(-line, DEPTHS[-1])[: DEPTHS[-1]]
            hit = np.isin(top[np.argsort(-line[top], kind="stable")], mine)
            out[row] = [hit[:depth].sum() / len(mine) for depth in DEPTHS]
    return out


def one_fold(log: tw.Dataset, fold: np.ndarray, at: int, found: dict[str, list[Any]]) -> None:
    """Add the recalls (n, 3) and seconds of every model in fold `at`; `fold` (n_events,)."""
    events = log.interactions
    held = fold == at
    train = tw.Dataset(events.take(np.flatnonzero(~held)), log.users, log.items)
    wanted = tw.Dataset(events.take(np.flatnonzero(held)), log.users, log.items)
    wanted, has = wanted.interactions.matrix(), train.interactions.matrix()
    users = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(has.indptr) > 0))
    of_fold = np.bincount(events.item[held], minlength=log.n_items) > 0
    common = np.bincount(events.item, minlength=log.n_items) >= COMMON

    def candidates(user: int, mine: np.ndarray) -> np.ndarray:
        """Return which articles are ranked for a user who wants `mine`, (n_items,)."""
        if TASK == "out-of-matrix":
            return of_fold
        there = common & (np.random.default_rng((SEED, user)).random(log.n_items) < 1 / FOLDS)
        there[has.indices[has.indptr[user] : has.indptr[user + 1]]] = False
        there[mine] = True
        return there

    for name in asked():
        scores, took = scores_of(name, train, users)
        found.setdefault(name, []).append((recalls(scores, candidates, wanted, users), took))
        sys.stderr.write(f"{name} {found[name][-1][0].mean(axis=0)} in {took:.0f} s\n")


def asked() -> list[str]:
    """Return the rows of the table."""
    only = [one for one in beside.option("--only", "").split(";") if one]
    if wrong := [one for one in only if one not in MODELS]:
        raise SystemExit(f"--only got {wrong[0]!r}; allowed: {'; '.join(MODELS)}")
    names = [one for one in MODELS if not only or one in (*only, REFERENCE)]
    return [one for one in names if TASK == "in-matrix" or one not in INSIDE_ONLY]


def main() -> None:
    """Measure and print the table."""
    data = tw.datasets.load("citeulike-t")
    if USERS:  # the first ones alone, to see that all runs
        data = data.part(np.flatnonzero(data.interactions.user < USERS))
    rng, events = np.random.default_rng(SEED + 1), data.interactions
    fold = dealt(events.item, data.n_items, rng)
    if "--validation" in sys.argv:  # the training part of the first fold, dealt once more
        kept = np.flatnonzero(fold != 0)
        data = tw.Dataset(events.take(kept), data.users, data.items)
        fold = dealt(data.interactions.item, data.n_items, rng)
    found: dict[str, list[Any]] = {}
    for at in range(RUN):
        one_fold(data, fold, at, found)
    values = {name: np.concatenate([one for one, _ in runs]) for name, runs in found.items()}
    reference = values[REFERENCE]
    rows = []
    for name, mine in values.items():
        half = 1.96 * mine.std(axis=0) / len(mine) ** 0.5
        gain, p = (mine - reference)[:, 1], np.nan
        if mine is not reference:
            p = stats.ttest_rel(mine[:, 1], reference[:, 1]).pvalue
        rows.append([
            name, *(f"{one:.4f} ± {h:.4f}" for one, h in zip(mine.mean(axis=0), half, strict=True)),
            "" if np.isnan(p) else f"{gain.mean():+.4f} (p = {p:.2g})",
            f"{np.mean([took for _, took in found[name]]):.0f}",
        ])  # fmt: skip
    inside = TASK == "in-matrix"
    beside.table(
        f"Articles of citeulike-t {'in' if inside else 'out of'} the matrix",
        [
            f"{RUN} of {FOLDS} folds (seed {SEED}), {len(reference):,} questions, K = {CTR.factors}. "
            + (
                f"The events of articles with at least {COMMON} are dealt into the folds; candidates of a person are the "
                "wanted articles and a fifth of the others that are dealt, without those in training."
                if inside
                else "Whole articles are dealt into the folds; the candidates of everybody are those of the fold, known by their words alone."
            ),
            "Recall over all articles that a person wants of the fold; differences of recall@100 are paired over people; seconds are of a busy machine.",
        ],
        [
            "model",
            *(f"recall@{one}" for one in DEPTHS),
            f"recall@100 beside {REFERENCE}",
            "seconds",
        ],
        rows,
        suffix=f"_{TASK}" + (f"_{CTR.factors}" if CTR.factors != TOPICS else ""),
    )


if __name__ == "__main__":
    main()
