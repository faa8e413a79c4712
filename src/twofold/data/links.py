"""Friendships from two columns of user ids."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from twofold.data.entities import NO_LINKS, Links
from twofold.data.roles import NAMELESS
from twofold.data.vocabulary import UNKNOWN, Vocabulary, as_ids
from twofold.errors import DataError, DataWarning


def read_links(
    frame: pl.DataFrame, users: Vocabulary, notes: list[str], *, warn: bool = False
) -> Links:
    """Read user-user pairs from the first two columns, in the order and direction in which they stand.

    Left out, and counted in a note: pairs that name somebody unknown, pairs of somebody with
    themselves, and a pair that was given before. Links that are all left out, or none, are said too; the former in a warning, if
    `warn`, as other columns may be meant.
    The first row of columns without names is their header where it names nobody.
    """
    if frame.width < 2:
        raise DataError(f"links need two columns of user ids; got {frame.columns}")
    source, target = (users.rows(as_ids(frame.to_series(at), "links")) for at in (0, 1))
    nameless = all(NAMELESS.match(name) for name in frame.columns[:2])
    if nameless and len(frame) and source[0] == target[0] == UNKNOWN:
        source, target = source[1:], target[1:]  # a header
    if not len(source):
        notes.append("there are no links: the social graph is empty")
        return NO_LINKS
    both = (source != UNKNOWN) & (target != UNKNOWN)
    if not both.all():
        notes.append(
            f"{_links(int((~both).sum()), 'name')} somebody who is not among the users; left out"
        )
    apart = both & (source != target)
    if (alone := int((both & ~apart).sum())) > 0:
        notes.append(f"{_links(alone, 'join')} somebody with themselves; left out")
    source, target = source[apart], target[apart]
    _, first = np.unique(source.astype(np.int64) * len(users) + target, return_index=True)
    if len(first) < len(source):
        again = len(source) - len(first)
        notes.append(
            f"{again:,} link{'s were' if again > 1 else ' was'} given before; counted once"
        )
    if not len(first):
        row = int(len(frame) > 1 and nameless)
        notes.append(
            f"the links join no two of the users: the social graph is empty; they have such as "
            f"{frame[row, 0]!r} and {frame[row, 1]!r}, and the users such as {users[0]!r}"
        )
        if warn:
            warnings.warn(f"{notes[-1]}; check the columns and the ids", DataWarning, stacklevel=4)
    kept = np.sort(first)
    return Links(source[kept], target[kept])


def _links(n: int, do: str) -> str:
    return f"{n:,} links {do}" if n > 1 else f"{n:,} link {do}s"
