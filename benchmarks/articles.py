"""Articles of citeulike-t with P in training a user: the split, what is measured, and cornac's models of the same words."""

from __future__ import annotations

from dataclasses import replace

import beside
import numpy as np
from scipy.sparse import csr_array

import twofold as tw

AT, DEEPEST = 300, 500
TUNED = 0.1
"""Share of the users of P = 1 on whom settings are chosen."""


def task(
    p: int, seed: int, *, users: int = 0, validation: bool = False, known: bool = False
) -> tuple[tw.Dataset, csr_array]:
    """Return the training log, with the words of all articles as the papers train, and the test pairs (n_users, n_items).

    With `users` the first ones alone; with `known` the articles of training alone.
    """
    data = tw.datasets.load("citeulike-t")
    if users:
        data = data.part(np.flatnonzero(data.interactions.user < users))
    split = tw.split.fixed_train(data, n=p, items="trained", rng=seed)
    train, test = split.train, split.test
    if validation and p > 1:  # a fifth of the training pairs, for tuning
        carved = tw.split.random(train, test=0.2, rng=seed + 1)
        train, test = carved.train, carved.test
    whole = train if known else data
    train, wanted = in_rows(train, whole), in_rows(test, whole).interactions.matrix()
    if p == 1:
        # Nobody has a pair to spare: a tenth of the users is for tuning, the others are the test.
        tuned = np.random.default_rng(seed + 5).random(data.n_users) < TUNED
        wanted = of_users(wanted, tuned if validation else ~tuned)
    return train, wanted


def in_rows(part: tw.Dataset, whole: tw.Dataset) -> tw.Dataset:
    """Return the events of `part` that `whole` has users and items of, in its rows."""
    events = part.interactions
    user = whole.users.ids.rows(part.users.ids.ids)[events.user]
    item = whole.items.ids.rows(part.items.ids.ids)[events.item]
    there = np.flatnonzero((user >= 0) & (item >= 0))
    rows = replace(
        events.take(there),
        user=user[there],
        item=item[there],
        n_users=whole.n_users,
        n_items=whole.n_items,
    )
    return tw.Dataset(rows, whole.users, whole.items)


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


def cornac(
    ours: tw.models.CTR | tw.models.CDL, train: tw.Dataset, seed: int
) -> tuple[tw.FittedModel, float] | str:
    """Return cornac's model with the constants and passes of `ours`, and its seconds of training, or what went wrong."""
    bag, log = train.items.features["words"], train.interactions
    constants = {
        "k": ours.factors, "lambda_u": ours.user_reg, "lambda_v": ours.item_reg, "a": ours.seen_weight,
        "b": ours.unseen_weight, "max_iter": ours.epochs, "seed": seed,
    }  # fmt: skip
    if isinstance(ours, tw.models.CDL):
        constants |= {
            "autoencoder_structure": ours.hidden, "lambda_n": ours.reconstruction,
            "lambda_w": ours.weight_reg, "corruption_rate": ours.noise, "learning_rate": ours.learning_rate,
            "batch_size": ours.batch_size,
        }  # fmt: skip
    found = beside.ask(
        "words",
        {
            "user": log.user, "item": log.item, "words": bag.codes, "counts": bag.counts,
            "indptr": bag.indptr,
        },
        environment="libreco" if isinstance(ours, tw.models.CDL) else "",  # the one with TensorFlow
        model=type(ours).__name__, n_users=train.n_users, n_items=train.n_items, vocabulary=ours.vocabulary,
        constants=constants,
    )  # fmt: skip
    if isinstance(found, str):
        return found
    return beside.given(found["users"], found["items"], train), found["seconds"]
