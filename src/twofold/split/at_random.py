"""Random splits: by share, in folds, or with a fixed number of training events a user."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, DataError, at_least_one, did_you_mean
from twofold.expected import check_log
from twofold.random import generator
from twofold.split._split import (
    TEST,
    TRAIN,
    VALIDATION,
    Split,
    fraction,
    make,
)
from twofold.split.pairs import Pairs
from twofold.typing import F64, I64, Rng


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
    check_log(data, "tw.split.random")
    fraction("test", test)
    fraction("validation", validation, zero=True)
    if test + validation >= 1:
        raise ConfigError(f"test + validation must be below 1; got {test:g} + {validation:g}")
    random_ = generator(rng)
    pairs = Pairs.of(data.interactions)
    key = random_.random(len(pairs))
    code = np.full(len(pairs), TRAIN)
    if per_user:
        rank, size = pairs.rank(key), pairs.size
        in_test = floor_or_one(size, test, 1)
        in_validation = floor_or_one(size, validation, in_test + 1)
        code[rank < in_test + in_validation] = VALIDATION
        code[rank < in_test] = TEST
    else:
        in_test, in_validation = round(test * len(pairs)), round(validation * len(pairs))
        code[key < smallest(key, in_test + in_validation)] = VALIDATION
        code[key < smallest(key, in_test)] = TEST
    kind = f"random(test={test:g}, validation={validation:g}, per_user={per_user})"
    return make(data, code[pairs.of_event], kind, wants_validation=validation > 0)


def smallest(key: F64, n: int) -> float:
    """Return the number below which the `n` smallest keys lie."""
    return float(np.partition(key, n)[n]) if n < len(key) else np.inf


def floor_or_one(size: I64, share: float, spare: int | I64) -> I64:
    """Return floor(share * size), or 1 where that is 0, the share is not, and size > spare, a number for all or for each (n,)."""
    count = np.floor(share * size + 1e-9).astype(np.int64)
    return np.where((count == 0) & (share > 0) & (size > spare), 1, count)


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
    check_log(data, "tw.split.k_fold")
    if at_least_one("folds", folds) < 2:
        raise ConfigError(f"folds must be an integer >= 2; got {folds}")
    fraction("validation", validation, zero=True)
    random_ = generator(rng)
    pairs = Pairs.of(data.interactions)
    if len(pairs) < folds:
        raise DataError(f"{folds} folds need as many pairs; the log has {len(pairs):,}")
    fold = random_.permutation(len(pairs)) % folds
    held_out = random_.random(len(pairs)) < validation
    made: list[Split] = []
    for one in range(folds):
        code = np.where(held_out, VALIDATION, TRAIN)
        code[fold == one] = TEST
        kind = f"k_fold(folds={folds}), fold {one + 1}"
        made.append(make(data, code[pairs.of_event], kind, wants_validation=validation > 0))
    return made


def fixed_train(
    data: Dataset,
    *,
    n: int,
    validation: float = 0.0,
    items: Literal["all", "trained"] = "all",
    rng: Rng = 0,
) -> Split:
    """Keep `n` random items of each user for training, and test on the rest (CDL's split).

    Users with no more than `n` items are in training only.

    Parameters
    ----------
    data
        The log.
    n
        Items of each user in training, >= 1.
    validation
        Share of the rest.
    items
        Which items training lists: "all" of the log, as in the paper, where each has its words and is a candidate
        whether somebody has it in training or not; or those "trained", with an event there.
    rng
        Seed or generator.

    Raises
    ------
    ConfigError
        If an argument is none of those.
    DataError
        If a part is empty.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> split = fixed_train(planted_log(), n=1)
    >>> split.train.n_items, fixed_train(planted_log(), n=1, items="trained").train.n_items
    (24, 20)
    """
    check_log(data, "tw.split.fixed_train")
    at_least_one("n", n)
    fraction("validation", validation, zero=True)
    if items not in ("all", "trained"):
        raise ConfigError(f"items got {items!r}; {did_you_mean(items, ('all', 'trained'))}")
    random_ = generator(rng)
    pairs = Pairs.of(data.interactions)
    rank = pairs.rank(random_.random(len(pairs)))
    code = np.where(random_.random(len(pairs)) < validation, VALIDATION, TEST)
    code[rank < n] = TRAIN
    kind = f"fixed_train(n={n})" if items == "all" else f"fixed_train(n={n}, items={items!r})"
    made = make(data, code[pairs.of_event], kind, wants_validation=validation > 0)
    return with_catalogue(made, data) if items == "all" else made


def with_catalogue(split: Split, data: Dataset) -> Split:
    """Return a split of `data` whose training part lists all items."""
    train = split.train
    untouched = data.n_items - train.n_items
    if not untouched:
        return split
    events = train.interactions
    item = data.items.ids.rows(train.items.ids.ids)[events.item]
    listed = replace(events, item=item, n_items=data.n_items)
    note = f"training lists all {data.n_items:,} items of the log, {untouched:,} of them without an event in it"
    return replace(
        split,
        train=replace(train, interactions=listed, items=data.items),
        whole_catalogue=True,
        notes=(*split.notes, note),
    )
