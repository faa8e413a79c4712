"""Articles of citeulike-t with P in training a user: CTR and CDL beside content, LDA, IALS, popularity.

``python benchmarks/quality/citeulike.py [--p 10] [--users 0] [--only NAME] [--seed 0] [--validation] [--save]``
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

import twofold as tw
from twofold.features.design import unit_rows
from twofold.features.text import BagOfWords

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

P, SEED = int(beside.option("--p", "10")), int(beside.option("--seed", "0"))
USERS = int(beside.option("--users", "0"))
AT, DEEPEST = 300, 500
TUNED = 0.1
"""Share of the users of P = 1 on whom settings are chosen."""
MODELS: dict[str, Any] = {
    "Popularity": tw.models.Popularity(),
    "BM25 profile": None,
    "IALS defaults": tw.models.IALS(),
    "IALS weight 0.01": tw.models.IALS(unobserved_weight=0.01),
    "LDA": tw.models.CTR(topics="fixed", user_reg=0.1, item_reg=1e6),
    "CTR": tw.models.CTR(),
    "CDL 200 without its decoder": tw.models.CDL(
        factors=100, noise=0.1, weight_reg=10, reconstruction=0, epochs=16
    ),
    "CDL unit code without its decoder": tw.models.CDL(
        factors=200,
        hidden=(),
        code="unit",
        weight="bm25",
        start="components",
        user_reg=10,
        item_reg=1,
        noise=0,
        weight_reg=10,
        reconstruction=0,
        epochs=3,
    ),
    "CDL one layer": tw.models.CDL(
        factors=100, hidden=(), noise=0, weight_reg=100, reconstruction=0.1, epochs=16
    ),
}


CHOSEN = (
    "the weight of IALS and the settings of CDL were picked on a fifth of the training pairs of P = 10",
    "the settings of the unit code were picked on a tenth of the users, who are left out here, others on P = 10",
)
PEER, CONTENT = "cornac CTR", "BM25 profile"


class Profile(NamedTuple):
    """Users by the summed words of their articles, articles by their words: kNN on content with all neighbours."""

    users: csr_array
    item_vectors: csr_array

    def lookup(self, users: np.ndarray) -> csr_array:
        """Return the words of `users`."""
        return csr_array(self.users[users])


def profile(train: tw.Dataset) -> Profile:
    """Return the cosine of BM25-weighted words."""
    words = train.items.features["words"]
    rows = csr_array(unit_rows(BagOfWords(weight="bm25").fit(words).encode(words).rows))
    has = train.interactions.matrix()
    has = csr_array((np.ones(has.nnz, np.float32), has.indices, has.indptr), shape=has.shape)
    return Profile(csr_array(has @ rows), rows)


def cornac_ctr(train: tw.Dataset) -> tuple[tw.FittedModel, float] | str:
    """Return cornac's CTR with the constants of ours, and its seconds of training, or what went wrong."""
    ours = tw.models.CTR()
    bag = train.items.features["words"]
    log = train.interactions
    found = beside.ask(
        "words",
        {
            "user": log.user, "item": log.item, "words": bag.codes, "counts": bag.counts,
            "indptr": bag.indptr,
        },
        n_users=train.n_users, n_items=train.n_items, factors=ours.factors, vocabulary=ours.vocabulary,
        user_reg=ours.user_reg, item_reg=ours.item_reg, epochs=ours.epochs, seed=SEED,
    )  # fmt: skip
    if isinstance(found, str):
        return found
    return beside.given(found["users"], found["items"], train), found["seconds"]


def widened(part: tw.Dataset, data: tw.Dataset) -> tw.Dataset:
    """Return a part in the rows of `data`: with the words of all articles, as the papers train."""
    events = part.interactions
    rows = replace(
        events,
        user=data.users.ids.rows(part.users.ids.ids)[events.user],
        item=data.items.ids.rows(part.items.ids.ids)[events.item],
        n_users=data.n_users,
        n_items=data.n_items,
    )
    return tw.Dataset(rows, data.users, data.items)


