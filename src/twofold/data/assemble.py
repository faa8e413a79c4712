"""From frames to a `Dataset`: ids, typed columns, and the policies for whatever is irregular.

The policies are stated in docs/data.md; each one that changed something leaves a sentence in
``Dataset.notes``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from twofold.data.columns import Column, Kind
from twofold.data.convert import column_from_values, guess_kind, numbers, parse_times
from twofold.data.dataset import NO_LINKS, Dataset, Entities, Features, Links
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import UNKNOWN, Vocabulary, as_ids, factorize
from twofold.errors import ConfigError, DataError, DataWarning, did_you_mean
from twofold.kernels.sort_events import order_by_user_and_time
from twofold.typing import F32, I32, I64

Duplicates = Literal["keep", "last", "sum", "mean"]
DUPLICATES: tuple[Duplicates, ...] = ("keep", "last", "sum", "mean")


def as_frame(source: Any, what: str) -> pl.DataFrame:
    """Return a polars frame of anything that speaks Arrow, or of a mapping of columns.

    Raises
    ------
    DataError
        If it is neither, or its columns differ in length.
    """
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if not isinstance(source, Mapping) and not hasattr(source, "__arrow_c_stream__"):
        raise DataError(
            f"{what} must be a polars, pandas or pyarrow frame or a mapping of columns; "
            f"got {type(source).__name__}: convert it, or name a file with Dataset.read"
        )
    try:
        return pl.DataFrame(source, strict=False)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{what} cannot be read as a table: {reason}") from error


def pick(frame: pl.DataFrame, name: str, what: str) -> pl.Series:
    """Return a column.

    Raises
    ------
    DataError
        If it is not there; the nearest name is given.
    """
    if name not in frame.columns:
        raise DataError(f"{what} have no column {name!r}; {did_you_mean(name, frame.columns)}")
    return frame[name]


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
    notes: list[str] = []
    what = "the interactions"
    user_ids = as_ids(pick(frame, user, what), f"user column {user!r}")
    item_ids = as_ids(pick(frame, item, what), f"item column {item!r}")
    values = None if value is None else numbers(pick(frame, value, what), f"value column {value!r}")
    times = None
    if time is not None:
        times, said = parse_times(pick(frame, time, what), f"time column {time!r}")
        notes += said
    contexts: dict[str, tuple[pl.Series, Kind | None]] = {
        name: (pick(frame, name, what), kind) for name, kind in wanted(context).items()
    }
    keep = complete(user_ids, item_ids, values, times)
    if not keep.all():
        dropped = int((~keep).sum())
        notes.append(
            f"{dropped:,} of {len(frame):,} rows without a user, an item, a value or a time were left out"
        )
        warnings.warn(f"{notes[-1]}; fill them in to keep them", DataWarning, stacklevel=3)
        rows = np.flatnonzero(keep)
        picked = pl.Series(rows, dtype=pl.UInt32)
        user_ids, item_ids = user_ids.gather(picked), item_ids.gather(picked)
        values = None if values is None else values[rows]
        times = None if times is None else times[rows]
        for name, (one, kind) in contexts.items():
            contexts[name] = one.gather(picked), kind
    people, things = Entities(_empty()), Entities(_empty())
    if users is not None:
        people = entities(users, user, user_ids, user_features, "users", notes)
    if items is not None:
        things = entities(items, item, item_ids, item_features, "items", notes)
    people, user_rows = join_ids(people, user_ids)
    things, item_rows = join_ids(things, item_ids)
    order = order_by_user_and_time(user_rows, times, len(people))
    events = Interactions(
        user_rows[order],
        item_rows[order],
        np.ones(len(order), np.float32) if values is None else values[order],
        None if times is None else times[order],
        len(people),
        len(things),
        values is not None,
        {
            name: column_from_values(name, one, kind).take(order)
            for name, (one, kind) in contexts.items()
        },
    )
    events = without_duplicates(events, duplicates, notes)
    made = NO_LINKS if links is None else read_links(links, people.ids, notes)
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


def complete(
    users: pl.Series, items: pl.Series, values: F32 | None, times: I64 | None
) -> np.ndarray:
    """Return which rows name a user, an item, a value and a time, as far as there are columns."""
    keep = np.ones(len(users), np.bool_)
    for ids in (users, items):
        if ids.null_count():
            keep &= ids.is_not_null().to_numpy()
    if values is not None:
        keep &= ~np.isnan(values)
    if times is not None:
        keep &= times != np.iinfo(np.int64).min
    return keep


def entities(
    frame: pl.DataFrame,
    key: str,
    like: pl.Series,
    features: Features,
    what: str,
    notes: list[str],
) -> Entities:
    """Read the frame of users or items: one row an id, the first where an id is repeated."""
    ids = as_ids(pick(frame, key, f"the {what}"), f"{what} column {key!r}")
    if ids.dtype != like.dtype and len(like):
        ids = _same_type(ids, like, what, key)
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
        chosen = wanted(features, but=key)
    columns: dict[str, Column] = {}
    for name, kind in chosen.items():
        columns[name] = column_from_values(name, pick(frame, name, f"the {what}"), kind)
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
    """Apply the policy for repeated pairs; exact copies of an event with a time always count once."""
    if policy == "keep":
        copies = copies_of_events(events)
        if len(copies):
            notes.append(
                f"{len(copies):,} exact copies of an event (same time and value) were left out"
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
    return kept.with_values(total[np.argsort(chosen)].astype(np.float32))


def copies_of_events(events: Interactions) -> I64:
    """Return the positions of events that repeat another in user, item, time, value and context."""
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


def read_links(frame: pl.DataFrame, users: Vocabulary, notes: list[str]) -> Links:
    """Read user-user pairs from the first two columns; pairs with somebody unknown are left out."""
    if frame.width < 2:
        raise DataError(f"links need two columns of user ids; got {frame.columns}")
    source, target = (users.rows(as_ids(frame.to_series(at), "links")) for at in (0, 1))
    both = (source != UNKNOWN) & (target != UNKNOWN)
    if not both.all():
        notes.append(
            f"{int((~both).sum()):,} links name somebody who is not among the users; left out"
        )
    return Links(source[both], target[both])
