"""Splits by who or what: people or items that training never sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError
from twofold.expected import check_log
from twofold.random import generator
from twofold.split._split import NOWHERE, TEST, TRAIN, VALIDATION, Split, fraction, make
from twofold.split.pairs import Pairs
from twofold.typing import Rng


def cold_users(data: Dataset, *, test: float = 0.1, validation: float = 0.0, rng: Rng = 0) -> Split:
    """Test on users of whom training has nothing, and of whom nothing but features is told."""
    check_log(data, "tw.split.cold_users")
    return _by_group(
        data, data.interactions.user, data.n_users, test, validation, rng, "cold_users"
    )


def cold_items(data: Dataset, *, test: float = 0.1, validation: float = 0.0, rng: Rng = 0) -> Split:
    """Test on items of which training has nothing: only content can find them."""
    check_log(data, "tw.split.cold_items")
    return _by_group(
        data, data.interactions.item, data.n_items, test, validation, rng, "cold_items"
    )


def _by_group(
    data: Dataset,
    group: np.ndarray,
    n: int,
    test: float,
    validation: float,
    rng: Rng,
    name: str,
) -> Split:
    fraction("test", test)
    fraction("validation", validation, zero=True)
    code = drawn(n, test, validation, generator(rng))
    kind = f"{name}(test={test:g}, validation={validation:g})"
    return make(data, code[group], kind, wants_validation=validation > 0)


def drawn(n: int, test: float, validation: float, rng: np.random.Generator) -> np.ndarray:
    """Return a part code for each of n groups, at least one of them for the test."""
    if test + validation >= 1:
        raise ConfigError(f"test + validation must be below 1; got {test:g} + {validation:g}")
    order = rng.permutation(n)
    in_test = max(1, round(test * n))
    in_validation = max(1, round(validation * n)) if validation else 0
    code = np.full(n, TRAIN)
    code[order[:in_test]] = TEST
    code[order[in_test : in_test + in_validation]] = VALIDATION
    return code


def user_disjoint(
    data: Dataset,
    *,
    test: float = 0.1,
    validation: float = 0.1,
    history: float = 0.8,
    rng: Rng = 0,
) -> Split:
    """Strong generalisation: test users are not in training; part of what they did is folded in.

    Parameters
    ----------
    data
        The log.
    test, validation
        Shares of the users.
    history
        Share of a held-out user's pairs that is told to the model, floor(history * n); the others
        are the targets (Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering").
    rng
        Seed or generator.

    Notes
    -----
    A held-out user with fewer than two pairs has no target and is left out.
    """
    check_log(data, "tw.split.user_disjoint")
    fraction("test", test)
    fraction("validation", validation, zero=True)
    fraction("history", history)
    random_ = generator(rng)
    code = drawn(data.n_users, test, validation, random_)
    events = data.interactions
    pairs = Pairs.of(events)
    rank, size = pairs.rank(random_.random(len(pairs))), pairs.size
    told = (rank < np.minimum(np.floor(history * size + 1e-9), size - 1))[pairs.of_event]
    part = code[events.user]
    kind = f"user_disjoint(test={test:g}, validation={validation:g}, history={history:g})"
    alone = (size < 2)[pairs.of_event] & (part != TRAIN)
    notes = (f"{int(alone.sum()):,} events of held-out users with a single item were left out",)
    targets = make(
        data, np.where((told & (part != TRAIN)) | alone, NOWHERE, part), kind,
        wants_validation=validation > 0, notes=notes if alone.any() else (),
    )  # fmt: skip

    def history_of(wanted: int) -> Dataset | None:
        chosen = np.flatnonzero(told & (part == wanted) & ~alone)
        return data.part(chosen.astype(np.int64)) if len(chosen) else None

    return replace(
        targets, test_history=history_of(TEST), validation_history=history_of(VALIDATION)
    )
