"""What a person did with an item, its channel and the other items before a moment: the pair features of the ranker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Category, Column, Number
from twofold.data.interactions import Histories, Interactions
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.models.factorization._fm_data import with_negatives
from twofold.models.mapping._youtube_inputs import mean_rows
from twofold.typing import F32, F64, I32, I64, Bool


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


def impressions_of(
    events: Interactions, negatives: int, rng: np.random.Generator
) -> tuple[I32, I32, F32, I64]:
    """Return user, item, watch time (0 = no click) and circumstances (a position in the log) of each impression.

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
    return user, item, value, source


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
            f"YouTubeRanker reads values as watch times, which are finite and >= 0 (0 = no click); found {bad[0]:g}"
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
