"""Random splits: by share, in folds, or with a fixed number of training events a user."""

from __future__ import annotations

import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError
from twofold.random import generator
from twofold.split._split import (
    TEST,
    TRAIN,
    VALIDATION,
    Split,
    at_least_one,
    fraction,
    make,
    pairs_of,
)
from twofold.typing import I64, Rng


def random(
    data: Dataset,
    *,
    test: float = 0.1,
    validation: float = 0.0,
    per_user: bool = False,
    rng: Rng = 0,
) -> Split:
    """Send (user, item) pairs to the parts at random; all events of a pair stay together.

    Parameters
    ----------
    data
        The log.
    test, validation
        Shares of the pairs.
    per_user
        Draw within each user: floor(share * n) of a user's n pairs, and one where that is 0 and
        training keeps at least one.
    rng
        Seed or generator.

    Raises
    ------
    ConfigError
        If the shares do not leave anything for training.
    DataError
        If a part is empty.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> split = random(planted_log(), test=0.2, rng=0)
    >>> len(split.train), len(split.test)
    (306, 76)
    """
    fraction("test", test)
    fraction("validation", validation, zero=True)
    if test + validation >= 1:
        raise ConfigError(f"test + validation must be below 1; got {test:g} + {validation:g}")
    random_ = generator(rng)
    pair, of_event = np.unique(pairs_of(data), return_inverse=True)
    key = random_.random(len(pair))
    if per_user:
        rank, size = rank_within((pair // max(data.n_items, 1)).astype(np.int64), key)
        in_test = floor_or_one(size, test, 1)
        in_validation = floor_or_one(size, validation, 2)
    else:
        rank, size = np.argsort(np.argsort(key)), np.full(len(pair), len(pair))
        in_test, in_validation = np.rint(test * size), np.rint(validation * size)
    code = np.where(rank < in_test + in_validation, VALIDATION, TRAIN)
    code[rank < in_test] = TEST
    kind = f"random(test={test:g}, validation={validation:g}, per_user={per_user})"
    return make(data, code[of_event], kind)


def floor_or_one(size: I64, share: float, spare: int) -> I64:
    """Return floor(share * size), or 1 where that is 0, the share is not, and size > spare."""
    count = np.floor(share * size + 1e-9).astype(np.int64)
    return np.where((count == 0) & (share > 0) & (size > spare), 1, count)


def rank_within(group: I64, key: np.ndarray) -> tuple[I64, I64]:
    """Return the rank of each key inside its group (ascending from 0), and the size of its group."""
    order = np.lexsort((key, group))
    sizes = np.bincount(group) if len(group) else np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - starts[group[order]]
    return rank, sizes[group]


def k_fold(data: Dataset, *, folds: int = 5, validation: float = 0.0, rng: Rng = 0) -> list[Split]:
    """Cut the (user, item) pairs into `folds` equal parts; each is the test part once.

    Parameters
    ----------
    data
        The log.
    folds
        Number of folds, >= 2.
    validation
        Share of each fold's training pairs that is held out of it.
    rng
        Seed or generator.

    Raises
    ------
    ConfigError
        If `folds` is below 2.
    DataError
        If there are fewer pairs than folds.
    """
    if at_least_one("folds", folds) < 2:
        raise ConfigError(f"folds must be an integer >= 2; got {folds}")
    fraction("validation", validation, zero=True)
    random_ = generator(rng)
    pair, of_event = np.unique(pairs_of(data), return_inverse=True)
    if len(pair) < folds:
        raise DataError(f"{folds} folds need as many pairs; the log has {len(pair):,}")
    fold = random_.permutation(len(pair)) % folds
    held_out = random_.random(len(pair)) < validation
    made: list[Split] = []
    for one in range(folds):
        code = np.where(held_out, VALIDATION, TRAIN)
        code[fold == one] = TEST
        made.append(make(data, code[of_event], f"k_fold(folds={folds}), fold {one + 1}"))
    return made


def fixed_train(data: Dataset, *, n: int, validation: float = 0.0, rng: Rng = 0) -> Split:
    """Keep `n` random items of each user for training, and test on the rest (CDL's split).

    Users with no more than `n` items are in training only. `validation` is a share of the rest.
    """
    at_least_one("n", n)
    fraction("validation", validation, zero=True)
    random_ = generator(rng)
    pair, of_event = np.unique(pairs_of(data), return_inverse=True)
    users = (pair // max(data.n_items, 1)).astype(np.int64)
    rank, _ = rank_within(users, random_.random(len(pair)))
    code = np.where(random_.random(len(pair)) < validation, VALIDATION, TEST)
    code[rank < n] = TRAIN
    return make(data, code[of_event], f"fixed_train(n={n})")
