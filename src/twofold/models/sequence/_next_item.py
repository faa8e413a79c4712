"""What models of the next item share: sequences to learn from, and how well the next event is foreseen."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.sequences import Sequences
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import DataError, DataWarning
from twofold.models._base import Memory
from twofold.typing import F32, I32, I64

MOST = 0.5
"""Share of the events that may be sequences by themselves before a word is said of it."""
HELD_OUT = 5000
"""Most held-out events that validation looks at."""


def with_a_next_item(lengths: I64, model: str) -> I64:
    """Return the numbers of the sequences of two events or more, given the lengths (n,) of all; warn where most events stand alone.

    Raises
    ------
    DataError
        If there is none.
    """
    found = np.flatnonzero(lengths >= 2)
    if not len(found):
        raise DataError(
            f"{model} learns what follows what, and none of the {len(lengths):,} sequences has two events; "
            "give a log with longer histories, or a wider gap"
        )
    alone, n_events = int((lengths == 1).sum()), int(lengths.sum())
    if alone > MOST * n_events:
        warnings.warn(
            f"{model} learns what follows what: {alone:,} of {n_events:,} events are a sequence by themselves and teach nothing; "
            "check the column of users, or what cuts sequences (gap, session)",
            DataWarning,
            stacklevel=3,
        )
    return found.astype(np.int64)


def last_of_each(history: Histories, cut: Sequences) -> Histories:
    """Return the last sequence of each person as their history; `cut` is of the same events."""
    start = history.indptr[1:].copy()  # of people without events
    start[cut.user] = cut.indptr[:-1]  # of several sequences the last one stays
    lengths = history.indptr[1:] - start
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    event = np.repeat(start - indptr[:-1], lengths) + np.arange(indptr[-1])
    return history.at(indptr, event)


def held_out(memory: Memory, validation: Dataset) -> tuple[Histories, I32]:
    """Return n histories and the items that follow them, (n,), in the rows of `memory`.

    Of a person that training knows the first held-out event follows what is remembered; of somebody new the last one
    follows the others. Items that training lacks are passed over; at most `HELD_OUT` people.
    """
    events = validation.interactions
    item = memory.items.ids.rows(validation.items.ids.ids)[events.item]
    known = np.flatnonzero(item != UNKNOWN)
    owner = events.user[known]
    row = memory.users.ids.rows(validation.users.ids.ids)
    remembered = np.zeros(len(row), np.bool_)
    remembered[row >= 0] = memory.history.lengths[row[row >= 0]] > 0
    people, first, counts = np.unique(owner, return_index=True, return_counts=True)
    old = remembered[people]
    kept = old | (counts >= 2)
    if kept.sum() > HELD_OUT:
        some = np.flatnonzero(kept)[np.linspace(0, kept.sum() - 1, HELD_OUT).astype(np.int64)]
        kept = np.isin(np.arange(len(kept)), some)
    people, first, counts, old = people[kept], first[kept], counts[kept], old[kept]
    target = known[np.where(old, first, first + counts - 1)]
    told = np.where(old, 0, counts - 1)  # held-out events that are told
    indptr = np.concatenate([[0], np.cumsum(told)]).astype(np.int64)
    event = known[np.repeat(first - indptr[:-1], told) + np.arange(indptr[-1])]
    time = None if events.time is None else events.time[event]
    fresh = Histories(indptr, item[event].astype(np.int32), events.value[event], time)
    mine = memory.history.take(np.where(old, row[people], UNKNOWN))
    return side_by_side(mine, fresh), item[target].astype(np.int32)


def side_by_side(one: Histories, other: Histories) -> Histories:
    """Return the histories of n people of whom each has events in one of two sets only; times are kept where both have them."""
    joined = one.joined(other)
    if one.time is None or other.time is None:
        return joined
    time = np.empty(len(joined.item), np.int64)
    for part, own in ((one, one.time), (other, other.time)):
        start = joined.indptr[:-1] - part.indptr[:-1]
        time[np.repeat(start, part.lengths) + np.arange(len(part.item))] = own
    return Histories(joined.indptr, joined.item, joined.value, time)


def mean_gain(vectors: F32, items: F32, target: I32) -> float:
    """Return the mean of 1 / log2(1 + rank) of each row's target in the whole catalogue.

    vectors (n, d), items (m, d), target (n,). Of equal scores half count as better.
    """
    total = 0.0
    for first in range(0, len(target), 256):
        part = slice(first, first + 256)
        scores = vectors[part] @ items.T  # (256, m)
        own = scores[np.arange(len(scores)), target[part]][:, None]
        better = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        total += float((1 / np.log2(2 + better)).sum())
    return total / len(target)


def foresight(
    memory: Memory,
    validation: Dataset | None,
    encode: Callable[[Histories], F32],
    items: Callable[[], F32],
) -> Callable[[], float] | None:
    """Return what measures `mean_gain` on held-out events, or None where there are none.

    `encode` maps histories to vectors and `items` returns the item vectors, with the weights of the moment.
    """
    if validation is None:
        return None
    histories, target = held_out(memory, validation)
    if not len(target):
        return None
    return lambda: mean_gain(encode(histories), items(), target)
