"""From frames to a `Dataset`: ids, typed columns, and the policies for whatever is irregular.

The policies are stated in docs/data.md; each one that changed something leaves a sentence in
``Dataset.notes``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import time as now
from typing import Literal

import numpy as np
import polars as pl

from twofold.data.columns import NO_TIME, Column, Kind
from twofold.data.convert import column_from_values, guess_kind, is_one_column, numbers
from twofold.data.dataset import Dataset, Features
from twofold.data.entities import NO_LINKS, Entities
from twofold.data.frames import flatten, pick
from twofold.data.interactions import Interactions
from twofold.data.links import read_links
from twofold.data.odd_kinds import say_odd_kind
from twofold.data.odd_times import odd_times
from twofold.data.odd_values import odd_notes
from twofold.data.places import PLACE, joined, read_as_place
from twofold.data.times import parse_times
from twofold.data.unmatched import not_named, of_nobody, without_row
from twofold.data.vocabulary import UNKNOWN, Vocabulary, as_ids, factorize, look_alikes
from twofold.errors import ConfigError, DataError, DataWarning, did_you_mean
from twofold.kernels.gather import gather, is_ascending
from twofold.kernels.sort_events import order_by_user_and_time
from twofold.typing import F32, I32, I64, Bool

Duplicates = Literal["keep", "last", "sum", "mean"]
DUPLICATES: tuple[Duplicates, ...] = ("keep", "last", "sum", "mean")


def assemble(
    frame: pl.DataFrame,
    *,
    user: str,
    item: str,
    value: str | None,
    time: str | None,
    context: Features,
    users: pl.DataFrame | None,
    items: pl.DataFrame | None,
    user_features: Features,
    item_features: Features,
    links: pl.DataFrame | None,
    duplicates: Duplicates,
) -> Dataset:
    """Build a dataset from frames; see `Dataset.from_frames`."""
    if duplicates not in DUPLICATES:
        raise ConfigError(f"duplicates got {duplicates!r}; {did_you_mean(duplicates, DUPLICATES)}")
    for name, one in (("user", user), ("item", item), ("value", value), ("time", time)):
        if one is not None and not isinstance(one, str):
            raise ConfigError(f"{name} must name a column; got {one!r}")
    for side, table, columns in (("user", users, user_features), ("item", items, item_features)):
        if table is None and columns:
            raise ConfigError(
                f"{side}_features are given and no {side}s=, the table that has them; give it, or read columns of the log as context="
            )
    if user == item:
        raise ConfigError(f"user and item are both column {user!r}; name two columns")
    notes: list[str] = []
    what = "the interactions"
    user_ids = as_ids(pick(frame, user, what), f"user column {user!r}")
    item_ids = as_ids(pick(frame, item, what), f"item column {item!r}")
    n = len(user_ids)
    if not n:
        raise DataError(f"{what} are empty; at least one row is needed")
    values = None
    if value is not None:
        values = numbers(pick(frame, value, what), f"value column {value!r}", notes)
    times = None
    if time is not None:
        times, said = parse_times(pick(frame, time, what), f"time column {time!r}")
        notes += said
    contexts: dict[str, tuple[pl.Series, Kind]] = {}
    for name, kind in wanted(context).items():
        one = pick(frame, name, what)
        contexts[name] = one, guess_kind(one) if kind is None else kind
        say_odd_kind(name, *contexts[name], "context", notes, guessed=kind is None, stacklevel=4)
    taken = {"user", "item"} | ({"value"} if value else set()) | ({"time"} if time else set())
    if clash := sorted(taken.intersection(contexts)):
        raise ConfigError(
            f"a context column cannot be called {clash[0]!r}, as the log's own column is; rename it"
        )
    del frame  # a large log is held once
    if without := lacking(user_ids, item_ids, values, times):
        rows = np.flatnonzero(~np.logical_or.reduce(list(without.values())))
        missing = f"{n - len(rows):,} of {n:,} rows without {' or '.join(without)}"
        if not len(rows):
            raise DataError(f"{what} have no row to read: {missing}; name other columns")
        notes.append(f"{missing} were left out")
        warnings.warn(f"{notes[-1]}; fill them in to keep them", DataWarning, stacklevel=3)
        picked = pl.Series(rows, dtype=pl.UInt32)
        user_ids, item_ids = user_ids.gather(picked), item_ids.gather(picked)
        values = None if values is None else values[rows]
        times = None if times is None else times[rows]
        for name, (one, kind) in contexts.items():
            contexts[name] = one.gather(picked), kind
    for odd in [] if times is None else odd_times(times, now(), f"time column {time!r}"):
        notes.append(odd)
        warnings.warn(f"{odd}; correct them if they are not meant", DataWarning, stacklevel=3)
    people, things = Entities(_empty()), Entities(_empty())
    if users is not None:
        people = entities(users, user, user_ids, user_features, "users", notes)
    if items is not None:
        things = entities(items, item, item_ids, item_features, "items", notes)
    for found, ids, what in ((people, user_ids, "users"), (things, item_ids, "items")):
        if strangers := of_nobody(found, ids, what):
            notes.append(strangers)
            warnings.warn(f"{strangers}; check the column of their ids", DataWarning, stacklevel=3)
        elif bare := without_row(found, ids, what):
            notes.append(bare)
    people, user_rows = join_ids(people, user_ids)
    del user_ids
    things, item_rows = join_ids(things, item_ids)
    del item_ids
    for found, what in ((people, "users"), (things, "items")):
        notes += look_alikes(found.ids, what)
    order = order_by_user_and_time(user_rows, times, len(people))
    if not is_ascending(order):
        # One at a time, so that no more than one column is held twice.
        lengths = np.bincount(user_rows, minlength=len(people))
        user_rows = np.repeat(np.arange(len(people), dtype=np.int32), lengths)
        item_rows = gather(item_rows, order)
        values = None if values is None else gather(values, order)
        times = None if times is None else gather(times, order)
    events = Interactions(
        user_rows,
        item_rows,
        np.ones(len(user_rows), np.float32) if values is None else values,
        times,
        len(people),
        len(things),
        values is not None,
        {
            name: column_from_values(name, one, kind).take(order)
            for name, (one, kind) in contexts.items()
        },
    )
    del order
    events = without_duplicates(events, duplicates, notes)
    notes += odd_notes(events.value)
    made = NO_LINKS if links is None else read_links(links, people.ids, notes, warn=True)
    return Dataset(events, people, things, made, tuple(notes))


def _empty() -> Vocabulary:
    return Vocabulary(pl.Series(dtype=pl.Int64))


def wanted(features: Features, but: str = "") -> dict[str, Kind | None]:
    """Return the columns to read with their kinds, None where it is to be guessed."""
    if features is None:
        return {}
    if isinstance(features, str):
        raise ConfigError(
            f"columns must be a list of names or a mapping to kinds; got {features!r}"
        )
    if isinstance(features, Sequence):
        return {name: None for name in features if name != but}
    return {**features}


def lacking(
    users: pl.Series, items: pl.Series, values: F32 | None, times: I64 | None
) -> dict[str, Bool]:
    """Return which rows (n,) are without a user, an item, a value or a time, of those that some row is without."""
    without: dict[str, Bool] = {}
    for what, ids in (("a user", users), ("an item", items)):
        if ids.null_count():
            without[what] = ids.is_null().to_numpy()
    if values is not None and np.isnan(values).any():
        without["a value"] = np.isnan(values)
    if times is not None and len(times) and times.min() == NO_TIME:
        without["a time"] = np.asarray(times == NO_TIME)
    return without


def entities(
    frame: pl.DataFrame,
    key: str,
    like: pl.Series,
    features: Features,
    what: Literal["users", "items"],
    notes: list[str],
) -> Entities:
    """Read the frame of users or items: one row an id, the first where an id is repeated."""
    ids = as_ids(pick(frame, key, f"the {what}"), f"{what} column {key!r}")
    ids = ids.cast(pl.Int64) if ids.dtype == pl.Int32 else ids
    like = like.cast(pl.Int64) if like.dtype == pl.Int32 else like
    if ids.dtype != like.dtype and len(like):
        ids = _same_type(ids, like, what, key)
    named = wanted(features, but=key)
    if features is None:
        frame = flatten(frame, stays=is_one_column)
    elif any(one not in frame.columns for one in named):
        frame = flatten(frame, but=named)
    given = frame
    good = ids.is_not_null() & ids.is_first_distinct()
    if not good.all():
        notes.append(
            f"{int((~good).sum()):,} rows of the {what} repeat an id or have none; the first row of an id counts"
        )
        ids, frame = ids.filter(good), frame.filter(good)
    chosen: Mapping[str, Kind | None]
    if features is None:
        chosen = {name: guess_kind(frame[name]) for name in frame.columns if name != key}
    else:
        chosen = named
    if features is not None and (left := not_named(frame.columns, {*named, key}, what)):
        notes.append(left)
    own = what[:-1]  # what `Dataset.frame` calls the ids
    if own in chosen and features is None:
        notes.append(f"the {what} have a column {own!r} beside their ids {key!r}; it was left out")
    elif own in chosen:
        raise ConfigError(f"a feature of the {what} cannot be called {own!r}; rename it")
    chosen = {name: kind for name, kind in chosen.items() if name != own}
    columns: dict[str, Column] = {}
    degrees = None
    if features is None or PLACE in chosen:
        degrees = read_as_place(frame, but=key, what=what, notes=notes)
    if degrees and features is None:
        chosen = {name: kind for name, kind in chosen.items() if name not in degrees}
        chosen[PLACE] = PLACE
    for name, kind in chosen.items():
        if degrees and name == PLACE and kind in (PLACE, None):
            columns[name] = column_from_values(name, joined(frame, degrees), PLACE)
        else:
            values = pick(frame, name, f"the {what}")
            read_as = guess_kind(values) if kind is None else kind
            columns[name] = column_from_values(name, values, read_as)
            guessed = features is None or kind is None
            say_odd_kind(name, given[name], read_as, what, notes, guessed=guessed, stacklevel=5)
    return Entities(Vocabulary(ids), columns)


def _same_type(ids: pl.Series, like: pl.Series, what: str, key: str) -> pl.Series:
    """Read the ids of an entity frame as the type that the interactions have."""
    cast = ids.cast(like.dtype, strict=False)
    if cast.null_count() > ids.null_count():
        odd = ids.filter(cast.is_null() & ids.is_not_null())[0]
        raise DataError(
            f"the {what} have the id {odd!r} in {key!r}, and the interactions have integer ids; "
            "use one type in both"
        )
    return cast


def join_ids(known: Entities, ids: pl.Series) -> tuple[Entities, I32]:
    """Return all entities in sorted order of their ids, and the row of every entry of `ids`.

    Ids that have events but no row of features get missing values.
    """
    if not len(known):
        vocabulary, rows = factorize(ids)
        return Entities(vocabulary), rows
    ids = ids.cast(pl.Int64) if ids.dtype == pl.Int32 else ids
    everybody, _ = factorize(pl.concat([known.ids.ids, ids.unique()]))
    place = known.ids.rows(everybody.ids)
    missing = place == UNKNOWN
    features = {
        name: with_missing(column, place, missing) for name, column in known.features.items()
    }
    return Entities(everybody, features), everybody.rows(ids)


def with_missing(column: Column, rows: I32, missing: np.ndarray) -> Column:
    """Return a column at `rows`, with its missing value where `missing`."""
    if not missing.any():
        return column.take(rows)
    return column.with_missing_row().take(np.where(missing, len(column), rows).astype(np.int64))


def without_duplicates(events: Interactions, policy: Duplicates, notes: list[str]) -> Interactions:
    """Apply the policy for repeated pairs; of events that are kept, exact copies with a time count once, where there is no context."""
    if policy == "keep":
        copies = copies_of_events(events)
        if len(copies):
            notes.append(
                f"{len(copies):,} exact cop{'ies' if len(copies) > 1 else 'y'} of an event (same time and value) left out"
            )
            keep = np.ones(len(events), np.bool_)
            keep[copies] = False
            return events.take(np.flatnonzero(keep).astype(np.int64))
        return events
    pair = events.user.astype(np.int64) * events.n_items + events.item
    _, last, group = np.unique(pair[::-1], return_index=True, return_inverse=True)
    if len(last) == len(events):
        return events
    notes.append(f"{len(events) - len(last):,} repeated pairs were joined (duplicates={policy!r})")
    chosen = len(events) - 1 - last  # the latest event of each pair
    order = np.sort(chosen).astype(np.int64)
    kept = events.take(order)
    if policy == "last":
        return kept
    total = np.bincount(group, events.value[::-1], len(last))
    if policy == "mean":
        total /= np.bincount(group, minlength=len(last))
    made = kept.with_values(total[np.argsort(chosen)].astype(np.float32))
    # What is summed where there are no values is how often a pair occurs.
    return replace(made, has_value=events.has_value or policy == "sum")


def copies_of_events(events: Interactions) -> I64:
    """Return the positions of events that repeat another in user, item, time and value; none where there is context."""
    if events.time is None or len(events) < 2 or events.context:
        return np.zeros(0, np.int64)
    tied = np.zeros(len(events), np.bool_)
    tied[1:] = (events.user[1:] == events.user[:-1]) & (events.time[1:] == events.time[:-1])
    tied[:-1] |= tied[1:]
    at = np.flatnonzero(tied)
    if not len(at):
        return at
    frame = pl.DataFrame(
        {"u": events.user[at], "i": events.item[at], "t": events.time[at], "v": events.value[at]}
    )
    first = frame.select(pl.struct("u", "i", "t", "v").is_first_distinct()).to_series().to_numpy()
    return at[~first].astype(np.int64)
