"""What a person did with an item, its channel and the other items before a moment: the pair features of the ranker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import NO_TIME, Category, Column, Number
from twofold.data.interactions import Histories, Interactions
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.features.table import TableCode
from twofold.models._shown import Shown
from twofold.models.factorization._fm_data import with_negatives
from twofold.models.mapping._youtube_inputs import mean_rows
from twofold.typing import F32, F64, I32, I64, Bool

CANDIDATE = "candidate_"
"""What the columns with the scores of candidate models are called, before their number."""


class Pairs(NamedTuple):
    """P questions: what person `who` will do with `item`, given their events before position `stop`."""

    who: I64  # (P,) rows of the histories
    stop: I64  # (P,) positions in the flat histories
    item: I32  # (P,)
    now: F64  # (P,) seconds since 1970, NaN where unknown


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Where each code stands in the history of each person."""

    keys: I64  # (K,) distinct person * n_codes + code, ascending
    places: I64  # (L,) number of the key * width + position, ascending
    width: int
    n_codes: int

    @classmethod
    def of(cls, histories: Histories, codes: I32, counted: Bool, n_codes: int) -> Occurrences:
        """Index the events that are `counted` (L,) and whose code is not -1."""
        at = np.flatnonzero(counted & (codes >= 0))
        person = np.repeat(np.arange(len(histories)), histories.lengths)[at]
        keys, number = np.unique(person * n_codes + codes[at], return_inverse=True)
        width = len(codes) + 1
        return cls(keys, np.sort(number * width + at), width, n_codes)

    def before(self, who: I64, codes: I32, stop: I64) -> tuple[I64, I64]:
        """Return how often each code stands before `stop`, and its last position there (-1 = never); shape (P,)."""
        if not len(self.keys):
            return np.zeros(len(who), np.int64), np.full(len(who), -1, np.int64)
        wanted = who * self.n_codes + codes
        number = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known = (codes >= 0) & (self.keys[number] == wanted)
        first = np.searchsorted(self.places, number * self.width)
        end = np.searchsorted(self.places, number * self.width + stop)
        count = np.where(known, end - first, 0)
        last = self.places[np.maximum(end - 1, 0)] % self.width
        return count, np.where(count > 0, last, -1)


def pair_columns(
    histories: Histories, pairs: Pairs, n_items: int, channel: I32, n_channels: int
) -> dict[str, Column]:
    """Return the continuous features of pairs, P rows each (Covington et al. 2016, section 4.1).

    ``shown``: earlier impressions of the item without a click. ``watched``: earlier clicks on it. With channels (the code
    of each item, -1 = none): ``channel_watched``, clicks on items of the channel, and ``channel_age``, seconds since the
    last of them, missing where there is none or times are unknown.
    """
    clicked = histories.value > 0
    made: dict[str, F64 | I64] = {}
    for name, counted in (("shown", ~clicked), ("watched", clicked)):
        index = Occurrences.of(histories, histories.item, counted, n_items)
        made[name] = index.before(pairs.who, pairs.item, pairs.stop)[0]
    if n_channels:
        index = Occurrences.of(histories, channel[histories.item], clicked, n_channels)
        count, last = index.before(pairs.who, channel[pairs.item], pairs.stop)
        made["channel_watched"] = count
        age = np.full(len(last), np.nan)
        if histories.time is not None and len(histories.time):
            age = np.where(last >= 0, pairs.now - histories.time[np.maximum(last, 0)], np.nan)
        made["channel_age"] = np.maximum(age, 0)
    return {name: Number(values.astype(np.float32)) for name, values in made.items()}


def named_columns(named: F32 | None) -> dict[str, Column]:
    """Return the scores of J candidate models, (P, J), as columns; NaN is missing. None has no columns."""
    if named is None:
        return {}
    return {f"{CANDIDATE}{at}": Number(np.ascontiguousarray(one)) for at, one in enumerate(named.T)}


