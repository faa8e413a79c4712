"""The last moments of everybody as questions to a model that was trained without them."""

from __future__ import annotations

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories, Interactions
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.models._base import FittedModel
from twofold.models.sequence._repeat_weights import Taken
from twofold.typing import I32, Bool

TOLD = 1 << 24
"""Events that all questions are told together, at most: a person with many events has as many questions, each with a long history."""

OF_ONE = 50
"""A person has at most one in so many of the questions, so that a robot with most of the events does not set the weights."""
LONGEST = TOLD // 100
"""Events before a moment that is asked about, at most, where all questions together have more than `TOLD`."""


def later(events: Interactions, share: float) -> Bool:
    """Say which events are among the last `share` of their user's moments, rounded down, but one at least of two; shape (n,)."""
    moment = events.moments
    first, at = np.unique(moment, return_index=True)
    owner = events.user[at]
    many = np.bincount(owner, minlength=events.n_users)
    end = np.cumsum(many)
    left = end[owner] - first  # 1 = the last moment of the user
    share_of = np.maximum(np.floor(share * many + 1e-9), many > 1)
    held = left <= share_of[owner]
    return held[moment]


def within(owner: I32, most: int, rng: np.random.Generator) -> Bool:
    """Say which of the moments of people (n,), ascending, are kept: of each person at most `most`, drawn; shape (n,)."""
    many = np.bincount(owner)
    if many.max(initial=0) <= most:
        return np.ones(len(owner), np.bool_)
    drawn = rng.permutation(len(owner))
    drawn = drawn[np.argsort(owner[drawn], kind="stable")]  # each person's moments, shuffled
    first = np.cumsum(many) - many
    kept = np.empty(len(owner), np.bool_)
    kept[drawn] = np.arange(len(owner)) - first[owner] < most
    return kept


def questions(
    train: Dataset, held: Bool, model: FittedModel, most: int, rng: np.random.Generator
) -> tuple[Queries, Taken]:
    """Return held-out moments, each asked with everything before it, in the rows of `model`, and what was taken.

    Parameters
    ----------
    train
        The whole log.
    held : shape (n,)
        The events to be asked about; the later ones of each user.
    model
        Trained on the others. Moments in which nothing was taken that it knows are not asked.
    most
        Questions at most, and of one person `most` / `OF_ONE`; fewer where their histories have more than `TOLD`
        events together.
    rng
        Draws them where there are more.
    """
    events = train.interactions
    user = model.users.ids.rows(train.users.ids.ids)[events.user]
    item = model.items.ids.rows(train.items.ids.ids)[events.item]
    moment = events.moments
    begin = np.unique(moment, return_index=True)[1]
    known = held & (item != UNKNOWN) & (user != UNKNOWN)
    asked = np.unique(moment[known])
    asked = asked[within(events.user[begin[asked]], max(1, most // OF_ONE), rng)]
    if len(asked) > most:
        asked = np.sort(rng.choice(asked, most, replace=False))
    before = begin[asked] - np.searchsorted(events.user, events.user[begin[asked]])
    if before.sum() > TOLD and (before <= LONGEST).any():
        asked, before = asked[before <= LONGEST], before[before <= LONGEST]
    if before.sum() > TOLD:
        drawn = rng.permutation(len(asked))
        asked = np.sort(asked[drawn[: max(1, int((np.cumsum(before[drawn]) <= TOLD).sum()))]])
    wanted = np.flatnonzero(known & np.isin(moment, asked))
    pair = np.unique(np.searchsorted(asked, moment[wanted]) * len(model.items) + item[wanted])
    question, target = np.divmod(pair, len(model.items))
    taken = Taken(
        np.searchsorted(question, np.arange(len(asked) + 1)).astype(np.int64),
        target.astype(np.int32),
    )
    at = begin[asked]
    start = np.searchsorted(events.user, events.user[at])  # events lie by user and then by time
    there = item != UNKNOWN
    counts = np.concatenate([[0], np.cumsum(there)]).astype(np.int64)
    lengths = counts[at] - counts[start]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.repeat(counts[start] - indptr[:-1], lengths) + np.arange(indptr[-1])
    kept = np.flatnonzero(there)[rows]
    time = events.time
    history = Histories(
        indptr,
        item[kept].astype(np.int32),
        events.value[kept],
        None if time is None else time[kept],
    )
    context = {
        name: column.take(at)
        for name, column in events.context.items()
        if name in model.context_kinds
    }
    return Queries(
        user[at].astype(np.int32), history, np.ones(len(at), np.bool_),
        None if time is None else time[at], context,
    ), taken  # fmt: skip
