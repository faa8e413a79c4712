"""The one data type that everything reads: interactions, users, items, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import polars as pl

from twofold import persistence
from twofold.data.columns import (
    Bag,
    Category,
    Kind,
    Number,
    Text,
    Time,
    Vector,
    within,
)
from twofold.data.entities import NO_LINKS, Entities, Links, renumbering
from twofold.data.interactions import Histories, Interactions
from twofold.data.odd_values import odd_notes
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, at_least_one, did_you_mean
from twofold.typing import I32, I64

if TYPE_CHECKING:
    from twofold.data.assemble import Duplicates

Features: TypeAlias = Mapping[str, Kind] | Sequence[str] | None
"""Columns to read: names with kinds, names alone (kinds are guessed), or nothing said."""
Part = Literal["interactions", "users", "items", "links"]
PARTS: tuple[Part, ...] = ("interactions", "users", "items", "links")


@dataclass(frozen=True, eq=False)
class Dataset:
    """An interaction log with what is known of its users and items.

    Rows are dense and private; ids are the caller's. ``notes`` tells which reading policies changed
    what was read, one sentence each.
    """

    interactions: Interactions
    users: Entities
    items: Entities
    links: Links = NO_LINKS
    notes: tuple[str, ...] = ()

    def verify(self) -> None:
        """Refuse interactions and links of other users and items than there are."""
        events = self.interactions
        if (events.n_users, events.n_items) != (len(self.users), len(self.items)):
            raise DataError("the interactions count other users or items than the dataset has")
        for side in (self.links.source, self.links.target):
            within("users of the links", side, len(self.users))
        if len(self.links.source) != len(self.links.target):
            raise DataError("the two sides of the links differ in length")

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        *,
        user: str,
        item: str,
        value: str | None = None,
        time: str | None = None,
        context: Features = None,
        users: Any = None,
        items: Any = None,
        user_features: Features = None,
        item_features: Features = None,
        links: Any = None,
        duplicates: Duplicates = "keep",
    ) -> Dataset:
        """Build a dataset from frames (polars, pandas, pyarrow) or mappings of columns.

        Parameters
        ----------
        interactions
            One row an event.
        user, item, value, time
            Names of its columns; a value is a rating or a count, a time epoch seconds (or
            milliseconds), a date or ISO 8601 text.
        context
            Further columns of the events, with or without kinds.
        users, items
            One row a user or an item; the id column is called as in the interactions.
        user_features, item_features
            Columns to read of them, with or without kinds; None = all, kinds guessed.
        links
            User-user pairs, in the first two columns.
        duplicates
            A pair that occurs more than once: ``keep`` every event, keep the ``last``, or ``sum`` or
            ``mean`` the values.

        Raises
        ------
        DataError
            If a column is missing or a value cannot be read; the sentence names it.
        ConfigError
            If a kind or `duplicates` is not one of those allowed.

        Example
        -------
        >>> log = {"who": [7, 7, 8], "what": ["a", "b", "a"], "stars": [5, 3, 4]}
        >>> data = Dataset.from_frames(log, user="who", item="what", value="stars")
        >>> data.n_users, data.n_items, len(data)
        (2, 2, 3)
        """
        # assemble builds on this module, so it is imported when it is needed.
        from twofold.data.assemble import assemble
        from twofold.data.frames import as_frame

        keys = [one for one in (user, item) if isinstance(one, str)]
        return assemble(
            as_frame(interactions, "the interactions", keys),
            user=user,
            item=item,
            value=value,
            time=time,
            context=context,
            users=None if users is None else as_frame(users, "the users", keys),
            items=None if items is None else as_frame(items, "the items", keys),
            user_features=user_features,
            item_features=item_features,
            links=None if links is None else as_frame(links, "the links"),
            duplicates=duplicates,
        )

    @classmethod
    def read(
        cls,
        source: str | Path,
        *,
        user: str | None = None,
        item: str | None = None,
        value: str | None = None,
        time: str | None = None,
        query: str | None = None,
        context: Features = None,
        users: Any = None,
        items: Any = None,
        user_features: Features = None,
        item_features: Features = None,
        links: Any = None,
        duplicates: Duplicates = "keep",
    ) -> Dataset:
        """Read a log from a file or a database.

        Parameters
        ----------
        source
            Delimited text (delimiter and header are found by looking), Parquet, Arrow or JSON, packed or not
            (``log.zip/ratings.csv`` names a file in an archive), or a database URL with `query`.
        user, item, value, time
            Names of its columns. None = found by usual names such as userId, movie_id, rating,
            timestamp, or by what they hold where there is no header; ``""`` = there is none.
        query
            SQL, where `source` is a database URL.
        users, items, links
            Files or frames of what is known of users and items, and of user-user pairs. Their id column
            is called as in the log, or has a usual name, or else is their first column.
        context, user_features, item_features, duplicates
            As in `from_frames`.

        Raises
        ------
        DataError
            If something cannot be read; one sentence says what, and what to do.
        """
        # What reads files builds on this module, so it is imported when it is needed.
        from twofold.data.assemble import assemble, wanted
        from twofold.data.beside import read_beside, same_type, suspect
        from twofold.data.readers import read_log
        from twofold.data.roles import NAMELESS

        asked = {"user": user, "item": item, "value": value, "time": time}
        frame, found, unread = read_log(source, asked, query=query, context=list(wanted(context)))
        names = {role: str(found[role]) for role in ("user", "item")}
        guessed = [
            f"{role} = {name}" for role, name in found.items() if name and asked[role] is None
        ]
        notes = [f"columns found by name or place: {', '.join(guessed)}"] if guessed else []
        notes += unread
        for role, beside in (("user", users), ("item", items)):
            if beside is not None and NAMELESS.match(
                names[role]
            ):  # another file has a column_1 too
                frame, names[role] = frame.rename({names[role]: role}), role
        people = read_beside(users, names["user"], "user", wanted(user_features))
        things = read_beside(items, names["item"], "item", wanted(item_features))
        frame, people = same_type(frame, people, names["user"], notes)
        frame, things = same_type(frame, things, names["item"], notes)
        held = [frame]
        del frame  # a large log is held once
        made = assemble(
            held.pop(), user=names["user"], item=names["item"], value=found["value"], time=found["time"], context=context,
            users=people, items=things, user_features=user_features, item_features=item_features,
            links=read_beside(links, "", "link"), duplicates=duplicates,
        )  # fmt: skip
        suspect(made, [role for role in names if asked[role] is None], names)
        return replace(made, notes=(*notes, *made.notes))

    def save(self, path: str | Path) -> Path:
        """Write a sealed folder that `Dataset.load` opens memory-mapped.

        Raises
        ------
        DataError
            If it cannot be written, or something else is there.
        """
        return persistence.save(self, Path(path), "dataset")

    @classmethod
    def load(cls, path: str | Path) -> Dataset:
        """Open a folder written by `save`; its arrays stay on disk until they are read.

        Raises
        ------
        IncompatibleFileError
            If the folder is damaged, foreign or from a newer format.
        """
        classes: dict[str, type] = {
            one.__name__: one
            for one in (
                Bag, Category, Dataset, Entities, Histories, Interactions, Links, Number, Text, Time,
                Vector, Vocabulary,
            )
        }  # fmt: skip
        return persistence.load(Path(path), "dataset", classes)

    def describe(self) -> pl.DataFrame:
        """Return what the log is like, a row a fact: counts, density, time span, values, columns."""
        # describe builds on this module, so it is imported when it is needed.
        from twofold.data.describe import describe

        return describe(self)

    def __str__(self) -> str:
        """Say how large it is."""
        return f"{len(self):,} events of {self.n_users:,} users and {self.n_items:,} items"

    __repr__ = __str__

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    def __len__(self) -> int:
        return len(self.interactions)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value; (1, 1) for a log without values or without events."""
        if not len(self):
            return 1.0, 1.0
        return float(self.interactions.value.min()), float(self.interactions.value.max())

    def frame(self, part: Part = "interactions") -> pl.DataFrame:
        """Return a part in the caller's ids.

        Parameters
        ----------
        part
            ``interactions`` (user, item, value and time where there are, context), ``users``,
            ``items`` (id and features) or ``links`` (source, target).
        """
        if part not in PARTS:
            raise ConfigError(f"part got {part!r}; {did_you_mean(part, PARTS)}")
        if part in ("users", "items"):
            of = self.users if part == "users" else self.items
            columns = {name: column.series() for name, column in of.features.items()}
            return pl.DataFrame({part[:-1]: of.ids.ids, **columns})
        if part == "links":
            ends = (("source", self.links.source), ("target", self.links.target))
            return pl.DataFrame({name: _ids_at(self.users, rows) for name, rows in ends})
        events = self.interactions
        made = {"user": _ids_at(self.users, events.user), "item": _ids_at(self.items, events.item)}
        if events.has_value:
            made["value"] = pl.Series(events.value)
        if events.time is not None:
            made["time"] = pl.Series(events.time)
        return pl.DataFrame(made | {name: one.series() for name, one in events.context.items()})

    def where_value(self, *, at_least: float) -> Dataset:
        """Return the dataset of the events whose value is `at_least` so much; a note on odd values goes with the others."""
        values = self.interactions.value
        made = self.part(np.flatnonzero(values >= at_least).astype(np.int64))
        return replace(made, notes=tuple(one for one in made.notes if one not in odd_notes(values)))

    def filter(self, *, min_user_events: int = 1, min_item_events: int = 1) -> Dataset:
        """Return the largest part in which each user and item has at least so many events (a core).

        Raises
        ------
        ConfigError
            If a number is no integer >= 1.
        """
        events = self.interactions
        of_each = at_least_one("min_user_events", min_user_events)
        of_every = at_least_one("min_item_events", min_item_events)
        keep = np.ones(len(events), np.bool_)
        while True:
            of_user = np.bincount(events.user[keep], minlength=self.n_users)
            of_item = np.bincount(events.item[keep], minlength=self.n_items)
            enough = (of_user >= of_each)[events.user]
            enough &= (of_item >= of_every)[events.item]
            if (enough | ~keep).all():
                return self.part(np.flatnonzero(keep).astype(np.int64))
            keep &= enough

    def part(self, events: I64) -> Dataset:
        """Return the dataset of the events at `events` (ascending) and of the ids that occur in them.

        Users and items without an event in the part are not in it: a model that is trained on it
        cannot know them.
        """
        chosen = self.interactions.take(events)
        kept_users = np.flatnonzero(np.bincount(chosen.user, minlength=self.n_users))
        kept_items = np.flatnonzero(np.bincount(chosen.item, minlength=self.n_items))
        users, items = renumbering(kept_users, self.n_users), renumbering(kept_items, self.n_items)
        links = self.links
        if len(links):
            source, target = users[links.source], users[links.target]
            both = (source != UNKNOWN) & (target != UNKNOWN)
            links = Links(source[both], target[both])
        return replace(
            self,
            interactions=chosen.renumbered(users, items, len(kept_users), len(kept_items)),
            users=self.users.take(kept_users),
            items=self.items.take(kept_items),
            links=links,
        )


def _ids_at(entities: Entities, rows: I32) -> pl.Series:
    return entities.ids.ids.gather(pl.Series(rows, dtype=pl.UInt32))