def n_named(code: TableCode) -> int:
    """Return the number of candidate models whose scores are among the pair features."""
    return sum(one.name.startswith(CANDIDATE) for one in code.codes)


def last_watched(
    histories: Histories, who: I64, stop: I64, watches: int, n_items: int
) -> csr_array:
    """Return rows (P, n_items) that average the last `watches` clicked items before `stop`."""
    clicked = histories.value > 0
    count = np.concatenate([[0], np.cumsum(clicked)]).astype(np.int64)  # (L + 1,) clicks before
    last = count[stop]
    first = np.maximum(count[histories.indptr[who]], last - watches)
    return mean_rows(first, last, histories.item[clicked], n_items)


def first_odds(value: F32, weight: F32) -> float:
    """Return ln(sum of T_i over clicks / number of impressions without one): the best constant logit."""
    clicked = value > 0
    total = float(weight[clicked].sum(dtype=np.float64))
    return float(np.log(max(total, 1e-6) / max(np.count_nonzero(~clicked), 1)))


class Asking(NamedTuple):
    """What n questions are asked with."""

    history: Histories  # n people
    now: F64  # (n,) seconds since 1970 UTC, NaN = unknown
    stop: I64  # (n,) where the events before the question end


def asked_when(queries: Queries, remembered: Histories, newest: int) -> Asking:
    """Return the histories of n queries and when they ask: at `newest` (-1 = unknown), behind all events, where they do not say.

    All queries have a history of their own, or none. Values that a history of its own leaves out are clicks.
    """
    history = remembered.take(queries.user)
    if queries.has_history.any():
        value = np.where(np.isnan(queries.history.value), 1, queries.history.value)
        history = replace(queries.history, value=value.astype(np.float32))
    now: F64 = np.full(len(queries), newest if newest >= 0 else np.nan, np.float64)
    if queries.time is not None:
        now = np.where(queries.time == NO_TIME, now, queries.time)
    stop = history.indptr[1:]
    if queries.time is not None and history.time is not None:
        asked = np.repeat(queries.time, history.lengths)
        later = (history.time >= asked) & (asked != NO_TIME)
        stop = stop - np.diff(np.concatenate([[0], np.cumsum(later)])[history.indptr])
    return Asking(history, now, stop.astype(np.int64))


class Asked(NamedTuple):
    """P impressions that are learned from."""

    pairs: Pairs
    value: F32  # (P,) watch time, 0 without a click
    event: I64  # (P,) position in the log whose circumstances they have
    named: F32  # (P, J) scores of candidate models, NaN where one does not name the item


def asked_of(
    events: Interactions, shown: Shown | None, negatives: int, rng: np.random.Generator
) -> Asked:
    """Return the impressions of lists where some are given, and those of the log otherwise."""
    return asked_of_log(events, negatives, rng) if shown is None else asked_of_lists(events, shown)


def first_at_once(events: Interactions) -> I64:
    """Return for every event the position of the first of its user with the same time; shape (n,).

    Events of one moment do not precede each other. Without times the order of the log counts, and the
    position is the event's own.
    """
    return np.flatnonzero(np.diff(events.moments, prepend=-1))[events.moments]


def asked_of_log(events: Interactions, negatives: int, rng: np.random.Generator) -> Asked:
    """Return the impressions of a log, in its order.

    A log without a zero gets `negatives` unobserved items for each event, in the circumstances of that event.

    Raises
    ------
    DataError
        If there is no impression without a click, and none can be drawn.
    """
    user, item, value = events.user, events.item, events.value
    source: I64 = np.arange(len(events), dtype=np.int64)
    if not (value == 0).any():
        user, item, seen, source = with_negatives(events, negatives, rng)
        value = np.where(seen > 0, value[source], 0).astype(np.float32)
    if (value > 0).all():
        raise DataError(
            "every impression was clicked, and everybody has touched every item: there is nothing to be "
            "ranked below; give impressions without a click (watch time 0)"
        )
    stop, now = first_at_once(events)[source], moments(events, source)
    return Asked(
        Pairs(user.astype(np.int64), stop, item, now),
        value,
        source,
        np.zeros((len(item), 0), np.float32),
    )


