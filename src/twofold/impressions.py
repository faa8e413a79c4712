"""What a ranker would have been shown: lists of candidate models over the last part of a log, and what was taken of them.

A log without impressions that were passed by does not say which of some good candidates is the best. Candidate models
that were fitted on the part before can be asked for their lists, and what people took next says it: the impressions of
Covington, Adams & Sargin (2016), section 4, made after the fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from twofold.candidates import fuse
from twofold.data.dataset import Dataset
from twofold.data.interactions import Interactions
from twofold.data.queries import Queries
from twofold.errors import DataError
from twofold.models._base import FittedModel
from twofold.models._shown import Shown, lookup, named_scores
from twofold.rank import rank
from twofold.typing import F32, I32, I64, Bool, Rng


@runtime_checkable
class LearnsFromLists(Protocol):
    """A ranker that is fitted on lists that people were shown, in place of what a log says was shown to them."""

    learns_from_lists: ClassVar[bool]
    """Whether it is."""

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        rng: Rng = None,
        shown: Shown | None = None,
    ) -> FittedModel:
        """Learn from the lists of `shown`, None = from `train` alone."""
        ...


def learns(ranker: object) -> bool:
    """Say whether a ranker learns from lists or impressions, whose value 0 says that an item was passed by."""
    return isinstance(ranker, LearnsFromLists) and ranker.learns_from_lists


def shown_lists(
    estimators: Sequence[Any], train: Dataset, share: float, depth: int, seed: int
) -> Shown:
    """Fit candidate models on the log without its last `share`, and return their lists at that moment.

    Asked are the people who have events before and after it. What they took of a list afterwards is what was gained
    of it; repeated events add up. Items that the fitted part lacks are not named, and nothing is hidden.

    Parameters
    ----------
    estimators
        J models to fit.
    train
        A log with times.
    share
        In (0, 1); events of one instant stay together.
    depth
        Items of each model's list, at most.
    seed
        For every fit.

    Raises
    ------
    DataError
        If the log has no times or one time alone, or nothing that was named was taken.
    """
    events = train.interactions
    if events.time is None:
        raise DataError(
            "lists of the last part of a log need times; name its time column, or set Pipeline.lists=0"
        )
    cut = int(np.quantile(events.time, 1 - share, method="higher"))
    early = events.take(np.flatnonzero(events.time < cut))
    if not len(early):
        raise DataError(
            f"nothing is left before the last {share:g} of the log; lower Pipeline.lists, or set it to 0"
        )
    known = Dataset(early, train.users, train.items)
    models = [one.fit(known, rng=seed) for one in estimators]
    before, inside = np.diff(early.indptr), np.flatnonzero(events.time >= cut)
    users = np.flatnonzero((before > 0) & (np.diff(events.indptr) > before)).astype(np.int32)
    at = np.full(len(users), cut, np.int64)
    asked = Queries.known(users, time=at)
    union, named = union_of(models, asked, early.item_counts > 0, depth)
    value = gained(events.take(inside), users, union)
    if not (value > 0).any():
        raise DataError(
            f"nobody took what the candidate models name in the last {share:g} of the log; raise Pipeline.depth, take "
            "another share (lists), or set lists=0 to have the ranker learn from the log alone"
        )
    first: I64 = events.indptr[users] + before[users]
    return Shown(first, at, union, value, named)


def gained(events: Interactions, users: I32, items: I32) -> F32:
    """Return the summed values of the events of `users` (n,) with `items` (n, c); 0 where there are none, shape (n, c)."""
    key = events.user.astype(np.int64) * events.n_items + events.item
    keys, number = np.unique(key, return_inverse=True)
    total = np.bincount(number, weights=events.value, minlength=len(keys))
    wanted = users[:, None].astype(np.int64) * events.n_items + items
    return lookup(keys, total.astype(np.float32), np.where(items < 0, -1, wanted), 0.0)


def union_of(
    models: Sequence[FittedModel], asked: Queries, allowed: Bool, depth: int
) -> tuple[I32, F32]:
    """Return the union of the models' lists of `allowed` items (n_items,), (n, c), and how each scores its items, (n, c, J)."""
    depth = min(depth, len(allowed))
    ranked = [rank(one, asked, depth, exclude_seen=False, allowed=allowed) for one in models]
    union, _ = fuse([one.items for one in ranked], 0.0)
    return union, named_scores(union, [(one.items, one.scores) for one in ranked], len(allowed))
