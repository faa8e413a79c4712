"""Splits at the end of each user's baskets or trajectories."""

from __future__ import annotations

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.sequences import Sequences, baskets, trajectories
from twofold.errors import ConfigError
from twofold.expected import check_log
from twofold.split._split import (
    TEST,
    TRAIN,
    VALIDATION,
    Repeats,
    Split,
    fraction,
    make,
    repeats_allowed,
    yes_or_no,
)
from twofold.typing import I64


def last_basket(
    data: Dataset,
    *,
    basket: str | None = None,
    validation: bool = False,
    repeats: Repeats = "keep",
) -> Split:
    """Test on the last basket of each user who has more than one (with `validation` more than two); the baskets before it train.

    Parameters
    ----------
    data
        A log with times, or with a column that tells baskets.
    basket
        A context column such as an invoice number; None = what a user took at one time. See `tw.baskets`.
    validation
        Hold out the basket before it too; who has two or fewer is in training only.
    repeats
        ``keep`` what is bought again, which is most of what is bought, or ``drop`` it.

    Raises
    ------
    DataError
        If no user has two baskets, or baskets cannot be told.
    ConfigError
        If there is no such column.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 1, 2], "i": list("abac"), "t": [0, 9, 9, 0]}
    >>> split = last_basket(tw.Dataset.from_frames(log, user="u", item="i", time="t"))
    >>> split.test.frame()["item"].to_list()
    ['b', 'a']
    """
    check_log(data, "tw.split.last_basket")
    yes_or_no("validation", validation)
    found = baskets(data.interactions, basket=basket)
    left, size = found.left(data.n_users)
    held = 2 if validation else 1
    enough = size > held
    part = np.where(enough & (left < held), VALIDATION, TRAIN)
    part[enough & (left < 1)] = TEST
    kind = f"last_basket(basket={basket!r}, validation={validation})"
    return _made(data, found, part, kind, repeats, wants_validation=validation)


def last_trajectories(
    data: Dataset,
    *,
    share: float = 0.1,
    gap: float | None = None,
    session: str | None = None,
    validation: float = 0.0,
    repeats: Repeats = "keep",
) -> Split:
    """Test on the last share of each user's trajectories; the ones before train.

    As Yang et al. (2017, JNTM) do: of n trajectories of a user floor((1 - share) * n) train, but at least one;
    whoever has one trajectory is in training only.

    Parameters
    ----------
    data
        A log in time order.
    share
        Of each user's trajectories, for the test.
    gap, session
        How trajectories are cut; see `tw.trajectories`. At least one of them.
    validation
        Share of each user's trajectories, those just before the test; rounded in the same way.
    repeats
        ``keep`` visits of places that training has too, or ``drop`` them.

    Raises
    ------
    DataError
        If no user has two trajectories, or the log has no times and `gap` is given.
    ConfigError
        If neither `gap` nor `session` is given, there is no such column, or the shares leave nothing.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1] * 4, "i": list("abca"), "t": [0, 3600, 90_000, 200_000]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    >>> last_trajectories(data, gap=6 * 3600).test.frame()["item"].to_list()
    ['a']
    """
    check_log(data, "tw.split.last_trajectories")
    fraction("share", share)
    fraction("validation", validation, zero=True)
    if share + validation >= 1:
        raise ConfigError(f"share + validation must be below 1; got {share:g} + {validation:g}")
    if gap is None and session is None:
        raise ConfigError(
            "last_trajectories needs gap=, in seconds, or session=, a context column (on the command line "
            "--split-option gap=21600); with neither a user is one trajectory: use split.last_fraction"
        )
    found = trajectories(data.interactions, gap=gap, session=session)
    left, size = found.left(data.n_users)
    in_test = _held(size, share)
    in_both = np.maximum(_held(size, share + validation), in_test)
    part = np.where(left < in_both, VALIDATION, TRAIN)
    part[left < in_test] = TEST
    kind = f"last_trajectories(share={share:g}, gap={gap}, session={session!r}, validation={validation:g})"
    return _made(data, found, part, kind, repeats, wants_validation=bool(validation))


def _held(size: I64, share: float) -> I64:
    """Return how many of `size` (n,) sequences are held out: all but floor((1 - share) * size), at least one left."""
    kept = np.maximum(np.floor((1 - share) * size + 1e-9), 1)
    return (size - kept).astype(np.int64)


def _made(
    data: Dataset,
    sequences: Sequences,
    part: np.ndarray,
    kind: str,
    repeats: Repeats,
    *,
    wants_validation: bool,
) -> Split:
    """Return the split in which sequence s goes to the part with the code ``part[s]``."""
    return make(
        data, part[sequences.of_event], kind,
        repeats=repeats_allowed(repeats), wants_validation=wants_validation,
    )  # fmt: skip