def asked_of_lists(events: Interactions, shown: Shown) -> Asked:
    """Return the impressions of lists, list by list; what a person did before it is known.

    Raises
    ------
    DataError
        If nothing was taken of the lists, or nothing was passed by.
    """
    row, place = np.nonzero(shown.items != UNKNOWN)
    value = shown.value[row, place]
    if not len(value) or not (value > 0).any() or (value > 0).all():
        raise DataError(
            "lists to learn from need items that were taken and items that were passed by; give longer lists, or more"
        )
    who = events.user[shown.event].astype(np.int64)
    now = shown.time[row].astype(np.float64)
    pairs = Pairs(who[row], shown.event[row], shown.items[row, place], now)
    return Asked(pairs, value, shown.event[row], shown.named[row, place])


def clicks(events: Interactions) -> F32:
    """Return the number of clicks on each item, (n_items,)."""
    return np.bincount(events.item[events.value > 0], minlength=events.n_items).astype(np.float32)


def check_watch_times(events: Interactions) -> None:
    """Refuse watch times that are negative or not finite, and a log without a click.

    Raises
    ------
    DataError
        Saying which.
    """
    bad = events.value[~(np.isfinite(events.value) & (events.value >= 0))]
    if len(bad):
        raise DataError(
            f"YouTubeRanker reads values as watch times, which are finite and >= 0 (0 = no click); found {bad[0]:g}, and {len(bad):,} "
            "such values in all: leave their events out with data.where_value(at_least=0) (on the command line --min-value 0)"
        )
    if not (events.value > 0).any():
        raise DataError("no impression was clicked: every watch time is 0; check the value column")


def moments(events: Interactions, source: I64) -> F64:
    """Return the time of each of the events `source`, NaN in a log without times."""
    if events.time is None:
        return np.full(len(source), np.nan)
    return events.time[source].astype(np.float64)


def check_channel(name: str | None, items: Mapping[str, Column]) -> None:
    """Refuse a channel that is no category of the items.

    Raises
    ------
    ConfigError
        With the nearest name.
    """
    if name is not None and not isinstance(items.get(name), Category):
        named = [one for one, column in items.items() if isinstance(column, Category)]
        raise ConfigError(
            f"YouTubeRanker.channel got {name!r}, which is no category feature of the items; "
            f"{did_you_mean(name, named)}"
        )


def channel_codes(name: str | None, items: Mapping[str, Column]) -> tuple[I32, int]:
    """Return the channel of each item, -1 = none, and how many channels there are; 0 where none are named."""
    column = items.get(name or "")
    if not isinstance(column, Category):
        return np.zeros(0, np.int32), 0
    return column.codes, len(column.levels)


def check_candidates(items: I32, n: int, n_items: int) -> I32:
    """Return candidates (n, c) as int32.

    Raises
    ------
    DataError
        If the shape is another, or a row is past the catalogue.
    """
    items = np.asarray(items, np.int32)
    if items.ndim != 2 or len(items) != n:
        raise DataError(
            f"items must have one row of candidates a query, shape ({n}, c); got {items.shape}"
        )
    if items.size and (items.max() >= n_items or items.min() < UNKNOWN):
        raise DataError(
            f"items must be rows 0 ... {n_items - 1}, or -1 for none; found {items.min()} ... {items.max()}"
        )
    return items


def check_named(named: F32 | None, shape: tuple[int, ...], n_models: int) -> None:
    """Refuse scores of candidate models that are not those of the candidates, (n, c), and of the models of training.

    Raises
    ------
    DataError
        With the two shapes.
    """
    if named is not None and named.shape != (*shape, n_models):
        raise DataError(
            f"named must hold the scores of the {n_models} candidate models that YouTubeRanker was trained with, "
            f"shape {(*shape, n_models)}; got {named.shape}"
        )