def of_users(test: csr_array, chosen: np.ndarray) -> csr_array:
    """Return the rows of the `chosen` users (n,), those of others empty."""
    kept = np.repeat(chosen, np.diff(test.indptr))
    ends = np.concatenate([[0], np.cumsum(kept)])[test.indptr]
    return csr_array((test.data[kept], test.indices[kept], ends), shape=test.shape)


def measure(
    model: tw.FittedModel, train: csr_array, test: csr_array
) -> tuple[np.ndarray, np.ndarray]:
    """Return recall@300 and average precision at 500 of every user with a test item.

    Recall is over all test items of the user; precision is averaged over min(500, test items).
    """
    users = np.flatnonzero(np.diff(test.indptr)).astype(np.int32)
    recalls, precisions = [], []
    for first in range(0, len(users), 200):
        part = users[first : first + 200]
        product = model.lookup(part) @ model.item_vectors.T
        scores = product if isinstance(product, np.ndarray) else product.toarray()
        for user, line in zip(part, scores, strict=True):
            line[train.indices[train.indptr[user] : train.indptr[user + 1]]] = -np.inf
            top = np.argpartition(-line, DEEPEST)[:DEEPEST]
            top = top[np.argsort(-line[top], kind="stable")]
            wanted = test.indices[test.indptr[user] : test.indptr[user + 1]]
            hit = np.isin(top, wanted)
            recalls.append(hit[:AT].sum() / len(wanted))
            precise = hit * np.cumsum(hit) / np.arange(1, DEEPEST + 1)
            precisions.append(precise.sum() / min(len(wanted), DEEPEST))
    return np.array(recalls), np.array(precisions)


def main() -> None:
    """Measure and print the table."""
    data = tw.datasets.load("citeulike-t")
    if USERS:  # the first ones alone, to see that all runs
        data = data.part(np.flatnonzero(data.interactions.user < USERS))
    split = tw.split.fixed_train(data, n=P, rng=SEED)
    train, test = widened(split.train, data), widened(split.test, data).interactions.matrix()
    if P == 1:
        # Nobody has a pair to spare: a tenth of the users is for tuning, the others are the test.
        tuned = np.random.default_rng(SEED + 5).random(data.n_users) < TUNED
        test = of_users(test, tuned if "--validation" in sys.argv else ~tuned)
    elif "--validation" in sys.argv:  # a fifth of the training pairs, for tuning
        carved = tw.split.random(train, test=0.2, rng=SEED + 1)
        train = widened(carved.train, data)
        test = widened(carved.test, data).interactions.matrix()
    only = beside.option("--only", "")
    rows = []
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, estimator in (*MODELS.items(), (PEER, None)):
        if only and name not in only.split(","):
            continue
        began = time.perf_counter()
        if name == CONTENT:
            model, took = profile(train), time.perf_counter() - began
        elif estimator is None:
            made = cornac_ctr(train)
            if isinstance(made, str):
                rows.append([name, made, "", "", "", ""])
                continue
            model, took = made
        else:
            model = estimator.fit(train, rng=SEED)
            took = time.perf_counter() - began
        recalls, precision = measure(model, train.interactions.matrix(), test)
        half = 1.96 * recalls.std() / len(recalls) ** 0.5
        found[name] = recalls, precision
        row = [
            name, f"{recalls.mean():.4f} ± {half:.4f}", f"{precision.mean():.4f}",
            *(beside.paired(mine - other) for mine, other in zip(found[name], found.get(CONTENT, found[name]))),
            f"{took:.0f}",
        ]  # fmt: skip
        sys.stderr.write(" ".join(row) + "\n")
        rows.append(row)
    beside.table(
        f"Articles of citeulike-t, P = {P}",
        [
            f"P = {P} articles of every user in training, the rest test (seed {SEED}); all {data.n_items:,} articles "
            f"are candidates, those in training masked. Recall over all test articles of a user; {CHOSEN[P == 1]} "
            "(--validation). Differences are paired over users; seconds are of a busy machine.",
            "cornac's CTR has the constants of ours and as many rounds; it knows articles of training only.",
        ],
        [
            "model",
            f"recall@{AT}",
            f"map@{DEEPEST}",
            "recall beside BM25",
            "map beside BM25",
            "seconds",
        ],
        rows,
        suffix=f"_p{P}",
    )


if __name__ == "__main__":
    main()
